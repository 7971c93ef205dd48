//! An exchange that is cut short at any step: rules 1 to 8 hold, and the same attempt gets the
//! token. The step is swept by count until an exchange runs to its end untouched.

use std::{
    pin::pin,
    task::{Context, Waker},
};

use mintage::{Change, Denied, Error, Exchange, Status, test_util::Failure};

use crate::world::*;

/// The four ways through an exchange, each with what it needs.
async fn ways(world: &World) -> Vec<(&'static str, Way)> {
    let login = world.log_in(Status::Standard).await;
    let (_, access) = world.open().await;
    let open = Way::open(&login).attempt("a");
    let redeem = Way::redeem(&world.one_time(Status::Standard).await).attempt("a");
    let any = world.one_time_for(None, Status::Standard).await;
    let any = Way::redeem(&any).attempt("a");
    let step_up = Way::step_up(&access, &world.one_time(Status::SteppedUp).await).attempt("a");
    let assert = Way::assert(&world.assertion("a").await).attempt("a");
    vec![
        ("open", open),
        ("redeem", redeem),
        ("redeem any", any),
        ("step up", step_up),
        ("assert", assert),
    ]
}

/// Whether the way spends something that another attempt must then be refused.
fn spends(name: &str) -> bool {
    name != "open"
}

/// After a try that was cut short: the same attempt gets a live token, the same every time, and
/// no other attempt gets one.
async fn recovers(world: &World, name: &str, way: &Way, cut: &str) {
    let got = world.exchange(way).await.unwrap_or_else(|error| panic!("{name}, {cut}: {error}"));
    let again = world.exchange(way).await.unwrap();
    assert_eq!(got.token.expose(), again.token.expose(), "{name}, {cut}");
    assert!(world.live(&got.token).await.is_ok(), "{name}, {cut}");
    if spends(name) {
        let other = world.exchange(&way.clone().attempt("b")).await;
        assert!(other.is_err(), "{name}, {cut}: a second token was minted");
    }
}

#[tokio::test]
async fn a_fault_at_any_step_costs_nothing_that_a_retry_does_not_get_back() {
    for kind in 0..ways(&World::new().await).await.len() {
        for failure in [Failure::Before, Failure::After] {
            let mut steps = 0;
            loop {
                let world = World::new().await;
                let (name, way) = ways(&world).await.swap_remove(kind);
                steps += 1;
                world.faults.fail_nth(steps, failure);
                let result = world.exchange(&way).await;
                if !world.faults.has_failed() {
                    assert!(result.is_ok(), "{name}: {result:?}");
                    break;
                }
                let cut = format!("step {steps} {failure:?}");
                assert!(matches!(result, Err(Error::Unavailable(_))), "{name}, {cut}: {result:?}");
                recovers(&world, name, &way, &cut).await;
            }
            assert!(steps > 3, "there was something to sweep");
        }
    }
}

#[tokio::test]
async fn a_slow_key_service_or_resolver_burns_no_token() {
    for kind in 0..ways(&World::new().await).await.len() {
        let mut steps = 0;
        loop {
            let world = World::new().await;
            let (name, way) = ways(&world).await.swap_remove(kind);
            steps += 1;
            world.faults.hang_nth(steps);
            let result = world.exchange(&way).await;
            if !world.faults.has_failed() {
                break;
            }
            let cut = format!("step {steps} hangs");
            let Err(Error::Unavailable(why)) = result else {
                panic!("{name}, {cut}: {result:?}");
            };
            if why.change() == Change::Unchanged {
                // Then not even another attempt is a replay.
                let other = world.exchange(&way.clone().attempt("b")).await;
                assert!(other.is_ok(), "{name}, {cut}: {other:?}");
                continue;
            }
            recovers(&world, name, &way, &cut).await;
        }
    }
}

#[tokio::test]
async fn dropping_an_exchange_at_any_await_leaves_it_undone_or_done() {
    for kind in 0..ways(&World::new().await).await.len() {
        let mut polls = 0;
        loop {
            let world = World::new().await;
            let (name, way) = ways(&world).await.swap_remove(kind);
            world.faults.yield_at_every_step();
            let finished = poll_so_often(&world, way.request(), polls);
            world.faults.run_smoothly();
            if finished {
                break;
            }
            recovers(&world, name, &way, &format!("dropped after {polls} polls")).await;
            polls += 1;
        }
        assert!(polls > 3, "there was something to sweep");
    }
}

/// Polls an exchange so often, then drops it. Says whether it came to its end.
fn poll_so_often(world: &World, exchange: Exchange, polls: usize) -> bool {
    let mut exchange = pin!(world.engine.exchange(exchange));
    let mut cx = Context::from_waker(Waker::noop());
    (0..polls).any(|_| exchange.as_mut().poll(&mut cx).is_ready())
}

#[tokio::test]
async fn a_signer_that_dies_for_good_leaves_a_spent_token_spent() {
    let world = World::new().await;
    let token = world.one_time(Status::Standard).await;
    let way = Way::redeem(&token);
    // Without an idempotency reference nobody can repeat the attempt.
    let mut step = 0;
    loop {
        step += 1;
        world.faults.fail_nth(step, Failure::Before);
        match world.exchange(&way).await {
            Err(Error::Unavailable(_)) => {}
            Err(Error::Denied(Denied::Replayed { revoked: true })) => break,
            other => panic!("step {step}: {other:?}"),
        }
    }
    assert!(step > 3, "the token was spent by the try whose signer died");
}
