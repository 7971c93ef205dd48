//! A line to the database: one connection, made anew when it is lost, set up the same way each
//! time and trusted no further than it promises.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use mintage::{Change, Grade};
use sqlx::{
    Connection as _, Executor as _, PgConnection, PgPool, SqlStr,
    postgres::{PgArguments, PgConnectOptions, PgRow},
};

use crate::{
    fault::Fault, guarantee, lanes::AsyncErrand, notice::Listener, statements::Statements,
};

/// What every line of a store shares.
#[derive(Clone)]
pub(crate) struct Trunk {
    pub(crate) address: Address,
    pub(crate) statements: Statements,
    pub(crate) deadline: Duration,
    pub(crate) promised: Promised,
    pub(crate) listener: Listener,
}

/// Where the database is, and as whom to go there.
#[derive(Clone)]
pub(crate) enum Address {
    Options(Arc<PgConnectOptions>),
    /// As the host's pool would connect now: it may have been told a new password.
    Pool(PgPool),
}

impl Address {
    pub(crate) async fn connect(&self) -> Result<PgConnection, sqlx::Error> {
        match self {
            Self::Options(options) => PgConnection::connect_with(options).await,
            Self::Pool(pool) => PgConnection::connect_with(&pool.connect_options()).await,
        }
    }
}

impl fmt::Debug for Trunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trunk").finish_non_exhaustive()
    }
}

/// The grade that the store has told its host, which no later connection may fall short of.
#[derive(Debug, Clone, Default)]
pub(crate) struct Promised(Arc<AtomicU8>);

impl Promised {
    const GRADES: [Grade; 4] =
        [Grade::Volatile, Grade::BestEffort, Grade::PowerLossSafe, Grade::FailoverSafe];

    pub(crate) fn note(&self, grade: Grade) {
        let rank = Self::GRADES.iter().position(|known| *known == grade).unwrap_or(0);
        self.0.fetch_max(u8::try_from(rank).unwrap_or(0), Ordering::AcqRel);
    }

    fn grade(&self) -> Grade {
        let rank = usize::from(self.0.load(Ordering::Acquire));
        Self::GRADES.get(rank).copied().unwrap_or(Grade::FailoverSafe)
    }
}

pub(crate) struct Line {
    trunk: Trunk,
    connection: Option<PgConnection>,
}

impl Line {
    pub(crate) fn new(trunk: Trunk) -> Self {
        Self { trunk, connection: None }
    }

    /// Sees to it that there is a connection that may be trusted.
    pub(crate) async fn ready(&mut self) -> Result<(), Fault> {
        if self.connection.is_some() {
            return Ok(());
        }
        let connected = self.trunk.address.connect().await;
        let mut connection = connected.map_err(|error| Fault::connecting(&error))?;
        self.settle(&mut connection).await?;
        self.connection = Some(connection);
        Ok(())
    }

    async fn settle(&self, connection: &mut PgConnection) -> Result<(), Fault> {
        let failed = |error| Fault::connecting(&error);
        let lock_timeout = self.trunk.deadline.as_millis() / 2;
        let settings = format!("{SESSION} SET lock_timeout = {lock_timeout};");
        connection.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(settings))).await.map_err(failed)?;
        let promise = guarantee::ask(connection, &self.trunk.statements).await.map_err(failed)?;
        let promised = self.trunk.promised.grade();
        if promise.grade < promised {
            let less = "the database promises less than it did: set it right, or restart";
            return Err(Fault::new(Change::Unchanged, less).because(promise.reason));
        }
        Ok(())
    }

    /// The rows of one statement, which stands by itself: it is its own transaction.
    pub(crate) async fn fetch(
        &mut self,
        statement: impl Fn(&Statements) -> SqlStr + Send,
        arguments: PgArguments,
    ) -> Result<Vec<PgRow>, Fault> {
        let sql = statement(&self.trunk.statements);
        let listener = self.trunk.listener.clone();
        let connection = self.connection()?;
        let rows = sqlx::query_with(sql, arguments).fetch_all(connection);
        heeded(listener.heeding(rows).await)
    }

    /// What an errand yields.
    pub(crate) async fn run<T, F: AsyncErrand<T>>(&mut self, errand: F) -> Result<T, Fault> {
        let statements = self.trunk.statements.clone();
        let listener = self.trunk.listener.clone();
        let connection = self.connection()?;
        heeded(listener.heeding(errand.run(connection, &statements)).await)
    }

    fn connection(&mut self) -> Result<&mut PgConnection, Fault> {
        let none = Fault::new(Change::Unchanged, "there is no connection to the database");
        self.connection.as_mut().ok_or(none)
    }

    /// Closes the socket and says nothing to the server: what it is at, it finishes.
    pub(crate) fn drop_connection(&mut self) {
        drop(self.connection.take());
    }

    pub(crate) async fn close(mut self) {
        if let Some(connection) = self.connection.take() {
            drop(connection.close().await);
        }
    }
}

fn heeded<T>((result, warned): (Result<T, sqlx::Error>, bool)) -> Result<T, Fault> {
    match result {
        Ok(_) if warned => {
            let warning = "the database warned that a commit may not have reached its standby";
            Err(Fault::new(Change::MayHaveHappened, warning))
        }
        Ok(output) => Ok(output),
        Err(error) => Err(Fault::of(&error)),
    }
}

/// How the store sets its connections up, as one script.
///
/// A statement sees what was committed when it began, and goes on with what it then has to wait for.
/// And it reaches every row by its primary key, whatever the planner has heard of the tables' sizes:
/// a plan that was made while they were empty must not read them whole when they are full.
pub const SESSION: &str = "
    SET default_transaction_isolation = 'read committed';
    SET plan_cache_mode = force_generic_plan;
    SET enable_seqscan = off;
    SET enable_bitmapscan = off;
    SET enable_hashjoin = off;
    SET enable_mergejoin = off;
    SET jit = off;
";
