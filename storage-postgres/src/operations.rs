//! The operations: how each is bound to its statement, and what its answer means.

use std::fmt;

use mintage::{
    GrantId, Locator,
    grant::{
        Context, First, Grant, HEAD_STEP, Issue, Mint, OnReplay, Purpose, Redeem, Redemption,
        Refusal, Revocation, Revoke, RevokeAll, StepUp, Verdict,
    },
};
use sqlx::{
    Arguments as _, Row as _,
    error::BoxDynError,
    postgres::{PgArguments, PgRow},
};

use crate::{
    record::{self, Unreadable},
    statements::{Statement, Statements},
};

/// One operation on the records of one credential.
pub(crate) trait Operation: fmt::Debug + Send + Sync + Sized + 'static {
    type Answer: Send + 'static;

    fn statement(statements: &Statements, way: Way) -> &Statement;

    /// The row of which the answer speaks.
    fn subject(&self) -> GrantId;

    /// Every row that it may write. Two operations that share one do not share a statement.
    fn writes(&self, way: Way) -> [Option<GrantId>; 2];

    /// The arguments of its statement, in the shape for so many.
    fn bind(batch: &Batch<'_, Self>) -> Result<PgArguments, BoxDynError>;

    /// What its row means; `None` where the statement gave no row.
    fn conclude(
        &self,
        cx: &Context,
        row: Option<Row<'_>>,
    ) -> Result<Outcome<Self::Answer>, Unreadable>;
}

/// Which of its statements an operation takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// The usual one.
    Usual,
    /// To issue: the one that makes or extends the head as well.
    WithHead,
}

/// What became of an operation.
pub(crate) enum Outcome<A> {
    Answer(A),
    /// It was not carried out: it must be judged again, that way.
    Again(Way),
}

/// One row of an answer.
pub(crate) struct Row<'r> {
    pub(crate) verdict: &'r str,
    row: &'r PgRow,
}

impl<'r> Row<'r> {
    /// The number of the operation in its batch, from 0; `None` where the row is a new grant.
    pub(crate) fn number(row: &PgRow) -> Result<Option<usize>, Unreadable> {
        let nth: Option<i64> = row.try_get_unchecked(0).map_err(|_| Unreadable("nth"))?;
        nth.map(|nth| usize::try_from(nth - 1).map_err(|_| Unreadable("nth"))).transpose()
    }

    /// The id of the new grant.
    pub(crate) fn id(row: &PgRow) -> Result<GrantId, Unreadable> {
        record::id_of(row, 2)
    }

    pub(crate) fn of(row: &'r PgRow) -> Result<Self, Unreadable> {
        let verdict: &str = row.try_get_unchecked(1).map_err(|_| Unreadable("verdict"))?;
        if verdict == "version" {
            return Err(Unreadable("version"));
        }
        Ok(Self { verdict, row })
    }

    fn grant(&self) -> Result<Grant, Unreadable> {
        record::grant(self.row, 2)
    }
}

/// The operations of one statement, each with its context.
pub(crate) type Batch<'a, O> = [(&'a O, &'a Context)];

/// Binds whatever the closure gives: an array of it for many, the value itself for one alone.
macro_rules! bind {
    ($batch:ident, |$event:ident, $cx:ident| [$($value:expr),+ $(,)?]) => {{
        let mut arguments = PgArguments::default();
        $(
            let column = $batch.iter().map(|&($event, $cx)| {
                let _ = ($event, $cx);
                $value
            });
            match <[_; 1]>::try_from(column.collect::<Vec<_>>()) {
                Ok([alone]) => arguments.add(alone)?,
                Err(array) => arguments.add(array)?,
            }
        )+
        Ok(arguments)
    }};
    // The columns of a Bearer, and then those.
    ($batch:ident, |$event:ident, $cx:ident| $($bearer:tt).+, [$($value:expr),+ $(,)?]) => {
        bind!($batch, |$event, $cx| [
            record::locator(&$($bearer).+.id),
            record::tail(&$($bearer).+.id),
            $($bearer).+.login.as_ref().map(record::tail),
            $($bearer).+.tenant.as_str(),
            $($bearer).+.client.as_str(),
            record::credential(&$($bearer).+.credential),
            $($value),+
        ])
    };
}

mod bearing;

