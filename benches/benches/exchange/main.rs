//! The engine's whole one-time exchange on the store in memory, beside the one signature in it.
//!
//! Every one-time token is issued before its run and every access token verified after it.
//!
//! It prints the figures, and then `TARGET <name> reached=<x> goal=<op><y> ok|MISSED`. A target that
//! is missed is no failure. `MINTAGE_BENCH_QUICK=1` only shows that it works; `MINTAGE_BENCH_GRANTS`
//! is how many grants are stored at most: 10 million.

mod growth;
mod threads;

use std::{hint::black_box, process::ExitCode, time::Duration};

use ed25519_dalek::Signer as _;
use mintage::{GrantId, SecretText};
use mintage_benches::{
    Failure, Turns,
    figures::{Goal, figure, target},
    time,
    tokens::SEED,
    world::World,
};

/// How many exchanges a round makes, and in how many turns.
const EACH: u32 = 1000;
const TURN: usize = 50;

fn main() -> ExitCode {
    let turns = Turns::wanted();
    match one(turns).and_then(|()| threads::measure(turns)).and_then(|()| growth::measure(turns)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("exchange: {failure}");
            ExitCode::FAILURE
        }
    }
}

pub(crate) fn one(turns: Turns) -> Result<(), Failure> {
    let world = World::new(1_000_000)?;
    let raw = Raw::like(&world)?;
    let mut rounds = Vec::new();
    for round in 0..=turns.rounds {
        let mut run = Run::of(&world, EACH, round * EACH)?;
        let (mut ours, mut bare) = (Duration::ZERO, Duration::ZERO);
        for turn in 0..EACH as usize / TURN {
            if turn % 2 == 0 {
                ours += run.go(&world, TURN);
                bare += raw.go(TURN);
            } else {
                bare += raw.go(TURN);
                ours += run.go(&world, TURN);
            }
        }
        run.check(&world)?;
        if round > 0 {
            rounds.push((per_op(bare, EACH), per_op(ours, EACH)));
        }
    }
    figure("raw signature, ns", rounds.iter().map(|(bare, _)| *bare));
    figure("exchange, ns", rounds.iter().map(|(_, ours)| *ours));
    target("exchange", Goal::AtMost(1.25), rounds.iter().map(|(bare, ours)| ours / bare))
}

/// In nanoseconds.
fn per_op(spent: Duration, count: u32) -> f64 {
    spent.as_secs_f64() * 1e9 / f64::from(count)
}

/// The bare signature over what an exchange signs.
struct Raw {
    key: ed25519_dalek::SigningKey,
    signed: String,
}

impl Raw {
    fn like(world: &World) -> Result<Self, Failure> {
        let exchanged = world.exchange(world.issue(0)?.to_text())?;
        let (signed, _) = exchanged.token.expose().rsplit_once('.').ok_or("no token")?;
        Ok(Self { key: ed25519_dalek::SigningKey::from_bytes(&SEED), signed: signed.to_owned() })
    }

    fn go(&self, count: usize) -> Duration {
        time(|| {
            for _ in 0..count {
                black_box(self.key.sign(black_box(self.signed.as_bytes())));
            }
        })
    }
}

/// One-time tokens that are to be exchanged, and what they yielded.
pub(crate) struct Run {
    tokens: Vec<SecretText>,
    /// The grant of each access token, and where in the texts it ends.
    pub(crate) yielded: Vec<(GrantId, usize)>,
    pub(crate) texts: String,
    failure: Option<Failure>,
}

impl Run {
    /// Fresh tokens, one for each person from that number on.
    pub(crate) fn of(world: &World, count: u32, first: u32) -> Result<Self, Failure> {
        let tokens = (first..first + count).map(|person| Ok(world.issue(person)?.to_text()));
        Ok(Self::with(tokens.collect::<Result<_, Failure>>()?))
    }

    pub(crate) fn with(tokens: Vec<SecretText>) -> Self {
        // Memory that was in use before: that the system gives new pages is not what is measured.
        let mut texts = "x".repeat(tokens.len() * 1024);
        texts.clear();
        let mut yielded = vec![(GrantId::from_bytes([0; GrantId::BYTES]), 0); tokens.len()];
        yielded.clear();
        Self { tokens, yielded, texts, failure: None }
    }

    /// Exchanges so many of them. The text is taken over, as a server does that sends it, and
    /// whatever was yielded dropped, which wipes the token.
    pub(crate) fn go(&mut self, world: &World, count: usize) -> Duration {
        time(|| {
            for _ in 0..count {
                let Some(token) = self.tokens.pop() else { break };
                match world.exchange(token) {
                    Ok(exchanged) if exchanged.retried => {
                        self.failure = Some("it was exchanged before".into());
                    }
                    Ok(exchanged) => {
                        self.texts.push_str(exchanged.token.expose());
                        self.yielded.push((exchanged.grant, self.texts.len()));
                    }
                    Err(failure) => self.failure = Some(failure),
                }
            }
        })
    }

    /// Makes sure that each yielded a good token.
    pub(crate) fn check(self, world: &World) -> Result<(), Failure> {
        if let Some(failure) = self.failure {
            return Err(failure);
        }
        if !self.tokens.is_empty() {
            return Err("not all were exchanged".into());
        }
        let mut start = 0;
        for (grant, end) in self.yielded {
            world.check(&self.texts[start..end], grant)?;
            start = end;
        }
        Ok(())
    }
}
