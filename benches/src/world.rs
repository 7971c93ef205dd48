//! An engine with a host that says yes to everything: on the store in memory, which never waits, or
//! on any other.

use std::{
    collections::HashMap,
    num::{NonZeroU32, NonZeroUsize},
    sync::Arc,
};

use mintage::{
    Algorithm, AnyStatus, Attempt, Audience, Client, ClientId, Clock as _, Credential,
    CredentialId, CredentialType, Engine, Exchange, Exchanged, GrantId, Identity, IdentityId,
    IdentityResolver, IdentityType, IssueOneTime, Issuer, KeyProvider as _, KeyRing, KeySet,
    Leeway, Lifetime, Listing, LookupError, MemoryStore, OneTimeToken, Page, Parts, Policy, Realm,
    Resolution, SecretText, SigningKey, Status, SystemClock, Tenant, Timer, Timestamp, TokenStore,
    TracingAudit, Verifier, VerifierParts, async_trait,
    grant::{Context, Mint, OnReplay, Redeem, Redemption},
    test_util::{ImpatientTimer, StaticRegistry},
};

use crate::{
    Failure,
    tokens::{SEED, at_once},
};

/// The api-key of the client that issues and exchanges.
pub const API_KEY: &str = "acme-web-key";

/// The identity that every token is for.
pub const IDENTITY: &str = "5001";

/// An engine, and those who use it.
#[derive(Debug)]
pub struct World {
    /// The engine.
    pub engine: Engine,
    store: Arc<dyn TokenStore>,
    client: Client,
    identity: Identity,
    realm: Realm,
    key: SigningKey,
    verifier: Verifier,
}

impl World {
    /// A world whose store is in memory and has room for so many records.
    ///
    /// # Errors
    /// When the engine does not start.
    pub fn new(records: u32) -> Result<Self, Failure> {
        let records = NonZeroUsize::try_from(NonZeroU32::new(records).ok_or("no room")?)?;
        Self::in_memory(Arc::new(MemoryStore::new(records, SystemClock.now())))
    }

    /// A world on that store.
    ///
    /// # Errors
    /// When the engine does not start.
    pub fn in_memory(store: Arc<MemoryStore>) -> Result<Self, Failure> {
        at_once(Self::on(store, Arc::new(ImpatientTimer)))?
    }

    /// A world on a store that may have to be waited for.
    ///
    /// # Errors
    /// When the engine does not start.
    pub async fn on(store: Arc<dyn TokenStore>, timer: Arc<dyn Timer>) -> Result<Self, Failure> {
        let key = SigningKey::from_seed(&SEED, Algorithm::EdDsa);
        let keys = Arc::new(KeyRing::fixed(key.clone()));
        let client = Client { id: ClientId::new("acme-web")?, tenant: Tenant::new("acme")? };
        let realm = Realm {
            issuer: Issuer::new("https://login.acme.example")?,
            audience: Audience::new("https://api.acme.example")?,
        };
        let now = SystemClock.now().into();
        let verifier = Verifier::new(VerifierParts {
            tenant: Some(client.tenant.clone()),
            keys: KeySet::clone(&*keys.verifying_keys(now).await?),
            issuer: realm.issuer.clone(),
            audience: realm.audience.clone(),
            leeway: Leeway::default(),
        });
        let parts = Parts {
            store: Arc::clone(&store),
            keys,
            identities: Arc::new(Everyone),
            clients: Arc::new(
                StaticRegistry::default().with_client(&SecretText::new(API_KEY), client.clone()),
            ),
            clock: Arc::new(SystemClock),
            timer,
            audit: Arc::new(TracingAudit),
            // Storing many takes longer than a minute.
            policy: Policy { one_time: Lifetime::from_hours(1), ..Policy::default() },
            tenants: HashMap::from([(client.tenant.clone(), realm.clone())]),
        };
        Ok(Self {
            engine: Engine::start(parts).await?,
            store,
            identity: Identity::new(IdentityType::Corporate, IdentityId::new(IDENTITY)?),
            client,
            realm,
            key,
            verifier,
        })
    }

