//! A PostgreSQL server for an experiment: started in a temporary folder on a free port of
//! 127.0.0.1, killed at the end whatever happens.

#![allow(dead_code, reason = "each experiment uses a part of it")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "what fails here fails the experiment")]

pub(crate) mod field;
pub(crate) mod load;
pub(crate) mod naive;
pub(crate) mod proxy;

use std::{
    fmt::Write as _,
    fs,
    net::TcpListener,
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
    thread,
    time::Duration,
};

use mintage::Lifetime;
use mintage_storage_postgres::{PostgresStore, Settings, migrate};
use sqlx::{Connection as _, PgConnection, PgPool, postgres::PgConnectOptions};
use tempfile::TempDir;

/// A server, and where its data are.
pub(crate) struct Server {
    folder: TempDir,
    port: u16,
    process: Option<Child>,
}

impl Server {
    /// A fresh server with these lines in its configuration.
    pub(crate) async fn start(settings: &[&str]) -> Self {
        let folder = folder();
        run(as_postgres("initdb")
            .args(["--auth=trust", "--no-sync", "--username=postgres"])
            .arg("-D")
            .arg(folder.path().join("data")));
        Self::in_folder(folder, settings).await
    }

    /// A streaming standby of this server, under that name.
    pub(crate) async fn standby(&self, name: &str) -> Self {
        let folder = folder();
        let source =
            format!("host=127.0.0.1 port={} user=postgres application_name={name}", self.port);
        run(as_postgres("pg_basebackup")
            .args([
                "--write-recovery-conf",
                "--wal-method=stream",
                "--checkpoint=fast",
                "--no-sync",
            ])
            .arg("-d")
            .arg(source)
            .arg("-D")
            .arg(folder.path().join("data")));
        Self::in_folder(folder, &[]).await
    }

