//! The primary is cut off and its standby takes over: whatever was acknowledged stays so, where
//! commits wait for the standby.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what fails here fails the test")]

mod rig;

use std::{
    num::NonZeroU32,
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use mintage::{Change, Grade, TokenStore};
use mintage_storage_postgres::{PostgresStore, Settings};
use sqlx::PgPool;
use tokio::{join, time::sleep};

use self::rig::{
    Server, deadline,
    field::Field,
    load::{Callers, Flaw, Reckoning, Told, moment, rounds, spend, stock},
    store_at,
};

#[tokio::test(flavor = "multi_thread")]
async fn with_a_synchronous_standby_no_token_is_spent_again_after_a_failover() {
    let rounds = rounds(10, 100);
    let reckoning = fail_over(rounds, Standby::Synchronous).await;
    println!("{rounds} failovers: {reckoning}");
    assert!(reckoning.flaws.is_empty(), "{reckoning}");
    assert!(reckoning.spent > 0 && reckoning.unsure > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_standby_that_lags_behind_tokens_are_spent_again_after_a_failover() {
    let reckoning = fail_over(2, Standby::Behind).await;
    println!("2 failovers: {reckoning}");
    assert!(reckoning.found(Flaw::SpentTwice) > 0, "{reckoning}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_grade_is_that_of_the_servers_standbys() {
    let primary = Server::start(&[]).await;
    let alone = primary.store().await.guarantee().await.unwrap();
    assert_eq!(alone.grade, Grade::PowerLossSafe, "{}", alone.reason);
    let standby = primary.follower(true).await;
    let followed = primary.store().await.guarantee().await.unwrap();
    assert_eq!(followed.grade, Grade::FailoverSafe, "{}", followed.reason);
    drop(standby);
}

/// The standby has heard nothing of a redemption, which the primary has on its disk and shows to
/// all after a restart. Whatever is answered from there is taken back by a failover.
#[tokio::test(flavor = "multi_thread")]
async fn a_retry_and_a_refusal_wait_for_the_standby_as_the_redemption_did() {
    const RETRIED: u64 = 0;
    const REFUSED: u64 = 1;
    const ACKNOWLEDGED: u64 = 2;
    const NOBODY_WAITS: u64 = 3;
    const OTHER: u64 = 4;
    let no_answer = Told::Failed(Change::MayHaveHappened);
    let (mut primary, field) = (Server::start(&[]).await, Field::new("retry"));
    let standby = primary.follower(true).await;
    let store: Arc<dyn TokenStore> = Arc::new(primary.store_with(deadline(60_000)).await);
    let mut histories = stock(&store, &field, 0..4).await;
    histories.sort_unstable_by_key(|history| history.token);
    let [retried, refused, acknowledged, nobody_waits] = &mut histories[..] else {
        panic!("four tokens")
    };
    spend(&*store, &field, acknowledged, ACKNOWLEDGED).await;
    assert!(matches!(acknowledged.attempts[0].1, Told::Granted { retried: false, .. }));

    primary.cut_standby_off().await;
    let (one, two, three) = connected(&primary).await;
    join!(
        spend(&one, &field, retried, RETRIED),
        spend(&two, &field, refused, REFUSED),
        spend(&three, &field, nobody_waits, NOBODY_WAITS),
    );
    assert_eq!(retried.attempts, [(RETRIED, no_answer)]);
    assert_eq!(refused.attempts, [(REFUSED, no_answer)]);
    assert_eq!(nobody_waits.attempts, [(NOBODY_WAITS, no_answer)]);

    standby.halt();
    primary.kill();
    primary.launch().await;
    let (one, two, three) = connected(&primary).await;
    join!(
        spend(&one, &field, retried, RETRIED),
        spend(&two, &field, refused, OTHER),
        spend(&three, &field, acknowledged, ACKNOWLEDGED),
    );
    assert_eq!(retried.attempts[1], (RETRIED, no_answer));
    assert_eq!(refused.attempts[1], (OTHER, no_answer));
    assert_eq!(acknowledged.attempts[1], (ACKNOWLEDGED, no_answer));

    // The control: the same question where commits do not wait.
    let local = primary.options().options([("synchronous_commit", "local")]);
    let local = store_at(local, deadline(60_000)).await;
    spend(&local, &field, nobody_waits, NOBODY_WAITS).await;
    assert!(matches!(nobody_waits.attempts[1].1, Told::Granted { retried: true, .. }));

    primary.kill();
    standby.resume();
    standby.promote();
    let promoted: Arc<dyn TokenStore> = Arc::new(standby.store_with(deadline(60_000)).await);
    let reckoning = Reckoning::of(&promoted, &field, histories).await;
    assert_eq!(reckoning.flaws, [(NOBODY_WAITS, Flaw::SpentTwice)]);
}

/// Stores whose only connection is there already: what they are asked, they send at once.
async fn connected(server: &Server) -> (PostgresStore, PostgresStore, PostgresStore) {
    let store = async || {
        let settings = Settings { connections: NonZeroU32::MIN, ..deadline(2_000) };
        let store = server.store_with(settings).await;
        assert_eq!(store.guarantee().await.unwrap().grade, Grade::FailoverSafe);
        store
    };
    (store().await, store().await, store().await)
}

/// Whoever cancels a backend that waits for its standby makes it answer as if all were well, but
/// for a warning.
#[tokio::test(flavor = "multi_thread")]
async fn a_commit_whose_wait_was_cancelled_is_not_acknowledged() {
    let (primary, field) = (Server::start(&[]).await, Field::new("cancelled"));
    let standby = primary.follower(true).await;
    let store: Arc<dyn TokenStore> = Arc::new(primary.store_with(deadline(60_000)).await);
    let mut histories = stock(&store, &field, 0..1).await;
    standby.halt();

    let spending = tokio::spawn(async move {
        spend(&*store, &field, &mut histories[0], 7).await;
        histories
    });
    cancel_the_wait(&primary).await;
    assert_eq!(spending.await.unwrap()[0].attempts, [(7, Told::Failed(Change::MayHaveHappened))]);

    // The control: the driver by itself reports success.
    let pool = PgPool::connect_lazy_with(primary.options());
    let plain = tokio::spawn(async move {
        sqlx::query("UPDATE mintage.grants SET seen_at = seen_at").execute(&pool).await
    });
    cancel_the_wait(&primary).await;
    assert_eq!(plain.await.unwrap().unwrap().rows_affected(), 1);
}

async fn cancel_the_wait(primary: &Server) {
    let cancelled = "SELECT coalesce(bool_or(pg_cancel_backend(pid)), false)
                     FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
    primary.until(cancelled).await;
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standby {
    /// Commits wait for it.
    Synchronous,
    /// Nobody waits for it, and it is behind.
    Behind,
}

/// Cuts the primary off under load and makes its standby the primary, so many times.
async fn fail_over(rounds: u64, kind: Standby) -> Reckoning {
    let (field, numbers) = (Field::new("failover"), Arc::new(AtomicU64::new(0)));
    let mut primary = Server::start(&[]).await;
    drop(primary.store().await);
    let mut reckoning = Reckoning::default();
    for round in 0..rounds {
        let standby = primary.follower(kind == Standby::Synchronous).await;
        let store: Arc<dyn TokenStore> = Arc::new(primary.store_with(deadline(1_000)).await);
        let callers = Callers::start(&store, &field, &numbers);
        sleep(moment(round, 300, 500)).await;
        if kind == Standby::Behind {
            primary.cut_standby_off().await;
            sleep(Duration::from_millis(200)).await;
        }
        // A machine that hangs, or one that is gone.
        if round.is_multiple_of(2) {
            primary.halt();
        } else {
            primary.kill();
        }
        standby.promote();
        let histories = callers.stop().await;
        primary.kill();
        primary = standby;
        let promoted: Arc<dyn TokenStore> = Arc::new(primary.store_with(deadline(60_000)).await);
        reckoning.add(Reckoning::of(&promoted, &field, histories).await);
    }
    reckoning
}
