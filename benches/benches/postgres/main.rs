//! The store in PostgreSQL beside pgbench, on the same server and by turns: what it is worth that
//! calls which wait together travel together, and what it costs a call that comes alone.
//!
//! pgbench does by hand what the store does through its public trait: one row a statement, one
//! statement a transaction, prepared, in tables that the store's own migrations make in a schema
//! called `yard`. What either leaves in its tables is compared first, and every single answer is
//! checked.
//!
//! It prints the figures of each part and then `TARGET <name> reached=<x> goal=<op><y> ok|MISSED`.
//! A target that is missed is no failure; what cannot be measured is one.
//!
//! `MINTAGE_BENCH_QUICK=1` only shows that it works. `MINTAGE_BENCH_GRANTS` is how many grants are
//! stored at most: 10 million.

mod best;
mod field;
mod growth;
mod ours;
#[path = "../../../storage-postgres/tests/rig/mod.rs"]
mod rig;
mod same;
#[path = "../shared/mod.rs"]
mod shared;
mod speed;
mod tables;
mod wal;
mod yard;

use std::{process::ExitCode, thread};

use sqlx::{PgPool, query_scalar, raw_sql};

use crate::{
    best::Best, field::Field, ours::Ours, rig::Server, shared::Failure, tables::Tables, yard::Yard,
};

fn main() -> ExitCode {
    shared::run("postgres", measure())
}

async fn measure() -> Result<(), Failure> {
    let sizes = Sizes::wanted()?;
    // The store's page asks for the first three. The last undoes what the rig has set.
    let buffers = format!("shared_buffers = {}kB", shared::memory_kb("MemTotal")? / 4);
    let settings =
        [&*buffers, "max_wal_size = 8GB", "wal_compression = lz4", "max_connections = 100"];
    let server = Server::start(&settings).await;
    let pool = PgPool::connect_lazy_with(server.options());
    let cores = u32::try_from(thread::available_parallelism()?.get())?;
    introduce(&pool, cores).await?;

    let field = Field::of(10_000)?;
    let tables = Tables::make(&pool, "mintage", &field).await?;
    let ours = Ours::connect(server.options(), tables).await?;
    let tables = Tables::make(&pool, "yard", &field).await?;
    let yard = Yard::new(&server, tables, cores)?;
    same::check(&ours, &yard).await?;
    let bench = Bench { best: Best::find(&yard, sizes).await?, ours, yard, pool, sizes };

    speed::measure(&bench).await?;
    wal::measure(&bench).await?;
    growth::measure(&bench, &server).await
}

/// What the parts of the measurement share.
#[derive(Debug)]
struct Bench {
    ours: Ours,
    yard: Yard,
    best: Best,
    pool: PgPool,
    sizes: Sizes,
}

impl Bench {
    /// Leaves both sides with nothing but so many grants to redeem.
    ///
    /// After a checkpoint: no page of the new tables will then need an image of the whole, and
    /// unless minutes pass, none comes while something is measured.
    async fn refill(&self, grants: u32) -> Result<(), Failure> {
        raw_sql("CHECKPOINT").execute(&self.pool).await?;
        self.ours.tables.refill(0..grants).await?;
        self.yard.tables.refill(0..grants).await
    }
}

/// How much is measured.
#[derive(Debug, Clone, Copy)]
struct Sizes {
    rounds: u32,
    /// Of each run.
    seconds: u32,
    /// How many rows each side issues and redeems in a round to have its WAL measured.
    logged: u32,
    /// How many grants are stored at most.
    grants: u32,
}

impl Sizes {
    fn wanted() -> Result<Self, Failure> {
        let usual = if shared::is_quick() {
            Self { rounds: 2, seconds: 1, logged: 2 * 640, grants: 100_000 }
        } else {
            Self { rounds: 15, seconds: 1, logged: 30 * 640, grants: 10_000_000 }
        };
        Ok(Self { grants: shared::most_grants(usual.grants)?, ..usual })
    }
}

/// Says what is measured on.
async fn introduce(pool: &PgPool, cores: u32) -> Result<(), Failure> {
    println!("cores: {cores}");
    for setting in [
        "server_version",
        "shared_buffers",
        "max_wal_size",
        "wal_compression",
        "fsync",
        "synchronous_commit",
    ] {
        let value: String =
            query_scalar("SELECT current_setting($1)").bind(setting).fetch_one(pool).await?;
        println!("{setting}: {value}");
    }
    Ok(())
}
