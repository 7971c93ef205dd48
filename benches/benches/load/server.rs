//! The servers of the stores: how each is started, and what it counts.

use std::fs;

use mintage_benches::{Failure, cpu};
use sqlx::{PgPool, query_as, raw_sql};

use super::{
    counts::{self, Counts},
    postgres_rig, redis_rig, shared,
};

/// More files of WAL, 16 MB each, than are filled between two checkpoints here.
const WAL_FILES: u32 = 128;

/// Where a store keeps its records.
pub(crate) enum Server {
    Memory,
    Postgres { server: postgres_rig::Server, pool: PgPool },
    Redis(redis_rig::Server),
}

impl Server {
    /// With the settings that the bench `postgres` has, of which every commit is synced, and with the
    /// files of its WAL ready.
    pub(crate) async fn postgres() -> Result<(postgres_rig::Server, PgPool), Failure> {
        let buffers = format!("shared_buffers = {}kB", shared::memory_kb("MemTotal")? / 4);
        let ready = format!("min_wal_size = {}MB", 16 * WAL_FILES);
        let settings = [&*buffers, &*ready, "max_wal_size = 8GB", "wal_compression = lz4"];
        let server = postgres_rig::Server::start(&settings).await;
        let pool = PgPool::connect_lazy_with(server.options());
        run_in(&pool).await?;
        Ok((server, pool))
    }

    /// Which keeps nothing on disk, as in the bench `redis`.
    pub(crate) async fn redis() -> redis_rig::Server {
        redis_rig::Server::start(&[]).await
    }

    /// What has been counted so far, of this process and of the server's.
    pub(crate) async fn counts(&self) -> Result<Counts, Failure> {
        let ours = cpu::of("self")?;
        let mut all =
            vec![("CPU µs, ours, user", ours.user), ("CPU µs, ours, kernel", ours.kernel)];
        let store = match self {
            Self::Memory => return Ok(all),
            Self::Postgres { server, pool } => {
                let first = fs::read_to_string(server.data().join("postmaster.pid"))?;
                // Every statement of the store's that writes is a transaction with a number.
                let counts = "SELECT pg_snapshot_xmax(pg_current_snapshot())::text::float8, \
                              (pg_current_wal_insert_lsn() - '0/0')::float8";
                let (transactions, wal): (f64, f64) = query_as(counts).fetch_one(pool).await?;
                all.extend([("transactions", transactions), ("WAL bytes", wal)]);
                cpu::of_family(first.lines().next().ok_or("the server has no process")?)?
            }
            Self::Redis(server) => {
                let reads = server.field("stats", "total_reads_processed").await.parse()?;
                let scripts = server.field("commandstats", "cmdstat_evalsha").await;
                let scripts = scripts.strip_prefix("calls=").and_then(|rest| rest.split_once(','));
                let (scripts, _) = scripts.ok_or("the server says nothing of scripts")?;
                all.extend([("scripts", scripts.parse()?), ("reads by the server", reads)]);
                cpu::of_family(&server.field("server", "process_id").await)?
            }
        };
        let [bytes, packets] = counts::loopback()?;
        all.extend([
            ("CPU µs, store, user", store.user),
            ("CPU µs, store, kernel", store.kernel),
            ("bytes on the wire", bytes),
            ("packets on the wire", packets),
        ]);
        Ok(all)
    }

    /// Brings it to where new pages of its tables need no image of the whole in the WAL.
    pub(crate) async fn checkpoint(&self) -> Result<(), Failure> {
        if let Self::Postgres { pool, .. } = self {
            raw_sql("CHECKPOINT").execute(pool).await?;
        }
        Ok(())
    }
}

/// Has the server fill files of WAL and, by a checkpoint, keep them to be written again, as one does that
/// has run for a day. A fresh one makes each of them when it gets there, and every commit waits for
/// 16 MB to be on the disk.
async fn run_in(pool: &PgPool) -> Result<(), Failure> {
    for _ in 0..WAL_FILES {
        raw_sql("SELECT pg_logical_emit_message(false, '', ''), pg_switch_wal()")
            .execute(pool)
            .await?;
    }
    raw_sql("CHECKPOINT").execute(pool).await?;
    Ok(())
}
