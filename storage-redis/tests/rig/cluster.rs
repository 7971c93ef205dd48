//! A cluster of three primaries, each with a replica.

#![allow(dead_code, reason = "each experiment uses a part of it")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "what fails here fails the experiment")]

use std::time::Duration;

use mintage_storage_redis::{Address, RedisStore, Settings};
use tokio::time::sleep;

use super::{Server, free_port};

const PRIMARIES: usize = 3;
const SLOTS: usize = 16_384;

/// The nodes: the primaries that it had at first, then the replica of each.
pub(crate) struct Cluster {
    pub(crate) nodes: Vec<Node>,
}

pub(crate) struct Node {
    pub(crate) server: Server,
    pub(crate) id: String,
    bus: u16,
}

impl Cluster {
    /// A fresh one, which takes a node for dead after so many milliseconds.
    pub(crate) async fn start(node_timeout: u32) -> Self {
        let mut nodes = Vec::new();
        for _ in 0..2 * PRIMARIES {
            nodes.push(Node::start(node_timeout).await);
        }
        let cluster = Self { nodes };
        cluster.join().await;
        cluster
    }

    async fn join(&self) {
        for (number, node) in self.nodes.iter().enumerate() {
            let epoch = (number + 1).to_string();
            node.tell(&["CLUSTER", "SET-CONFIG-EPOCH", &epoch]).await;
            if number < PRIMARIES {
                let bound = |number: usize| number * SLOTS / PRIMARIES;
                let (first, last) = (bound(number), bound(number + 1) - 1);
                let (first, last) = (first.to_string(), last.to_string());
                node.tell(&["CLUSTER", "ADDSLOTSRANGE", &first, &last]).await;
            }
        }
        for (number, node) in self.nodes.iter().enumerate() {
            for other in &self.nodes[number + 1..] {
                let (port, bus) = (other.server.port().to_string(), other.bus.to_string());
                node.tell(&["CLUSTER", "MEET", "127.0.0.1", &port, &bus]).await;
            }
        }
        for node in &self.nodes {
            node.until("cluster_known_nodes", &self.nodes.len().to_string()).await;
        }
        for (primary, replica) in self.nodes.iter().zip(&self.nodes[PRIMARIES..]) {
            replica.tell(&["CLUSTER", "REPLICATE", &primary.id]).await;
        }
        self.whole().await;
    }

    /// One more primary, without a slot.
    pub(crate) async fn grow(&mut self, node_timeout: u32) {
        let node = Node::start(node_timeout).await;
        let (port, bus) = (node.server.port().to_string(), node.bus.to_string());
        for other in &self.nodes {
            other.tell(&["CLUSTER", "MEET", "127.0.0.1", &port, &bus]).await;
        }
        self.nodes.push(node);
        for node in &self.nodes {
            node.until("cluster_known_nodes", &self.nodes.len().to_string()).await;
            node.until("cluster_state", "ok").await;
        }
    }

    /// Waits until every slot is served, as every node sees it, and every replica is up to date.
    pub(crate) async fn whole(&self) {
        for node in &self.nodes {
            node.until("cluster_state", "ok").await;
            node.until("cluster_slots_ok", &SLOTS.to_string()).await;
        }
        for node in &self.nodes {
            if node.server.field("replication", "role").await == "slave" {
                node.server.until("replication", "master_link_status", "up").await;
            }
        }
        for _ in 0..1000 {
            if self.followed().await {
                return;
            }
            sleep(Duration::from_millis(10)).await;
        }
        panic!("a primary is without a replica");
    }

    async fn followed(&self) -> bool {
        for node in &self.nodes {
            if node.server.field("replication", "role").await == "master"
                && node.server.replicas().await == 0
            {
                return false;
            }
        }
        true
    }

    pub(crate) fn address(&self) -> Address {
        let hosts: Vec<_> =
            self.nodes.iter().map(|node| format!("127.0.0.1:{}", node.server.port())).collect();
        format!("redis-cluster://{}", hosts.join(",")).parse().unwrap()
    }

    pub(crate) async fn store_with(&self, settings: Settings) -> RedisStore {
        RedisStore::connect(self.address(), settings).await.unwrap()
    }

    /// The slot of a hash tag.
    pub(crate) async fn slot(&self, tag: &str) -> usize {
        self.nodes[0].server.ask(&["CLUSTER", "KEYSLOT", tag]).await.unwrap()
    }

