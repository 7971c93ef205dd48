//! The operations: the keys and the event of each, and what its answer means.

use mintage::{
    ClientId, GrantId, Locator, SecretDigest, Tenant, Timestamp,
    grant::{
        self, Bearer, Context, Elevate, First, Grant, HEAD_STEP, Head, Issue, OnReplay, Open,
        Purpose, Redeem, Redemption, Refusal, Revocation, Revoke, RevokeAll, StepUp, Strength,
        Touch, Verdict,
    },
};

use crate::{
    keys::{Shard, tail},
    record::{Reader, Unreadable, Writer},
    scripts::{Script, Scripts},
};

/// One operation on the records of one credential.
pub(crate) trait Operation: Sync {
    type Answer;

    fn script(scripts: &Scripts) -> &Script;

    /// Where its records are.
    fn locator(&self) -> Locator;

    /// Every key that its script may touch.
    fn keys(&self, shard: &Shard) -> Vec<Vec<u8>>;

    /// Whether it can write, and its answer has to wait for replicas then.
    const WRITES: bool = true;

    /// The argument of its script. What may be dropped by `purged` is gone.
    fn event(&self, cx: &Context, purged: Timestamp) -> Vec<u8>;

    /// What its script has answered.
    fn conclude(&self, cx: &Context, reply: Reply<'_>) -> Result<Self::Answer, Unreadable>;
}

/// What a script answers: `+` and what it made, `=` and what was made before, `~` and what it has only
/// read; or a word. `!` before a word says that the script has written all the same.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Reply<'r> {
    Made(&'r [u8]),
    Again(&'r [u8]),
    Read(&'r [u8]),
    Word(&'r str),
}

impl<'r> Reply<'r> {
    pub(crate) fn of(bytes: &'r [u8]) -> Result<Self, Unreadable> {
        Ok(match bytes {
            [b'+', rest @ ..] => Self::Made(rest),
            [b'=', rest @ ..] => Self::Again(rest),
            [b'~', rest @ ..] => Self::Read(rest),
            [b'!', word @ ..] | word => match std::str::from_utf8(word) {
                Ok("version") => return Err(Unreadable("version")),
                Ok(word) => Self::Word(word),
                Err(_) => return Err(Unreadable("answer")),
            },
        })
    }

    /// Whether the script that answers so has written: only that is waited for.
    pub(crate) fn has_written(bytes: &[u8]) -> bool {
        matches!(bytes.first(), Some(b'+' | b'=' | b'!'))
    }
}

impl Operation for Issue {
    type Answer = Verdict;

    fn script(scripts: &Scripts) -> &Script {
        &scripts.issue
    }

    fn locator(&self) -> Locator {
        self.id.locator()
    }

    fn keys(&self, shard: &Shard) -> Vec<Vec<u8>> {
        vec![shard.head(), shard.grant(tail(&self.id))]
    }

    fn event(&self, cx: &Context, purged: Timestamp) -> Vec<u8> {
        let needed = cx.now.after(self.covers);
        let mut event = Writer::new();
        begin(&mut event, cx, purged).millis(cx.retry_window);
        event.instant(needed).instant(needed.after(self.covers.max(HEAD_STEP)));
        let terms = &self.terms;
        let mut strings = Writer::new();
        let mut own = |identity: Option<&mintage::Identity>, secret: &[u8]| {
            strings.identity(identity);
            strings.short(terms.tenant.as_str().as_bytes());
            strings.short(terms.client.as_str().as_bytes());
            strings.credential(&terms.credential).short(secret).terms(terms);
        };
        match &self.first {
            First::OneTime { secret, identity, strength, lifetime } => {
                own(identity.as_ref(), secret.as_bytes());
                let expires_at = cx.now.after(*lifetime);
                event.instant(Timestamp::MIN).instant(expires_at).instant(expires_at);
                event.instant(Timestamp::MIN).strength(*strength).byte(1).fixed(&[0; 32]);
                event.fixed(self.generation.as_bytes()).long(&strings.done());
            }
            First::Token { attempt, purpose, strength, mint, not_after, keep_until } => {
                let (identity, login) = match purpose {
                    Purpose::Login => (None, None),
                    Purpose::Access { identity, login } => (Some(identity), login.as_ref()),
                };
                own(identity, b"");
                event.instant(*not_after).instant(cx.now.after(mint.absolute)).instant(*keep_until);
                event.instant(cx.now.after(mint.idle)).strength(*strength).byte(0);
                event.fixed(attempt.as_bytes()).fixed(self.generation.as_bytes());
                event.long(&strings.done()).short(login.map(tail).unwrap_or_default()).minted(mint);
            }
        }
        event.done()
    }

    fn conclude(&self, cx: &Context, reply: Reply<'_>) -> Result<Verdict, Unreadable> {
        let Reply::Made(head) = reply else { return verdict(self.id, self.locator(), reply) };
        let mut head = Reader::new(head);
        let generation = mintage::Generation::from_bytes(head.fixed("generation")?);
        let head = Head {
            tenant: self.terms.tenant.clone(),
            credential: self.terms.credential.clone(),
            generation,
            revoked_to: Timestamp::MIN,
            revoked_at: Timestamp::MIN,
            keep_until: head.instant("keep_until")?,
        };
        match grant::issue(Some(&head), None, self, cx).answer {
            issued @ Verdict::Granted { .. } => Ok(issued),
            Verdict::Refused(_) => Err(Unreadable("answer")),
        }
    }
}

impl Operation for Redeem {
    type Answer = Redemption;

    fn script(scripts: &Scripts) -> &Script {
        &scripts.redeem
    }

    fn locator(&self) -> Locator {
        self.id.locator()
    }

    fn keys(&self, shard: &Shard) -> Vec<Vec<u8>> {
        vec![shard.head(), shard.grant(tail(&self.id))]
    }

    fn event(&self, cx: &Context, purged: Timestamp) -> Vec<u8> {
        let mut event = Writer::new();
        begin(&mut event, cx, purged).millis(cx.retry_window);
        event.instant(cx.now.after(self.mint.idle)).instant(cx.now.after(self.mint.absolute));
        spends(&mut event, self).minted(&self.mint);
        event.done()
    }

    fn conclude(&self, cx: &Context, reply: Reply<'_>) -> Result<Redemption, Unreadable> {
        let Reply::Made(before) = reply else { return redemption(self.id, self.locator(), reply) };
        let mut before = Reader::new(before);
        let keep_until = before.instant("keep_until")?;
        let token = before.grant(self.locator(), tail(&self.id))?;
        let head = Head {
            tenant: token.terms.tenant.clone(),
            credential: token.terms.credential.clone(),
            generation: token.generation,
            revoked_to: Timestamp::MIN,
            revoked_at: Timestamp::MIN,
            keep_until,
        };
        match grant::redeem(Some(&head), Some(&token), self, cx).answer {
            redeemed @ Redemption::Redeemed { .. } => Ok(redeemed),
            _ => Err(Unreadable("answer")),
        }
    }
}

impl Operation for StepUp {
    type Answer = Redemption;

    fn script(scripts: &Scripts) -> &Script {
        &scripts.step_up
    }

    fn locator(&self) -> Locator {
        self.redeem.id.locator()
    }

    fn keys(&self, shard: &Shard) -> Vec<Vec<u8>> {
        let token = shard.grant(tail(&self.redeem.id));
        let mut keys = vec![shard.head(), token, shard.grant(tail(&self.bearer.id))];
        keys.extend(self.bearer.login.as_ref().map(|login| shard.grant(tail(login))));
        keys
    }

    fn event(&self, cx: &Context, purged: Timestamp) -> Vec<u8> {
        let mut event = Writer::new();
        begin(&mut event, cx, purged).millis(cx.retry_window);
        event.instant(cx.now.after(self.redeem.mint.idle));
        spends(&mut event, &self.redeem);
        presents(&mut event, &self.bearer);
        event.fixed(tail(&self.redeem.id)).minted(&self.redeem.mint);
        event.done()
    }

    fn conclude(&self, _: &Context, reply: Reply<'_>) -> Result<Redemption, Unreadable> {
        redemption(self.redeem.id, self.locator(), reply)
    }
}

impl Operation for Open {
    type Answer = Redemption;

    fn script(scripts: &Scripts) -> &Script {
        &scripts.open
    }

    fn locator(&self) -> Locator {
        self.login.id.locator()
    }

    fn keys(&self, shard: &Shard) -> Vec<Vec<u8>> {
        vec![shard.head(), shard.grant(tail(&self.login.id)), shard.grant(tail(&self.id))]
    }

    fn event(&self, cx: &Context, purged: Timestamp) -> Vec<u8> {
        let mut event = Writer::new();
        begin(&mut event, cx, purged).millis(cx.retry_window);
        event.instant(cx.now.after(self.mint.idle)).instant(cx.now.after(self.mint.absolute));
        event.instant(cx.now.after(self.slide.idle)).millis(self.slide.granularity);
        event.fixed(self.attempt.as_bytes()).identity(Some(&self.identity));
        presents(&mut event, &self.login);
        event.fixed(tail(&self.login.id)).minted(&self.mint);
        event.done()
    }

    fn conclude(&self, _: &Context, reply: Reply<'_>) -> Result<Redemption, Unreadable> {
        redemption(self.id, self.locator(), reply)
    }
}

impl Operation for Elevate {
    type Answer = Verdict;

    fn script(scripts: &Scripts) -> &Script {
        &scripts.elevate
    }

    fn locator(&self) -> Locator {
        self.bearer.id.locator()
    }

    fn keys(&self, shard: &Shard) -> Vec<Vec<u8>> {
        bearer_keys(&self.bearer, shard)
    }

    fn event(&self, cx: &Context, purged: Timestamp) -> Vec<u8> {
        let mut event = Writer::new();
        presents(begin(&mut event, cx, purged), &self.bearer);
        event.strength(Strength::SteppedUp { until: self.until });
        event.done()
    }

    fn conclude(&self, _: &Context, reply: Reply<'_>) -> Result<Verdict, Unreadable> {
        verdict(self.bearer.id, self.locator(), reply)
    }
}

impl Operation for Touch {
    type Answer = Verdict;

    fn script(scripts: &Scripts) -> &Script {
        &scripts.touch
    }

    fn locator(&self) -> Locator {
        self.bearer.id.locator()
    }

    fn keys(&self, shard: &Shard) -> Vec<Vec<u8>> {
        bearer_keys(&self.bearer, shard)
    }

    fn event(&self, cx: &Context, purged: Timestamp) -> Vec<u8> {
        let mut event = Writer::new();
        presents(begin(&mut event, cx, purged), &self.bearer);
        event.instant(cx.now.after(self.slide.idle)).millis(self.slide.granularity);
        event.done()
    }

    fn conclude(&self, _: &Context, reply: Reply<'_>) -> Result<Verdict, Unreadable> {
        verdict(self.bearer.id, self.locator(), reply)
    }
}

/// [`Read::Bearer`](grant::Read::Bearer).
#[derive(Debug)]
pub(crate) struct ReadBearer<'e>(pub(crate) &'e Bearer);

impl Operation for ReadBearer<'_> {
    type Answer = Verdict;

    const WRITES: bool = false;

    fn script(scripts: &Scripts) -> &Script {
        &scripts.read_bearer
    }

    fn locator(&self) -> Locator {
        self.0.id.locator()
    }

    fn keys(&self, shard: &Shard) -> Vec<Vec<u8>> {
        bearer_keys(self.0, shard)
    }

    fn event(&self, cx: &Context, purged: Timestamp) -> Vec<u8> {
        let mut event = Writer::new();
        presents(begin(&mut event, cx, purged), self.0);
        event.done()
    }

    fn conclude(&self, _: &Context, reply: Reply<'_>) -> Result<Verdict, Unreadable> {
        verdict(self.0.id, self.locator(), reply)
    }
}

/// [`Read::OneTime`](grant::Read::OneTime).
#[derive(Debug)]
pub(crate) struct ReadOneTime<'e> {
    pub(crate) id: GrantId,
    pub(crate) secret: SecretDigest,
    pub(crate) tenant: &'e Tenant,
    pub(crate) client: &'e ClientId,
}

impl Operation for ReadOneTime<'_> {
    type Answer = Verdict;

