//! What every answer carries, whoever gave it.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    task::Poll,
};

use axum::{
    extract::{Request, State},
    http::{HeaderName, HeaderValue, StatusCode, header::CACHE_CONTROL},
    middleware::Next,
    response::{IntoResponse, Response},
};
use tracing::Instrument as _;

use crate::{gateway::Gateway, unread::Lent, wire};

/// The id of one request, fresh and random: the `request-ref` of its answer, and of the `tracing`
/// span that its audit events are in. Handlers find it in the request's extensions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestRef(u128);

impl RequestRef {
    /// A fresh one. It is zero where the operating system has no random bytes; nothing is minted
    /// then either.
    #[expect(clippy::disallowed_methods, reason = "no secret: it only tells two log lines apart")]
    fn random() -> Self {
        let mut bytes = [0; 16];
        match getrandom::fill(&mut bytes) {
            Ok(()) => Self(u128::from_be_bytes(bytes)),
            Err(_) => Self(0),
        }
    }
}

impl fmt::Display for RequestRef {
    /// 32 hexadecimal digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// The outermost layer.
pub(crate) async fn seal(
    State(gateway): State<Gateway>,
    mut request: Request,
    next: Next,
) -> Response {
    const REQUEST_REF: HeaderName = HeaderName::from_static("request-ref");
    let reference = RequestRef::random();
    let span = tracing::info_span!(
        target: "mintage_http",
        "request",
        request_ref = %reference,
        method = %request.method(),
        path = request.uri().path(),
    );
    let engine = gateway.engine.clone();
    request.extensions_mut().insert(gateway);
    request.extensions_mut().insert(reference);
    let answer = async {
        let (request, lent) = Lent::lend(request);
        let mut response = caught(next.run(request)).await;
        if let Some(lent) = lent
            && !lent.drain().await
        {
            wire::close(response.headers_mut());
        }
        wire::conform(response, engine.clock().now())
    };
    let mut response = answer.instrument(span).await;
    let headers = response.headers_mut();
    wire::set(headers, REQUEST_REF, &reference.to_string());
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// The handler's answer, or 500 when it panics. The panic itself is told by the process's hook.
async fn caught(handler: impl Future<Output = Response> + Send) -> Response {
    let mut handler = pin!(handler);
    std::future::poll_fn(|cx| {
        // A handler that has panicked is never polled again, so nobody sees it half done.
        catch_unwind(AssertUnwindSafe(|| handler.as_mut().poll(cx))).unwrap_or_else(|_| {
            tracing::error!(target: "mintage_http", "a handler panicked");
            Poll::Ready(StatusCode::INTERNAL_SERVER_ERROR.into_response())
        })
    })
    .await
}
