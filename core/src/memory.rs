//! A store in memory: for tests, for a single process, and as the example of what a store is.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap, HashSet},
    fmt,
    num::{NonZeroU32, NonZeroUsize},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;
use time::OffsetDateTime;

use crate::{
    grant::{
        self, Context, Decision, Elevate, Grant, Head, Issue, Open, Read, Redeem, Redemption,
        Revocation, Revoke, RevokeAll, StepUp, Touch, Verdict,
    },
    id::{Epoch, GrantId, Locator},
    instant::Timestamp,
    store::{Change, Grade, Guarantee, StoreError, TokenStore},
};

mod packed;

use self::packed::{Packed, Seals};

/// How many locks the records are spread over. More than the threads of any machine we know.
const STRIPES: usize = 256;

/// A [`TokenStore`] in memory: striped by [`Locator`], bounded, gone with the process.
///
/// Every operation locks the one stripe of its credential, runs the pure transition and writes
/// what it decides. No lock is held across an await. When [`capacity`](Self::new) records are held
/// it refuses to make another until some may be dropped; it never evicts a live one. Dead records
/// stay until somebody [purges](TokenStore::purge) them, which the engine's housekeeping does; a
/// full store looks for them on the stripe that it needs, and no further.
pub struct MemoryStore {
    stripes: Box<[Mutex<Stripe>]>,
    capacity: usize,
    records: AtomicUsize,
    epoch: AtomicI64,
}

impl MemoryStore {
    /// An empty store for at most `capacity` records (grants and heads), whose epoch is `start`:
    /// client assertions that were signed before that may have been spent in an earlier life, and
    /// are refused.
    #[must_use]
    pub fn new(capacity: NonZeroUsize, start: OffsetDateTime) -> Self {
        Self {
            stripes: (0..STRIPES).map(|_| Mutex::default()).collect(),
            capacity: capacity.get(),
            records: AtomicUsize::new(0),
            epoch: AtomicI64::new(Timestamp::from(start).as_millis()),
        }
    }

