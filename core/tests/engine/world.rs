//! A small world: two tenants, a person with three identities, a delegated API client.

use std::{collections::HashMap, num::NonZeroUsize, sync::Arc, time::Duration};

use mintage::{
    Algorithm, AnyStatus, AssertionKey, Audience, AuditSink, Client, ClientId, Credential,
    CredentialId, CredentialType, Denied, Engine, Error, Exchange, Exchanged, IdempotencyRef,
    Identity, IdentityId, IdentityType, IssueOneTime, Issuer, KeyRing, Lifetime, Live, LogIn,
    MemoryStore, Parts, Policy, Realm, SecretText, SigningKey, StartError, Status, Tenant,
    Timestamp, TracingAudit, sign_assertion,
    test_util::{Faults, Faulty, ManualClock, StaticRegistry, StaticResolver},
};
use time::OffsetDateTime;

pub(crate) struct World {
    pub(crate) engine: Engine,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) store: Arc<Faulty<MemoryStore>>,
    pub(crate) keys: Arc<Faulty<KeyRing>>,
    pub(crate) people: Arc<Faulty<StaticResolver>>,
    pub(crate) faults: Arc<Faults>,
    pub(crate) assertion_key: SigningKey,
}

pub(crate) const API_KEY: &str = "an-api-key";

pub(crate) fn start() -> OffsetDateTime {
    OffsetDateTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

pub(crate) fn acme() -> Client {
    Client { id: ClientId::new("acme-web").unwrap(), tenant: Tenant::new("acme").unwrap() }
}

pub(crate) fn acme_app() -> Client {
    Client { id: ClientId::new("acme-app").unwrap(), ..acme() }
}

pub(crate) fn other() -> Client {
    Client { id: ClientId::new("other-web").unwrap(), tenant: Tenant::new("other").unwrap() }
}

pub(crate) fn root() -> Credential {
    Credential::new(CredentialType::Root, CredentialId::new("1001").unwrap())
}

pub(crate) fn user() -> Credential {
    Credential::new(CredentialType::User, CredentialId::new("1002").unwrap())
}

pub(crate) fn api_client() -> Credential {
    Credential::new(CredentialType::ApiClient, CredentialId::new("9001").unwrap())
}

pub(crate) fn company() -> Identity {
    Identity::new(IdentityType::Corporate, IdentityId::new("5001").unwrap())
}

pub(crate) fn second_company() -> Identity {
    Identity::new(IdentityType::Corporate, IdentityId::new("5002").unwrap())
}

pub(crate) fn stranger() -> Identity {
    Identity::new(IdentityType::Consumer, IdentityId::new("6666").unwrap())
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(Policy::default()).await
    }

    pub(crate) async fn with(policy: Policy) -> Self {
        Self::try_with(policy).await.unwrap()
    }

    pub(crate) async fn audited(audit: Arc<dyn AuditSink>) -> Self {
        Self::build(Policy::default(), audit).await.unwrap()
    }

    pub(crate) async fn try_with(policy: Policy) -> Result<Self, StartError> {
        Self::build(policy, Arc::new(TracingAudit)).await
    }

    async fn build(policy: Policy, audit: Arc<dyn AuditSink>) -> Result<Self, StartError> {
        let clock = Arc::new(ManualClock::at(start()));
        let capacity = NonZeroUsize::new(10_000).unwrap();
        let faults = Arc::new(Faults::default());
        let store = MemoryStore::new(capacity, start());
        let store = Arc::new(Faulty::new(store, faults.clone()));
        let schedule = policy.rotation(Lifetime::from_hours(1), Lifetime::from_hours(24));
        let now = Timestamp::from(start());
        let keys = KeyRing::generate(schedule, Algorithm::EdDsa, now).unwrap();
        let keys = Arc::new(Faulty::new(keys, faults.clone()));
        let people = StaticResolver::default();
        for identity in [company(), second_company()] {
            people.link(&acme().tenant, &root(), identity);
        }
        people.link(&acme().tenant, &user(), company());
        people.link(&acme().tenant, &api_client(), second_company());
        people.link(&other().tenant, &root(), company());
        let people = Arc::new(Faulty::new(people, faults.clone()));
        let assertion_key = SigningKey::generate(Algorithm::EdDsa).unwrap();
        let clients = StaticRegistry::default()
            .with_client(&SecretText::new(API_KEY), acme())
            .with_assertion_key(
                acme(),
                api_client().id,
                AssertionKey::from(assertion_key.verifying_key().clone()),
            );
        let realm = |name: &str| Realm {
            issuer: Issuer::new(&format!("https://{name}.example")).unwrap(),
            audience: Audience::new(&format!("https://api.{name}.example")).unwrap(),
        };
        let engine = Engine::start(Parts {
            store: store.clone(),
            keys: keys.clone(),
            identities: people.clone(),
            clients: Arc::new(Faulty::new(clients, faults.clone())),
            clock: clock.clone(),
            timer: faults.clone(),
            audit,
            policy,
            tenants: HashMap::from([
                (acme().tenant, realm("acme")),
                (other().tenant, realm("other")),
            ]),
        })
        .await?;
        // Assertions signed within the clock skew of the store's epoch are refused.
        clock.advance(Lifetime::from_secs(10));
        Ok(Self { engine, clock, store, keys, people, faults, assertion_key })
    }

    pub(crate) fn advance(&self, by: Lifetime) {
        self.clock.advance(by);
    }

    pub(crate) async fn log_in(&self, status: Status) -> SecretText {
        let login = LogIn { credential: root(), status, scope: None, claims: None };
        self.engine.log_in(&acme(), login).await.unwrap().token
    }

    pub(crate) async fn one_time(&self, status: Status) -> String {
        self.one_time_for(Some(company()), status).await
    }

    pub(crate) async fn one_time_for(&self, identity: Option<Identity>, status: Status) -> String {
        let token = IssueOneTime {
            credential: root(),
            identity,
            status,
            lifetime: None,
            scope: None,
            claims: None,
        };
        let issued = self.engine.issue_one_time(&acme(), token).await.unwrap();
        issued.token.to_text().expose().to_owned()
    }

    pub(crate) async fn assertion(&self, jti: &str) -> String {
        let now = Timestamp::from(mintage::Clock::now(&*self.clock));
        let audience = Audience::new("https://acme.example").unwrap();
        let expires_at = now.after(Lifetime::from_secs(60));
        let (key, issuer) = (&self.assertion_key, api_client().id);
        let signed = sign_assertion(key, &issuer, &audience, jti, now, expires_at).await.unwrap();
        signed.expose().to_owned()
    }

    /// An access token under a fresh login.
    pub(crate) async fn open(&self) -> (SecretText, SecretText) {
        let login = self.log_in(Status::Standard).await;
        let access = self.exchange(&Way::open(&login)).await.unwrap().token;
        (login, access)
    }

    pub(crate) async fn exchange(&self, way: &Way) -> Result<Exchanged, Error> {
        self.engine.exchange(way.request()).await
    }

    pub(crate) async fn live(&self, token: &SecretText) -> Result<Live<AnyStatus>, Error> {
        self.engine.authenticate(&acme(), token).await
    }

    pub(crate) async fn status(&self, token: &SecretText) -> Status {
        self.live(token).await.unwrap().status()
    }
}

