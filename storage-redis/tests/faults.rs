//! When the server does not answer: the store says so in time, says truly whether the change may
//! have happened, and the same attempt then gets its token.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what fails here fails the test")]
#![allow(clippy::disallowed_methods, reason = "a deadline is measured by a clock of its own")]

mod rig;

use std::{
    error::Error as _,
    time::{Duration, Instant},
};

use mintage::{
    Change, StoreError, TokenStore as _,
    grant::{Redemption, Revocation, Strength, Verdict},
};
use mintage_storage_redis::{RedisStore, Settings};
use tokio::time::sleep;

use self::rig::{Server, deadline, field::Field, proxy::Proxy};

const DEADLINE: u32 = 400;

/// A field of which the tokens are issued.
async fn field(store: &RedisStore, name: &str, tokens: u64) -> Field {
    let field = Field::new(name);
    for token in 0..tokens {
        let issued = store.issue(&field.issue(token, Strength::Standard), &field.cx).await;
        assert!(matches!(issued, Ok(Verdict::Granted { .. })), "{issued:?}");
    }
    field
}

async fn redeem(store: &RedisStore, field: &Field, token: u64) -> Result<Redemption, StoreError> {
    store.redeem(&field.redeem(token, token), &field.cx).await
}

/// Whether it was granted before.
#[track_caller]
fn granted(redemption: Result<Redemption, StoreError>) -> bool {
    match redemption {
        Ok(Redemption::Redeemed { retried, .. }) => retried,
        other => panic!("no grant: {other:?}"),
    }
}

#[track_caller]
fn refused(redemption: Result<Redemption, StoreError>) -> (Change, String) {
    match redemption {
        Err(error) => {
            let beneath = error.source().map(ToString::to_string).unwrap_or_default();
            (error.change(), format!("{error}: {beneath}"))
        }
        Ok(answer) => panic!("an answer: {answer:?}"),
    }
}

/// Redeems the first of these tokens for which there is no answer within the deadline and 50 ms:
/// on a busy machine a test may itself be late, but not time after time.
async fn in_time(store: &RedisStore, field: &Field, tokens: [u64; 3]) -> (Change, String) {
    let mut late = Vec::new();
    for token in tokens {
        let began = Instant::now();
        let refusal = refused(redeem(store, field, token).await);
        let took = began.elapsed();
        if took <= Duration::from_millis(u64::from(DEADLINE) + 50) {
            return refusal;
        }
        late.push(took);
    }
    panic!("late: {late:?}");
}

/// One connection, so that it is known what the next call is sent on.
fn narrow(millis: u32) -> Settings {
    Settings { connections: 1.try_into().unwrap(), ..deadline(millis) }
}

