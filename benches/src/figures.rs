//! What was measured, and how it stands against a target.

use std::{
    env, fmt,
    fs::OpenOptions,
    io::{self, Write as _},
    str::FromStr,
    time::Duration,
};

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

/// What a ratio should come to. Written and read as `>=0.95` and `<=1.08`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Goal {
    /// So much, or more.
    AtLeast(f64),
    /// So much, or less.
    AtMost(f64),
}

impl Goal {
    /// Whether this is as much or as little as it should be.
    #[must_use]
    pub fn is_met(self, reached: f64) -> bool {
        match self {
            Self::AtLeast(bound) => reached >= bound,
            Self::AtMost(bound) => reached <= bound,
        }
    }

    /// How much it should be at least, or at most.
    #[must_use]
    pub fn bound(self) -> f64 {
        let (Self::AtLeast(bound) | Self::AtMost(bound)) = self;
        bound
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = match self {
            Self::AtLeast(_) => ">=",
            Self::AtMost(_) => "<=",
        };
        write!(f, "{sign}{}", self.bound())
    }
}

impl FromStr for Goal {
    type Err = Failure;

    fn from_str(text: &str) -> Result<Self, Failure> {
        let bound = |text: &str| Ok::<f64, Failure>(text.parse()?);
        match (text.strip_prefix(">="), text.strip_prefix("<=")) {
            (Some(text), _) => Ok(Self::AtLeast(bound(text)?)),
            (_, Some(text)) => Ok(Self::AtMost(bound(text)?)),
            _ => Err(format!("{text:?} is no goal").into()),
        }
    }
}

/// Says what the rounds came to.
pub fn figure(name: &str, rounds: impl Iterator<Item = f64>) {
    let rounds: Vec<f64> = rounds.collect();
    if let Err(failure) = record(name, None, &rounds) {
        eprintln!("{name}: {failure}");
    }
    println!("{name:<NAMES$} {:.1}", Series::of(rounds));
}

/// Says what the rounds came to, and whether their median reaches the goal.
///
/// # Errors
/// Where a round gave no number: then nothing was measured. Where it cannot be recorded.
pub fn target(name: &str, goal: Goal, rounds: impl Iterator<Item = f64>) -> Result<(), Failure> {
    let rounds: Vec<f64> = rounds.collect();
    let series = Series::of(rounds.clone());
    let reached = series.median();
    if !rounds.iter().all(|figure| figure.is_finite()) || !reached.is_finite() {
        return Err(format!("{name}: not every round could be measured").into());
    }
    record(name, Some(goal), &rounds)?;
    let word = if goal.is_met(reached) { "ok" } else { "MISSED" };
    // Of a small one, three decimals would hide a change by a tenth.
    let decimals = if reached.abs() < 0.1 { 5 } else { 3 };
    println!("{name:<NAMES$} {series:.decimals$}");
    println!("TARGET {name} reached={reached:.decimals$} goal={goal} {word}");
    Ok(())
}

/// Appends a line to the file that `MINTAGE_BENCH_RECORD` names: name, goal if there is one, and the
/// rounds in their order, parted by tabs.
fn record(name: &str, goal: Option<Goal>, rounds: &[f64]) -> io::Result<()> {
    let Some(file) = env::var_os("MINTAGE_BENCH_RECORD") else { return Ok(()) };
    let goal = goal.map_or_else(String::new, |goal| goal.to_string());
    let rounds: Vec<String> = rounds.iter().map(|figure| format!("{figure:.5}")).collect();
    let mut file = OpenOptions::new().append(true).create(true).open(file)?;
    // In one call, so that no line is cut into by another program's.
    file.write_all(format!("{name}\t{goal}\t{}\n", rounds.join(" ")).as_bytes())
}

/// How wide a name is printed.
const NAMES: usize = 44;

/// Figures in order of size.
#[derive(Debug)]
pub struct Series(Vec<f64>);

impl Series {
    /// These figures, put in order.
    #[must_use]
    pub fn of(mut figures: Vec<f64>) -> Self {
        figures.sort_by(f64::total_cmp);
        Self(figures)
    }

    /// The one in the middle, or between the two there; not a number where there is none.
    #[must_use]
    pub fn median(&self) -> f64 {
        self.at(0.5)
    }

    /// What so large a part of them does not exceed, drawn straight between two neighbours; not a
    /// number where there is none.
    #[must_use]
    pub fn at(&self, part: f64) -> f64 {
        let last = u32::try_from(self.0.len().saturating_sub(1)).unwrap_or(u32::MAX);
        let rank = f64::from(last) * part.clamp(0.0, 1.0);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it is an index"
        )]
        let [lower, upper] = [rank.floor(), rank.ceil()].map(|rank| self.0.get(rank as usize));
        match (lower, upper) {
            (Some(lower), Some(upper)) => lower + (upper - lower) * rank.fract(),
            _ => f64::NAN,
        }
    }
}

/// The median, and between what the rounds lay.
impl fmt::Display for Series {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decimals = f.precision().unwrap_or(0);
        let [least, median, most] = [0.0, 0.5, 1.0].map(|part| self.at(part));
        let rounds = self.0.len();
        write!(
            f,
            "{median:>11.decimals$}   {least:.decimals$} to {most:.decimals$} in {rounds} rounds"
        )
    }
}
