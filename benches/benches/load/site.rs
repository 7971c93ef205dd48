//! An engine on each of the stores, its tokens, and what is counted beside it.

use std::{
    fs,
    num::NonZeroUsize,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::Duration,
};

use mintage::{Clock as _, Exchanged, MemoryStore, OneTimeToken, SystemClock, TokioTimer};
use mintage_benches::{Failure, world::World};
use mintage_storage_postgres::{PostgresStore, Settings, migrate};
use sqlx::{PgPool, query_as, raw_sql};

use super::{
    calls::{Call, by_arrivals, by_callers, by_threads},
    counts::{self, Counts},
    postgres_rig, redis_rig, shared,
};

/// So many people have tokens, by turns. All of them are known to the store from the first round on.
const PEOPLE: u32 = 100_000;

/// More files of WAL, 16 MB each, than are filled between two checkpoints here.
const WAL_FILES: u32 = 128;

/// How many callers there are where a store is to do as much as it can.
pub(crate) const MANY: usize = 256;

/// What came of an exchange.
pub(crate) type Answer = Result<Exchanged, Failure>;

/// When the exchanges are made.
#[derive(Debug)]
pub(crate) enum Pace {
    /// So many callers, each of whom goes on when answered.
    Callers(usize),
    /// At these instants, from the start.
    Due(Vec<Duration>),
}

/// An engine on a store.
pub(crate) struct Site {
    pub(crate) name: &'static str,
    pub(crate) world: Arc<World>,
    server: Server,
    issued: AtomicU32,
}

/// Where the store keeps its records.
enum Server {
    Memory,
    Postgres { server: postgres_rig::Server, pool: PgPool },
    Redis(redis_rig::Server),
}

impl Site {
    pub(crate) fn memory() -> Result<Self, Failure> {
        let store = Arc::new(MemoryStore::new(NonZeroUsize::MAX, SystemClock.now()));
        Ok(Self::new("memory", World::in_memory(store)?, Server::Memory))
    }

    /// A server with the settings that the bench `postgres` has, which syncs every commit, and the
    /// files of its WAL ready.
    pub(crate) async fn postgres() -> Result<Self, Failure> {
        let buffers = format!("shared_buffers = {}kB", shared::memory_kb("MemTotal")? / 4);
        let ready = format!("min_wal_size = {}MB", 16 * WAL_FILES);
        let settings = [&*buffers, &*ready, "max_wal_size = 8GB", "wal_compression = lz4"];
        let server = postgres_rig::Server::start(&settings).await;
        let pool = PgPool::connect_lazy_with(server.options());
        let settings = Settings::default();
        migrate(&pool, &settings.schema).await?;
        run_in(&pool).await?;
        let store = PostgresStore::connect(server.options(), settings).await?;
        let world = World::on(Arc::new(store), Arc::new(TokioTimer)).await?;
        Ok(Self::new("postgres", world, Server::Postgres { server, pool }))
    }

    /// A server that keeps nothing on disk, as in the bench `redis`.
    pub(crate) async fn redis() -> Result<Self, Failure> {
        let server = redis_rig::Server::start(&[]).await;
        let store = server.store_with(mintage_storage_redis::Settings::default()).await;
        let world = World::on(Arc::new(store), Arc::new(TokioTimer)).await?;
        Ok(Self::new("redis", world, Server::Redis(server)))
    }

    fn new(name: &'static str, world: World, server: Server) -> Self {
        Self { name, world: Arc::new(world), server, issued: AtomicU32::new(0) }
    }

    /// So many tokens more.
    pub(crate) async fn issue(&self, count: u32) -> Result<Arc<[OneTimeToken]>, Failure> {
        let first = self.issued.fetch_add(count, Ordering::Relaxed);
        let world = Arc::clone(&self.world);
        let issue = move |nth| {
            let person = u32::try_from(nth).map(|nth| (first + nth) % PEOPLE);
            let world = Arc::clone(&world);
            async move { world.issued(person?).await }
        };
        let calls = by_callers(MANY, usize::try_from(count)?, issue).await;
        calls.into_iter().map(|call| call.answer).collect()
    }

    /// Exchanges these tokens. Each is written down as text when its turn comes, which takes 0.1 µs.
    pub(crate) async fn exchange(
        &self,
        tokens: Arc<[OneTimeToken]>,
        pace: Pace,
    ) -> Result<Vec<Call<Answer>>, Failure> {
        let (count, world) = (tokens.len(), Arc::clone(&self.world));
        if let Server::Memory = self.server {
            let exchange = |nth: usize| world.exchange(tokens[nth].to_text());
            let cores = thread::available_parallelism()?.get();
            // No worker of the runtime is kept from anything, for this is no task.
            return match pace {
                Pace::Callers(callers) => by_threads(callers.min(cores), count, None, exchange),
                Pace::Due(due) => by_threads(cores, count, Some(&due), exchange),
            };
        }
        let exchange = move |nth: usize| {
            let (world, text) = (Arc::clone(&world), tokens[nth].to_text());
            async move { world.exchanged(text).await }
        };
        match pace {
            Pace::Callers(callers) => Ok(by_callers(callers, count, exchange).await),
            Pace::Due(due) => by_arrivals(due, exchange).await,
        }
    }

    /// What has been counted so far.
    pub(crate) async fn counts(&self) -> Result<Counts, Failure> {
        let ours = counts::ours()?;
        let mut all =
            vec![("CPU µs, ours, user", ours.user), ("CPU µs, ours, kernel", ours.kernel)];
        let store = match &self.server {
            Server::Memory => return Ok(all),
            Server::Postgres { server, pool } => {
                let first = fs::read_to_string(server.data().join("postmaster.pid"))?;
                // Every statement of the store's that writes is a transaction with a number.
                let counts = "SELECT pg_snapshot_xmax(pg_current_snapshot())::text::float8, \
                              (pg_current_wal_insert_lsn() - '0/0')::float8";
                let (transactions, wal): (f64, f64) = query_as(counts).fetch_one(pool).await?;
                all.extend([("transactions", transactions), ("WAL bytes", wal)]);
                counts::server(first.lines().next().ok_or("the server has no process")?)?
            }
            Server::Redis(server) => {
                let reads = server.field("stats", "total_reads_processed").await.parse()?;
                let scripts = server.field("commandstats", "cmdstat_evalsha").await;
                let scripts = scripts.strip_prefix("calls=").and_then(|rest| rest.split_once(','));
                let (scripts, _) = scripts.ok_or("the server says nothing of scripts")?;
                all.extend([("scripts", scripts.parse()?), ("reads by the server", reads)]);
                counts::server(&server.field("server", "process_id").await)?
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

    /// Brings the store to where new pages of its tables need no image of the whole in the WAL.
    pub(crate) async fn checkpoint(&self) -> Result<(), Failure> {
        if let Server::Postgres { pool, .. } = &self.server {
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
