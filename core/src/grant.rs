//! The grant: its states, and every transition as a pure function. This file is the specification
//! that every store is held to.
//!
//! ```text
//! ∅ ─issue one-time→ Issued ─redeem, step_up→ Active(STANDARD|STEPPED_UP)
//! ∅ ─log in, open, assert→ Active ─elevate→ Active(STEPPED_UP) ─step_up→ Superseded
//! any ─revoke→ Revoked        any ─time→ expired        Active ─idle→ expired
//! ```
//!
//! A transition takes the records as they stand (the credential's [`Head`], the login where there
//! is one, the [`Grant`]), an event and a [`Context`], and gives a [`Decision`]: the answer, and
//! the records to write with it in the same atomic step. It does no I/O and knows no clock.
//!
//! Everything is judged in one order, that of the variants of [`Refusal`]: secret, tenant, client,
//! credential, clock, epoch, head, login, identity, spent, expiry. What is refused before *spent*
//! changes nothing. `expires_at == now` is expired.

use std::sync::Arc;

use crate::{
    id::{Attempt, Epoch, Generation, GrantId},
    instant::{Lifetime, Timestamp},
    keys::KeyRef,
    model::{Audience, ClientId, Credential, HostClaims, Identity, Issuer, Scope, Status, Tenant},
    secret::SecretDigest,
};

// ---------------------------------------------------------------------------------------------
// The records
// ---------------------------------------------------------------------------------------------

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

/// What is fixed when a grant is issued and never changes.
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

/// Where a grant stands. That its time is up is not a state but a judgement: see [`expire`].
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
    /// The strength now; [`elevate`] may have raised it since the token was minted.
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
    fn at(self, now: Timestamp, limit: Timestamp) -> Self {
        match (self.status(now), self) {
            (Status::SteppedUp, Self::SteppedUp { until }) => {
                Self::SteppedUp { until: until.map(|until| until.min(limit)) }
            }
            _ => Self::Standard,
        }
    }

    /// The longer of two strengths.
    fn longer(self, other: Self) -> Self {
        match (self, other) {
            (Self::Standard, any) | (any, Self::Standard) => any,
            (Self::SteppedUp { until: Some(a) }, Self::SteppedUp { until: Some(b) }) => {
                Self::SteppedUp { until: Some(a.max(b)) }
            }
            _ => Self::SteppedUp { until: None },
        }
    }
}

// ---------------------------------------------------------------------------------------------
// The events
// ---------------------------------------------------------------------------------------------

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

// ---------------------------------------------------------------------------------------------
// The decisions
// ---------------------------------------------------------------------------------------------

/// What a transition decided: the answer, and the records to write with it in one atomic step.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct Decision<A> {
    /// What the caller is told.
    pub answer: A,
    /// The head to write.
    pub head: Option<Head>,
    /// The grants to write: at most two, and all on the shard of the head.
    pub grants: [Option<Grant>; 2],
}

impl<A> Decision<A> {
    fn unchanged(answer: A) -> Self {
        Self { answer, head: None, grants: [None, None] }
    }

    fn writing(answer: A, grant: Grant) -> Self {
        Self { answer, head: None, grants: [Some(grant), None] }
    }
}

/// The answer to [`issue`], [`elevate`], [`touch`] and [`read`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Verdict {
    /// Here is the grant as it now stands.
    Granted {
        /// The record.
        grant: Grant,
        /// The same attempt had it before.
        retried: bool,
    },
    /// Nothing was changed.
    Refused(Refusal),
}

/// The answer to [`redeem`], [`step_up`] and [`open`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Redemption {
    /// Here is the grant that the token bought.
    Redeemed {
        /// The record.
        grant: Grant,
        /// The same attempt had it before.
        retried: bool,
    },
    /// Another attempt spent the token before.
    Replayed {
        /// The grant that it bought has been revoked by this.
        revoked: bool,
    },
    /// The one-time token, or the attempt, is refused. Nothing was changed.
    Refused(Refusal),
    /// The Bearer is refused. Nothing was changed.
    BearerRefused(Refusal),
}

