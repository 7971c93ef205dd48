//! When the database does not answer: the store says so in time, says truly whether the change may
//! have happened, and the same attempt then gets its token.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what fails here fails the test")]
#![allow(clippy::disallowed_methods, reason = "a deadline is measured by a clock of its own")]

mod rig;

use std::{
    process::Command,
    time::{Duration, Instant},
};

use mintage::{
    Change, Grade, StoreError, TokenStore as _,
    grant::{Redemption, Strength, Verdict},
};
use mintage_storage_postgres::{PostgresStore, Settings};
use sqlx::{Connection as _, PgConnection, postgres::PgConnectOptions};

use self::rig::{Server, deadline, field::Field, proxy::Proxy, store_at};

const DEADLINE: u32 = 400;

/// A field of which the tokens are issued.
async fn field(store: &PostgresStore, name: &str, tokens: u64) -> Field {
    let field = Field::new(name);
    for token in 0..tokens {
        let issued = store.issue(&field.issue(token, Strength::Standard), &field.cx).await;
        assert!(matches!(issued, Ok(Verdict::Granted { .. })), "{issued:?}");
    }
    field
}

async fn redeem(
    store: &PostgresStore,
    field: &Field,
    token: u64,
) -> Result<Redemption, StoreError> {
    store.redeem(&field.redeem(token, token), &field.cx).await
}

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
        Err(error) => (error.change(), error.to_string()),
        Ok(answer) => panic!("an answer: {answer:?}"),
    }
}

