//! The parts, the router, and what the host's own handlers find in a request.

use std::sync::Arc;

use axum::{
    Extension, Router,
    extract::DefaultBodyLimit,
    http::Extensions,
    middleware,
    routing::{get, post},
};
use mintage::{Engine, Lifetime};

use crate::{
    body::BodyLimit,
    endpoint, envelope,
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
            .route("/access_token", post(endpoint::access_token))
            .route("/identities", get(endpoint::identities))
            .route("/logout", post(endpoint::log_out))
            .route("/.well-known/jwks.json", get(endpoint::jwks))
            .layer(Extension(self.clone()))
    }

    /// Makes every answer of a whole router keep to the wire, and lets its handlers use the
    /// extractors of this crate. To be called last, after the host's state was given.
    ///
    /// * Every answer carries `request-ref` and `cache-control: no-store`.
    /// * Unknown paths answer 404 and unknown methods 405 with `allow`; a fallback that the router
    ///   has is replaced.
    /// * Errors that a framework writes as plain text get the body of the wire; those whose status
    ///   has none lose theirs.
    /// * A handler that panics answers 500.
    /// * A body that nobody has read is read and dropped, within bounds, so that the caller sees
    ///   the answer instead of a reset connection.
    ///
    /// Requests that hyper refuses itself (a head that is no HTTP, or too large) never get here.
    pub fn finish(&self, router: Router) -> Router {
        router
            .fallback(async || WireError::NOT_FOUND)
            .method_not_allowed_fallback(async || WireError::METHOD_NOT_ALLOWED)
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