/// The answer to [`revoke`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Revocation {
    /// It has ended now.
    Revoked,
    /// It had been revoked before.
    AlreadyRevoked,
    /// It names no grant of this tenant and client.
    Refused(Refusal),
}

/// Why nothing was granted, in the order of judgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Refusal {
    /// There is no such grant, or it is not of the kind that was presented.
    Unknown,
    /// The secret is not the one-time token's.
    Secret,
    /// The grant is another tenant's.
    Tenant,
    /// The grant is another client's.
    Client,
    /// The grant is another credential's.
    Credential,
    /// `now` is too far behind an instant that the record has seen. Not the caller's fault.
    Clock,
    /// The store was restored, or lost writes, since the grant was issued.
    Epoch,
    /// The head is missing, or everything of the credential was revoked.
    Head,
    /// The login is revoked, past its absolute limit, missing, or not the one that the token names.
    Login,
    /// The identity is not the one that the token is for.
    Identity,
    /// The token is good for any identity, and this one has not been resolved.
    Unresolved,
    /// The one-time token is no step-up evidence.
    Status,
    /// It was spent, and this is not its attempt, or no longer.
    Spent,
    /// A step-up has put another grant in its place.
    Superseded,
    /// It was revoked.
    Revoked,
    /// Its time is up.
    Expired,
    /// Nobody used it for too long.
    Idle,
}

// ---------------------------------------------------------------------------------------------
// The transitions
// ---------------------------------------------------------------------------------------------

/// ∅ → Issued, ∅ → Active. An id that is taken is never overwritten: the very same issue again
/// gets the same answer, any other is refused.
pub fn issue(
    head: Option<&Head>,
    taken: Option<&Grant>,
    event: &Issue,
    cx: &Context,
) -> Decision<Verdict> {
    let verdict = match taken {
        Some(grant) => issue_again(head, grant, event, cx),
        None => match head_for(head, event, cx) {
            Ok((head, head_is_new)) => {
                let grant = first(&head, event, cx);
                return Decision {
                    answer: Verdict::Granted { grant: grant.clone(), retried: false },
                    head: head_is_new.then_some(head),
                    grants: [Some(grant), None],
                };
            }
            Err(refusal) => Err(refusal),
        },
    };
    Decision::unchanged(match verdict {
        Ok(grant) => Verdict::Granted { grant: grant.clone(), retried: true },
        Err(refusal) => Verdict::Refused(refusal),
    })
}

/// Issued → Active, once. The same attempt again gets the same answer within the retry window;
/// another attempt is a replay.
pub fn redeem(
    head: Option<&Head>,
    grant: Option<&Grant>,
    event: &Redeem,
    cx: &Context,
) -> Decision<Redemption> {
    let judged = one_time(grant, event)
        .and_then(|grant| stands(head, grant, cx).map(|head| (head, grant)))
        .and_then(|(head, grant)| for_identity(grant, event).map(|()| (head, grant)));
    let (head, grant) = match judged {
        Ok(judged) => judged,
        Err(refusal) => return Decision::unchanged(Redemption::Refused(refusal)),
    };
    match &grant.state {
        State::Issued(issued) if cx.now < issued.expires_at => {
            let expires_at = cx.now.after(event.mint.absolute).min(head.keep_until);
            redeemed(grant, issued.clone().redeem(&grant.terms, event, None, expires_at, cx))
        }
        State::Issued(_) => Decision::unchanged(Redemption::Refused(Refusal::Expired)),
        // Under a login it was bought by a step-up, which this is not.
        State::Active(active) if active.is_of(event.attempt) && active.login().is_none() => {
            redeemed_again(grant, active, cx)
        }
        State::Active(_) => replayed(grant, event, cx),
        State::Superseded(_) => Decision::unchanged(Redemption::Refused(Refusal::Superseded)),
        State::Revoked(_) => Decision::unchanged(Redemption::Refused(Refusal::Revoked)),
    }
}

