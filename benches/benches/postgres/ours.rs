//! The store, through its public trait.

use std::ops::Range;

use mintage::{
    Grade, Lifetime, TokenStore as _,
    grant::{Issue, Redeem},
};
use mintage_storage_postgres::{PostgresStore, Settings};
use sqlx::postgres::PgConnectOptions;

use crate::{
    field::CONTEXT,
    shared::{
        Failure,
        callers::{Until, ask},
        figures::Run,
    },
    tables::{Tables, Work},
};

/// A store and its tables.
#[derive(Debug)]
pub(crate) struct Ours {
    pub(crate) tables: Tables,
    store: PostgresStore,
}

impl Ours {
    pub(crate) async fn connect(
        options: PgConnectOptions,
        tables: Tables,
    ) -> Result<Self, Failure> {
        let settings = Settings {
            schema: tables.schema().parse()?,
            // On a busy machine too, nothing is to be refused.
            deadline: Lifetime::from_secs(20),
            ..Settings::default()
        };
        let store = PostgresStore::connect(options, settings).await?;
        let guarantee = store.guarantee().await?;
        if guarantee.grade != Grade::PowerLossSafe {
            return Err(format!("the server is not as it should be: {}", guarantee.reason).into());
        }
        Ok(Self { tables, store })
    }

    /// Does this to the grants of those numbers, each of so many callers one after the other.
    ///
    /// # Errors
    /// Unless every single one is granted for the first time, and the tables agree.
    pub(crate) async fn run(
        &self,
        work: Work,
        callers: u32,
        numbers: Range<u32>,
        until: Until,
    ) -> Result<Run, Failure> {
        let before = self.tables.count(work).await?;
        let run = self.measure(work, callers, numbers, until).await?;
        let done = self.tables.count(work).await? - before;
        if done != run.count {
            let count = run.count;
            return Err(format!("the store says {count} times {work:?}, the tables {done}").into());
        }
        Ok(run)
    }

    /// The same, but whoever calls it must ask the tables.
    pub(crate) async fn measure(
        &self,
        work: Work,
        callers: u32,
        numbers: impl Iterator<Item = u32> + Send,
        until: Until,
    ) -> Result<Run, Failure> {
        let field = &self.tables.field;
        match work {
            Work::Issue => {
                let events = numbers.map(|number| field.issue(number)).collect::<Result<_, _>>()?;
                ask::<_, Issue>(&self.store, CONTEXT, callers, events, until).await
            }
            Work::Redeem => {
                let events = numbers.map(|number| field.redeem(number)).collect();
                ask::<_, Redeem>(&self.store, CONTEXT, callers, events, until).await
            }
        }
    }
}