/// Redeems the first of these tokens for which there is no answer within the deadline and 50 ms:
/// on a busy machine a test may itself be late, but not time after time.
async fn in_time(store: &PostgresStore, field: &Field, tokens: [u64; 3]) -> (Change, String) {
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

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_hangs_costs_the_deadline_and_no_token() {
    let server = Server::start(&[]).await;
    let store = server.store_with(deadline(DEADLINE)).await;
    let field = field(&store, "hangs", 8).await;

    server.halt();
    let (change, _) = in_time(&store, &field, [0, 1, 2]).await;
    assert_eq!(change, Change::MayHaveHappened);
    // Both connections hang by now: what was never sent cannot have happened.
    drop(redeem(&store, &field, 3).await);
    let (change, what) = refused(redeem(&store, &field, 4).await);
    assert_eq!(change, Change::Unchanged, "{what}");

    server.resume();
    tokio::time::sleep(Duration::from_millis(500)).await;
    for token in 0..5 {
        let retried = granted(redeem(&store, &field, token).await);
        assert!(!(retried && token == 4), "it was never sent");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_hangs_on_is_left_with_few_sessions() {
    let server = Server::start(&[]).await;
    let store = server.store_with(deadline(100)).await;
    let field = field(&store, "sessions", 1).await;
    // From now on every commit waits for a standby that is not there.
    server.set(&["synchronous_standby_names = 'nobody'"]).await;
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(8) {
        drop(redeem(&store, &field, 0).await);
    }
    let sessions: i64 = server
        .value("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'")
        .await;
    // Two connections, given up after 0.2, 0.4, 0.8, 1.6 and 3.2 s; at one pace it would be 40 each.
    assert!(sessions <= 16, "{sessions} sessions");
    server.set(&["synchronous_standby_names = ''"]).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    for _ in 0..100 {
        if redeem(&store, &field, 0).await.is_ok() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("it never came back");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_gone_is_told_at_once_and_comes_back() {
    let mut server = Server::start(&[]).await;
    let store = server.store_with(deadline(DEADLINE)).await;
    let field = field(&store, "gone", 4).await;
    server.kill();
    // Each of the connections finds out by itself.
    for _ in 0..2 {
        drop(redeem(&store, &field, 0).await);
    }
    let (change, what) = in_time(&store, &field, [0, 1, 2]).await;
    assert_eq!(change, Change::Unchanged, "{what}");
    assert!(what.contains("no connection"), "{what}");
    server.launch().await;
    granted(redeem(&store, &field, 0).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_cut_off_comes_with_the_same_attempt() {
    let server = Server::start(&[]).await;
    let proxy = Proxy::to(server.port()).await;
    let settings = Settings { connections: 1.try_into().unwrap(), ..deadline(DEADLINE) };
    let store = store_at(server.options().port(proxy.port()), settings).await;
    let field = field(&store, "cut", 2).await;
    // The statement is prepared by now, so that the next answer is that of the redemption.
    granted(redeem(&store, &field, 1).await);
    proxy.cut_the_next_answer();
    let (change, what) = refused(redeem(&store, &field, 0).await);
    assert_eq!(change, Change::MayHaveHappened, "{what}");
    assert!(granted(redeem(&store, &field, 0).await), "it had happened");
    let other = store.redeem(&field.redeem(0, 99), &field.cx).await.unwrap();
    assert_eq!(other, Redemption::Replayed { revoked: false });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_table_is_waited_for_within_the_deadline() {
    let server = Server::start(&[]).await;
    let store = server.store_with(deadline(DEADLINE)).await;
    let field = field(&store, "ddl", 3).await;
    let mut ddl = PgConnection::connect_with(&server.options()).await.unwrap();
    sqlx::raw_sql("BEGIN; LOCK TABLE mintage.grants IN ACCESS EXCLUSIVE MODE")
        .execute(&mut ddl)
        .await
        .unwrap();
    let (change, what) = in_time(&store, &field, [0, 1, 2]).await;
    assert_eq!(change, Change::Unchanged, "{what}");
    assert!(what.contains("locked"), "{what}");
    ddl.close().await.unwrap();
    for token in 0..3 {
        assert!(!granted(redeem(&store, &field, token).await));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_connections_change_nothing() {
    let server = Server::start(&["superuser_reserved_connections = 3"]).await;
    let admin = server.store().await;
    let field = field(&admin, "many", 3).await;
    server.execute("CREATE ROLE app LOGIN; GRANT USAGE ON SCHEMA mintage TO app; GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA mintage TO app; ALTER ROLE app CONNECTION LIMIT 1").await;
    let app = server.options().username("app");
    let store = PostgresStore::connect(app.clone(), deadline(DEADLINE)).await.unwrap();
    // The setup's own connection may still be going away.
    tokio::time::sleep(Duration::from_millis(200)).await;
    let other = PgConnection::connect_with(&app).await.unwrap();
    let (change, what) = in_time(&store, &field, [0, 1, 2]).await;
    assert_eq!(change, Change::Unchanged, "{what}");
    assert!(what.contains("too many connections"), "{what}");
    other.close().await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(!granted(redeem(&store, &field, 0).await));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_is_read_only_and_promises_nothing() {
    let primary = Server::start(&[]).await;
    let store = primary.store().await;
    let field = field(&store, "readonly", 3).await;
    let standby = primary.standby("reader").await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let reader = PostgresStore::connect(standby.options(), deadline(DEADLINE)).await.unwrap();
    let guarantee = reader.guarantee().await.unwrap();
    assert_eq!(guarantee.grade, Grade::Volatile);
    assert!(guarantee.reason.contains("standby"), "{}", guarantee.reason);
    let (change, what) = in_time(&reader, &field, [0, 1, 2]).await;
    assert_eq!(change, Change::Unchanged, "{what}");
    assert!(what.contains("read-only"), "{what}");
    assert!(!granted(redeem(&store, &field, 0).await));
}

/// Has the server fail whenever a token of that credential is written, with this error.
async fn failing(server: &Server, credential: &str, code: &str) {
    let sql = format!(
        "CREATE OR REPLACE FUNCTION mintage.fail() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN
            IF NEW.credential = 'ROOT {credential}' THEN
                RAISE EXCEPTION 'made to fail' USING ERRCODE = '{code}';
            END IF;
            RETURN NEW;
         END $$;
         CREATE OR REPLACE TRIGGER fail BEFORE INSERT OR UPDATE ON mintage.grants
         FOR EACH ROW EXECUTE FUNCTION mintage.fail()"
    );
    let mut connection = PgConnection::connect_with(&server.options()).await.unwrap();
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_of_the_server_undoes_the_statement() {
    let server = Server::start(&[]).await;
    let store = server.store_with(deadline(DEADLINE)).await;
    let field = field(&store, "errors", 8).await;
    let (cases, unchanged) = (["40001", "40P01", "53100", "53200", "57014"], Change::Unchanged);
    for (token, code) in (0..).zip(cases) {
        failing(&server, "0", code).await;
        let (change, what) = refused(redeem(&store, &field, token).await);
        assert_eq!(change, unchanged, "{code}: {what}");
        server.execute("DROP TRIGGER fail ON mintage.grants").await;
        assert!(!granted(redeem(&store, &field, token).await), "{code}");
    }
    // Of one after which the server goes away nobody can tell.
    failing(&server, "0", "57P01").await;
    assert_eq!(refused(redeem(&store, &field, 7).await).0, Change::MayHaveHappened);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_call_that_cannot_be_carried_out_fails_alone() {
    let server = Server::start(&[]).await;
    let settings = Settings { connections: 1.try_into().unwrap(), ..Settings::default() };
    let store = server.store_with(settings).await;
    let field = field(&store, "neighbours", 64).await;
    // Of eight credentials one is at fault.
    failing(&server, "3", "23514").await;
    let all: Vec<_> = (0..64)
        .map(|token| {
            let (store, field) = (store.clone(), field.clone());
            tokio::spawn(async move { redeem(&store, &field, token).await })
        })
        .collect();
    for (token, answer) in (0..).zip(all) {
        let answer = answer.await.unwrap();
        if token / 8 == 3 {
            assert_eq!(refused(answer).0, Change::Unchanged);
        } else {
            granted(answer);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_stays_locked_holds_up_no_other() {
    let server = Server::start(&[]).await;
    let settings = Settings { connections: 2.try_into().unwrap(), ..deadline(4_000) };
    let store = server.store_with(settings).await;
    let field = field(&store, "row-lock", 32).await;
    let mut admin = PgConnection::connect_with(&server.options()).await.unwrap();
    sqlx::raw_sql("BEGIN").execute(&mut admin).await.unwrap();
    let locked = field.redeem(5, 0).id;
    sqlx::query("SELECT FROM mintage.grants WHERE locator = $1 AND tail = $2 FOR UPDATE")
        .bind(&locked.as_bytes()[..12])
        .bind(&locked.as_bytes()[12..])
        .execute(&mut admin)
        .await
        .unwrap();
    let all: Vec<_> = (0..32)
        .map(|token| {
            let (store, field) = (store.clone(), field.clone());
            tokio::spawn(async move { redeem(&store, &field, token).await })
        })
        .collect();
    for (token, answer) in (0..).zip(all) {
        let answer = answer.await.unwrap();
        if token == 5 {
            drop(refused(answer));
        } else {
            granted(answer);
        }
    }
    admin.close().await.unwrap();
    granted(redeem(&store, &field, 5).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_changes_nothing() {
    let disk = SmallDisk::mounted();
    let server = Server::start(&[]).await;
    let store = server.store_with(deadline(5_000)).await;
    let field = field(&store, "disk", 1).await;
    let mut admin = PgConnection::connect_with(&server.options()).await.unwrap();
    for sql in [
        format!("CREATE TABLESPACE small LOCATION '{}'", disk.folder()),
        "ALTER TABLE mintage.grants SET TABLESPACE small".to_owned(),
    ] {
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut admin).await.unwrap();
    }
    let mut full = None;
    for token in 1..20_000 {
        match store.issue(&field.issue(token, Strength::Standard), &field.cx).await {
            Ok(_) => {}
            Err(error) => {
                full = Some((token, error));
                break;
            }
        }
    }
    let (token, error) = full.expect("the disk was never full");
    assert_eq!(error.change(), Change::Unchanged, "{error}");
    assert!(error.to_string().contains("disk is full"), "{error}");
    let lost = store.read(&field.read(token), &field.cx).await.unwrap();
    assert!(matches!(lost, Verdict::Refused(_)), "it was not issued: {lost:?}");
    // What was issued can still be spent, once there is room for it.
    sqlx::raw_sql("ALTER TABLE mintage.grants SET TABLESPACE pg_default")
        .execute(&mut admin)
        .await
        .unwrap();
    assert!(!granted(redeem(&store, &field, token - 1).await));
}

/// A disk of two megabytes, in memory.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mounted() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        rig::run(Command::new("mount").args(["-t", "tmpfs", "-o", "size=2m", "tmpfs"]).arg(path));
        rig::run(Command::new("chown").arg("postgres").arg(path));
        Self(folder)
    }

    fn folder(&self) -> String {
        self.0.path().display().to_string()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: the server may still hold it.
        drop(Command::new("umount").arg("--lazy").arg(self.0.path()).output());
    }
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
    // Sixteen wait, and at most what two connections had taken before.
    assert!(at_once >= 16, "{at_once}");
    server.resume();
}

#[tokio::test(flavor = "multi_thread")]
async fn no_error_shows_a_secret_or_a_password() {
    let server = Server::start(&[]).await;
    let store = server.store_with(deadline(DEADLINE)).await;
    let field = field(&store, "quiet", 1).await;
    failing(&server, "0", "23514").await;
    let error = redeem(&store, &field, 0).await.unwrap_err();
    let shown = format!("{error} {error:?} {store:?}");
    assert!(shown.contains("made to fail"), "{shown}");
    let digest = field.redeem(0, 0).secret.as_bytes().map(|byte| format!("{byte:02x}")).concat();
    assert!(!shown.contains(&digest), "{shown}");
    let options: PgConnectOptions = "postgres://app:hunter2@127.0.0.1:1/x".parse().unwrap();
    let error = PostgresStore::connect(options, deadline(DEADLINE)).await.unwrap_err();
    assert!(!format!("{error} {error:?}").contains("hunter2"));
}
