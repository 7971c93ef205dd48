//! The ring's rows: read as of one instant, written in one statement or not at all.

use std::{fmt, time::Duration};

use mintage::{Algorithm, KeyId, Timestamp};
use sqlx::{
    Arguments as _, AssertSqlSafe, Decode, PgPool, Postgres, Row as _, SqlSafeStr as _, SqlStr,
    Type,
    pool::PoolConnection,
    postgres::{PgArguments, PgRow},
};
use tokio::time::timeout;

use super::trouble::Trouble;
use crate::{
    migrate::{self, SetupError},
    settings::Schema,
};

/// The version of the rows that this code writes, and the latest that it can read.
pub(crate) const VERSION: i16 = 1;

/// The two tables.
pub(crate) struct Tables {
    pool: PgPool,
    read: SqlStr,
    write: SqlStr,
    deadline: Duration,
}

impl fmt::Debug for Tables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tables").finish_non_exhaustive()
    }
}

/// What stood in them at one instant.
pub(crate) struct Snapshot {
    pub(crate) revision: i64,
    pub(crate) rows: Vec<Row>,
}

/// A key as its row has it.
pub(crate) struct Row {
    pub(crate) bound: Bound,
    pub(crate) kek: String,
    pub(crate) sealed: Vec<u8>,
}

/// What a row shows of its key.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bound {
    pub(crate) version: i16,
    pub(crate) kid: KeyId,
    pub(crate) algorithm: Algorithm,
    pub(crate) signs_from: Timestamp,
    pub(crate) signs_until: Option<Timestamp>,
}

impl Tables {
    /// The tables, if they are those that this code needs.
    pub(crate) async fn find(
        pool: PgPool,
        schema: &Schema,
        deadline: Duration,
    ) -> Result<Self, SetupError> {
        let ask = async {
            let mut lent = Lent::of(&pool).await?;
            let version = migrate::version(&mut lent.connection, schema).await?;
            lent.done = true;
            Ok::<_, sqlx::Error>(version)
        };
        let found = timeout(deadline, ask).await.unwrap_or(Err(sqlx::Error::PoolTimedOut))?;
        migrate::check(found)?;
        let own = format!("{}.", schema.quoted());
        // Nothing in it comes from outside but the schema's name, which is quoted.
        let sql = |text: &str| AssertSqlSafe(text.replace("mintage.", &own)).into_sql_str();
        let read = sql(include_str!("../../sql/keys/read.sql"));
        let write = sql(include_str!("../../sql/keys/write.sql"));
        Ok(Self { pool, read, write, deadline })
    }

    pub(crate) async fn read(&self) -> Result<Snapshot, Trouble> {
        let rows = self.fetch(&self.read, PgArguments::default()).await?;
        let first = rows.first().ok_or(Trouble::Unreadable("key_ring"))?;
        let revision = column(first, "revision")?;
        let mut snapshot = Snapshot { revision, rows: Vec::with_capacity(rows.len()) };
        for row in &rows {
            // A ring without keys is one row without a key.
            if column::<Option<&[u8]>>(row, "kid")?.is_some() {
                snapshot.rows.push(Row::of(row)?);
            }
        }
        Ok(snapshot)
    }

    /// Makes these the rows, if the ring is still in the revision in which it was read; says whether
    /// it was.
    pub(crate) async fn write(&self, read: i64, rows: &[Row]) -> Result<bool, Trouble> {
        let arguments = arguments(read, rows).map_err(|error| Trouble::Database {
            what: "an argument cannot be sent",
            cause: error.to_string(),
        })?;
        Ok(!self.fetch(&self.write, arguments).await?.is_empty())
    }

    /// The rows of one statement, which is its own transaction.
    async fn fetch(&self, sql: &SqlStr, arguments: PgArguments) -> Result<Vec<PgRow>, Trouble> {
        let ask = async {
            let lent = Lent::of(&self.pool).await;
            let mut lent = lent.map_err(|error| Trouble::connecting(&error))?;
            let rows = sqlx::query_with(sql.clone(), arguments).fetch_all(&mut *lent.connection);
            let rows = rows.await.map_err(|error| Trouble::asking(&error))?;
            lent.done = true;
            Ok(rows)
        };
        timeout(self.deadline, ask).await.unwrap_or(Err(Trouble::Late))
    }
}

/// A connection of the pool's. Unless its statement was answered it is closed and not given back: it
/// may be in the middle of something.
struct Lent {
    connection: PoolConnection<Postgres>,
    done: bool,
}

impl Lent {
    async fn of(pool: &PgPool) -> Result<Self, sqlx::Error> {
        Ok(Self { connection: pool.acquire().await?, done: false })
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if !self.done {
            self.connection.close_on_drop();
        }
    }
}

impl Row {
    fn of(row: &PgRow) -> Result<Self, Trouble> {
        let version = column(row, "version")?;
        if version > VERSION {
            return Err(Trouble::Newer { version });
        }
        let kid: &[u8] = column(row, "kid")?;
        let kid = kid.try_into().map_err(|_| Trouble::Unreadable("kid"))?;
        let algorithm = match column(row, "algorithm")? {
            "EdDSA" => Algorithm::EdDsa,
            "Ed25519" => Algorithm::Ed25519,
            _ => return Err(Trouble::Unreadable("algorithm")),
        };
        let signs_until = column::<Option<i64>>(row, "signs_until")?;
        let bound = Bound {
            version,
            kid: KeyId::from_bytes(kid),
            algorithm,
            signs_from: Timestamp::from_millis(column(row, "signs_from")?),
            signs_until: signs_until.map(Timestamp::from_millis),
        };
        Ok(Self { bound, kek: column(row, "kek")?, sealed: column(row, "sealed")? })
    }
}

fn column<'r, T>(row: &'r PgRow, name: &'static str) -> Result<T, Trouble>
where
    T: Decode<'r, Postgres> + Type<Postgres>,
{
    row.try_get(name).map_err(|_| Trouble::Unreadable(name))
}

fn arguments(read: i64, rows: &[Row]) -> Result<PgArguments, sqlx::error::BoxDynError> {
    fn each<'r, T>(rows: &'r [Row], column: impl Fn(&'r Row) -> T) -> Vec<T> {
        rows.iter().map(column).collect()
    }
    let mut arguments = PgArguments::default();
    arguments.add(read)?;
    arguments.add(each(rows, |row| row.bound.kid.as_bytes().as_slice()))?;
    arguments.add(each(rows, |row| row.bound.signs_from.as_millis()))?;
    arguments.add(each(rows, |row| row.bound.signs_until.map(Timestamp::as_millis)))?;
    arguments.add(each(rows, |row| row.bound.version))?;
    arguments.add(each(rows, |row| row.bound.algorithm.as_str()))?;
    arguments.add(each(rows, |row| row.kek.as_str()))?;
    arguments.add(each(rows, |row| row.sealed.as_slice()))?;
    Ok(arguments)
}