    /// How many records (grants and heads) are held, those not yet purged included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.records.load(Ordering::Relaxed)
    }

    /// Whether no record is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Locks the stripe of a credential. A panic elsewhere cannot have left it half written, for a
    /// decision is complete before any of it is applied.
    fn stripe(&self, locator: Locator) -> MutexGuard<'_, Stripe> {
        let stripe = usize::from(locator.as_bytes()[0]) % STRIPES;
        self.stripes[stripe].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes what was decided, or refuses if that would take more room than there is.
    fn apply<A>(
        &self,
        stripe: &mut Stripe,
        decision: Decision<A>,
        cx: &Context,
    ) -> Result<A, StoreError> {
        if !self.claim(stripe.count_new(&decision)) {
            self.drop_dead(stripe, u32::MAX, cx.now);
            // Counted again: a dead head that the decision extends may just have been dropped.
            if !self.claim(stripe.count_new(&decision)) {
                let full = "it is full; purge it or give it more capacity";
                return Err(StoreError::new(Change::Unchanged, full));
            }
        }
        stripe.write(decision.head, decision.grants);
        Ok(decision.answer)
    }

    /// Takes room for so many more records, if there is as much.
    fn claim(&self, new: usize) -> bool {
        let claim = |held: usize| held.checked_add(new).filter(|held| *held <= self.capacity);
        let order = Ordering::Relaxed;
        new == 0 || self.records.fetch_update(order, order, claim).is_ok()
    }

    fn drop_dead(&self, stripe: &mut Stripe, limit: u32, now: Timestamp) -> u32 {
        let dropped = stripe.drop_dead(limit, now);
        self.records.fetch_sub(dropped as usize, Ordering::Relaxed);
        dropped
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore")
            .field("records", &self.len())
            .field("capacity", &self.capacity)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl TokenStore for MemoryStore {
    async fn issue(&self, event: &Issue, cx: &Context) -> Result<Verdict, StoreError> {
        let locator = event.id.locator();
        let mut stripe = self.stripe(locator);
        let decision =
            grant::issue(stripe.head(locator), stripe.grant(event.id)?.as_ref(), event, cx);
        self.apply(&mut stripe, decision, cx)
    }

    async fn redeem(&self, event: &Redeem, cx: &Context) -> Result<Redemption, StoreError> {
        let locator = event.id.locator();
        let mut stripe = self.stripe(locator);
        let decision =
            grant::redeem(stripe.head(locator), stripe.grant(event.id)?.as_ref(), event, cx);
        self.apply(&mut stripe, decision, cx)
    }

    async fn step_up(&self, event: &StepUp, cx: &Context) -> Result<Redemption, StoreError> {
        let locator = event.redeem.id.locator();
        let mut stripe = self.stripe(locator);
        let decision = grant::step_up(
            stripe.head(locator),
            stripe.login(event.bearer.login)?.as_ref(),
            stripe.grant(event.bearer.id)?.as_ref(),
            stripe.grant(event.redeem.id)?.as_ref(),
            event,
            cx,
        );
        self.apply(&mut stripe, decision, cx)
    }

    async fn open(&self, event: &Open, cx: &Context) -> Result<Redemption, StoreError> {
        let locator = event.login.id.locator();
        let mut stripe = self.stripe(locator);
        let login = stripe.grant(event.login.id)?;
        let child = stripe.grant(event.id)?;
        let decision = grant::open(stripe.head(locator), login.as_ref(), child.as_ref(), event, cx);
        self.apply(&mut stripe, decision, cx)
    }

    async fn elevate(&self, event: &Elevate, cx: &Context) -> Result<Verdict, StoreError> {
        let locator = event.bearer.id.locator();
        let mut stripe = self.stripe(locator);
        let login = stripe.login(event.bearer.login)?;
        let grant = stripe.grant(event.bearer.id)?;
        let head = stripe.head(locator);
        let decision = grant::elevate(head, login.as_ref(), grant.as_ref(), event, cx);
        self.apply(&mut stripe, decision, cx)
    }

    async fn touch(&self, event: &Touch, cx: &Context) -> Result<Verdict, StoreError> {
        let locator = event.bearer.id.locator();
        let mut stripe = self.stripe(locator);
        let login = stripe.login(event.bearer.login)?;
        let grant = stripe.grant(event.bearer.id)?;
        let head = stripe.head(locator);
        let decision = grant::touch(head, login.as_ref(), grant.as_ref(), event, cx);
        self.apply(&mut stripe, decision, cx)
    }

    async fn read(&self, event: &Read, cx: &Context) -> Result<Verdict, StoreError> {
        let (id, login) = match event {
            Read::OneTime { id, .. } => (*id, None),
            Read::Bearer(bearer) => (bearer.id, bearer.login),
        };
        let stripe = self.stripe(id.locator());
        let head = stripe.head(id.locator());
        let (login, grant) = (stripe.login(login)?, stripe.grant(id)?);
        Ok(grant::read(head, login.as_ref(), grant.as_ref(), event, cx))
    }

    async fn revoke(&self, event: &Revoke, cx: &Context) -> Result<Revocation, StoreError> {
        let mut stripe = self.stripe(event.id.locator());
        let decision = grant::revoke(stripe.grant(event.id)?.as_ref(), event, cx);
        self.apply(&mut stripe, decision, cx)
    }

    async fn revoke_all(&self, event: &RevokeAll, cx: &Context) -> Result<(), StoreError> {
        let locator = Locator::of(&event.tenant, &event.credential);
        let mut stripe = self.stripe(locator);
        let head = grant::revoke_all(stripe.head(locator), event, cx);
        stripe.write(head, [None, None]);
        Ok(())
    }

    async fn purge(&self, limit: NonZeroU32, now: Timestamp) -> Result<u32, StoreError> {
        let mut dropped = 0;
        for stripe in &self.stripes {
            let left = limit.get() - dropped;
            if left == 0 {
                break;
            }
            let mut stripe = stripe.lock().unwrap_or_else(PoisonError::into_inner);
            dropped += self.drop_dead(&mut stripe, left, now);
        }
        Ok(dropped)
    }

    async fn epoch(&self, _: Timestamp) -> Result<Epoch, StoreError> {
        Ok(Epoch(Timestamp::from_millis(self.epoch.load(Ordering::SeqCst))))
    }

    async fn raise_epoch(&self, now: Timestamp) -> Result<Epoch, StoreError> {
        let raise = |millis| Epoch(Timestamp::from_millis(millis)).raised(now);
        let order = Ordering::SeqCst;
        let before = self
            .epoch
            .fetch_update(order, order, |millis| Some(raise(millis).0.as_millis()))
            .unwrap_or_else(|millis| millis);
        Ok(raise(before))
    }

    async fn guarantee(&self) -> Result<Guarantee, StoreError> {
        Ok(Guarantee {
            grade: Grade::Volatile,
            reason: "records are kept in the memory of this process".to_owned(),
            may_evict: false,
        })
    }
}

/// The records of the credentials that share a lock.
#[derive(Default)]
struct Stripe {
    heads: HashMap<Locator, Head>,
    grants: HashSet<Packed>,
    seals: Seals,
    grant_ends: Ends<GrantId>,
    head_ends: Ends<Locator>,
}

impl Stripe {
    fn head(&self, locator: Locator) -> Option<&Head> {
        self.heads.get(&locator)
    }

    fn grant(&self, id: GrantId) -> Result<Option<Grant>, StoreError> {
        let Some(packed) = self.grants.get(id.as_bytes().as_slice()) else {
            return Ok(None);
        };
        // It never happens; but what cannot be read is not what was never there.
        let unreadable = || StoreError::new(Change::Unchanged, "a record cannot be read");
        packed.unpack().map(Some).ok_or_else(unreadable)
    }

    fn login(&self, id: Option<GrantId>) -> Result<Option<Grant>, StoreError> {
        id.map_or(Ok(None), |id| self.grant(id))
    }

    fn count_new<A>(&self, decision: &Decision<A>) -> usize {
        let new_head = decision
            .head
            .iter()
            .filter(|head| !self.heads.contains_key(&Locator::of(&head.tenant, &head.credential)))
            .count();
        let new_grants = decision
            .grants
            .iter()
            .flatten()
            .filter(|grant| !self.grants.contains(grant.id.as_bytes().as_slice()));
        new_head + new_grants.count()
    }

    fn write(&mut self, head: Option<Head>, grants: [Option<Grant>; 2]) {
        if let Some(head) = head {
            let locator = Locator::of(&head.tenant, &head.credential);
            let keep_until = head.keep_until;
            if self.heads.insert(locator, head).is_none() {
                self.head_ends.push(keep_until, locator);
            }
        }
        for grant in grants.into_iter().flatten() {
            let packed = self.seals.pack(&grant);
            match self.grants.replace(packed) {
                Some(before) => self.seals.release(before),
                None => self.grant_ends.push(grant.keep_until, grant.id),
            }
        }
    }

    fn drop_dead(&mut self, limit: u32, now: Timestamp) -> u32 {
        let mut dropped = 0;
        while dropped < limit
            && let Some(id) = self.grant_ends.pop_due(now)
        {
            let id_bytes = id.as_bytes().as_slice();
            let keep_until = self.grants.get(id_bytes).map(Packed::keep_until);
            match keep_until.map(|keep_until| keep_until.unwrap_or(Timestamp::MAX)) {
                Some(later) if later > now => self.grant_ends.push(later, id),
                _ => {
                    if let Some(dead) = self.grants.take(id_bytes) {
                        self.seals.release(dead);
                    }
                    dropped += 1;
                }
            }
        }
        while dropped < limit
            && let Some(locator) = self.head_ends.pop_due(now)
        {
            match self.heads.get(&locator).map(|head| head.keep_until) {
                Some(later) if later > now => self.head_ends.push(later, locator),
                _ => {
                    self.heads.remove(&locator);
                    dropped += 1;
                }
            }
        }
        dropped
    }
}

/// When each record ends, soonest first. One that has since been given a longer life is put back
/// when its turn comes.
struct Ends<T>(BinaryHeap<Reverse<(Timestamp, T)>>);

impl<T: Ord> Ends<T> {
    fn push(&mut self, end: Timestamp, record: T) {
        self.0.push(Reverse((end, record)));
    }

    /// The record that ends first, if that is now or was before.
    fn pop_due(&mut self, now: Timestamp) -> Option<T> {
        let is_due = self.0.peek().is_some_and(|Reverse((end, _))| *end <= now);
        is_due.then(|| self.0.pop()).flatten().map(|Reverse((_, record))| record)
    }
}

impl<T: Ord> Default for Ends<T> {
    fn default() -> Self {
        Self(BinaryHeap::new())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        grant::{First, Refusal, Strength, Terms},
        id::Generation,
        instant::Lifetime,
        model::{Credential, CredentialType},
        secret::SecretDigest,
    };

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn cx(now: Timestamp) -> Context {
        Context {
            now,
            epoch: Epoch::default(),
            max_skew: Lifetime::from_secs(5),
            retry_window: Lifetime::from_secs(30),
        }
    }

    fn issue(nth: u32) -> Issue {
        let tenant = "acme".parse().unwrap();
        let id = format!("{nth}").parse().unwrap();
        let credential = Credential::new(CredentialType::Root, id);
        Issue {
            id: GrantId::random(Locator::of(&tenant, &credential)).unwrap(),
            terms: Arc::new(Terms {
                tenant,
                client: "web".parse().unwrap(),
                credential,
                auth_time: NOW,
                scope: None,
                claims: None,
            }),
            generation: Generation::random().unwrap(),
            covers: Lifetime::from_mins(61),
            first: First::OneTime {
                secret: SecretDigest::of(b"secret"),
                identity: None,
                strength: Strength::Standard,
                lifetime: Lifetime::from_secs(60),
            },
        }
    }

    #[tokio::test]
    async fn a_full_store_refuses_and_evicts_nothing_that_lives() {
        let store = MemoryStore::new(NonZeroUsize::new(4).unwrap(), NOW.into());
        let issues: Vec<_> = (0..3).map(issue).collect();
        for kept in &issues[..2] {
            assert!(store.issue(kept, &cx(NOW)).await.is_ok());
        }
        let refused = store.issue(&issues[2], &cx(NOW)).await.unwrap_err();
        assert_eq!(refused.change(), Change::Unchanged);
        assert_eq!(store.len(), 4, "two grants, two heads");
        for kept in &issues[..2] {
            let again = store.issue(kept, &cx(NOW)).await;
            assert!(matches!(again, Ok(Verdict::Granted { retried: true, .. })));
        }
    }

    #[tokio::test]
    async fn a_full_store_makes_room_of_what_is_dead() {
        let store = MemoryStore::new(NonZeroUsize::new(2).unwrap(), NOW.into());
        let first = issue(0);
        assert!(store.issue(&first, &cx(NOW)).await.is_ok());
        let later = NOW.after(Lifetime::from_secs(60));
        let second = Issue { id: GrantId::of_child(first.id, attempt()), ..first.clone() };
        assert!(store.issue(&second, &cx(NOW)).await.is_err());
        assert!(store.issue(&second, &cx(later)).await.is_ok());
        let tenant = first.terms.tenant.clone();
        let revoke = Revoke { id: first.id, tenant, client: None, secret: None };
        let gone = store.revoke(&revoke, &cx(later)).await.unwrap();
        assert_eq!(gone, Revocation::Refused(Refusal::Unknown));
    }

    #[tokio::test]
    async fn a_dead_head_that_is_extended_in_a_full_store_is_counted_once() {
        let store = MemoryStore::new(NonZeroUsize::new(2).unwrap(), NOW.into());
        let first = issue(0);
        assert!(store.issue(&first, &cx(NOW)).await.is_ok());
        let later = NOW.after(Lifetime::from_hours(30));
        let second = Issue { id: GrantId::of_child(first.id, attempt()), ..first };
        assert!(store.issue(&second, &cx(later)).await.is_ok());
        assert_eq!(store.len(), 2);
        let end = later.after(Lifetime::from_hours(72));
        assert_eq!(store.purge(NonZeroU32::MAX, end).await.unwrap(), 2);
        assert!(store.is_empty());
    }

    fn attempt() -> crate::id::Attempt {
        crate::id::Attempt::unrepeatable().unwrap()
    }

    #[tokio::test]
    async fn a_purge_drops_what_is_due_and_no_more_than_it_may() {
        let store = MemoryStore::new(NonZeroUsize::new(100).unwrap(), NOW.into());
        for nth in 0..10 {
            assert!(store.issue(&issue(nth), &cx(NOW)).await.is_ok());
        }
        let (four, many) = (NonZeroU32::new(4).unwrap(), NonZeroU32::MAX);
        let due = NOW.after(Lifetime::from_secs(60));
        assert_eq!(store.purge(many, NOW).await.unwrap(), 0);
        assert_eq!(store.purge(four, due).await.unwrap(), 4);
        assert_eq!(store.purge(many, due).await.unwrap(), 6);
        assert_eq!(store.len(), 10, "the heads stay");
    }
}
