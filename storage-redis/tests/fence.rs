//! What raises the epoch, and what does not: another server in a primary's place may have lost
//! writes; one that joins has not.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what fails here fails the test")]

mod rig;

use std::time::Duration;

use mintage::{Change, Epoch, Lifetime, Locator, Timestamp, TokenStore as _, grant::Strength};
use mintage_storage_redis::{OnFailover, RedisStore, Settings};
use tokio::time::sleep;

use self::rig::{Server, cluster::Cluster, deadline, field::Field, replicated, sentinel::Sentinel};

/// The epoch, asked for at an instant so many seconds later than the first.
async fn epoch(store: &RedisStore, secs: u32) -> Epoch {
    store.epoch(instant(secs)).await.unwrap()
}

fn instant(secs: u32) -> Timestamp {
    Field::new("fence").cx.now.after(Lifetime::from_secs(secs))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_promoted_replica_raises_it_once() {
    let primary = Server::start(&[]).await;
    let replica = primary.replica().await;
    let before = epoch(&primary.store().await, 0).await;
    assert_eq!(before, Epoch(instant(0)));
    primary.until_replicated().await;
    replica.promote().await;
    let store = replica.store().await;
    assert_eq!(epoch(&store, 1).await, Epoch(instant(1)));
    assert_eq!(epoch(&store, 2).await, Epoch(instant(1)), "it is known by now");
    assert_eq!(epoch(&replica.store().await, 3).await, Epoch(instant(1)), "to every node");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_it_is_only_to_be_reported_it_stays() {
    let primary = Server::start(&[]).await;
    let replica = primary.replica().await;
    let settings = Settings { on_failover: OnFailover::Report, ..deadline(5_000) };
    let before = epoch(&primary.store_with(settings.clone()).await, 0).await;
    primary.until_replicated().await;
    replica.promote().await;
    assert_eq!(epoch(&replica.store_with(settings).await, 1).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_was_started_again_raises_it() {
    let mut server = Server::start(&["appendonly yes", "appendfsync always"]).await;
    let store = server.store().await;
    assert_eq!(epoch(&store, 0).await, Epoch(instant(0)));
    server.kill();
    server.launch().await;
    let raised = loop {
        // Its connection has to be made anew.
        match store.epoch(instant(1)).await {
            Ok(epoch) => break epoch,
            Err(_) => sleep(Duration::from_millis(20)).await,
        }
    };
    assert_eq!(raised, Epoch(instant(1)));
    assert_eq!(epoch(&store, 2).await, raised);
}

/// The first replica makes a primary draw a new replication id: its history begins.
#[tokio::test(flavor = "multi_thread")]
async fn replicas_that_come_and_go_do_not() {
    let primary = Server::start(&["repl-backlog-ttl 1"]).await;
    let store = primary.store().await;
    let before = epoch(&store, 0).await;
    let mut ids = vec![primary.field("replication", "master_replid").await];
    for round in 0..2 {
        let replica = primary.replica().await;
        assert_eq!(epoch(&store, 1 + 2 * round).await, before);
        ids.push(primary.field("replication", "master_replid").await);
        drop(replica);
        // Without replicas for a second, it forgets the history.
        primary.until("replication", "repl_backlog_active", "0").await;
        assert_eq!(epoch(&store, 2 + 2 * round).await, before);
    }
    assert_ne!(ids[0], ids[1], "its id was to change");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_switch_by_sentinels_raises_it() {
    let primary = Server::start(&[]).await;
    let replica = primary.replica().await;
    let sentinel = Sentinel::over(&primary).await;
    let store = RedisStore::connect(sentinel.address(), deadline(2_000)).await.unwrap();
    let before = epoch(&store, 0).await;
    sentinel.switch().await;
    sentinel.until(&replica).await;
    primary.follow(&replica).await;
    assert_eq!(raised_above(&store, before, 0).await, Epoch(instant(10)));
}

/// The epoch once it is higher, asked for as an engine does: before the calls that need it.
async fn raised_above(store: &RedisStore, before: Epoch, token: u64) -> Epoch {
    let field = Field::new("traffic");
    for attempt in 0..300 {
        if let Ok(raised) = store.epoch(instant(10)).await
            && raised > before
        {
            return raised;
        }
        // Whatever it comes to: the server that is asked may be the former one.
        let issue = field.issue(token + attempt % 8, Strength::Standard);
        drop(store.issue(&issue, &field.cx).await);
        sleep(Duration::from_millis(20)).await;
    }
    panic!("it was never raised");
}

/// Sentinels name the new primary at once, and leave the former one what it was for some ten seconds.
#[tokio::test(flavor = "multi_thread")]
async fn a_switch_is_noticed_while_the_former_primary_still_serves() {
    let primary = Server::start(&[]).await;
    let replica = primary.replica().await;
    let sentinel = Sentinel::over(&primary).await;
    let store = RedisStore::connect(sentinel.address(), deadline(2_000)).await.unwrap();
    let before = epoch(&store, 0).await;
    assert_eq!(epoch(&store, 1).await, before, "nobody's place was taken");
    sentinel.switch().await;
    sentinel.until(&replica).await;
    replica.until("replication", "role", "master").await;
    let raised = store.epoch(instant(2)).await.unwrap();
    assert_eq!(primary.field("replication", "role").await, "master", "it came too late to show it");
    assert_eq!(raised, Epoch(instant(2)));
    // And every connection leads to the new one.
    let field = Field::new("traffic");
    for token in 0..8 {
        drop(store.issue(&field.issue(token, Strength::Standard), &field.cx).await.unwrap());
    }
    assert!(replica.keys().await.len() > 1, "nothing was written there");
}

/// A replica answers whoever only reads.
#[tokio::test(flavor = "multi_thread")]
async fn a_demoted_primary_is_not_asked_for_the_epoch() {
    let primary = Server::start(&[]).await;
    let replica = primary.replica().await;
    let store = primary.store_with(deadline(500)).await;
    epoch(&store, 0).await;
    replica.promote().await;
    primary.follow(&replica).await;
    let error = store.epoch(instant(1)).await.unwrap_err();
    assert!(error.to_string().contains("the server is a replica"), "{error}");
    // It is given back its part.
    primary.promote().await;
    assert!(epoch(&store, 2).await >= Epoch(instant(0)));
}

#[tokio::test(flavor = "multi_thread")]
async fn where_replicas_are_missing_it_is_raised_all_the_same() {
    let primary = Server::start(&[]).await;
    let replica = primary.replica().await;
    epoch(&primary.store().await, 0).await;
    primary.until_replicated().await;
    replica.promote().await;
    let store = replica.store_with(replicated(1, 500)).await;
    let error = store.epoch(instant(1)).await.unwrap_err();
    assert_eq!(error.change(), Change::MayHaveHappened);
    assert_eq!(epoch(&replica.store().await, 2).await, Epoch(instant(1)));
}

/// The rules, one after the other, by primaries that are made up.
#[tokio::test(flavor = "multi_thread")]
async fn every_rule_of_the_fence() {
    let server = Server::start(&[]).await;
    let fence = Fence::on(&server).await;
    let (a, b, c) = (one(1), one(2), one(3));
    let joined = fence.asked(&[a, b]).await;
    assert_eq!(joined, "+0", "the first time there is nobody whose place could be taken");
    assert_eq!(fence.asked(&[a]).await, "~0", "who does not answer is not gone");
    assert_eq!(fence.asked(&[b, a]).await, "~0");
    assert_eq!(fence.asked(&[a, c]).await, "+1", "a stranger, while somebody is missing");
    assert_eq!(fence.asked(&[a, b, c]).await, "+0", "who was only silent is not shut out");
    assert_eq!(fence.asked(&[a, b, c]).await, "~0");

    let promoted = Seen { run: 4, id: 4, former: 3 };
    assert_eq!(fence.asked(&[a, b, promoted]).await, "+1", "a promoted replica");
    assert_eq!(fence.asked(&[a, b, promoted]).await, "~0");
    assert_eq!(fence.asked(&[a, b, c]).await, "replaced", "whose place was taken is not believed");

    let with_a_replica = Seen { run: 1, id: 5, former: 0 };
    let seen = [with_a_replica, b, promoted];
    assert_eq!(fence.asked(&seen).await, "+0", "the same process, whose history begins");
    let again = Seen { run: 6, id: 6, former: 0 };
    assert_eq!(fence.asked(&[again, b, promoted]).await, "+1", "it was started again");
    let stranger = Seen { run: 6, id: 7, former: 9 };
    let seen = [stranger, b, promoted];
    assert_eq!(fence.asked(&seen).await, "+1", "the same process, after it followed somebody");
}

/// A primary, by bytes that its ids are made of.
#[derive(Clone, Copy)]
struct Seen {
    run: u8,
    id: u8,
    former: u8,
}

fn one(number: u8) -> Seen {
    Seen { run: number, id: number, former: 0 }
}

/// The script of the epoch, as a store sends it.
struct Fence {
    connection: redis::aio::MultiplexedConnection,
    script: String,
}

impl Fence {
    async fn on(server: &Server) -> Self {
        let scripts = mintage_storage_redis::scripts();
        let (_, script) = scripts.into_iter().find(|(name, _)| *name == "epoch").unwrap();
        Self { connection: server.connection().await.unwrap(), script }
    }

    /// Whether it has written, and whether that was a failover.
    async fn asked(&self, seen: &[Seen]) -> String {
        let mut event = vec![0, 0, 0, 0, 0, 1, 1, u8::try_from(seen.len()).unwrap()];
        for Seen { run, id, former } in seen {
            for id in [run, id, former] {
                event.extend([*id; 20]);
            }
        }
        let mut asked = redis::cmd("EVAL");
        asked.arg(&self.script).arg(1).arg("{epoch}").arg(event);
        let answer: Vec<u8> = asked.query_async(&mut self.connection.clone()).await.unwrap();
        match answer[..] {
            [sign @ (b'+' | b'~'), _, _, _, _, _, _, event] => {
                format!("{}{event}", char::from(sign))
            }
            _ => String::from_utf8(answer).unwrap(),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_cluster_a_failover_raises_it_and_growing_does_not() {
    const NODE_TIMEOUT: u32 = 1_000;
    let mut cluster = Cluster::start(NODE_TIMEOUT).await;
    let store = cluster.store_with(deadline(5_000)).await;
    let before = epoch(&store, 0).await;

    // A seventh node joins, is given slots, and serves them.
    cluster.grow(NODE_TIMEOUT).await;
    let (newcomer, field) = (cluster.nodes.len() - 1, Field::new("traffic"));
    for token in [0, 8, 16, 24] {
        let slot = cluster.slot(&tag(token)).await;
        let from = cluster.owner(slot).await;
        cluster.move_slot(slot, from, newcomer, Duration::ZERO).await;
        let issue = field.issue(token, Strength::Standard);
        drop(store.issue(&issue, &field.cx).await.unwrap());
    }
    for secs in 1..4 {
        assert_eq!(epoch(&store, secs).await, before, "nobody's place was taken");
    }

    // A primary that does not keep the epoch itself, so that it survives.
    let home = cluster.owner(cluster.slot("epoch").await).await;
    let victim = (home + 1) % 3;
    let token = cluster.token_of(victim).await;
    let slot = cluster.slot(&tag(token)).await;
    cluster.nodes[victim].server.kill();
    while cluster.successor(slot, victim).await.is_none() {
        sleep(Duration::from_millis(20)).await;
    }
    let raised = raised_above(&store, before, token).await;
    assert_eq!(raised, Epoch(instant(10)));
    // The dead one comes back as a replica: that is nobody's place.
    cluster.nodes[victim].server.launch().await;
    cluster.nodes[victim].server.until("replication", "master_link_status", "up").await;
    assert_eq!(epoch(&store, 20).await, raised);
    // A node that has seen nothing of all this agrees.
    assert_eq!(epoch(&cluster.store_with(deadline(5_000)).await, 21).await, raised);
}

/// The hash tag of a token's keys.
fn tag(token: u64) -> String {
    Locator::of(&Field::new("traffic").tenant, &Field::credential(token)).to_string()
}

impl Cluster {
    /// The first of eight tokens that this node keeps.
    async fn token_of(&self, number: usize) -> u64 {
        for token in (1_000..).step_by(8) {
            let slot = self.slot(&tag(token)).await;
            if self.nodes[number].serves(slot).await {
                return token;
            }
        }
        panic!("it keeps none");
    }
}
