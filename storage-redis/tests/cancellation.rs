//! Futures that are dropped half-way leave neither a token half spent nor a connection half read.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what fails here fails the test")]

mod rig;

use std::{
    future::{Future, poll_fn},
    pin::pin,
    task::Poll,
};

use mintage::{
    TokenStore as _,
    grant::{Redemption, Refusal, Strength, Verdict},
};
use mintage_storage_redis::{RedisStore, Settings};
use tokio::task::{JoinSet, yield_now};

use self::rig::{Server, deadline, field::Field};

/// A store with one connection, so that whatever one call leaves on it the next would find.
async fn narrow(server: &Server) -> RedisStore {
    server.store_with(Settings { connections: 1.try_into().unwrap(), ..deadline(10_000) }).await
}

/// On one thread, so that whoever is dropped at the first poll is sure to be gone before it is sent.
#[tokio::test]
async fn a_call_that_is_dropped_at_any_poll_is_undone_or_done() {
    let server = Server::start(&[]).await;
    let store = narrow(&server).await;
    let field = Field::new("dropped");
    let (mut undone, mut done) = (0, 0);
    for token in 0..900 {
        drop(store.issue(&field.issue(token, Strength::Standard), &field.cx).await.unwrap());
        let redeem = field.redeem(token, 1);
        let polls = 1 + (token % 30) * (token % 30);
        let dropped = polled(store.redeem(&redeem, &field.cx), polls).await;
        let acknowledged = matches!(dropped, Some(Ok(Redemption::Redeemed { .. })));
        // The same attempt gets the grant, whatever had become of the first.
        let again = store.redeem(&redeem, &field.cx).await.unwrap();
        let Redemption::Redeemed { retried, .. } = again else { panic!("{again:?}") };
        assert!(retried || !acknowledged, "what was acknowledged is gone");
        if dropped.is_none() {
            *(if retried { &mut done } else { &mut undone }) += 1;
        }
        let other = store.redeem(&field.redeem(token, 2), &field.cx).await.unwrap();
        assert_eq!(other, Redemption::Replayed { revoked: false });
    }
    println!("dropped: {undone} undone, {done} done");
    assert!(undone > 0 && done > 0, "{undone} were undone, {done} done: both should be met");
}

/// What comes of a future that is dropped after so many polls: a timer is too coarse.
async fn polled<F: Future>(future: F, polls: u64) -> Option<F::Output> {
    let mut future = pin!(future);
    for poll in 0..polls {
        if poll > 0 {
            yield_now().await;
        }
        if let Poll::Ready(output) = poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await {
            return Some(output);
        }
    }
    None
}

/// An answer that nobody waits for any more must not be given to the next caller.
#[tokio::test(flavor = "multi_thread")]
async fn among_calls_that_are_dropped_every_other_gets_its_own_answer() {
    let server = Server::start(&[]).await;
    let store = narrow(&server).await;
    let field = Field::new("neighbours");
    for token in 0..64 {
        drop(store.issue(&field.issue(token, Strength::Standard), &field.cx).await.unwrap());
    }
    let mut calls = JoinSet::new();
    for call in 0..4_000_u64 {
        let (store, field) = (store.clone(), field.clone());
        calls.spawn(async move {
            let token = call % 96;
            let read = field.read(token);
            let asked = store.read(&read, &field.cx);
            if call % 3 == 0 {
                drop(polled(asked, 1 + call % 40).await);
                return;
            }
            match asked.await.unwrap() {
                Verdict::Granted { grant, .. } => {
                    assert!(token < 64);
                    assert_eq!(grant.id, field.redeem(token, 0).id);
                }
                Verdict::Refused(refusal) => {
                    assert!(token >= 64);
                    assert_eq!(refusal, Refusal::Unknown);
                }
            }
        });
    }
    calls.join_all().await;
}
