//! Slots that move, and a primary that dies, in the middle of a race: no token yields two answers.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what fails here fails the test")]

mod rig;

use std::{
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use mintage::{
    Locator, TokenStore,
    grant::{Redemption, Strength, Verdict},
};
use mintage_storage_redis::RedisStore;
use tokio::{task::JoinSet, time::sleep};

use self::rig::{
    cluster::Cluster,
    deadline,
    field::Field,
    load::{Callers, Reckoning, rounds},
    replicated,
};

/// How many tokens share a credential, and so a slot.
const TOGETHER: u64 = 8;
/// How many attempts there are at each.
const ATTEMPTS: u64 = 6;
/// Before each key that moves.
const PAUSE: Duration = Duration::from_millis(5);

fn tag(field: &Field, token: u64) -> String {
    Locator::of(&field.tenant, &Field::credential(token)).to_string()
}

async fn issue(store: &RedisStore, field: &Field, token: u64) {
    let issued = store.issue(&field.issue(token, Strength::Standard), &field.cx).await.unwrap();
    assert!(matches!(issued, Verdict::Granted { retried: false, .. }), "{issued:?}");
}

/// Every call is answered, and of all attempts on a token one gets it, while its slot moves.
#[tokio::test(flavor = "multi_thread")]
async fn while_its_slot_moves_each_token_is_spent_once_and_every_call_answered() {
    let cluster = Arc::new(Cluster::start(5_000).await);
    let field = Field::new("moving");
    // Two nodes, each with its own view of the slots.
    let stores =
        [cluster.store_with(deadline(10_000)).await, cluster.store_with(deadline(10_000)).await];
    let slots = rounds(24, 240);
    for token in 0..slots * TOGETHER {
        issue(&stores[0], &field, token).await;
    }
    let asked: u64 = cluster.redirections().await;
    for moved in 0..slots {
        let slot = cluster.slot(&tag(&field, moved * TOGETHER)).await;
        let from = cluster.owner(slot).await;
        let to = (from + 1) % 3;
        let moving = {
            let cluster = Arc::clone(&cluster);
            tokio::spawn(async move { cluster.move_slot(slot, from, to, PAUSE).await })
        };
        let mut calls = JoinSet::new();
        for token in moved * TOGETHER..(moved + 1) * TOGETHER {
            for attempt in 0..ATTEMPTS {
                let store = stores[usize::try_from(attempt).unwrap() % 2].clone();
                let field = field.clone();
                calls.spawn(async move {
                    // Spread over the whole of the move.
                    sleep(PAUSE * u32::try_from((token * 7 + attempt * 5) % 12).unwrap()).await;
                    (token, store.redeem(&field.redeem(token, attempt), &field.cx).await.unwrap())
                });
            }
        }
        let mut granted = [0; 8];
        for (token, answer) in calls.join_all().await {
            match answer {
                Redemption::Redeemed { retried: false, .. } => {
                    granted[usize::try_from(token % TOGETHER).unwrap()] += 1;
                }
                Redemption::Replayed { revoked: false } => {}
                other => panic!("{token}: {other:?}"),
            }
        }
        assert_eq!(granted, [1; 8], "slot {slot}");
        moving.await.unwrap();
        assert_eq!(cluster.owner(slot).await, to);
        // Into the new place, without being led there every time.
        for attempt in 0..4 {
            let redeem = field.redeem(moved * TOGETHER, 100 + attempt);
            let answer = stores[0].redeem(&redeem, &field.cx).await.unwrap();
            assert_eq!(answer, Redemption::Replayed { revoked: false });
        }
    }
    let asked = cluster.redirections().await - asked;
    println!("{slots} slots moved, {} calls, {asked} redirected", slots * TOGETHER * ATTEMPTS);
    assert!(asked > 0, "no call met a slot on its way");
    // Once a slot has arrived, a store knows the way: it is not told again with every call.
    assert!(asked < slots * TOGETHER * ATTEMPTS, "{asked}");
}

/// A script that makes a key is put off while its slot moves (`TRYAGAIN`): it waits for the end.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_issued_while_its_slot_moves_is_issued_once_it_has_moved() {
    let cluster = Arc::new(Cluster::start(5_000).await);
    let (store, field) = (cluster.store_with(deadline(10_000)).await, Field::new("issuing"));
    issue(&store, &field, 0).await;
    let slot = cluster.slot(&tag(&field, 0)).await;
    let from = cluster.owner(slot).await;
    let moving = {
        let cluster = Arc::clone(&cluster);
        let pause = Duration::from_millis(100);
        tokio::spawn(async move { cluster.move_slot(slot, from, (from + 1) % 3, pause).await })
    };
    sleep(Duration::from_millis(50)).await;
    for token in 1..TOGETHER {
        issue(&store, &field, token).await;
    }
    moving.await.unwrap();
    for token in 0..TOGETHER {
        let answer = store.redeem(&field.redeem(token, token), &field.cx).await.unwrap();
        assert!(matches!(answer, Redemption::Redeemed { retried: false, .. }), "{answer:?}");
    }
}

