//! The one place where a failure becomes an answer.

use std::{borrow::Cow, fmt};

use axum::{
    body::Body,
    http::{
        HeaderMap, HeaderName, HeaderValue, StatusCode,
        header::{
            CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER,
            TRANSFER_ENCODING, WWW_AUTHENTICATE,
        },
    },
    response::{IntoResponse, Response},
};
use mintage::{Error, InvalidField, Unauthenticated};
use serde::Serialize;
use time::OffsetDateTime;

use crate::limit::Exceeded;

/// Why a request is not answered with success: what the engine said, or what only HTTP can say.
///
/// | failure | status | body |
/// |---|---|---|
/// | [`Error::Invalid`] | 400 | `message`, `syntaxErrors` |
/// | [`Malformed`](Self::Malformed) | 400 | `message` |
/// | [`NoClient`](Self::NoClient), [`NoBearer`](Self::NoBearer), [`Error::Unauthenticated`], [`Error::StepUpRequired`] | 401 | none; `WWW-Authenticate` |
/// | [`Error::Denied`] | 403 | none, always the same |
/// | [`Error::Locked`] | 423 | none; `Retry-After` when the end of the lock is known |
/// | [`TooManyCalls`](Self::TooManyCalls) | 429 | none; `x-ratelimit-limit`, `x-ratelimit-reset`, `Retry-After` |
/// | [`Error::Internal`], [`Unfinished`](Self::Unfinished) | 500 | none |
/// | [`Error::Unavailable`] | 503 | none; `Retry-After: 1` |
/// | [`Status`](Self::Status), [`Other`](Self::Other) | its own | `code`, `message`; none where the row of its status above says so |
///
/// The challenge of a 401 (RFC 9110 §11.6.1 demands one) tells what to do next:
///
/// * no `api-key`, or one that nobody has: `ApiKey header="api-key"`;
/// * no Bearer token where one is needed: `Bearer` (RFC 6750 §3.1, last paragraph);
/// * a Bearer token that is not good, for whatever reason: `Bearer error="invalid_token"`;
/// * one that is good, but not strong enough: `Bearer error="insufficient_user_authentication"`
///   with `acr_values` (RFC 9470 §3).
#[derive(Debug)]
#[non_exhaustive]
pub enum WireError {
    /// The engine's answer.
    Engine(Error),
    /// The body cannot be read at all; the text tells the caller what to send instead.
    Malformed(Cow<'static, str>),
    /// There is no `api-key` header, or more than one.
    NoClient,
    /// There is no `Authorization` header where a Bearer token is needed.
    NoBearer,
    /// A rate limit is exceeded.
    TooManyCalls(Exceeded),
    /// A handler asks for what only [`Gateway::finish`](crate::Gateway::finish) provides: 500.
    Unfinished,
    /// Any other failure, in the words that its status always has: `NOT_FOUND`.
    Status(StatusCode),
    /// Any other failure, in words of its own.
    Other {
        /// Its status.
        status: StatusCode,
        /// A stable word for programs, in capitals: `NAME_TAKEN`.
        code: &'static str,
        /// A sentence for people: what is wrong, and what to do.
        message: &'static str,
    },
}

impl WireError {
    /// One field that breaks a rule that only the host knows: 400.
    #[must_use]
    pub fn invalid(field: InvalidField) -> Self {
        Self::Engine(Error::Invalid(vec![field]))
    }
}

impl From<StatusCode> for WireError {
    fn from(status: StatusCode) -> Self {
        Self::Status(status)
    }
}

impl From<Error> for WireError {
    fn from(error: Error) -> Self {
        Self::Engine(error)
    }
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Engine(error) => error.fmt(f),
            Self::Malformed(message) => f.write_str(message),
            Self::NoClient => f.write_str("exactly one `api-key` header is needed"),
            Self::NoBearer => f.write_str("an `authorization: Bearer` header is needed"),
            Self::TooManyCalls(exceeded) => exceeded.fmt(f),
            Self::Unfinished => f.write_str("the router was not finished: call `Gateway::finish`"),
            Self::Status(status) => f.write_str(message(*status)),
            Self::Other { message, .. } => f.write_str(message),
        }
    }
}

impl std::error::Error for WireError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Engine(error) => error.source(),
            _ => None,
        }
    }
}

impl IntoResponse for WireError {
    /// The total function from failures to answers.
    fn into_response(self) -> Response {
        // What the engine refuses it has told its audit, and a bare status is no decision about
        // anybody; the rest nobody else would tell.
        if !matches!(self, Self::Engine(_) | Self::Status(_)) {
            tracing::warn!(target: "mintage_http", reason = %self, "refused");
        }
        match self {
            Self::Engine(error) => answer(&error),
            Self::Malformed(message) => {
                json(StatusCode::BAD_REQUEST, &Refused { message, syntax_errors: None })
            }
            Self::NoClient => unauthorized(API_KEY),
            Self::NoBearer => unauthorized("Bearer"),
            Self::TooManyCalls(exceeded) => {
                let mut response = StatusCode::TOO_MANY_REQUESTS.into_response();
                exceeded.tell(response.headers_mut());
                response
            }
            Self::Unfinished => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
            Self::Status(status) => other(status, &code(status), message(status)),
            Self::Other { status, code, message } => other(status, code, message),
        }
    }
}

