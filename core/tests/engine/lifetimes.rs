//! Time: limits, idleness, windows, and how long a step-up lasts.

use mintage::{
    Denied, Error, Lifetime, Policy, Status, TokenLifetime, Unauthenticated, grant::Refusal,
};

use crate::world::*;

fn minutes(minutes: u32) -> Lifetime {
    Lifetime::from_mins(minutes)
}

#[tokio::test]
async fn a_one_time_token_ends_on_its_second() {
    let world = World::new().await;
    let token = world.one_time(Status::Standard).await;
    world.advance(Lifetime::from_millis(59_999));
    let still = world.one_time(Status::Standard).await;
    world.advance(Lifetime::from_millis(1));
    assert_eq!(
        denied(world.exchange(&Way::redeem(&token)).await),
        Denied::Grant(Refusal::Expired),
        "expires_at == now is expired"
    );
    assert!(world.exchange(&Way::redeem(&still)).await.is_ok());
}

#[tokio::test]
async fn after_the_window_the_same_attempt_is_refused_and_revokes_nothing() {
    let world = World::new().await;
    let token = world.one_time(Status::Standard).await;
    let way = Way::redeem(&token).attempt("a");
    let got = world.exchange(&way).await.unwrap();
    world.advance(Lifetime::from_secs(30));
    assert_eq!(denied(world.exchange(&way).await), Denied::Grant(Refusal::Spent));
    assert!(world.live(&got.token).await.is_ok());
    let other = denied(world.exchange(&way.attempt("b")).await);
    assert_eq!(other, Denied::Replayed { revoked: true });
}

#[tokio::test]
async fn an_unused_token_idles_out_and_use_keeps_it_until_its_limit() {
    let world = World::new().await;
    let token = world.one_time(Status::Standard).await;
    let used = world.exchange(&Way::redeem(&token)).await.unwrap().token;
    for _ in 0..14 {
        world.advance(minutes(4));
        assert!(world.live(&used).await.is_ok());
    }
    world.advance(minutes(4));
    assert!(world.live(&used).await.is_err(), "60 minutes is its limit");

    let token = world.one_time(Status::Standard).await;
    let unused = world.exchange(&Way::redeem(&token)).await.unwrap().token;
    world.advance(minutes(5));
    let idle = Unauthenticated::Grant(Refusal::Idle);
    let refused = world.live(&unused).await;
    assert!(matches!(refused, Err(Error::Unauthenticated(why)) if why == idle));
}

#[tokio::test]
async fn a_login_that_idled_out_opens_nothing_but_its_children_live_on() {
    let world = World::new().await;
    let (login, access) = world.open().await;
    world.advance(minutes(4));
    assert!(world.live(&access).await.is_ok());
    world.advance(minutes(2));
    assert!(world.exchange(&Way::open(&login)).await.is_err());
    assert!(world.live(&access).await.is_ok());
    world.engine.log_out(&acme(), &login).await.unwrap();
    assert!(world.live(&access).await.is_err(), "an idle login can still be revoked");
}

#[tokio::test]
async fn opening_counts_as_using_the_login() {
    let world = World::new().await;
    let login = world.log_in(Status::Standard).await;
    for _ in 0..5 {
        world.advance(minutes(4));
        assert!(world.exchange(&Way::open(&login)).await.is_ok());
    }
}

#[tokio::test]
async fn a_child_never_outlives_its_login() {
    let policy = Policy {
        login: TokenLifetime { idle: minutes(20), absolute: minutes(20) },
        access: TokenLifetime { idle: minutes(30), absolute: minutes(30) },
        ..Policy::default()
    };
    let world = World::with(policy).await;
    let login = world.log_in(Status::Standard).await;
    world.advance(minutes(5));
    let got = world.exchange(&Way::open(&login)).await.unwrap();
    let limit = mintage::Clock::now(&*world.clock) + time::Duration::minutes(15);
    assert_eq!(got.expires_at, limit);

    let up = world.one_time(Status::SteppedUp).await;
    let stepped = world.exchange(&Way::step_up(&got.token, &up)).await.unwrap();
    assert_eq!(stepped.expires_at, limit, "and a step-up takes the limit over");
    world.advance(minutes(15));
    assert!(world.live(&stepped.token).await.is_err());
}

