//! How the server carries the statements out, with a million grants stored.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what fails here fails the test")]

mod rig;

use mintage_storage_postgres::{Schema, statements};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, Row as _};

use self::rig::Server;

/// Plain SQL for what a bulk load of grants looks like; the token `n` has the locator of `n / 10`.
const MILLION: &str = "
    INSERT INTO mintage.heads (
        version, locator, generation, tenant, credential, revoked_to, revoked_at, keep_until
    )
    SELECT 1, substr(sha256(int8send(n)), 1, 12), '\\x00'::bytea, 'acme', 'ROOT ' || n, 0, 0, 2e12
    FROM generate_series(0, 99999) n;
    INSERT INTO mintage.grants (
        version, locator, tail, tenant, client, credential, auth_time, secret, epoch, generation,
        issued_at, keep_until, state, identity, expires_at, seen_at
    )
    SELECT 1, substr(sha256(int8send(n / 10)), 1, 12), substr(sha256(int8send(n)), 1, 12), 'acme',
           'web', 'ROOT ' || n / 10, 1e12, sha256(int8send(n)), 1, '\\x00'::bytea, 1e12, 2e12,
           'issued', 'CORPORATE 1', 2e12, 1e12
    FROM generate_series(0, 999999) n;
    VACUUM ANALYZE;
";

/// A redemption of one token.
const ONE: &str = "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) EXECUTE redeem(
    array[substr(sha256(int8send(4242)), 1, 12)], array[substr(sha256(int8send(42424)), 1, 12)],
    array[sha256(int8send(42424))], '{acme}', '{web}', '{CORPORATE 1}', '{t}',
    array[sha256('attempt')], '{t}', '{1500000000000}', '{1600000000000}', '{NULL}',
    array[sha256('minted')], '{1200000000000}', '{1200000005000}', '{1100000000000}', '{1}')";

#[tokio::test(flavor = "multi_thread")]
async fn every_statement_goes_by_the_primary_key() {
    let server = Server::start(&["fsync = off", "max_wal_size = 4GB", "autovacuum = off"]).await;
    drop(server.store().await);
    for statement in MILLION.split_inclusive(';') {
        server.execute(statement).await;
    }
    let mut connection = PgConnection::connect_with(&server.options()).await.unwrap();
    connection.execute(sqlx::raw_sql(mintage_storage_postgres::SESSION)).await.unwrap();
    for (name, sql) in statements(&Schema::default()) {
        let prepare = format!("PREPARE {name} AS {sql}");
        connection.execute(sqlx::raw_sql(AssertSqlSafe(prepare))).await.unwrap_or_else(|error| {
            panic!("{name} cannot be planned: {error}");
        });
        let parameters = sql.matches('$').count();
        let nulls = vec!["NULL"; most_parameter(&sql)].join(", ");
        let arguments = if parameters == 0 { String::new() } else { format!("({nulls})") };
        let plan = explained(&mut connection, &format!("EXPLAIN EXECUTE {name}{arguments}")).await;
        for table in ["grants", "heads"] {
            let whole = plan.contains(&format!("Seq Scan on {table}"))
                || plan.contains(&format!("Bitmap Heap Scan on {table}"));
            assert!(!whole, "{name} reads all of {table}:\n{plan}");
            let by_key = plan
                .lines()
                .filter(|line| line.contains("Index") && line.contains(&format!(" on {table}")))
                .all(|line| line.contains(&format!("{table}_pkey")));
            assert!(by_key, "{name}:\n{plan}");
        }
    }

    let plan = explained(&mut connection, ONE).await;
    let plan: serde_json::Value = serde_json::from_str(&plan).unwrap();
    let plan = &plan[0]["Plan"];
    assert_eq!(plan["Actual Rows"], 1, "{plan}");
    let touched =
        plan["Shared Hit Blocks"].as_i64().unwrap() + plan["Shared Read Blocks"].as_i64().unwrap();
    println!("a redemption touches {touched} buffers, of a million grants");
    assert!(touched <= 40, "{touched} buffers");
    let state: String =
        server.value("SELECT state FROM mintage.grants WHERE state <> 'issued'").await;
    assert_eq!(state, "active");
}

/// The highest number of its parameters.
fn most_parameter(sql: &str) -> usize {
    let numbers = sql.split('$').skip(1).map(|rest| {
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().unwrap_or(0)
    });
    numbers.max().unwrap_or(0)
}

async fn explained(connection: &mut PgConnection, sql: &str) -> String {
    let rows = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()));
    let rows = connection.fetch_all(rows).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    let lines: Vec<String> = rows.iter().map(|row| row.try_get_unchecked(0).unwrap()).collect();
    lines.join("\n")
}