    const WRITES: bool = false;

    fn script(scripts: &Scripts) -> &Script {
        &scripts.read_one_time
    }

    fn locator(&self) -> Locator {
        self.id.locator()
    }

    fn keys(&self, shard: &Shard) -> Vec<Vec<u8>> {
        vec![shard.head(), shard.grant(tail(&self.id))]
    }

    fn event(&self, cx: &Context, purged: Timestamp) -> Vec<u8> {
        let mut event = Writer::new();
        begin(&mut event, cx, purged).fixed(self.secret.as_bytes());
        event.short(self.tenant.as_str().as_bytes()).short(self.client.as_str().as_bytes());
        event.done()
    }

    fn conclude(&self, _: &Context, reply: Reply<'_>) -> Result<Verdict, Unreadable> {
        verdict(self.id, self.locator(), reply)
    }
}

impl Operation for Revoke {
    type Answer = Revocation;

    fn script(scripts: &Scripts) -> &Script {
        &scripts.revoke
    }

    fn locator(&self) -> Locator {
        self.id.locator()
    }

    fn keys(&self, shard: &Shard) -> Vec<Vec<u8>> {
        vec![shard.grant(tail(&self.id))]
    }

    fn event(&self, cx: &Context, purged: Timestamp) -> Vec<u8> {
        let mut event = Writer::new();
        event.instant(cx.now).instant(purged);
        event.short(self.secret.as_ref().map_or(&[], |secret| secret.as_bytes()));
        event.short(self.tenant.as_str().as_bytes());
        event.short(self.client.as_ref().map_or("", ClientId::as_str).as_bytes());
        event.done()
    }

