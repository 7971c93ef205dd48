//! The seam to whatever keeps the records: a store is a set of atomic transitions.

use std::{error::Error, fmt, num::NonZeroU32};

use async_trait::async_trait;

use crate::{
    grant::{
        Context, Elevate, Issue, Open, Read, Redeem, Redemption, Revocation, Revoke, RevokeAll,
        StepUp, Touch, Verdict,
    },
    id::Epoch,
    instant::Timestamp,
};

/// Keeps heads and grants, and changes them by whole transitions.
///
/// Each operation is one of the pure functions of [`grant`](crate::grant), carried out atomically:
/// it reads the records of one credential, judges them branch by branch as that function does, and
/// writes what it decides, such that no other operation comes between. It takes one round trip. A
/// store that first reads and then writes is not one: two callers who spend the same one-time
/// token at the same moment would both be told that they bought an access token, and whoever stole
/// it would share a session with its owner (RFC 9700 §2.1.1).
///
/// What a store must guarantee, and what it costs if it does not:
///
/// * **Atomicity.** Otherwise tokens are spent twice, and a revocation can be written over by a
///   step-up that ran beside it.
/// * **No loss before `keep_until`**, to the degree that [`guarantee`](Self::guarantee) states. A
///   lost record is refused, so loss costs sessions; but a write that was answered and is then
///   undone (a failover to a stale replica, a restore from backup) turns a spent token into a good
///   one. [`raise_epoch`](Self::raise_epoch) is the remedy.
/// * **A repeated answer promises what the first did.** Where a write waits for replicas or for the
///   disk, so does a retry, and a refusal because of such a write: rewrite the row. Otherwise a
///   retry is answered from a record that a failover then takes back.
/// * **Time and epoch are the arguments.** A store never judges by its own clock. It may drop
///   records by it, no earlier than their `keep_until`.
/// * **A refusal is an answer.** `Err` says only that the store could not answer, and whether the
///   change may have happened all the same. If a store claims `Unchanged` for a write that went
///   through, the caller may take another attempt and be treated as a thief.
/// * **Cancellation.** A future that is dropped leaves its transition done or undone, never half.
/// * **Old readers.** Whoever finds a record of a version it does not know answers with an error.
///
/// Reads of head and login need no lock where an operation does not write them: every later
/// operation reads them again, so a stale read can only place an operation before the revocation
/// that it ran beside.
///
/// Prove an implementation with `mintage::conformance` (feature `conformance`).
/// There are no default methods: a wrapper that forgets one does not compile.
#[async_trait]
pub trait TokenStore: fmt::Debug + Send + Sync + 'static {
    /// ∅ → Issued, ∅ → Active: [`grant::issue`](crate::grant::issue). Makes the head where there
    /// is none; only then may it cost a second statement.
    ///
    /// # Errors
    /// [`StoreError`] when the store could not answer, a full store included.
    async fn issue(&self, event: &Issue, cx: &Context) -> Result<Verdict, StoreError>;

    /// Issued → Active: [`grant::redeem`](crate::grant::redeem).
    ///
    /// # Errors
    /// [`StoreError`] when the store could not answer.
    async fn redeem(&self, event: &Redeem, cx: &Context) -> Result<Redemption, StoreError>;

    /// Issued → Active and Active → Superseded: [`grant::step_up`](crate::grant::step_up).
    ///
    /// # Errors
    /// [`StoreError`] when the store could not answer.
    async fn step_up(&self, event: &StepUp, cx: &Context) -> Result<Redemption, StoreError>;

    /// ∅ → Active under a login: [`grant::open`](crate::grant::open).
    ///
    /// # Errors
    /// [`StoreError`] when the store could not answer, a full store included.
    async fn open(&self, event: &Open, cx: &Context) -> Result<Redemption, StoreError>;

    /// Active → Active(`STEPPED_UP`): [`grant::elevate`](crate::grant::elevate).
    ///
    /// # Errors
    /// [`StoreError`] when the store could not answer.
    async fn elevate(&self, event: &Elevate, cx: &Context) -> Result<Verdict, StoreError>;

    /// The live check: [`grant::touch`](crate::grant::touch).
    ///
    /// # Errors
    /// [`StoreError`] when the store could not answer.
    async fn touch(&self, event: &Touch, cx: &Context) -> Result<Verdict, StoreError>;

    /// Changes nothing: [`grant::read`](crate::grant::read).
    ///
    /// # Errors
    /// [`StoreError`] when the store could not answer.
    async fn read(&self, event: &Read, cx: &Context) -> Result<Verdict, StoreError>;

    /// any → Revoked: [`grant::revoke`](crate::grant::revoke).
    ///
    /// # Errors
    /// [`StoreError`] when the store could not answer.
    async fn revoke(&self, event: &Revoke, cx: &Context) -> Result<Revocation, StoreError>;

    /// Ends every grant of a credential: [`grant::revoke_all`](crate::grant::revoke_all).
    ///
    /// # Errors
    /// [`StoreError`] when the store could not answer.
    async fn revoke_all(&self, event: &RevokeAll, cx: &Context) -> Result<(), StoreError>;

    /// Drops at most `limit` records whose `keep_until` is at or before `now`; says how many. Safe
    /// to call from many nodes at once, and never in the way of the operations above for long.
    ///
    /// # Errors
    /// [`StoreError`] when the store could not answer.
    async fn purge(&self, limit: NonZeroU32, now: Timestamp) -> Result<u32, StoreError>;

    /// The epoch as the store now keeps it. Where there is none it becomes `now`, in the same atomic
    /// step: a store that has lost its epoch has lost the spent assertions too. A volatile store's
    /// is its start.
    ///
    /// # Errors
    /// [`StoreError`] when the store could not answer.
    async fn epoch(&self, now: Timestamp) -> Result<Epoch, StoreError>;

    /// Raises the epoch to max(stored + 1 ms, `now`) and gives it: every record of a lower one is
    /// refused from then on. To be done after a restore from backup, or a failover that lost
    /// writes.
    ///
    /// # Errors
    /// [`StoreError`] when the store could not answer.
    async fn raise_epoch(&self, now: Timestamp) -> Result<Epoch, StoreError>;

    /// What the store promises, found by asking the server and not by what was configured here.
    ///
    /// # Errors
    /// [`StoreError`] when the store could not answer.
    async fn guarantee(&self) -> Result<Guarantee, StoreError>;
}

