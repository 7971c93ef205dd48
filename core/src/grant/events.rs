//! The events: what may be done to a grant, and what it is judged by.

use std::sync::Arc;

use super::{Purpose, Strength, Terms};
use crate::{
    id::{Attempt, Epoch, Generation, GrantId},
    instant::{Lifetime, Timestamp},
    keys::KeyRef,
    model::{Audience, ClientId, Credential, Identity, Issuer, Scope, Tenant},
    secret::SecretDigest,
};

/// What an operation is judged by besides its records: time and epoch are arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Context {
    /// The instant of the operation.
    pub now: Timestamp,
    /// The store's epoch as the engine last read it.
    pub epoch: Epoch,
    /// How far behind a record's latest instant `now` may be.
    pub max_skew: Lifetime,
    /// How long after an attempt the same attempt gets the same answer.
    pub retry_window: Lifetime,
}

/// What a verified token says of its grant. The caller has checked the signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bearer {
    /// Its `jti`.
    pub id: GrantId,
    /// Its `sid`; the record must agree.
    pub login: Option<GrantId>,
    /// Its tenant.
    pub tenant: Tenant,
    /// Its `client_id`.
    pub client: ClientId,
    /// Its credential.
    pub credential: Credential,
}

/// How a token is to be made: what the engine adds to the grant at this moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mint {
    /// How long it lives unused.
    pub idle: Lifetime,
    /// How long it lives at most.
    pub absolute: Lifetime,
    /// The key that will sign it.
    pub key: KeyRef,
    /// The `iss` claim.
    pub issuer: Issuer,
    /// The `aud` claim.
    pub audience: Audience,
    /// Its scope, where it is narrower than that of the grant's terms: the caller has checked that
    /// it is. `None`: all of it.
    pub scope: Option<Scope>,
}

/// How use moves the idle deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slide {
    /// The deadline becomes now + this,
    pub idle: Lifetime,
    /// but only where it grows by at least this, so that use seldom writes.
    pub granularity: Lifetime,
}

/// Makes a grant: ∅ → Issued for a one-time token, ∅ → Active for a login or an assertion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issue {
    /// The id of the new grant: random, or derived from an assertion.
    pub id: GrantId,
    /// What it is issued on.
    pub terms: Arc<Terms>,
    /// The generation of the head, where one has to be made.
    pub generation: Generation,
    /// The longest that this grant, or whatever it buys, can live from now on.
    pub covers: Lifetime,
    /// What it is at first.
    pub first: First,
}

/// What a new grant is at first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum First {
    /// A one-time token.
    OneTime {
        /// SHA-256 of its secret.
        secret: SecretDigest,
        /// The only identity that it can be spent for, if it is so bound.
        identity: Option<Identity>,
        /// The strength of what it buys.
        strength: Strength,
        /// How long it can be spent.
        lifetime: Lifetime,
    },
    /// A token of its own: an auth token, or the access token that an assertion buys.
    Token {
        /// The attempt: the same one again gets the same answer.
        attempt: Attempt,
        /// What the token is for.
        purpose: Purpose,
        /// Its strength.
        strength: Strength,
        /// How it is to be made.
        mint: Mint,
        /// It is not issued at this instant or later, when its assertion has ended. The same
        /// attempt again still gets its answer.
        not_after: Timestamp,
        /// An assertion's record stays until then, so that its `jti` is known as spent.
        keep_until: Timestamp,
    },
}

/// Spends a one-time token: Issued → Active.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redeem {
    /// The grant that the token names.
    pub id: GrantId,
    /// SHA-256 of its secret.
    pub secret: SecretDigest,
    /// The tenant of the client that presents it.
    pub tenant: Tenant,
    /// The client that presents it.
    pub client: ClientId,
    /// The identity that is asked for.
    pub identity: Identity,
    /// Whether the resolver has just linked that identity: needed for a token that is good for any.
    pub resolved: bool,
    /// This attempt.
    pub attempt: Attempt,
    /// How the access token is to be made.
    pub mint: Mint,
    /// What a replay does to the grant that the token bought.
    pub on_replay: OnReplay,
}

/// What a replay does to the grant that the token bought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnReplay {
    /// It revokes it (RFC 9700 §2.1.1).
    Revoke,
    /// It is refused and changes nothing.
    Refuse,
}

/// Spends a one-time token as step-up evidence: Issued → Active(`STEPPED_UP`) for the token, and
/// Active → Superseded for the Bearer's grant, in the same step.
///
/// Both grants must be on one shard: the caller has compared their locators.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepUp {
    /// The access token that is stepped up.
    pub bearer: Bearer,
    /// The one-time token that proves it, spent as a redemption is.
    pub redeem: Redeem,
}

/// Opens an access grant under a login: ∅ → Active. Using the login slides its idle deadline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Open {
    /// The auth token.
    pub login: Bearer,
    /// The new grant: [`GrantId::of_child`] of login and attempt.
    pub id: GrantId,
    /// The identity that the resolver has just linked.
    pub identity: Identity,
    /// This attempt.
    pub attempt: Attempt,
    /// How the access token is to be made.
    pub mint: Mint,
    /// How the login's idle deadline moves.
    pub slide: Slide,
}

/// Raises a grant in place: Active → Active(`STEPPED_UP`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Elevate {
    /// The token.
    pub bearer: Bearer,
    /// Until when it is `STEPPED_UP`; `None`: as long as it lives. A step-up is never shortened.
    pub until: Option<Timestamp>,
}

/// Asks whether a token's grant is live, and slides its idle deadline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Touch {
    /// The token.
    pub bearer: Bearer,
    /// How its idle deadline moves.
    pub slide: Slide,
}

/// Reads a grant and changes nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Read {
    /// By a one-time token, spent or not.
    OneTime {
        /// The grant that it names.
        id: GrantId,
        /// SHA-256 of its secret.
        secret: SecretDigest,
        /// The tenant of the client that presents it.
        tenant: Tenant,
        /// The client that presents it.
        client: ClientId,
    },
    /// By an auth or access token.
    Bearer(Bearer),
}

/// Ends a grant: any → Revoked. Revoking a login ends whatever came from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revoke {
    /// The grant.
    pub id: GrantId,
    /// Whose it must be.
    pub tenant: Tenant,
    /// The client it must be bound to; `None` where the host itself revokes.
    pub client: Option<ClientId>,
    /// SHA-256 of its secret, where a one-time token is presented.
    pub secret: Option<SecretDigest>,
}

/// Ends every grant of a credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevokeAll {
    /// Whose credential it is.
    pub tenant: Tenant,
    /// The credential.
    pub credential: Credential,
    /// Grants issued at or before this instant end. At `now` or later it ends those too that are
    /// being issued at that moment.
    pub up_to: Timestamp,
    /// The generation that the head then gets.
    pub generation: Generation,
}
