//! Who is calling, and with what token: arguments for handlers, the host's own included.

use axum::{
    extract::{FromRequestParts, OptionalFromRequestParts},
    http::{HeaderMap, HeaderName, header::AUTHORIZATION, request::Parts},
};
use mintage::{
    Client, Error, Live, LiveBearer, LiveLogin, Requirement, SecretText, TokenError,
    Unauthenticated,
};

use crate::{gateway, limit::LimitKey, wire::WireError};

/// The calling application, by its `api-key` header. The call is counted for it, once however many
/// arguments of a handler ask.
///
/// 401 when there is no such header, more than one, or no client with that key; 429 when the client
/// has called too often.
#[derive(Debug)]
pub struct ApiClient(pub Client);

impl<S: Sync> FromRequestParts<S> for ApiClient {
    type Rejection = WireError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, WireError> {
        const API_KEY: HeaderName = HeaderName::from_static("api-key");
        if let Some(Known(client)) = parts.extensions.get() {
            return Ok(Self(client.clone()));
        }
        let gateway = gateway::of(&parts.extensions)?;
        let Ok(Some(api_key)) = only(&parts.headers, &API_KEY) else {
            return Err(WireError::NoClient);
        };
        let client = gateway.engine.client(&SecretText::new(api_key)).await?;
        gateway.count(LimitKey::Client(&client))?;
        parts.extensions.insert(Known(client.clone()));
        Ok(Self(client))
    }
}

/// A client that was looked up and counted already.
#[derive(Clone)]
struct Known(Client);

/// The token of the one `Authorization: Bearer` header (RFC 6750 §2.1); nothing is known of it yet
/// but its alphabet.
///
/// 401 when there is none, when there is more than one, or it is of another scheme. As
/// `Option<BearerToken>`, no such header at all is `None`.
#[derive(Debug)]
pub struct BearerToken(pub SecretText);

impl<S: Sync> FromRequestParts<S> for BearerToken {
    type Rejection = WireError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, WireError> {
        bearer(&parts.headers)?.ok_or(WireError::NoBearer)
    }
}

impl<S: Sync> OptionalFromRequestParts<S> for BearerToken {
    type Rejection = WireError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, WireError> {
        bearer(&parts.headers)
    }
}

/// A live access token that is strong enough, with `S` = [`AnyStatus`](mintage::AnyStatus) or
/// [`SteppedUp`](mintage::SteppedUp): an `api-key`, a Bearer, and what
/// [`Engine::authenticate`](mintage::Engine::authenticate) asks of them.
///
/// 401 when it is not; where a step-up would help, the challenge says so (RFC 9470 §3).
#[derive(Debug)]
pub struct Access<S>(pub Live<S>);

impl<S: Sync, R: Requirement> FromRequestParts<S> for Access<R> {
    type Rejection = WireError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, WireError> {
        let (ApiClient(client), BearerToken(bearer)) = both(parts, state).await?;
        let engine = &gateway::of(&parts.extensions)?.engine;
        Ok(Self(engine.authenticate(&client, &bearer).await?))
    }
}

/// A live auth token: an `api-key`, a Bearer, and what
/// [`Engine::authenticate_login`](mintage::Engine::authenticate_login) asks of them. 401 when it is
/// not.
#[derive(Debug)]
pub struct Login(pub LiveLogin);

impl<S: Sync> FromRequestParts<S> for Login {
    type Rejection = WireError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, WireError> {
        let (ApiClient(client), BearerToken(bearer)) = both(parts, state).await?;
        let engine = &gateway::of(&parts.extensions)?.engine;
        Ok(Self(engine.authenticate_login(&client, &bearer).await?))
    }
}

/// A live auth or access token: for what either may do, such as asking for a step-up challenge. 401
/// when it is neither.
#[derive(Debug)]
pub struct AnyBearer(pub LiveBearer);

impl<S: Sync> FromRequestParts<S> for AnyBearer {
    type Rejection = WireError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, WireError> {
        let (ApiClient(client), BearerToken(bearer)) = both(parts, state).await?;
        let engine = &gateway::of(&parts.extensions)?.engine;
        Ok(Self(engine.authenticate_any(&client, &bearer).await?))
    }
}

async fn both<S: Sync>(
    parts: &mut Parts,
    state: &S,
) -> Result<(ApiClient, BearerToken), WireError> {
    let client = ApiClient::from_request_parts(parts, state).await?;
    Ok((client, bearer(&parts.headers)?.ok_or(WireError::NoBearer)?))
}

/// The Bearer token, if there is an `Authorization` header.
fn bearer(headers: &HeaderMap) -> Result<Option<BearerToken>, WireError> {
    let header = only(headers, &AUTHORIZATION).map(|header| header.map(token_of));
    match header {
        Ok(None) => Ok(None),
        Ok(Some(Some(token))) => Ok(Some(BearerToken(SecretText::new(token)))),
        Ok(Some(None)) | Err(Unreadable) => {
            Err(Error::from(Unauthenticated::Token(TokenError::NotAJws)).into())
        }
    }
}

/// A header is there more than once, or is not printable ASCII.
struct Unreadable;

/// The text of a header that may be there once.
fn only<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h str>, Unreadable> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => value.to_str().map(Some).map_err(|_| Unreadable),
        (Some(_), Some(_)) => Err(Unreadable),
    }
}

/// The token in `Bearer <b64token>`; the scheme's case does not matter (RFC 9110 §11.1).
fn token_of(credentials: &str) -> Option<&str> {
    let (scheme, token) = credentials.split_once(' ')?;
    let token = token.trim_start_matches(' ');
    let body = token.trim_end_matches('=');
    let is_b64token = !body.is_empty()
        && body.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~+/".contains(&b));
    (scheme.eq_ignore_ascii_case("Bearer") && is_b64token).then_some(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bearer_is_one_b64token_after_the_scheme() {
        for good in ["Bearer a.b-c_d~e+f/9==", "bearer x", "BEARER   x"] {
            assert!(token_of(good).is_some(), "{good}");
        }
        for bad in [
            "",
            "Bearer",
            "Bearer ",
            "Bearer =",
            "Bearer a b",
            "Bearer a=b",
            "Basic x",
            "Bearer\tx",
        ] {
            assert_eq!(token_of(bad), None, "{bad}");
        }
    }
}