/// Issued → Active(`STEPPED_UP`) for the one-time token and Active → Superseded for the Bearer's
/// grant, together or not at all. The new grant has the Bearer's login and absolute limit.
pub fn step_up(
    head: Option<&Head>,
    login: Option<&Grant>,
    bearer: Option<&Grant>,
    token: Option<&Grant>,
    event: &StepUp,
    cx: &Context,
) -> Decision<Redemption> {
    let refuse = |refusal| Decision::unchanged(Redemption::Refused(refusal));
    let refuse_bearer = |refusal| Decision::unchanged(Redemption::BearerRefused(refusal));

    let token = match one_time(token, &event.redeem) {
        Ok(token) => token,
        Err(refusal) => return refuse(refusal),
    };
    if let Err(refusal) = stands(head, token, cx) {
        return refuse(refusal);
    }
    let bearer = match bearer_stands(head, login, bearer, &event.bearer, cx) {
        Ok(bearer) => bearer,
        Err(refusal) => return refuse_bearer(refusal),
    };
    let evidence = for_identity(token, &event.redeem)
        .and_then(|()| same_identity(bearer, &event.redeem.identity))
        .and_then(|()| is_stepped_up(token, cx));
    if let Err(refusal) = evidence {
        return refuse(refusal);
    }
    let issued = match &token.state {
        State::Issued(issued) => issued,
        State::Active(active) if active.is_of(event.redeem.attempt) => {
            return match &bearer.state {
                State::Superseded(superseded)
                    if superseded.by == token.id && superseded.attempt == event.redeem.attempt =>
                {
                    redeemed_again(token, active, cx)
                }
                State::Revoked(_) => refuse_bearer(Refusal::Revoked),
                _ => refuse(Refusal::Spent),
            };
        }
        State::Active(_) => return replayed(token, &event.redeem, cx),
        State::Superseded(_) => return refuse(Refusal::Superseded),
        State::Revoked(_) => return refuse(Refusal::Revoked),
    };
    let stepped = match live(bearer, cx) {
        Ok(active) => active,
        Err(refusal) => return refuse_bearer(refusal),
    };
    if cx.now >= issued.expires_at {
        return refuse(Refusal::Expired);
    }

    let expires_at = stepped.minted.expires_at;
    let login = event.bearer.login;
    let active = issued.clone().redeem(&token.terms, &event.redeem, login, expires_at, cx);
    let superseded = Superseded { by: token.id, attempt: event.redeem.attempt, at: cx.now };
    let mut decision = redeemed(token, active);
    decision.grants[1] =
        Some(Grant { state: State::Superseded(superseded), ..bearer.clone() });
    decision
}

