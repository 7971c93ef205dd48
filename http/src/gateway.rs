//! The parts, the router, and what the host's own handlers find in a request.

use std::{convert::Infallible, sync::Arc};

use axum::{
    Router,
    extract::{DefaultBodyLimit, FromRequestParts},
    http::{Extensions, StatusCode, header::CONTENT_TYPE, request::Parts},
    middleware,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use mintage::{Engine, Lifetime};

use crate::{
    access_token,
    body::BodyLimit,
    envelope,
    extract::{ApiClient, BearerToken},
    identities,
    limit::{LimitKey, Limiter},
    wire::WireError,
};

/// The engine on HTTP. Forget a part and it does not compile; cheap to clone.
#[derive(Debug, Clone)]
pub struct Gateway {
    /// Decides.
    pub engine: Engine,
    /// Counts calls.
    pub limiter: Arc<dyn Limiter>,
    /// How long a JSON body may be.
    pub body_limit: BodyLimit,
}

impl Gateway {
    /// `POST /access_token`, `GET /identities`, `POST /logout` and `GET /.well-known/jwks.json`, to
    /// be merged into a host's own router and then [finished](Self::finish).
    ///
    /// It has no fallback and needs no state, so that it merges and nests with any.
    pub fn routes<S: Clone + Send + Sync + 'static>(&self) -> Router<S> {
        Router::new()
            .route("/access_token", post(access_token::exchange))
            .route("/identities", get(identities::list))
            .route("/logout", post(log_out))
            .route("/.well-known/jwks.json", get(jwks))
            .with_state(self.clone())
    }

    /// Makes every answer of a whole router keep to the wire, and lets its handlers use the
    /// extractors of this crate. To be called last, after the host's state was given.
    ///
    /// * Every answer carries `request-ref` and `cache-control: no-store`.
    /// * Errors whose body is not JSON get the one that the wire has for their status, or none: those
    ///   of axum and of the host, unknown paths (404) and unknown methods (405 with `allow`) among
    ///   them.
    /// * A handler that panics answers 500.
    /// * A body that nobody has read is read and dropped, within bounds, so that the caller sees
    ///   the answer instead of a reset connection.
    ///
    /// Requests that hyper refuses itself (a head that is no HTTP, or too large) never get here.
    pub fn finish(&self, router: Router) -> Router {
        router
            .layer(DefaultBodyLimit::max(self.body_limit.as_bytes()))
            .layer(middleware::from_fn_with_state(self.clone(), envelope::seal))
    }

    /// Prunes the limiter every `every`, for as long as it is polled: to be spawned beside
    /// [`Engine::housekeeping`].
    pub async fn housekeeping(&self, every: Lifetime) {
        loop {
            tokio::time::sleep(every.into()).await;
            self.limiter.prune(self.engine.clock().now());
        }
    }

    /// Counts a call.
    pub(crate) fn count(&self, key: LimitKey<'_>) -> Result<(), WireError> {
        self.limiter.check(key, self.engine.clock().now()).map_err(WireError::TooManyCalls)
    }
}

/// The gateway whose route was taken. From here on the request is its, whoever finished the router:
/// so it comes first among a handler's arguments.
pub(crate) struct Own(pub(crate) Gateway);

impl FromRequestParts<Gateway> for Own {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, own: &Gateway) -> Result<Self, Infallible> {
        parts.extensions.insert(own.clone());
        Ok(Self(own.clone()))
    }
}

/// `POST /logout`: ends the login behind an auth or access token, and what came from it. Whatever
/// body it has is not looked at.
async fn log_out(
    Own(gateway): Own,
    ApiClient(client): ApiClient,
    BearerToken(bearer): BearerToken,
) -> Result<StatusCode, WireError> {
    gateway.engine.log_out(&client, &bearer).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `GET /.well-known/jwks.json`: the public keys, for anybody (RFC 7517 §5, §8.5).
async fn jwks(Own(gateway): Own) -> Result<Response, WireError> {
    let keys = gateway.engine.verifying_keys().await?;
    Ok(([(CONTENT_TYPE, "application/jwk-set+json")], keys.to_jwks()).into_response())
}

/// The gateway that a request came through.
pub(crate) fn of(extensions: &Extensions) -> Result<&Gateway, WireError> {
    extensions.get().ok_or_else(|| {
        tracing::error!(
            target: "mintage_http",
            "a handler takes an argument of mintage-http, but its router is not finished: call \
             `Gateway::finish` on it"
        );
        WireError::Unfinished
    })
}
