//! The epoch, and the fence behind it: has another server taken a primary's place?

use mintage::{Change, Epoch, StoreError, Timestamp};
use redis::{Value, cmd};

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
    let map = shards.map();
    let mut primaries = Vec::new();
    for node in &map.nodes {
        primaries.extend(identify(shards, node).await);
    }
    primaries.truncate(255);
    let mut event = Writer::new();
    event.instant(now).byte((on_failover == OnFailover::RaiseEpoch).into());
    event.byte(primaries.len().to_le_bytes()[0]);
    for Primary { run, id, former } in &primaries {
        event.fixed(run).fixed(id).fixed(former);
    }
    let script = &shards.scripts.epoch;
    let bytes = shards.run(script, &[shards.keys.epoch()], &event.done(), true).await?;
    let told = match Reply::of(&bytes)? {
        Reply::Made(told) | Reply::Read(told) => told,
        Reply::Word("replaced") => {
            let replaced = "a primary answers whose place another has taken";
            return Err(StoreError::new(Change::Unchanged, replaced));
        }
        Reply::Again(_) | Reply::Word(_) => return Err(Unreadable("answer").into()),
    };
    let mut told = Reader::new(told);
    let epoch = Epoch(told.instant("epoch")?);
    if told.byte("event")? == 1 {
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
    Ok(epoch)
}

/// Raises the epoch.
pub(crate) async fn raise(shards: &Shards, now: Timestamp) -> Result<Epoch, StoreError> {
    let mut event = Writer::new();
    event.instant(now);
    let script = &shards.scripts.raise_epoch;
    let bytes = shards.run(script, &[shards.keys.epoch()], &event.done(), true).await?;
    match Reply::of(&bytes)? {
        Reply::Made(told) => Ok(Epoch(Reader::new(told).instant("epoch")?)),
        _ => Err(Unreadable("answer").into()),
    }
}

/// Nothing where it does not tell: what is not asked does not pass for gone, unless a stranger is there.
async fn identify(shards: &Shards, node: &Node) -> Option<Primary> {
    // All in one answer: of two, a restart might come between.
    match shards.ask(node, cmd("INFO")).await {
        Ok(Value::BulkString(info)) => primary(&String::from_utf8_lossy(&info)),
        _ => None,
    }
}

fn primary(info: &str) -> Option<Primary> {
    if field(info, "role") != Some("master") {
        return None;
    }
    let id = |text: Option<&str>| text.and_then(decoded);
    Some(Primary {
        run: id(field(info, "run_id")).unwrap_or_default(),
        id: id(field(info, "master_replid"))?,
        former: id(field(info, "master_replid2")).unwrap_or_default(),
    })
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
        let found = primary(&format!("{server}{replication}"));
        assert_eq!(found, Some(Primary { run: [0xab; ID], id: [1; ID], former: [0; ID] }));
        assert_eq!(primary(&replication.replace("master\r", "slave\r")), None);
        assert_eq!(primary("role:master\r\n"), None);
    }
}