/// ∅ → Active under a login, with the login's strength; slides the login's idle deadline.
pub fn open(
    head: Option<&Head>,
    login: Option<&Grant>,
    child: Option<&Grant>,
    event: &Open,
    cx: &Context,
) -> Decision<Redemption> {
    let judged = bearer_stands(head, None, login, &event.login, cx)
        .and_then(|login| live(login, cx).map(|session| (login, session)))
        .and_then(|(login, session)| match session.minted.purpose {
            Purpose::Login => Ok((login, session)),
            Purpose::Access { .. } => Err(Refusal::Unknown),
        });
    let (login, session) = match judged {
        Ok(judged) => judged,
        Err(refusal) => return Decision::unchanged(Redemption::BearerRefused(refusal)),
    };
    let opened = match child.map(|child| (child, &child.state)) {
        None => {
            let grant = child_of(login, session, event, cx);
            Decision {
                answer: Redemption::Redeemed { grant: grant.clone(), retried: false },
                head: None,
                grants: [Some(grant), None],
            }
        }
        Some((child, State::Active(active))) if active.is_of(event.attempt) => {
            match stands(head, child, cx).and_then(|_| same_identity(child, &event.identity)) {
                Ok(()) => redeemed_again(child, active, cx),
                Err(refusal) => Decision::unchanged(Redemption::Refused(refusal)),
            }
        }
        Some((_, state)) => {
            let refusal = match state {
                State::Revoked(_) => Refusal::Revoked,
                State::Superseded(_) => Refusal::Superseded,
                State::Issued(_) | State::Active(_) => Refusal::Spent,
            };
            Decision::unchanged(Redemption::Refused(refusal))
        }
    };
    match (&opened.answer, session.slid(event.slide, cx)) {
        (Redemption::Redeemed { .. }, Some(slid)) => {
            let login = Grant { state: State::Active(slid), ..login.clone() };
            let [child, _] = opened.grants;
            Decision { grants: [child, Some(login)], ..opened }
        }
        _ => opened,
    }
}

/// Active → Active(`STEPPED_UP`), in place. A step-up is never shortened.
pub fn elevate(
    head: Option<&Head>,
    login: Option<&Grant>,
    grant: Option<&Grant>,
    event: &Elevate,
    cx: &Context,
) -> Decision<Verdict> {
    let judged = bearer_stands(head, login, grant, &event.bearer, cx)
        .and_then(|grant| live(grant, cx).map(|active| (grant, active)));
    match judged {
        Ok((grant, active)) => {
            let active = active.clone().elevate(event.until, cx);
            let grant = Grant { state: State::Active(active), ..grant.clone() };
            Decision::writing(Verdict::Granted { grant: grant.clone(), retried: false }, grant)
        }
        Err(refusal) => Decision::unchanged(Verdict::Refused(refusal)),
    }
}

/// Is it live? Active → Active, with its idle deadline slid where that is worth a write.
pub fn touch(
    head: Option<&Head>,
    login: Option<&Grant>,
    grant: Option<&Grant>,
    event: &Touch,
    cx: &Context,
) -> Decision<Verdict> {
    let judged = bearer_stands(head, login, grant, &event.bearer, cx)
        .and_then(|grant| live(grant, cx).map(|active| (grant, active)));
    match judged {
        Ok((grant, active)) => match active.slid(event.slide, cx) {
            Some(slid) => {
                let grant = Grant { state: State::Active(slid), ..grant.clone() };
                Decision::writing(Verdict::Granted { grant: grant.clone(), retried: false }, grant)
            }
            None => {
                Decision::unchanged(Verdict::Granted { grant: grant.clone(), retried: false })
            }
        },
        Err(refusal) => Decision::unchanged(Verdict::Refused(refusal)),
    }
}

/// What does it say? A Bearer's grant must be live; a one-time token's may have been spent, but
/// what it bought must be live. Changes nothing.
pub fn read(
    head: Option<&Head>,
    login: Option<&Grant>,
    grant: Option<&Grant>,
    event: &Read,
    cx: &Context,
) -> Verdict {
    let judged = match event {
        Read::Bearer(bearer) => bearer_stands(head, login, grant, bearer, cx)
            .and_then(|grant| live(grant, cx).map(|_| grant)),
        Read::OneTime { id: _, secret, tenant, client } => {
            held(grant, Some(*secret), tenant, Some(client))
                .and_then(|grant| stands(head, grant, cx).map(|_| grant))
                .and_then(|grant| match &grant.state {
                    State::Issued(_) => expire(grant, cx.now).map_or(Ok(grant), Err),
                    _ => live(grant, cx).map(|_| grant),
                })
        }
    };
    match judged {
        Ok(grant) => Verdict::Granted { grant: grant.clone(), retried: false },
        Err(refusal) => Verdict::Refused(refusal),
    }
}

