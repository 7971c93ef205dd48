//! What it costs that many grants are stored: the same redemptions among few and among many.
//!
//! The few are stored anew for every round, so no page of theirs needs an image of the whole after
//! a checkpoint. The many are stored once, before the last checkpoint, and a redemption among them
//! is most often the first to write its page, and writes such an image. That is what many grants
//! cost, so it counts.

use sqlx::raw_sql;

use crate::{
    Bench,
    field::Field,
    ours::Ours,
    rig::Server,
    shared::{
        Failure, by_turns,
        callers::{Until, picks},
        figures::{Goal, figure, target},
    },
    tables::{Tables, Work::Redeem},
};

/// How many grants are few. A round redeems so many.
const FEW: u32 = 10_000;
/// How many grants are filled in at a time.
const AT_ONCE: u32 = 250_000;

pub(crate) async fn measure(bench: &Bench, server: &Server) -> Result<(), Failure> {
    let (many, rounds) = (bench.sizes.grants, bench.sizes.rounds);
    if many < (rounds + 1) * FEW {
        return Err(format!("{many} grants are not enough for {rounds} rounds").into());
    }
    let among_few = store(bench, server, "few", FEW).await?;
    let among_many = store(bench, server, "many", many).await?;
    fill(&among_many.tables, many).await?;
    raw_sql("CHECKPOINT").execute(&bench.pool).await?;

    let mut all = picks(many);
    let mut times = Vec::new();
    // The first round is not counted.
    for number in 0..=rounds {
        eprintln!("growth: round {number} of {rounds}, after one to warm up");
        among_few.tables.refill(0..FEW).await?;
        let both =
            by_turns(number, time(&among_few, picks(FEW)), time(&among_many, all.by_ref())).await?;
        if number > 0 {
            times.push(both);
        }
    }
    let redeemed = among_many.tables.count(Redeem).await?;
    if redeemed != (rounds + 1) * FEW {
        return Err(format!("{redeemed} grants are redeemed, which is wrong").into());
    }

    println!("\nGrowth, 64 callers, {FEW} random grants a round among {FEW} and among {many}");
    figure("redemption, µs of the store's time, few", times.iter().map(|(few, _)| *few));
    figure("redemption, µs of the store's time, many", times.iter().map(|(_, many)| *many));
    target("pg_growth", Goal::AtMost(1.3), times.iter().map(|(few, many)| many / few))
}

/// A store of its own, with ten grants a credential.
async fn store(
    bench: &Bench,
    server: &Server,
    schema: &'static str,
    grants: u32,
) -> Result<Ours, Failure> {
    let tables = Tables::make(&bench.pool, schema, &Field::of(grants / 10)?).await?;
    Ours::connect(server.options(), tables).await
}

async fn fill(tables: &Tables, grants: u32) -> Result<(), Failure> {
    tables.refill(0..0).await?;
    for first in (0..grants).step_by(AT_ONCE as usize) {
        eprintln!("growth: {first} of {grants} grants are stored");
        tables.add(first..grants.min(first + AT_ONCE)).await?;
    }
    tables.execute("VACUUM (ANALYZE) mintage.heads, mintage.grants").await
}

/// Redeems the next few grants, and says how many microseconds passed for each.
async fn time(ours: &Ours, numbers: impl Iterator<Item = u32> + Send) -> Result<f64, Failure> {
    let run = ours.measure(Redeem, 64, numbers.take(FEW as usize), Until::Done).await?;
    if run.count == FEW { Ok(1e6 / run.rate) } else { Err("not all were redeemed".into()) }
}
