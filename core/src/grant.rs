//! The grant: its states, and every transition as a pure function. This file is the specification
//! that every store is held to.
//!
//! ```text
//! ∅ ─issue one-time→ Issued ─redeem, step_up→ Active(STANDARD|STEPPED_UP)
//! ∅ ─log in, open, assert→ Active ─elevate→ Active(STEPPED_UP) ─step_up→ Superseded
//! any ─revoke→ Revoked        any ─time→ expired        Active ─idle→ expired
//! ```
//!
//! The records are in `grant/records.rs`, the events in `grant/events.rs`, the decisions in
//! `grant/decisions.rs`; here are the rules.
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
    id::{Attempt, GrantId},
    instant::{Lifetime, Timestamp},
    model::{ClientId, Credential, Identity, Status, Tenant},
    secret::SecretDigest,
};

mod decisions;
mod events;
mod records;

pub use self::{
    decisions::{Decision, Redemption, Refusal, Revocation, Verdict},
    events::{
        Bearer, Context, Elevate, First, Issue, Mint, OnReplay, Open, Read, Redeem, Revoke,
        RevokeAll, Slide, StepUp, Touch,
    },
    records::{
        Active, Grant, Head, Issued, Minted, Purpose, Revoked, State, Strength, Superseded, Terms,
    },
};

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
        None => {
            match head_for(head, event, cx).and_then(|head| in_time(event, cx).map(|()| head)) {
                Ok((head, head_is_new)) => {
                    let grant = first(&head, event, cx);
                    return Decision {
                        answer: Verdict::Granted { grant: grant.clone(), retried: false },
                        head: head_is_new.then_some(head),
                        grants: [Some(grant), None],
                    };
                }
                Err(refusal) => Err(refusal),
            }
        }
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
        // A replay too, but what the token bought has ended already.
        State::Superseded(_) => Decision::unchanged(Redemption::Replayed { revoked: false }),
        State::Revoked(_) => Decision::unchanged(Redemption::Refused(Refusal::Revoked)),
    }
}

/// Issued → Active(`STEPPED_UP`) for the one-time token and Active → Superseded for the Bearer's
/// grant, together or not at all. The new grant has the Bearer's login and absolute limit, and its
/// scope and claims where it has any.
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
        State::Superseded(_) => {
            return Decision::unchanged(Redemption::Replayed { revoked: false });
        }
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
    // The evidence raises the Bearer's session: it neither widens its scope nor loses its claims.
    let terms = Arc::new(Terms {
        scope: stepped.minted.scope.clone().or_else(|| token.terms.scope.clone()),
        claims: bearer.terms.claims.clone().or_else(|| token.terms.claims.clone()),
        ..Terms::clone(&token.terms)
    });
    let token = &Grant { terms, ..token.clone() };
    let active = issued.clone().redeem(&token.terms, &event.redeem, login, expires_at, cx);
    let superseded = Superseded { by: token.id, attempt: event.redeem.attempt, at: cx.now };
    let mut decision = redeemed(token, active);
    decision.grants[1] = Some(Grant { state: State::Superseded(superseded), ..bearer.clone() });
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
            None => Decision::unchanged(Verdict::Granted { grant: grant.clone(), retried: false }),
        },
        Err(refusal) => Decision::unchanged(Verdict::Refused(refusal)),
    }
}

/// What does it say? A Bearer's grant must be live; a one-time token's may have been spent, but
/// what it bought must be live as far as its own record tells: its login is not asked. Changes
/// nothing.
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
    if event.up_to < cx.now {
        return Some(Head { revoked_to: head.revoked_to.max(event.up_to), ..head });
    }
    let revoked_at = head.revoked_at.max(cx.now);
    Some(Head { generation: event.generation, revoked_at, ..head })
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
        let worth_it =
            idle_until > self.idle_until && idle_until >= self.idle_until.after(slide.granularity);
        worth_it.then(|| Self { idle_until, seen_at: self.seen_at.max(cx.now), ..self.clone() })
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
fn stands<'a>(head: Option<&'a Head>, grant: &Grant, cx: &Context) -> Result<&'a Head, Refusal> {
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

/// What buys the grant must not have ended.
fn in_time(event: &Issue, cx: &Context) -> Result<(), Refusal> {
    match event.first {
        First::Token { not_after, .. } if cx.now >= not_after => Err(Refusal::Expired),
        First::Token { .. } | First::OneTime { .. } => Ok(()),
    }
}

/// The head that a new grant goes under, and whether it has to be written: its life is extended in
/// big steps, so that issuing seldom does.
fn head_for(head: Option<&Head>, event: &Issue, cx: &Context) -> Result<(Head, bool), Refusal> {
    let needed = cx.now.after(event.covers);
    let extended = needed.after(event.covers).max(needed.after(HEAD_STEP));
    match head {
        Some(head) if !owns(head, &event.terms.tenant, &event.terms.credential) => {
            Err(Refusal::Head)
        }
        Some(head) if cx.now < head.revoked_at => Err(Refusal::Head),
        Some(head) if head.keep_until >= needed => Ok((head.clone(), false)),
        Some(head) => Ok((Head { keep_until: extended, ..head.clone() }, true)),
        None => Ok((
            Head {
                tenant: event.terms.tenant.clone(),
                credential: event.terms.credential.clone(),
                generation: event.generation,
                revoked_to: Timestamp::MIN,
                revoked_at: Timestamp::MIN,
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
            let issued = Issued { identity: identity.clone(), strength: *strength, expires_at };
            (Some(*secret), State::Issued(issued), expires_at)
        }
        First::Token { attempt, purpose, strength, mint, keep_until, not_after: _ } => {
            let expires_at = cx.now.after(mint.absolute).min(head.keep_until);
            let active = Active::minted(
                &event.terms,
                *attempt,
                purpose.clone(),
                *strength,
                mint,
                expires_at,
                cx,
            );
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
        (State::Issued(_), First::OneTime { .. }) => expire(grant, cx.now).map_or(Ok(grant), Err),
        (State::Active(active), First::Token { attempt, .. }) if active.is_of(*attempt) => {
            within_window(grant, active, cx).map(|()| grant)
        }
        (State::Revoked(_), _) => Err(Refusal::Revoked),
        (State::Superseded(_), _) => Err(Refusal::Superseded),
        (State::Issued(_) | State::Active(_), _) => Err(Refusal::Spent),
    }
}

fn child_of(login: &Grant, session: &Active, event: &Open, cx: &Context) -> Grant {
    let purpose = Purpose::Access { identity: event.identity.clone(), login: Some(login.id) };
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