/// What a store's acknowledged writes survive. A later grade promises whatever an earlier one does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Grade {
    /// Nothing: they end with the process.
    Volatile,
    /// A crash of the process where the server persists; a failover can undo some.
    BestEffort,
    /// A crash of the process, and loss of power.
    PowerLossSafe,
    /// A crash of the process, loss of power, and failover.
    FailoverSafe,
}

/// What a store promises, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guarantee {
    /// What its acknowledged writes survive.
    pub grade: Grade,
    /// The setting, or mode, that decided the grade: shown to the operator.
    pub reason: String,
    /// Whether it may drop a record before its `keep_until`. Such a store's absence of a record
    /// does not prove that an assertion is fresh, so assertions are refused.
    pub may_evict: bool,
}

/// Whether a change that was not acknowledged can have happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Change {
    /// It has not happened, and will not.
    Unchanged,
    /// It may have happened, or may yet. Only the same attempt can tell.
    MayHaveHappened,
}

/// The store could not answer.
#[derive(Debug)]
pub struct StoreError {
    change: Change,
    what: &'static str,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl StoreError {
    /// The store could not answer, because of `what`; `change` says what that means for the write.
    /// Neither may hold a secret.
    #[must_use]
    pub fn new(change: Change, what: &'static str) -> Self {
        Self { change, what, source: None }
    }

    /// The same, with the error beneath it.
    #[must_use]
    pub fn because(self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { source: Some(source.into()), ..self }
    }

    /// The same, of an operation that changes nothing.
    pub(crate) fn unchanged(self) -> Self {
        Self { change: Change::Unchanged, ..self }
    }

    /// Whether the change can have happened all the same.
    #[must_use]
    pub fn change(&self) -> Change {
        self.change
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let so = match self.change {
            Change::Unchanged => "nothing was changed",
            Change::MayHaveHappened => "the change may have happened: repeat the same attempt",
        };
        write!(f, "the token store could not answer: {}; {so}", self.what)
    }
}

impl Error for StoreError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
