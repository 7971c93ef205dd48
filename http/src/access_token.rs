//! `POST /access_token`: the endpoint that all of this is for.

use axum::{
    Extension,
    http::{HeaderMap, HeaderName, StatusCode},
    response::Response,
};
use mintage::{
    AuthorityMix, Credential, Exchange, Exchanged, FieldRule, IdempotencyRef, Identity,
    OneTimeToken, Status,
};
use serde::Serialize;

use crate::{
    extract::{ApiClient, BearerToken, only},
    fields::Fields,
    gateway::Gateway,
    json::StrictJson,
    limit::LimitKey,
    wire::{WireError, json},
};

/// Exchanges one authority for an access token.
///
/// Judged in this order: the api-key (401), the client's limit (429), the shape of the
/// `Authorization` header (401), size and type of the body (413, 415), every field, the header
/// `idempotency-ref` and the mix of authorities (400), the limit of the one-time token's locator
/// (429), and then the engine.
pub(crate) async fn exchange(
    Extension(gateway): Extension<Gateway>,
    ApiClient(client): ApiClient,
    bearer: Option<BearerToken>,
    headers: HeaderMap,
    body: StrictJson,
) -> Result<Response, WireError> {
    let mut fields = body.fields();
    // The engine says the same, but later: so it stands in one answer with the other fields.
    let mix = AuthorityMix {
        bearer: bearer.is_some(),
        token: fields.has("token"),
        client_assertion: fields.has("clientAssertion"),
    };
    for wrong in mix.invalid_fields() {
        fields.refuse(wrong.field, wrong.rule, &wrong.params);
    }
    let identity = fields.identity();
    let token = fields.optional_secret("token");
    let client_assertion = fields.optional_secret("clientAssertion");
    let idempotency_ref = idempotency_ref(&headers, &mut fields);
    let exchange = fields.finish(|| {
        Some(Exchange {
            client,
            identity: identity?,
            bearer: bearer.map(|BearerToken(bearer)| bearer),
            token,
            client_assertion,
            scope: None,
            idempotency_ref,
        })
    })?;
    let token = exchange.token.as_ref().map(|token| token.expose().parse::<OneTimeToken>());
    if let Some(Ok(token)) = token {
        gateway.count(LimitKey::Locator(&exchange.client.tenant, token.id().locator()))?;
    }
    let Exchanged { token, identity, credential, status, .. } =
        gateway.engine.exchange(exchange).await?;
    let body = AccessToken {
        token: token.expose(),
        identity: &identity,
        credentials: &credential,
        status,
    };
    Ok(json(StatusCode::OK, &body))
}

#[derive(Serialize)]
struct AccessToken<'a> {
    token: &'a str,
    identity: &'a Identity,
    credentials: &'a Credential,
    status: Status,
}

/// The client's own name for this attempt. A malformed one must not pass as none: the client would
/// take its blind retry for a safe one.
fn idempotency_ref(headers: &HeaderMap, fields: &mut Fields<'_>) -> Option<IdempotencyRef> {
    const NAME: &str = "idempotency-ref";
    match only(headers, &HeaderName::from_static(NAME)) {
        Ok(None) => None,
        Ok(Some(text)) => {
            let reference = IdempotencyRef::new(text);
            if reference.is_none() {
                fields.refuse(NAME, FieldRule::Size, &["1", "255"]);
            }
            reference
        }
        Err(_) if headers.get_all(NAME).iter().count() > 1 => {
            fields.refuse(NAME, FieldRule::AtMost, &["1", NAME]);
            None
        }
        Err(_) => {
            fields.refuse(NAME, FieldRule::Regex, &["^[ -~]+$"]);
            None
        }
    }
}
