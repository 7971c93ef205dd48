//! How long a mint takes at worst while every core mints.

use std::{
    hint::black_box,
    sync::Barrier,
    thread,
    time::{Duration, Instant},
};

use mintage_benches::{
    Failure, Outcomes, Turns,
    figures::{Goal, Run, figure, target},
    tokens::{Sample, minted},
};

/// How many tokens each core mints in a round: half a second, about.
const EACH: u32 = 20_000;

pub(crate) fn measure(sample: &Sample, turns: Turns) -> Result<(), Failure> {
    let cores = thread::available_parallelism()?.get();
    let runs = (0..turns.rounds).map(|_| round(sample, cores)).collect::<Result<Vec<_>, _>>()?;
    figure("mint at full load, µs, median", runs.iter().map(|run| run.percentile(50)));
    figure("mint at full load, µs, p99", runs.iter().map(|run| run.percentile(99)));
    let spread = runs.iter().map(|run| run.percentile(99) / run.percentile(50));
    target("mint_p99_us", Goal::AtMost(3.0), spread)
}

#[expect(clippy::disallowed_methods, reason = "a measurement wants the real time")]
fn round(sample: &Sample, cores: usize) -> Result<Run, Failure> {
    let start = Barrier::new(cores);
    let one = || {
        let mut outcomes = Outcomes::default();
        start.wait();
        let latencies = (0..EACH).map(|_| {
            let asked = Instant::now();
            let minted = black_box(minted(black_box(&sample.claims), &sample.key));
            let is_right =
                minted.as_ref().is_ok_and(|minted| minted.expose() == sample.token.expose());
            drop(minted);
            let latency = asked.elapsed();
            outcomes.note(is_right);
            latency
        });
        (latencies.collect::<Vec<Duration>>(), outcomes)
    };
    let made = thread::scope(|scope| {
        let cores: Vec<_> = (0..cores).map(|_| scope.spawn(one)).collect();
        cores.into_iter().map(|core| core.join().ok()).collect::<Option<Vec<_>>>()
    });
    let mut latencies = Vec::new();
    for (its, outcomes) in made.ok_or("a thread panicked")? {
        outcomes.check("mint at full load")?;
        latencies.extend(its);
    }
    Ok(Run::new(u32::try_from(latencies.len())?, f64::NAN, latencies))
}
