//! Purging: a sweep over the tables' pages, a slice at a time.
//!
//! No index leads to what is due, for every update would have to keep it. A sweep reads the pages
//! one after the other instead, as vacuum does; it goes on where it last stopped, so that purging a
//! little now and then goes round the whole.

use std::num::NonZeroU32;

use mintage::{StoreError, Timestamp, async_trait};
use sqlx::{PgConnection, Row as _, SqlStr};
use tokio::{sync::Mutex, time::Instant};

use crate::{
    lanes::{AsyncErrand, Lanes},
    statements::Statements,
};

/// How many pages are read in one statement: about a megabyte.
const SLICE: i64 = 128;

/// Where the sweep is.
#[derive(Debug, Default)]
pub(crate) struct Sweep(Mutex<Position>);

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Position {
    table: Table,
    page: i64,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Table {
    #[default]
    Grants,
    Heads,
}

impl Sweep {
    /// Sweeps until it has dropped as many as it may, been everywhere, or run out of time.
    pub(crate) async fn purge(
        &self,
        lanes: &Lanes,
        limit: NonZeroU32,
        now: Timestamp,
        until: Instant,
    ) -> Result<u32, StoreError> {
        let mut position = self.0.lock().await;
        let pages = lanes.errand(Pages).await?;
        let mut unseen = pages[0] + pages[1];
        let mut dropped = 0;
        while unseen > 0 && Instant::now() < until {
            let Position { table, page } = *position;
            let end = pages[table as usize];
            if page >= end {
                let table = if table == Table::Grants { Table::Heads } else { Table::Grants };
                *position = Position { table, page: 0 };
                continue;
            }
            let left = limit.get() - dropped;
            let gone = lanes.errand(Slice { table, page, left, now }).await?;
            dropped += gone;
            if gone == left {
                break;
            }
            position.page += SLICE;
            unseen -= SLICE.min(end - page);
        }
        Ok(dropped)
    }
}

/// How many pages there are of each table.
struct Pages;

#[async_trait]
impl AsyncErrand<[i64; 2]> for Pages {
    async fn run(
        self,
        connection: &mut PgConnection,
        statements: &Statements,
    ) -> Result<[i64; 2], sqlx::Error> {
        let row = sqlx::query(statements.pages.one.clone()).fetch_one(connection).await?;
        Ok([row.try_get(0)?, row.try_get(1)?])
    }
}

/// Drops what is due on a few pages.
struct Slice {
    table: Table,
    page: i64,
    left: u32,
    now: Timestamp,
}

#[async_trait]
impl AsyncErrand<u32> for Slice {
    async fn run(
        self,
        connection: &mut PgConnection,
        statements: &Statements,
    ) -> Result<u32, sqlx::Error> {
        let sql: &SqlStr = match self.table {
            Table::Grants => &statements.purge_grants.one,
            Table::Heads => &statements.purge_heads.one,
        };
        let done = sqlx::query(sql.clone())
            .bind(format!("({},0)", self.page))
            .bind(format!("({},0)", self.page + SLICE))
            .bind(self.now.as_millis())
            .bind(i64::from(self.left))
            .execute(connection)
            .await?;
        Ok(u32::try_from(done.rows_affected()).unwrap_or(u32::MAX))
    }
}
