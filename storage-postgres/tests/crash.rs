//! The server is killed under load, again and again: whatever was acknowledged stays so.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what fails here fails the test")]

mod rig;

use std::{
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use mintage::{Grade, TokenStore};
use tokio::time::sleep;

use self::rig::{
    Server, deadline,
    field::Field,
    load::{Callers, Flaw, Reckoning, moment, rounds},
    naive::{Answers, NaiveStore},
};

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_survives_a_crash_of_the_server() {
    let mut server = Server::start(&[]).await;
    let rounds = rounds(30, 300);
    let reckoning = crash(&mut server, rounds).await;
    println!("{rounds} crashes: {reckoning}");
    assert!(reckoning.flaws.is_empty(), "{reckoning}");
    // It was under load, and calls were cut off in the middle.
    assert!(reckoning.spent > 0 && reckoning.unsure > 0 && reckoning.unchanged > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_does_not_wait_for_its_disk_loses_what_it_acknowledged() {
    let mut server = Server::start(&[
        "synchronous_commit = off",
        "wal_writer_delay = 10s",
        "wal_writer_flush_after = 1GB",
    ])
    .await;
    let guarantee = server.store().await.guarantee().await.unwrap();
    assert_eq!(guarantee.grade, Grade::BestEffort, "{}", guarantee.reason);
    let reckoning = crash(&mut server, 3).await;
    println!("3 crashes: {reckoning}");
    assert!(reckoning.found(Flaw::Lost) > 0, "{reckoning}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_first_reads_and_then_writes_spends_tokens_twice() {
    let server = Server::start(&[]).await;
    let sound = server.store_with(deadline(60_000)).await;
    let naive = NaiveStore::beside(sound, server.options(), Answers::InTime);
    let naive: Arc<dyn TokenStore> = Arc::new(naive);
    let field = Field::new("naive");
    let callers = Callers::start(&naive, &field, &Arc::default());
    sleep(Duration::from_millis(500)).await;
    let reckoning = Reckoning::of(&naive, &field, callers.stop().await).await;
    println!("{reckoning}");
    assert!(reckoning.found(Flaw::SpentTwice) > 0, "{reckoning}");
}

/// Kills the server under load and starts it again, so many times. The callers go on meanwhile, at
/// one and the same store.
async fn crash(server: &mut Server, rounds: u64) -> Reckoning {
    let store: Arc<dyn TokenStore> = Arc::new(server.store_with(deadline(1_000)).await);
    let (field, numbers) = (Field::new("crash"), Arc::new(AtomicU64::new(0)));
    let mut reckoning = Reckoning::default();
    for round in 0..rounds {
        let callers = Callers::start(&store, &field, &numbers);
        sleep(moment(round, 100, 250)).await;
        server.kill();
        server.launch().await;
        sleep(Duration::from_millis(30)).await;
        let histories = callers.stop().await;
        let patient: Arc<dyn TokenStore> = Arc::new(server.store_with(deadline(60_000)).await);
        reckoning.add(Reckoning::of(&patient, &field, histories).await);
    }
    reckoning
}