/// A store whose only connection goes through a wire.
async fn wired(server: &Server, millis: u32) -> (RedisStore, Proxy) {
    let wire = Proxy::to(server.port()).await;
    (RedisStore::connect(wire.address(), narrow(millis)).await.unwrap(), wire)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_hangs_costs_the_deadline_and_no_token() {
    let server = Server::start(&[]).await;
    let store = server.store_with(narrow(DEADLINE)).await;
    let field = field(&store, "hangs", 40).await;

    server.halt();
    let (change, _) = in_time(&store, &field, [0, 1, 2]).await;
    assert_eq!(change, Change::MayHaveHappened);
    // The connection is given up at last, and no other comes about: what was never sent cannot have
    // happened.
    let mut sent = 3..40;
    let never_sent = loop {
        let token = sent.next().expect("a connection that hangs was kept");
        if let (Change::Unchanged, _) = in_time(&store, &field, [token; 3]).await {
            break token;
        }
    };
    println!("{} calls were sent to a server that hangs", never_sent - 2);

    server.resume();
    sleep(Duration::from_millis(500)).await;
    for token in 0..=never_sent {
        let retried = granted(redeem(&store, &field, token).await);
        assert!(!(retried && token == never_sent), "it was never sent");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_hangs_on_is_left_with_few_connections() {
    let server = Server::start(&[]).await;
    let wire = Proxy::to(server.port()).await;
    let store = RedisStore::connect(wire.address(), narrow(100)).await.unwrap();
    let field = field(&store, "few", 1).await;
    wire.silence();
    let received = server.connections_received().await;
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(4) {
        drop(redeem(&store, &field, 0).await);
    }
    // Our own question is one of them.
    let tried = server.connections_received().await - received - 1;
    println!("{tried} connections tried in 4 s");
    assert!(tried <= 20, "{tried} connections");
    wire.lead_to(server.port());
    for _ in 0..100 {
        if redeem(&store, &field, 0).await.is_ok() {
            return;
        }
        sleep(Duration::from_millis(50)).await;
    }
    panic!("it never came back");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_gone_is_told_at_once_and_comes_back() {
    let mut server = Server::start(&["appendonly yes", "appendfsync always"]).await;
    let store = server.store_with(deadline(DEADLINE)).await;
    let field = field(&store, "gone", 4).await;
    server.kill();
    // Each of the connections finds out by itself.
    for _ in 0..8 {
        drop(redeem(&store, &field, 0).await);
    }
    let (change, what) = in_time(&store, &field, [0, 1, 2]).await;
    assert_eq!(change, Change::Unchanged, "{what}");
    server.launch().await;
    for token in 0..4 {
        assert!(!granted(redeem_patiently(&store, &field, token).await));
    }
}

/// While a connection is being made anew, a call may still come back unanswered.
async fn redeem_patiently(
    store: &RedisStore,
    field: &Field,
    token: u64,
) -> Result<Redemption, StoreError> {
    for _ in 0..50 {
        match redeem(store, field, token).await {
            Err(error) => assert_eq!(error.change(), Change::Unchanged, "{error}"),
            answer => return answer,
        }
        sleep(Duration::from_millis(20)).await;
    }
    redeem(store, field, token).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_cut_off_comes_with_the_same_attempt() {
    let server = Server::start(&[]).await;
    let (store, wire) = wired(&server, DEADLINE).await;
    let field = field(&store, "cut", 1).await;
    wire.cut_the_next_answer();
    let (change, what) = refused(redeem(&store, &field, 0).await);
    assert_eq!(change, Change::MayHaveHappened, "{what}");
    assert!(granted(redeem(&store, &field, 0).await), "it had happened");
    let other = store.redeem(&field.redeem(0, 99), &field.cx).await.unwrap();
    assert_eq!(other, Redemption::Replayed { revoked: false });
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_long_wire_calls_overlap() {
    let server = Server::start(&[]).await;
    let (store, wire) = wired(&server, 2_000).await;
    let field = field(&store, "long", 64).await;
    wire.delay(Duration::from_millis(50));
    let began = Instant::now();
    let mut calls = Vec::new();
    for token in 0..64 {
        let (store, field) = (store.clone(), field.clone());
        calls.push(tokio::spawn(async move { redeem(&store, &field, token).await }));
        // One after the other, so that none travels with the next.
        sleep(Duration::from_millis(2)).await;
    }
    for call in calls {
        assert!(!granted(call.await.unwrap()));
    }
    let took = began.elapsed();
    println!("64 calls of 100 ms each, begun within 128 ms, took {took:?}");
    // One at a time they would take 6.4 s, and with one batch under way at a time 300 ms at least.
    assert!(took < Duration::from_millis(500), "{took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_wire_that_is_too_long_nothing_is_denied_that_happened() {
    let server = Server::start(&[]).await;
    let (store, wire) = wired(&server, DEADLINE).await;
    let field = field(&store, "too-long", 3).await;
    // There within the deadline, and not back.
    wire.delay(Duration::from_millis(300));
    let (change, what) = in_time(&store, &field, [0, 1, 2]).await;
    assert_eq!(change, Change::MayHaveHappened, "{what}");
    wire.delay(Duration::ZERO);
    sleep(Duration::from_millis(700)).await;
    for token in 0..3 {
        granted(redeem(&store, &field, token).await);
        let other = store.redeem(&field.redeem(token, 99), &field.cx).await.unwrap();
        assert_eq!(other, Redemption::Replayed { revoked: false });
    }
}

/// What the server answers in the place of an answer: each before it has begun to write.
const NOTHING_HAPPENED: &[&str] = &[
    "-NOSCRIPT No matching script. Please use EVAL.\r\n",
    "-BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.\r\n",
    "-LOADING Redis is loading the dataset in memory\r\n",
    "-MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.\r\n",
    "-READONLY You can't write against a read only replica.\r\n",
    "-CLUSTERDOWN The cluster is down\r\n",
    "-TRYAGAIN Multiple keys request during rehashing of slot\r\n",
    "-OOM command not allowed when used memory > 'maxmemory'.\r\n",
    "-NOREPLICAS Not enough good replicas to write.\r\n",
    "-MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist.\r\n",
    "-NOPERM this user has no permissions to run the 'evalsha' command\r\n",
    "-NOAUTH Authentication required.\r\n",
    // As 7.0 and as 6.2 say it.
    "-ERR Script killed by user with SCRIPT KILL... script: 0, on @user_script:1.\r\n",
    "-ERR Error running script (call to f_0): @user_script:1: Script killed by user with \
     SCRIPT KILL...\r\n",
];

#[tokio::test(flavor = "multi_thread")]
async fn an_error_that_came_before_the_first_write_changes_nothing() {
    let server = Server::start(&[]).await;
    let (store, wire) = wired(&server, DEADLINE).await;
    let field = field(&store, "errors", NOTHING_HAPPENED.len() as u64).await;
    for (token, error) in (0..).zip(NOTHING_HAPPENED) {
        wire.answer_scripts(error, u32::MAX);
        let (change, what) = in_time(&store, &field, [token; 3]).await;
        assert_eq!(change, Change::Unchanged, "{error}: {what}");
        println!("{}: {what}", error.trim_end());
        wire.answer_scripts("", 0);
        assert!(!granted(redeem_patiently(&store, &field, token).await), "{error}");
    }
}

/// Those that pass by are not told to the caller.
#[tokio::test(flavor = "multi_thread")]
async fn an_error_that_passes_is_waited_for_within_the_deadline() {
    let server = Server::start(&[]).await;
    let (store, wire) = wired(&server, 2_000).await;
    let passing = &NOTHING_HAPPENED[..7];
    let field = field(&store, "passing", passing.len() as u64).await;
    for (token, error) in (0..).zip(passing) {
        wire.answer_scripts(error, 1);
        assert!(!granted(redeem(&store, &field, token).await), "{error}");
    }
}

/// Of an error that nobody expected, nobody can say whether it came before the first write.
#[tokio::test(flavor = "multi_thread")]
async fn of_an_error_that_is_not_known_nothing_is_denied() {
    let server = Server::start(&[]).await;
    let (store, wire) = wired(&server, DEADLINE).await;
    let field = field(&store, "unknown", 1).await;
    wire.answer_scripts("-ERR out of luck\r\n", 1);
    let (change, what) = in_time(&store, &field, [0; 3]).await;
    assert_eq!(change, Change::MayHaveHappened, "{what}");
    assert!(!granted(redeem_patiently(&store, &field, 0).await));
}

#[tokio::test(flavor = "multi_thread")]
async fn somebodys_endless_script_is_waited_for_until_it_is_killed() {
    // Both names of the setting, old and new, are understood.
    let server = Server::start(&["lua-time-limit 50"]).await;
    let store = server.store_with(deadline(DEADLINE)).await;
    let patient = server.store_with(deadline(5_000)).await;
    let field = field(&store, "busy", 4).await;
    let mut admin = server.connection().await.unwrap();
    let endless = tokio::spawn(async move {
        let mut endless = redis::cmd("EVAL");
        endless.arg("while true do end").arg(0);
        endless.query_async::<()>(&mut admin).await
    });
    sleep(Duration::from_millis(100)).await;
    told(&store, &field, "busy").await;

    let waiting = {
        let field = field.clone();
        tokio::spawn(async move { redeem(&patient, &field, 3).await })
    };
    sleep(Duration::from_millis(200)).await;
    let () = server.ask(&["SCRIPT", "KILL"]).await.unwrap();
    assert!(!granted(waiting.await.unwrap()));
    assert!(endless.await.unwrap().is_err());
    for token in 0..3 {
        assert!(!granted(redeem(&store, &field, token).await));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_has_forgotten_the_scripts_is_given_them_again() {
    let server = Server::start(&[]).await;
    let store = server.store_with(deadline(5_000)).await;
    let field = field(&store, "flushed", 320).await;
    for batch in 0..5 {
        let () = server.ask(&["SCRIPT", "FLUSH"]).await.unwrap();
        let mut calls = Vec::new();
        for token in batch * 64..(batch + 1) * 64 {
            let (store, field) = (store.clone(), field.clone());
            calls.push(tokio::spawn(async move { redeem(&store, &field, token).await }));
        }
        for call in calls {
            assert!(!granted(call.await.unwrap()));
        }
    }
    // Whatever else there is to run, not only what the last calls have loaded.
    let () = server.ask(&["SCRIPT", "FLUSH"]).await.unwrap();
    drop(store.read(&field.read(0), &field.cx).await.unwrap());
    let revoked = store.revoke(&field.revoke(0), &field.cx).await.unwrap();
    assert_eq!(revoked, Revocation::Revoked);
    store.epoch(field.cx.now).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_takes_no_writes() {
    let primary = Server::start(&[]).await;
    let store = primary.store_with(deadline(DEADLINE)).await;
    let field = field(&store, "readonly", 3).await;
    let replica = primary.replica().await;
    let error = RedisStore::connect(replica.address(), deadline(DEADLINE)).await.unwrap_err();
    assert!(error.to_string().contains("replica"), "{error}");

    // A primary that has become one, under a connection that is there.
    replica.promote().await;
    let port = replica.port().to_string();
    let () = primary.ask(&["REPLICAOF", "127.0.0.1", &port]).await.unwrap();
    let (change, what) = in_time(&store, &field, [0, 1, 2]).await;
    assert_eq!(change, Change::Unchanged, "{what}");
    assert!(what.contains("replica"), "{what}");
    let promoted = replica.store().await;
    assert!(!granted(redeem(&promoted, &field, 0).await));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_loading_is_waited_for() {
    // It looks up from its file every thousand bytes, and takes 1 ms for each key: two seconds in all.
    let settings = ["loading-process-events-interval-bytes 1024", "rdbcompression no"];
    let mut server = Server::start(&settings).await;
    let store = server.store_with(deadline(DEADLINE)).await;
    let patient = server.store_with(deadline(10_000)).await;
    let field = field(&store, "loading", 4).await;
    let fill = "for i = 1, 2000 do redis.call('SET', i, string.rep('x', 300)) end";
    let () = server.ask(&["EVAL", fill, "0"]).await.unwrap();
    let () = server.ask(&["SAVE"]).await.unwrap();
    server.kill();
    server.configure("key-load-delay 1000");
    server.launch_only();
    sleep(Duration::from_millis(300)).await;
    told(&store, &field, "loading").await;
    assert!(!granted(redeem(&patient, &field, 3).await));
    for token in 0..3 {
        assert!(!granted(redeem(&store, &field, token).await));
    }
}

/// Callers are told in time that this is why, and that nothing was changed. Not each of them: a call
/// that was sent once more a moment before its deadline may not be answered any more.
async fn told(store: &RedisStore, field: &Field, why: &str) {
    let mut told = Vec::new();
    for token in 0..3 {
        told.push(in_time(store, field, [token; 3]).await);
    }
    let so = |(change, what): &(Change, String)| *change == Change::Unchanged && what.contains(why);
    assert!(told.iter().any(so), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn when_too_many_wait_the_next_is_refused_at_once() {
    let server = Server::start(&[]).await;
    let settings = Settings { waiting: 16.try_into().unwrap(), ..deadline(2_000) };
    let store = server.store_with(settings).await;
    let field = field(&store, "bounded", 8).await;
    server.halt();
    let calls: Vec<_> = (0..64)
        .map(|token| {
            let (store, field) = (store.clone(), field.clone());
            tokio::spawn(async move {
                let began = Instant::now();
                let (change, what) = refused(redeem(&store, &field, token).await);
                (change, what, began.elapsed())
            })
        })
        .collect();
    let mut at_once = 0;
    for call in calls {
        let (change, what, took) = call.await.unwrap();
        if what.contains("too many calls") {
            assert_eq!(change, Change::Unchanged);
            assert!(took < Duration::from_secs(1), "{took:?}");
            at_once += 1;
        }
    }
    assert_eq!(at_once, 64 - 16);
    server.resume();
    // Their places are free again.
    granted(redeem_patiently(&store, &field, 0).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_error_shows_a_secret() {
    let server = Server::start(&[]).await;
    let (store, wire) = wired(&server, DEADLINE).await;
    let field = field(&store, "quiet", 1).await;
    let secret = field.redeem(0, 0).secret;
    let digest = secret.as_bytes().map(|byte| format!("{byte:02x}")).concat();
    let raw = String::from_utf8_lossy(secret.as_bytes()).into_owned();
    for error in NOTHING_HAPPENED.iter().chain(&["-ERR out of luck\r\n"]) {
        wire.answer_scripts(error, u32::MAX);
        let error = redeem(&store, &field, 0).await.unwrap_err();
        let shown = format!("{error} {error:?} {store:?}");
        assert!(!shown.contains(&digest) && !shown.contains(&raw), "{shown}");
        assert!(!shown.contains(&format!("{:?}", secret.as_bytes())), "{shown}");
    }
}

impl Server {
    async fn connections_received(&self) -> u64 {
        self.field("stats", "total_connections_received").await.parse().unwrap()
    }
}
