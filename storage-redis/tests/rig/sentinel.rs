//! Who watches a primary and says which server it is now.

#![allow(dead_code, reason = "each experiment uses a part of it")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "what fails here fails the experiment")]

use std::{
    fs,
    process::{Child, Stdio},
    time::Duration,
};

use mintage_storage_redis::Address;
use redis::{FromRedisValue, RedisResult};
use tempfile::TempDir;
use tokio::time::sleep;

use super::{Server, connection_to, ends_with_us, free_port};

const SERVICE: &str = "mintage";

pub(crate) struct Sentinel {
    port: u16,
    process: Child,
    _folder: TempDir,
}

impl Sentinel {
    /// One for that primary, which knows its replicas.
    pub(crate) async fn over(primary: &Server) -> Self {
        let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
        let lines = format!(
            "port {port}\nbind 127.0.0.1\n\
             sentinel monitor {SERVICE} 127.0.0.1 {} 1\n\
             sentinel down-after-milliseconds {SERVICE} 500\n\
             sentinel failover-timeout {SERVICE} 3000\n",
            primary.port()
        );
        fs::write(folder.path().join("sentinel.conf"), lines).unwrap();
        let log = fs::File::create(folder.path().join("log")).unwrap();
        let process = ends_with_us("redis-server")
            .args(["sentinel.conf", "--sentinel"])
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(log)
            .spawn()
            .unwrap();
        let sentinel = Self { port, process, _folder: folder };
        for _ in 0..2000 {
            let replicas = sentinel.ask::<Vec<redis::Value>>(&["SENTINEL", "REPLICAS", SERVICE]);
            if replicas.await.is_ok_and(|replicas| !replicas.is_empty()) {
                return sentinel;
            }
            sleep(Duration::from_millis(10)).await;
        }
        panic!("the sentinel never saw the replica");
    }

    pub(crate) fn address(&self) -> Address {
        format!("redis-sentinel://127.0.0.1:{}/{SERVICE}", self.port).parse().unwrap()
    }

    /// Waits until it says that the primary is that one.
    pub(crate) async fn until(&self, primary: &Server) {
        let wanted = primary.port().to_string();
        for _ in 0..2000 {
            let words = ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE];
            let address: Vec<String> = self.ask(&words).await.unwrap();
            if address.get(1) == Some(&wanted) {
                return;
            }
            sleep(Duration::from_millis(10)).await;
        }
        panic!("the sentinel never named the new primary");
    }

    /// Has it switch, though the primary is well.
    pub(crate) async fn switch(&self) {
        for _ in 0..500 {
            if self.ask::<()>(&["SENTINEL", "FAILOVER", SERVICE]).await.is_ok() {
                return;
            }
            sleep(Duration::from_millis(20)).await;
        }
        panic!("the sentinel did not switch");
    }

    async fn ask<T: FromRedisValue>(&self, words: &[&str]) -> RedisResult<T> {
        let mut connection = connection_to(&format!("redis://127.0.0.1:{}", self.port)).await?;
        redis::cmd(words[0]).arg(&words[1..]).query_async(&mut connection).await
    }
}

impl Drop for Sentinel {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}