#[tokio::test]
async fn a_step_up_wears_off_where_the_policy_says_so() {
    let policy = Policy { stepped_up_for: Some(minutes(10)), ..Policy::default() };
    let world = World::with(policy).await;
    let token = world.one_time(Status::SteppedUp).await;
    let got = world.exchange(&Way::redeem(&token)).await.unwrap();
    let claims = world.live(&got.token).await.unwrap().claims().clone();
    assert!(claims.stepped_up_until.is_some(), "stateless verifiers must see it");
    for _ in 0..2 {
        world.advance(minutes(4));
        assert_eq!(world.status(&got.token).await, Status::SteppedUp);
    }
    world.advance(minutes(2));
    assert_eq!(world.status(&got.token).await, Status::Standard);
    world.engine.elevate(&acme(), &got.token).await.unwrap();
    assert_eq!(world.status(&got.token).await, Status::SteppedUp);
}

#[tokio::test]
async fn a_retry_gets_the_same_bytes_after_the_key_has_rotated() {
    let world = World::new().await;
    // The ring's first key signs for 24 h; the next one is published an hour before that.
    let now = || mintage::Timestamp::from(mintage::Clock::now(&*world.clock));
    world.advance(Lifetime::from_hours(23));
    mintage::KeyProvider::rotate(&*world.keys, now()).await.unwrap();
    world.advance(Lifetime::from_millis(3_600_000 - 20_000));
    let way = Way::redeem(&world.one_time(Status::Standard).await).attempt("a");
    let first = world.exchange(&way).await.unwrap();
    world.advance(Lifetime::from_secs(20));
    mintage::KeyProvider::rotate(&*world.keys, now()).await.unwrap();
    let fresh = Way::redeem(&world.one_time(Status::Standard).await);
    let fresh = world.exchange(&fresh).await.unwrap();
    assert_ne!(kid(fresh.token.expose()), kid(first.token.expose()), "another key signs now");
    let again = world.exchange(&way).await.unwrap();
    assert_eq!(again.token.expose(), first.token.expose());
    assert!(world.live(&again.token).await.is_ok(), "and the old one still verifies");
}

#[tokio::test]
async fn an_assertion_is_retried_past_its_end_but_not_used_first() {
    let world = World::new().await;
    let used = Way::assert(&world.assertion("used").await).attempt("a");
    let unused = Way::assert(&world.assertion("unused").await).attempt("a");
    world.advance(Lifetime::from_secs(55));
    let first = world.exchange(&used).await.unwrap();
    world.advance(Lifetime::from_secs(10));
    assert_eq!(world.exchange(&used).await.unwrap().token.expose(), first.token.expose());
    assert_eq!(denied(world.exchange(&unused).await), Denied::Grant(Refusal::Expired));
    assert!(world.exchange(&used.attempt("b")).await.is_err());
}

#[tokio::test]
async fn a_refused_use_keeps_no_login_alive() {
    let world = World::new().await;
    let login = world.log_in(Status::Standard).await;
    for _ in 0..2 {
        world.advance(minutes(3));
        assert!(world.live(&login).await.is_err(), "an auth token opens no resource");
    }
    assert!(world.exchange(&Way::open(&login)).await.is_err(), "it has idled out");
}

#[tokio::test]
async fn housekeeping_purges_and_rotates() {
    let world = World::new().await;
    world.one_time(Status::Standard).await;
    world.advance(Lifetime::from_hours(23));
    let published = world.engine.verifying_keys().await.unwrap().len();
    let mut housekeeping = std::pin::pin!(world.engine.housekeeping(Lifetime::from_secs(1)));
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(housekeeping.as_mut().poll(&mut cx).is_pending());
    assert_eq!(world.store.inner().len(), 2, "it waits first");
    world.faults.pass_sleeps(1);
    let mut housekeeping = std::pin::pin!(world.engine.housekeeping(Lifetime::from_secs(1)));
    assert!(housekeeping.as_mut().poll(&mut cx).is_pending());
    assert_eq!(world.store.inner().len(), 1, "the head is kept, the dead token is not");
    assert_eq!(world.engine.verifying_keys().await.unwrap().len(), published + 1);
}

fn kid(token: &str) -> &str {
    token.split('.').next().unwrap()
}
