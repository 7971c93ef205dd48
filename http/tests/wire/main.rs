//! The wire, seen from outside: the real router on a real socket. One binary, so that it is built
//! once; a module for each part of the contract.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests fail as tests do"
)]

mod bytes;
mod endpoints;
mod exchange;
mod fields;
mod host;
mod house;
mod limits;
mod logs;
mod refusals;
