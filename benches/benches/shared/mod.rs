//! What the measurements of all stores share.

#![allow(dead_code, reason = "each measurement uses a part of it")]

pub(crate) mod callers;
pub(crate) mod parties;

use std::{env, fs, process::ExitCode};

pub(crate) use mintage_benches::{Failure, figures};

/// Measures, and says so if that is impossible.
pub(crate) fn run(name: &str, measure: impl Future<Output = Result<(), Failure>>) -> ExitCode {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    match runtime.map_err(Failure::from).and_then(|runtime| runtime.block_on(measure)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{name}: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// Whether it is only to be shown that the measurement works.
pub(crate) fn is_quick() -> bool {
    env::var_os("MINTAGE_BENCH_QUICK").is_some()
}

/// How many grants are stored at most.
pub(crate) fn most_grants(usual: u32) -> Result<u32, Failure> {
    match env::var("MINTAGE_BENCH_GRANTS") {
        Ok(grants) => Ok(grants.parse()?),
        Err(_) => Ok(usual),
    }
}

/// The memory of this machine: `MemTotal`, `MemAvailable`.
pub(crate) fn memory_kb(name: &str) -> Result<u64, Failure> {
    let about = fs::read_to_string("/proc/meminfo")?;
    let line = about.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let memory = line.and_then(|memory| memory.trim().strip_suffix("kB")?.trim().parse().ok());
    memory.ok_or_else(|| "the machine does not tell how much memory it has".into())
}

/// Both; in every other round, the second comes first.
pub(crate) fn by_turns<A, B>(
    round: u32,
    one: impl Future<Output = Result<A, Failure>>,
    other: impl Future<Output = Result<B, Failure>>,
) -> impl Future<Output = Result<(A, B), Failure>> {
    // Boxed, for they are large.
    let (one, other) = (Box::pin(one), Box::pin(other));
    async move {
        if round.is_multiple_of(2) {
            let one = one.await?;
            Ok((one, other.await?))
        } else {
            let other = other.await?;
            Ok((one.await?, other))
        }
    }
}
