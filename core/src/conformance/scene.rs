//! What a case is written in: a scene with its own time, people that nobody else knows, what they
//! can do, and what must be seen.

use std::{
    error::Error,
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest as _, Sha256};

use super::{
    Violation,
    joined::{Joined, join_all},
    model::{Answer, Op},
};
use crate::{
    grant::{
        Active, Bearer, Context, Elevate, First, Grant, Issue, Mint, OnReplay, Open, Purpose, Read,
        Redeem, Refusal, Revoke, RevokeAll, Slide, State, StepUp, Strength, Terms, Touch,
    },
    id::{Attempt, Epoch, Generation, GrantId, Locator},
    instant::{Lifetime, Timestamp},
    keys::{Algorithm, KeyId, KeyRef},
    model::{
        Audience, ClientId, Credential, CredentialId, CredentialType, HostClaims, Identity,
        IdentityId, IdentityType, Issuer, Scope, Tenant,
    },
    random,
    secret::SecretDigest,
    store::{StoreError, TokenStore},
};

/// A second, in the milliseconds that [`Scene::at`] counts.
pub(super) const S: i64 = 1_000;
/// A minute.
pub(super) const MIN: i64 = 60 * S;
/// An hour.
pub(super) const HOUR: i64 = 60 * MIN;

/// How long one-time tokens can be spent here: 60 s.
pub(super) const ONE_TIME: Lifetime = Lifetime::from_secs(60);
/// How long tokens live unused: 5 min.
pub(super) const IDLE: Lifetime = Lifetime::from_mins(5);
/// How long access tokens live at most: 1 h.
pub(super) const ACCESS: Lifetime = Lifetime::from_hours(1);
/// How long logins live at most: 12 h.
pub(super) const LOGIN: Lifetime = Lifetime::from_hours(12);
/// The step of the idle deadline: 15 s.
pub(super) const SLIDE: Slide = Slide { idle: IDLE, granularity: Lifetime::from_secs(15) };
/// How far a clock may fall behind: 5 s.
const MAX_SKEW: Lifetime = Lifetime::from_secs(5);
/// How long an attempt may be repeated: 30 s.
const RETRY_WINDOW: Lifetime = Lifetime::from_secs(30);

/// 2100-01-01T00:00:00Z.
const BASE: Timestamp = Timestamp::from_millis(4_102_444_800_000);

pub(super) type Outcome = Result<(), Violation>;

/// One case at work on one store.
pub(super) struct Scene<'a> {
    pub(super) store: &'a dyn TokenStore,
    rule: &'static str,
    seed: [u8; 32],
    drawn: AtomicU64,
    base: Timestamp,
    did: Mutex<Vec<String>>,
}

/// Making one.
impl<'a> Scene<'a> {
    /// A scene somewhere in the year 2100.
    pub(super) fn new(store: &'a dyn TokenStore, rule: &'static str) -> Result<Self, Violation> {
        let seed = random::bytes().map_err(|_| Violation {
            rule,
            did: Vec::new(),
            expected: "random bytes from the operating system".to_owned(),
            seen: "none".to_owned(),
        })?;
        Ok(Self::beginning(store, rule, seed, BASE))
    }

    /// The same store and rule at another time, with other people: within a year from about the
    /// beginning of that one.
    pub(super) fn in_the_year(&self, year: u16) -> Self {
        let from_base = i64::from(year) - 2100;
        let base = BASE.as_millis() + from_base * 365 * 24 * HOUR;
        Self::beginning(self.store, self.rule, self.draw(), Timestamp::from_millis(base))
    }

    fn beginning(
        store: &'a dyn TokenStore,
        rule: &'static str,
        seed: [u8; 32],
        base: Timestamp,
    ) -> Self {
        let drawn = AtomicU64::new(0);
        let scene = Self { store, rule, seed, drawn, base, did: Mutex::default() };
        let offset = i64::from_be_bytes(scene.draw()).rem_euclid(365 * 24 * HOUR);
        let base = Timestamp::from_millis(base.as_millis() + offset);
        scene.tell(format!("0 ms is here {base:?}"));
        Self { base, ..scene }
    }

    /// The context of an operation so many milliseconds after the scene began.
    pub(super) fn at(&self, millis: i64) -> Context {
        Context {
            now: self.instant(millis),
            epoch: Epoch(self.base),
            max_skew: MAX_SKEW,
            retry_window: RETRY_WINDOW,
        }
    }

    pub(super) fn instant(&self, millis: i64) -> Timestamp {
        Timestamp::from_millis(self.base.as_millis() + millis)
    }

    /// Bytes that no other scene draws, and this one once.
    pub(super) fn draw<const N: usize>(&self) -> [u8; N] {
        const { assert!(N <= 32) };
        let drawn = self.drawn.fetch_add(1, Ordering::Relaxed);
        let digest = Sha256::new().chain_update(self.seed).chain_update(drawn.to_be_bytes());
        let mut bytes = [0; N];
        bytes.copy_from_slice(&digest.finalize()[..N]);
        bytes
    }

