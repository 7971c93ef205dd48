//! A server, the store on it, and its stock of grants.

use std::num::NonZeroU32;

use mintage::{Lifetime, grant::Redeem};
use mintage_storage_redis::{Acknowledge, RedisStore, Settings};

use crate::{
    field::{CONTEXT, Field},
    rig::Server,
    shared::{
        Failure,
        callers::{Until, ask},
        figures::Run,
    },
    stock::Stock,
};

/// All that is needed to measure redemptions through the store.
pub(crate) struct Site {
    pub(crate) server: Server,
    pub(crate) store: RedisStore,
    pub(crate) stock: Stock,
}

impl Site {
    pub(crate) async fn start(field: Field) -> Result<Self, Failure> {
        let server = Server::start(&[]).await;
        let store = store(&server, Acknowledge::Primary).await?;
        let stock = Stock::on(&server, &store, field).await?;
        Ok(Self { server, store, stock })
    }

    /// Another store on the same server, whose writes wait for a replica.
    pub(crate) async fn waiting_store(&self) -> Result<RedisStore, Failure> {
        store(&self.server, Acknowledge::Replicas(NonZeroU32::MIN)).await
    }

    /// So many callers redeem the tokens of those numbers, each one after the other.
    ///
    /// # Errors
    /// Unless every single one is granted for the first time, by one script that has written once.
    pub(crate) async fn redeem(
        &self,
        callers: u32,
        numbers: impl Iterator<Item = u32>,
        until: Until,
    ) -> Result<Run, Failure> {
        self.redeem_through(&self.store, callers, numbers, until).await
    }

    pub(crate) async fn redeem_through(
        &self,
        store: &RedisStore,
        callers: u32,
        numbers: impl Iterator<Item = u32>,
        until: Until,
    ) -> Result<Run, Failure> {
        let events = numbers.map(|number| self.stock.field.redeem(number));
        let events: Vec<Redeem> = events.collect::<Result<_, _>>()?;
        let before = Tally::of(&self.server).await?;
        let run = ask(store, CONTEXT, callers, events, until).await?;
        before.until(&Tally::of(&self.server).await?, run.count)?;
        Ok(run)
    }
}

async fn store(server: &Server, acknowledge: Acknowledge) -> Result<RedisStore, Failure> {
    // On a busy machine too, nothing is to be refused.
    let deadline = Lifetime::from_secs(20);
    let settings = Settings { acknowledge, deadline, ..Settings::default() };
    Ok(RedisStore::connect(server.address(), settings).await?)
}

/// What a server says that it has done.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tally {
    pub(crate) scripts: u64,
    sets: u64,
    /// Microseconds that the scripts took it.
    micros: u64,
}

impl Tally {
    pub(crate) async fn of(server: &Server) -> Result<Self, Failure> {
        let info = server.info("commandstats").await;
        let number = |command: &str, name: &str| {
            let before = format!("cmdstat_{command}:");
            // A command that was never called is not named.
            let Some(line) = info.lines().find_map(|line| line.strip_prefix(&before)) else {
                return Ok(0);
            };
            let mut fields = line.trim_end().split(',').filter_map(|field| field.split_once('='));
            let field =
                fields.find(|(own, _)| *own == name).and_then(|(_, value)| value.parse().ok());
            field.ok_or_else(|| format!("the server says nothing of {name}: {line}"))
        };
        if number("evalsha", "failed_calls")? + number("evalsha", "rejected_calls")? > 0 {
            return Err("scripts have failed".into());
        }
        Ok(Self {
            scripts: number("evalsha", "calls")?,
            sets: number("set", "calls")?,
            micros: number("evalsha", "usec")?,
        })
    }

    /// Since then, so many scripts have run, and each has written once: how many microseconds did
    /// one take?
    pub(crate) fn until(&self, after: &Self, count: u32) -> Result<f64, Failure> {
        let (scripts, sets) = (after.scripts - self.scripts, after.sets - self.sets);
        if scripts != u64::from(count) || sets != u64::from(count) {
            return Err(format!("{count} calls are {scripts} scripts and {sets} writes").into());
        }
        let micros = u32::try_from(after.micros - self.micros)?;
        Ok(f64::from(micros) / f64::from(count))
    }
}