/// What is presented to an exchange; can be presented again.
#[derive(Debug, Clone)]
pub(crate) struct Way {
    pub(crate) client: Client,
    pub(crate) identity: Identity,
    pub(crate) bearer: Option<String>,
    pub(crate) token: Option<String>,
    pub(crate) assertion: Option<String>,
    pub(crate) reference: Option<&'static str>,
    pub(crate) scope: Option<&'static str>,
}

impl Way {
    pub(crate) fn nothing() -> Self {
        Self {
            client: acme(),
            identity: company(),
            bearer: None,
            token: None,
            assertion: None,
            reference: None,
            scope: None,
        }
    }

    pub(crate) fn open(login: &SecretText) -> Self {
        Self { bearer: Some(login.expose().to_owned()), ..Self::nothing() }
    }

    pub(crate) fn redeem(token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..Self::nothing() }
    }

    pub(crate) fn step_up(access: &SecretText, token: &str) -> Self {
        Self {
            bearer: Some(access.expose().to_owned()),
            token: Some(token.to_owned()),
            ..Self::nothing()
        }
    }

    pub(crate) fn assert(assertion: &str) -> Self {
        Self {
            identity: second_company(),
            assertion: Some(assertion.to_owned()),
            ..Self::nothing()
        }
    }

    pub(crate) fn by(self, client: Client) -> Self {
        Self { client, ..self }
    }

    pub(crate) fn for_identity(self, identity: Identity) -> Self {
        Self { identity, ..self }
    }

    pub(crate) fn attempt(self, reference: &'static str) -> Self {
        Self { reference: Some(reference), ..self }
    }

    pub(crate) fn request(&self) -> Exchange {
        Exchange {
            client: self.client.clone(),
            identity: self.identity.clone(),
            bearer: self.bearer.as_deref().map(SecretText::new),
            token: self.token.as_deref().map(SecretText::new),
            client_assertion: self.assertion.as_deref().map(SecretText::new),
            scope: self.scope.map(|scope| scope.parse().unwrap()),
            idempotency_ref: self.reference.map(|text| IdempotencyRef::new(text).unwrap()),
        }
    }
}

pub(crate) fn denied(result: Result<Exchanged, Error>) -> Denied {
    match result {
        Err(Error::Denied(why)) => why,
        other => panic!("expected a 403, got {other:?}"),
    }
}
