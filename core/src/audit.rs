//! One typed event for every decision.

use std::fmt;

use time::OffsetDateTime;

use crate::{
    clock::Clock,
    engine::Parts,
    error::Error,
    id::GrantId,
    model::{Client, Credential, Identity, Status, Tenant},
};

/// Takes note of every decision, as it is made. Called on the caller's task: be quick, and never
/// panic.
pub trait AuditSink: fmt::Debug + Send + Sync + 'static {
    /// Takes note of one decision.
    fn record(&self, event: &AuditEvent<'_>);
}

/// One decision: who asked for what, and what became of it. Holds ids and reasons, never a secret.
#[derive(Debug)]
#[non_exhaustive]
pub struct AuditEvent<'a> {
    /// When.
    pub at: OffsetDateTime,
    /// What was asked for.
    pub operation: Operation,
    /// Whose records it is about, once that is known.
    pub tenant: Option<&'a Tenant>,
    /// Who asked; `None` for the host itself.
    pub client: Option<&'a Client>,
    /// Whose credential it is about, once that is known.
    pub credential: Option<&'a Credential>,
    /// On whose behalf, once that is known.
    pub identity: Option<&'a Identity>,
    /// The grant, once that is known.
    pub grant: Option<GrantId>,
    /// What became of it.
    pub outcome: Outcome<'a>,
}

/// What was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Operation {
    /// Look up the client of an api-key.
    IdentifyClient,
    /// Mint an auth token.
    LogIn,
    /// Issue a one-time token.
    IssueOneTime,
    /// An exchange that ended before it was known by which authority.
    Exchange,
    /// An exchange of an auth token.
    Open,
    /// An exchange of a one-time token.
    Redeem,
    /// An exchange of an access token and a one-time token.
    StepUp,
    /// An exchange of a client assertion.
    Assert,
    /// Step up in place.
    Elevate,
    /// Ask whether a token is live.
    Authenticate,
    /// Ask what a token says.
    Introspect,
    /// List identities.
    ListIdentities,
    /// End a login.
    LogOut,
    /// End one grant.
    Revoke,
    /// End every grant of a credential.
    RevokeAll,
    /// Refuse every record issued before.
    RaiseEpoch,
}

impl Operation {
    /// Its name in a log.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::IdentifyClient => "identify_client",
            Self::LogIn => "log_in",
            Self::IssueOneTime => "issue_one_time",
            Self::Exchange => "exchange",
            Self::Open => "exchange.open",
            Self::Redeem => "exchange.redeem",
            Self::StepUp => "exchange.step_up",
            Self::Assert => "exchange.assert",
            Self::Elevate => "elevate",
            Self::Authenticate => "authenticate",
            Self::Introspect => "introspect",
            Self::ListIdentities => "list_identities",
            Self::LogOut => "log_out",
            Self::Revoke => "revoke",
            Self::RevokeAll => "revoke_all",
            Self::RaiseEpoch => "raise_epoch",
        }
    }
}

/// What became of it.
#[derive(Debug)]
pub enum Outcome<'a> {
    /// It was done.
    Done {
        /// The status of the token, where there is one.
        status: Option<Status>,
        /// The same attempt had the same answer before.
        retried: bool,
    },
    /// It was not; the error tells why.
    Failed(&'a Error),
    /// The caller dropped it before its end: it may have been done.
    Abandoned,
}

/// Writes every event to `tracing`, under the target `mintage::audit`: what was done at `INFO`
/// (`DEBUG` for live checks, which are many), refusals at `WARN`, our own failures at `ERROR`.
#[derive(Debug, Clone, Copy, Default)]
pub struct TracingAudit;

/// `tracing` fixes an event's level at compile time, hence a macro and not an argument.
macro_rules! event {
    ($level:ident, $event:expr, $($rest:tt)+) => {
        tracing::event!(
            target: "mintage::audit",
            tracing::Level::$level,
            operation = $event.operation.as_str(),
            tenant = $event.tenant.map(tracing::field::display),
            client = $event.client.map(|client| tracing::field::display(&client.id)),
            credential = $event.credential.map(|it| tracing::field::display(Pair(it.kind.as_str(), it.id.as_str()))),
            identity = $event.identity.map(|it| tracing::field::display(Pair(it.kind.as_str(), it.id.as_str()))),
            grant = $event.grant.map(tracing::field::display),
            $($rest)+
        )
    };
}

impl AuditSink for TracingAudit {
    fn record(&self, event: &AuditEvent<'_>) {
        match &event.outcome {
            Outcome::Done { status, retried } => {
                let status = status.map(tracing::field::display);
                match event.operation {
                    Operation::Authenticate
                    | Operation::Introspect
                    | Operation::IdentifyClient
                    | Operation::ListIdentities => {
                        event!(DEBUG, event, status, retried, "done");
                    }
                    _ => event!(INFO, event, status, retried, "done"),
                }
            }
            Outcome::Failed(error @ (Error::Unavailable(_) | Error::Internal(_))) => {
                event!(ERROR, event, reason = %error, "failed");
            }
            Outcome::Failed(error) => event!(WARN, event, reason = %error, "refused"),
            Outcome::Abandoned => event!(WARN, event, "abandoned: it may have been done"),
        }
    }
}

struct Pair<'a>(&'a str, &'a str);

impl fmt::Display for Pair<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.0, self.1)
    }
}

/// What is known of an operation while it goes on, so that its one event can tell it however it
/// ends: with a result, or by being dropped.
#[derive(Debug)]
pub(crate) struct Trail<'a> {
    sink: &'a dyn AuditSink,
    clock: &'a dyn Clock,
    ended: bool,
    pub(crate) operation: Operation,
    pub(crate) tenant: Option<&'a Tenant>,
    pub(crate) client: Option<&'a Client>,
    pub(crate) credential: Option<Credential>,
    pub(crate) identity: Option<Identity>,
    pub(crate) grant: Option<GrantId>,
    pub(crate) status: Option<Status>,
    pub(crate) retried: bool,
}

impl<'a> Trail<'a> {
    pub(crate) fn new(
        parts: &'a Parts,
        operation: Operation,
        tenant: Option<&'a Tenant>,
        client: Option<&'a Client>,
    ) -> Self {
        Self {
            sink: &*parts.audit,
            clock: &*parts.clock,
            ended: false,
            operation,
            tenant,
            client,
            credential: None,
            identity: None,
            grant: None,
            status: None,
            retried: false,
        }
    }

    /// Tells the one event, and passes the result on.
    pub(crate) fn end<T>(mut self, result: Result<T, Error>) -> Result<T, Error> {
        self.ended = true;
        self.tell(match &result {
            Ok(_) => Outcome::Done { status: self.status, retried: self.retried },
            Err(error) => Outcome::Failed(error),
        });
        result
    }

    fn tell(&self, outcome: Outcome<'_>) {
        self.sink.record(&AuditEvent {
            at: self.clock.now(),
            operation: self.operation,
            tenant: self.tenant,
            client: self.client,
            credential: self.credential.as_ref(),
            identity: self.identity.as_ref(),
            grant: self.grant,
            outcome,
        });
    }
}

impl Drop for Trail<'_> {
    fn drop(&mut self) {
        if !self.ended {
            self.tell(Outcome::Abandoned);
        }
    }
}
