//! Other libraries' tokens beside mintage's: the same claims, by turns in one process.
//!
//! Whatever can be prepared for a peer is prepared before its run: its key is read, its claims are
//! put together. The token that each makes is read back by itself, and says what it should; where it
//! is a JWT of the same header, mintage's verifier accepts it.
//!
//! It prints the figures, and then `TARGET <name> reached=<x> goal=<op><y> ok|MISSED`. A target that
//! is missed is no failure. `MINTAGE_BENCH_QUICK=1` only shows that it works.

mod peers;
mod said;

use std::{hint::black_box, process::ExitCode};

use ed25519_dalek::Signer as _;
use mintage::AnyStatus;
use mintage_benches::{
    Failure, Outcomes, Turns, by_turns,
    figures::{Goal, figure, target},
    tokens::{NOW, Sample, minted},
};

use crate::{
    peers::{Biscuit, Josekit, JsonWebToken, JwtSimple, Pasetors},
    said::Said,
};

#[cfg(all(feature = "aws-lc", feature = "rust-crypto"))]
compile_error!("one of `aws-lc` and `rust-crypto`, not both");
#[cfg(not(any(feature = "aws-lc", feature = "rust-crypto")))]
compile_error!("one of the features `aws-lc` and `rust-crypto` is needed");

/// Whose Ed25519 both mintage and jsonwebtoken use.
const BACKEND: &str = if cfg!(feature = "aws-lc") { "aws_lc" } else { "rust_crypto" };

