//! The wire, seen from outside: the real router on a real socket. One binary, so that it is built
//! once; a module for each part of the contract.

mod bytes;
mod endpoints;
mod exchange;
mod fields;
mod host;
mod house;
mod limits;
mod logs;
mod refusals;
