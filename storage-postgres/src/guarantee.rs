//! What the server promises, by its own settings.

use mintage::{Grade, Guarantee};
use sqlx::{PgConnection, Row as _};

use crate::statements::Statements;

/// Asks the server, on the very connection that will be used: a role or a database may have
/// settings of its own.
pub(crate) async fn ask(
    connection: &mut PgConnection,
    statements: &Statements,
) -> Result<Guarantee, sqlx::Error> {
    let row = sqlx::query(statements.promise.one.clone()).fetch_one(connection).await?;
    let on = |column| row.try_get::<&str, _>(column).map(|setting| setting == "on");
    let standbys: &str = row.try_get("synchronous_standby_names")?;
    let settings = Server {
        recovering: row.try_get("recovering")?,
        logged: row.try_get("logged")?,
        fsync: on("fsync")?,
        full_page_writes: on("full_page_writes")?,
        commit: row.try_get("synchronous_commit")?,
        standbys: !standbys.trim().is_empty(),
    };
    Ok(settings.guarantee())
}

/// The settings that decide it.
#[expect(clippy::struct_excessive_bools, reason = "so many switches the server has")]
#[derive(Debug, Clone, Copy)]
struct Server<'a> {
    recovering: bool,
    logged: bool,
    fsync: bool,
    full_page_writes: bool,
    commit: &'a str,
    standbys: bool,
}

impl Server<'_> {
    fn guarantee(self) -> Guarantee {
        let (grade, reason) = self.grade();
        Guarantee { grade, reason: reason.to_owned(), may_evict: false }
    }

    fn grade(self) -> (Grade, &'static str) {
        let waits = matches!(self.commit, "on" | "remote_apply" | "remote_write");
        if self.recovering {
            (Grade::Volatile, "the server is a standby: connect to the primary")
        } else if !self.logged {
            (Grade::Volatile, "the tables are UNLOGGED: ALTER TABLE … SET LOGGED")
        } else if self.commit == "off" {
            (Grade::BestEffort, "synchronous_commit is off: set it to on")
        } else if !self.fsync {
            (Grade::BestEffort, "fsync is off: set it to on")
        } else if !self.full_page_writes {
            (Grade::BestEffort, "full_page_writes is off: set it to on")
        } else if !self.standbys {
            (
                Grade::PowerLossSafe,
                "synchronous_standby_names is empty: name a synchronous standby to survive a \
                 failover",
            )
        } else if !waits {
            (Grade::PowerLossSafe, "synchronous_commit does not wait for the standby: set it to on")
        } else if self.commit == "remote_write" {
            (
                Grade::PowerLossSafe,
                "synchronous_commit is remote_write, so a standby may lose power before it has \
                 written: set it to on",
            )
        } else {
            (Grade::FailoverSafe, "commits wait for the synchronous standby")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAFE: Server<'_> = Server {
        recovering: false,
        logged: true,
        fsync: true,
        full_page_writes: true,
        commit: "on",
        standbys: true,
    };

    #[test]
    fn each_setting_decides_the_grade_and_is_named() {
        let cases = [
            (SAFE, Grade::FailoverSafe, "standby"),
            (Server { commit: "remote_apply", ..SAFE }, Grade::FailoverSafe, "standby"),
            (Server { commit: "remote_write", ..SAFE }, Grade::PowerLossSafe, "remote_write"),
            (Server { commit: "local", ..SAFE }, Grade::PowerLossSafe, "synchronous_commit"),
            (Server { standbys: false, ..SAFE }, Grade::PowerLossSafe, "synchronous_standby_names"),
            (Server { commit: "off", ..SAFE }, Grade::BestEffort, "synchronous_commit"),
            (Server { fsync: false, ..SAFE }, Grade::BestEffort, "fsync"),
            (Server { full_page_writes: false, ..SAFE }, Grade::BestEffort, "full_page_writes"),
            (Server { logged: false, ..SAFE }, Grade::Volatile, "UNLOGGED"),
            (Server { recovering: true, ..SAFE }, Grade::Volatile, "standby"),
        ];
        for (server, grade, word) in cases {
            let guarantee = server.guarantee();
            assert_eq!(guarantee.grade, grade, "{server:?}");
            assert!(guarantee.reason.contains(word), "{}", guarantee.reason);
        }
    }
}
