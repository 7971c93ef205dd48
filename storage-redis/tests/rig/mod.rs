//! A Redis server for an experiment: started in a temporary folder on a free port of 127.0.0.1,
//! killed at the end whatever happens.

#![allow(dead_code, reason = "each experiment uses a part of it")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "what fails here fails the experiment")]

pub(crate) mod cluster;
pub(crate) mod naive;
pub(crate) mod power;
pub(crate) mod proxy;
pub(crate) mod sentinel;

// Tokens by number, load and reckoning know no store: every store is held to the same ones.
#[path = "../../../storage-postgres/tests/rig/field.rs"]
pub(crate) mod field;
#[path = "../../../storage-postgres/tests/rig/load.rs"]
pub(crate) mod load;

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::Duration,
};

use mintage::Lifetime;
use mintage_storage_redis::{Acknowledge, Address, RedisStore, Settings};
use redis::{
    AsyncConnectionConfig, Client, FromRedisValue, RedisResult, aio::MultiplexedConnection,
};
use tempfile::TempDir;
use tokio::time::sleep;

/// A server, and where its files are.
pub(crate) struct Server {
    folder: TempDir,
    port: u16,
    preload: Option<PathBuf>,
    process: Option<Child>,
}

impl Server {
    /// A fresh server with these lines in its configuration. It keeps nothing on disk unless they
    /// say so.
    pub(crate) async fn start(settings: &[&str]) -> Self {
        Self::preloaded(None, settings).await
    }

    /// The same, with a library before all others.
    async fn preloaded(preload: Option<PathBuf>, settings: &[&str]) -> Self {
        let mut server = Self::prepared(preload, settings);
        server.launch().await;
        server
    }

    fn prepared(preload: Option<PathBuf>, settings: &[&str]) -> Self {
        let folder = tempfile::Builder::new().prefix("mintage-").tempdir().unwrap();
        let port = free_port();
        // A replica that is asked for is wanted now, not in five seconds.
        let lines = format!(
            "port {port}\nbind 127.0.0.1\nsave \"\"\nrepl-diskless-sync-delay 0\n{}\n",
            settings.join("\n")
        );
        fs::write(folder.path().join("redis.conf"), lines).unwrap();
        Self { folder, port, preload, process: None }
    }

    /// Starts it again, after a kill, and waits until it answers.
    pub(crate) async fn launch(&mut self) {
        self.launch_only();
        for _ in 0..1000 {
            if self.ask::<String>(&["PING"]).await.is_ok() {
                return;
            }
            sleep(Duration::from_millis(10)).await;
        }
        panic!("the server did not start:\n{}", self.log());
    }

    /// Starts it again and waits for nothing.
    pub(crate) fn launch_only(&mut self) {
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(self.folder.path().join("log"))
            .unwrap();
        let mut command = ends_with_us("redis-server");
        if let Some(library) = &self.preload {
            command.env("LD_PRELOAD", library);
        }
        let process = command
            .arg("redis.conf")
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        self.process = Some(process);
    }

    /// Adds a line to its configuration, for when it starts again.
    pub(crate) fn configure(&self, setting: &str) {
        let conf = self.folder.path().join("redis.conf");
        let lines = fs::read_to_string(&conf).unwrap();
        fs::write(conf, format!("{lines}{setting}\n")).unwrap();
    }

    /// A replica of this server, which has all that it has.
    pub(crate) async fn replica(&self) -> Self {
        self.replica_by(self.port).await
    }

    /// The same, by that port: the link between them can then be cut.
    pub(crate) async fn replica_by(&self, port: u16) -> Self {
        let settings = format!("replicaof 127.0.0.1 {port}");
        let replica = Self::start(&[&settings]).await;
        replica.until("replication", "master_link_status", "up").await;
        self.until_replicated().await;
        replica
    }

    /// Waits until its replicas have acknowledged all that it has written: one at least, of whom the
    /// whole copy is the first.
    pub(crate) async fn until_replicated(&self) {
        for _ in 0..500 {
            let replicas = self.replicas().await;
            if replicas > 0 && self.wait_for(replicas).await >= replicas {
                return;
            }
            sleep(Duration::from_millis(10)).await;
        }
        panic!("the replicas never had it all:\n{}", self.log());
    }

    /// How many replicas have what it has written up to now, of so many that are waited for.
    async fn wait_for(&self, replicas: usize) -> usize {
        // A write, so that there is something to wait for; it leaves nothing.
        let write = "redis.call('SET', KEYS[1], 1) redis.call('DEL', KEYS[1])";
        let mut connection = self.connection().await.unwrap();
        let mut asked = redis::pipe();
        asked.cmd("EVAL").arg(write).arg(1).arg("written").ignore();
        asked.cmd("WAIT").arg(replicas).arg(1_000);
        let (acknowledged,): (usize,) = asked.query_async(&mut connection).await.unwrap();
        acknowledged
    }

