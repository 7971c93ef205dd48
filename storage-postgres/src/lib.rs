//! A [`TokenStore`](mintage::TokenStore) in PostgreSQL.

mod fault;
mod guarantee;
mod lanes;
mod line;
mod migrate;
mod notice;
mod operations;
mod purge;
mod record;
mod settings;
mod statements;
mod store;

pub use self::{
    migrate::{SetupError, migrate},
    settings::{InvalidSchema, Schema, Settings},
    store::PostgresStore,
};
