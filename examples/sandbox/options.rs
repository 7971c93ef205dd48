//! The command line.

use std::net::SocketAddr;

use mintage_http::Windows;
use mintage_storage_redis::Address;
use sqlx::{ConnectOptions as _, postgres::PgConnectOptions};

pub(crate) const USAGE: &str = "\
usage: sandbox [--listen IP:PORT] [--store URL] [--limit WINDOWS]

  --listen IP:PORT   where to listen (127.0.0.1:8080)
  --store URL        where tokens are kept: memory,
                     postgres://USER:PASSWORD@HOST/DATABASE,
                     redis://USER:PASSWORD@HOST:PORT, or
                     redis-cluster://HOST:PORT,HOST:PORT,… (memory)
  --limit WINDOWS    calls per client, and per credential: '5;w=60' is 5 at once, and
                     then one every 12 s; several are separated by commas
                     ('100000;w=60')";

pub(crate) struct Options {
    pub(crate) listen: SocketAddr,
    pub(crate) store: Kept,
    pub(crate) limit: Windows,
}

/// Where tokens are kept.
pub(crate) enum Kept {
    Memory,
    Postgres(Box<PgConnectOptions>),
    Redis(Box<Address>),
}

impl Kept {
    fn parse(url: &str) -> Result<Self, String> {
        let known = ["postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme));
        match url {
            "memory" => Ok(Self::Memory),
            // The address may hold a password, so it is not repeated.
            _ if known => url
                .parse::<PgConnectOptions>()
                .map(|options| Self::Postgres(Box::new(options.disable_statement_logging())))
                .map_err(|_| "--store: this is no address of a PostgreSQL database".to_owned()),
            _ if url.starts_with("redis") => url
                .parse()
                .map(|address| Self::Redis(Box::new(address)))
                .map_err(|error| format!("--store: {error}")),
            _ => Err("--store: `memory`, `postgres://…` or `redis://…` is expected".to_owned()),
        }
    }
}

impl Options {
    /// Reads the arguments after the program's name; the error says what to write instead.
    pub(crate) fn parse(mut args: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut listen = "127.0.0.1:8080".to_owned();
        let mut store = "memory".to_owned();
        let mut limit = "100000;w=60".to_owned();
        while let Some(option) = args.next() {
            let value = match option.as_str() {
                "--help" | "-h" => return Err(USAGE.to_owned()),
                "--listen" => &mut listen,
                "--store" => &mut store,
                "--limit" => &mut limit,
                _ => return Err(format!("`{option}` is no option\n{USAGE}")),
            };
            *value = args.next().ok_or_else(|| format!("{option} needs a value\n{USAGE}"))?;
        }
        Ok(Self {
            listen: listen
                .parse()
                .map_err(|_| format!("--listen `{listen}`: an IP:PORT is expected"))?,
            store: Kept::parse(&store)?,
            limit: limit.parse().map_err(|error| format!("--limit `{limit}`: {error}"))?,
        })
    }
}
