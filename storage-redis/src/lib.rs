#![doc = include_str!("../README.md")]

mod address;
mod fault;
mod fence;
mod guarantee;
mod keys;
mod lanes;
mod line;
mod operations;
mod record;
mod scripts;
mod settings;
mod setup;
mod shards;
mod store;

#[doc(hidden)]
pub use self::scripts::Guard;
pub use self::{
    address::{Address, InvalidAddress},
    scripts::scripts,
    settings::{Acknowledge, InvalidPrefix, OnFailover, Prefix, Settings},
    setup::SetupError,
    store::RedisStore,
};
