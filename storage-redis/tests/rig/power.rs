//! A server whose power can be cut: what it had written and not yet synced to its disk is gone
//! then, as far as the file of its changes goes.
//!
//! A library before all others notes, whenever the server has synced that file, how much of it was
//! written when the sync began. A cut kills the server and takes off whatever comes after. So it is
//! not a machine's power that is cut, but just what a server can count on when it is.

#![allow(dead_code, reason = "each experiment uses a part of it")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "what fails here fails the experiment")]

use std::{
    fs,
    ops::{Deref, DerefMut},
    path::PathBuf,
    process::Command,
};

use tempfile::TempDir;

use super::{Server, run};

pub(crate) struct Powered {
    server: Server,
    _library: TempDir,
}

impl Powered {
    /// A server that appends each change to a file and syncs it so: `always`, `everysec`, `no`.
    pub(crate) async fn start(appendfsync: &str) -> Self {
        let library = tempfile::tempdir().unwrap();
        let (source, built) = (library.path().join("synced.c"), library.path().join("synced.so"));
        fs::write(&source, include_str!("synced.c")).unwrap();
        run(Command::new("cc").args(["-shared", "-fPIC", "-o"]).args([&built, &source]));
        let sync = format!("appendfsync {appendfsync}");
        let settings = ["appendonly yes", "auto-aof-rewrite-percentage 0", &sync];
        let server = Server::preloaded(Some(built), &settings).await;
        Self { server, _library: library }
    }

    /// Cuts its power. How many bytes had been written and not been synced.
    pub(crate) fn cut(&mut self) -> u64 {
        self.server.kill();
        let changes = self.changes();
        let written = fs::metadata(&changes).unwrap().len();
        let synced = fs::read_to_string(self.server.folder().join("synced")).unwrap_or_default();
        let synced = synced.trim().parse().unwrap_or(0);
        assert!(synced <= written, "{synced} bytes were synced, {written} written");
        fs::File::options().write(true).open(changes).unwrap().set_len(synced).unwrap();
        written - synced
    }

    fn changes(&self) -> PathBuf {
        let folder = self.server.folder().join("appendonlydir");
        let mut files = fs::read_dir(&folder).unwrap().map(|file| file.unwrap().path());
        files
            .find(|file| file.extension().is_some_and(|end| end == "aof") && is_incr(file))
            .unwrap()
    }
}

fn is_incr(file: &std::path::Path) -> bool {
    file.file_stem().is_some_and(|stem| stem.to_string_lossy().ends_with(".incr"))
}

impl Deref for Powered {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}

impl DerefMut for Powered {
    fn deref_mut(&mut self) -> &mut Server {
        &mut self.server
    }
}