    /// The numbers below `n` in random order.
    pub(super) fn shuffled(&self, n: usize) -> Vec<usize> {
        let mut order: Vec<_> = (0..n).map(|i| (self.draw::<8>(), i)).collect();
        order.sort_unstable();
        order.into_iter().map(|(_, i)| i).collect()
    }

    pub(super) fn attempt(&self) -> Attempt {
        Attempt::from_bytes(self.draw())
    }

    pub(super) fn secret(&self) -> SecretDigest {
        SecretDigest::of(&self.draw::<32>())
    }

    pub(super) fn generation(&self) -> Generation {
        Generation::from_bytes(self.draw())
    }

    /// A name of some length that begins so.
    pub(super) fn name(&self, prefix: &str, length: usize) -> String {
        let drawn = URL_SAFE_NO_PAD.encode(self.draw::<16>());
        format!("{prefix}{drawn:x<length$}").chars().take(length).collect()
    }

    /// Someone whom nobody has seen.
    pub(super) fn person(&self) -> Result<Person<'_>, Violation> {
        let kid = KeyId::from_bytes(self.draw());
        Ok(Person {
            scene: self,
            tenant: self.valid(Tenant::new(&self.name("tenant-", 24)))?,
            client: self.valid(ClientId::new(&self.name("client-", 24)))?,
            credential: Credential::new(
                CredentialType::Root,
                self.valid(CredentialId::new(&self.name("", 16)))?,
            ),
            identity: self.identity()?,
            key: KeyRef { kid, algorithm: Algorithm::EdDsa },
            issuer: self.valid(Issuer::new("https://issuer.example"))?,
            audience: self.valid(Audience::new("https://api.example"))?,
            scope: None,
            claims: None,
        })
    }

    pub(super) fn identity(&self) -> Result<Identity, Violation> {
        let id = self.valid(IdentityId::new(&self.name("", 16)))?;
        Ok(Identity::new(IdentityType::Corporate, id))
    }

    /// Names are made up here, so that none is invalid.
    pub(super) fn valid<T>(&self, name: Result<T, impl fmt::Display>) -> Result<T, Violation> {
        name.map_err(|invalid| self.violation("the suite to make up valid names", invalid))
    }
}

