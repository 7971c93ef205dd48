//! Parts for a host's own tests (feature `test-util`): a clock that is set by hand, a resolver and
//! a registry that answer from a table, and parts that fail on demand.

use std::{
    collections::HashMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use time::OffsetDateTime;

use crate::{
    AssertionKey, Client, ClientRegistry, Clock, Credential, CredentialId, Identity,
    IdentityResolver, Lifetime, Listing, LookupError, Page, Resolution, SecretDigest, SecretText,
    Tenant, Timer, Timestamp,
};

mod faults;

pub use faults::{Failure, Faults, Faulty};

/// For tests and measurements: a server mints through its engine, which records the grant first.
pub use crate::claims::mint;

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
        Ok(Listing::Identities {
            identities: from_offset.take(page.limit as usize).collect(),
            count,
        })
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
