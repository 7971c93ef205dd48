//! What every answer carries, whoever gave it.

use std::{
    fmt,
    hash::{BuildHasher as _, RandomState},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    process,
    sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering},
    },
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

/// The id of one request: the `request-ref` of its answer, and of the `tracing` span that its audit
/// events are in. It comes once among the processes of a machine, until a process's id comes again.
/// Handlers find it in the request's extensions. No secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestRef(u128);

impl RequestRef {
    /// The next one: a hash of a count, of the process's id, which a fork changes, and of a random
    /// seed. It only tells two lines of a log apart, so nobody need be kept from guessing it.
    fn next() -> Self {
        static SEED: LazyLock<RandomState> = LazyLock::new(RandomState::new);
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let this = (COUNT.fetch_add(1, Ordering::Relaxed), process::id());
        let half = |which: bool| u128::from(SEED.hash_one((this, which)));
        Self(half(false) << 64 | half(true))
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
    let reference = RequestRef::next();
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

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, thread};

    use super::*;

    #[test]
    fn a_reference_comes_once_on_all_threads() {
        let draw = || (0..1000).map(|_| RequestRef::next()).collect::<Vec<_>>();
        let threads: Vec<_> = (0..4).map(|_| thread::spawn(draw)).collect();
        let drawn = threads.into_iter().flat_map(|thread| thread.join().unwrap());
        assert_eq!(drawn.collect::<HashSet<_>>().len(), 4000);
    }
}
