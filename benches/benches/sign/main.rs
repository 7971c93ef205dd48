//! An access token, minted and verified, beside the bare Ed25519 signature over the same bytes.
//!
//! What lies between the two is JSON, base64 and judging the claims. Every token that is measured
//! is accepted by a verifier, and every refusal is the right one, before anything is timed; what comes
//! out while the time runs must be the same.
//!
//! It prints the figures, and then `TARGET <name> reached=<x> goal=<op><y> ok|MISSED`. A target that
//! is missed is no failure. `MINTAGE_BENCH_QUICK=1` only shows that it works.

pub(crate) mod load;
pub(crate) mod refusals;

use std::{hint::black_box, num::NonZeroUsize, process::ExitCode};

use ed25519_dalek::Signer as _;
use mintage::AnyStatus;
use mintage_benches::{
    Failure, Outcomes, Turns, by_turns,
    figures::{Goal, figure, target},
    tokens::{NOW, Sample, minted},
};

fn main() -> ExitCode {
    match measure() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("sign: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn measure() -> Result<(), Failure> {
    let (sample, turns) = (Sample::new()?, Turns::wanted());
    println!("a token of {} bytes", sample.token.expose().len());
    mint(&sample, turns)?;
    verify(&sample, turns)?;
    refusals::measure(&sample, turns)?;
    load::measure(&sample, turns)
}

pub(crate) fn mint(sample: &Sample, turns: Turns) -> Result<(), Failure> {
    let (signed, token) = (sample.signed(), sample.token.expose());
    let mut outcomes = Outcomes::default();
    let rounds = by_turns(
        turns,
        [&mut || _ = black_box(sample.raw.sign(black_box(signed))), &mut || {
            // To compare the bytes takes a thousandth of the time that it takes to make them.
            let minted = minted(black_box(&sample.claims), &sample.key);
            outcomes.note(minted.is_ok_and(|minted| minted.expose() == token));
        }],
    );
    outcomes.check("mint")?;
    figure("raw signature, ns", rounds.iter().map(|[raw, _]| *raw));
    figure("mint, ns", rounds.iter().map(|[_, ours]| *ours));
    target("mint", Goal::AtMost(1.08), rounds.iter().map(|[raw, ours]| ours / raw))
}

pub(crate) fn verify(sample: &Sample, turns: Turns) -> Result<(), Failure> {
    let (token, now, verifier) = (sample.token.expose(), NOW.into(), sample.verifier());
    let (public, signed) = (sample.raw.verifying_key(), sample.signed());
    let signature = sample.raw.sign(signed);
    public.verify_strict(signed, &signature)?;
    let remembering = sample.verifier().remembering(NonZeroUsize::MIN.saturating_add(9_999));
    remembering.verify::<AnyStatus>(token, now)?;
    let [mut bare, mut first, mut again] = [Outcomes::default(); 3];
    let rounds = by_turns(
        turns,
        [
            &mut || bare.note(public.verify_strict(black_box(signed), &signature).is_ok()),
            &mut || first.note(verifier.verify::<AnyStatus>(black_box(token), now).is_ok()),
            &mut || again.note(remembering.verify::<AnyStatus>(black_box(token), now).is_ok()),
        ],
    );
    bare.and(first).and(again).check("verify")?;
    figure("raw strict verify, ns", rounds.iter().map(|[raw, ..]| *raw));
    figure("verify, ns", rounds.iter().map(|[_, first, _]| *first));
    figure("verify, remembered, ns", rounds.iter().map(|[.., again]| *again));
    target("verify", Goal::AtMost(1.08), rounds.iter().map(|[raw, first, _]| first / raw))?;
    target("verify_cached", Goal::AtMost(0.02), rounds.iter().map(|[raw, _, again]| again / raw))
}