pub(crate) use self::bearing::ReadBearer;

impl Operation for Issue {
    type Answer = Verdict;

    fn statement(statements: &Statements, way: Way) -> &Statement {
        match way {
            Way::Usual => &statements.issue,
            Way::WithHead => &statements.issue_with_head,
        }
    }

    fn subject(&self) -> GrantId {
        self.id
    }

    fn writes(&self, way: Way) -> [Option<GrantId>; 2] {
        let head = match way {
            Way::Usual => None,
            Way::WithHead => Some(head(self.id.locator())),
        };
        [Some(self.id), head]
    }

    fn bind(batch: &Batch<'_, Self>) -> Result<PgArguments, BoxDynError> {
        bind!(batch, |event, cx| [
            record::locator(&event.id),
            record::tail(&event.id),
            event.terms.tenant.as_str(),
            event.terms.client.as_str(),
            record::credential(&event.terms.credential),
            event.terms.auth_time.as_millis(),
            event.terms.scope.as_ref().map(mintage::Scope::as_str),
            event.terms.claims.as_ref().map(mintage::HostClaims::as_json),
            match &event.first {
                First::OneTime { secret, .. } => Some(secret.as_bytes().as_slice()),
                First::Token { .. } => None,
            },
            match &event.first {
                First::OneTime { identity, .. } => identity.as_ref().map(record::identity),
                First::Token { purpose, .. } => identity_of(purpose).map(record::identity),
            },
            match &event.first {
                First::Token { purpose: Purpose::Access { login: Some(login), .. }, .. } =>
                    Some(record::tail(login)),
                _ => None,
            },
            match &event.first {
                First::OneTime { strength, .. } | First::Token { strength, .. } =>
                    record::stepped_up_until(*strength),
            },
            match &event.first {
                First::OneTime { lifetime, .. } => cx.now.after(*lifetime).as_millis(),
                First::Token { mint, .. } => cx.now.after(mint.absolute).as_millis(),
            },
            match &event.first {
                First::OneTime { .. } => None,
                First::Token { keep_until, .. } => Some(keep_until.as_millis()),
            },
            mint_of(event).map(|mint| cx.now.after(mint.idle).as_millis()),
            match &event.first {
                First::OneTime { .. } => None,
                First::Token { attempt, .. } => Some(attempt.as_bytes().as_slice()),
            },
            mint_of(event).and_then(|mint| mint.scope.as_ref()).map(mintage::Scope::as_str),
            mint_of(event).map(record::packed),
            match &event.first {
                First::OneTime { .. } => None,
                First::Token { not_after, .. } => Some(not_after.as_millis()),
            },
            event.generation.as_bytes().as_slice(),
            cx.now.after(event.covers).as_millis(),
            {
                let needed = cx.now.after(event.covers);
                needed.after(event.covers.max(HEAD_STEP)).as_millis()
            },
            cx.now.as_millis(),
            clock(cx),
            window(cx),
            cx.epoch.0.as_millis(),
        ])
    }

    fn conclude(&self, cx: &Context, row: Option<Row<'_>>) -> Result<Outcome<Verdict>, Unreadable> {
        // Without a row its id, or its head, was taken since the statement began.
        let Some(row) = row else { return Ok(Outcome::Again(Way::Usual)) };
        Ok(Outcome::Answer(match row.verdict {
            "issued" => record::issued(row.row, 2, self, cx)?,
            "again" => Verdict::Granted { grant: row.grant()?, retried: true },
            "headless" => return Ok(Outcome::Again(Way::WithHead)),
            refusal => Verdict::Refused(refused(refusal)?),
        }))
    }
}

impl Operation for Redeem {
    type Answer = Redemption;

    fn statement(statements: &Statements, _: Way) -> &Statement {
        &statements.redeem
    }

    fn subject(&self) -> GrantId {
        self.id
    }

    fn writes(&self, _: Way) -> [Option<GrantId>; 2] {
        [Some(self.id), None]
    }

