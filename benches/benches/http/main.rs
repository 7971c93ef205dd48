//! `POST /access_token` on the store in memory, beside a bare axum handler that parses the same body
//! and makes one signature, and beside oidc-provider.
//!
//! Each server is a process of its own, all on the first core, and only one of them is asked at a
//! time; the client has the last core to itself, so that what is measured is the server: where one is
//! not busy, the measurement fails. Every answer is read whole, and checked after its turn: see
//! [`Judge`](asked::Judge).
//!
//! It prints the figures of each part and then `TARGET <name> reached=<x> goal=<op><y> ok|MISSED`.
//! A target that is missed is no failure; what cannot be measured is one.
//!
//! `MINTAGE_BENCH_QUICK=1` only shows that it works. Needs two cores, and the modules of
//! `benches/peers/oidc-provider`, which `./scripts/bench http` installs.

pub(crate) mod asked;
pub(crate) mod client;
mod serve;
pub(crate) mod server;
mod side;
mod speed;
mod start;

use std::{env, os::unix::process::CommandExt as _, process::ExitCode, thread, time::Duration};

use mintage_benches::Failure;

use self::{server::Role, side::Side};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("http: {failure}");
            ExitCode::FAILURE
        }
    }
}

const PATIENCE: Duration = Duration::from_mins(10);

/// This program is the client and both servers of ours; cargo starts none of them.
fn run() -> Result<(), Failure> {
    match env::args().nth(1).as_deref() {
        Some("ours") => on_one_thread(serve::ours()),
        Some("bare") => on_one_thread(serve::bare()),
        Some("client") => on_one_thread(async {
            // Were an answer lost, it would wait for ever.
            let measured = tokio::time::timeout(PATIENCE, measure(Sizes::wanted())).await;
            measured.unwrap_or_else(|_| Err("it takes too long: is an answer lost?".into()))
        }),
        _ => match thread::available_parallelism()?.get() - 1 {
            0 => Err("the client needs a core of its own, and there is only one".into()),
            // In place of this process, so that whoever ends it ends the client.
            last => Err(server::on_core(last, &env::current_exe()?).arg("client").exec().into()),
        },
    }
}

fn on_one_thread(work: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}

async fn measure(sizes: Sizes) -> Result<(), Failure> {
    {
        let mut all = [
            Side::start(Role::Ours, sizes.connections).await?,
            Side::start(Role::Bare, sizes.connections).await?,
            Side::start(Role::OidcProvider, sizes.connections).await?,
        ];
        let top = speed::top(&mut all, sizes).await?;
        let [ours, bare, _] = &mut all;
        speed::at_rate(top / 2.0, ours, bare, sizes).await?;
    }
    start::measure(sizes).await
}

/// How much is measured.
#[derive(Debug, Clone, Copy)]
struct Sizes {
    rounds: u32,
    connections: usize,
    /// How often each side has its turn in a round, and how long that is.
    turns: u32,
    turn: Duration,
    /// How much of its core's time each server must have used at its top rate, in hundredths.
    busy: f64,
}

impl Sizes {
    fn wanted() -> Self {
        let turn = Duration::from_millis(250);
        if env::var_os("MINTAGE_BENCH_QUICK").is_some() {
            Self { rounds: 2, connections: 8, turns: 1, turn: turn / 5, busy: 0.0 }
        } else {
            Self { rounds: 21, connections: 64, turns: 3, turn, busy: 95.0 }
        }
    }
}
