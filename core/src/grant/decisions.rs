//! The decisions: what a transition answers, and what it writes.

use super::{Grant, Head};

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
    pub(super) fn unchanged(answer: A) -> Self {
        Self { answer, head: None, grants: [None, None] }
    }

    pub(super) fn writing(answer: A, grant: Grant) -> Self {
        Self { answer, head: None, grants: [Some(grant), None] }
    }
}

/// The answer to [`issue`](super::issue), [`elevate`](super::elevate), [`touch`](super::touch) and [`read`](super::read).
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

/// The answer to [`redeem`](super::redeem), [`step_up`](super::step_up) and [`open`](super::open).
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

/// The answer to [`revoke`](super::revoke).
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
