//! A line to the database: one connection, made anew when it is lost, set up the same way each
//! time and trusted no further than it promises.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU8, AtomicU64, Ordering},
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

/// The grade that the store has told its host, which no connection may fall short of.
#[derive(Debug, Clone, Default)]
pub(crate) struct Promised(Arc<Promise>);

#[derive(Debug, Default)]
struct Promise {
    rank: AtomicU8,
    /// How often the server has been found to promise less: every line then asks it again.
    doubts: AtomicU64,
}

impl Promised {
    const GRADES: [Grade; 4] =
        [Grade::Volatile, Grade::BestEffort, Grade::PowerLossSafe, Grade::FailoverSafe];

    /// The host is told this grade.
    pub(crate) fn note(&self, grade: Grade) {
        if grade < self.grade() {
            self.0.doubts.fetch_add(1, Ordering::AcqRel);
        }
        let rank = Self::GRADES.iter().position(|known| *known == grade).unwrap_or(0);
        self.0.rank.fetch_max(u8::try_from(rank).unwrap_or(0), Ordering::AcqRel);
    }

    fn grade(&self) -> Grade {
        let rank = usize::from(self.0.rank.load(Ordering::Acquire));
        Self::GRADES.get(rank).copied().unwrap_or(Grade::FailoverSafe)
    }

    fn doubts(&self) -> u64 {
        self.0.doubts.load(Ordering::Acquire)
    }
}

pub(crate) struct Line {
    trunk: Trunk,
    connection: Option<Settled>,
    /// How many statements in a row were not answered at all.
    hung: u32,
}

/// A connection that is set up, and what its server promised on it.
struct Settled {
    connection: PgConnection,
    grade: Grade,
    doubts: u64,
}

impl Line {
    pub(crate) fn new(trunk: Trunk) -> Self {
        Self { trunk, connection: None, hung: 0 }
    }

    /// Sees to it that there is a connection that may be trusted.
    pub(crate) async fn ready(&mut self) -> Result<(), Fault> {
        let promised = &self.trunk.promised;
        if let Some(Settled { grade, doubts, .. }) = &self.connection
            && *grade >= promised.grade()
            && *doubts == promised.doubts()
        {
            return Ok(());
        }
        self.drop_connection();
        let connected = self.trunk.address.connect().await;
        let mut connection = connected.map_err(|error| Fault::connecting(&error))?;
        let doubts = self.trunk.promised.doubts();
        let grade = self.settle(&mut connection).await?;
        self.connection = Some(Settled { connection, grade, doubts });
        Ok(())
    }

    async fn settle(&self, connection: &mut PgConnection) -> Result<Grade, Fault> {
        let failed = |error| Fault::connecting(&error);
        let lock_timeout = self.trunk.deadline.as_millis() / 2;
        let settings = format!("{SESSION} SET lock_timeout = {lock_timeout};");
        connection.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(settings))).await.map_err(failed)?;
        let promise = guarantee::ask(connection, &self.trunk.statements).await.map_err(failed)?;
        if promise.grade < self.trunk.promised.grade() {
            let less = "the database promises less than it did: set it right, or restart";
            return Err(Fault::new(Change::Unchanged, less).because(promise.reason));
        }
        Ok(promise.grade)
    }

    /// How long a statement may hang before its connection is given up: twice the deadline, and
    /// twice as long for each that hung before it.
    pub(crate) fn patience(&self) -> Duration {
        2 * self.trunk.deadline * (1 << self.hung.min(MOST_DOUBLINGS))
    }

    /// The server answers.
    pub(crate) fn answered(&mut self) {
        self.hung = 0;
    }

    /// It does not, and the connection is lost on it.
    pub(crate) fn give_up(&mut self) {
        self.hung = self.hung.saturating_add(1);
        self.drop_connection();
    }

    /// The rows of one statement, which stands by itself: it is its own transaction.
    pub(crate) async fn fetch(
        &mut self,
        statement: impl Fn(&Statements) -> SqlStr + Send,
        arguments: PgArguments,
    ) -> Result<Vec<PgRow>, Fault> {
        let sql = statement(&self.trunk.statements);
        let listener = self.trunk.listener.clone();
        let Settled { connection, grade, .. } = self.settled()?;
        let rows = sqlx::query_with(sql, arguments).fetch_all(connection);
        heeded(listener.heeding(rows).await, *grade)
    }

    /// What an errand yields.
    pub(crate) async fn run<T, F: AsyncErrand<T>>(&mut self, errand: F) -> Result<T, Fault> {
        let statements = self.trunk.statements.clone();
        let listener = self.trunk.listener.clone();
        let Settled { connection, grade, .. } = self.settled()?;
        heeded(listener.heeding(errand.run(connection, &statements)).await, *grade)
    }

    fn settled(&mut self) -> Result<&mut Settled, Fault> {
        let none = Fault::new(Change::Unchanged, "there is no connection to the database");
        self.connection.as_mut().ok_or(none)
    }

    /// Closes the socket and says nothing to the server: what it is at, it finishes.
    pub(crate) fn drop_connection(&mut self) {
        drop(self.connection.take());
    }

    pub(crate) async fn close(mut self) {
        if let Some(Settled { connection, .. }) = self.connection.take() {
            drop(connection.close().await);
        }
    }
}

/// A warning counts where commits wait for a standby.
fn heeded<T>((result, warned): (Result<T, sqlx::Error>, bool), grade: Grade) -> Result<T, Fault> {
    match result {
        Ok(_) if warned && grade == Grade::FailoverSafe => {
            let warning = "the database warned that a commit may not have reached its standby";
            Err(Fault::new(Change::MayHaveHappened, warning))
        }
        Ok(output) => Ok(output),
        Err(error) => Err(Fault::of(&error)),
    }
}

/// A statement that hangs is waited for at most 256 times as long as the first.
const MOST_DOUBLINGS: u32 = 8;

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
    SET idle_session_timeout = 0;
    SET idle_in_transaction_session_timeout = 0;
";