/// Doing something, and what must be seen.
impl Scene<'_> {
    /// Does it.
    pub(super) async fn ask(&self, op: impl Into<Op>, cx: Context) -> Result<Answer, Violation> {
        let op = op.into();
        let answer = op.ask(self.store, &cx).await;
        self.note(&op, &cx, &answer);
        answer.map_err(|error| self.unanswered(&error))
    }

    /// Does all of it at once, begun in random order; the answers are in the order given.
    pub(super) async fn ask_at_once(
        &self,
        ops: &[(Op, Context)],
    ) -> Result<Vec<Answer>, Violation> {
        let order = self.shuffled(ops.len());
        let begun = order.iter().filter_map(|&i| ops.get(i).map(|(op, cx)| (i, op, cx)));
        let mut answers = join_all(begun.map(|(i, op, cx)| {
            let asked: Joined<'_, _> = Box::pin(async move { (i, op.ask(self.store, cx).await) });
            asked
        }))
        .await;
        answers.sort_unstable_by_key(|(i, _)| *i);
        self.tell(format!("at once, begun in the order {order:?}, counted from 0:"));
        for ((op, cx), (_, answer)) in ops.iter().zip(&answers) {
            self.note(op, cx, answer);
        }
        answers
            .into_iter()
            .map(|(_, answer)| answer.map_err(|error| self.unanswered(&error)))
            .collect()
    }

    /// It is granted, and not as a retry.
    pub(super) async fn granted(&self, op: impl Into<Op>, cx: Context) -> Result<Grant, Violation> {
        match self.ask(op, cx).await? {
            Answer::Granted { grant, retried: false } => Ok(*grant),
            other => {
                Err(self.violation("a grant that no attempt had before", format_args!("{other:?}")))
            }
        }
    }

    /// It is granted as before: this very record.
    pub(super) async fn repeated(&self, op: impl Into<Op>, cx: Context, like: &Grant) -> Outcome {
        let grant = Box::new(like.clone());
        self.answered(op, cx, Answer::Granted { grant, retried: true }).await
    }

    pub(super) async fn refused(
        &self,
        op: impl Into<Op>,
        cx: Context,
        refusal: Refusal,
    ) -> Outcome {
        self.answered(op, cx, Answer::Refused(refusal)).await
    }

    pub(super) async fn bearer_refused(
        &self,
        op: impl Into<Op>,
        cx: Context,
        refusal: Refusal,
    ) -> Outcome {
        self.answered(op, cx, Answer::BearerRefused(refusal)).await
    }

    /// It is refused at or beyond its `keep_until`: it has expired, or is no longer known.
    pub(super) async fn expired(&self, op: impl Into<Op>, cx: Context) -> Outcome {
        match self.ask(op, cx).await? {
            Answer::Refused(Refusal::Expired | Refusal::Unknown)
            | Answer::BearerRefused(Refusal::Expired | Refusal::Unknown) => Ok(()),
            other => {
                let expected = "Refused(Expired), or Refused(Unknown)";
                Err(self.violation(expected, format_args!("{other:?}")))
            }
        }
    }

    pub(super) async fn answered(&self, op: impl Into<Op>, cx: Context, answer: Answer) -> Outcome {
        let seen = self.ask(op, cx).await?;
        self.same("the answer", &answer, &seen)
    }

    /// Both are equal.
    pub(super) fn same<T: PartialEq + fmt::Debug>(
        &self,
        what: &str,
        expected: &T,
        seen: &T,
    ) -> Outcome {
        if expected == seen {
            Ok(())
        } else {
            Err(self.violation(format_args!("{what}: {expected:?}"), format_args!("{seen:?}")))
        }
    }

    /// It is active.
    pub(super) fn active<'g>(&self, grant: &'g Grant) -> Result<&'g Active, Violation> {
        match &grant.state {
            State::Active(active) => Ok(active),
            other => Err(self.violation("an active grant", format_args!("{other:?}"))),
        }
    }

    /// It holds.
    pub(super) fn holds(
        &self,
        holds: bool,
        expected: impl fmt::Display,
        seen: impl fmt::Debug,
    ) -> Outcome {
        if holds { Ok(()) } else { Err(self.violation(expected, format_args!("{seen:?}"))) }
    }

    /// The rule is broken.
    pub(super) fn violation(
        &self,
        expected: impl fmt::Display,
        seen: impl fmt::Display,
    ) -> Violation {
        Violation {
            rule: self.rule,
            did: self.did.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            expected: expected.to_string(),
            seen: seen.to_string(),
        }
    }

    /// The store could not answer, which no case provokes.
    pub(super) fn unanswered(&self, error: &StoreError) -> Violation {
        let mut text = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            text = format!("{text}: {error}");
            cause = error.source();
        }
        self.violation("an answer", text)
    }

    /// Adds a line to what was done.
    pub(super) fn tell(&self, line: String) {
        self.did.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }

    fn note(&self, op: &Op, cx: &Context, answer: &Result<Answer, StoreError>) {
        let after = cx.now.as_millis() - self.base.as_millis();
        self.tell(match answer {
            Ok(answer) => format!("after {after} ms, {op} → {answer}"),
            Err(error) => format!("after {after} ms, {op} → {error}"),
        });
    }
}

/// Someone at a client, and whatever they do by default.
#[derive(Clone)]
pub(super) struct Person<'a> {
    pub(super) scene: &'a Scene<'a>,
    pub(super) tenant: Tenant,
    pub(super) client: ClientId,
    pub(super) credential: Credential,
    /// On whose behalf they act.
    pub(super) identity: Identity,
    pub(super) key: KeyRef,
    pub(super) issuer: Issuer,
    pub(super) audience: Audience,
    /// The scope of what they are issued.
    pub(super) scope: Option<Scope>,
    /// The host's claims in what they are issued.
    pub(super) claims: Option<HostClaims>,
}

/// A one-time token: how it is issued, and its owner's attempt to spend it.
#[derive(Debug, Clone)]
pub(super) struct OneTime {
    pub(super) issue: Issue,
    pub(super) redeem: Redeem,
}

impl OneTime {
    /// Whoever else spends it.
    pub(super) fn by(&self, attempt: Attempt) -> Redeem {
        Redeem { attempt, ..self.redeem.clone() }
    }

    pub(super) fn read(&self) -> Read {
        let Redeem { id, secret, tenant, client, .. } = self.redeem.clone();
        Read::OneTime { id, secret, tenant, client }
    }

    /// As evidence for this token.
    pub(super) fn step_up(&self, grant: &Grant) -> StepUp {
        StepUp { bearer: bearer(grant), redeem: self.redeem.clone() }
    }
}

