//! What a second thread gains, beside what it gains the bare signature.

use std::{sync::Barrier, thread, time::Duration};

use mintage_benches::{
    Failure, Turns,
    figures::{Goal, figure, target},
    world::World,
};

use super::{Raw, Run};

/// How many exchanges one thread makes in a round.
const EACH: u32 = 4000;

pub(crate) fn measure(turns: Turns) -> Result<(), Failure> {
    let world = World::new(4_000_000)?;
    let raw = Raw::like(&world)?;
    let mut rounds = Vec::new();
    for round in 0..=turns.rounds {
        let bare_1 = crew(vec![()], |()| raw.go(EACH as usize))?;
        let ours_1 = exchange(&world, 1, round)?;
        let ours_2 = exchange(&world, 2, round)?;
        let bare_2 = crew(vec![(), ()], |()| raw.go(EACH as usize))?;
        if round > 0 {
            rounds.push((gain(bare_1, bare_2), gain(ours_1, ours_2)));
        }
    }
    figure("gain of a second thread, raw, %", rounds.iter().map(|(bare, _)| bare * 100.0));
    figure("gain of a second thread, exchange, %", rounds.iter().map(|(_, ours)| ours * 100.0));
    target("exchange_2t", Goal::AtLeast(0.95), rounds.iter().map(|(bare, ours)| ours / bare))
}

/// How much more two get done than one.
fn gain(one: Duration, two: Duration) -> f64 {
    2.0 * one.as_secs_f64() / two.as_secs_f64()
}

fn exchange(world: &World, threads: u32, round: u32) -> Result<Duration, Failure> {
    let first = round * 4 * EACH;
    let runs = (0..threads).map(|nth| Run::of(world, EACH, first + nth * EACH));
    let mut runs = runs.collect::<Result<Vec<_>, _>>()?;
    let spent = crew(runs.iter_mut().collect(), |run| run.go(world, EACH as usize))?;
    runs.into_iter().try_for_each(|run| run.check(world))?;
    Ok(spent)
}

/// Has each done by a thread of its own, all at once, and says how long the slowest took.
fn crew<T: Send>(each: Vec<T>, work: impl Fn(T) -> Duration + Sync) -> Result<Duration, Failure> {
    let start = Barrier::new(each.len());
    let one = |its| {
        start.wait();
        work(its)
    };
    let spent = thread::scope(|scope| {
        let threads: Vec<_> = each.into_iter().map(|its| scope.spawn(|| one(its))).collect();
        threads.into_iter().map(|thread| thread.join().ok()).collect::<Option<Vec<_>>>()
    });
    spent.and_then(|spent| spent.into_iter().max()).ok_or_else(|| "a thread panicked".into())
}
