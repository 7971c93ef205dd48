//! The host's own endpoints: what a product has around the engine.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use axum::{
    Router,
    body::Body,
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use mintage::{
    AnyStatus, Clock as _, Credential, CredentialType, Error, FieldRule, IssueOneTime, Lifetime,
    LogIn, Status, SteppedUp, SystemClock, Timestamp, sign_assertion,
};
use mintage_http::{Access, AnyBearer, ApiClient, BearerToken, Gateway, StrictJson, WireError};
use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;

use crate::{
    challenges::{Challenges, CodeCheck},
    people::{PasswordCheck, People},
};

/// What the host's handlers share.
#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) gateway: Gateway,
    pub(crate) people: Arc<People>,
    pub(crate) challenges: Challenges,
}

pub(crate) fn routes(host: Arc<Host>) -> Router {
    Router::new()
        .route("/login_with_password", post(log_in_with_password))
        .route("/stepup/challenges/otp/SMS", post(send_challenge))
        .route("/stepup/challenges/otp/SMS/verify", post(verify_challenge))
        .route("/one_time_tokens", post(issue_one_time_token))
        .route("/client_assertions", post(sign_client_assertion))
        .route("/accounts", get(accounts))
        .route("/payments", post(pay))
        .with_state(host)
}

/// The host checks the password; the engine mints the auth token.
async fn log_in_with_password(
    State(host): State<Arc<Host>>,
    ApiClient(client): ApiClient,
    body: StrictJson,
) -> Result<Response, WireError> {
    let mut fields = body.fields();
    let email = fields.text("email");
    let password = fields.secret("password.value");
    let (email, password) = fields.finish(|| Some((email?, password?)))?;
    match host.people.check_password(&client.tenant, email, password.expose()) {
        PasswordCheck::Wrong => {
            tracing::warn!(%client.id, "refused: wrong email or password");
            Ok(StatusCode::FORBIDDEN.into_response())
        }
        PasswordCheck::Locked => {
            tracing::warn!(%client.id, "refused: the credential is locked");
            Err(Error::Locked { until: None }.into())
        }
        PasswordCheck::Right(credential) => {
            let login = LogIn::new(credential.clone(), Status::Standard);
            let login = host.gateway.engine.log_in(&client, login).await?;
            Ok(answer(&json!({
                "token": login.token.expose(),
                "tokenType": "AUTH",
                "credentials": credential,
                "status": login.status,
            })))
        }
    }
}

/// "Sends" a code to the person behind any live token.
async fn send_challenge(State(host): State<Arc<Host>>, AnyBearer(bearer): AnyBearer) -> StatusCode {
    host.challenges.send(bearer.claims().id);
    StatusCode::NO_CONTENT
}

/// The host checks the code; the engine steps that very token up, in place.
async fn verify_challenge(
    State(host): State<Arc<Host>>,
    ApiClient(client): ApiClient,
    AnyBearer(bearer): AnyBearer,
    BearerToken(token): BearerToken,
    body: StrictJson,
) -> Result<StatusCode, WireError> {
    let mut fields = body.fields();
    let code = fields.text("verificationCode");
    let code = fields.finish(|| code)?;
    match host.challenges.verify(bearer.claims().id, code) {
        CodeCheck::Right => {
            host.gateway.engine.elevate(&client, &token).await?;
            Ok(StatusCode::NO_CONTENT)
        }
        CodeCheck::Wrong => Err(WRONG_CODE),
        CodeCheck::Locked => Err(CHALLENGE_LOCKED),
        CodeCheck::NoChallenge => Err(NO_CHALLENGE),
    }
}

/// Plays the widget's back end, which has found out by itself who its user is.
async fn issue_one_time_token(
    State(host): State<Arc<Host>>,
    ApiClient(client): ApiClient,
    body: StrictJson,
) -> Result<Response, WireError> {
    let mut fields = body.fields();
    let kinds: Vec<_> = CredentialType::ALL.iter().map(|kind| kind.as_str()).collect();
    let kind = fields.word("credentials.type", &kinds);
    let id = fields.text("credentials.id").map(str::parse);
    if let Some(Err(_)) = id {
        fields.refuse("credentials.id", FieldRule::Regex, &["^[!-~]{1,64}$"]);
    }
    let identity = fields.identity();
    let statuses: Vec<_> = Status::ALL.iter().map(|status| status.as_str()).collect();
    let status = fields.word("status", &statuses);
    let token = fields.finish(|| {
        Some(IssueOneTime::new(Credential::new(kind?, id?.ok()?), identity?, status?))
    })?;
    let issued = host.gateway.engine.issue_one_time(&client, token).await?;
    Ok(answer(&json!({
        "token": issued.token.to_text().expose(),
        "expiresAt": issued.expires_at.format(&Rfc3339).unwrap_or_default(),
    })))
}

/// Plays the delegated API client, which signs with the key that it was given.
async fn sign_client_assertion(
    State(host): State<Arc<Host>>,
    ApiClient(client): ApiClient,
    body: StrictJson,
) -> Result<Response, WireError> {
    let mut fields = body.fields();
    let identity = fields.identity();
    fields.finish(|| identity)?;
    let Some((issuer, audience)) = host.people.delegation(&client) else {
        tracing::warn!(%client.id, "refused: no delegated API client");
        return Ok(StatusCode::FORBIDDEN.into_response());
    };
    let now = Timestamp::from(SystemClock.now());
    let key = &host.people.delegated_key;
    let expires_at = now.after(Lifetime::from_secs(60));
    let jti = fresh_jti();
    let assertion = sign_assertion(key, &issuer, &audience, &jti, now, expires_at).await;
    let assertion = assertion.map_err(|error| Error::from(mintage::Unavailable::Keys(error)))?;
    Ok(answer(&json!({ "clientAssertion": assertion.expose() })))
}

/// Any access token will do.
async fn accounts(Access(live): Access<AnyStatus>) -> Response {
    let balance = json!({ "currency": "EUR", "amount": 125_000 });
    let account = json!({ "id": "1", "owner": live.identity(), "balance": balance });
    answer(&json!({ "accounts": [account], "status": live.status() }))
}

/// A STANDARD token never gets here: it is answered with a step-up challenge.
async fn pay(Access(live): Access<SteppedUp>, _order: StrictJson) -> Response {
    answer(&json!({
        "status": live.status(),
        "payment": { "state": "COMPLETED", "by": live.credential(), "for": live.identity() },
    }))
}

fn answer(body: &Value) -> Response {
    ([(CONTENT_TYPE, "application/json")], Body::from(body.to_string())).into_response()
}

/// No two assertions of this process, or of one that is started later, have the same `jti`.
fn fresh_jti() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let nanos = SystemClock.now().unix_timestamp_nanos();
    format!("{nanos}-{}", COUNT.fetch_add(1, Ordering::Relaxed))
}

const fn refusal(status: StatusCode, code: &'static str, message: &'static str) -> WireError {
    WireError::Other { status, code, message }
}

const WRONG_CODE: WireError =
    refusal(StatusCode::CONFLICT, "WRONG_CODE", "That is not the code that was sent.");
const CHALLENGE_LOCKED: WireError = refusal(
    StatusCode::CONFLICT,
    "CHALLENGE_LOCKED",
    "Five wrong codes locked this challenge: ask for a new one.",
);
const NO_CHALLENGE: WireError = refusal(
    StatusCode::CONFLICT,
    "NO_CHALLENGE",
    "No code was sent for this token: ask for a challenge first.",
);