/// What they present.
impl Person<'_> {
    pub(super) fn fresh_id(&self) -> GrantId {
        let mut bytes = [0; GrantId::BYTES];
        let (locator, tail) = bytes.split_at_mut(Locator::BYTES);
        locator.copy_from_slice(Locator::of(&self.tenant, &self.credential).as_bytes());
        tail.copy_from_slice(&self.scene.draw::<12>());
        GrantId::from_bytes(bytes)
    }

    pub(super) fn terms(&self) -> Arc<Terms> {
        Arc::new(Terms {
            tenant: self.tenant.clone(),
            client: self.client.clone(),
            credential: self.credential.clone(),
            auth_time: self.scene.instant(-S),
            scope: self.scope.clone(),
            claims: self.claims.clone(),
        })
    }

    pub(super) fn mint(&self, absolute: Lifetime) -> Mint {
        Mint {
            idle: IDLE,
            absolute,
            key: self.key,
            issuer: self.issuer.clone(),
            audience: self.audience.clone(),
            scope: self.scope.clone(),
        }
    }

    pub(super) fn issue(&self, first: First) -> Issue {
        Issue {
            id: self.fresh_id(),
            terms: self.terms(),
            generation: self.scene.generation(),
            covers: LOGIN,
            first,
        }
    }

    /// A one-time token for one's identity, or any; 60 s.
    pub(super) fn one_time(&self, identity: Option<Identity>, strength: Strength) -> OneTime {
        let secret = self.scene.secret();
        let issue = self.issue(First::OneTime { secret, identity, strength, lifetime: ONE_TIME });
        let redeem = Redeem {
            id: issue.id,
            secret,
            tenant: self.tenant.clone(),
            client: self.client.clone(),
            identity: self.identity.clone(),
            resolved: true,
            attempt: self.scene.attempt(),
            mint: self.mint(ACCESS),
            on_replay: OnReplay::Revoke,
        };
        OneTime { issue, redeem }
    }

    pub(super) fn login(&self, strength: Strength) -> Issue {
        self.issue(First::Token {
            attempt: self.scene.attempt(),
            purpose: Purpose::Login,
            strength,
            mint: self.mint(LOGIN),
            not_after: Timestamp::MAX,
            keep_until: Timestamp::MIN,
        })
    }

    /// A client assertion of which the record stays until then.
    pub(super) fn assertion(&self, keep_until: Timestamp) -> Issue {
        self.issue(First::Token {
            attempt: self.scene.attempt(),
            purpose: Purpose::Access { identity: self.identity.clone(), login: None },
            strength: Strength::Standard,
            mint: self.mint(ACCESS),
            not_after: Timestamp::MAX,
            keep_until,
        })
    }

    pub(super) fn open(&self, login: &Grant) -> Open {
        let attempt = self.scene.attempt();
        Open {
            login: bearer(login),
            id: GrantId::of_child(login.id, attempt),
            identity: self.identity.clone(),
            attempt,
            mint: self.mint(ACCESS),
            slide: SLIDE,
        }
    }

    pub(super) fn revoke_all(&self, up_to: Timestamp) -> RevokeAll {
        RevokeAll {
            tenant: self.tenant.clone(),
            credential: self.credential.clone(),
            up_to,
            generation: self.scene.generation(),
        }
    }
}

/// What they have done.
impl Person<'_> {
    /// Is issued a one-time token for their identity.
    pub(super) async fn gets(&self, strength: Strength, at: i64) -> Result<OneTime, Violation> {
        let token = self.one_time(Some(self.identity.clone()), strength);
        self.scene.granted(&token.issue, self.scene.at(at)).await?;
        Ok(token)
    }

    /// Buys an access token with a one-time token.
    pub(super) async fn buys(&self, at: i64) -> Result<Grant, Violation> {
        let token = self.gets(Strength::Standard, at).await?;
        self.scene.granted(&token.redeem, self.scene.at(at)).await
    }

    pub(super) async fn logs_in(&self, at: i64) -> Result<Grant, Violation> {
        self.scene.granted(self.login(Strength::Standard), self.scene.at(at)).await
    }

    pub(super) async fn opens(&self, login: &Grant, at: i64) -> Result<Grant, Violation> {
        self.scene.granted(self.open(login), self.scene.at(at)).await
    }
}

/// What a token of this grant says.
pub(super) fn bearer(grant: &Grant) -> Bearer {
    Bearer {
        id: grant.id,
        login: match &grant.state {
            State::Active(active) => active.login(),
            _ => None,
        },
        tenant: grant.terms.tenant.clone(),
        client: grant.terms.client.clone(),
        credential: grant.terms.credential.clone(),
    }
}

pub(super) fn touch(grant: &Grant) -> Touch {
    Touch { bearer: bearer(grant), slide: SLIDE }
}

pub(super) fn read(grant: &Grant) -> Read {
    Read::Bearer(bearer(grant))
}

pub(super) fn elevate(grant: &Grant, until: Option<Timestamp>) -> Elevate {
    Elevate { bearer: bearer(grant), until }
}

/// By its tenant and client.
pub(super) fn revoke(grant: &Grant) -> Revoke {
    Revoke {
        id: grant.id,
        tenant: grant.terms.tenant.clone(),
        client: Some(grant.terms.client.clone()),
        secret: None,
    }
}
