//! How fast: redemptions a second, of 256 callers and of redis-benchmark.

use crate::{
    Failure, Sizes,
    best::Best,
    shared::{
        by_turns,
        callers::{Until, picks},
        figures::{Goal, Run, figure, target},
    },
    site::{Site, Tally},
    yard::{Pace, Yard},
};

/// A figure of a round.
type Of = fn(&Round) -> f64;

const TARGETS: [(&str, Goal, Of); 2] = [
    ("redis_redeem_256", Goal::AtLeast(1.4), |round| round.ours.rate / round.plain.rate),
    ("redis_redeem_pipelined", Goal::AtLeast(0.75), |round| round.ours.rate / round.piped.rate),
];

const FIGURES: [(&str, Of); 10] = [
    ("redemptions/s, redis-benchmark, 256 plain", |round| round.plain.rate),
    ("redemptions/s, redis-benchmark, pipelined", |round| round.piped.rate),
    ("redemptions/s, 256 callers", |round| round.ours.rate),
    ("redemption, µs, median, 256 callers", |round| round.ours.percentile(50)),
    ("redemption, µs, p99, 256 callers", |round| round.ours.percentile(99)),
    ("script, µs of the server's, 256 plain", |round| round.plain.script),
    ("script, µs of the server's, pipelined", |round| round.piped.script),
    ("script, µs of the server's, 256 callers", |round| round.script),
    ("repeated calls, %, 256 plain", |round| 100.0 * round.plain.repeats),
    ("repeated calls, %, pipelined", |round| 100.0 * round.piped.repeats),
];

pub(crate) async fn measure(site: &Site, yard: &Yard, sizes: Sizes) -> Result<(), Failure> {
    println!();
    let best = Best::find(site, yard, sizes).await?;
    let mut rounds = Vec::new();
    for number in 0..sizes.rounds {
        eprintln!("speed: round {} of {}", number + 1, sizes.rounds);
        rounds.push(Round::measure(site, yard, best, sizes, number).await?);
    }
    println!(
        "\nSpeed, among {} grants of one head, in runs of {} ms",
        sizes.tokens,
        sizes.run.as_millis()
    );
    for (name, of) in FIGURES {
        figure(name, rounds.iter().map(of));
    }
    for (name, goal, of) in TARGETS {
        target(name, goal, rounds.iter().map(of))?;
    }
    Ok(())
}

/// Every run once, each with all tokens unspent.
struct Round {
    ours: Run,
    script: f64,
    plain: Pace,
    piped: Pace,
}

impl Round {
    async fn measure(
        site: &Site,
        yard: &Yard,
        best: Best,
        sizes: Sizes,
        number: u32,
    ) -> Result<Self, Failure> {
        let Best { plain, piped } = best;
        // More than anybody gets through.
        let plenty = sizes.tokens.min(3 * piped.calls);
        let ((ours, script), (plain, piped)) = by_turns(
            number,
            redeem(site, 256, sizes, plenty),
            by_turns(
                number / 2,
                yard.run(site, plain.way, plain.calls),
                yard.run(site, piped.way, piped.calls),
            ),
        )
        .await?;
        Ok(Self { ours, script, plain, piped })
    }
}

/// What came of a run through the store, and how many microseconds the server had for a script.
async fn redeem(
    site: &Site,
    callers: u32,
    sizes: Sizes,
    plenty: u32,
) -> Result<(Run, f64), Failure> {
    let before = Tally::of(&site.server).await?;
    let numbers = picks(sizes.tokens).take(plenty as usize);
    let run = site.redeem(callers, numbers, Until::Time(sizes.run)).await?;
    let script = before.until(&Tally::of(&site.server).await?, run.count)?;
    let redeemed = site.stock.restore(0..sizes.tokens).await?;
    if redeemed != run.count {
        return Err(format!("of {} redemptions {redeemed} are left", run.count).into());
    }
    Ok((run, script))
}
