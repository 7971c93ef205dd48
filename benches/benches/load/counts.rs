//! What the system counts: the CPU time of processes, and what passes over the loopback.

use std::{fs, str::FromStr};

use mintage_benches::Failure;

/// Counts that only grow, each under a name.
pub(crate) type Counts = Vec<(&'static str, f64)>;

/// Microseconds in a tick of the clock that `/proc` counts in (`USER_HZ`), which is 100 to the second
/// on every Linux that we know.
const TICK: f64 = 10_000.0;

/// Microseconds of CPU time.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Cpu {
    pub(crate) user: f64,
    pub(crate) kernel: f64,
}

/// What this process has taken, all of its threads.
pub(crate) fn ours() -> Result<Cpu, Failure> {
    let stat = Stat::read("self")?;
    Ok(Cpu { user: TICK * stat.user, kernel: TICK * stat.kernel })
}

/// What a server has taken: its first process, the children that it has, and those that it had.
pub(crate) fn server(first: &str) -> Result<Cpu, Failure> {
    let stat = Stat::read(first)?;
    let mut cpu = Cpu { user: stat.user + stat.past_user, kernel: stat.kernel + stat.past_kernel };
    for process in fs::read_dir("/proc")?.flatten() {
        // One that has ended meanwhile is its parent's past; what is no process has no such file.
        let Ok(child) = Stat::read(&process.file_name().to_string_lossy()) else { continue };
        if child.parent == first {
            cpu.user += child.user;
            cpu.kernel += child.kernel;
        }
    }
    Ok(Cpu { user: TICK * cpu.user, kernel: TICK * cpu.kernel })
}

/// Of a process, the ticks that it and its dead children have had, and whose child it is.
struct Stat {
    parent: String,
    user: f64,
    kernel: f64,
    past_user: f64,
    past_kernel: f64,
}

impl Stat {
    /// See proc(5), `/proc/pid/stat`: the third field is the first one after the name.
    fn read(process: &str) -> Result<Self, Failure> {
        let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
        let (_, stat) = stat.rsplit_once(") ").ok_or("a process has no name")?;
        let fields: Vec<&str> = stat.split(' ').collect();
        Ok(Self {
            parent: field(&fields, 4 - 3)?,
            user: field(&fields, 14 - 3)?,
            kernel: field(&fields, 15 - 3)?,
            past_user: field(&fields, 16 - 3)?,
            past_kernel: field(&fields, 17 - 3)?,
        })
    }
}

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

fn field<T: FromStr>(fields: &[&str], nth: usize) -> Result<T, Failure> {
    let field = fields.get(nth).and_then(|field| field.parse().ok());
    field.ok_or_else(|| format!("there is no field {nth} in {fields:?}").into())
}
