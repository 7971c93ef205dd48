//! What the live check proves: values that only the engine can make.

use std::{fmt, marker::PhantomData};

use time::OffsetDateTime;

use crate::{
    claims::Claims,
    id::GrantId,
    model::{ClientId, Credential, HostClaims, Identity, Scope, Status, Tenant},
    verifier::AnyStatus,
};

/// An access token whose grant was live when it was presented.
///
/// With `S` = [`SteppedUp`](crate::SteppedUp) it was `STEPPED_UP` as well: a handler that takes a
/// `Live<SteppedUp>` cannot be reached with a STANDARD token.
pub struct Live<S> {
    claims: Claims,
    identity: Identity,
    status: Status,
    _proves: PhantomData<fn() -> S>,
}

impl<S> Live<S> {
    pub(crate) fn new(claims: Claims, identity: Identity, status: Status) -> Self {
        Self { claims, identity, status, _proves: PhantomData }
    }

    /// What the token says.
    #[must_use]
    pub fn claims(&self) -> &Claims {
        &self.claims
    }

    /// Who logged in.
    #[must_use]
    pub fn credential(&self) -> &Credential {
        &self.claims.credential
    }

    /// On whose behalf they act.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The grant's status now, which may be other than the token's `acr`: it may have been stepped
    /// up in place, or the step-up may have run out.
    #[must_use]
    pub fn status(&self) -> Status {
        self.status
    }
}

impl<S> fmt::Debug for Live<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Live")
            .field("claims", &self.claims)
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

/// An auth token whose login was live when it was presented.
#[derive(Debug)]
pub struct LiveLogin {
    claims: Claims,
    status: Status,
}

impl LiveLogin {
    pub(crate) fn new(claims: Claims, status: Status) -> Self {
        Self { claims, status }
    }

    /// What the token says.
    #[must_use]
    pub fn claims(&self) -> &Claims {
        &self.claims
    }

    /// Who logged in.
    #[must_use]
    pub fn credential(&self) -> &Credential {
        &self.claims.credential
    }

    /// The login's status now.
    #[must_use]
    pub fn status(&self) -> Status {
        self.status
    }
}

/// A token of either type whose grant was live when it was presented.
#[derive(Debug)]
pub enum LiveBearer {
    /// An auth token.
    Login(LiveLogin),
    /// An access token.
    Access(Live<AnyStatus>),
}

impl LiveBearer {
    /// What the token says.
    #[must_use]
    pub fn claims(&self) -> &Claims {
        match self {
            Self::Login(login) => login.claims(),
            Self::Access(live) => live.claims(),
        }
    }

    /// The grant's status now.
    #[must_use]
    pub fn status(&self) -> Status {
        match self {
            Self::Login(login) => login.status(),
            Self::Access(live) => live.status(),
        }
    }
}

/// What an active token says (RFC 7662 §2.2).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Introspection {
    /// Its type.
    pub kind: TokenKind,
    /// Its grant.
    pub grant: GrantId,
    /// The login that the grant came from.
    pub login: Option<GrantId>,
    /// Whose token it is.
    pub tenant: Tenant,
    /// The client that it is bound to.
    pub client: ClientId,
    /// Who logged in.
    pub credential: Credential,
    /// On whose behalf it acts, or would; none for an auth token, and for a one-time token that is
    /// good for any identity.
    pub identity: Option<Identity>,
    /// Its status now; of a one-time token, the status of what it buys.
    pub status: Status,
    /// Its scope.
    pub scope: Option<Scope>,
    /// The host's own claims.
    pub claims: Option<HostClaims>,
    /// When its grant was issued.
    pub issued_at: OffsetDateTime,
    /// Its absolute limit.
    pub expires_at: OffsetDateTime,
    /// When it ends if nobody uses it.
    pub idle_until: Option<OffsetDateTime>,
}

/// The types of token that there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TokenKind {
    /// What a login earns.
    Auth,
    /// What an exchange yields.
    Access,
    /// What is spent in an exchange.
    OneTime,
}
