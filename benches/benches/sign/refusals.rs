//! What it costs to refuse what is presented: garbage, a key that nobody has, a token that has
//! expired, and one that is too long. Whoever sends such things must not make us verify signatures.

use std::hint::black_box;

use ed25519_dalek::Signer as _;
use mintage::{Algorithm, AnyStatus, Lifetime, MAX_TOKEN_BYTES, SigningKey, TokenError};
use mintage_benches::{
    Failure, Outcomes, Turns, by_turns,
    figures::{Goal, figure, target},
    tokens::{NOW, Sample, claims, minted},
};

pub(crate) fn measure(sample: &Sample, turns: Turns) -> Result<(), Failure> {
    let verifier = sample.verifier();
    let token = sample.token.expose();
    let stranger = minted(&sample.claims, &SigningKey::from_seed(&[9; 32], Algorithm::EdDsa))?;
    let expired = minted(&claims(NOW.before(Lifetime::from_hours(2)))?, &sample.key)?;
    let refused = [
        ("garbage", "\u{7}not a token".repeat(64), TokenError::NotAJws),
        (
            "garbage of three parts",
            format!("{}.{}.{}", "x!".repeat(70), "y".repeat(500), "z".repeat(86)),
            TokenError::Base64,
        ),
        ("wrong kid", stranger.expose().to_owned(), TokenError::UnknownKey),
        ("expired", expired.expose().to_owned(), TokenError::Expired),
        ("over-long", token.repeat(MAX_TOKEN_BYTES / token.len() + 1), TokenError::TooLong),
    ];
    let (public, signed) = (sample.raw.verifying_key(), sample.signed());
    let signature = sample.raw.sign(signed);
    let mut worst = (0.0, Vec::new());
    for (name, text, why) in &refused {
        let mut outcomes = Outcomes::default();
        let rounds = by_turns(
            turns,
            [
                &mut || drop(black_box(public.verify_strict(black_box(signed), &signature))),
                &mut || {
                    let found = verifier.verify::<AnyStatus>(black_box(text), NOW.into());
                    outcomes.note(found.is_err_and(|found| found == *why));
                },
            ],
        );
        outcomes.check(&format!("refuse {name}, {why:?}"))?;
        figure(&format!("refuse {name}, ns"), rounds.iter().map(|[_, ours]| *ours));
        let ratios: Vec<f64> = rounds.iter().map(|[raw, ours]| ours / raw).collect();
        let mean = ratios.iter().sum::<f64>();
        if mean > worst.0 {
            worst = (mean, ratios);
        }
    }
    // The dearest of them must reach the goal.
    target("refuse", Goal::AtMost(0.05), worst.1.into_iter())
}
