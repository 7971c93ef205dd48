//! The records: what a store keeps of a credential.

use std::sync::Arc;

use crate::{
    id::{Attempt, Epoch, Generation, GrantId},
    instant::Timestamp,
    keys::KeyRef,
    model::{Audience, ClientId, Credential, HostClaims, Identity, Issuer, Scope, Status, Tenant},
    secret::SecretDigest,
};

/// The one record per credential that can end all of its grants.
///
/// A grant whose head is missing, or carries another generation, is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Whose credential it is.
    pub tenant: Tenant,
    /// The credential; compared in full, for a locator is only a prefix of a hash.
    pub credential: Credential,
    /// Drawn at random when the head is made and whenever everything is revoked.
    pub generation: Generation,
    /// Grants issued at or before this instant are refused.
    pub revoked_to: Timestamp,
    /// When the generation was last drawn to end everything. Nothing is issued at an earlier
    /// instant any more: an issue that was judged before must not slip in behind.
    pub revoked_at: Timestamp,
    /// When the head may be dropped. No grant under it lives longer.
    pub keep_until: Timestamp,
}

/// The one server-side record behind a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Its id: the token's `jti`.
    pub id: GrantId,
    /// What was fixed when it was issued.
    pub terms: Arc<Terms>,
    /// SHA-256 of the one-time token's secret; `None` where no such token was issued. It stays
    /// when the token is spent, so that a replay must know the secret too.
    pub secret: Option<SecretDigest>,
    /// The store's epoch when it was issued.
    pub epoch: Epoch,
    /// Its head's generation when it was issued.
    pub generation: Generation,
    /// When it was issued.
    pub issued_at: Timestamp,
    /// When the record may be dropped; until then a spent token is known as spent.
    pub keep_until: Timestamp,
    /// Where it stands.
    pub state: State,
}

/// What is fixed when a grant is issued. Nothing changes it, but that a step-up takes scope and
/// claims over from the Bearer's grant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// Whose record it is.
    pub tenant: Tenant,
    /// The client that its tokens are bound to.
    pub client: ClientId,
    /// Who logged in.
    pub credential: Credential,
    /// When they did (the `auth_time` claim).
    pub auth_time: Timestamp,
    /// The widest scope that a token of this grant can have.
    pub scope: Option<Scope>,
    /// The host's own claims.
    pub claims: Option<HostClaims>,
}

/// Where a grant stands. That its time is up is not a state but a judgement: see [`expire`](super::expire).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// A one-time token waits to be spent.
    Issued(Issued),
    /// A token was minted and lives.
    Active(Active),
    /// A step-up put another grant in its place.
    Superseded(Superseded),
    /// It was ended on purpose.
    Revoked(Revoked),
}

/// A one-time token that waits to be spent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issued {
    /// The only identity that it can be spent for; `None` where any identity of its credential
    /// will do, provided that the resolver links it at that moment.
    pub identity: Option<Identity>,
    /// The strength of the grant that it buys.
    pub strength: Strength,
    /// When it can no longer be spent.
    pub expires_at: Timestamp,
}

/// A token was minted and lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Active {
    /// Every input of the token's claims, as minted: the same attempt gets the same bytes from it.
    pub minted: Arc<Minted>,
    /// The strength now; [`elevate`](super::elevate) may have raised it since the token was minted.
    pub strength: Strength,
    /// When it ends if nobody uses it. Never after [`Minted::expires_at`].
    pub idle_until: Timestamp,
    /// The instant of the last write.
    pub seen_at: Timestamp,
}

/// A step-up put another grant in its place. The attempt that did so may present it again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Superseded {
    /// The grant that took its place.
    pub by: GrantId,
    /// The attempt that put it there.
    pub attempt: Attempt,
    /// When.
    pub at: Timestamp,
}

/// A grant that was ended on purpose. It refuses even its own attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Revoked {
    /// When.
    pub at: Timestamp,
}

/// Every input of a minted token's claims that is not in [`Terms`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Minted {
    /// The attempt that it was minted for.
    pub attempt: Attempt,
    /// When (the `iat` claim).
    pub at: Timestamp,
    /// What the token is for.
    pub purpose: Purpose,
    /// The strength at that moment (the `acr` claim).
    pub strength: Strength,
    /// The absolute limit (the `exp` claim). Nothing extends it.
    pub expires_at: Timestamp,
    /// The scope of the token, within that of [`Terms`].
    pub scope: Option<Scope>,
    /// The key that signs it, and the algorithm.
    pub key: KeyRef,
    /// The `iss` claim.
    pub issuer: Issuer,
    /// The `aud` claim.
    pub audience: Audience,
}

/// What a minted token is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Purpose {
    /// An auth token: good for exchanges and for listing identities. Its grant is a *login*.
    Login,
    /// An access token.
    Access {
        /// On whose behalf it acts.
        identity: Identity,
        /// The login that it came from and ends with (the `sid` claim).
        login: Option<GrantId>,
    },
}

/// The strength of the authentication behind a grant, and for how long it stays so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strength {
    /// `STANDARD`.
    Standard,
    /// `STEPPED_UP`.
    SteppedUp {
        /// From then on the grant is `STANDARD` again; `None`: as long as the grant lives.
        until: Option<Timestamp>,
    },
}

impl Strength {
    /// The status that this strength amounts to at `now`.
    #[must_use]
    pub fn status(self, now: Timestamp) -> Status {
        match self {
            Self::SteppedUp { until } if until.is_none_or(|until| now < until) => Status::SteppedUp,
            Self::SteppedUp { .. } | Self::Standard => Status::Standard,
        }
    }

    /// This strength as it stands at `now`, ending with a grant that ends at `limit`.
    pub(super) fn at(self, now: Timestamp, limit: Timestamp) -> Self {
        match (self.status(now), self) {
            (Status::SteppedUp, Self::SteppedUp { until }) => {
                Self::SteppedUp { until: until.map(|until| until.min(limit)) }
            }
            _ => Self::Standard,
        }
    }

    /// The longer of two strengths.
    pub(super) fn longer(self, other: Self) -> Self {
        match (self, other) {
            (Self::Standard, any) | (any, Self::Standard) => any,
            (Self::SteppedUp { until: Some(a) }, Self::SteppedUp { until: Some(b) }) => {
                Self::SteppedUp { until: Some(a.max(b)) }
            }
            _ => Self::SteppedUp { until: None },
        }
    }
}
