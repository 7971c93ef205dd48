//! What the system counts of itself: what passes over the loopback, and the ticks of its cores.

use std::fs;

use mintage_benches::{Failure, cpu::field};

/// Counts that only grow, each under a name.
pub(crate) type Counts = Vec<(&'static str, f64)>;

/// Bytes and packets that have passed over the loopback, each counted once though it was both sent
/// and received: headers included, and one packet however many a network would make of it.
pub(crate) fn loopback() -> Result<[f64; 2], Failure> {
    let devices = fs::read_to_string("/proc/net/dev")?;
    let counts = devices.lines().find_map(|line| line.trim().strip_prefix("lo:"));
    let counts: Vec<&str> = counts.ok_or("there is no loopback")?.split_whitespace().collect();
    Ok([field(&counts, 0)?, field(&counts, 1)?])
}

/// Ticks of all cores, and how many of them the hypervisor kept for others.
pub(crate) fn ticks() -> Result<[f64; 2], Failure> {
    let stat = fs::read_to_string("/proc/stat")?;
    let all: Vec<&str> = stat.lines().next().unwrap_or_default().split_whitespace().collect();
    let ticks = (1..=8).map(|nth| field::<f64>(&all, nth)).sum::<Result<f64, Failure>>()?;
    Ok([ticks, field(&all, 8)?])
}
