//! How long a mint takes at worst while every core mints.

use std::{hint::black_box, sync::Barrier, thread, time::Instant};

use mintage_benches::{
    Failure, Turns,
    figures::{Goal, Run, figure, target},
    tokens::{Sample, minted},
};

/// How many tokens each core mints in a round: half a second, about.
const EACH: u32 = 20_000;

pub(crate) fn measure(sample: &Sample, turns: Turns) -> Result<(), Failure> {
    let cores = thread::available_parallelism()?.get();
    let runs: Vec<Run> = (0..turns.rounds).map(|_| round(sample, cores)).collect();
    figure("mint at full load, µs, median", runs.iter().map(|run| run.percentile(50)));
    figure("mint at full load, µs, p99", runs.iter().map(|run| run.percentile(99)));
    let spread = runs.iter().map(|run| run.percentile(99) / run.percentile(50));
    target("mint_p99_us", Goal::AtMost(3.0), spread)
}

#[expect(clippy::disallowed_methods, reason = "a measurement wants the real time")]
fn round(sample: &Sample, cores: usize) -> Run {
    let start = Barrier::new(cores);
    let one = || {
        start.wait();
        let mint = |_| {
            let asked = Instant::now();
            drop(black_box(minted(black_box(&sample.claims), &sample.key)));
            asked.elapsed()
        };
        (0..EACH).map(mint).collect::<Vec<_>>()
    };
    let latencies: Vec<_> = thread::scope(|scope| {
        let cores: Vec<_> = (0..cores).map(|_| scope.spawn(one)).collect();
        cores.into_iter().filter_map(|core| core.join().ok()).flatten().collect()
    });
    let count = u32::try_from(latencies.len()).unwrap_or(u32::MAX);
    Run::new(count, f64::NAN, latencies)
}