    fn bind(batch: &Batch<'_, Self>) -> Result<PgArguments, BoxDynError> {
        bind!(batch, |event, cx| [
            record::locator(&event.id),
            record::tail(&event.id),
            event.secret.as_bytes().as_slice(),
            event.tenant.as_str(),
            event.client.as_str(),
            record::identity(&event.identity),
            event.resolved,
            event.attempt.as_bytes().as_slice(),
            event.on_replay == OnReplay::Revoke,
            cx.now.after(event.mint.idle).as_millis(),
            cx.now.after(event.mint.absolute).as_millis(),
            event.mint.scope.as_ref().map(mintage::Scope::as_str),
            record::packed(&event.mint),
            cx.now.as_millis(),
            clock(cx),
            window(cx),
            cx.epoch.0.as_millis(),
        ])
    }

    fn conclude(
        &self,
        cx: &Context,
        row: Option<Row<'_>>,
    ) -> Result<Outcome<Redemption>, Unreadable> {
        let Some(row) = row else {
            return Ok(Outcome::Answer(Redemption::Refused(Refusal::Unknown)));
        };
        Ok(Outcome::Answer(match row.verdict {
            "redeemed" => record::redeemed(row.row, 2, self, cx)?,
            "again" => {
                let grant = record::redeemed_before(row.row, 2, self)?;
                Redemption::Redeemed { grant, retried: true }
            }
            _ => redemption(&row)?,
        }))
    }
}

impl Operation for StepUp {
    type Answer = Redemption;

    fn statement(statements: &Statements, _: Way) -> &Statement {
        &statements.step_up
    }

    fn subject(&self) -> GrantId {
        self.redeem.id
    }

    fn writes(&self, _: Way) -> [Option<GrantId>; 2] {
        [Some(self.redeem.id), Some(self.bearer.id)]
    }

    fn bind(batch: &Batch<'_, Self>) -> Result<PgArguments, BoxDynError> {
        bind!(batch, |event, cx| [
            record::locator(&event.redeem.id),
            record::tail(&event.redeem.id),
            event.redeem.secret.as_bytes().as_slice(),
            event.redeem.tenant.as_str(),
            event.redeem.client.as_str(),
            record::tail(&event.bearer.id),
            event.bearer.tenant.as_str(),
            event.bearer.client.as_str(),
            record::credential(&event.bearer.credential),
            event.bearer.login.as_ref().map(record::tail),
            record::identity(&event.redeem.identity),
            event.redeem.resolved,
            event.redeem.attempt.as_bytes().as_slice(),
            event.redeem.on_replay == OnReplay::Revoke,
            cx.now.after(event.redeem.mint.idle).as_millis(),
            event.redeem.mint.scope.as_ref().map(mintage::Scope::as_str),
            record::packed(&event.redeem.mint),
            cx.now.as_millis(),
            clock(cx),
            window(cx),
            cx.epoch.0.as_millis(),
        ])
    }

    fn conclude(
        &self,
        _: &Context,
        row: Option<Row<'_>>,
    ) -> Result<Outcome<Redemption>, Unreadable> {
        let Some(row) = row else {
            return Ok(Outcome::Answer(Redemption::Refused(Refusal::Unknown)));
        };
        redemption(&row).map(Outcome::Answer)
    }
}

/// [`Read::OneTime`].
#[derive(Debug)]
pub(crate) struct ReadOneTime {
    pub(crate) id: GrantId,
    pub(crate) secret: mintage::SecretDigest,
    pub(crate) tenant: mintage::Tenant,
    pub(crate) client: mintage::ClientId,
}

impl Operation for ReadOneTime {
    type Answer = Verdict;

    fn statement(statements: &Statements, _: Way) -> &Statement {
        &statements.read_one_time
    }

    fn subject(&self) -> GrantId {
        self.id
    }

    fn writes(&self, _: Way) -> [Option<GrantId>; 2] {
        [None, None]
    }

    fn bind(batch: &Batch<'_, Self>) -> Result<PgArguments, BoxDynError> {
        bind!(batch, |event, cx| [
            record::locator(&event.id),
            record::tail(&event.id),
            event.secret.as_bytes().as_slice(),
            event.tenant.as_str(),
            event.client.as_str(),
            cx.now.as_millis(),
            clock(cx),
            cx.epoch.0.as_millis(),
        ])
    }

    fn conclude(&self, _: &Context, row: Option<Row<'_>>) -> Result<Outcome<Verdict>, Unreadable> {
        verdict(row).map(Outcome::Answer)
    }
}

impl Operation for Revoke {
    type Answer = Revocation;

