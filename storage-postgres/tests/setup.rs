//! How the tables come to be, and how the store goes.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what fails here fails the test")]

mod rig;

use std::{collections::HashMap, sync::Arc};

use mintage::{
    Algorithm, Change, Engine, Grade, KeyRing, Parts, Policy, Realm, RequiredGrade, SigningKey,
    StoreError, SystemClock, TokenStore as _, TokioTimer, TracingAudit,
    grant::{Redemption, Strength, Verdict},
    test_util::{StaticRegistry, StaticResolver},
};
use mintage_storage_postgres::{PostgresStore, Schema, Settings, SetupError, migrate};
use sqlx::PgPool;

use self::rig::{Server, deadline, field::Field};

async fn works(store: &PostgresStore, name: &str) {
    let field = Field::new(name);
    let issued = store.issue(&field.issue(0, Strength::Standard), &field.cx).await;
    assert!(matches!(issued, Ok(Verdict::Granted { .. })), "{issued:?}");
    let redeemed = store.redeem(&field.redeem(0, 0), &field.cx).await;
    assert!(matches!(redeemed, Ok(Redemption::Redeemed { retried: false, .. })), "{redeemed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_nodes_migrate_at_once() {
    let server = Server::start(&[]).await;
    let nodes: Vec<_> = (0..8)
        .map(|_| {
            let pool = PgPool::connect_lazy_with(server.options());
            tokio::spawn(async move { migrate(&pool, &Schema::default()).await })
        })
        .collect();
    for node in nodes {
        node.await.unwrap().unwrap();
    }
    let applied: i64 = server.value("SELECT count(*) FROM mintage.migrations").await;
    let latest: i32 = server.value("SELECT max(version) FROM mintage.migrations").await;
    assert_eq!(applied, i64::from(latest), "each once");
    works(&server.store().await, "migrated").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_that_are_older_or_newer_are_refused() {
    let server = Server::start(&[]).await;
    let connect = || PostgresStore::connect(server.options(), Settings::default());
    let missing = connect().await.unwrap_err();
    assert!(matches!(missing, SetupError::Outdated { found: 0, .. }), "{missing:?}");
    assert!(missing.to_string().contains("migrate them first"), "{missing}");

    let store = server.store().await;
    server.execute("INSERT INTO mintage.migrations (version) VALUES (99)").await;
    let newer = connect().await.unwrap_err();
    assert!(matches!(newer, SetupError::TooNew { found: 99, .. }), "{newer:?}");
    assert!(newer.to_string().contains("upgrade this node"), "{newer}");
    let pool = PgPool::connect_lazy_with(server.options());
    let newer = migrate(&pool, &Schema::default()).await.unwrap_err();
    assert!(matches!(newer, SetupError::TooNew { found: 99, .. }), "{newer:?}");
    // A node that was there before goes on.
    works(&store, "old-node").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn once_migrated_a_role_needs_no_right_but_to_read_and_write() {
    let server = Server::start(&[]).await;
    drop(server.store().await);
    server
        .execute(
            "CREATE ROLE app LOGIN;
             GRANT USAGE ON SCHEMA mintage TO app;
             GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA mintage TO app;
             REVOKE CREATE ON DATABASE postgres FROM PUBLIC",
        )
        .await;
    let app = server.options().username("app");
    migrate(&PgPool::connect_lazy_with(app.clone()), &Schema::default()).await.unwrap();
    let store = PostgresStore::connect(app, Settings::default()).await.unwrap();
    works(&store, "dml-only").await;
    let now = Field::new("any").cx.now;
    store.raise_epoch(now).await.unwrap();
    assert_eq!(store.epoch(now).await.unwrap().0, now);
    assert_eq!(store.guarantee().await.unwrap().grade, Grade::PowerLossSafe);
    store.purge(10.try_into().unwrap(), mintage::Timestamp::MIN).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schema_may_have_any_name() {
    let server = Server::start(&[]).await;
    for name in ["Tokens of \u{fc}ber-App", "select", "mintage"] {
        let schema: Schema = name.parse().unwrap();
        let store = server.store_with(Settings { schema, ..Settings::default() }).await;
        works(&store, "the-same").await;
    }
    assert!("a\"; DROP TABLE x; --".parse::<Schema>().is_err());
    assert!("o'brien".parse::<Schema>().is_err());
    assert!("".parse::<Schema>().is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_of_the_hosts_tells_how_to_connect() {
    let server = Server::start(&[]).await;
    drop(server.store().await);
    let pool = PgPool::connect_lazy_with(server.options());
    let store = PostgresStore::from_pool(pool.clone(), Settings::default()).await.unwrap();
    works(&store, "pooled").await;
    let shown: String = sqlx::query_scalar("SHOW enable_seqscan").fetch_one(&pool).await.unwrap();
    assert_eq!(shown, "on", "the pool's own connections are left as they are");
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_carries_out_what_waits_and_takes_no_more() {
    let server = Server::start(&[]).await;
    let store = server.store_with(deadline(10_000)).await;
    let field = Field::new("closing");
    let calls: Vec<_> = (0..200)
        .map(|token| {
            let (store, field) = (store.clone(), field.clone());
            tokio::spawn(async move {
                store.issue(&field.issue(token, Strength::Standard), &field.cx).await
            })
        })
        .collect();
    tokio::task::yield_now().await;
    store.close().await;
    let mut carried_out = 0;
    for call in calls {
        match call.await.unwrap() {
            Ok(Verdict::Granted { .. }) => carried_out += 1,
            Err(error) => assert_eq!(error.change(), Change::Unchanged, "{error}"),
            other => panic!("{other:?}"),
        }
    }
    let stored: i64 = server.value("SELECT count(*) FROM mintage.grants").await;
    assert_eq!(stored, carried_out);
    let refused = store.issue(&field.issue(999, Strength::Standard), &field.cx).await.unwrap_err();
    assert!(refused.to_string().contains("the store is closed"), "{refused}");
    let left: i64 = server
        .value("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'")
        .await;
    assert_eq!(left, 1, "only this very question");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_of_a_newer_version_answers_unavailable_and_is_left_alone() {
    let server = Server::start(&[]).await;
    let store = server.store().await;
    let field = Field::new("version");
    for token in 0..2 {
        drop(store.issue(&field.issue(token, Strength::Standard), &field.cx).await.unwrap());
    }
    server.execute("UPDATE mintage.grants SET version = 2").await;
    let (redeem, read) = (field.redeem(0, 0), field.read(0));
    for error in [
        store.redeem(&redeem, &field.cx).await.unwrap_err(),
        store.read(&read, &field.cx).await.unwrap_err(),
        store.revoke(&field.revoke(0), &field.cx).await.unwrap_err(),
        store.issue(&field.issue(0, Strength::Standard), &field.cx).await.unwrap_err(),
    ] {
        assert_eq!(error.change(), Change::Unchanged, "{error}");
        assert!(error.to_string().contains("upgrade this node"), "{error}");
    }
    server.execute("UPDATE mintage.grants SET version = 1").await;
    let redeemed = store.redeem(&redeem, &field.cx).await.unwrap();
    assert!(matches!(redeemed, Redemption::Redeemed { retried: false, .. }), "{redeemed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_demands_more_refuses_at_start_and_names_the_setting() {
    let server = Server::start(&[]).await;
    let store = Arc::new(server.store().await);
    let start = |one_time| {
        let policy = Policy {
            required_grade: RequiredGrade { one_time, stepped_up: Grade::Volatile },
            ..Policy::default()
        };
        let key = SigningKey::generate(Algorithm::EdDsa).unwrap();
        Engine::start(Parts {
            store: store.clone(),
            keys: Arc::new(KeyRing::fixed(key)),
            identities: Arc::new(StaticResolver::default()),
            clients: Arc::new(StaticRegistry::default()),
            clock: Arc::new(SystemClock),
            timer: Arc::new(TokioTimer),
            audit: Arc::new(TracingAudit),
            policy,
            tenants: HashMap::from([("acme".parse().unwrap(), realm())]),
        })
    };
    assert!(start(Grade::PowerLossSafe).await.is_ok());
    let refused = start(Grade::FailoverSafe).await.unwrap_err().to_string();
    assert!(refused.contains("synchronous_standby_names"), "{refused}");
}

fn realm() -> Realm {
    Realm {
        issuer: "https://issuer.example".parse().unwrap(),
        audience: "https://api.example".parse().unwrap(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_promises_less_than_before_is_not_used() {
    let mut server = Server::start(&[]).await;
    let store = server.store().await;
    let field = Field::new("promise");
    assert_eq!(store.guarantee().await.unwrap().grade, Grade::PowerLossSafe);
    server.set(&["fsync = off"]).await;
    server.kill();
    server.launch().await;
    let refused = when_reconnected(&store, &field).await.unwrap_err();
    assert_eq!(refused.change(), Change::Unchanged);
    assert!(refused.to_string().contains("promises less"), "{refused}");
    server.set(&["fsync = on"]).await;
    let issued = when_reconnected(&store, &field).await;
    assert!(matches!(issued, Ok(Verdict::Granted { .. })), "{issued:?}");
}

/// What an issue comes to once each connection of before has been found lost.
async fn when_reconnected(store: &PostgresStore, field: &Field) -> Result<Verdict, StoreError> {
    for _ in 0..20 {
        let issued = store.issue(&field.issue(0, Strength::Standard), &field.cx).await;
        let is_of_before = |error: &StoreError| {
            error.change() == Change::MayHaveHappened || error.to_string().contains("connection")
        };
        match issued {
            Err(error) if is_of_before(&error) => {}
            issued => return issued,
        }
    }
    panic!("it never connects");
}
