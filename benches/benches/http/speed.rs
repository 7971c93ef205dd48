//! How many answers a second, and how long one takes at half of that.

use std::time::Duration;

use mintage_benches::{
    Failure,
    figures::{Goal, Run, Series, figure, target},
};

use super::{
    Sizes,
    side::{Side, Top},
};

/// How long a run at half the top rate is, and how many of them there are for each round at the top.
const SHORT: Duration = Duration::from_millis(100);
const SHORT_RUNS: u32 = 5;

const NAMES: [&str; 3] = ["mintage", "bare axum", "oidc-provider"];

/// The top rate of each side, by turns. Returns the median of ours.
pub(crate) async fn top(all: &mut [Side; 3], sizes: Sizes) -> Result<f64, Failure> {
    let mut rounds: Vec<[Top; 3]> = Vec::new();
    for round in 0..=sizes.rounds as usize {
        eprintln!("top rate: round {round} of {}", sizes.rounds);
        let mut tops = [Top::default(); 3];
        for turn in 0..sizes.turns as usize {
            for step in 0..tops.len() {
                let side = (round + turn + step) % tops.len();
                tops[side] += all[side].at_top(sizes.turn).await?;
            }
        }
        // The first is not counted.
        if round > 0 {
            rounds.push(tops);
        }
    }
    println!("{} connections, turns of {:?}", sizes.connections, sizes.turn);
    for (side, name) in NAMES.into_iter().enumerate() {
        figure(&format!("requests/s, {name}"), rounds.iter().map(|tops| tops[side].rate()));
        let busy = || rounds.iter().map(|tops| tops[side].busy() * 100.0);
        figure(&format!("its core's time, %, {name}"), busy());
        if Series::of(busy().collect()).median() < sizes.busy {
            return Err(format!("{name} was not busy: this has measured the client").into());
        }
    }
    let ratio = |of: usize| rounds.iter().map(move |tops| tops[0].rate() / tops[of].rate());
    target("http", Goal::AtLeast(0.9), ratio(1))?;
    target("http_vs_oidc_provider", Goal::AtLeast(12.0), ratio(2))?;
    Ok(Series::of(rounds.iter().map(|tops| tops[0].rate()).collect()).median())
}

/// How long an answer takes at that rate, ours and the bare handler's by turns.
///
/// The runs are short and many: where the machine stops for some milliseconds, whoever has his turn
/// then has all of that in his p99, and the median of the rounds is to be one without.
pub(crate) async fn at_rate(
    rate: f64,
    ours: &mut Side,
    bare: &mut Side,
    sizes: Sizes,
) -> Result<(), Failure> {
    let mut rounds: Vec<[Run; 2]> = Vec::new();
    let count = sizes.rounds * SHORT_RUNS;
    for round in 0..=count {
        if round.is_multiple_of(SHORT_RUNS) {
            eprintln!("{rate:.0} requests/s: round {round} of {count}");
        }
        // Both meet the same arrivals.
        let seed = round.into();
        let runs = if round.is_multiple_of(2) {
            let run = ours.at_rate(rate, SHORT, seed).await?;
            [run, bare.at_rate(rate, SHORT, seed).await?]
        } else {
            let run = bare.at_rate(rate, SHORT, seed).await?;
            [ours.at_rate(rate, SHORT, seed).await?, run]
        };
        if round > 0 {
            rounds.push(runs);
        }
    }
    println!("{rate:.0} requests/s, in runs of {SHORT:?}");
    for (side, name) in NAMES.into_iter().take(2).enumerate() {
        for (percent, word) in [(50, "median"), (99, "p99")] {
            let latencies = rounds.iter().map(|runs| runs[side].percentile(percent));
            figure(&format!("answer at half the top rate, µs, {word}, {name}"), latencies);
        }
    }
    let ratios = rounds.iter().map(|[ours, bare]| ours.percentile(99) / bare.percentile(99));
    target("http_p99", Goal::AtMost(1.2), ratios)
}
