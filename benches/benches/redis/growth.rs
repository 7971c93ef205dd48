//! What it costs that many grants are stored: the same redemptions among few and among many, ten
//! grants a head, on a server each.

use std::ops::Range;

use crate::{
    Failure, Sizes,
    field::Field,
    shared::{
        self, by_turns,
        callers::{Until, picks},
        figures::{Goal, figure, target},
    },
    site::{Site, Tally},
};

/// How many grants are few. A round redeems so many.
const FEW: u32 = 10_000;
/// How many grants are put in at a time.
const AT_ONCE: u32 = 250_000;
/// How many grants a person has.
const EACH: u32 = 10;
/// More than the memory that a grant takes with its share of a head, redeemed or not.
const BYTES: u64 = 512;

pub(crate) async fn measure(sizes: Sizes) -> Result<(), Failure> {
    // Such a round is short.
    let rounds = 3 * sizes.rounds;
    let room = shared::memory_kb("MemAvailable")? * 1024 / 2 / BYTES;
    let many = sizes.grants.min(u32::try_from(room).unwrap_or(u32::MAX)) / EACH * EACH;
    if many < (rounds + 1) * FEW {
        return Err(format!("{many} grants are not enough for {rounds} rounds").into());
    }
    if many < sizes.grants {
        println!("\nThere is no memory for more than {many} grants.");
    }
    let among_few = Site::start(Field::of(EACH)?).await?;
    let among_many = Site::start(Field::of(EACH)?).await?;
    fill(&among_many, 0..many).await?;

    let mut all = picks(many);
    let mut times = Vec::new();
    // The first round is not counted.
    for number in 0..=rounds {
        eprintln!("growth: round {number} of {rounds}, after one to warm up");
        among_few.stock.restore(0..FEW).await?;
        let both =
            by_turns(number, time(&among_few, picks(FEW)), time(&among_many, all.by_ref())).await?;
        if number > 0 {
            times.push(both);
        }
    }
    println!("\nGrowth, 64 callers, {FEW} random grants a round among {FEW} and among {many}");
    figure("redemption, µs of the store's time, few", times.iter().map(|(few, _)| few.store));
    figure("redemption, µs of the store's time, many", times.iter().map(|(_, many)| many.store));
    figure("script, µs of the server's, few", times.iter().map(|(few, _)| few.script));
    figure("script, µs of the server's, many", times.iter().map(|(_, many)| many.script));
    target(
        "redis_growth",
        Goal::AtMost(1.2),
        times.iter().map(|(few, many)| many.store / few.store),
    )
}

async fn fill(site: &Site, numbers: Range<u32>) -> Result<(), Failure> {
    let end = numbers.end;
    for first in numbers.step_by(AT_ONCE as usize) {
        eprintln!("growth: {first} of {end} grants are stored");
        site.stock.restore(first..end.min(first + AT_ONCE)).await?;
    }
    let keys: u32 = site.server.ask(&["DBSIZE"]).await?;
    if keys != end + end / EACH {
        return Err(format!("{keys} keys are not {end} grants and their heads").into());
    }
    Ok(())
}

/// How many microseconds passed for each redemption, and how many the server had for its script.
struct Times {
    store: f64,
    script: f64,
}

/// Redeems the next few grants.
async fn time(site: &Site, numbers: impl Iterator<Item = u32>) -> Result<Times, Failure> {
    let before = Tally::of(&site.server).await?;
    let run = site.redeem(64, numbers.take(FEW as usize), Until::Done).await?;
    let script = before.until(&Tally::of(&site.server).await?, FEW)?;
    Ok(Times { store: 1e6 / run.rate, script })
}
