//! The epoch is read once a second, by one caller, and not trusted for long.

use std::{
    pin::pin,
    task::{Context, Waker},
};

use mintage::{Error, Lifetime, Unavailable, test_util::Failure};

use crate::world::*;

#[tokio::test]
async fn the_epoch_is_read_again_by_the_first_call_after_a_second() {
    let world = World::new().await;
    let (_, access) = world.open().await;
    let calls = async |world: &World| {
        let before = world.faults.calls();
        world.live(&access).await.unwrap();
        world.faults.calls() - before
    };
    let without = calls(&world).await;
    world.advance(Lifetime::from_millis(999));
    assert_eq!(calls(&world).await, without);
    world.advance(Lifetime::from_millis(1));
    assert_eq!(calls(&world).await, without + 1);
    assert_eq!(calls(&world).await, without);
}

#[tokio::test]
async fn an_epoch_that_cannot_be_read_serves_for_five_seconds_and_no_longer() {
    let world = World::new().await;
    let (_, access) = world.open().await;
    for _ in 0..4 {
        world.advance(Lifetime::from_secs(1));
        world.faults.fail_nth(1, Failure::Before);
        assert!(world.live(&access).await.is_ok());
    }
    world.advance(Lifetime::from_secs(1));
    world.faults.fail_nth(1, Failure::Before);
    let refused = world.live(&access).await;
    assert!(matches!(refused, Err(Error::Unavailable(Unavailable::Store(_)))), "{refused:?}");
    assert!(world.live(&access).await.is_ok(), "until it can be read again");
}

#[tokio::test]
async fn callers_after_a_pause_wait_for_one_reader() {
    let world = World::new().await;
    let (_, access) = world.open().await;
    world.advance(Lifetime::from_secs(60));
    world.faults.yield_at_every_step();
    let before = world.faults.calls();
    let (mut first, mut second) = (pin!(world.live(&access)), pin!(world.live(&access)));
    let mut cx = Context::from_waker(Waker::noop());
    assert!(first.as_mut().poll(&mut cx).is_pending());
    assert!(second.as_mut().poll(&mut cx).is_pending());
    assert_eq!(world.faults.calls(), before + 1, "only one of them reads");
    world.faults.run_smoothly();
    assert!(first.await.is_ok());
    assert!(second.await.is_ok());
}

#[tokio::test]
async fn one_failure_is_enough_for_all_who_waited() {
    let world = World::new().await;
    let (_, access) = world.open().await;
    world.advance(Lifetime::from_secs(60));
    world.faults.fail_nth(1, Failure::After);
    let (mut first, mut second) = (pin!(world.live(&access)), pin!(world.live(&access)));
    let mut cx = Context::from_waker(Waker::noop());
    assert!(first.as_mut().poll(&mut cx).is_pending());
    assert!(second.as_mut().poll(&mut cx).is_pending());
    let failed = first.await;
    assert!(matches!(failed, Err(Error::Unavailable(Unavailable::Store(_)))), "{failed:?}");
    let told = second.await;
    assert!(matches!(told, Err(Error::Unavailable(Unavailable::Epoch))), "{told:?}");
    assert!(world.live(&access).await.is_ok(), "the next caller reads");
}

#[tokio::test]
async fn who_waited_for_a_reader_that_hung_up_reads_instead() {
    let world = World::new().await;
    let (_, access) = world.open().await;
    world.advance(Lifetime::from_secs(60));
    world.faults.yield_at_every_step();
    let mut second = pin!(world.live(&access));
    {
        let mut reader = pin!(world.live(&access));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(reader.as_mut().poll(&mut cx).is_pending());
        assert!(second.as_mut().poll(&mut cx).is_pending());
    }
    assert!(second.await.is_ok());
}

#[tokio::test]
async fn a_reader_that_is_no_longer_polled_is_taken_over_from() {
    let world = World::new().await;
    let (_, access) = world.open().await;
    world.advance(Lifetime::from_secs(60));
    world.faults.yield_at_every_step();
    let mut kept = pin!(world.live(&access));
    let mut cx = Context::from_waker(Waker::noop());
    assert!(kept.as_mut().poll(&mut cx).is_pending());
    world.faults.run_smoothly();
    world.advance(Lifetime::from_secs(2));
    assert!(world.live(&access).await.is_ok());
    assert!(kept.await.is_ok());
}

#[tokio::test]
async fn a_reader_that_is_dropped_makes_way_for_the_next() {
    let world = World::new().await;
    let (_, access) = world.open().await;
    world.advance(Lifetime::from_secs(60));
    world.faults.yield_at_every_step();
    {
        let mut dropped = pin!(world.live(&access));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(dropped.as_mut().poll(&mut cx).is_pending());
    }
    world.faults.run_smoothly();
    assert!(world.live(&access).await.is_ok());
}
