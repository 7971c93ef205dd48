//! Why a server could not answer, whether the change may have happened all the same, and what is to be
//! done about it.

use std::{error::Error, fmt, sync::Arc};

use mintage::{Change, StoreError};
use redis::ServerError;

use crate::{address::Host, record::Unreadable};

/// Why a command, or a connection, failed. Cheap to clone: one failure is told to all who travelled
/// together.
#[derive(Debug, Clone)]
pub(crate) struct Fault {
    pub(crate) change: Change,
    pub(crate) what: &'static str,
    pub(crate) then: Then,
    cause: Option<Arc<Cause>>,
}

/// What is to be done about it. Whatever is sent again has not been carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Then {
    /// Tell the caller.
    Tell,
    /// Send it again in a moment.
    Again,
    /// Give the server the script, which it does not know, and send it again.
    Load,
    /// Send it to that node, which has the slot now.
    Moved(String),
    /// Send it to that node this once, which is being given the slot.
    Ask(String),
    /// Look for the primary, and send it again.
    Elsewhere,
}

/// What the server or the client said.
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
        Self { change, what, then: Then::Tell, cause: None }
    }

    /// Nothing has been carried out.
    pub(crate) const fn unchanged(what: &'static str, then: Then) -> Self {
        Self { change: Change::Unchanged, what, then, cause: None }
    }

    pub(crate) fn because(self, cause: impl fmt::Display) -> Self {
        Self { cause: Some(Arc::new(Cause(cause.to_string()))), ..self }
    }

    /// It came of a question, which changes nothing.
    pub(crate) fn of_question(self) -> Self {
        Self { change: Change::Unchanged, ..self }
    }

    /// No connection could be had, so nothing was sent.
    pub(crate) fn connecting(error: &redis::RedisError) -> Self {
        use redis::ErrorKind::AuthenticationFailed;
        let refused = error.kind() == AuthenticationFailed
            || matches!(error.code(), Some("WRONGPASS" | "NOAUTH" | "NOPERM"));
        match error.code() {
            _ if refused => Self::unchanged(REFUSED, Then::Tell),
            Some("LOADING") => Self::unchanged(LOADING, Then::Again),
            Some(_) => Self::unchanged("the server refuses the connection", Then::Tell),
            None => Self::unchanged(UNREACHABLE, Then::Elsewhere),
        }
        .because(error)
    }

    /// There is no way to the server at all.
    pub(crate) fn unreachable(cause: impl fmt::Display) -> Self {
        Self::unchanged(UNREACHABLE, Then::Elsewhere).because(cause)
    }

    /// The connection ended before all was answered that had been sent.
    pub(crate) fn lost(error: &redis::RedisError) -> Self {
        Self::new(Change::MayHaveHappened, "the connection to the server was lost").because(error)
    }

    /// What an error means that a server answers to a command.
    pub(crate) fn of(error: &ServerError) -> Self {
        let details = error.details().unwrap_or_default();
        let (change, what, then) = meaning(error.code(), details);
        Self { change, then, ..Self::new(change, what) }
            .because(format!("{} {details}", error.code()))
    }
}

pub(crate) const UNREACHABLE: &str = "there is no connection to the server";
const REFUSED: &str = "the server refuses the user, the password, or a command";
const LOADING: &str = "the server is loading its records";
const FULL: &str = "the server's memory is full";

