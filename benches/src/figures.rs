//! What was measured, and how it stands against a target.

use std::{fmt, time::Duration};

use crate::Failure;

/// One run: so many operations at that rate, and how long each took, in order of length.
#[derive(Debug)]
pub struct Run {
    /// How many operations it made.
    pub count: u32,
    /// A second.
    pub rate: f64,
    latencies: Vec<Duration>,
}

impl Run {
    /// So many operations at that rate, which took so long each.
    #[must_use]
    pub fn new(count: u32, rate: f64, mut latencies: Vec<Duration>) -> Self {
        latencies.sort_unstable();
        Self { count, rate, latencies }
    }

    /// In microseconds, the time that so many in a hundred did not exceed; not a number where no
    /// operation was timed by itself.
    #[must_use]
    pub fn percentile(&self, percent: usize) -> f64 {
        let rank = (self.latencies.len() * percent).div_ceil(100);
        let latency = rank.checked_sub(1).and_then(|index| self.latencies.get(index));
        latency.map_or(f64::NAN, |latency| latency.as_secs_f64() * 1e6)
    }
}

/// What a ratio should come to.
#[derive(Debug, Clone, Copy)]
pub enum Goal {
    /// So much, or more.
    AtLeast(f64),
    /// So much, or less.
    AtMost(f64),
}

/// Says what the rounds came to.
pub fn figure(name: &str, rounds: impl Iterator<Item = f64>) {
    println!("{name:<NAMES$} {:.1}", Series::of(rounds));
}

/// Says what the rounds came to, and whether their median reaches the goal.
///
/// # Errors
/// Where a round gave no number: then nothing was measured.
pub fn target(name: &str, goal: Goal, rounds: impl Iterator<Item = f64>) -> Result<(), Failure> {
    let series = Series::of(rounds);
    let reached = series.median();
    if !series.0.iter().all(|figure| figure.is_finite()) || !reached.is_finite() {
        return Err(format!("{name}: not every round could be measured").into());
    }
    let (sign, bound, is_met) = match goal {
        Goal::AtLeast(bound) => (">=", bound, reached >= bound),
        Goal::AtMost(bound) => ("<=", bound, reached <= bound),
    };
    let word = if is_met { "ok" } else { "MISSED" };
    println!("{name:<NAMES$} {series:.3}");
    println!("TARGET {name} reached={reached:.3} goal={sign}{bound} {word}");
    Ok(())
}

/// How wide a name is printed.
const NAMES: usize = 44;

/// A figure of each round, in order of size.
struct Series(Vec<f64>);

impl Series {
    fn of(rounds: impl Iterator<Item = f64>) -> Self {
        let mut figures: Vec<f64> = rounds.collect();
        figures.sort_by(f64::total_cmp);
        Self(figures)
    }

    fn median(&self) -> f64 {
        let (upper, lower) = (self.0.len() / 2, self.0.len().saturating_sub(1) / 2);
        match (self.0.get(lower), self.0.get(upper)) {
            (Some(lower), Some(upper)) => f64::midpoint(*lower, *upper),
            _ => f64::NAN,
        }
    }
}

/// The median, and between what the rounds lay.
impl fmt::Display for Series {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decimals = f.precision().unwrap_or(0);
        let [least, most] = [self.0.first(), self.0.last()].map(|end| end.unwrap_or(&f64::NAN));
        let (median, rounds) = (self.median(), self.0.len());
        write!(
            f,
            "{median:>11.decimals$}   {least:.decimals$} to {most:.decimals$} in {rounds} rounds"
        )
    }
}
