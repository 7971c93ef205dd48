//! A server with one tenant's people, and a client that looks closely at every answer.

use std::{
    collections::HashMap,
    net::SocketAddr,
    num::NonZeroUsize,
    sync::{Arc, Mutex},
};

use axum::Router;
use http_body_util::{BodyExt as _, Full};
use hyper::{HeaderMap, Method, Request, StatusCode, body::Bytes, client::conn::http1};
use hyper_util::rt::TokioIo;
use mintage::{
    Algorithm, Audience, Client, ClientId, Credential, CredentialId, CredentialType, Engine,
    Identity, IdentityId, IdentityResolver, IdentityType, IssueOneTime, Issuer, KeyRing, Lifetime,
    Listing, LogIn, LookupError, MemoryStore, Page, Parts, Policy, Realm, Resolution, SecretText,
    SigningKey, Status, Tenant, Timestamp, TokioTimer, TracingAudit, async_trait, sign_assertion,
    test_util::{Faults, Faulty, ManualClock, StaticRegistry, StaticResolver},
};
use mintage_http::{BodyLimit, Gateway, Limiter, NoLimit};
use serde_json::{Value, json};
use time::OffsetDateTime;
use tokio::net::{TcpListener, TcpStream};

/// The api-key of the client `acme-web`.
pub(crate) const KEY: &str = "acme-key";
/// The api-key of a client of another tenant.
pub(crate) const OTHER_KEY: &str = "other-key";

const ISSUER: &str = "https://login.example";

/// A server, and every part of it that a test may want to touch.
pub(crate) struct House {
    pub(crate) address: SocketAddr,
    pub(crate) engine: Engine,
    pub(crate) clock: Arc<ManualClock>,
    /// What goes wrong in the store, the keys, the resolver and the registry.
    pub(crate) faults: Arc<Faults>,
    pub(crate) people: People,
    pub(crate) client: Client,
    delegate: SigningKey,
}

impl House {
    /// A server with the crate's own endpoints, and no limit.
    pub(crate) async fn open() -> Self {
        Self::with(Arc::new(NoLimit), Gateway::routes).await
    }

    /// A server with these routes.
    pub(crate) async fn with(
        limiter: Arc<dyn Limiter>,
        routes: impl FnOnce(&Gateway) -> Router,
    ) -> Self {
        crate::logs::listen();
        let start = OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap();
        let clock = Arc::new(ManualClock::at(start));
        let capacity = NonZeroUsize::new(100_000).unwrap();
        let store = MemoryStore::new(capacity, start);
        let faults = Arc::new(Faults::default());
        let people = People::default();
        let client = client("acme", "acme-web");
        let delegate = new_key();
        let clients = StaticRegistry::default()
            .with_client(&SecretText::new(KEY), client.clone())
            .with_client(&SecretText::new(OTHER_KEY), self::client("other", "other-web"))
            .with_assertion_key(
                client.clone(),
                id("9001"),
                delegate.verifying_key().clone().into(),
            );
        for (credential, identity) in [
            (root(), corporate("5001")),
            (root(), corporate("5002")),
            (root(), consumer("7001")),
            (user(), corporate("5001")),
            (delegate_credential(), corporate("5002")),
        ] {
            people.table.link(&client.tenant, &credential, identity);
        }
        let realm = Realm {
            issuer: Issuer::new(ISSUER).unwrap(),
            audience: Audience::new("https://api.example").unwrap(),
        };
        let tenants = ["acme", "other"].map(|name| (Tenant::new(name).unwrap(), realm.clone()));
        let engine = Engine::start(Parts {
            store: Arc::new(Faulty::new(store, faults.clone())),
            keys: Arc::new(Faulty::new(KeyRing::fixed(new_key()), faults.clone())),
            identities: Arc::new(Faulty::new(people.clone(), faults.clone())),
            clients: Arc::new(Faulty::new(clients, faults.clone())),
            clock: clock.clone(),
            timer: Arc::new(TokioTimer),
            audit: Arc::new(TracingAudit),
            policy: Policy::default(),
            tenants: HashMap::from(tenants),
        })
        .await
        .unwrap();
        // An assertion that is signed in the store's first seconds is refused.
        clock.advance(Lifetime::from_secs(10));
        let body_limit = BodyLimit::default();
        let gateway = Gateway { engine: engine.clone(), limiter, body_limit };
        let app = gateway.finish(routes(&gateway));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { address, engine, clock, faults, people, client, delegate }
    }

