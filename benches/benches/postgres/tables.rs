//! The tables of one schema: made by the store's own migrations, filled in bulk.

use std::ops::Range;

use mintage_storage_postgres::migrate;
use sqlx::{AssertSqlSafe, PgPool, query, query_scalar, raw_sql};

use crate::{field::Field, shared::Failure};

/// What is measured, both by hand and by the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    Issue,
    Redeem,
}

/// The tables of one schema, and what stands in them.
#[derive(Debug, Clone)]
pub(crate) struct Tables {
    pub(crate) field: Field,
    pool: PgPool,
    schema: &'static str,
}

impl Tables {
    pub(crate) async fn make(
        pool: &PgPool,
        schema: &'static str,
        field: &Field,
    ) -> Result<Self, Failure> {
        migrate(pool, &schema.parse()?).await?;
        Ok(Self { field: field.clone(), pool: pool.clone(), schema })
    }

    pub(crate) fn schema(&self) -> &'static str {
        self.schema
    }

    /// Leaves nothing but the heads of all people and these grants, none of which is redeemed.
    pub(crate) async fn refill(&self, grants: Range<u32>) -> Result<(), Failure> {
        self.execute("TRUNCATE mintage.heads, mintage.grants").await?;
        let people = i64::from(self.field.people());
        query(self.sql(include_str!("sql/heads.sql"))).bind(people).execute(&self.pool).await?;
        self.add(grants).await?;
        self.execute("ANALYZE mintage.heads, mintage.grants").await
    }

    /// Adds grants, none of which is redeemed.
    pub(crate) async fn add(&self, grants: Range<u32>) -> Result<(), Failure> {
        query(self.sql(include_str!("sql/grants.sql")))
            .bind(i64::from(grants.start))
            .bind(i64::from(grants.end))
            .bind(i64::from(self.field.people()))
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// Runs a command that says `mintage.` where it means this schema.
    pub(crate) async fn execute(&self, command: &str) -> Result<(), Failure> {
        raw_sql(self.sql(command)).execute(&self.pool).await?;
        Ok(())
    }

    /// How often that has been done to the rows as they stand.
    pub(crate) async fn count(&self, work: Work) -> Result<u32, Failure> {
        let done = match work {
            Work::Issue => "SELECT count(*) FROM mintage.grants",
            Work::Redeem => "SELECT count(*) FROM mintage.grants WHERE state = 'active'",
        };
        let count: i64 = query_scalar(self.sql(done)).fetch_one(&self.pool).await?;
        Ok(u32::try_from(count)?)
    }

    /// Sees to it that these tables and those hold the very same rows.
    pub(crate) async fn must_equal(&self, other: &Self) -> Result<(), Failure> {
        for table in ["heads", "grants"] {
            let [here, there] = [self, other].map(|tables| format!("{}.{table}", tables.schema));
            let sql = format!(
                "SELECT count(*) FROM (
                     (TABLE {here} EXCEPT TABLE {there}) UNION ALL
                     (TABLE {there} EXCEPT TABLE {here})
                 ) AS difference"
            );
            let rows: i64 = query_scalar(AssertSqlSafe(sql)).fetch_one(&self.pool).await?;
            if rows > 0 {
                return Err(format!("{rows} rows differ between {here} and {there}").into());
            }
        }
        Ok(())
    }

    /// Our files call the schema `mintage`.
    fn sql(&self, text: &str) -> AssertSqlSafe<String> {
        AssertSqlSafe(text.replace("mintage.", &format!("{}.", self.schema)))
    }
}