    async fn in_folder(folder: TempDir, settings: &[&str]) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let conf = folder.path().join("data/postgresql.conf");
        let mut lines = fs::read_to_string(&conf).unwrap();
        write!(
            lines,
            "\nport = {port}\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = ''\n\
             max_connections = 60\n{}\n",
            settings.join("\n")
        )
        .unwrap();
        fs::write(&conf, lines).unwrap();
        let mut server = Self { folder, port, process: None };
        server.launch().await;
        server
    }

    /// Starts it again, after a kill or a stop.
    pub(crate) async fn launch(&mut self) {
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(self.folder.path().join("log"))
            .unwrap();
        let process = as_postgres("postgres")
            .arg("-D")
            .arg(self.folder.path().join("data"))
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        self.process = Some(process);
        for _ in 0..300 {
            if let Ok(connection) = PgConnection::connect_with(&self.options()).await {
                connection.close().await.unwrap();
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("the server did not start:\n{}", self.log());
    }

    /// How to reach it, as its superuser.
    pub(crate) fn options(&self) -> PgConnectOptions {
        PgConnectOptions::new_without_pgpass()
            .host("127.0.0.1")
            .port(self.port)
            .username("postgres")
            .database("postgres")
            .ssl_mode(sqlx::postgres::PgSslMode::Disable)
    }

    /// The same as text.
    pub(crate) fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres?sslmode=disable", self.port)
    }

    /// A store on it, its tables made.
    pub(crate) async fn store(&self) -> PostgresStore {
        self.store_with(deadline(10_000)).await
    }

    pub(crate) async fn store_with(&self, settings: Settings) -> PostgresStore {
        store_at(self.options(), settings).await
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// Kills every process of it at once, as a crash of the machine would but for what the
    /// operating system still writes.
    pub(crate) fn kill(&mut self) {
        let Some(mut process) = self.process.take() else { return };
        let all = family(process.id());
        signal("KILL", &all);
        process.wait().unwrap();
        // A new server starts only when nothing of it runs any more; init need not have noticed.
        while all.iter().any(|id| runs(*id)) {
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Halts every process of it.
    pub(crate) fn halt(&self) {
        signal("STOP", &family(self.process.as_ref().unwrap().id()));
    }

    /// Lets it go on.
    pub(crate) fn resume(&self) {
        signal("CONT", &family(self.process.as_ref().unwrap().id()));
    }

    /// Makes a standby a primary.
    pub(crate) fn promote(&self) {
        run(as_postgres("pg_ctl").arg("promote").arg("--wait").arg("-D").arg(self.data()));
    }

    /// Changes settings of a running server.
    pub(crate) async fn set(&self, settings: &[&str]) {
        let conf = self.data().join("postgresql.conf");
        let lines = fs::read_to_string(&conf).unwrap();
        fs::write(&conf, format!("{lines}\n{}\n", settings.join("\n"))).unwrap();
        self.execute("SELECT pg_reload_conf()").await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }

    /// Runs a statement as the superuser.
    pub(crate) async fn execute(&self, sql: &'static str) {
        let mut connection = PgConnection::connect_with(&self.options()).await.unwrap();
        sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    }

    /// The one value that a query gives.
    pub(crate) async fn value<T>(&self, sql: &'static str) -> T
    where
        T: for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres> + Send + Unpin,
    {
        let mut connection = PgConnection::connect_with(&self.options()).await.unwrap();
        let value = sqlx::query_scalar(sql).fetch_one(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        value
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The server whose address is in `MINTAGE_POSTGRES`, or one of the test's own.
pub(crate) async fn shared() -> (PgConnectOptions, Option<Server>) {
    if let Ok(url) = std::env::var("MINTAGE_POSTGRES") {
        return (url.parse().unwrap(), None);
    }
    let server = Server::start(&[]).await;
    (server.options(), Some(server))
}

/// A store at that address, its tables made.
pub(crate) async fn store_at(options: PgConnectOptions, settings: Settings) -> PostgresStore {
    let pool = PgPool::connect_lazy_with(options.clone());
    migrate(&pool, &settings.schema).await.unwrap();
    pool.close().await;
    PostgresStore::connect(options, settings).await.unwrap()
}

/// A deadline of so many milliseconds.
pub(crate) fn deadline(millis: u32) -> Settings {
    Settings { deadline: Lifetime::from_millis(millis), ..Settings::default() }
}

/// One of PostgreSQL's programs, run as `postgres` where we are root, for it refuses to be root.
pub(crate) fn as_postgres(program: &str) -> Command {
    let path = programs().join(program);
    if !is_root() {
        return Command::new(path);
    }
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid=postgres", "--regid=postgres", "--clear-groups", "--pdeathsig=KILL"])
        .arg(path);
    command
}

/// Debian keeps them in a folder of their version.
fn programs() -> PathBuf {
    let mut versions: Vec<PathBuf> = fs::read_dir("/usr/lib/postgresql")
        .map(|versions| versions.flatten().map(|version| version.path().join("bin")).collect())
        .unwrap_or_default();
    versions.retain(|bin| bin.join("postgres").exists());
    versions.sort();
    versions.pop().unwrap_or_else(|| {
        let bindir = Command::new("pg_config").arg("--bindir").output().unwrap().stdout;
        PathBuf::from(String::from_utf8(bindir).unwrap().trim())
    })
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

fn folder() -> TempDir {
    let folder = tempfile::Builder::new().prefix("mintage-").tempdir().unwrap();
    if is_root() {
        run(Command::new("chown").arg("postgres").arg(folder.path()));
    }
    folder
}

fn signal(name: &str, processes: &[u32]) {
    // One that has ended in the meantime is no error.
    let ids = processes.iter().map(u32::to_string);
    drop(Command::new("kill").args(["-s", name, "--"]).args(ids).output().unwrap());
}

/// A process and its children, the parent first: each of PostgreSQL's has a group of its own.
fn family(parent: u32) -> Vec<u32> {
    let children = fs::read_dir("/proc").unwrap().flatten().filter_map(|process| {
        let id: u32 = process.file_name().to_str()?.parse().ok()?;
        let stat = fs::read_to_string(process.path().join("stat")).ok()?;
        let after_name = stat.rsplit_once(") ")?.1;
        let its_parent: u32 = after_name.split(' ').nth(1)?.parse().ok()?;
        (its_parent == parent).then_some(id)
    });
    [parent].into_iter().chain(children).collect()
}

/// Runs a program to its end.
pub(crate) fn run(command: &mut Command) -> Output {
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

impl Server {
    /// Waits until that is so.
    pub(crate) async fn until(&self, condition: &'static str) {
        for _ in 0..1500 {
            if self.value(condition).await {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("this never came: {condition}\n{}", self.log());
    }

    /// A standby that streams, and for which commits wait if so wished.
    pub(crate) async fn follower(&self, commits_wait: bool) -> Self {
        let standby = self.standby("second").await;
        self.until("SELECT count(*) > 0 FROM pg_stat_replication WHERE state = 'streaming'").await;
        if commits_wait {
            self.set(&["synchronous_standby_names = '*'"]).await;
            self.until("SELECT count(*) > 0 FROM pg_stat_replication WHERE sync_state = 'sync'")
                .await;
        }
        standby
    }

    /// Sends its standby nothing more.
    pub(crate) async fn cut_standby_off(&self) {
        let sender: i32 = self.value("SELECT pid FROM pg_stat_replication").await;
        signal("STOP", &[sender.unsigned_abs()]);
    }
}

/// One that is dead has let go of its memory, even while its parent has not noticed.
fn runs(process: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, after_name)| !after_name.starts_with(['Z', 'X']))
}

/// This very program once more, to run one of its tests that are ignored otherwise.
pub(crate) fn once_more(test: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--ignored", "--nocapture"]).stdout(Stdio::piped());
    command
}

/// Says something to the test that runs this program.
pub(crate) fn say(words: &str) {
    println!("{SAYS}{words}");
}

/// What the program says in that line: the harness writes to the same pipe.
pub(crate) fn said(line: &str) -> Option<&str> {
    line.split_once(SAYS).map(|(_, words)| words)
}

const SAYS: &str = "child says: ";