    fn conclude(&self, _: &Context, reply: Reply<'_>) -> Result<Revocation, Unreadable> {
        Ok(match reply {
            Reply::Made(_) => Revocation::Revoked,
            Reply::Again(_) => Revocation::AlreadyRevoked,
            Reply::Word(refusal) => Revocation::Refused(refused(refusal)?),
            Reply::Read(_) => return Err(Unreadable("answer")),
        })
    }
}

impl Operation for RevokeAll {
    type Answer = ();

    fn script(scripts: &Scripts) -> &Script {
        &scripts.revoke_all
    }

    fn locator(&self) -> Locator {
        Locator::of(&self.tenant, &self.credential)
    }

    fn keys(&self, shard: &Shard) -> Vec<Vec<u8>> {
        vec![shard.head()]
    }

    fn event(&self, cx: &Context, purged: Timestamp) -> Vec<u8> {
        let mut event = Writer::new();
        event.instant(cx.now).instant(purged).instant(self.up_to);
        event.fixed(self.generation.as_bytes());
        event.short(self.tenant.as_str().as_bytes()).credential(&self.credential);
        event.done()
    }

    fn conclude(&self, _: &Context, reply: Reply<'_>) -> Result<(), Unreadable> {
        match reply {
            // Without a head there is nothing to end.
            Reply::Made(_) | Reply::Word("none") => Ok(()),
            _ => Err(Unreadable("answer")),
        }
    }
}