    pub(crate) fn post(&self, path: &'static str) -> Call {
        Call::new(self.address, Method::POST, path)
    }

    pub(crate) fn get(&self, path: &'static str) -> Call {
        Call::new(self.address, Method::GET, path)
    }

    /// `POST /access_token` by the client.
    pub(crate) fn exchange(&self, body: &Value) -> Call {
        self.post("/access_token").header("api-key", KEY).json(body)
    }

    /// An auth token of the root user.
    pub(crate) async fn auth_token(&self) -> String {
        let credential = root();
        let login = LogIn { credential, status: Status::Standard, scope: None, claims: None };
        self.engine.log_in(&self.client, login).await.unwrap().token.expose().to_owned()
    }

    /// An access token of the root user for CORPORATE 5001, opened from a login.
    pub(crate) async fn access_token(&self) -> String {
        let auth = self.auth_token().await;
        let body = json!({"identity": {"type": "CORPORATE", "id": "5001"}});
        self.exchange(&body).bearer(&auth).await.token()
    }

    /// A one-time token of the root user for CORPORATE 5001.
    pub(crate) async fn one_time(&self, status: Status) -> String {
        self.one_time_of(root(), Some(corporate("5001")), status).await
    }

    pub(crate) async fn one_time_of(
        &self,
        credential: Credential,
        identity: Option<Identity>,
        status: Status,
    ) -> String {
        let issue = IssueOneTime {
            credential,
            identity,
            status,
            lifetime: None,
            scope: None,
            claims: None,
        };
        let issued = self.engine.issue_one_time(&self.client, issue).await.unwrap();
        issued.token.to_text().expose().to_owned()
    }

    /// An assertion of the delegated API client 9001.
    pub(crate) async fn assertion(&self, jti: &str) -> String {
        use mintage::Clock as _;
        let now = Timestamp::from(self.clock.now());
        let audience = Audience::new(ISSUER).unwrap();
        let ends = now.after(Lifetime::from_secs(60));
        let signed = sign_assertion(&self.delegate, &id("9001"), &audience, jti, now, ends).await;
        signed.unwrap().expose().to_owned()
    }
}

pub(crate) fn root() -> Credential {
    Credential::new(CredentialType::Root, id("1001"))
}

pub(crate) fn user() -> Credential {
    Credential::new(CredentialType::User, id("1002"))
}

fn delegate_credential() -> Credential {
    Credential::new(CredentialType::ApiClient, id("9001"))
}

pub(crate) fn corporate(id: &str) -> Identity {
    Identity::new(IdentityType::Corporate, IdentityId::new(id).unwrap())
}

pub(crate) fn consumer(id: &str) -> Identity {
    Identity::new(IdentityType::Consumer, IdentityId::new(id).unwrap())
}

fn id(text: &str) -> CredentialId {
    CredentialId::new(text).unwrap()
}

fn client(tenant: &str, id: &str) -> Client {
    Client { id: ClientId::new(id).unwrap(), tenant: Tenant::new(tenant).unwrap() }
}

fn new_key() -> SigningKey {
    SigningKey::generate(Algorithm::EdDsa).unwrap()
}

/// Who may act for whom, and until when everybody is locked.
#[derive(Debug, Clone, Default)]
pub(crate) struct People {
    pub(crate) table: Arc<StaticResolver>,
    pub(crate) locked_until: Arc<Mutex<Option<OffsetDateTime>>>,
}

impl People {
    fn locked(&self) -> Option<OffsetDateTime> {
        *self.locked_until.lock().unwrap()
    }
}

#[async_trait]
impl IdentityResolver for People {
    async fn identities(
        &self,
        tenant: &Tenant,
        credential: &Credential,
        page: Page,
    ) -> Result<Listing, LookupError> {
        match self.locked() {
            Some(until) => Ok(Listing::Locked { until: Some(until) }),
            None => self.table.identities(tenant, credential, page).await,
        }
    }

