//! CPU time, as the system counts it.

use std::{fs, str::FromStr};

use crate::Failure;

/// Microseconds in a tick of the clock that `/proc` counts in (`USER_HZ`), which is 100 to the second
/// on every Linux that we know.
const TICK: f64 = 10_000.0;

/// Microseconds of CPU time.
#[derive(Debug, Clone, Copy, Default)]
pub struct Cpu {
    /// In the process's own code.
    pub user: f64,
    /// In the kernel, on its behalf.
    pub kernel: f64,
}

/// What a process has taken, all of its threads: by its id, or `self`.
///
/// # Errors
/// When there is no such process.
pub fn of(process: &str) -> Result<Cpu, Failure> {
    let stat = Stat::read(process)?;
    Ok(Cpu { user: TICK * stat.user, kernel: TICK * stat.kernel })
}

/// What a server has taken: its first process, the children that it has, and those that it had.
///
/// # Errors
/// When there is no such process.
pub fn of_family(first: &str) -> Result<Cpu, Failure> {
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

/// That field, as a number or whatever is wanted.
///
/// # Errors
/// When it is not there, or something else.
pub fn field<T: FromStr>(fields: &[&str], nth: usize) -> Result<T, Failure> {
    let field = fields.get(nth).and_then(|field| field.parse().ok());
    field.ok_or_else(|| format!("there is no field {nth} in {fields:?}").into())
}