    /// How many replicas get what it writes.
    pub(crate) async fn replicas(&self) -> usize {
        self.info("replication").await.matches("state=online").count()
    }

    /// Makes a replica a primary.
    pub(crate) async fn promote(&self) {
        let () = self.ask(&["REPLICAOF", "NO", "ONE"]).await.unwrap();
    }

    /// Makes it a replica, as a sentinel would ten seconds later.
    pub(crate) async fn follow(&self, primary: &Self) {
        let () = self.ask(&["REPLICAOF", "127.0.0.1", &primary.port().to_string()]).await.unwrap();
        self.until("replication", "master_link_status", "up").await;
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// How to reach it, as text.
    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// The same for a store.
    pub(crate) fn address(&self) -> Address {
        self.url().parse().unwrap()
    }

    /// A store on it.
    pub(crate) async fn store(&self) -> RedisStore {
        self.store_with(deadline(10_000)).await
    }

    pub(crate) async fn store_with(&self, settings: Settings) -> RedisStore {
        RedisStore::connect(self.address(), settings).await.unwrap()
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    fn id(&self) -> u32 {
        self.process.as_ref().unwrap().id()
    }

    /// Kills it, as a crash would.
    pub(crate) fn kill(&mut self) {
        let Some(mut process) = self.process.take() else { return };
        process.kill().unwrap();
        process.wait().unwrap();
    }

    /// Halts it: the operating system still takes what is sent to it.
    pub(crate) fn halt(&self) {
        signal("STOP", self.id());
    }

    /// Lets it go on.
    pub(crate) fn resume(&self) {
        signal("CONT", self.id());
    }

    /// An administrator's connection.
    pub(crate) async fn connection(&self) -> RedisResult<MultiplexedConnection> {
        connection_to(&self.url()).await
    }

    /// Asks it as its administrator.
    pub(crate) async fn ask<T: FromRedisValue>(&self, words: &[&str]) -> RedisResult<T> {
        redis::cmd(words[0]).arg(&words[1..]).query_async(&mut self.connection().await?).await
    }

    /// A section of what it says of itself.
    pub(crate) async fn info(&self, section: &str) -> String {
        self.ask(&["INFO", section]).await.unwrap()
    }

    /// One field of it.
    pub(crate) async fn field(&self, section: &str, name: &str) -> String {
        let info = self.info(section).await;
        let mut fields = info.lines().filter_map(|line| line.trim_end().split_once(':'));
        fields.find(|(own, _)| *own == name).map(|(_, value)| value.to_owned()).unwrap_or_default()
    }

    /// Waits until a field has that value.
    pub(crate) async fn until(&self, section: &str, name: &str, value: &str) {
        for _ in 0..1500 {
            if self.field(section, name).await == value {
                return;
            }
            sleep(Duration::from_millis(10)).await;
        }
        panic!("this never came: {name} is {value}\n{}", self.log());
    }

    /// Changes a setting of a running server.
    pub(crate) async fn set(&self, name: &str, value: &str) {
        let () = self.ask(&["CONFIG", "SET", name, value]).await.unwrap();
    }

    /// All its keys: what no store ever asks for.
    pub(crate) async fn keys(&self) -> Vec<Vec<u8>> {
        self.ask(&["KEYS", "*"]).await.unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The address in `MINTAGE_REDIS`, or that of a server of the test's own.
pub(crate) async fn shared() -> (Address, Option<Server>) {
    if let Ok(url) = std::env::var("MINTAGE_REDIS") {
        return (url.parse().unwrap(), None);
    }
    let server = Server::start(&[]).await;
    (server.address(), Some(server))
}

/// A deadline of so many milliseconds.
pub(crate) fn deadline(millis: u32) -> Settings {
    Settings { deadline: Lifetime::from_millis(millis), ..Settings::default() }
}

/// The same, and writes wait for so many replicas.
pub(crate) fn replicated(replicas: u32, millis: u32) -> Settings {
    let acknowledge = Acknowledge::Replicas(replicas.try_into().unwrap());
    Settings { acknowledge, ..deadline(millis) }
}

/// A connection that waits as long as it takes.
pub(crate) async fn connection_to(url: &str) -> RedisResult<MultiplexedConnection> {
    let patient = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(Duration::from_secs(10)))
        .set_response_timeout(Some(Duration::from_secs(30)));
    Client::open(url)?.get_multiplexed_async_connection_with_config(&patient).await
}

/// A program that ends when we do, however that is.
pub(crate) fn ends_with_us(program: &str) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig=KILL", program]);
    command
}

/// A port that nobody had a moment ago.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn signal(name: &str, process: u32) {
    run(Command::new("kill").args(["-s", name, "--", &process.to_string()]));
}

/// Runs a program to its end.
pub(crate) fn run(command: &mut Command) -> Output {
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
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
