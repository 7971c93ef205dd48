//! Timing by turns.

use std::{
    env,
    time::{Duration, Instant},
};

/// How much is timed.
#[derive(Debug, Clone, Copy)]
pub struct Turns {
    /// How many figures come out.
    pub rounds: u32,
    /// How often each side has its turn in a round.
    per_round: u32,
    /// How long one turn lasts, about.
    length: Duration,
}

impl Turns {
    /// As much as a figure needs; with `MINTAGE_BENCH_QUICK=1` only as much as shows that it works.
    #[must_use]
    pub fn wanted() -> Self {
        if env::var_os("MINTAGE_BENCH_QUICK").is_some() {
            Self::quick()
        } else {
            Self { rounds: 31, per_round: 10, length: Duration::from_millis(2) }
        }
    }

    /// As little as shows that it works.
    #[must_use]
    pub fn quick() -> Self {
        Self { rounds: 3, per_round: 2, length: Duration::from_millis(1) }
    }
}

/// Times each side, and says for each round how many nanoseconds each took for one operation.
///
/// A turn is so short that the machine is the same for all who have theirs beside it, and each
/// round begins with another side. The first round is not counted.
pub fn by_turns<const N: usize>(turns: Turns, mut sides: [&mut dyn FnMut(); N]) -> Vec<[f64; N]> {
    let counts: [u32; N] = std::array::from_fn(|side| count(&mut *sides[side], turns.length));
    let mut rounds = Vec::new();
    for round in 0..=turns.rounds as usize {
        let mut spent = [Duration::ZERO; N];
        for turn in 0..turns.per_round as usize {
            for step in 0..N {
                let side = (step + turn + round) % N;
                spent[side] += time_all(&mut *sides[side], counts[side]);
            }
        }
        let one = |side: usize| {
            spent[side].as_secs_f64() * 1e9 / f64::from(counts[side]) / f64::from(turns.per_round)
        };
        if round > 0 {
            rounds.push(std::array::from_fn(one));
        }
    }
    rounds
}

/// How often it can be done in that time.
fn count(side: &mut dyn FnMut(), length: Duration) -> u32 {
    let mut count = 1;
    loop {
        let spent = time_all(side, count);
        if spent >= length {
            return count;
        }
        // Not more than doubled: the first of them may have taken much longer than the rest.
        let wanted = f64::from(count) * length.as_secs_f64() / spent.as_secs_f64().max(1e-9);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is small")]
        let wanted = wanted.ceil().min(f64::from(count) * 2.0) as u32;
        count = wanted.max(count + 1);
    }
}

fn time_all(side: &mut dyn FnMut(), count: u32) -> Duration {
    time(|| {
        for _ in 0..count {
            side();
        }
    })
}

/// How long it takes.
#[expect(clippy::disallowed_methods, reason = "a measurement wants the real time")]
pub fn time(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}
