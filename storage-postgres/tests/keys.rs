//! Nodes that share a key ring through PostgreSQL turn it over as one, and what they keep there
//! tells nobody a key.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "what fails here fails the test")]

mod rig;

use std::{
    collections::BTreeSet, error::Error, fmt::Write as _, pin::pin, task::Poll, time::Duration,
};

use mintage::{
    Algorithm, KeyError, KeyErrorKind, KeyId, KeyPhase, KeyProvider as _, Lifetime,
    RotationSchedule, SigningKey, Timestamp, VerifyingKey,
};
use mintage_storage_postgres::{
    InvalidKeySettings, KeyEncryptionKey, KeyEncryptionKeys, KeySettings, OpenKeysError,
    PostgresKeys, Schema, migrate,
};
use rig::Server;
use sqlx::{PgPool, postgres::PgPoolOptions};

const SCHEDULE: RotationSchedule = RotationSchedule {
    publish_ahead: Lifetime::from_secs(60),
    sign_for: Lifetime::from_secs(120),
    verify_for: Lifetime::from_secs(150),
};

fn second(seconds: u32) -> Timestamp {
    Timestamp::from_millis(1_800_000_000_000).after(Lifetime::from_secs(seconds))
}

fn kek(id: &str) -> KeyEncryptionKey {
    // As good as random, and the same for every node.
    let mut secret = [0xA5; 32];
    secret[..id.len()].copy_from_slice(id.as_bytes());
    KeyEncryptionKey::new(id, &secret).unwrap()
}

fn keks(current: &str, others: &[&str]) -> KeyEncryptionKeys {
    KeyEncryptionKeys { current: kek(current), others: others.iter().map(|id| kek(id)).collect() }
}

fn pool(server: &Server) -> PgPool {
    PgPoolOptions::new().max_connections(2).connect_lazy_with(server.options())
}

async fn server() -> Server {
    let server = Server::start(&[]).await;
    migrate(&pool(&server), &Schema::default()).await.unwrap();
    server
}

async fn open(
    server: &Server,
    keks: KeyEncryptionKeys,
    now: Timestamp,
) -> Result<PostgresKeys, OpenKeysError> {
    PostgresKeys::open(pool(server), keks, KeySettings::new(SCHEDULE), now).await
}

async fn node(server: &Server, now: Timestamp) -> PostgresKeys {
    open(server, keks("one", &[]), now).await.unwrap()
}

async fn signer(node: &PostgresKeys, now: Timestamp) -> KeyId {
    node.signing_key(None, now).await.unwrap().key_ref().kid
}

async fn kids(node: &PostgresKeys, now: Timestamp) -> BTreeSet<KeyId> {
    node.verifying_keys(now).await.unwrap().iter().map(VerifyingKey::kid).collect()
}

/// What each signs, every other accepts.
async fn agree(nodes: &[PostgresKeys], now: Timestamp) {
    for signing in nodes {
        let key = signing.signing_key(None, now).await.unwrap();
        let signature = key.sign(b"token").await.unwrap();
        for accepting in nodes {
            let keys = accepting.verifying_keys(now).await.unwrap();
            let known = keys.get(&key.key_ref().kid).expect("a key that every node knows");
            assert!(known.verify(b"token", &signature));
        }
    }
}

