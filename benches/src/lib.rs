//! What the measurements share: how runs are timed beside each other, and how a figure is told.
//!
//! Whatever is compared runs by turns in one process, in short runs, so that both sides meet the
//! same machine. A ratio is the median of those of the rounds, never a quotient of two medians.

mod arrivals;
pub mod cpu;
pub mod figures;
mod outcomes;
pub mod tokens;
mod turns;
pub mod world;

pub use self::{
    arrivals::arrivals,
    outcomes::Outcomes,
    turns::{Turns, by_turns, time},
};

/// Why something could not be measured.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;
