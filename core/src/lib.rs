//! placeholder: written with the engine
pub mod grant;
pub mod id;
pub mod instant;
mod json;
pub mod keys;
pub mod memory;
pub mod model;
pub mod one_time;
pub(crate) mod random;
pub mod secret;
pub mod store;
