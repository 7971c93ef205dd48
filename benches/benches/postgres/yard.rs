//! The yardstick: the same work written by hand, one row a statement, run by pgbench.

use std::{fs, path::PathBuf, time::Duration};

use crate::{
    rig::{self, Server},
    shared::{Failure, figures::Run},
    tables::{Tables, Work},
};

/// How long pgbench goes on.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Length {
    Seconds(u32),
    /// So many operations of each client.
    Each(u32),
}

/// Whether pgbench writes down how long each operation took, which takes it a little time too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Log {
    Each,
    Nothing,
}

/// pgbench, and the tables that it works on.
#[derive(Debug)]
pub(crate) struct Yard {
    pub(crate) tables: Tables,
    port: u16,
    /// Where its scripts and its logs are: the server's own, for pgbench runs as the server does.
    folder: PathBuf,
    threads: u32,
}

impl Yard {
    pub(crate) fn new(server: &Server, tables: Tables, threads: u32) -> Result<Self, Failure> {
        let data = server.data();
        let folder = data.parent().ok_or("the server's data are nowhere")?.to_owned();
        for work in [Work::Issue, Work::Redeem] {
            let (name, script) = script(work);
            fs::write(
                folder.join(name),
                script.replace("yard.", &format!("{}.", tables.schema())),
            )?;
        }
        Ok(Self { tables, port: server.port(), folder, threads })
    }

    /// Does this to the grants from that number on, by so many clients.
    ///
    /// # Errors
    /// Unless each operation found its row, and the tables agree.
    pub(crate) async fn run(
        &self,
        work: Work,
        clients: u32,
        first: u32,
        length: Length,
        log: Log,
    ) -> Result<Run, Failure> {
        let before = self.tables.count(work).await?;
        let run = self.measure(work, clients, first, length, log)?;
        let done = self.tables.count(work).await? - before;
        if done != run.count {
            let count = run.count;
            return Err(format!("pgbench says {count} times {work:?}, the tables {done}").into());
        }
        Ok(run)
    }

    fn measure(
        &self,
        work: Work,
        clients: u32,
        first: u32,
        length: Length,
        log: Log,
    ) -> Result<Run, Failure> {
        let mut command = rig::as_postgres("pgbench");
        command
            .args(["--no-vacuum", "--protocol=prepared", "--host=127.0.0.1", "--username=postgres"])
            .args([
                format!("--port={}", self.port),
                format!("--client={clients}"),
                format!("--jobs={}", self.threads.min(clients)),
                format!("--define=clients={clients}"),
                format!("--define=first={first}"),
                format!("--define=people={}", self.tables.field.people()),
                "--define=n=0".to_owned(),
                match length {
                    Length::Seconds(seconds) => format!("--time={seconds}"),
                    Length::Each(count) => format!("--transactions={count}"),
                },
            ])
            .arg("--file")
            .arg(self.folder.join(script(work).0));
        if log == Log::Each {
            command.arg("--log").arg("--log-prefix").arg(self.folder.join(LOG));
        }
        let output = String::from_utf8(rig::run(command.arg("postgres")).stdout)?;
        let number = |before: &str| {
            let rest = output.split_once(before).map(|(_, rest)| rest);
            let number = rest.and_then(|rest| rest.split([' ', '/', '\n']).next());
            number.ok_or_else(|| format!("pgbench says nothing of {before:?}:\n{output}"))
        };
        let count = number("transactions actually processed: ")?.parse()?;
        let rate = number("tps = ")?.parse()?;
        let latencies = self.take_log()?;
        if log == Log::Each && u32::try_from(latencies.len())? != count {
            return Err(format!("pgbench says {count}, its log {}", latencies.len()).into());
        }
        Ok(Run::new(count, rate, latencies))
    }

    /// How long each operation took, in microseconds the third word of its line.
    fn take_log(&self) -> Result<Vec<Duration>, Failure> {
        let mut latencies = Vec::new();
        for file in fs::read_dir(&self.folder)? {
            let file = file?;
            if !file.file_name().to_string_lossy().starts_with(LOG) {
                continue;
            }
            for line in fs::read_to_string(file.path())?.lines() {
                let micros = line.split(' ').nth(2).ok_or("a line of pgbench's log is short")?;
                latencies.push(Duration::from_micros(micros.parse()?));
            }
            fs::remove_file(file.path())?;
        }
        Ok(latencies)
    }
}

/// How the files of pgbench's log begin.
const LOG: &str = "pgbench_log";

fn script(work: Work) -> (&'static str, &'static str) {
    match work {
        Work::Issue => ("issue.sql", include_str!("sql/issue.sql")),
        Work::Redeem => ("redeem.sql", include_str!("sql/redeem.sql")),
    }
}
