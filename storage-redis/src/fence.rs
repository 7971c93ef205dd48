//! The epoch, and the fence behind it: has another server taken a primary's place?

use std::time::Duration;

use mintage::{Change, Epoch, StoreError, Timestamp};
use redis::{Value, cmd};
use tokio::task::JoinSet;

use crate::{
    line::field,
    operations::Reply,
    record::{Reader, Unreadable, Writer},
    settings::OnFailover,
    shards::{Node, Shards},
};

/// The length of a run id or a replication id, in bytes.
const ID: usize = 20;

/// How a primary tells itself from others.
#[derive(Debug, PartialEq, Eq)]
struct Primary {
    /// Its process.
    run: [u8; ID],
    /// Its history of writes; a promoted replica begins another.
    id: [u8; ID],
    /// The history that it followed before.
    former: [u8; ID],
}

/// The epoch. Where a primary's place has been taken since it was last asked for, it is raised first.
pub(crate) async fn epoch(
    shards: &Shards,
    now: Timestamp,
    on_failover: OnFailover,
) -> Result<Epoch, StoreError> {
    let mut map = shards.map();
    let is_elsewhere = shards.is_elsewhere().await;
    let mut told = identify(&map.nodes, shards.patience()).await;
    if is_elsewhere || told.contains(&Told::Replica) {
        shards.reconnect(&map).await;
        map = shards.map();
        told = identify(&map.nodes, shards.patience()).await;
    }
    let primaries = told.iter().filter_map(|told| match told {
        Told::Primary(primary) => Some(primary),
        Told::Replica | Told::Nothing => None,
    });
    let primaries: Vec<_> = primaries.take(255).collect();
    let mut event = Writer::new();
    event.instant(now).byte((on_failover == OnFailover::RaiseEpoch).into());
    event.byte(primaries.len().to_le_bytes()[0]);
    for Primary { run, id, former } in primaries {
        event.fixed(run).fixed(id).fixed(former);
    }
    let script = &shards.scripts.epoch;
    let ran = shards.run(script, &[shards.keys.epoch()], &event.done(), true).await?;
    let answer = match Reply::of(&ran.bytes)? {
        Reply::Made(answer) | Reply::Read(answer) => answer,
        Reply::Word("replaced") => {
            let replaced = "a primary answers whose place another has taken";
            return Err(StoreError::new(Change::Unchanged, replaced));
        }
        Reply::Again(_) | Reply::Word(_) => return Err(Unreadable("answer").into()),
    };
    let mut answer = Reader::new(answer);
    let epoch = Epoch(answer.instant("epoch")?);
    if answer.byte("event")? == 1 {
        let done = match on_failover {
            OnFailover::RaiseEpoch => "all that was issued before is refused",
            OnFailover::Report => "nothing is done about it",
        };
        tracing::warn!(
            target: "mintage",
            "another server has taken a primary's place, or it was started again: writes may be \
             lost; {done}"
        );
    }
    ran.acknowledged()?;
    Ok(epoch)
}

/// Raises the epoch.
pub(crate) async fn raise(shards: &Shards, now: Timestamp) -> Result<Epoch, StoreError> {
    let mut event = Writer::new();
    event.instant(now);
    let script = &shards.scripts.raise_epoch;
    let ran = shards.run(script, &[shards.keys.epoch()], &event.done(), true).await?;
    match Reply::of(&ran.acknowledged()?)? {
        Reply::Made(told) => Ok(Epoch(Reader::new(told).instant("epoch")?)),
        _ => Err(Unreadable("answer").into()),
    }
}

/// What a server says it is.
#[derive(Debug, PartialEq, Eq)]
enum Told {
    Primary(Primary),
    Replica,
    /// It does not tell. What is not asked does not pass for gone, unless a stranger is there.
    Nothing,
}

/// Asks all of them at the same time.
async fn identify(nodes: &[Node], patience: Duration) -> Vec<Told> {
    let mut asked = JoinSet::new();
    for node in nodes {
        let node = node.clone();
        // All in one answer: of two, a restart might come between.
        asked.spawn(async move { node.ask(cmd("INFO"), patience).await });
    }
    let mut told = Vec::with_capacity(nodes.len());
    while let Some(answer) = asked.join_next().await {
        told.push(match answer {
            Ok(Ok(Value::BulkString(info))) => Told::of(&String::from_utf8_lossy(&info)),
            _ => Told::Nothing,
        });
    }
    told
}

impl Told {
    fn of(info: &str) -> Self {
        let id = |name| field(info, name).and_then(decoded);
        match (field(info, "role"), id("master_replid")) {
            (Some("slave"), _) => Self::Replica,
            (Some("master"), Some(own)) => Self::Primary(Primary {
                run: id("run_id").unwrap_or_default(),
                id: own,
                former: id("master_replid2").unwrap_or_default(),
            }),
            _ => Self::Nothing,
        }
    }
}

fn decoded(hex: &str) -> Option<[u8; ID]> {
    let mut bytes = [0; ID];
    if hex.len() != 2 * ID || !hex.is_ascii() {
        return None;
    }
    for (byte, at) in bytes.iter_mut().zip((0..).step_by(2)) {
        *byte = u8::from_str_radix(hex.get(at..at + 2)?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_primary_is_told_by_its_run_and_its_history() {
        let run = "ab".repeat(ID);
        let server = format!("# Server\r\nredis_version:7.0.15\r\nrun_id:{run}\r\n");
        let replication = format!(
            "role:master\r\nmaster_replid:{}\r\nmaster_replid2:{}\r\n",
            "01".repeat(ID),
            "00".repeat(ID)
        );
        let found = Told::of(&format!("{server}{replication}"));
        let primary = Primary { run: [0xab; ID], id: [1; ID], former: [0; ID] };
        assert_eq!(found, Told::Primary(primary));
        assert_eq!(Told::of(&replication.replace("master\r", "slave\r")), Told::Replica);
        assert_eq!(Told::of("role:master\r\n"), Told::Nothing);
    }
}
