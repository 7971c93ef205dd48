//! Why the database could not answer, and whether the change may have happened all the same.

use std::{error::Error, fmt, sync::Arc};

use mintage::{Change, StoreError};

use crate::record::Unreadable;

/// Why a statement, or a connection, failed. Cheap to clone: one failure is told to all who
/// travelled together.
#[derive(Debug, Clone)]
pub(crate) struct Fault {
    pub(crate) change: Change,
    pub(crate) what: &'static str,
    /// The connection is of no more use.
    pub(crate) broken: bool,
    /// One of those who travelled together is at fault, or stood in the way: each should go alone.
    pub(crate) one_of_many: bool,
    cause: Option<Arc<Cause>>,
}

/// What the server or the driver said. Of a server's error only its code and its message are kept:
/// its details repeat values.
#[derive(Debug)]
struct Cause(String);

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for Cause {}

impl Fault {
    pub(crate) const fn new(change: Change, what: &'static str) -> Self {
        Self { change, what, broken: false, one_of_many: false, cause: None }
    }

    pub(crate) fn because(self, cause: impl fmt::Display) -> Self {
        Self { cause: Some(Arc::new(Cause(cause.to_string()))), ..self }
    }

    /// No connection could be had, so nothing was sent.
    pub(crate) fn connecting(error: &sqlx::Error) -> Self {
        let fault = Self::of(error);
        let what = match fault.what {
            LOST => "there is no connection to the database",
            what => what,
        };
        Self { change: Change::Unchanged, what, broken: true, ..fault }
    }

    /// A statement failed that was sent by itself, outside any transaction.
    ///
    /// An error that the server reports is one that undid the statement, but for those after which
    /// the server itself is going away: whether it had committed before cannot be told.
    pub(crate) fn of(error: &sqlx::Error) -> Self {
        let Some(server) = error.as_database_error() else {
            let (change, what) = match error {
                sqlx::Error::PoolTimedOut => (Change::Unchanged, "no connection came free in time"),
                sqlx::Error::PoolClosed => (Change::Unchanged, "the pool is closed"),
                sqlx::Error::Encode(_) => (Change::Unchanged, "an argument cannot be sent"),
                _ => (Change::MayHaveHappened, LOST),
            };
            return Self { broken: true, ..Self::new(change, what) }.because(error);
        };
        let code = server.code().unwrap_or_default().into_owned();
        let (change, what) = of_code(&code);
        let broken = change == Change::MayHaveHappened || STALE.contains(&&*code);
        let one_of_many = ["22", "23", "55P03"].iter().any(|class| code.starts_with(class));
        let cause = format!("{} (SQLSTATE {code})", server.message());
        Self { broken, one_of_many, ..Self::new(change, what) }.because(cause)
    }
}

const LOST: &str = "the connection to the database was lost";

/// The prepared statement is not what it was, or the server has ended the session: another connection
/// will do.
const STALE: [&str; 5] = ["0A000", "26000", "25006", "25P03", "25P04"];

/// What an error code means (PostgreSQL, appendix A).
fn of_code(code: &str) -> (Change, &'static str) {
    let unchanged = |what| (Change::Unchanged, what);
    match code {
        "40003" => (Change::MayHaveHappened, "the database cannot tell whether it committed"),
        "25006" => unchanged("the database is read-only: a standby, perhaps"),
        "40001" | "40P01" => unchanged("others were writing the same records"),
        "42501" => unchanged("the database role lacks a right"),
        "42P01" | "3F000" | "42703" => unchanged("the tables are not there: migrate first"),
        "53100" => unchanged("the database's disk is full"),
        "53300" => unchanged("the database has too many connections"),
        "55P03" => unchanged("a record, or a table, stayed locked"),
        "57014" => unchanged("the statement was cancelled"),
        "57P03" => unchanged("the database is starting up or shutting down"),
        _ if code.starts_with("57P") || code.starts_with("58") || code.starts_with("XX") => {
            (Change::MayHaveHappened, "the database is going down")
        }
        _ if code.starts_with("08") => (Change::MayHaveHappened, LOST),
        _ if code.starts_with("28") => unchanged("the database refuses the role or its password"),
        _ if code.starts_with("53") => unchanged("the database is short of a resource"),
        _ => unchanged("the database refused the statement"),
    }
}

impl From<Fault> for StoreError {
    fn from(fault: Fault) -> Self {
        let error = Self::new(fault.change, fault.what);
        match fault.cause {
            Some(cause) => error.because(cause.0.clone()),
            None => error,
        }
    }
}

impl From<Unreadable> for StoreError {
    fn from(Unreadable(column): Unreadable) -> Self {
        let error = match column {
            // The statement has looked at it first, and left such a record alone.
            "version" => {
                Self::new(Change::Unchanged, "a record is of a newer version: upgrade this node")
            }
            _ => Self::new(Change::MayHaveHappened, "a record is not one that mintage has written"),
        };
        error.because(column)
    }
}
