//! Migrations: forward only, each in a transaction of its own, each safe while older nodes run.

use std::{error::Error, fmt};

use sqlx::{
    AssertSqlSafe, Connection as _, Executor as _, PgConnection, PgPool, Row as _,
    pool::PoolConnection,
};

use crate::settings::Schema;

/// What each version adds to the one before; the first is version 1.
const MIGRATIONS: &[&str] =
    &[include_str!("../migrations/0001_tables.sql"), include_str!("../migrations/0002_keys.sql")];

/// The version that this code needs.
pub(crate) const LATEST: usize = MIGRATIONS.len();

/// The database is not ready for this store.
#[derive(Debug)]
#[non_exhaustive]
pub enum SetupError {
    /// It could not be asked, or refused.
    Database(sqlx::Error),
    /// Its tables are older than this code, or not there: call [`migrate`] first, as a role that
    /// may create them.
    Outdated {
        /// The version of the tables; 0: there are none.
        found: usize,
        /// The version that this code needs.
        needed: usize,
    },
    /// Its tables are newer than this code: upgrade this node.
    TooNew {
        /// The version of the tables.
        found: usize,
        /// The latest that this code knows.
        known: usize,
    },
}

impl fmt::Display for SetupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Database(error) => write!(f, "the database could not be set up: {error}"),
            Self::Outdated { found, needed } => write!(
                f,
                "the tables are of version {found} and version {needed} is needed: migrate them \
                 first, as a role that may create tables"
            ),
            Self::TooNew { found, known } => write!(
                f,
                "the tables are of version {found} and this code knows none after {known}: upgrade \
                 this node"
            ),
        }
    }
}

impl Error for SetupError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Database(error) => Some(error),
            Self::Outdated { .. } | Self::TooNew { .. } => None,
        }
    }
}

impl From<sqlx::Error> for SetupError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error)
    }
}

/// Makes the tables, or brings them up to date. Where they are, it changes nothing and needs no
/// right but to read; any number of nodes may call it at once.
///
/// # Errors
/// [`SetupError`] when the database refuses, or its tables are newer than this code.
pub async fn migrate(pool: &PgPool, schema: &Schema) -> Result<(), SetupError> {
    // A connection that is left in the middle of a script must not go back to the pool.
    let mut connection = pool.acquire().await.map(PoolConnection::detach)?;
    let migrated = migrate_on(&mut connection, schema).await;
    let closed = connection.close().await;
    migrated.and(closed.map_err(Into::into))
}

async fn migrate_on(connection: &mut PgConnection, schema: &Schema) -> Result<(), SetupError> {
    loop {
        let found = version(connection, schema).await?;
        if found >= LATEST {
            return check(found);
        }
        let script = AssertSqlSafe(script(connection, schema, found).await?);
        if let Err(error) = connection.execute(sqlx::raw_sql(script)).await {
            connection.execute(sqlx::raw_sql("ROLLBACK")).await?;
            // Unless another node has just done the same.
            if version(connection, schema).await? == found {
                return Err(error.into());
            }
        }
    }
}

/// The script that brings the tables from that version to the next, whole or not at all. Who runs
/// it at the same time waits at the lock, and then finds the version taken.
async fn script(
    connection: &mut PgConnection,
    schema: &Schema,
    found: usize,
) -> Result<String, sqlx::Error> {
    let there = sqlx::query_scalar::<_, bool>("SELECT to_regnamespace($1) IS NOT NULL")
        .bind(schema.quoted())
        .fetch_one(connection)
        .await?;
    let create = if there { "" } else { "CREATE SCHEMA IF NOT EXISTS mintage;" };
    let (next, migration) = (found + 1, MIGRATIONS[found]);
    let script = format!(
        "BEGIN;
         SELECT pg_advisory_xact_lock(7811883317170824);
         SET LOCAL lock_timeout = '5s';
         {create}
         CREATE TABLE IF NOT EXISTS mintage.migrations (
             version int4 PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now()
         );
         INSERT INTO mintage.migrations (version) VALUES ({next});
         {migration}
         COMMIT;"
    );
    Ok(in_schema(&script, schema))
}

/// `mintage` is what the schema is called in our files.
fn in_schema(script: &str, schema: &Schema) -> String {
    let quoted = schema.quoted();
    script
        .replace("mintage.", &format!("{quoted}."))
        .replace("EXISTS mintage;", &format!("EXISTS {quoted};"))
}

/// Whether tables of that version will do.
pub(crate) fn check(found: usize) -> Result<(), SetupError> {
    match found {
        _ if found > LATEST => Err(SetupError::TooNew { found, known: LATEST }),
        _ if found < LATEST => Err(SetupError::Outdated { found, needed: LATEST }),
        _ => Ok(()),
    }
}

/// The version of the tables; 0 where there are none.
pub(crate) async fn version(
    connection: &mut PgConnection,
    schema: &Schema,
) -> Result<usize, sqlx::Error> {
    let table = format!("{}.migrations", schema.quoted());
    let there = sqlx::query_scalar::<_, bool>("SELECT to_regclass($1) IS NOT NULL")
        .bind(&table)
        .fetch_one(&mut *connection)
        .await?;
    if !there {
        return Ok(0);
    }
    let sql = format!("SELECT coalesce(max(version), 0) FROM {table}");
    let row = connection.fetch_one(sqlx::query(AssertSqlSafe(sql)).persistent(false)).await?;
    Ok(usize::try_from(row.try_get::<i32, _>(0)?).unwrap_or(0))
}
