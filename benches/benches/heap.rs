//! How often the heap is asked, and for how much: counted, not timed.
//!
//! It prints the figures, and then `TARGET <name> reached=<x> goal=<op><y> ok|MISSED`. A target that
//! is missed is no failure. `MINTAGE_BENCH_QUICK=1` only shows that it works.

use std::{env, fs, hint::black_box, iter, num::NonZeroUsize, process::ExitCode, sync::Arc};

use allocation_counter::measure;
use mintage::{AnyStatus, Clock as _, MemoryStore, SystemClock};
use mintage_benches::{
    Failure,
    figures::{Goal, figure, target},
    tokens::{NOW, Sample, minted},
    world::World,
};

fn main() -> ExitCode {
    match allocations().and_then(|()| memory()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("heap: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn allocations() -> Result<(), Failure> {
    let sample = Sample::new()?;
    let remembering =
        |sample: &Sample| sample.verifier().remembering(NonZeroUsize::MIN.saturating_add(9999));
    let (token, now) = (sample.token.expose(), NOW.into());
    let verifier = remembering(&sample);
    let verify = || {
        let outcome = verifier.verify::<AnyStatus>(black_box(token), now);
        assert!(outcome.is_ok(), "a good token");
    };
    let mint = || {
        let minted = black_box(minted(&sample.claims, &sample.key));
        assert!(minted.is_ok_and(|minted| minted.expose() == token), "the same token");
    };
    let mint = measure(mint).count_total;
    let first = measure(verify).count_total;
    let again = measure(verify).count_total;
    for (name, goal, count) in [
        ("allocations_mint", 6.0, mint),
        ("allocations_first_verify", 6.0, first),
        ("allocations_cached_verify", 0.0, again),
    ] {
        let count = u32::try_from(count)?;
        target(name, Goal::AtMost(goal), iter::once(f64::from(count)))?;
    }
    Ok(())
}

/// Stores and redeems grants while their number doubles, for the tables in which they are found
/// double too: what a grant takes rises and falls by that.
fn memory() -> Result<(), Failure> {
    let steps = if env::var_os("MINTAGE_BENCH_QUICK").is_some() { 1_000 } else { 31_250 };
    let ten = held(steps, 10)?;
    let one = held(steps, 1)?;
    figure("bytes a live grant takes, of ten a person", ten.iter().map(|(bytes, _)| *bytes));
    figure("  the same, as the system sees it", ten.iter().map(|(_, resident)| *resident));
    figure("bytes a live grant takes, of one a person", one.iter().map(|(bytes, _)| *bytes));
    target("memory_bytes", Goal::AtMost(320.0), ten.iter().map(|(bytes, _)| *bytes))
}

/// For each step of a doubling, what a grant takes with its share of its credential's head: as the
/// heap is asked, and as pages are in use.
fn held(step: u32, a_person: u32) -> Result<Vec<(f64, f64)>, Failure> {
    let before = resident()?;
    let mut bytes = 0;
    let mut fresh = None;
    let make = || {
        let store = Arc::new(MemoryStore::new(NonZeroUsize::MAX, SystemClock.now()));
        fresh = Some((World::in_memory(Arc::clone(&store)), store));
    };
    bytes += measure(make).bytes_current;
    let (world, store) = fresh.ok_or("no world")?;
    let world = world?;
    let mut steps = Vec::new();
    for nth in 0..32 {
        let mut stored = Ok(());
        let fill = || {
            stored = (nth * step..(nth + 1) * step).try_for_each(|grant| {
                world.redeem(&world.issue(grant / a_person)?, &world.context()?)
            });
        };
        bytes += measure(fill).bytes_current;
        stored?;
        let grants = (nth + 1) * step;
        let records = usize::try_from(grants + grants.div_ceil(a_person))?;
        if store.len() != records {
            return Err(format!("{} records where {records} are due", store.len()).into());
        }
        if nth >= 16 {
            #[expect(clippy::cast_precision_loss, reason = "it is far below 2^52")]
            let of = |bytes: i64| bytes as f64 / f64::from(grants);
            steps.push((of(bytes), of(resident()? - before)));
        }
    }
    Ok(steps)
}

/// How many bytes of memory the process has in use.
fn resident() -> Result<i64, Failure> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes =
        line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<i64>().ok());
    Ok(kilobytes.ok_or("the system does not tell how much memory is in use")? * 1024)
}
