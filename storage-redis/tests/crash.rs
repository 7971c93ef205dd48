//! The power is cut under load, again and again: whatever was acknowledged stays so where the
//! server syncs every change to its disk. What it means to cut it is said in `rig/power.rs`.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what fails here fails the test")]

mod rig;

use std::{
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use mintage::TokenStore;
use tokio::time::sleep;

use self::rig::{
    deadline,
    field::Field,
    load::{Callers, Flaw, Reckoning, moment, rounds},
    power::Powered,
};

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_survives_a_power_cut_where_every_change_is_synced() {
    let mut server = Powered::start("always").await;
    let rounds = rounds(30, 300);
    let reckoning = crash(&mut server, rounds, End::PowerCut).await;
    println!("{rounds} power cuts, appendfsync always: {reckoning}");
    assert!(reckoning.flaws.is_empty(), "{reckoning}");
    // It was under load, and calls were cut off in the middle.
    assert!(reckoning.spent > 0 && reckoning.unsure > 0 && reckoning.unchanged > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_syncs_once_a_second_loses_what_it_acknowledged_at_a_power_cut() {
    let mut server = Powered::start("everysec").await;
    let reckoning = crash(&mut server, 3, End::PowerCut).await;
    println!("3 power cuts, appendfsync everysec: {reckoning}");
    assert!(reckoning.found(Flaw::Lost) > 0, "{reckoning}");
}

/// It writes before it answers, and what is written outlives the process.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_syncs_once_a_second_loses_nothing_by_being_killed() {
    let mut server = Powered::start("everysec").await;
    let rounds = rounds(5, 50);
    let reckoning = crash(&mut server, rounds, End::Killed).await;
    println!("{rounds} kills, appendfsync everysec: {reckoning}");
    assert!(reckoning.flaws.is_empty(), "{reckoning}");
    assert!(reckoning.spent > 0 && reckoning.unsure > 0);
}

/// How a server ends.
#[derive(Debug, Clone, Copy)]
enum End {
    /// Its process does; what it has written stays written.
    Killed,
    /// Its machine does: only what it has synced stays.
    PowerCut,
}

/// Ends the server under load and starts it again, so many times. The callers go on meanwhile, at
/// one and the same store.
async fn crash(server: &mut Powered, rounds: u64, end: End) -> Reckoning {
    let store: Arc<dyn TokenStore> = Arc::new(server.store_with(deadline(1_000)).await);
    let (field, numbers) = (Field::new("crash"), Arc::new(AtomicU64::new(0)));
    let mut reckoning = Reckoning::default();
    for round in 0..rounds {
        let callers = Callers::start(&store, &field, &numbers);
        sleep(moment(round, 50, 150)).await;
        match end {
            End::Killed => server.kill(),
            End::PowerCut => drop(server.cut()),
        }
        server.launch().await;
        sleep(Duration::from_millis(30)).await;
        let histories = callers.stop().await;
        let patient: Arc<dyn TokenStore> = Arc::new(server.store_with(deadline(60_000)).await);
        reckoning.add(Reckoning::of(&patient, &field, histories).await);
    }
    reckoning
}
