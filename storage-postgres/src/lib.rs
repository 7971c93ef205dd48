#![doc = include_str!("../README.md")]

mod fault;
mod guarantee;
mod keys;
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
    keys::{
        InvalidKekId, InvalidKeySettings, KeyEncryptionKey, KeyEncryptionKeys, KeySettings,
        OpenKeysError, PostgresKeys,
    },
    line::SESSION,
    migrate::{SetupError, migrate},
    settings::{InvalidSchema, Schema, Settings},
    statements::statements,
    store::PostgresStore,
};
