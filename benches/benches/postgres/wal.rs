//! How much is written: the bytes of WAL that issuing and redeeming a grant takes.
//!
//! The tables are made after a checkpoint, and none comes in between, which is checked: so neither
//! side writes an image of a whole page, whose number would depend on the checkpoints alone.

use sqlx::{PgPool, query_scalar};

use crate::{
    Bench,
    shared::{
        Failure, by_turns,
        callers::Until,
        figures::{Goal, figure, target},
    },
    tables::Work::{Issue, Redeem},
    yard::{Length, Log},
};

pub(crate) async fn measure(bench: &Bench) -> Result<(), Failure> {
    let Bench { sizes, pool, .. } = bench;
    bench.refill(0).await?;
    let redo = redo(pool).await?;
    let mut rounds = Vec::new();
    // The first round, in which the tables are still small, is not counted.
    for number in 0..=sizes.rounds {
        eprintln!("WAL: round {} of {}, after one to warm up", number, sizes.rounds);
        let first = number * sizes.logged;
        let both = by_turns(number, by_ours(bench, first), by_yard(bench, first)).await?;
        if number > 0 {
            rounds.push(both);
        }
    }
    if redo != self::redo(pool).await? {
        return Err("there was a checkpoint while WAL was measured".into());
    }

    println!("\nWAL, {} grants a round, without images of whole pages", sizes.logged);
    figure("bytes an issue and redemption, pgbench", rounds.iter().map(|(_, yard)| *yard));
    figure("bytes an issue and redemption, 64 callers", rounds.iter().map(|(ours, _)| *ours));
    target("pg_wal", Goal::AtMost(1.5), rounds.iter().map(|(ours, yard)| ours / yard))
}

/// The bytes for each grant from that number on.
async fn by_ours(Bench { ours, pool, sizes, .. }: &Bench, first: u32) -> Result<f64, Failure> {
    let numbers = first..first + sizes.logged;
    let before = written(pool).await?;
    ours.run(Issue, 64, numbers.clone(), Until::Done).await?;
    ours.run(Redeem, 64, numbers, Until::Done).await?;
    bytes_each(written(pool).await? - before, sizes.logged)
}

async fn by_yard(
    Bench { yard, best, pool, sizes, .. }: &Bench,
    first: u32,
) -> Result<f64, Failure> {
    let before = written(pool).await?;
    for (work, clients) in [(Issue, best.issue.clients), (Redeem, best.redeem.clients)] {
        let length = Length::Each(sizes.logged / clients);
        yard.run(work, clients, first, length, Log::Nothing).await?;
    }
    bytes_each(written(pool).await? - before, sizes.logged)
}

fn bytes_each(bytes: i64, count: u32) -> Result<f64, Failure> {
    Ok(f64::from(u32::try_from(bytes)?) / f64::from(count))
}

/// How many bytes of WAL there are.
async fn written(pool: &PgPool) -> Result<i64, Failure> {
    let bytes = "SELECT (pg_current_wal_insert_lsn() - '0/0')::int8";
    Ok(query_scalar(bytes).fetch_one(pool).await?)
}

/// Where the last checkpoint begins.
async fn redo(pool: &PgPool) -> Result<String, Failure> {
    let redo = "SELECT redo_lsn::text FROM pg_control_checkpoint()";
    Ok(query_scalar(redo).fetch_one(pool).await?)
}