/// A slot that stays half-way is told within the deadline, and nothing has happened.
#[tokio::test(flavor = "multi_thread")]
async fn a_slot_that_never_arrives_changes_nothing() {
    let cluster = Cluster::start(5_000).await;
    let (store, field) = (cluster.store_with(deadline(400)).await, Field::new("stuck"));
    issue(&store, &field, 0).await;
    let slot = cluster.slot(&tag(&field, 0)).await;
    let from = cluster.owner(slot).await;
    cluster.begin_move(slot, from, (from + 1) % 3).await;
    let error = store.issue(&field.issue(1, Strength::Standard), &field.cx).await.unwrap_err();
    assert_eq!(error.change(), mintage::Change::Unchanged, "{error}");
    // What is there already is served.
    let answer = store.redeem(&field.redeem(0, 0), &field.cx).await.unwrap();
    assert!(matches!(answer, Redemption::Redeemed { retried: false, .. }), "{answer:?}");
}

/// With writes that wait for the replica: without, what it had not heard of could be spent again
/// (`failover.rs` shows it, and what the epoch fence does about it).
#[tokio::test(flavor = "multi_thread")]
async fn a_primary_that_dies_in_the_middle_of_a_race_costs_no_token() {
    let mut cluster = Cluster::start(1_000).await;
    let (field, numbers) = (Field::new("dies"), Arc::new(AtomicU64::new(0)));
    let rounds = rounds(2, 20);
    let mut reckoning = Reckoning::default();
    let mut waited = Duration::ZERO;
    for round in 0..rounds {
        let store: Arc<dyn TokenStore> = Arc::new(cluster.store_with(replicated(1, 1_000)).await);
        let callers = Callers::start(&store, &field, &numbers);
        sleep(Duration::from_millis(150 + round % 4 * 50)).await;
        let slot = cluster.slot("any").await;
        let victim = cluster.owner(slot).await;
        cluster.nodes[victim].server.kill();
        let killed = tokio::time::Instant::now();
        while cluster.successor(slot, victim).await.is_none() {
            sleep(Duration::from_millis(20)).await;
        }
        waited += killed.elapsed();
        // On the other side of the failover too.
        sleep(Duration::from_millis(150)).await;
        let histories = callers.stop().await;
        cluster.nodes[victim].server.launch().await;
        cluster.whole().await;
        let patient: Arc<dyn TokenStore> = Arc::new(cluster.store_with(deadline(60_000)).await);
        reckoning.add(Reckoning::of(&patient, &field, histories).await);
    }
    println!("{rounds} primaries killed, {waited:?} until all was served: {reckoning}");
    assert!(reckoning.flaws.is_empty(), "{reckoning}");
    assert!(reckoning.spent > 0 && reckoning.unsure > 0);
}

/// Every primary gets its share: the locator is a hash.
#[tokio::test(flavor = "multi_thread")]
async fn the_load_is_spread_over_all_primaries() {
    let cluster = Cluster::start(5_000).await;
    let (store, field) = (cluster.store_with(deadline(10_000)).await, Field::new("spread"));
    let before = cluster.scripts().await;
    let mut calls = JoinSet::new();
    for token in 0..3_000 {
        let (store, field) = (store.clone(), field.clone());
        calls.spawn(async move {
            // A credential of its own each.
            issue(&store, &field, token * TOGETHER).await;
        });
    }
    calls.join_all().await;
    let after = cluster.scripts().await;
    let spread: Vec<u64> = after.iter().zip(before).map(|(after, before)| after - before).collect();
    println!("scripts on each primary: {spread:?}");
    assert_eq!(spread.iter().sum::<u64>(), 3_000, "each call is one script");
    assert!(spread.iter().all(|scripts| (900..1_100).contains(scripts)), "{spread:?}");
}

impl Cluster {
    /// How many calls were answered with `MOVED` or `ASK`.
    async fn redirections(&self) -> u64 {
        let mut all = 0;
        for node in &self.nodes {
            for error in ["errorstat_MOVED", "errorstat_ASK"] {
                let count = node.server.field("errorstats", error).await;
                all += count.strip_prefix("count=").map_or(0, |count| count.parse().unwrap());
            }
        }
        all
    }

    /// How many scripts each of the primaries has run.
    async fn scripts(&self) -> Vec<u64> {
        let mut all = Vec::new();
        for node in &self.nodes[..3] {
            let calls = node.server.field("commandstats", "cmdstat_evalsha").await;
            let calls = calls.split(',').next().unwrap().strip_prefix("calls=");
            all.push(calls.map_or(0, |calls| calls.parse().unwrap()));
        }
        all
    }
}
