//! How fast: operations a second, and how long one takes.

use std::time::Duration;

use crate::{
    Bench,
    shared::{
        Failure, by_turns,
        callers::Until,
        figures::{Goal, Run, figure, target},
    },
    tables::Work::{Issue, Redeem},
    yard::{Length, Log},
};

/// A figure of a round.
type Of = fn(&Round) -> f64;

const TARGETS: [(&str, Goal, Of); 5] = [
    ("pg_redeem_64", Goal::AtLeast(3.0), |round| round.ours_64.rate / round.yard.rate),
    ("pg_redeem_256", Goal::AtLeast(5.0), |round| round.ours_256.rate / round.yard.rate),
    ("pg_issue_256", Goal::AtLeast(4.0), |round| round.ours_issue.rate / round.yard_issue.rate),
    ("pg_latency_1", Goal::AtMost(1.2), |round| {
        round.ours_1.percentile(50) / round.yard_1.percentile(50)
    }),
    ("pg_p99_64", Goal::AtMost(1.0), |round| {
        round.ours_64.percentile(99) / round.yard_64.percentile(99)
    }),
];

const FIGURES: [(&str, Of); 13] = [
    ("redemptions/s, pgbench at its best", |round| round.yard.rate),
    ("redemptions/s, 64 callers", |round| round.ours_64.rate),
    ("redemptions/s, 256 callers", |round| round.ours_256.rate),
    ("issues/s, pgbench at its best", |round| round.yard_issue.rate),
    ("issues/s, 256 callers", |round| round.ours_issue.rate),
    ("redemption, µs, median, pgbench, 1 client", |round| round.yard_1.percentile(50)),
    ("redemption, µs, median, 1 caller", |round| round.ours_1.percentile(50)),
    ("redemption, µs, median, pgbench, 64 clients", |round| round.yard_64.percentile(50)),
    ("redemption, µs, median, 64 callers", |round| round.ours_64.percentile(50)),
    ("redemption, µs, median, 256 callers", |round| round.ours_256.percentile(50)),
    ("redemption, µs, p99, pgbench, 64 clients", |round| round.yard_64.percentile(99)),
    ("redemption, µs, p99, 64 callers", |round| round.ours_64.percentile(99)),
    ("redemption, µs, p99, 256 callers", |round| round.ours_256.percentile(99)),
];

pub(crate) async fn measure(bench: &Bench) -> Result<(), Failure> {
    let mut rounds = Vec::new();
    for number in 0..bench.sizes.rounds {
        eprintln!("speed: round {} of {}", number + 1, bench.sizes.rounds);
        rounds.push(Round::measure(bench, number).await?);
    }
    println!("\nSpeed, in runs of {} s", bench.sizes.seconds);
    for (name, of) in FIGURES {
        figure(name, rounds.iter().map(of));
    }
    for (name, goal, of) in TARGETS {
        target(name, goal, rounds.iter().map(of))?;
    }
    Ok(())
}

/// Every run once. Each redeems grants of its own; those that issue come last, so that both sides
/// begin every run but the first with as many rows.
struct Round {
    ours_64: Run,
    ours_256: Run,
    ours_1: Run,
    ours_issue: Run,
    yard: Run,
    yard_64: Run,
    yard_1: Run,
    yard_issue: Run,
}

impl Round {
    async fn measure(bench: &Bench, number: u32) -> Result<Self, Failure> {
        let Bench { ours, yard, best, sizes, .. } = bench;
        let time = Until::Time(Duration::from_secs(sizes.seconds.into()));
        let length = Length::Seconds(sizes.seconds);
        let (many, issued) = (best.redeem.plenty(), best.issue.plenty());
        // One caller gets through far less than many do.
        let [second, third, last] = [many, 2 * many, 2 * many + many / 4];

        bench.refill(last).await?;
        let (ours_64, best_of_yard) = by_turns(
            number,
            ours.run(Redeem, 64, 0..second, time),
            yard.run(Redeem, best.redeem.clients, 0, length, Log::Nothing),
        )
        .await?;
        let (ours_256, yard_64) = by_turns(
            number,
            ours.run(Redeem, 256, second..third, time),
            yard.run(Redeem, 64, second, length, Log::Each),
        )
        .await?;
        let (ours_1, yard_1) = by_turns(
            number,
            ours.run(Redeem, 1, third..last, time),
            yard.run(Redeem, 1, third, length, Log::Each),
        )
        .await?;
        let (ours_issue, yard_issue) = by_turns(
            number,
            ours.run(Issue, 256, last..last + issued, time),
            yard.run(Issue, best.issue.clients, last, length, Log::Nothing),
        )
        .await?;
        let yard = best_of_yard;
        Ok(Self { ours_64, ours_256, ours_1, ours_issue, yard, yard_64, yard_1, yard_issue })
    }
}
