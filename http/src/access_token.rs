//! `POST /access_token`: the endpoint that all of this is for.

use std::convert::Infallible;

use axum::{
    extract::FromRequestParts,
    http::{HeaderName, StatusCode, request::Parts},
    response::Response,
};
use mintage::{
    AuthorityMix, Credential, Exchange, Exchanged, FieldRule, IdempotencyRef, Identity,
    OneTimeToken, Status,
};
use serde::Serialize;

use crate::{
    extract::{ApiClient, BearerToken},
    fields::Fields,
    gateway::Own,
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
    Own(gateway): Own,
    ApiClient(client): ApiClient,
    bearer: Option<BearerToken>,
    attempt: AttemptName,
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
    let idempotency_ref = attempt.read(&mut fields);
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

/// The client's own name for this attempt, its `idempotency-ref` header, or the rule that it breaks.
pub(crate) struct AttemptName(Result<Option<IdempotencyRef>, (FieldRule, &'static [&'static str])>);

impl<S: Sync> FromRequestParts<S> for AttemptName {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        const HEADER: HeaderName = HeaderName::from_static(AttemptName::NAME);
        let mut values = parts.headers.get_all(&HEADER).iter();
        Ok(Self(match (values.next(), values.next()) {
            (None, _) => Ok(None),
            (Some(value), None) => match value.to_str().map(IdempotencyRef::new) {
                Ok(Some(reference)) => Ok(Some(reference)),
                Ok(None) => Err((FieldRule::Size, &["1", "255"])),
                Err(_) => Err((FieldRule::Regex, &["^[ -~]+$"])),
            },
            (Some(_), Some(_)) => Err((FieldRule::AtMost, &["1", Self::NAME])),
        }))
    }
}

impl AttemptName {
    const NAME: &str = "idempotency-ref";

    /// A malformed one must not pass as none: the client would take its blind retry for a safe one.
    fn read(self, fields: &mut Fields<'_>) -> Option<IdempotencyRef> {
        self.0.unwrap_or_else(|(rule, params)| {
            fields.refuse(Self::NAME, rule, params);
            None
        })
    }
}