fn main() -> ExitCode {
    match measure() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("peers: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn measure() -> Result<(), Failure> {
    let (sample, turns) = (Sample::new()?, Turns::wanted());
    let said = Said::by(sample.token.expose())?;
    println!("mintage and jsonwebtoken both by {BACKEND}");
    jsonwebtoken(&sample, &said, turns)?;
    if cfg!(feature = "rust-crypto") { each(&sample, &said, turns) } else { Ok(()) }
}

fn jsonwebtoken(sample: &Sample, said: &Said, turns: Turns) -> Result<(), Failure> {
    let verifier = sample.verifier();
    let peer = JsonWebToken::new(sample, said)?;
    let theirs = peer.mint()?;
    verifier.verify::<AnyStatus>(&theirs, NOW.into())?;
    if peer.verify(&theirs)? != *said || peer.verify(sample.token.expose())? != *said {
        return Err("jsonwebtoken says something else".into());
    }
    let (signed, token) = (sample.signed(), sample.token.expose());
    let raw = Raw::new(sample)?;
    let [mut ours, mut theirs] = [Outcomes::default(); 2];
    let rounds = by_turns(
        turns,
        [
            &mut || raw.sign(black_box(signed)),
            &mut || {
                let minted = minted(black_box(&sample.claims), &sample.key);
                ours.note(minted.is_ok_and(|minted| minted.expose() == token));
            },
            &mut || theirs.note(black_box(peer.mint()).is_ok()),
        ],
    );
    ours.and(theirs).check("mint")?;
    figure("raw signature, ns", rounds.iter().map(|[raw, ..]| *raw));
    figure("mint, ns", rounds.iter().map(|[_, ours, _]| *ours));
    figure("jsonwebtoken, encode, ns", rounds.iter().map(|[.., peer]| *peer));
    let over_raw = rounds.iter().map(|[raw, ours, _]| ours / raw);
    target(&format!("mint_{BACKEND}"), Goal::AtMost(1.08), over_raw)?;
    let ratio = rounds.iter().map(|[_, ours, peer]| ours / peer);
    target(&format!("mint_vs_jsonwebtoken_{BACKEND}"), Goal::AtMost(0.80), ratio)?;
    let [mut ours, mut theirs] = [Outcomes::default(); 2];
    let rounds = by_turns(
        turns,
        [
            &mut || {
                ours.note(verifier.verify::<AnyStatus>(black_box(token), NOW.into()).is_ok());
            },
            &mut || theirs.note(black_box(peer.verify(black_box(token))).is_ok()),
        ],
    );
    ours.and(theirs).check("verify")?;
    figure("verify, ns", rounds.iter().map(|[ours, _]| *ours));
    figure("jsonwebtoken, decode, ns", rounds.iter().map(|[_, peer]| *peer));
    let ratio = rounds.iter().map(|[ours, peer]| ours / peer);
    target(&format!("verify_vs_jsonwebtoken_{BACKEND}"), Goal::AtMost(0.95), ratio)
}

/// Every peer as it comes, beside mintage as it comes.
fn each(sample: &Sample, said: &Said, turns: Turns) -> Result<(), Failure> {
    let jsonwebtoken = JsonWebToken::new(sample, said)?;
    let jwt_simple = JwtSimple::new(sample, said)?;
    let pasetors = Pasetors::new(sample, said)?;
    let josekit = Josekit::new(sample, said)?;
    let biscuit = Biscuit::new(said)?;
    jwt_simple.check(said)?;
    pasetors.check(said)?;
    josekit.check(said)?;
    biscuit.check(said)?;
    let names = ["mintage", "jsonwebtoken", "jwt-simple", "pasetors", "josekit", "biscuit-auth"];
    let mut outcomes = [Outcomes::default(); 6];
    let [by_us, by_jsonwebtoken, by_jwt_simple, by_pasetors, by_josekit, by_biscuit] =
        &mut outcomes;
    let rounds = by_turns(
        turns,
        [
            &mut || {
                let minted = minted(black_box(&sample.claims), &sample.key);
                by_us.note(minted.is_ok_and(|minted| minted.expose() == sample.token.expose()));
            },
            &mut || by_jsonwebtoken.note(black_box(jsonwebtoken.mint()).is_ok()),
            &mut || by_jwt_simple.note(black_box(jwt_simple.mint()).is_ok()),
            &mut || by_pasetors.note(black_box(pasetors.mint()).is_ok()),
            &mut || by_josekit.note(black_box(josekit.mint()).is_ok()),
            &mut || by_biscuit.note(black_box(biscuit.mint()).is_ok()),
        ],
    );
    for (name, outcomes) in names.iter().zip(outcomes) {
        outcomes.check(name)?;
    }
    for (nth, name) in names.into_iter().enumerate() {
        figure(&format!("{name}, mint, ns"), rounds.iter().map(|round| round[nth]));
    }
    for (nth, name) in names.into_iter().enumerate().skip(1) {
        let ratio = rounds.iter().map(|round| round[0] / round[nth]);
        target(&format!("mint_vs_each_{name}"), Goal::AtMost(1.0), ratio)?;
    }
    Ok(())
}

/// The bare signature, by the same library.
struct Raw {
    #[cfg(feature = "aws-lc")]
    key: aws_lc_rs::signature::Ed25519KeyPair,
    #[cfg(not(feature = "aws-lc"))]
    key: ed25519_dalek::SigningKey,
}

impl Raw {
    #[cfg(feature = "aws-lc")]
    fn new(sample: &Sample) -> Result<Self, Failure> {
        let key = aws_lc_rs::signature::Ed25519KeyPair::from_seed_unchecked(sample.raw.as_bytes())?;
        let bytes = sample.raw.sign(b"message").to_bytes();
        if key.sign(b"message").as_ref() == bytes {
            Ok(Self { key })
        } else {
            Err("other bytes".into())
        }
    }

    #[cfg(not(feature = "aws-lc"))]
    fn new(sample: &Sample) -> Result<Self, Failure> {
        sample.raw.verifying_key().verify_strict(b"message", &sample.raw.sign(b"message"))?;
        Ok(Self { key: sample.raw.clone() })
    }

    fn sign(&self, message: &[u8]) {
        black_box(self.key.sign(message));
    }
}
