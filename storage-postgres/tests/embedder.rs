//! The program that the store is part of is killed in mid-batch: what it had acknowledged stays so,
//! and the rest is done or undone, never half.
//!
//! The program is this one, run once more for its test [`spends_until_it_is_killed`].

#![allow(clippy::unwrap_used, clippy::panic, reason = "what fails here fails the test")]

mod rig;

use std::{
    env,
    io::{BufRead as _, BufReader},
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use mintage::{Change, TokenStore};
use mintage_storage_postgres::PostgresStore;
use sqlx::postgres::PgConnectOptions;
use tokio::task::JoinSet;

use self::rig::{
    Server, deadline,
    field::Field,
    load::{Flaw, Reckoning, Told, moment, rounds, stock},
    naive::{Answers, NaiveStore},
    once_more, said, say,
};

/// How many tokens a round has: more than a program spends before it is killed.
const TOKENS: u64 = 1_000;
/// How many it spends at a time.
const TASKS: usize = 64;

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_survives_a_crash_of_the_embedder() {
    let rounds = rounds(8, 80);
    let Killed { reckoning, untold } = kill_embedders(rounds, "sound").await;
    println!("{rounds} crashes: {reckoning}; {untold} spent and not told");
    assert!(reckoning.flaws.is_empty(), "{reckoning}");
    // It was killed while statements were under way.
    assert!(reckoning.spent > 0 && untold > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_answers_before_it_has_written_loses_what_it_acknowledged() {
    let Killed { reckoning, .. } = kill_embedders(3, "early").await;
    println!("3 crashes: {reckoning}");
    assert!(reckoning.found(Flaw::SpentTwice) > 0, "{reckoning}");
}

struct Killed {
    reckoning: Reckoning,
    /// How many were spent without that anybody heard of it.
    untold: usize,
}

/// Has a program spend tokens, and kills it, so many times.
async fn kill_embedders(rounds: u64, kind: &str) -> Killed {
    let (server, field) = (Server::start(&[]).await, Field::new("embedder"));
    let store: Arc<dyn TokenStore> = Arc::new(server.store_with(deadline(60_000)).await);
    let mut killed = Killed { reckoning: Reckoning::default(), untold: 0 };
    for round in 0..rounds {
        let tokens = round * TOKENS..(round + 1) * TOKENS;
        let mut histories = stock(&store, &field, tokens.clone()).await;
        let acknowledged = kill_one(&server, round, kind, tokens.clone());
        // What it had sent is still carried out.
        server
            .until("SELECT count(*) = 0 FROM pg_stat_activity WHERE application_name = 'embedder'")
            .await;
        let spent = "SELECT count(*) FROM mintage.grants WHERE state = 'active'";
        let spent = u64::try_from(server.value::<i64>(spent).await).unwrap();
        // Of every round before, all have been spent in the reckoning.
        let untold = (spent - tokens.start).saturating_sub(acknowledged.len() as u64);
        killed.untold += usize::try_from(untold).unwrap();
        for history in &mut histories {
            let told = acknowledged.iter().find(|(token, _)| *token == history.token);
            let told = told.map_or(Told::Failed(Change::MayHaveHappened), |(_, grant)| {
                Told::Granted { grant: *grant, retried: false }
            });
            history.attempts.push((history.token, told));
        }
        killed.reckoning.add(Reckoning::of(&store, &field, histories).await);
    }
    killed
}

/// Runs the program until it has acknowledged some, and kills it. What it has acknowledged: each
/// token and the fingerprint of its grant.
fn kill_one(server: &Server, round: u64, kind: &str, tokens: Range<u64>) -> Vec<(u64, u64)> {
    let mut program = once_more("spends_until_it_is_killed")
        .env("MINTAGE_EMBEDDER", format!("{kind} {} {}", tokens.start, tokens.end))
        .env("MINTAGE_EMBEDDER_SERVER", server.url())
        .spawn()
        .unwrap();
    let enough = 40 + round * 97 % 300;
    let mut acknowledged = Vec::new();
    for line in BufReader::new(program.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        let Some((token, grant)) = said(&line).and_then(|words| words.split_once(' ')) else {
            continue;
        };
        acknowledged.push((token.parse().unwrap(), grant.parse().unwrap()));
        if acknowledged.len() as u64 == enough {
            thread::sleep(moment(round, 0, 4));
            program.kill().unwrap();
        }
    }
    let ended = program.wait().unwrap();
    assert!(!ended.success(), "it spent all its tokens before it was killed");
    acknowledged
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "it is the program that the other tests kill"]
async fn spends_until_it_is_killed() {
    let Ok(task) = env::var("MINTAGE_EMBEDDER") else { return };
    let [kind, first, end] = task.split(' ').collect::<Vec<_>>()[..] else { panic!("{task}") };
    let (next, end) = (Arc::new(AtomicU64::new(first.parse().unwrap())), end.parse().unwrap());
    let options: PgConnectOptions = env::var("MINTAGE_EMBEDDER_SERVER").unwrap().parse().unwrap();
    let options = options.application_name("embedder");
    let sound = PostgresStore::connect(options.clone(), deadline(60_000)).await.unwrap();
    let store: Arc<dyn TokenStore> = if kind == "sound" {
        Arc::new(sound)
    } else {
        Arc::new(NaiveStore::beside(sound, options, Answers::Early))
    };
    let mut tasks = JoinSet::new();
    for _ in 0..TASKS {
        let (store, next) = (Arc::clone(&store), Arc::clone(&next));
        tasks.spawn(async move {
            let field = Field::new("embedder");
            loop {
                let token = next.fetch_add(1, Ordering::Relaxed);
                if token >= end {
                    return;
                }
                let redeem = field.redeem(token, token);
                let told = Told::of_redemption(store.redeem(&redeem, &field.cx).await);
                let Told::Granted { grant, retried: false } = told else { panic!("{told:?}") };
                say(&format!("{token} {grant}"));
            }
        });
    }
    tasks.join_all().await;
}