fn answer(error: &Error) -> Response {
    match error {
        Error::Invalid(fields) => invalid(fields),
        Error::Unauthenticated(Unauthenticated::UnknownApiKey) => unauthorized(API_KEY),
        Error::Unauthenticated(_) => unauthorized(INVALID_TOKEN),
        Error::StepUpRequired => unauthorized(STEP_UP),
        Error::Denied(_) => StatusCode::FORBIDDEN.into_response(),
        Error::Locked { until } => {
            let mut response = StatusCode::LOCKED.into_response();
            if let Some(until) = until {
                response.extensions_mut().insert(LockedUntil(*until));
            }
            response
        }
        Error::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        // `Internal`, and whatever a later engine may add: ours to mend, so 500.
        _ => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

const API_KEY: &str = r#"ApiKey header="api-key""#;
const INVALID_TOKEN: &str = r#"Bearer error="invalid_token""#;
const STEP_UP: &str = concat!(
    r#"Bearer error="insufficient_user_authentication", "#,
    r#"error_description="This needs a step-up", acr_values="STEPPED_UP""#
);

fn unauthorized(challenge: &'static str) -> Response {
    (StatusCode::UNAUTHORIZED, [(WWW_AUTHENTICATE, challenge)]).into_response()
}

fn invalid(fields: &[InvalidField]) -> Response {
    let mut names: Vec<&str> = fields.iter().map(|field| field.field).collect();
    names.dedup();
    let invalid_fields = fields
        .iter()
        .map(|InvalidField { field, rule, params }| Invalid {
            params,
            field_name: field,
            error: rule.as_str(),
        })
        .collect();
    let refused = Refused {
        message: format!("Not valid: {}.", names.join(", ")).into(),
        syntax_errors: Some(SyntaxErrors { invalid_fields }),
    };
    json(StatusCode::BAD_REQUEST, &refused)
}

/// An error that is in no row of its own; or one that is, whose row says what its body is.
fn other(status: StatusCode, code: &str, message: &'static str) -> Response {
    match status {
        StatusCode::BAD_REQUEST => WireError::Malformed(message.into()).into_response(),
        _ if has_no_body(status) => status.into_response(),
        _ => json(status, &Other { code, message }),
    }
}

/// `Not Found` → `NOT_FOUND`.
fn code(status: StatusCode) -> String {
    let word = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    reason(status).chars().map(word).collect()
}

fn message(status: StatusCode) -> &'static str {
    match status.as_u16() {
        400 => "The request cannot be understood.",
        404 => "There is nothing at this path.",
        405 => "This path does not take this method: `allow` names those that it takes.",
        408 => "The body did not arrive in time: send the request again.",
        413 => "The body is longer than is accepted here.",
        415 => "The body must be JSON: send `content-type: application/json`, not compressed.",
        _ => reason(status),
    }
}

fn reason(status: StatusCode) -> &'static str {
    status.canonical_reason().unwrap_or("Refused")
}

/// An answer with a JSON body.
pub(crate) fn json(status: StatusCode, body: &impl Serialize) -> Response {
    match serde_json::to_vec(body) {
        Ok(body) => (status, [(CONTENT_TYPE, "application/json")], body).into_response(),
        Err(error) => {
            tracing::error!(target: "mintage_http", %error, "an answer could not be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// Until when the credential of a 423 is locked: the envelope knows what time it is, and turns
/// this into `Retry-After`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LockedUntil(OffsetDateTime);

/// Makes an answer keep to the wire, whoever gave it: an error that a framework wrote as plain text
/// gets the body that its status has, or loses it; a 423 and a 503 say when to come again.
pub(crate) fn conform(mut response: Response, now: OffsetDateTime) -> Response {
    if let Some(LockedUntil(until)) = response.extensions_mut().remove() {
        let millis = (until - now).whole_milliseconds().max(1).unsigned_abs();
        set(response.headers_mut(), RETRY_AFTER, &millis.div_ceil(1000).to_string());
    }
    let status = response.status();
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().entry(RETRY_AFTER).or_insert(HeaderValue::from_static("1"));
    }
    let failed = status.is_client_error() || status.is_server_error();
    if !failed || (is_json(response.headers()) && !has_no_body(status)) {
        return response;
    }
    let (own, body) = WireError::from(status).into_response().into_parts();
    replaced(response, body, own.headers.get(CONTENT_TYPE).cloned())
}

/// The statuses whose answers have no body.
fn has_no_body(status: StatusCode) -> bool {
    matches!(status.as_u16(), 401 | 403 | 423 | 429 | 500 | 503)
}

fn is_json(headers: &HeaderMap) -> bool {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    value.is_some_and(|value| value.contains("json"))
}

fn replaced(response: Response, body: Body, content_type: Option<HeaderValue>) -> Response {
    let (mut parts, _) = response.into_parts();
    for name in [CONTENT_LENGTH, CONTENT_TYPE, CONTENT_ENCODING, TRANSFER_ENCODING] {
        parts.headers.remove(name);
    }
    if let Some(content_type) = content_type {
        parts.headers.insert(CONTENT_TYPE, content_type);
    }
    Response::from_parts(parts, body)
}

/// Sets a header; one whose text no header can hold is left out.
pub(crate) fn set(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

/// The connection is not to be used again: what is left of the request on it was not read.
pub(crate) fn close(headers: &mut HeaderMap) {
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
}

/// Both shapes of a 400.
#[derive(Serialize)]
struct Refused<'a> {
    message: Cow<'a, str>,
    #[serde(rename = "syntaxErrors", skip_serializing_if = "Option::is_none")]
    syntax_errors: Option<SyntaxErrors<'a>>,
}

#[derive(Serialize)]
struct SyntaxErrors<'a> {
    #[serde(rename = "invalidFields")]
    invalid_fields: Vec<Invalid<'a>>,
}

#[derive(Serialize)]
struct Invalid<'a> {
    params: &'a [&'static str],
    #[serde(rename = "fieldName")]
    field_name: &'a str,
    error: &'a str,
}

/// The body of every error that is in no row of its own.
#[derive(Serialize)]
struct Other<'a> {
    code: &'a str,
    message: &'a str,
}