/// What every event that is judged begins with: now, the latest instant that a record may have seen,
/// what is dropped, the epoch.
fn begin<'w>(event: &'w mut Writer, cx: &Context, purged: Timestamp) -> &'w mut Writer {
    event.instant(cx.now).instant(cx.now.after(cx.max_skew)).instant(purged).instant(cx.epoch.0)
}

/// The one-time token that is spent, and for whom.
fn spends<'w>(event: &'w mut Writer, redeem: &Redeem) -> &'w mut Writer {
    event.byte(redeem.resolved.into()).byte((redeem.on_replay == OnReplay::Revoke).into());
    event.fixed(redeem.attempt.as_bytes()).fixed(redeem.secret.as_bytes());
    event.short(redeem.tenant.as_str().as_bytes()).short(redeem.client.as_str().as_bytes());
    event.identity(Some(&redeem.identity))
}

fn presents<'w>(event: &'w mut Writer, bearer: &Bearer) -> &'w mut Writer {
    event.short(bearer.tenant.as_str().as_bytes()).short(bearer.client.as_str().as_bytes());
    event.credential(&bearer.credential);
    event.short(bearer.login.as_ref().map(tail).unwrap_or_default())
}

fn bearer_keys(bearer: &Bearer, shard: &Shard) -> Vec<Vec<u8>> {
    let mut keys = vec![shard.head(), shard.grant(tail(&bearer.id))];
    keys.extend(bearer.login.as_ref().map(|login| shard.grant(tail(login))));
    keys
}