    fn statement(statements: &Statements, _: Way) -> &Statement {
        &statements.revoke
    }

    fn subject(&self) -> GrantId {
        self.id
    }

    fn writes(&self, _: Way) -> [Option<GrantId>; 2] {
        [Some(self.id), None]
    }

    fn bind(batch: &Batch<'_, Self>) -> Result<PgArguments, BoxDynError> {
        bind!(batch, |event, cx| [
            record::locator(&event.id),
            record::tail(&event.id),
            event.secret.as_ref().map(|secret| secret.as_bytes().as_slice()),
            event.tenant.as_str(),
            event.client.as_ref().map(mintage::ClientId::as_str),
            cx.now.as_millis(),
        ])
    }

    fn conclude(
        &self,
        _: &Context,
        row: Option<Row<'_>>,
    ) -> Result<Outcome<Revocation>, Unreadable> {
        Ok(Outcome::Answer(match row.map(|row| row.verdict) {
            None => Revocation::Refused(Refusal::Unknown),
            Some("revoked") => Revocation::Revoked,
            Some("again") => Revocation::AlreadyRevoked,
            Some(refusal) => Revocation::Refused(refused(refusal)?),
        }))
    }
}

impl Operation for RevokeAll {
    type Answer = ();

    fn statement(statements: &Statements, _: Way) -> &Statement {
        &statements.revoke_all
    }

    fn subject(&self) -> GrantId {
        head(Locator::of(&self.tenant, &self.credential))
    }

    fn writes(&self, _: Way) -> [Option<GrantId>; 2] {
        [Some(self.subject()), None]
    }

    fn bind(batch: &Batch<'_, Self>) -> Result<PgArguments, BoxDynError> {
        bind!(batch, |event, cx| [
            Locator::of(&event.tenant, &event.credential).as_bytes().to_vec(),
            event.tenant.as_str(),
            record::credential(&event.credential),
            event.up_to.as_millis(),
            event.generation.as_bytes().as_slice(),
            cx.now.as_millis(),
        ])
    }

    fn conclude(&self, _: &Context, _: Option<Row<'_>>) -> Result<Outcome<()>, Unreadable> {
        // Without a head there is nothing to end.
        Ok(Outcome::Answer(()))
    }
}

/// What stands for the head among ids.
fn head(locator: Locator) -> GrantId {
    let mut bytes = [0; GrantId::BYTES];
    bytes[..Locator::BYTES].copy_from_slice(locator.as_bytes());
    GrantId::from_bytes(bytes)
}

fn identity_of(purpose: &Purpose) -> Option<&mintage::Identity> {
    match purpose {
        Purpose::Login => None,
        Purpose::Access { identity, .. } => Some(identity),
    }
}

fn mint_of(event: &Issue) -> Option<&Mint> {
    match &event.first {
        First::OneTime { .. } => None,
        First::Token { mint, .. } => Some(mint),
    }
}

/// The latest instant that a record may have seen.
fn clock(cx: &Context) -> i64 {
    cx.now.after(cx.max_skew).as_millis()
}

/// What was minted then or before is beyond its retry window.
fn window(cx: &Context) -> i64 {
    cx.now.as_millis() - cx.retry_window.as_millis()
}

fn verdict(row: Option<Row<'_>>) -> Result<Verdict, Unreadable> {
    let Some(row) = row else { return Ok(Verdict::Refused(Refusal::Unknown)) };
    Ok(match row.verdict {
        "live" | "slides" | "elevated" => Verdict::Granted { grant: row.grant()?, retried: false },
        refusal => Verdict::Refused(refused(refusal)?),
    })
}

fn redemption(row: &Row<'_>) -> Result<Redemption, Unreadable> {
    Ok(match row.verdict {
        "redeemed" | "issued" => Redemption::Redeemed { grant: row.grant()?, retried: false },
        "again" => Redemption::Redeemed { grant: row.grant()?, retried: true },
        "replayed" => Redemption::Replayed { revoked: true },
        "forgiven" => Redemption::Replayed { revoked: false },
        refusal => match refusal.strip_prefix("bearer ") {
            Some(refusal) => Redemption::BearerRefused(refused(refusal)?),
            None => Redemption::Refused(refused(refusal)?),
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
        _ => return Err(Unreadable("verdict")),
    })
}
