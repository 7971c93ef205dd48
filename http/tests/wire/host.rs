//! A host's own handlers behind the same wire.

use std::{net::SocketAddr, num::NonZeroU32, sync::Arc};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{
        StatusCode,
        header::{CONTENT_LENGTH, CONTENT_TYPE},
    },
    response::IntoResponse,
    routing::{get, post},
};
use mintage::{AnyStatus, FieldRule, Lifetime, SecretText, Status, SteppedUp};
use mintage_http::{
    Access, AnyBearer, ApiClient, BearerToken, BodyLimit, Gateway, Login, NoLimit, RequestRef,
    StrictJson, WireError,
};
use serde_json::json;

use crate::house::{House, KEY, OTHER_KEY};

#[derive(Clone)]
struct Greeting(&'static str);

fn routes(gateway: &Gateway) -> Router {
    let own = Router::new()
        .route("/accounts", get(accounts))
        .route("/payments", post(pay))
        .route("/login", post(log_in))
        .route("/me", get(me))
        .route("/any", get(any))
        .route("/step_up", post(step_up))
        .route("/panic", get(panics))
        .route("/conflict", get(async || (StatusCode::CONFLICT, "a text")))
        .route("/taken", get(taken))
        .route("/forbidden", get(async || (StatusCode::FORBIDDEN, "why")))
        .route("/bytes", post(async |bytes: Bytes| bytes.len().to_string()))
        .route(
            "/why",
            get(async || (StatusCode::FORBIDDEN, [(CONTENT_TYPE, "application/json")], "{}")),
        )
        .route("/sized", get(async || (StatusCode::CONFLICT, [(CONTENT_LENGTH, "6")], "a text")))
        .route("/down", get(async || StatusCode::SERVICE_UNAVAILABLE))
        .route("/bad", get(async || (StatusCode::BAD_REQUEST, "a text")))
        .route("/unpaid", get(async || StatusCode::PAYMENT_REQUIRED))
        .with_state(Greeting("hello"));
    gateway.routes().merge(own)
}

async fn accounts(State(greeting): State<Greeting>, Access(live): Access<AnyStatus>) -> String {
    format!("{} {} {}", greeting.0, live.identity().id, live.status())
}

async fn pay(Access(live): Access<SteppedUp>, body: StrictJson) -> String {
    format!("{} {}", live.status(), body.members().len())
}

async fn log_in(
    ApiClient(client): ApiClient,
    body: StrictJson,
) -> Result<impl IntoResponse, WireError> {
    let mut fields = body.fields();
    let email = fields.text("email");
    let password = fields.secret("password.value");
    let status = fields.has("status").then(|| fields.word("status", &["STANDARD", "STEPPED_UP"]));
    let note = fields.optional_text("note");
    if note.is_some_and(|note| note.len() > 5) {
        fields.refuse("note", FieldRule::Size, &["1", "5"]);
    }
    let (email, _password, status): (_, SecretText, Option<Status>) =
        fields.finish(|| Some((email?, password?, status.flatten())))?;
    Ok(format!("{} {email} {status:?}", client.id))
}

async fn me(Login(login): Login, ApiClient(client): ApiClient) -> String {
    format!("{} {}", login.credential().id, client.id)
}

async fn any(AnyBearer(bearer): AnyBearer) -> String {
    bearer.status().to_string()
}

async fn step_up(
    axum::Extension(gateway): axum::Extension<Gateway>,
    ApiClient(client): ApiClient,
    BearerToken(bearer): BearerToken,
) -> Result<StatusCode, WireError> {
    gateway.engine.elevate(&client, &bearer).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn panics(axum::Extension(_): axum::Extension<RequestRef>) {
    panic!("a bug");
}

async fn taken() -> WireError {
    WireError::Other { status: StatusCode::CONFLICT, code: "TAKEN", message: "Choose another." }
}

async fn open() -> House {
    House::with(Arc::new(NoLimit), routes).await
}

#[tokio::test]
async fn a_standard_token_opens_what_takes_any_status_and_is_challenged_elsewhere() {
    let house = open().await;
    let access = house.access_token().await;
    let accounts = || house.get("/accounts").header("api-key", KEY).bearer(&access);
    let pay = || house.post("/payments").header("api-key", KEY).bearer(&access).json(&json!({}));
    assert_eq!(accounts().await.body, "hello 5001 STANDARD");
    let challenged = pay().await;
    assert_eq!(challenged.status, 401);
    assert_eq!(
        challenged.header("www-authenticate"),
        Some(
            "Bearer error=\"insufficient_user_authentication\", \
             error_description=\"This needs a step-up\", acr_values=\"STEPPED_UP\""
        ),
    );
    let stepped = house.post("/step_up").header("api-key", KEY).bearer(&access).await;
    assert_eq!(stepped.status, 204);
    assert_eq!(pay().await.body, "STEPPED_UP 0");
    assert_eq!(accounts().await.body, "hello 5001 STEPPED_UP");
}

#[tokio::test]
async fn each_argument_takes_its_own_type_of_token() {
    let house = open().await;
    let (auth, access) = (house.auth_token().await, house.access_token().await);
    let call = |path, token: &str| house.get(path).header("api-key", KEY).bearer(token);
    assert_eq!(call("/me", &auth).await.body, "1001 acme-web");
    assert_eq!(call("/any", &auth).await.body, "STANDARD");
    assert_eq!(call("/any", &access).await.body, "STANDARD");
    for refused in [call("/accounts", &auth), call("/me", &access), call("/any", "x")] {
        let answer = refused.await;
        assert_eq!(answer.status, 401);
        assert_eq!(answer.header("www-authenticate"), Some("Bearer error=\"invalid_token\""));
    }
    for path in ["/accounts", "/me", "/any"] {
        assert_eq!(house.get(path).bearer(&access).await.status, 401);
        let answer = house.get(path).header("api-key", KEY).await;
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
        let foreign = house.get(path).header("api-key", OTHER_KEY).bearer(&access).await;
        assert_eq!(foreign.status, 401);
    }
    house.clock.advance(Lifetime::from_mins(5));
    assert_eq!(call("/accounts", &access).await.status, 401);
}

#[tokio::test]
async fn a_hosts_fields_are_collected_too() {
    let house = open().await;
    let post = |body| house.post("/login").header("api-key", KEY).json(&body);
    let good = json!({"email": "a@b.example", "password": {"value": "x"}, "status": "STANDARD"});
    assert_eq!(post(good).await.body, "acme-web a@b.example Some(Standard)");
    for (body, named) in [
        (json!({}), &["email REQUIRED []", "password REQUIRED []"][..]),
        (json!({"email": "a", "password": "x"}), &["password REQUIRED []"]),
        (json!({"email": "a", "password": {}}), &["password.value REQUIRED []"]),
        (
            json!({"email": 1, "password": {"value": ""}, "status": "x", "note": "too long"}),
            &[
                "email HAS_TEXT []",
                "password.value HAS_TEXT []",
                "status IN [STANDARD STEPPED_UP]",
                "note SIZE [1 5]",
            ],
        ),
    ] {
        assert_eq!(post(body.clone()).await.invalid_fields(), named, "{body}");
    }
}

#[tokio::test]
async fn a_hosts_own_errors_keep_to_the_wire() {
    let house = open().await;
    let conflict = house.get("/conflict").await;
    assert_eq!((conflict.status.as_u16(), conflict.code().as_str()), (409, "CONFLICT"));
    assert_eq!(house.get("/taken").await.code(), "TAKEN");
    assert_eq!(house.get("/unpaid").await.code(), "PAYMENT_REQUIRED");
    assert_eq!(house.get("/forbidden").await.status, 403);
    assert_eq!(house.get("/why").await.status, 403);
    assert_eq!(house.get("/sized").await.code(), "CONFLICT");
    assert_eq!(house.get("/down").await.header("retry-after"), Some("1"));
    let bad = house.get("/bad").await;
    assert_eq!(bad.status, 400);
    assert_eq!(bad.json(), json!({"message": "The request cannot be understood."}));
    let too_large = house.post("/bytes").body(vec![b'x'; 70_000]).await;
    assert_eq!((too_large.status.as_u16(), too_large.code().as_str()), (413, "PAYLOAD_TOO_LARGE"));
    assert_eq!(house.post("/bytes").body(vec![b'x'; 65_536]).await.body, "65536");
}

#[tokio::test]
async fn a_handler_that_panics_is_a_500_that_can_be_found_in_the_log() {
    let house = open().await;
    assert_eq!(house.get("/panic").await.status, 500);
    assert_eq!(house.get("/conflict").await.status, 409);
}

#[tokio::test]
async fn a_router_that_was_not_finished_answers_500_and_not_otherwise() {
    // The host forgot `finish`: nothing of it is on the wire, and nobody gets in.
    let house = House::with(Arc::new(NoLimit), |_| Router::new()).await;
    let unfinished = Router::new().route("/accounts", get(async |_: ApiClient| "in"));
    let address = served(unfinished).await;
    let request =
        format!("GET /accounts HTTP/1.1\r\nhost: x\r\napi-key: {KEY}\r\nconnection: close\r\n\r\n");
    let answer = crate::bytes::exchange(address, request.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 500 "), "{answer}");
    drop(house);
}

async fn served(router: Router) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

#[tokio::test]
async fn the_routes_of_a_gateway_are_its_own_whoever_finishes_the_router() {
    let house = House::open().await;
    let gateway = |body_limit| Gateway {
        engine: house.engine.clone(),
        limiter: Arc::new(NoLimit),
        body_limit,
    };
    let own = || gateway(BodyLimit::default()).routes();
    let other = gateway(BodyLimit::from_bytes(NonZeroU32::MIN).unwrap());
    for router in [other.finish(own()), own()] {
        let token = house.one_time(Status::Standard).await;
        let body =
            format!(r#"{{"identity":{{"type":"CORPORATE","id":"5001"}},"token":"{token}"}}"#);
        let request = format!(
            "POST /access_token HTTP/1.1\r\nhost: x\r\napi-key: {KEY}\r\nconnection: close\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        let answer = crate::bytes::exchange(served(router).await, request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }
    let strict = other.finish(other.routes());
    let request = format!(
        "POST /access_token HTTP/1.1\r\nhost: x\r\napi-key: {KEY}\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: 2\r\n\r\n{{}}"
    );
    let answer = crate::bytes::exchange(served(strict).await, request.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
}
