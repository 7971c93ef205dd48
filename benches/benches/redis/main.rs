//! The store in Redis beside redis-benchmark, on the same server and by turns: what it is worth that
//! calls which wait together travel together, what a call costs that comes alone, and what grants
//! take.
//!
//! redis-benchmark runs the very script of the store, by its SHA, with the keys and the argument that
//! the store was seen to send, and draws the token's number at random: so it meets some tokens twice,
//! as their owners' retries would, which is a little less work. What share these are is printed. What
//! either leaves of a token is compared first; every single answer of the store's is checked, and the
//! server's own counts of scripts, of writes and of redeemed grants must agree.
//!
//! It prints the figures of each part and then `TARGET <name> reached=<x> goal=<op><y> ok|MISSED`.
//! A target that is missed is no failure; what cannot be measured is one.
//!
//! `MINTAGE_BENCH_QUICK=1` only shows that it works. `MINTAGE_BENCH_GRANTS` is how many grants are
//! stored at most: 10 million.

mod best;
mod bytes;
mod field;
mod growth;
mod latency;
#[path = "../../../storage-redis/tests/rig/mod.rs"]
mod rig;
mod same;
#[path = "../shared/mod.rs"]
mod shared;
mod site;
mod speed;
mod spread;
mod stock;
mod wait;
mod yard;

use std::{process::ExitCode, thread, time::Duration};

use crate::{field::Field, rig::Server, shared::Failure, site::Site, yard::Yard};

fn main() -> ExitCode {
    shared::run("redis", measure())
}

async fn measure() -> Result<(), Failure> {
    let sizes = Sizes::wanted()?;
    {
        let site = Site::start(Field::of(sizes.tokens)?).await?;
        introduce(&site.server).await?;
        let yard = Yard::watch(&site, sizes.tokens).await?;
        same::check(&site, &yard).await?;
        site.stock.restore(0..sizes.tokens).await?;
        speed::measure(&site, &yard, sizes).await?;
        latency::measure(&site, &yard, sizes).await?;
    }
    wait::measure(sizes).await?;
    spread::measure(sizes).await?;
    bytes::measure(sizes).await?;
    growth::measure(sizes).await
}

/// How much is measured.
#[derive(Debug, Clone, Copy)]
struct Sizes {
    rounds: u32,
    /// How long each run takes, or about.
    run: Duration,
    /// How many grants there are where their number does not matter.
    tokens: u32,
    /// How many have a token in a round of the cluster's.
    people: u32,
    /// How many grants are stored at most.
    grants: u32,
}

impl Sizes {
    fn wanted() -> Result<Self, Failure> {
        let usual = if shared::is_quick() {
            Self {
                rounds: 2,
                run: Duration::from_millis(300),
                tokens: 100_000,
                people: 10_000,
                grants: 100_000,
            }
        } else {
            Self {
                rounds: 15,
                run: Duration::from_secs(1),
                tokens: 1_000_000,
                people: 30_000,
                grants: 10_000_000,
            }
        };
        Ok(Self { grants: shared::most_grants(usual.grants)?, ..usual })
    }

    /// How many calls take about as long as a run, at so many a second.
    fn calls_at(self, rate: f64) -> Result<u32, Failure> {
        // As many as there would be seconds, if each took one.
        Ok(u32::try_from(self.run.mul_f64(rate).as_secs())?)
    }
}

/// Says what is measured on.
async fn introduce(server: &Server) -> Result<(), Failure> {
    println!("cores: {}", thread::available_parallelism()?);
    for (section, name) in
        [("server", "redis_version"), ("memory", "mem_allocator"), ("memory", "maxmemory_policy")]
    {
        println!("{name}: {}", server.field(section, name).await);
    }
    for name in ["save", "appendonly", "io-threads"] {
        let [name, value]: [String; 2] = server.ask(&["CONFIG", "GET", name]).await?;
        println!("{name}: {value:?}");
    }
    Ok(())
}