/// any → Revoked. Neither clock, epoch, head nor expiry stands in the way.
pub fn revoke(grant: Option<&Grant>, event: &Revoke, cx: &Context) -> Decision<Revocation> {
    let grant = match held(grant, event.secret, &event.tenant, event.client.as_ref()) {
        Ok(grant) => grant,
        Err(refusal) => return Decision::unchanged(Revocation::Refused(refusal)),
    };
    match grant.state {
        State::Revoked(_) => Decision::unchanged(Revocation::AlreadyRevoked),
        _ => Decision::writing(Revocation::Revoked, revoked(grant, cx)),
    }
}

/// Ends every grant of a credential: those issued up to an earlier instant by raising the head's
/// `revoked_to`, all of them by a new generation. Without a head there is nothing to end.
#[must_use]
pub fn revoke_all(head: Option<&Head>, event: &RevokeAll, cx: &Context) -> Option<Head> {
    let head = head.filter(|head| owns(head, &event.tenant, &event.credential))?.clone();
    Some(if event.up_to >= cx.now {
        Head { generation: event.generation, ..head }
    } else {
        Head { revoked_to: head.revoked_to.max(event.up_to), ..head }
    })
}

/// Whether time has ended the grant by `now`, and how. The state itself does not change: a record
/// whose time is up is refused like one that is gone.
#[must_use]
pub fn expire(grant: &Grant, now: Timestamp) -> Option<Refusal> {
    match &grant.state {
        State::Issued(issued) => (now >= issued.expires_at).then_some(Refusal::Expired),
        State::Active(active) if now >= active.minted.expires_at => Some(Refusal::Expired),
        State::Active(active) => (now >= active.idle_until).then_some(Refusal::Idle),
        State::Superseded(_) | State::Revoked(_) => {
            (now >= grant.keep_until).then_some(Refusal::Expired)
        }
    }
}

// ---------------------------------------------------------------------------------------------
// The states' own steps: each consumes the state before
// ---------------------------------------------------------------------------------------------

impl Issued {
    fn redeem(
        self,
        terms: &Terms,
        event: &Redeem,
        login: Option<GrantId>,
        expires_at: Timestamp,
        cx: &Context,
    ) -> Active {
        let purpose = Purpose::Access { identity: event.identity.clone(), login };
        let mint = &event.mint;
        Active::minted(terms, event.attempt, purpose, self.strength, mint, expires_at, cx)
    }
}

impl Active {
    fn minted(
        terms: &Terms,
        attempt: Attempt,
        purpose: Purpose,
        strength: Strength,
        mint: &Mint,
        expires_at: Timestamp,
        cx: &Context,
    ) -> Self {
        let strength = strength.at(cx.now, expires_at);
        Self {
            minted: Arc::new(Minted {
                attempt,
                at: cx.now,
                purpose,
                strength,
                expires_at,
                scope: mint.scope.as_ref().or(terms.scope.as_ref()).cloned(),
                key: mint.key,
                issuer: mint.issuer.clone(),
                audience: mint.audience.clone(),
            }),
            strength,
            idle_until: cx.now.after(mint.idle).min(expires_at),
            seen_at: cx.now,
        }
    }

    fn elevate(self, until: Option<Timestamp>, cx: &Context) -> Self {
        let limit = self.minted.expires_at;
        let strength = Strength::SteppedUp { until }.at(cx.now, limit);
        Self {
            strength: self.strength.at(cx.now, limit).longer(strength),
            seen_at: self.seen_at.max(cx.now),
            ..self
        }
    }

    /// The grant with its idle deadline slid, where the deadline grows by enough.
    fn slid(&self, slide: Slide, cx: &Context) -> Option<Self> {
        let idle_until = cx.now.after(slide.idle).min(self.minted.expires_at);
        let worth_it = idle_until > self.idle_until
            && idle_until >= self.idle_until.after(slide.granularity);
        worth_it.then(|| Self {
            idle_until,
            seen_at: self.seen_at.max(cx.now),
            ..self.clone()
        })
    }

