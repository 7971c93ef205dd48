//! The yardstick: redis-benchmark, which runs the store's own script on grants of the same stock.

use std::{
    io::{self, Write as _},
    process::Stdio,
};

use mintage_storage_redis::scripts;
use redis::Script;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
};

use crate::{
    rig,
    shared::{Failure, callers::Until},
    site::{Site, Tally},
    stock::{grant_key, head_key},
};

/// How redis-benchmark calls the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Way {
    pub(crate) clients: u32,
    /// How many calls each of them sends at a time.
    pub(crate) depth: u32,
    /// 0 is redis-benchmark's usual: no further threads.
    pub(crate) threads: u32,
}

/// What came of a run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    /// A second.
    pub(crate) rate: f64,
    /// The share of calls that met a token which another call had redeemed.
    pub(crate) repeats: f64,
    /// Microseconds of the server's for each script, as it says.
    pub(crate) script: f64,
}

/// The command, as the store sends it.
#[derive(Debug)]
pub(crate) struct Yard {
    pub(crate) sha: String,
    pub(crate) head: String,
    /// The argument.
    pub(crate) event: Vec<u8>,
    /// The argument as redis-benchmark gets it. It looks for the place of a number only up to the
    /// first zero byte of all that it sends at a time, so there must be none: each is a one instead.
    /// What that changes is the retry window, which comes to 35 years, what may be purged, and what
    /// the script never looks at: no verdict, and none of what it does (see [`same`](crate::same)).
    pub(crate) sent: Vec<u8>,
    port: u16,
    /// Numbers below this are drawn.
    tokens: u32,
}

impl Yard {
    /// Watches the store redeem the first of so many tokens.
    pub(crate) async fn watch(site: &Site, tokens: u32) -> Result<Self, Failure> {
        let field = &site.stock.field;
        site.stock.restore(0..1).await?;
        let mut monitor =
            BufReader::new(TcpStream::connect(("127.0.0.1", site.server.port())).await?);
        monitor.write_all(b"MONITOR\r\n").await?;
        let mut line = String::new();
        monitor.read_line(&mut line).await?;
        site.redeem(1, 0..1, Until::Done).await?;
        while !line.contains("\"EVALSHA\"") {
            line.clear();
            if monitor.read_line(&mut line).await? == 0 {
                return Err("the server tells nothing of a script".into());
            }
        }
        let told = unquoted(&line);
        let (head, grant) = (head_key(field, 0)?, grant_key(field, 0)?);
        let [name, sha, keys, told_head, told_grant, event] = &told[..] else {
            return Err(format!("this is no script with two keys and an argument: {line}").into());
        };
        let same = name == b"EVALSHA"
            && keys == b"2"
            && told_head == head.as_bytes()
            && told_grant == grant.as_bytes();
        let sha = String::from_utf8(sha.clone())?;
        let own = scripts().into_iter().find(|(name, _)| *name == "redeem");
        let own = own.map(|(_, text)| Script::new(&text).get_hash().to_owned());
        if !same || own.as_ref() != Some(&sha) {
            return Err(format!("this does not redeem: {line}").into());
        }
        let event = event.clone();
        let sent = event.iter().map(|byte| (*byte).max(1)).collect();
        let port = site.server.port();
        Ok(Self { sha, head, event, sent, port, tokens })
    }

    /// So many calls, or a few more. Leaves all tokens as they were issued.
    ///
    /// # Errors
    /// Unless each call has run the script, and that has written once.
    pub(crate) async fn run(&self, site: &Site, way: Way, calls: u32) -> Result<Pace, Failure> {
        // It sends whole pipelines.
        let calls = calls.next_multiple_of(way.depth);
        let before = Tally::of(&site.server).await?;
        let rate = self.measure(way, calls, self.tokens)?;
        let script = before.until(&Tally::of(&site.server).await?, calls)?;
        let redeemed = site.stock.restore(0..self.tokens).await?;
        let repeats = 1.0 - f64::from(redeemed) / f64::from(calls);
        Ok(Pace { rate, repeats, script })
    }

    /// The first token, once.
    pub(crate) fn call_once(&self) -> Result<(), Failure> {
        self.measure(Way { clients: 1, depth: 1, threads: 0 }, 1, 1)?;
        Ok(())
    }

    fn measure(&self, way: Way, calls: u32, tokens: u32) -> Result<f64, Failure> {
        let mut command = rig::ends_with_us("redis-benchmark");
        command.args(["--csv", "-x", "-p", &self.port.to_string(), "-c", &way.clients.to_string()]);
        command.args(["-P", &way.depth.to_string(), "-n", &calls.to_string()]);
        command.args(["-r", &tokens.to_string()]);
        if way.threads > 0 {
            command.args(["--threads", &way.threads.to_string()]);
        }
        let grant = format!("{}__rand_int__", self.head);
        command.args(["EVALSHA", &self.sha, "2", &self.head, &grant]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        let mut stdin = child.stdin.take().ok_or_else(|| io::Error::other("no stdin"))?;
        stdin.write_all(&self.sent)?;
        drop(stdin);
        let output = child.wait_with_output()?;
        let told = String::from_utf8_lossy(&output.stdout);
        let rate = told.lines().last().and_then(|line| line.split("\",\"").nth(1)?.parse().ok());
        let complaint = String::from_utf8_lossy(&output.stderr);
        match rate {
            Some(rate) if output.status.success() && complaint.is_empty() => Ok(rate),
            _ => Err(format!("redis-benchmark: {complaint}\n{told}").into()),
        }
    }
}

/// The words of a line of MONITOR's.
fn unquoted(line: &str) -> Vec<Vec<u8>> {
    let mut words = Vec::new();
    let mut word: Option<Vec<u8>> = None;
    let mut bytes = line.bytes();
    while let Some(byte) = bytes.next() {
        match (&mut word, byte) {
            (None, b'"') => word = Some(Vec::new()),
            (None, _) => {}
            (Some(_), b'"') => words.extend(word.take()),
            (Some(word), b'\\') => word.push(match bytes.next() {
                Some(b'n') => b'\n',
                Some(b'r') => b'\r',
                Some(b't') => b'\t',
                Some(b'a') => 7,
                Some(b'b') => 8,
                Some(b'x') => {
                    let mut digit = || {
                        let digit = bytes.next().map(char::from).and_then(|c| c.to_digit(16));
                        digit.unwrap_or_default().to_le_bytes()[0]
                    };
                    16 * digit() + digit()
                }
                other => other.unwrap_or_default(),
            }),
            (Some(word), byte) => word.push(byte),
        }
    }
    words
}
