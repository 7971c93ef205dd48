//! One of those that are compared: its server, the connections to it, what it is asked, and how its
//! answers are checked.

use std::{iter, ops::AddAssign, time::Duration};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use ed25519_dalek::{Signature, SigningKey, VerifyingKey};
use hyper::body::Bytes;
use mintage::OneTimeToken;
use mintage_benches::{
    Failure,
    figures::Run,
    tokens::SEED,
    world::{IDENTITY, World},
};
use serde_json::Value;

use crate::{
    client::{Connection, Pair, Target, closed_loop, open_loop},
    server::{Role, Server},
};

/// A server, and who asks it.
#[derive(Debug)]
pub(crate) struct Side {
    pub(crate) server: Server,
    role: Role,
    connections: Vec<Connection>,
    world: World,
    key: VerifyingKey,
    /// What the bare handler always answers.
    constant: Option<Bytes>,
    /// What is still to be asked.
    bodies: Vec<Bytes>,
}

impl Side {
    pub(crate) async fn start(role: Role, connections: usize) -> Result<Self, Failure> {
        let server = Server::start(role)?;
        let mut side = Self {
            role,
            connections: Vec::new(),
            world: World::new(10)?,
            key: SigningKey::from_bytes(&SEED).verifying_key(),
            constant: None,
            bodies: Vec::new(),
            server,
        };
        for _ in 0..connections {
            side.connections.push(Connection::open(side.server.port).await?);
        }
        Ok(side)
    }

    /// How many answers a second it gives at most, over so much time.
    ///
    /// # Errors
    /// Unless every answer is right.
    pub(crate) async fn at_top(&mut self, length: Duration) -> Result<Top, Failure> {
        // More than any of them gets through.
        self.prepare(40 * usize::try_from(length.as_millis())? + 1000).await?;
        let (target, before) = (self.target(), self.server.computed()?);
        let connections = &mut self.connections;
        let (elapsed, pairs) = closed_loop(connections, target, &mut self.bodies, length).await?;
        let computed = self.server.computed()?.saturating_sub(before);
        self.check(&pairs)?;
        Ok(Top { answers: u32::try_from(pairs.len())?, elapsed, computed })
    }

    /// How long it takes to answer so many a second, over so much time.
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
        let target = self.target();
        let (run, pairs) = open_loop(&mut self.connections, target, bodies, rate, seed).await?;
        self.check(&pairs)?;
        Ok(run)
    }

    fn target(&self) -> Target {
        match self.role {
            Role::Ours | Role::Bare => {
                Target { path: "/access_token", content_type: "application/json" }
            }
            Role::OidcProvider => {
                Target { path: "/token", content_type: "application/x-www-form-urlencoded" }
            }
        }
    }

    /// Has so many bodies at hand.
    async fn prepare(&mut self, count: usize) -> Result<(), Failure> {
        let missing = count.saturating_sub(self.bodies.len());
        match self.role {
            Role::Ours => {
                let target = Target { path: "/issue", content_type: "text/plain" };
                let connection = self.connections.first_mut().ok_or("there is no connection")?;
                let issued = connection.ask(target, missing.to_string().into()).await?;
                self.bodies.extend(std::str::from_utf8(&issued)?.lines().map(body));
            }
            Role::Bare => {
                let token = self.world.issue(1)?.to_text();
                self.bodies.extend(iter::repeat_n(body(token.expose()), missing));
            }
            Role::OidcProvider => {
                let body = Bytes::from_static(
                    b"grant_type=client_credentials\
                      &client_id=acme-web&client_secret=acme-web-secret",
                );
                self.bodies.extend(iter::repeat_n(body, missing));
            }
        }
        Ok(())
    }

    /// Makes sure that each is answered right: by mintage with an access token of the grant that
    /// was asked for, which a verifier accepts; by the bare handler with the one token, whose
    /// signature is good; by oidc-provider with a JWT, whose signature is good.
    ///
    /// # Errors
    /// At the first that is not.
    fn check(&mut self, pairs: &[Pair]) -> Result<(), Failure> {
        for (asked, answer) in pairs {
            match self.role {
                Role::Ours => {
                    let asked: Value = serde_json::from_slice(asked)?;
                    let asked: OneTimeToken = text(&asked, "token")?.parse()?;
                    let answer: Value = serde_json::from_slice(answer)?;
                    self.world.check(text(&answer, "token")?, asked.id())?;
                }
                Role::Bare => {
                    if self.constant.as_ref() != Some(answer) {
                        self.check_signature(answer, "token")?;
                        if self.constant.replace(answer.clone()).is_some() {
                            return Err("the bare handler's answers differ".into());
                        }
                    }
                }
                Role::OidcProvider => self.check_signature(answer, "access_token")?,
            }
        }
        Ok(())
    }

    fn check_signature(&self, answer: &Bytes, name: &str) -> Result<(), Failure> {
        let answer: Value = serde_json::from_slice(answer)?;
        let (signed, signature) = text(&answer, name)?.rsplit_once('.').ok_or("this is no JWT")?;
        let signature = Signature::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(signature)?)?;
        Ok(self.key.verify_strict(signed.as_bytes(), &signature)?)
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

fn body(token: &str) -> Bytes {
    format!(r#"{{"identity":{{"type":"CORPORATE","id":"{IDENTITY}"}},"token":"{token}"}}"#).into()
}

fn text<'a>(object: &'a Value, name: &str) -> Result<&'a str, Failure> {
    object[name].as_str().ok_or_else(|| format!("there is no {name}: {object}").into())
}
