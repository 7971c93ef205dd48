//! The primary is cut off from its replica and goes on serving, then the replica takes over:
//! nothing that was acknowledged is undone where writes wait for the replica. Where they do not,
//! spent tokens can be spent again, until the epoch fence refuses all that was issued before.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what fails here fails the test")]
#![allow(clippy::disallowed_methods, reason = "a window is measured by a clock of its own")]

mod rig;

use std::{
    collections::HashMap,
    sync::{Arc, atomic::AtomicU64},
    time::{Duration, Instant},
};

use mintage::{
    Algorithm, Change, Client, Credential, CredentialId, CredentialType, Denied, Engine, Error,
    Exchange, Identity, IdentityType, IssueOneTime, KeyRing, Lifetime, Parts, Policy, Realm,
    SecretText, SigningKey, Status, SystemClock, TokenStore, TokioTimer, TracingAudit,
    grant::Refusal,
    test_util::{StaticRegistry, StaticResolver},
};
use mintage_storage_redis::{OnFailover, RedisStore, Settings};
use tokio::{
    join,
    task::JoinSet,
    time::{sleep, sleep_until},
};

use self::rig::{
    Server, deadline,
    field::Field,
    load::{Callers, Flaw, Reckoning, Told, moment, rounds, spend, stock},
    proxy::Proxy,
    replicated,
};