    fn is_of(&self, attempt: Attempt) -> bool {
        self.minted.attempt == attempt
    }

    /// The login that an access grant came from.
    #[must_use]
    pub fn login(&self) -> Option<GrantId> {
        match self.minted.purpose {
            Purpose::Access { login, .. } => login,
            Purpose::Login => None,
        }
    }
}

// ---------------------------------------------------------------------------------------------
// The judgements, in their order
// ---------------------------------------------------------------------------------------------

/// Secret, tenant, client: is there such a grant, and may this caller speak of it?
fn held<'a>(
    grant: Option<&'a Grant>,
    secret: Option<SecretDigest>,
    tenant: &Tenant,
    client: Option<&ClientId>,
) -> Result<&'a Grant, Refusal> {
    let grant = grant.ok_or(Refusal::Unknown)?;
    if secret.is_some() && secret != grant.secret {
        Err(Refusal::Secret)
    } else if grant.terms.tenant != *tenant {
        Err(Refusal::Tenant)
    } else if client.is_some_and(|client| *client != grant.terms.client) {
        Err(Refusal::Client)
    } else {
        Ok(grant)
    }
}

/// [`held`] by the one-time token that is to be spent.
fn one_time<'a>(grant: Option<&'a Grant>, event: &Redeem) -> Result<&'a Grant, Refusal> {
    held(grant, Some(event.secret), &event.tenant, Some(&event.client))
}

/// Clock, epoch, head: does anything but its own state keep the grant from standing?
fn stands<'a>(
    head: Option<&'a Head>,
    grant: &Grant,
    cx: &Context,
) -> Result<&'a Head, Refusal> {
    let latest = match &grant.state {
        State::Issued(_) => grant.issued_at,
        State::Active(active) => active.seen_at,
        State::Superseded(superseded) => superseded.at,
        State::Revoked(revoked) => revoked.at,
    };
    if cx.now.after(cx.max_skew) < latest {
        return Err(Refusal::Clock);
    }
    if grant.epoch < cx.epoch {
        return Err(Refusal::Epoch);
    }
    head.filter(|head| owns(head, &grant.terms.tenant, &grant.terms.credential))
        .filter(|head| head.generation == grant.generation && head.revoked_to < grant.issued_at)
        .ok_or(Refusal::Head)
}

fn owns(head: &Head, tenant: &Tenant, credential: &Credential) -> bool {
    head.tenant == *tenant && head.credential == *credential
}

/// Tenant, client, credential, clock, epoch, head, login: does the grant of this token stand, and
/// whatever it came from? Its own state is judged afterwards, by [`live`].
fn bearer_stands<'a>(
    head: Option<&Head>,
    login: Option<&Grant>,
    grant: Option<&'a Grant>,
    bearer: &Bearer,
    cx: &Context,
) -> Result<&'a Grant, Refusal> {
    let grant = held(grant, None, &bearer.tenant, Some(&bearer.client))?;
    if grant.terms.credential != bearer.credential {
        return Err(Refusal::Credential);
    }
    stands(head, grant, cx)?;
    if let State::Active(active) = &grant.state
        && active.login() != bearer.login
    {
        return Err(Refusal::Login);
    }
    if bearer.login.is_some() {
        login_stands(head, login, grant, cx)?;
    }
    Ok(grant)
}

