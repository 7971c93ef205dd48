//! Futures that are dropped half-way: with sqlx 0.9.0 one that is dropped in `begin` leaves its
//! pooled connection inside a transaction (sqlx issues 4385 and 4393). The control shows what that
//! costs; the store keeps its connections to itself.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what fails here fails the test")]

mod rig;

use std::{
    pin::pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

use mintage::{
    TokenStore as _,
    grant::{Redemption, State, Strength, Verdict},
};
use mintage_storage_postgres::{PostgresStore, Settings};
use sqlx::{PgPool, postgres::PgPoolOptions};

use self::rig::{Server, deadline, field::Field};

/// Begins a transaction and is dropped before the server has answered.
async fn begin_and_drop(pool: &PgPool) {
    // One poll has to be enough to send it: the connection must have come back.
    for _ in 0..100_000 {
        if pool.num_idle() > 0 {
            break;
        }
        tokio::time::sleep(Duration::from_micros(100)).await;
    }
    assert!(pool.num_idle() > 0, "the connection never came back");
    let mut begin = pin!(pool.begin());
    let mut task = Context::from_waker(Waker::noop());
    // Once, to send it. Now and then the answer is there at once: then this is a plain rollback.
    let _: Poll<_> = begin.as_mut().poll(&mut task);
}

/// Spends a token as many would write it: one statement on a pool.
async fn spend(pool: &PgPool, token: i64) -> bool {
    let spent = sqlx::query("UPDATE tokens SET spent = true WHERE id = $1 AND NOT spent")
        .bind(token)
        .execute(pool)
        .await
        .unwrap();
    spent.rows_affected() == 1
}

#[tokio::test]
async fn control_a_pool_whose_users_drop_begin_spends_tokens_twice() {
    let server = Server::start(&[]).await;
    server.execute("CREATE TABLE tokens (id int8 PRIMARY KEY, spent bool NOT NULL)").await;
    server.execute("INSERT INTO tokens SELECT id, false FROM generate_series(1, 1000) id").await;
    let pool = PgPoolOptions::new().max_connections(1).test_before_acquire(false);
    let pool = pool.connect_with(server.options()).await.unwrap();
    for token in 1..=1000 {
        begin_and_drop(&pool).await;
        let first = spend(&pool, token).await;
        // Somebody else's transaction, which is rolled back.
        drop(pool.begin().await.unwrap());
        if first && spend(&pool, token).await {
            return;
        }
    }
    panic!("the hole in sqlx is closed: this control, and the care it is for, can go");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_whose_users_drop_begin_costs_the_store_nothing() {
    let server = Server::start(&[]).await;
    drop(server.store().await);
    let pool = PgPoolOptions::new().max_connections(1).test_before_acquire(false);
    let pool = pool.connect_with(server.options()).await.unwrap();
    let store = PostgresStore::from_pool(pool.clone(), deadline(10_000)).await.unwrap();
    let field = Field::new("poisoned");
    for token in 0..50 {
        drop(store.issue(&field.issue(token, Strength::Standard), &field.cx).await.unwrap());
        begin_and_drop(&pool).await;
        let first = store.redeem(&field.redeem(token, 1), &field.cx).await.unwrap();
        assert!(matches!(first, Redemption::Redeemed { retried: false, .. }), "{first:?}");
        drop(pool.begin().await.unwrap());
        let second = store.redeem(&field.redeem(token, 2), &field.cx).await.unwrap();
        assert_eq!(second, Redemption::Replayed { revoked: false });
    }
}

/// On one thread, so that whoever is dropped at the first poll is sure to be gone before it is sent.
#[tokio::test]
async fn a_call_that_is_dropped_at_any_poll_is_undone_or_done() {
    let server = Server::start(&[]).await;
    let settings = Settings { connections: 2.try_into().unwrap(), ..deadline(10_000) };
    let store = server.store_with(settings).await;
    let field = Field::new("dropped");
    let (mut undone, mut done) = (0, 0);
    for token in 0..300 {
        drop(store.issue(&field.issue(token, Strength::Standard), &field.cx).await.unwrap());
        let redeem = field.redeem(token, 1);
        let answer = within(token % 60, store.redeem(&redeem, &field.cx)).await;
        let acknowledged = matches!(answer, Some(Ok(Redemption::Redeemed { .. })));
        if token % 60 == 0 {
            // Time enough for what should not have been sent.
            tokio::time::sleep(Duration::from_millis(5)).await;
            let read = store.read(&field.read(token), &field.cx).await.unwrap();
            let Verdict::Granted { grant, .. } = read else { panic!("{read:?}") };
            assert!(matches!(grant.state, State::Issued(_)), "it was sent, and nobody waited");
        }
        // The same attempt gets the grant, whatever had become of the first.
        let again = store.redeem(&redeem, &field.cx).await.unwrap();
        let Redemption::Redeemed { retried, .. } = again else { panic!("{again:?}") };
        assert!(retried || !acknowledged, "what was acknowledged is gone");
        if answer.is_none() {
            *(if retried { &mut done } else { &mut undone }) += 1;
        }
        let other = store.redeem(&field.redeem(token, 2), &field.cx).await.unwrap();
        assert_eq!(other, Redemption::Replayed { revoked: false });
    }
    assert!(undone > 0 && done > 0, "{undone} were undone, {done} done: both should be met");
}

/// What it comes to within so many steps of 25 µs; without any, at the first poll.
async fn within<T>(steps: u64, call: impl Future<Output = T>) -> Option<T> {
    if steps > 0 {
        return tokio::time::timeout(Duration::from_micros(steps * 25), call).await.ok();
    }
    match pin!(call).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => Some(answer),
        Poll::Pending => None,
    }
}