#[tokio::test(flavor = "multi_thread")]
async fn where_writes_wait_for_the_replica_no_token_is_spent_again_after_a_failover() {
    let rounds = rounds(10, 50);
    let reckoning = fail_over(rounds, &[], replicated(1, 400)).await;
    println!("{rounds} failovers, WAIT 1: {reckoning}");
    assert!(reckoning.flaws.is_empty(), "{reckoning}");
    assert!(reckoning.spent > 0 && reckoning.unsure > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_writes_do_not_wait_tokens_are_spent_again_after_a_failover() {
    let reckoning = fail_over(2, &[], deadline(400)).await;
    println!("2 failovers, plain: {reckoning}");
    assert!(reckoning.found(Flaw::SpentTwice) > 0, "{reckoning}");
}

/// It refuses writes only when the replica has been silent for seconds, not those that it has not
/// heard of.
#[tokio::test(flavor = "multi_thread")]
async fn min_replicas_to_write_does_not_help() {
    let settings = ["min-replicas-to-write 1", "min-replicas-max-lag 1"];
    let reckoning = fail_over(2, &settings, deadline(400)).await;
    println!("2 failovers, min-replicas-to-write 1: {reckoning}");
    assert!(reckoning.found(Flaw::SpentTwice) > 0, "{reckoning}");
}

/// Cuts the primary off under load and makes its replica the primary, so many times. In between,
/// the primary serves its callers, and its replica hears nothing of it.
async fn fail_over(rounds: u64, settings: &[&str], store: Settings) -> Reckoning {
    let (field, numbers) = (Field::new("failover"), Arc::new(AtomicU64::new(0)));
    let mut primary = Server::start(&[]).await;
    let mut reckoning = Reckoning::default();
    for round in 0..rounds {
        let wire = Proxy::to(primary.port()).await;
        let replica = primary.replica_by(wire.port()).await;
        for setting in settings {
            let (name, value) = setting.split_once(' ').unwrap();
            primary.set(name, value).await;
        }
        let store: Arc<dyn TokenStore> = Arc::new(primary.store_with(store.clone()).await);
        let callers = Callers::start(&store, &field, &numbers);
        sleep(moment(round, 100, 250)).await;
        wire.silence();
        sleep(Duration::from_millis(150)).await;
        // A machine that hangs, or one that is gone.
        if round.is_multiple_of(2) {
            primary.halt();
        } else {
            primary.kill();
        }
        replica.promote().await;
        let histories = callers.stop().await;
        primary.kill();
        primary = replica;
        let promoted: Arc<dyn TokenStore> = Arc::new(primary.store_with(deadline(60_000)).await);
        reckoning.add(Reckoning::of(&promoted, &field, histories).await);
    }
    reckoning
}

/// The replica has heard nothing of a redemption, which the primary holds and shows to all.
/// Whatever is answered from there is taken back by a failover.
#[tokio::test(flavor = "multi_thread")]
async fn a_retry_and_a_refusal_wait_for_the_replica_as_the_redemption_did() {
    const RETRIED: u64 = 0;
    const REFUSED: u64 = 1;
    const ACKNOWLEDGED: u64 = 2;
    const NOBODY_WAITS: u64 = 3;
    const OTHER: u64 = 4;
    let no_answer = Told::Failed(Change::MayHaveHappened);
    let (primary, field) = (Server::start(&[]).await, Field::new("retry"));
    let wire = Proxy::to(primary.port()).await;
    let replica = primary.replica_by(wire.port()).await;
    let store: Arc<dyn TokenStore> = Arc::new(primary.store_with(replicated(1, 10_000)).await);
    let mut histories = stock(&store, &field, 0..4).await;
    histories.sort_unstable_by_key(|history| history.token);
    let [retried, refused, acknowledged, nobody_waits] = &mut histories[..] else {
        panic!("four tokens")
    };
    spend(&*store, &field, acknowledged, ACKNOWLEDGED).await;
    assert!(matches!(acknowledged.attempts[0].1, Told::Granted { retried: false, .. }));

    wire.silence();
    let hasty = primary.store_with(replicated(1, 300)).await;
    join!(
        spend(&hasty, &field, retried, RETRIED),
        spend(&hasty, &field, refused, REFUSED),
        spend(&hasty, &field, nobody_waits, NOBODY_WAITS),
    );
    assert_eq!(retried.attempts, [(RETRIED, no_answer)]);
    assert_eq!(refused.attempts, [(REFUSED, no_answer)]);
    assert_eq!(nobody_waits.attempts, [(NOBODY_WAITS, no_answer)]);

    // Others ask, on connections that have written nothing yet.
    let fresh = primary.store_with(replicated(1, 300)).await;
    join!(
        spend(&fresh, &field, retried, RETRIED),
        spend(&fresh, &field, refused, OTHER),
        spend(&fresh, &field, acknowledged, ACKNOWLEDGED),
    );
    assert_eq!(retried.attempts[1], (RETRIED, no_answer));
    assert_eq!(refused.attempts[1], (OTHER, no_answer));
    assert_eq!(acknowledged.attempts[1], (ACKNOWLEDGED, no_answer));

    // The control: the same question where nobody waits.
    let plain = primary.store().await;
    spend(&plain, &field, nobody_waits, NOBODY_WAITS).await;
    assert!(matches!(nobody_waits.attempts[1].1, Told::Granted { retried: true, .. }));

    primary.halt();
    replica.promote().await;
    let promoted: Arc<dyn TokenStore> = Arc::new(replica.store().await);
    let reckoning = Reckoning::of(&promoted, &field, histories).await;
    assert_eq!(reckoning.flaws, [(NOBODY_WAITS, Flaw::SpentTwice)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_enough_replicas_nothing_is_acknowledged_and_the_retry_is_right() {
    let (primary, field) = (Server::start(&[]).await, Field::new("too-few"));
    let plain: Arc<dyn TokenStore> = Arc::new(primary.store().await);
    let mut histories = stock(&plain, &field, 0..2).await;
    let store = primary.store_with(replicated(1, 300)).await;
    let began = Instant::now();
    spend(&store, &field, &mut histories[0], 5).await;
    assert_eq!(histories[0].attempts, [(5, Told::Failed(Change::MayHaveHappened))]);
    assert!(began.elapsed() < Duration::from_millis(400), "{:?}", began.elapsed());

    let replica = primary.replica().await;
    spend(&store, &field, &mut histories[0], 5).await;
    assert!(matches!(histories[0].attempts[1].1, Told::Granted { retried: true, .. }));
    // More than there are.
    let store = primary.store_with(replicated(2, 300)).await;
    spend(&store, &field, &mut histories[1], 6).await;
    assert_eq!(histories[1].attempts, [(6, Told::Failed(Change::MayHaveHappened))]);
    drop(replica);
}

// ---------------------------------------------------------------------------------------------
// The epoch fence
// ---------------------------------------------------------------------------------------------

/// How many tokens are spent before the failover, and presented again after it, one by one.
const FENCED: usize = 350;
/// How far apart.
const APART: Duration = Duration::from_millis(4);
/// The engine reads the epoch every second; besides, the store has to notice that its server is
/// another, and the machine is busy.
const WINDOW: Duration = Duration::from_millis(1_500);

#[tokio::test(flavor = "multi_thread")]
async fn behind_the_epoch_fence_nothing_is_accepted_that_was_issued_before_it() {
    let rounds = rounds(10, 50);
    let (mut windows, mut before) = (Vec::new(), 0);
    for fenced in in_parallel(rounds, OnFailover::RaiseEpoch).await {
        let Fenced { accepted, after } = fenced;
        let window = accepted.last().copied().unwrap_or_default();
        assert!(window < WINDOW, "{window:?}");
        assert!(after > FENCED / 4, "too few were presented behind the fence: {after}");
        windows.push(window);
        before += accepted.len();
    }
    windows.sort_unstable();
    println!(
        "{rounds} failovers of {FENCED} spent tokens: 0 accepted after the fence, {before} before; \
         the fence came after {:?} (median), {:?} (last)",
        windows[windows.len() / 2],
        windows[windows.len() - 1],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_fence_spent_tokens_are_accepted_to_the_end() {
    let fenced = in_parallel(1, OnFailover::Report).await.remove(0);
    println!("no fence: {} of {FENCED} accepted again", fenced.accepted.len());
    assert_eq!(fenced.accepted.len(), FENCED);
}

/// What became of tokens that were spent before a failover and are presented after it.
struct Fenced {
    /// When each that was accepted again was, after the failover.
    accepted: Vec<Duration>,
    /// How many were refused because they are of an earlier epoch.
    after: usize,
}

/// Rounds wait for most of their time: a few run beside each other.
async fn in_parallel(rounds: u64, on_failover: OnFailover) -> Vec<Fenced> {
    let mut fenced = Vec::new();
    let mut running = JoinSet::new();
    for round in 0..rounds {
        if running.len() == 5 {
            fenced.push(running.join_next().await.unwrap().unwrap());
        }
        running.spawn(fence(round, on_failover));
    }
    fenced.extend(running.join_all().await);
    fenced
}

async fn fence(round: u64, on_failover: OnFailover) -> Fenced {
    let primary = Server::start(&[]).await;
    let link = Proxy::to(primary.port()).await;
    let replica = primary.replica_by(link.port()).await;
    let way = Proxy::to(primary.port()).await;
    let settings = Settings { on_failover, ..deadline(1_000) };
    let engine = engine(RedisStore::connect(way.address(), settings).await.unwrap()).await;

    let tokens = issue(&engine, FENCED).await;
    primary.until_replicated().await;
    link.silence();
    let spent = tokens.iter().map(|token| {
        let (engine, exchange) = (engine.clone(), exchange(token));
        async move { engine.exchange(exchange).await.map(drop) }
    });
    for spent in spent.collect::<JoinSet<_>>().join_all().await {
        spent.unwrap();
    }
    // The engine has read the epoch at some moment of the last second.
    let moment = Instant::now() + moment(round, 0, 1_000);
    while Instant::now() < moment {
        issue(&engine, 1).await;
    }
    replica.promote().await;
    way.lead_to(replica.port());

    let (failover, mut fenced) = (Instant::now(), Fenced { accepted: Vec::new(), after: 0 });
    for (number, token) in (0..).zip(&tokens) {
        sleep_until((failover + APART * number).into()).await;
        loop {
            match engine.exchange(exchange(token)).await {
                Ok(_) => {
                    assert_eq!(fenced.after, 0, "accepted after the fence");
                    fenced.accepted.push(failover.elapsed());
                }
                Err(Error::Denied(Denied::Grant(Refusal::Epoch))) => fenced.after += 1,
                // The way has just been cut.
                Err(Error::Unavailable(_)) => {
                    sleep(APART).await;
                    continue;
                }
                Err(error) => panic!("{error:?}"),
            }
            break;
        }
    }
    // What is issued behind the fence is good.
    for token in issue(&engine, 5).await {
        engine.exchange(exchange(&token)).await.unwrap();
    }
    fenced
}

async fn issue(engine: &Engine, tokens: usize) -> Vec<String> {
    let issued = (0..tokens).map(|number| {
        let engine = engine.clone();
        async move {
            let token = IssueOneTime {
                lifetime: Some(Lifetime::from_mins(5)),
                ..IssueOneTime::new(person(number % PEOPLE), company(), Status::Standard)
            };
            let token = engine.issue_one_time(&client(), token).await.unwrap().token;
            token.to_text().expose().to_owned()
        }
    });
    issued.collect::<JoinSet<_>>().join_all().await
}

/// Each is an attempt of its own.
fn exchange(token: &str) -> Exchange {
    Exchange { token: Some(SecretText::new(token)), ..Exchange::new(client(), company()) }
}

const PEOPLE: usize = 40;

async fn engine(store: RedisStore) -> Engine {
    let people = StaticResolver::default();
    for number in 0..PEOPLE {
        people.link(&client().tenant, &person(number), company());
    }
    let realm = Realm {
        issuer: "https://acme.example".parse().unwrap(),
        audience: "acme-api".parse().unwrap(),
    };
    Engine::start(Parts {
        store: Arc::new(store),
        keys: Arc::new(KeyRing::fixed(SigningKey::generate(Algorithm::EdDsa).unwrap())),
        identities: Arc::new(people),
        clients: Arc::new(StaticRegistry::default()),
        clock: Arc::new(SystemClock),
        timer: Arc::new(TokioTimer),
        audit: Arc::new(TracingAudit),
        policy: Policy::default(),
        tenants: HashMap::from([(client().tenant, realm)]),
    })
    .await
    .unwrap()
}

fn client() -> Client {
    Client { id: "acme-web".parse().unwrap(), tenant: "acme".parse().unwrap() }
}

fn person(number: usize) -> Credential {
    Credential::new(CredentialType::Root, CredentialId::new(&number.to_string()).unwrap())
}

fn company() -> Identity {
    Identity::new(IdentityType::Corporate, "5001".parse().unwrap())
}