/// A login ends its children when it is revoked, past its absolute limit or missing; not when it
/// has merely idled out.
fn login_stands(
    head: Option<&Head>,
    login: Option<&Grant>,
    child: &Grant,
    cx: &Context,
) -> Result<(), Refusal> {
    let login = login
        .filter(|login| login.terms.tenant == child.terms.tenant)
        .filter(|login| login.terms.credential == child.terms.credential)
        .ok_or(Refusal::Login)?;
    match stands(head, login, cx) {
        Ok(_) => {}
        Err(Refusal::Clock) => return Err(Refusal::Clock),
        Err(_) => return Err(Refusal::Login),
    }
    match &login.state {
        State::Active(active)
            if active.minted.purpose == Purpose::Login && cx.now < active.minted.expires_at =>
        {
            Ok(())
        }
        _ => Err(Refusal::Login),
    }
}

/// Identity: is the one-time token for this one? A spent token says for whom it was spent; one
/// that is superseded or revoked no longer says.
fn for_identity(token: &Grant, event: &Redeem) -> Result<(), Refusal> {
    match &token.state {
        State::Issued(Issued { identity: Some(identity), .. }) if *identity != event.identity => {
            Err(Refusal::Identity)
        }
        State::Issued(Issued { identity: None, .. }) if !event.resolved => Err(Refusal::Unresolved),
        _ => same_identity(token, &event.identity),
    }
}

/// Identity: does a live access grant act for this one?
fn same_identity(grant: &Grant, identity: &Identity) -> Result<(), Refusal> {
    match &grant.state {
        State::Active(active) => match &active.minted.purpose {
            Purpose::Access { identity: own, .. } if own == identity => Ok(()),
            _ => Err(Refusal::Identity),
        },
        _ => Ok(()),
    }
}

/// Identity, continued: only a one-time token that is `STEPPED_UP` proves a step-up.
fn is_stepped_up(token: &Grant, cx: &Context) -> Result<(), Refusal> {
    match &token.state {
        State::Issued(issued) if issued.strength.status(cx.now) == Status::Standard => {
            Err(Refusal::Status)
        }
        _ => Ok(()),
    }
}

/// Spent, expiry: is the grant itself live?
fn live<'a>(grant: &'a Grant, cx: &Context) -> Result<&'a Active, Refusal> {
    match &grant.state {
        State::Active(active) => expire(grant, cx.now).map_or(Ok(active), Err),
        State::Issued(_) => Err(Refusal::Unknown),
        State::Superseded(_) => Err(Refusal::Superseded),
        State::Revoked(_) => Err(Refusal::Revoked),
    }
}

// ---------------------------------------------------------------------------------------------
// What is written
// ---------------------------------------------------------------------------------------------

/// The head that a new grant goes under, and whether it has to be written: its life is extended in
/// big steps, so that issuing seldom does.
fn head_for(
    head: Option<&Head>,
    event: &Issue,
    cx: &Context,
) -> Result<(Head, bool), Refusal> {
    let needed = cx.now.after(event.covers);
    let extended = needed.after(event.covers).max(needed.after(HEAD_STEP));
    match head {
        Some(head) if !owns(head, &event.terms.tenant, &event.terms.credential) => {
            Err(Refusal::Head)
        }
        Some(head) if head.keep_until >= needed => Ok((head.clone(), false)),
        Some(head) => Ok((Head { keep_until: extended, ..head.clone() }, true)),
        None => Ok((
            Head {
                tenant: event.terms.tenant.clone(),
                credential: event.terms.credential.clone(),
                generation: event.generation,
                revoked_to: Timestamp::MIN,
                keep_until: extended,
            },
            true,
        )),
    }
}

/// By how much a head's life is extended at least.
pub const HEAD_STEP: Lifetime = Lifetime::from_hours(24);

fn first(head: &Head, event: &Issue, cx: &Context) -> Grant {
    let (secret, state, keep_until) = match &event.first {
        First::OneTime { secret, identity, strength, lifetime } => {
            let expires_at = cx.now.after(*lifetime);
            let issued =
                Issued { identity: identity.clone(), strength: *strength, expires_at };
            (Some(*secret), State::Issued(issued), expires_at)
        }
        First::Token { attempt, purpose, strength, mint, keep_until } => {
            let expires_at = cx.now.after(mint.absolute).min(head.keep_until);
            let active =
                Active::minted(&event.terms, *attempt, purpose.clone(), *strength, mint, expires_at, cx);
            (None, State::Active(active), expires_at.max(*keep_until))
        }
    };
    Grant {
        id: event.id,
        terms: event.terms.clone(),
        secret,
        epoch: cx.epoch,
        generation: head.generation,
        issued_at: cx.now,
        keep_until,
        state,
    }
}