    /// The number of the node that serves a slot, as it sees it itself.
    pub(crate) async fn owner(&self, slot: usize) -> usize {
        for (number, node) in self.nodes.iter().enumerate() {
            if node.serves(slot).await {
                return number;
            }
        }
        panic!("nobody serves slot {slot}");
    }

    /// Who serves the slot in the place of that one, as a node of the others sees it.
    pub(crate) async fn successor(&self, slot: usize, dead: usize) -> Option<usize> {
        for (number, node) in self.nodes.iter().enumerate() {
            if number != dead && node.serves(slot).await {
                return Some(number);
            }
        }
        None
    }
    /// Moves a slot from one primary to another as `redis-cli --cluster reshard` does, with a pause
    /// before each key and before the end.
    pub(crate) async fn move_slot(&self, slot: usize, from: usize, to: usize, pause: Duration) {
        self.begin_move(slot, from, to).await;
        let (from, to, slot) = (&self.nodes[from], &self.nodes[to], slot.to_string());
        let mut connection = from.server.connection().await.unwrap();
        loop {
            sleep(pause).await;
            let mut next = redis::cmd("CLUSTER");
            next.arg("GETKEYSINSLOT").arg(&slot).arg(1);
            let keys: Vec<Vec<u8>> = next.query_async(&mut connection).await.unwrap();
            let Some(key) = keys.first() else { break };
            let mut migrate = redis::cmd("MIGRATE");
            migrate.arg("127.0.0.1").arg(to.server.port()).arg("").arg(0).arg(10_000);
            migrate.arg("KEYS").arg(key);
            let () = migrate.query_async(&mut connection).await.unwrap();
        }
        for node in [to, from] {
            node.tell(&["CLUSTER", "SETSLOT", &slot, "NODE", &to.id]).await;
        }
    }

    /// The first step of it.
    pub(crate) async fn begin_move(&self, slot: usize, from: usize, to: usize) {
        let (from, to, slot) = (&self.nodes[from], &self.nodes[to], slot.to_string());
        to.tell(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &from.id]).await;
        from.tell(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &to.id]).await;
    }
}

impl Node {
    async fn start(node_timeout: u32) -> Self {
        // By default it is the server's port and 10000: that need not be one.
        let bus = free_port();
        let server = Server::start(&[
            "cluster-enabled yes",
            &format!("cluster-port {bus}"),
            &format!("cluster-node-timeout {node_timeout}"),
            "cluster-replica-validity-factor 0",
        ])
        .await;
        let id = server.ask(&["CLUSTER", "MYID"]).await.unwrap();
        Self { server, id, bus }
    }

    /// Tells it to do that, again until it can: the others may not have told it enough yet.
    async fn tell(&self, words: &[&str]) {
        let mut told = Ok(());
        for _ in 0..500 {
            told = self.server.ask(words).await;
            if told.is_ok() {
                return;
            }
            sleep(Duration::from_millis(10)).await;
        }
        panic!("{words:?}: {told:?}");
    }

    async fn until(&self, name: &str, value: &str) {
        let mut info = String::new();
        for _ in 0..2000 {
            info = self.server.ask(&["CLUSTER", "INFO"]).await.unwrap();
            if info.lines().any(|line| line.trim_end() == format!("{name}:{value}")) {
                return;
            }
            sleep(Duration::from_millis(10)).await;
        }
        panic!("this never came: {name} is {value}\n{info}");
    }

    pub(crate) async fn serves(&self, slot: usize) -> bool {
        let nodes: String = self.server.ask(&["CLUSTER", "NODES"]).await.unwrap_or_default();
        let own = nodes.lines().find(|line| line.contains("myself")).unwrap_or_default();
        own.contains("master")
            && own.split(' ').skip(8).any(|range| {
                let (first, last) = range.split_once('-').unwrap_or((range, range));
                let bounds = (first.parse::<usize>(), last.parse::<usize>());
                matches!(bounds, (Ok(first), Ok(last)) if (first..=last).contains(&slot))
            })
    }
}

/// The address in `MINTAGE_REDIS_CLUSTER`, or that of a cluster of the test's own.
pub(crate) async fn shared() -> (Address, Option<Cluster>) {
    if let Ok(url) = std::env::var("MINTAGE_REDIS_CLUSTER") {
        return (url.parse().unwrap(), None);
    }
    let cluster = Cluster::start(5_000).await;
    (cluster.address(), Some(cluster))
}