    /// Issues a one-time token to the person of that number.
    ///
    /// # Errors
    /// When the engine refuses.
    pub async fn issued(&self, person: u32) -> Result<OneTimeToken, Failure> {
        let credential =
            Credential::new(CredentialType::Root, CredentialId::new(&person.to_string())?);
        let wanted = IssueOneTime::new(credential, self.identity.clone(), Status::SteppedUp);
        Ok(self.engine.issue_one_time(&self.client, wanted).await?.token)
    }

    /// Issues one by a store that never waits.
    ///
    /// # Errors
    /// When the engine refuses.
    pub fn issue(&self, person: u32) -> Result<OneTimeToken, Failure> {
        at_once(self.issued(person))?
    }

    /// Exchanges a one-time token: all that the engine does for it, from text to text.
    ///
    /// # Errors
    /// When the engine refuses.
    pub async fn exchanged(&self, token: SecretText) -> Result<Exchanged, Failure> {
        let mut exchange = Exchange::new(self.client.clone(), self.identity.clone());
        exchange.token = Some(token);
        Ok(self.engine.exchange(exchange).await?)
    }

    /// Exchanges one by a store that never waits.
    ///
    /// # Errors
    /// When the engine refuses.
    pub fn exchange(&self, token: SecretText) -> Result<Exchanged, Failure> {
        at_once(self.exchanged(token))?
    }

    /// Redeems a one-time token in the store alone, and mints nothing.
    ///
    /// # Errors
    /// When the store refuses.
    pub fn redeem(&self, token: &OneTimeToken, cx: &Context) -> Result<(), Failure> {
        let redeem = Redeem {
            id: token.id(),
            secret: token.secret_digest(),
            tenant: self.client.tenant.clone(),
            client: self.client.id.clone(),
            identity: self.identity.clone(),
            resolved: false,
            attempt: Attempt::from_bytes(*token.secret_digest().as_bytes()),
            mint: Mint {
                idle: Lifetime::from_mins(5),
                absolute: Lifetime::from_mins(60),
                key: self.key.key_ref(),
                issuer: self.realm.issuer.clone(),
                audience: self.realm.audience.clone(),
                scope: None,
            },
            on_replay: OnReplay::Revoke,
        };
        match at_once(self.store.redeem(&redeem, cx))?? {
            Redemption::Redeemed { retried: false, .. } => Ok(()),
            other => Err(format!("not redeemed: {other:?}").into()),
        }
    }

    /// Has the store drop as many grants as it gets to whose time will be over in two hours, and says
    /// how many: as housekeeping does, but ahead of time.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn purge_early(&self) -> Result<u32, Failure> {
        let now = Timestamp::from(SystemClock.now()).after(Lifetime::from_hours(2));
        Ok(self.store.purge(NonZeroU32::MAX, now).await?)
    }

    /// What the store judges by now.
    ///
    /// # Errors
    /// When the store does not tell its epoch.
    pub fn context(&self) -> Result<Context, Failure> {
        let now = SystemClock.now().into();
        Ok(Context {
            now,
            epoch: at_once(self.store.epoch(now))??,
            max_skew: Lifetime::from_secs(5),
            retry_window: Lifetime::from_secs(30),
        })
    }

    /// Makes sure that this is a good access token of that grant.
    ///
    /// # Errors
    /// When it is not.
    pub fn check(&self, token: &str, grant: GrantId) -> Result<(), Failure> {
        let verified = self.verifier.verify::<AnyStatus>(token, SystemClock.now())?;
        if verified.claims().id == grant {
            Ok(())
        } else {
            Err("the token is another grant's".into())
        }
    }
}

/// Every credential is linked to every identity.
#[derive(Debug)]
struct Everyone;

#[async_trait]
impl IdentityResolver for Everyone {
    async fn identities(
        &self,
        _: &Tenant,
        _: &Credential,
        _: Page,
    ) -> Result<Listing, LookupError> {
        Ok(Listing::Identities { identities: Vec::new(), count: 0 })
    }

    async fn resolve(
        &self,
        _: &Tenant,
        _: &Credential,
        _: &Identity,
    ) -> Result<Resolution, LookupError> {
        Ok(Resolution::Linked)
    }
}