/// The id is taken: is this the very same issue again?
fn issue_again<'a>(
    head: Option<&Head>,
    grant: &'a Grant,
    event: &Issue,
    cx: &Context,
) -> Result<&'a Grant, Refusal> {
    let secret = match &event.first {
        First::OneTime { secret, .. } => Some(*secret),
        First::Token { .. } => None,
    };
    held(Some(grant), secret, &event.terms.tenant, Some(&event.terms.client))?;
    if grant.terms.credential != event.terms.credential {
        return Err(Refusal::Credential);
    }
    stands(head, grant, cx)?;
    match (&grant.state, &event.first) {
        (State::Issued(_), First::OneTime { .. }) => {
            expire(grant, cx.now).map_or(Ok(grant), Err)
        }
        (State::Active(active), First::Token { attempt, .. }) if active.is_of(*attempt) => {
            within_window(grant, active, cx).map(|()| grant)
        }
        (State::Revoked(_), _) => Err(Refusal::Revoked),
        (State::Superseded(_), _) => Err(Refusal::Superseded),
        (State::Issued(_) | State::Active(_), _) => Err(Refusal::Spent),
    }
}

fn child_of(login: &Grant, session: &Active, event: &Open, cx: &Context) -> Grant {
    let purpose =
        Purpose::Access { identity: event.identity.clone(), login: Some(login.id) };
    let expires_at = cx.now.after(event.mint.absolute).min(session.minted.expires_at);
    let (terms, strength, mint) = (&login.terms, session.strength, &event.mint);
    let active = Active::minted(terms, event.attempt, purpose, strength, mint, expires_at, cx);
    Grant {
        id: event.id,
        terms: login.terms.clone(),
        secret: None,
        epoch: login.epoch,
        generation: login.generation,
        issued_at: cx.now,
        keep_until: expires_at,
        state: State::Active(active),
    }
}

fn redeemed(token: &Grant, active: Active) -> Decision<Redemption> {
    let grant = Grant {
        keep_until: token.keep_until.max(active.minted.expires_at),
        state: State::Active(active),
        ..token.clone()
    };
    Decision::writing(Redemption::Redeemed { grant: grant.clone(), retried: false }, grant)
}

fn redeemed_again(grant: &Grant, active: &Active, cx: &Context) -> Decision<Redemption> {
    Decision::unchanged(match within_window(grant, active, cx) {
        Ok(()) => Redemption::Redeemed { grant: grant.clone(), retried: true },
        Err(refusal) => Redemption::Refused(refusal),
    })
}

/// The same attempt gets the same answer while the window is open and the grant lives.
fn within_window(grant: &Grant, active: &Active, cx: &Context) -> Result<(), Refusal> {
    if cx.now >= active.minted.at.after(cx.retry_window) {
        return Err(Refusal::Spent);
    }
    expire(grant, cx.now).map_or(Ok(()), Err)
}

fn replayed(grant: &Grant, event: &Redeem, cx: &Context) -> Decision<Redemption> {
    match event.on_replay {
        OnReplay::Revoke => {
            Decision::writing(Redemption::Replayed { revoked: true }, revoked(grant, cx))
        }
        OnReplay::Refuse => Decision::unchanged(Redemption::Replayed { revoked: false }),
    }
}

fn revoked(grant: &Grant, cx: &Context) -> Grant {
    Grant { state: State::Revoked(Revoked { at: cx.now }), ..grant.clone() }
}
