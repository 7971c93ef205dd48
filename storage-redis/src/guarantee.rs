//! What the servers promise, by their own settings.

use std::fmt::Write as _;

use mintage::{Grade, Guarantee};
use redis::{Value, cmd};

use crate::{
    fault::Fault,
    line::field,
    settings::{Acknowledge, OnFailover, Settings},
    shards::{Node, Shards},
};

/// Asks every primary.
pub(crate) async fn ask(shards: &Shards, settings: &Settings) -> Result<Guarantee, Fault> {
    let mut servers = Vec::new();
    for node in &shards.map().nodes {
        servers.push(Server::ask(shards, node).await?);
    }
    Ok(guarantee(&servers, settings))
}

/// What is known of one server's settings.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Server {
    limit: Option<u64>,
    policy: Option<String>,
    /// `no` where it appends to no file at all.
    fsync: Option<String>,
}

impl Server {
    /// By `CONFIG GET`, or by `INFO` where that is not allowed.
    async fn ask(shards: &Shards, node: &Node) -> Result<Self, Fault> {
        let mut server = Self::default();
        let appends = setting(shards, node, "appendonly").await;
        let fsync = setting(shards, node, "appendfsync").await;
        server.limit = setting(shards, node, "maxmemory").await.and_then(|n| n.parse().ok());
        server.policy = setting(shards, node, "maxmemory-policy").await;
        if server.limit.is_none() || server.policy.is_none() {
            let memory = info(shards, node, "memory").await?;
            let told = |name| field(&memory, name).map(str::to_owned);
            server.limit = server.limit.or_else(|| told("maxmemory")?.parse().ok());
            server.policy = server.policy.or_else(|| told("maxmemory_policy"));
        }
        let appends = if let Some(appends) = appends {
            Some(appends == "yes")
        } else {
            let persistence = info(shards, node, "persistence").await?;
            field(&persistence, "aof_enabled").map(|enabled| enabled == "1")
        };
        server.fsync = match appends {
            Some(true) => fsync,
            Some(false) => Some("off".to_owned()),
            None => None,
        };
        Ok(server)
    }

    fn may_evict(&self) -> bool {
        self.limit != Some(0) && self.policy.as_deref() != Some("noeviction")
    }
}

async fn setting(shards: &Shards, node: &Node, name: &str) -> Option<String> {
    let mut question = cmd("CONFIG");
    question.arg("GET").arg(name);
    let answer = shards.ask(node, question).await.ok()?;
    let pair: Vec<String> = redis::from_redis_value(answer).ok()?;
    pair.into_iter().nth(1)
}

async fn info(shards: &Shards, node: &Node, section: &str) -> Result<String, Fault> {
    let mut question = cmd("INFO");
    question.arg(section);
    match shards.ask(node, question).await? {
        Value::BulkString(info) => Ok(String::from_utf8_lossy(&info).into_owned()),
        _ => Ok(String::new()),
    }
}

fn guarantee(servers: &[Server], settings: &Settings) -> Guarantee {
    let evicts = servers.iter().find(|server| server.may_evict());
    let mut reason = String::from("Redis acknowledges before a failover is survived: ");
    // Writing to a text cannot fail.
    let _ = match settings.acknowledge {
        Acknowledge::Primary => write!(reason, "writes wait for the primary alone"),
        Acknowledge::Replicas(n) => write!(reason, "writes wait for {n} replicas (WAIT)"),
    };
    let unknown = || "unknown".to_owned();
    // The weakest is what counts.
    let fsync = |server: &Server| server.fsync.clone().unwrap_or_else(unknown);
    let strength = |fsync: &String| match fsync.as_str() {
        "always" => 4,
        "everysec" => 3,
        "no" => 2,
        "off" => 1,
        _ => 0,
    };
    let fsync = servers.iter().map(fsync).min_by_key(strength).unwrap_or_else(unknown);
    let _ = match fsync.as_str() {
        "off" => write!(reason, "; appendonly no: a restart loses them"),
        fsync => write!(reason, "; appendfsync {fsync}"),
    };
    let _ = match evicts {
        None => write!(reason, "; nothing is evicted"),
        Some(server) => {
            let policy = server.policy.clone().unwrap_or_else(unknown);
            write!(reason, "; may evict: maxmemory-policy is {policy}, set it to noeviction")
        }
    };
    let _ = match settings.on_failover {
        OnFailover::RaiseEpoch => write!(reason, "; a failover that is noticed raises the epoch"),
        OnFailover::Report => write!(reason, "; a failover is only reported"),
    };
    Guarantee { grade: Grade::BestEffort, reason, may_evict: evicts.is_some() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(limit: Option<u64>, policy: Option<&str>, fsync: Option<&str>) -> Server {
        let text = |text: &str| text.to_owned();
        Server { limit, policy: policy.map(text), fsync: fsync.map(text) }
    }

    #[test]
    fn what_is_unknown_counts_as_what_is_worst() {
        let cases = [
            (server(Some(0), Some("allkeys-lru"), Some("always")), false, "appendfsync always"),
            (server(Some(1), Some("noeviction"), Some("off")), false, "appendonly no"),
            (server(Some(1), Some("volatile-ttl"), None), true, "volatile-ttl"),
            (server(None, Some("noeviction"), None), false, "appendfsync unknown"),
            (server(None, None, None), true, "is unknown"),
            (server(Some(1), None, Some("no")), true, "appendfsync no"),
        ];
        for (server, may_evict, word) in cases {
            let sound = Server { policy: Some("noeviction".to_owned()), ..server.clone() };
            for servers in [vec![server.clone()], vec![server.clone(), sound]] {
                let guarantee = guarantee(&servers, &Settings::default());
                assert_eq!(guarantee.grade, Grade::BestEffort);
                assert_eq!(guarantee.may_evict, may_evict, "{}", guarantee.reason);
                assert!(guarantee.reason.contains(word), "{}", guarantee.reason);
            }
        }
    }
}
