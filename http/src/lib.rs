//! mintage on HTTP: `POST /access_token`, `GET /identities`, `POST /logout` and
//! `GET /.well-known/jwks.json` as an axum router, and the arguments with which a host's own
//! handlers ask for a client, a live token or a strict JSON body.
//!
//! ```
//! use std::sync::Arc;
//!
//! use axum::{Router, routing::{get, post}};
//! use mintage::{AnyStatus, Engine, SteppedUp};
//! use mintage_http::{Access, BodyLimit, Gateway, NoLimit};
//!
//! fn app(engine: Engine) -> Router {
//!     let gateway =
//!         Gateway { engine, limiter: Arc::new(NoLimit), body_limit: BodyLimit::default() };
//!     let own = Router::new().route("/accounts", get(accounts)).route("/payments", post(pay));
//!     gateway.finish(gateway.routes().merge(own))
//! }
//!
//! async fn accounts(Access(live): Access<AnyStatus>) -> String {
//!     format!("the accounts of {}", live.identity().id)
//! }
//!
//! // A STANDARD token never gets here: it is answered with a step-up challenge.
//! async fn pay(Access(live): Access<SteppedUp>) -> String {
//!     format!("paid by {}", live.identity().id)
//! }
//! ```
//!
//! Where to find the rule for an answer:
//!
//! * [`WireError`]: which failure is which status, with which body and headers.
//! * [`Fields`]: which field breaks which rule.
//! * [`Gateway::finish`]: what every answer of the host's whole router has in common.
//! * [`Limiter`]: what is counted, and what a 429 says.
//!
//! The future of a request may be dropped at any await, as happens when a caller hangs up: see
//! [`Engine`](mintage::Engine). The runtime is tokio, with its timer.

mod access_token;
mod body;
mod envelope;
mod extract;
mod fields;
mod gateway;
mod identities;
mod json;
mod limit;
mod unread;
mod wire;

#[cfg(feature = "governor")]
pub use self::limit::Governor;
pub use self::{
    body::{BodyLimit, InvalidBodyLimit},
    envelope::RequestRef,
    extract::{Access, AnyBearer, ApiClient, BearerToken, Login},
    fields::Fields,
    gateway::Gateway,
    json::StrictJson,
    limit::{Exceeded, InvalidWindow, LimitKey, Limiter, NoLimit, Window, Windows},
    wire::WireError,
};
