//! Whole exchanges through the engine, in memory, in PostgreSQL and in Redis: latency against load in
//! an open loop, and what an exchange costs. See `calls.rs` for from when a latency runs, and
//! `curve.rs` for what the knee is.
//!
//! The client, the engine and the server share the machine's cores. Every one-time token is issued
//! before its run and every answer verified after it; a wrong one fails the measurement. A store that
//! cannot keep up may refuse, which is counted.
//!
//! It prints figures; there are no targets. `MINTAGE_BENCH_QUICK=1` only shows that it works.

#![expect(clippy::duplicate_mod, reason = "the rigs of the two stores share some of their parts")]

pub(crate) mod calls;
mod cost;
mod counts;
mod curve;
#[path = "../../../storage-postgres/tests/rig/mod.rs"]
mod postgres_rig;
#[path = "../../../storage-redis/tests/rig/mod.rs"]
mod redis_rig;
pub(crate) mod round;
mod server;
#[path = "../shared/mod.rs"]
mod shared;
pub(crate) mod site;

use std::process::ExitCode;

use mintage_benches::Failure;

use self::site::Site;

fn main() -> ExitCode {
    shared::run("load", measure())
}

async fn measure() -> Result<(), Failure> {
    let sizes = Sizes::wanted();
    on(Site::memory()?, sizes).await?;
    on(Site::postgres().await?, sizes).await?;
    on(Site::redis().await?, sizes).await
}

/// The server ends with its site, before the next one starts.
async fn on(site: Site, sizes: Sizes) -> Result<(), Failure> {
    let top = curve::top(&site, sizes).await?;
    cost::measure(&site, top, sizes).await?;
    curve::measure(&site, top, sizes).await?;
    cost::purge(&site).await
}

/// How much is measured.
#[derive(Debug, Clone, Copy)]
struct Sizes {
    rounds: u32,
    /// How long a run takes.
    seconds: f64,
    /// How long one takes whose costs are counted.
    costly: f64,
}

impl Sizes {
    fn wanted() -> Self {
        if shared::is_quick() {
            Self { rounds: 1, seconds: 0.2, costly: 0.5 }
        } else {
            Self { rounds: 5, seconds: 1.5, costly: 3.0 }
        }
    }

    /// How many calls a run has, at so many a second.
    fn calls(self, rate: f64) -> u32 {
        whole(rate * self.seconds)
    }

    /// How many one has whose costs are counted.
    fn costly(self, rate: f64) -> u32 {
        whole(rate * self.costly)
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is small")]
fn whole(count: f64) -> u32 {
    count.ceil() as u32
}
