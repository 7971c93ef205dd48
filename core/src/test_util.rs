//! Parts for a host's own tests (feature `test-util`): a clock that is set by hand, a resolver and
//! a registry that answer from a table, and a store that fails on demand.

use std::{
    collections::HashMap,
    num::NonZeroU32,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use time::OffsetDateTime;

use crate::{
    AssertionKey, Change, Client, ClientRegistry, Clock, Credential, CredentialId, Epoch,
    Guarantee, Identity, IdentityResolver, Lifetime, Listing, LookupError, Page, Resolution,
    SecretDigest, SecretText, StoreError, Tenant, Timer, Timestamp, TokenStore,
    grant::{
        Context, Elevate, Issue, Open, Read, Redeem, Redemption, Revocation, Revoke, RevokeAll,
        StepUp, Touch, Verdict,
    },
};

/// A clock that is set by hand.
#[derive(Debug)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// A clock that stands at this instant.
    #[must_use]
    pub fn at(now: OffsetDateTime) -> Self {
        Self(AtomicI64::new(Timestamp::from(now).as_millis()))
    }

    /// Moves it forward.
    pub fn advance(&self, by: Lifetime) {
        self.0.fetch_add(by.as_millis(), Ordering::SeqCst);
    }

    /// Sets it, backwards too.
    pub fn set(&self, now: OffsetDateTime) {
        self.0.store(Timestamp::from(now).as_millis(), Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> OffsetDateTime {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst)).into()
    }
}

/// A timer whose every sleep ends at once: whatever does not answer at once misses its deadline.
#[derive(Debug, Clone, Copy, Default)]
pub struct ImpatientTimer;

#[async_trait]
impl Timer for ImpatientTimer {
    async fn sleep(&self, _: Duration) {}
}

/// A resolver that answers from a table.
#[derive(Debug, Default)]
pub struct StaticResolver {
    people: Mutex<HashMap<(Tenant, Credential), Person>>,
}

#[derive(Debug, Clone, Default)]
struct Person {
    identities: Vec<Identity>,
    locked: bool,
}

impl StaticResolver {
    /// Links an identity to a credential.
    pub fn link(&self, tenant: &Tenant, credential: &Credential, identity: Identity) {
        self.person(tenant, credential, |person| person.identities.push(identity));
    }

    /// Takes an identity from a credential.
    pub fn unlink(&self, tenant: &Tenant, credential: &Credential, identity: &Identity) {
        self.person(tenant, credential, |person| person.identities.retain(|own| own != identity));
    }

    /// Locks a credential, or unlocks it.
    pub fn lock(&self, tenant: &Tenant, credential: &Credential, locked: bool) {
        self.person(tenant, credential, |person| person.locked = locked);
    }

    fn person(&self, tenant: &Tenant, credential: &Credential, change: impl FnOnce(&mut Person)) {
        change(self.people().entry((tenant.clone(), credential.clone())).or_default());
    }

    fn find(&self, tenant: &Tenant, credential: &Credential) -> Person {
        let key = (tenant.clone(), credential.clone());
        self.people().get(&key).cloned().unwrap_or_default()
    }

    fn people(&self) -> MutexGuard<'_, HashMap<(Tenant, Credential), Person>> {
        self.people.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl IdentityResolver for StaticResolver {
    async fn identities(
        &self,
        tenant: &Tenant,
        credential: &Credential,
        page: Page,
    ) -> Result<Listing, LookupError> {
        let person = self.find(tenant, credential);
        if person.locked {
            return Ok(Listing::Locked { until: None });
        }
        let count = person.identities.len() as u64;
        let from_offset = person.identities.into_iter().skip(page.offset as usize);
        Ok(Listing::Identities { identities: from_offset.take(page.limit as usize).collect(), count })
    }

    async fn resolve(
        &self,
        tenant: &Tenant,
        credential: &Credential,
        identity: &Identity,
    ) -> Result<Resolution, LookupError> {
        let person = self.find(tenant, credential);
        Ok(if person.locked {
            Resolution::Locked { until: None }
        } else if person.identities.contains(identity) {
            Resolution::Linked
        } else {
            Resolution::NotLinked
        })
    }
}

/// A registry that answers from a table.
#[derive(Debug, Default)]
pub struct StaticRegistry {
    clients: HashMap<SecretDigest, Client>,
    assertion_keys: HashMap<(Client, CredentialId), Vec<AssertionKey>>,
}

impl StaticRegistry {
    /// With a client that has this api-key.
    #[must_use]
    pub fn with_client(mut self, api_key: &SecretText, client: Client) -> Self {
        self.clients.insert(api_key.digest(), client);
        self
    }