/// Every error that a server gives to a script, or before it runs one.
///
/// A script is never stopped between two writes: what could refuse one of its commands (no memory, no
/// right, a read-only server, too few replicas, a disk that fails) refuses the first write already, and
/// `SCRIPT KILL` works before that alone.
fn meaning(code: &str, details: &str) -> (Change, &'static str, Then) {
    let unchanged = |what, then| (Change::Unchanged, what, then);
    let node = || details.split(' ').nth(1).unwrap_or_default().to_owned();
    match code {
        "NOSCRIPT" => unchanged("the server does not know the script", Then::Load),
        "MOVED" => unchanged("the slot is another node's", Then::Moved(node())),
        "ASK" => unchanged("the slot is on its way to another node", Then::Ask(node())),
        "TRYAGAIN" => unchanged("the slot is on its way to another node", Then::Again),
        "CLUSTERDOWN" => unchanged("the cluster is down", Then::Again),
        "LOADING" => unchanged(LOADING, Then::Again),
        "MASTERDOWN" => unchanged("the server has lost its primary", Then::Elsewhere),
        "READONLY" => unchanged("the server is a replica", Then::Elsewhere),
        "BUSY" => unchanged("a script keeps the server busy", Then::Again),
        "OOM" => unchanged(FULL, Then::Tell),
        "MISCONF" => unchanged("the server cannot write to its disk", Then::Tell),
        "NOREPLICAS" => unchanged("the server has too few replicas to write", Then::Tell),
        "NOAUTH" | "WRONGPASS" | "NOPERM" => unchanged(REFUSED, Then::Tell),
        "CROSSSLOT" => unchanged("the keys are in different slots", Then::Tell),
        _ if details.contains("Script killed by user") => {
            unchanged("the script was killed", Then::Tell)
        }
        // Redis 6.2 puts what has refused a script's command behind its own words.
        _ => match details.split_once(": -").map(|(_, inner)| inner.split(' ').next()) {
            Some(Some(inner)) if inner != code => meaning(inner, ""),
            _ => (Change::MayHaveHappened, "the server failed at the script", Then::Tell),
        },
    }
}

/// The host of `MOVED` or `ASK`, which a server told.
pub(crate) fn told(node: &str, by: &Host) -> Option<Host> {
    let (name, port) = node.rsplit_once(':')?;
    Some(Host::told(name.trim_matches(['[', ']']), port.parse().ok()?, by))
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
    fn from(Unreadable(part): Unreadable) -> Self {
        let error = match part {
            // The script has looked at it first, and left such a record alone.
            "version" => {
                Self::new(Change::Unchanged, "a record is of a newer version: upgrade this node")
            }
            _ => Self::new(Change::MayHaveHappened, "a record is not one that mintage has written"),
        };
        error.because(part)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_tells_whether_the_script_has_run_and_what_to_do() {
        let moved = Then::Moved("127.0.0.1:7001".to_owned());
        for (code, details, change, then) in [
            ("MOVED", "3999 127.0.0.1:7001", Change::Unchanged, moved),
            ("TRYAGAIN", "Multiple keys request", Change::Unchanged, Then::Again),
            ("READONLY", "", Change::Unchanged, Then::Elsewhere),
            ("OOM", "command not allowed", Change::Unchanged, Then::Tell),
            (
                "ERR",
                "Error running script (call to f_1): @user_script:9: @user_script: 9: -OOM command \
                 not allowed when used memory > 'maxmemory'.",
                Change::Unchanged,
                Then::Tell,
            ),
            (
                "ERR",
                "Error running script: Script killed by user with SCRIPT KILL.",
                Change::Unchanged,
                Then::Tell,
            ),
            (
                "ERR",
                "@user_script:3: attempt to index a nil value",
                Change::MayHaveHappened,
                Then::Tell,
            ),
        ] {
            let (found, what, next) = meaning(code, details);
            assert_eq!((found, next), (change, then), "{code}: {what}");
        }
    }

    #[test]
    fn a_node_is_where_it_says_or_where_it_was_asked() {
        let by = Host { name: "b".to_owned(), port: 1 };
        assert_eq!(told("10.0.0.1:7001", &by).unwrap().to_string(), "10.0.0.1:7001");
        assert_eq!(told("::1:7001", &by).unwrap().to_string(), "[::1]:7001");
        assert_eq!(told(":7001", &by).unwrap().to_string(), "b:7001");
        assert!(told("7001", &by).is_none());
    }
}
