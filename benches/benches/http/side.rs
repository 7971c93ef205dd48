//! One of those that are compared: its server, and who asks it.

use std::{iter, ops::AddAssign, time::Duration};

use hyper::body::Bytes;
use mintage_benches::{Failure, figures::Run, world::World};

use super::{
    asked::{self, CLIENT_CREDENTIALS, Judge, Target},
    client::{Connection, closed_loop, open_loop},
    server::{Role, Server},
};

/// A server, and the connections to it.
#[derive(Debug)]
pub(crate) struct Side {
    server: Server,
    role: Role,
    connections: Vec<Connection>,
    judge: Judge,
    /// What it is always asked, if that does not change.
    body: Option<Bytes>,
    /// What is still to be asked.
    bodies: Vec<Bytes>,
}

impl Side {
    pub(crate) async fn start(role: Role, connections: usize) -> Result<Self, Failure> {
        let server = Server::start(role)?;
        let body = match role {
            Role::Ours => None,
            Role::Bare => Some(asked::exchange(World::new(2)?.issue(0)?.to_text().expose())),
            Role::OidcProvider => Some(Bytes::from_static(CLIENT_CREDENTIALS)),
        };
        let (judge, bodies) = (Judge::new()?, Vec::new());
        let mut side = Self { server, role, connections: Vec::new(), judge, body, bodies };
        for _ in 0..connections {
            side.connections.push(Connection::open(side.server.port).await?);
        }
        Ok(side)
    }

    /// How many answers it gives in so much time, while each connection asks again and again.
    ///
    /// # Errors
    /// Unless every answer is right.
    pub(crate) async fn at_top(&mut self, length: Duration) -> Result<Top, Failure> {
        // More than any of them gets through.
        self.prepare(60 * usize::try_from(length.as_millis())? + 1000).await?;
        let (target, before) = (Target::of(self.role), self.server.computed()?);
        let connections = &mut self.connections;
        let (elapsed, pairs) = closed_loop(connections, target, &mut self.bodies, length).await?;
        let computed = self.server.computed()?.saturating_sub(before);
        self.judge.check(self.role, &pairs)?;
        Ok(Top { answers: u32::try_from(pairs.len())?, elapsed, computed })
    }

    /// How long it takes to answer, where so many a second are due, over so much time.
    ///
    /// # Errors
    /// Unless every answer is right.
    pub(crate) async fn at_rate(
        &mut self,
        rate: f64,
        length: Duration,
        seed: u64,
    ) -> Result<Run, Failure> {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is small")]
        let count = (rate * length.as_secs_f64()) as usize;
        self.prepare(count).await?;
        let bodies = self.bodies.split_off(self.bodies.len() - count);
        let target = Target::of(self.role);
        let (run, pairs) = open_loop(&mut self.connections, target, bodies, rate, seed).await?;
        self.judge.check(self.role, &pairs)?;
        Ok(run)
    }

    /// Has so many bodies at hand.
    async fn prepare(&mut self, count: usize) -> Result<(), Failure> {
        let missing = count.saturating_sub(self.bodies.len());
        if let Some(body) = &self.body {
            self.bodies.extend(iter::repeat_n(body.clone(), missing));
        } else {
            let target = Target { path: "/issue", content_type: "text/plain" };
            let connection = self.connections.first_mut().ok_or("there is no connection")?;
            let issued = connection.ask(target, missing.to_string().into()).await?;
            self.bodies.extend(std::str::from_utf8(&issued)?.lines().map(asked::exchange));
        }
        Ok(())
    }
}

/// What came of asking at the top rate.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Top {
    answers: u32,
    elapsed: Duration,
    /// How long the server has computed.
    computed: Duration,
}

impl Top {
    /// Answers a second.
    pub(crate) fn rate(self) -> f64 {
        f64::from(self.answers) / self.elapsed.as_secs_f64()
    }

    /// What part of the time the server has computed: near to one, it is what is measured.
    pub(crate) fn busy(self) -> f64 {
        self.computed.as_secs_f64() / self.elapsed.as_secs_f64()
    }
}

impl AddAssign for Top {
    fn add_assign(&mut self, other: Self) {
        self.answers += other.answers;
        self.elapsed += other.elapsed;
        self.computed += other.computed;
    }
}
