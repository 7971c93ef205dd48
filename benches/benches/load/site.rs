//! An engine on each of the stores, and those who have tokens issued and exchanged.

use std::{
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

use super::{
    calls::{Call, by_arrivals, by_callers, by_threads},
    server::Server,
};

/// So many people have tokens, by turns. All of them are known to the store from the first round on.
const PEOPLE: u32 = 100_000;

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
    pub(crate) server: Server,
    issued: AtomicU32,
}

impl Site {
    pub(crate) fn memory() -> Result<Self, Failure> {
        let store = Arc::new(MemoryStore::new(NonZeroUsize::MAX, SystemClock.now()));
        Ok(Self::new("memory", World::in_memory(store)?, Server::Memory))
    }

    pub(crate) async fn postgres() -> Result<Self, Failure> {
        let (server, pool) = Server::postgres().await?;
        let settings = Settings::default();
        migrate(&pool, &settings.schema).await?;
        let store = PostgresStore::connect(server.options(), settings).await?;
        let world = World::on(Arc::new(store), Arc::new(TokioTimer)).await?;
        Ok(Self::new("postgres", world, Server::Postgres { server, pool }))
    }

    pub(crate) async fn redis() -> Result<Self, Failure> {
        let server = Server::redis().await;
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

    /// Exchanges these tokens. Each is written down as text when its turn comes: that is timed, too.
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
}
