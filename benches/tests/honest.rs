//! The figures of the benches come from honest work: each is run as it stands, in short form, and
//! each fails where a wrong answer is put in. The programs themselves have no test harness.

#[expect(dead_code, reason = "as a program it does more")]
#[path = "../benches/exchange/main.rs"]
mod exchange;
#[expect(dead_code, reason = "as a program it does more")]
#[path = "../benches/sign/main.rs"]
mod sign;

use mintage::{Algorithm, Lifetime, SigningKey};
use mintage_benches::{Failure, Turns, tokens::Sample, world::World};

#[test]
fn the_tokens_that_are_measured_pass() {
    let sample = Sample::new().unwrap();
    sign::mint(&sample, Turns::quick()).unwrap();
    sign::verify(&sample, Turns::quick()).unwrap();
    sign::refusals::measure(&sample, Turns::quick()).unwrap();
}

#[test]
fn another_token_than_the_verified_one_fails_the_mint() {
    let mut sample = Sample::new().unwrap();
    sample.claims.expires_at = sample.claims.expires_at.after(Lifetime::from_secs(1));
    let failure = sign::mint(&sample, Turns::quick()).unwrap_err().to_string();
    assert!(failure.contains("went wrong"), "{failure}");
    let failure = sign::load::measure(&sample, Turns::quick()).unwrap_err().to_string();
    assert!(failure.contains("went wrong"), "{failure}");
}

#[test]
fn a_token_that_is_refused_fails_the_verification() {
    let mut sample = Sample::new().unwrap();
    sample.key = SigningKey::from_seed(&[8; 32], Algorithm::EdDsa);
    sign::verify(&sample, Turns::quick()).unwrap_err();
}

#[test]
fn a_token_that_is_accepted_fails_the_refusals() {
    let mut sample = Sample::new().unwrap();
    // The one by which the unknown key's token is signed: now it is known.
    sample.key = SigningKey::from_seed(&[9; 32], Algorithm::EdDsa);
    let failure = sign::refusals::measure(&sample, Turns::quick()).unwrap_err().to_string();
    assert!(failure.contains("wrong kid"), "{failure}");
}

/// Two tokens, exchanged.
fn exchanged() -> Result<(World, exchange::Run), Failure> {
    let world = World::new(100)?;
    let mut run = exchange::Run::of(&world, 2, 0)?;
    run.go(&world, 2);
    Ok((world, run))
}

#[test]
fn the_exchanges_that_are_measured_pass() {
    exchange::one(Turns::quick()).unwrap();
    let (world, run) = exchanged().unwrap();
    run.check(&world).unwrap();
}

#[test]
fn a_wrong_token_fails_the_run() {
    let (world, mut run) = exchanged().unwrap();
    let letter = run.texts.find('.').unwrap() + 10;
    let other = if &run.texts[letter..=letter] == "A" { "B" } else { "A" };
    run.texts.replace_range(letter..=letter, other);
    run.check(&world).unwrap_err();
}

#[test]
fn another_grants_token_fails_the_run() {
    let (world, mut run) = exchanged().unwrap();
    let grant = run.yielded[0].0;
    run.yielded[0].0 = run.yielded[1].0;
    run.yielded[1].0 = grant;
    run.check(&world).unwrap_err();
}

#[test]
fn a_refusal_fails_the_run() {
    let world = World::new(100).unwrap();
    let token = world.issue(0).unwrap();
    let mut run = exchange::Run::with(vec![token.to_text(), token.to_text()]);
    run.go(&world, 2);
    run.check(&world).unwrap_err();
}

#[test]
fn a_token_that_was_left_out_fails_the_run() {
    let world = World::new(100).unwrap();
    let mut run = exchange::Run::of(&world, 2, 0).unwrap();
    run.go(&world, 1);
    run.check(&world).unwrap_err();
}
