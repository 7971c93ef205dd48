//! Whole flows through the engine, on a store in memory and a clock that is set by hand.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod canary;
mod endings;
mod events;
mod faults;
mod lifetimes;
mod pulse;
mod refusals;
mod start;
mod ways;
mod world;