    async fn resolve(
        &self,
        tenant: &Tenant,
        credential: &Credential,
        identity: &Identity,
    ) -> Result<Resolution, LookupError> {
        match self.locked() {
            Some(until) => Ok(Resolution::Locked { until: Some(until) }),
            None => self.table.resolve(tenant, credential, identity).await,
        }
    }
}

/// A request in the making.
pub(crate) struct Call {
    address: SocketAddr,
    request: Request<Full<Bytes>>,
}

impl Call {
    pub(crate) fn new(address: SocketAddr, method: Method, path: &str) -> Self {
        let request = Request::builder().method(method).uri(path).header("host", "localhost");
        Self { address, request: request.body(Full::default()).unwrap() }
    }

    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        self.request.headers_mut().append(name, value.parse().unwrap());
        self
    }

    pub(crate) fn bearer(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }

    pub(crate) fn json(self, body: &Value) -> Self {
        self.header("content-type", "application/json").body(body.to_string())
    }

    pub(crate) fn body(mut self, body: impl Into<Bytes>) -> Self {
        *self.request.body_mut() = Full::new(body.into());
        self
    }
}

impl IntoFuture for Call {
    type Output = Answer;
    type IntoFuture = std::pin::Pin<Box<dyn Future<Output = Answer> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let stream = TcpStream::connect(self.address).await.unwrap();
            let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
            let driver = tokio::spawn(connection);
            let response = sender.send_request(self.request).await.unwrap();
            let (parts, body) = response.into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            driver.abort();
            Answer::new(parts.status, parts.headers, body)
        })
    }
}

/// An answer. Whatever it says, it carries what every answer must.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn new(status: StatusCode, headers: HeaderMap, body: Bytes) -> Self {
        let answer = Self { status, headers, body };
        let reference = answer.header("request-ref").expect("every answer has a request-ref");
        assert!(reference.len() == 32 && reference.bytes().all(|b| b.is_ascii_hexdigit()));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        if matches!(answer.status.as_u16(), 204 | 401 | 403 | 423 | 429 | 500 | 503) {
            assert!(answer.body.is_empty(), "{answer:?}");
            assert_eq!(answer.header("content-type"), None, "{answer:?}");
        }
        answer
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// The body, which is declared as JSON.
    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.header("content-type"), Some("application/json"), "{self:?}");
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The token that was bought.
    pub(crate) fn token(&self) -> String {
        assert_eq!(self.status, 200, "{self:?}");
        self.json()["token"].as_str().unwrap().to_owned()
    }

    /// The invalid fields that a 400 names: `field RULE [params]`.
    pub(crate) fn invalid_fields(&self) -> Vec<String> {
        assert_eq!(self.status, 400, "{self:?}");
        let body = self.json();
        assert!(body["message"].is_string(), "{body}");
        let invalid = body["syntaxErrors"]["invalidFields"].as_array().expect("the second shape");
        let text = |field: &Value| {
            assert_eq!(field.as_object().unwrap().len(), 3, "{field}");
            let params: Vec<_> = field["params"]
                .as_array()
                .unwrap()
                .iter()
                .map(|param| param.as_str().unwrap())
                .collect();
            let (name, rule) = (&field["fieldName"], &field["error"]);
            format!("{} {} [{}]", name.as_str().unwrap(), rule.as_str().unwrap(), params.join(" "))
        };
        invalid.iter().map(text).collect()
    }

    /// Code and message of every other error.
    pub(crate) fn code(&self) -> String {
        let body = self.json();
        assert_eq!(body.as_object().unwrap().len(), 2, "{body}");
        assert!(body["message"].as_str().is_some_and(|message| !message.is_empty()), "{body}");
        body["code"].as_str().unwrap().to_owned()
    }

    /// All that a caller can see, but for what differs between any two answers.
    pub(crate) fn looks(&self) -> (StatusCode, Vec<(String, String)>, Bytes) {
        let mut headers: Vec<_> = self
            .headers
            .iter()
            .filter(|(name, _)| !["request-ref", "date"].contains(&name.as_str()))
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
            .collect();
        headers.sort();
        (self.status, headers, self.body.clone())
    }
}
