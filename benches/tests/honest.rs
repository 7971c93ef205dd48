//! The figures of the benches come from honest work: each is run as it stands, in short form, and
//! each fails where a wrong answer is put in. The programs themselves have no test harness.

#[expect(dead_code, reason = "as a program it does more")]
#[path = "../benches/exchange/main.rs"]
mod exchange;
#[expect(dead_code, reason = "as a program it does more")]
#[path = "../benches/http/main.rs"]
mod http;
#[expect(dead_code, reason = "as a program it does more")]
#[path = "../benches/load/main.rs"]
mod load;
#[expect(dead_code, reason = "as a program it does more")]
#[path = "../benches/sign/main.rs"]
mod sign;

use std::{sync::Arc, time::Duration};

use mintage::{
    Algorithm, Change, Error, Lifetime, OneTimeToken, SigningKey, StoreError, Unavailable,
};
use mintage_benches::{Failure, Turns, tokens::Sample, world::World};

use self::{
    http::{
        asked::{self, Judge, Pair, Target},
        client::Connection,
        server::Role,
    },
    load::{calls::Call, round::Round, site::Answer},
};

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

/// The calls that took as long as half of the stall, measured from when they were due, and from when
/// they were sent.
fn stalled<T>(calls: &[Call<T>]) -> [usize; 2] {
    let long = |latency: &Duration| *latency >= STALL / 2;
    let due = calls.iter().map(|call| call.latency).filter(long);
    let sent = calls.iter().map(|call| call.latency.saturating_sub(call.late)).filter(long);
    [due.count(), sent.count()]
}

const STALL: Duration = Duration::from_millis(200);

/// A call each millisecond; the server stalls in that one, for as long as two hundred take to come.
const CALLS: usize = 500;
const BAD: usize = 100;

fn due() -> Vec<Duration> {
    (0_u64..).take(CALLS).map(Duration::from_millis).collect()
}

#[test]
fn a_stall_counts_for_every_call_that_was_due_in_it() {
    let call = |nth| std::thread::sleep(if nth == BAD { STALL } else { Duration::ZERO });
    let calls = load::calls::by_threads(1, CALLS, Some(&due()), call).unwrap();
    let [from_due, from_sending] = stalled(&calls);
    assert!(from_due >= 90, "of a hundred calls {from_due} have felt the stall");
    assert!(from_sending < 10, "from their sending {from_sending} have, and one should");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_closed_loop_asks_nothing_while_the_server_stalls_and_an_open_one_does() {
    let server = Arc::new(tokio::sync::Mutex::new(()));
    let call = move |nth| {
        let server = Arc::clone(&server);
        async move {
            let _its_turn = server.lock().await;
            tokio::time::sleep(if nth == BAD { STALL } else { Duration::ZERO }).await;
        }
    };
    let [open, _] = stalled(&load::calls::by_arrivals(due(), call.clone()).await.unwrap());
    assert!(open >= 90, "of a hundred calls {open} have felt the stall");
    let [closed, _] = stalled(&load::calls::by_callers(1, CALLS, call).await);
    assert!(closed < 10, "of the closed loop's calls {closed} have felt the stall");
}

/// Three tokens, and what came of them.
fn exchanges(world: &World) -> Result<(Vec<OneTimeToken>, Vec<Call<Answer>>), Failure> {
    let tokens = (0..3).map(|person| world.issue(person)).collect::<Result<Vec<_>, _>>()?;
    let exchange = |nth: usize| world.exchange(tokens[nth].to_text());
    let calls = load::calls::by_threads(1, tokens.len(), None, exchange)?;
    Ok((tokens, calls))
}

#[test]
fn a_round_counts_what_the_store_refused_and_fails_for_anything_else() {
    let world = World::new(100).unwrap();
    let (tokens, mut calls) = exchanges(&world).unwrap();
    let checked = |calls: &[_]| Round::checked(&world, &tokens, calls);
    assert_eq!(checked(&calls).unwrap().refused, 0);
    calls[1].nth = 2;
    checked(&calls).unwrap_err();
    let full = StoreError::new(Change::Unchanged, "it is full");
    calls[1].answer = Err(Error::Unavailable(Unavailable::Store(full)).into());
    let round = checked(&calls).unwrap();
    assert_eq!((round.refused, round.run.count), (1, 2));
    calls[1].answer = world.exchange(tokens[1].to_text());
    checked(&calls).unwrap_err();
    calls.pop();
    checked(&calls).unwrap_err();
}

/// A request of each of two people, with the access token that answers it.
fn answered() -> Result<[Pair; 2], Failure> {
    let world = World::new(100)?;
    let pair = |person| {
        let token = world.issue(person)?.to_text();
        let body = asked::exchange(token.expose());
        let answer = format!(r#"{{"token":"{}"}}"#, world.exchange(token)?.token.expose());
        Ok::<_, Failure>((body, answer.into()))
    };
    Ok([pair(0)?, pair(1)?])
}

#[test]
fn right_answers_of_the_endpoint_are_taken() {
    let judge = Judge::new().unwrap();
    judge.check(Role::Ours, &answered().unwrap()).unwrap();
    judge.check(Role::Bare, &answered().unwrap()).unwrap();
}

#[test]
fn the_answer_to_another_request_fails_the_endpoints_bench() {
    let [(first, _), (_, second)] = answered().unwrap();
    Judge::new().unwrap().check(Role::Ours, &[(first, second)]).unwrap_err();
}

#[test]
fn a_token_that_nobody_signed_fails_the_endpoints_bench() {
    let [(asked, answer), _] = answered().unwrap();
    let bent = String::from_utf8(answer.to_vec()).unwrap().replacen(".e", ".f", 1);
    assert_ne!(bent.as_bytes(), &answer[..]);
    let pairs = [(asked, bent.into())];
    for role in [Role::Ours, Role::Bare] {
        Judge::new().unwrap().check(role, &pairs).unwrap_err();
    }
}

#[tokio::test]
async fn a_refusal_fails_the_endpoints_bench() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async { axum::serve(listener, axum::Router::new()).await });
    let mut connection = Connection::open(port).await.unwrap();
    let refused = connection.ask(Target::of(Role::Ours), asked::exchange("x")).await;
    assert!(refused.unwrap_err().to_string().contains("404"));
}

#[tokio::test]
async fn a_stall_of_the_endpoint_counts_for_every_request_that_was_due_in_it() {
    let asked = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let stalling = axum::routing::post(async move || {
        if asked.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == BAD {
            tokio::time::sleep(STALL).await;
        }
    });
    let router = axum::Router::new().route("/access_token", stalling);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async { axum::serve(listener, router).await });
    let mut one = vec![Connection::open(port).await.unwrap()];
    let bodies = vec![asked::exchange("x"); CALLS];
    let target = Target::of(Role::Ours);
    let run = http::client::open_loop(&mut one, target, bodies, 1000.0, 1).await;
    let (run, pairs) = run.unwrap();
    assert_eq!((run.count as usize, pairs.len(), one.len()), (CALLS, CALLS, 1));
    // Two hundred of the five hundred are due in the stall, three quarters of them 50 ms before its end.
    let felt = run.percentile(85);
    assert!(felt >= 50_000.0, "after {felt} µs, 85 in a hundred were answered");
    assert!(run.percentile(10) < 50_000.0, "what was due before the stall has not felt it");
}