/// Polls the future so many times and drops it, wherever it is; says whether it had ended.
async fn cut<F: Future>(future: F, polls: usize) -> bool {
    let mut future = pin!(future);
    let mut polled = 0;
    std::future::poll_fn(|cx| {
        polled += 1;
        match future.as_mut().poll(cx) {
            Poll::Ready(_) => Poll::Ready(true),
            Poll::Pending if polled == polls => Poll::Ready(false),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// The error and all that caused it.
fn told(error: &(dyn Error + 'static)) -> String {
    let mut text = format!("{error} {error:?}");
    let mut cause = error.source();
    while let Some(error) = cause {
        write!(text, " {error} {error:?}").unwrap();
        cause = error.source();
    }
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_that_rotate_at_once_turn_the_ring_over_as_one() {
    let server = server().await;
    let mut nodes = Vec::new();
    for _ in 0..4 {
        nodes.push(node(&server, second(0)).await);
    }
    let mut signed = BTreeSet::new();
    for now in (0..=1320).step_by(30).map(second) {
        let rotations = tokio::join!(
            nodes[0].rotate(now),
            nodes[1].rotate(now),
            nodes[2].rotate(now),
            nodes[3].rotate(now),
        );
        <[Result<(), KeyError>; 4]>::from(rotations).into_iter().for_each(Result::unwrap);
        // None has read the ring again since: each has at hand what all of them made of it.
        let ring = nodes[0].phases(now).await.unwrap();
        for node in &nodes {
            assert_eq!(node.phases(now).await.unwrap(), ring);
        }
        assert!(ring.len() <= 4, "{ring:?}");
        agree(&nodes, now).await;
        signed.insert(signer(&nodes[0], now).await);
    }
    assert!(signed.len() > 10, "{} keys", signed.len());
    let revision: i64 = server.value("SELECT revision FROM mintage.key_ring").await;
    let changes = 1 + 2 * i64::try_from(signed.len()).unwrap();
    assert!(revision <= changes, "{revision}: a key is drawn once, and dropped once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_dies_in_the_middle_of_a_rotation_holds_nobody_up() {
    let server = server().await;
    let (dying, living) = (node(&server, second(0)).await, node(&server, second(0)).await);
    let nodes = [dying, living];
    let (mut cuts, mut ended) = (0, 0);
    // A successor is due every 120 s, and each of them is drawn by somebody.
    for round in 0..24_u32 {
        let now = second(60 + 120 * round);
        let polls = 1 + usize::try_from(round).unwrap() % 12;
        let finished = cut(nodes[0].rotate(now), polls).await;
        *(if finished { &mut ended } else { &mut cuts }) += 1;
        nodes[1].rotate(now).await.unwrap();
        let ring = nodes[1].phases(now).await.unwrap();
        assert_eq!(ring.last().unwrap().1, KeyPhase::Next, "{ring:?}");
        agree(&nodes, now).await;
        agree(&nodes, now.after(Lifetime::from_secs(60))).await;
    }
    assert!(cuts >= 4 && ended >= 1, "{cuts} cut, {ended} ended");
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_that_open_at_once_have_one_first_key() {
    let server = server().await;
    let opening: Vec<_> = (0..12)
        .map(|_| {
            let (pool, keks) = (pool(&server), keks("one", &[]));
            let settings = KeySettings::new(SCHEDULE);
            tokio::spawn(PostgresKeys::open(pool, keks, settings, second(0)))
        })
        .collect();
    let mut first = BTreeSet::new();
    for node in opening {
        first.append(&mut kids(&node.await.unwrap().unwrap(), second(0)).await);
    }
    assert_eq!(first.len(), 1);
    let rows: i64 = server.value("SELECT count(*) FROM mintage.keys").await;
    let revision: i64 = server.value("SELECT revision FROM mintage.key_ring").await;
    assert_eq!((rows, revision), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_distrusted_key_is_refused_by_the_other_node_within_the_refresh() {
    let server = server().await;
    let (here, there) = (node(&server, second(0)).await, node(&server, second(0)).await);
    here.rotate(second(60)).await.unwrap();
    let (first, now) = (signer(&here, second(60)).await, second(61));
    assert!(kids(&there, now).await.contains(&first));

    here.distrust(&first, now).await.unwrap();
    assert!(!kids(&here, now).await.contains(&first));
    let then = now.after(Lifetime::from_secs(10));
    assert!(!kids(&there, then).await.contains(&first));
    assert_eq!(signer(&there, then).await, signer(&here, then).await);
    let error = there.signing_key(Some(&first), then).await.unwrap_err();
    assert_eq!(error.kind(), KeyErrorKind::UnknownKey);
    let error = there.distrust(&first, then).await.unwrap_err();
    assert_eq!(error.kind(), KeyErrorKind::UnknownKey, "it is gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_stops_waiting_for_a_distrust_does_not_trust_the_key_once_it_is_gone() {
    let server = server().await;
    let node = node(&server, second(0)).await;
    let now = second(1);
    let mut gone = 0;
    for polls in (1..16).cycle().take(90) {
        let key = signer(&node, now).await;
        let ended = cut(node.distrust(&key, now), polls).await;
        // What was sent before the cut, the server carries out.
        tokio::time::sleep(Duration::from_millis(10)).await;
        let rows: Vec<Vec<u8>> = server.value("SELECT array_agg(kid) FROM mintage.keys").await;
        if !rows.contains(&key.as_bytes().to_vec()) {
            assert!(!kids(&node, now).await.contains(&key));
            gone += u32::from(!ended);
        }
    }
    assert!(gone > 0, "no cut fell between what was sent and its answer");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_not_at_hand_is_looked_for_once() {
    let server = server().await;
    let (here, there) = (node(&server, second(0)).await, node(&server, second(0)).await);
    here.distrust(&signer(&here, second(1)).await, second(1)).await.unwrap();
    let fresh = signer(&here, second(1)).await;
    assert!(!kids(&there, second(1)).await.contains(&fresh));
    assert!(there.signing_key(Some(&fresh), second(1)).await.is_ok());
    assert!(kids(&there, second(1)).await.contains(&fresh));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_encryption_key_is_replaced_while_nodes_run() {
    let server = server().await;
    let old = node(&server, second(0)).await;
    let first = signer(&old, second(0)).await;
    let both = open(&server, keks("two", &["one"]), second(1)).await.unwrap();
    let sealed = "SELECT string_agg(DISTINCT kek, ' ') FROM mintage.keys";
    assert_eq!(server.value::<String>(sealed).await, "one", "to open is not to rotate");

    both.rotate(second(2)).await.unwrap();
    assert_eq!(server.value::<String>(sealed).await, "two");
    let new = open(&server, keks("two", &[]), second(3)).await.unwrap();
    assert_eq!(signer(&new, second(3)).await, first);
    new.rotate(second(60)).await.unwrap();
    agree(&[both, new], second(60)).await;

    let error = open(&server, keks("one", &[]), second(61)).await.unwrap_err();
    let told = told(&error);
    assert!(told.contains("`two`") && told.contains(&first.to_string()), "{told}");
    // The one that was forgotten goes on with what it has, and says why it then stops.
    assert!(old.verifying_keys(second(59)).await.is_ok());
    let error = old.verifying_keys(second(62)).await.unwrap_err();
    assert_eq!(error.kind(), KeyErrorKind::Rejected);
    assert!(error.source().unwrap().to_string().contains("`two`"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_was_changed_swapped_or_put_back_is_refused() {
    let server = server().await;
    let node = node(&server, second(0)).await;
    node.rotate(second(60)).await.unwrap();
    let first = signer(&node, second(60)).await;
    server.execute("CREATE TABLE sound AS SELECT * FROM mintage.keys").await;
    let restore = "DELETE FROM mintage.keys; INSERT INTO mintage.keys SELECT * FROM sound";

    let changes = [
        "UPDATE mintage.keys SET signs_from = signs_from - 1",
        "UPDATE mintage.keys SET signs_until = signs_until + 1",
        "UPDATE mintage.keys SET signs_until = NULL WHERE signs_until IS NOT NULL",
        "UPDATE mintage.keys SET version = 0",
        "UPDATE mintage.keys SET algorithm = 'Ed25519'",
        "UPDATE mintage.keys SET kid = sha256(kid)",
        "UPDATE mintage.keys SET kek = 'other'",
        "UPDATE mintage.keys SET sealed = set_byte(sealed, 0, get_byte(sealed, 0) # 1)",
        "UPDATE mintage.keys SET sealed = set_byte(sealed, 40, get_byte(sealed, 40) # 1)",
        "UPDATE mintage.keys SET sealed = set_byte(sealed, 71, get_byte(sealed, 71) # 1)",
        "UPDATE mintage.keys SET sealed = sealed || '\\x00'",
        "UPDATE mintage.keys SET sealed = ''",
        "UPDATE mintage.keys k SET sealed = s.sealed FROM sound s WHERE s.kid <> k.kid",
        "UPDATE mintage.keys SET version = 2",
    ];
    for change in changes {
        server.execute(change).await;
        let error = open(&server, keks("one", &["other"]), second(61)).await.expect_err(change);
        assert!(matches!(error, OpenKeysError::Keys(_)), "{error:?}");
        let rotated = node.rotate(second(61)).await.expect_err(change);
        assert_eq!(rotated.kind(), KeyErrorKind::Rejected);
        server.execute(restore).await;
        node.rotate(second(61)).await.unwrap();
    }

    node.distrust(&first, second(62)).await.unwrap();
    let put_back = "INSERT INTO mintage.keys SELECT * FROM sound ON CONFLICT DO NOTHING";
    server.execute(put_back).await;
    let error = open(&server, keks("one", &[]), second(63)).await.unwrap_err();
    assert!(told(&error).contains(&first.to_string()), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_row_no_debug_and_no_error_shows_a_seed() {
    // 32 bytes of one value cannot hide.
    let secret = KeyEncryptionKey::new("shown", &[0xEE; 32]).unwrap();
    assert_eq!(format!("{secret:?}"), "KeyEncryptionKey(\"shown\")");

    let server = server().await;
    let node = node(&server, second(0)).await;
    node.rotate(second(60)).await.unwrap();
    let columns: Vec<Vec<u8>> = server
        .value(
            "SELECT array_agg(bytes) FROM mintage.keys CROSS JOIN LATERAL (VALUES
                 (kid), (sealed), (convert_to(algorithm || kek, 'UTF8')),
                 (int8send(signs_from) || int8send(coalesce(signs_until, 0)))
             ) AS columns(bytes)",
        )
        .await;
    // A seed in clear would grow into its key, wherever it began.
    let kids = kids(&node, second(60)).await;
    assert_eq!((kids.len(), columns.len()), (2, 8));
    for seed in columns.iter().flat_map(|bytes| bytes.windows(32)) {
        let grown = SigningKey::from_seed(seed.try_into().unwrap(), Algorithm::EdDsa);
        assert!(!kids.contains(&grown.key_ref().kid));
    }
    let shown = format!("{node:?}");
    assert!(!shown.contains("165, 165") && !shown.to_lowercase().contains("a5a5a5"), "{shown}");
    assert!(shown.contains("KeyEncryptionKey(\"one\")"), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_database_a_node_goes_on_for_a_bounded_while() {
    let mut server = server().await;
    let node = node(&server, second(0)).await;
    let first = signer(&node, second(0)).await;
    server.kill();
    assert!(kids(&node, second(9)).await.contains(&first));
    assert!(kids(&node, second(59)).await.contains(&first));
    assert_eq!(signer(&node, second(59)).await, first);
    for now in [second(60), second(600)] {
        let error = node.verifying_keys(now).await.unwrap_err();
        assert_eq!(error.kind(), KeyErrorKind::Unavailable);
        let error = node.signing_key(None, now).await.unwrap_err();
        assert_eq!(error.kind(), KeyErrorKind::Unavailable);
    }
    assert!(node.rotate(second(60)).await.is_err());
    server.launch().await;
    assert!(kids(&node, second(700)).await.contains(&first));
    node.rotate(second(700)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_hangs_is_waited_for_once() {
    let server = server().await;
    let node = node(&server, second(0)).await;
    server.halt();
    let began = tokio::time::Instant::now();
    let asked = tokio::join!(
        node.verifying_keys(second(30)),
        node.verifying_keys(second(30)),
        node.verifying_keys(second(31)),
    );
    assert!(asked.0.is_ok() && asked.1.is_ok() && asked.2.is_ok());
    assert!(began.elapsed() < Duration::from_millis(1900), "{:?}", began.elapsed());
    server.resume();
    assert!(node.verifying_keys(second(60)).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_that_contradict_each_other_are_refused() {
    let refused = async |keks, change: fn(&mut KeySettings)| {
        let mut settings = KeySettings::new(SCHEDULE);
        change(&mut settings);
        let nowhere = PgPoolOptions::new()
            .connect_lazy_with(sqlx::postgres::PgConnectOptions::new_without_pgpass().port(1));
        match PostgresKeys::open(nowhere, keks, settings, second(0)).await.unwrap_err() {
            OpenKeysError::Settings(error) => error,
            other => panic!("{other:?}"),
        }
    };
    let one = || keks("one", &[]);
    assert_eq!(
        refused(one(), |s| s.outlast = s.refresh).await,
        InvalidKeySettings::OutlastsTooLittle
    );
    assert_eq!(
        refused(one(), |s| s.outlast = Lifetime::from_secs(61)).await,
        InvalidKeySettings::PublishedTooLate
    );
    let schedule = refused(one(), |s| s.schedule.sign_for = Lifetime::ZERO).await;
    assert!(matches!(schedule, InvalidKeySettings::Schedule(_)));
    assert_eq!(
        refused(keks("one", &["two", "one"]), |_| ()).await,
        InvalidKeySettings::AmbiguousKek("one".to_owned())
    );
}