    /// With a delegated API client that `client` owns, and the key that it signs with.
    #[must_use]
    pub fn with_assertion_key(
        mut self,
        client: Client,
        issuer: CredentialId,
        key: AssertionKey,
    ) -> Self {
        self.assertion_keys.entry((client, issuer)).or_default().push(key);
        self
    }
}

#[async_trait]
impl ClientRegistry for StaticRegistry {
    async fn client(&self, api_key: &SecretDigest) -> Result<Option<Client>, LookupError> {
        Ok(self.clients.get(api_key).cloned())
    }

    async fn assertion_keys(
        &self,
        client: &Client,
        issuer: &CredentialId,
    ) -> Result<Vec<AssertionKey>, LookupError> {
        let key = (client.clone(), issuer.clone());
        Ok(self.assertion_keys.get(&key).cloned().unwrap_or_default())
    }
}

/// When a [`FailingStore`] fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// Before it has done anything: [`Change::Unchanged`].
    Before,
    /// After it has done everything: [`Change::MayHaveHappened`].
    After,
}

/// A store that fails on demand, and passes everything else on.
#[derive(Debug)]
pub struct FailingStore<S> {
    store: S,
    calls: AtomicUsize,
    plan: Mutex<Option<(usize, Failure)>>,
}

impl<S> FailingStore<S> {
    /// Passes everything on to this store until it is told to fail.
    pub fn new(store: S) -> Self {
        Self { store, calls: AtomicUsize::new(0), plan: Mutex::new(None) }
    }

    /// The `nth` operation from now on (1 is the next) fails, once.
    pub fn fail_nth(&self, nth: usize, failure: Failure) {
        let at = self.calls.load(Ordering::SeqCst) + nth;
        *self.plan.lock().unwrap_or_else(PoisonError::into_inner) = Some((at, failure));
    }

    /// How many operations there have been.
    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    async fn run<T>(
        &self,
        call: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        let this = self.calls.fetch_add(1, Ordering::SeqCst) + 1;
        let failure = {
            let mut plan = self.plan.lock().unwrap_or_else(PoisonError::into_inner);
            plan.take_if(|(at, _)| *at == this).map(|(_, failure)| failure)
        };
        match failure {
            Some(Failure::Before) => Err(StoreError::new(Change::Unchanged, "told to fail")),
            Some(Failure::After) => {
                call.await?;
                Err(StoreError::new(Change::MayHaveHappened, "told to fail"))
            }
            None => call.await,
        }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: TokenStore> TokenStore for FailingStore<S> {
    async fn issue(&self, event: &Issue, cx: &Context) -> Result<Verdict, StoreError> {
        self.run(self.store.issue(event, cx)).await
    }

    async fn redeem(&self, event: &Redeem, cx: &Context) -> Result<Redemption, StoreError> {
        self.run(self.store.redeem(event, cx)).await
    }

    async fn step_up(&self, event: &StepUp, cx: &Context) -> Result<Redemption, StoreError> {
        self.run(self.store.step_up(event, cx)).await
    }

    async fn open(&self, event: &Open, cx: &Context) -> Result<Redemption, StoreError> {
        self.run(self.store.open(event, cx)).await
    }

    async fn elevate(&self, event: &Elevate, cx: &Context) -> Result<Verdict, StoreError> {
        self.run(self.store.elevate(event, cx)).await
    }

    async fn touch(&self, event: &Touch, cx: &Context) -> Result<Verdict, StoreError> {
        self.run(self.store.touch(event, cx)).await
    }

    async fn read(&self, event: &Read, cx: &Context) -> Result<Verdict, StoreError> {
        self.run(self.store.read(event, cx)).await
    }

    async fn revoke(&self, event: &Revoke, cx: &Context) -> Result<Revocation, StoreError> {
        self.run(self.store.revoke(event, cx)).await
    }

    async fn revoke_all(&self, event: &RevokeAll, cx: &Context) -> Result<(), StoreError> {
        self.run(self.store.revoke_all(event, cx)).await
    }

    async fn purge(&self, limit: NonZeroU32, now: Timestamp) -> Result<u32, StoreError> {
        self.run(self.store.purge(limit, now)).await
    }

    async fn epoch(&self) -> Result<Epoch, StoreError> {
        self.run(self.store.epoch()).await
    }

    async fn raise_epoch(&self, now: Timestamp) -> Result<Epoch, StoreError> {
        self.run(self.store.raise_epoch(now)).await
    }

    async fn guarantee(&self) -> Result<Guarantee, StoreError> {
        self.run(self.store.guarantee()).await
    }
}