fn read(id: GrantId, locator: Locator, record: &[u8]) -> Result<Grant, Unreadable> {
    Reader::new(record).grant(locator, tail(&id))
}

fn verdict(id: GrantId, locator: Locator, reply: Reply<'_>) -> Result<Verdict, Unreadable> {
    Ok(match reply {
        Reply::Made(record) | Reply::Read(record) => {
            Verdict::Granted { grant: read(id, locator, record)?, retried: false }
        }
        Reply::Again(record) => {
            Verdict::Granted { grant: read(id, locator, record)?, retried: true }
        }
        Reply::Word(word) => {
            Verdict::Refused(refused(word.strip_prefix("bearer:").unwrap_or(word))?)
        }
    })
}

fn redemption(id: GrantId, locator: Locator, reply: Reply<'_>) -> Result<Redemption, Unreadable> {
    Ok(match reply {
        Reply::Made(record) => {
            Redemption::Redeemed { grant: read(id, locator, record)?, retried: false }
        }
        Reply::Again(record) => {
            Redemption::Redeemed { grant: read(id, locator, record)?, retried: true }
        }
        Reply::Read(_) => return Err(Unreadable("answer")),
        Reply::Word("replayed") => Redemption::Replayed { revoked: true },
        Reply::Word("forgiven") => Redemption::Replayed { revoked: false },
        Reply::Word(word) => match word.strip_prefix("bearer:") {
            Some(refusal) => Redemption::BearerRefused(refused(refusal)?),
            None => Redemption::Refused(refused(word)?),
        },
    })
}

fn refused(word: &str) -> Result<Refusal, Unreadable> {
    Ok(match word {
        "unknown" => Refusal::Unknown,
        "secret" => Refusal::Secret,
        "tenant" => Refusal::Tenant,
        "client" => Refusal::Client,
        "credential" => Refusal::Credential,
        "clock" => Refusal::Clock,
        "epoch" => Refusal::Epoch,
        "head" => Refusal::Head,
        "login" => Refusal::Login,
        "identity" => Refusal::Identity,
        "unresolved" => Refusal::Unresolved,
        "status" => Refusal::Status,
        "spent" => Refusal::Spent,
        "superseded" => Refusal::Superseded,
        "revoked" => Refusal::Revoked,
        "expired" => Refusal::Expired,
        "idle" => Refusal::Idle,
        _ => return Err(Unreadable("answer")),
    })
}
