//! What every answer carries, whoever gave it.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::{Pin, pin},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    body::{Body, Bytes},
    extract::{Request, State},
    http::{
        HeaderName, HeaderValue, StatusCode,
        header::{CACHE_CONTROL, EXPECT},
    },
    middleware::Next,
    response::{IntoResponse, Response},
};
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::BodyExt as _;
use tracing::Instrument as _;

use crate::{gateway::Gateway, wire};

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

/// A request's body, lent to the handler: what it leaves unread can still be read when it is done.
///
/// A server that closes a connection on which data is still arriving resets it, and the reset may
/// overtake the answer (RFC 9112 §9.6).
#[derive(Clone)]
struct Lent(Arc<Mutex<Loan>>);

struct Loan {
    body: Body,
    /// The client waits for our word before it sends the body (RFC 9110 §10.1.1), and has not had
    /// it: reading would give it.
    awaited: bool,
}

impl Lent {
    /// How much is read, and for how long, only to drop it.
    const MOST: usize = 16 * 1024 * 1024;
    const LONGEST: Duration = Duration::from_secs(10);

    /// Puts itself in place of the body; not where there is none.
    fn lend(request: Request) -> (Request, Option<Self>) {
        let (parts, body) = request.into_parts();
        if body.is_end_stream() {
            return (Request::from_parts(parts, body), None);
        }
        let awaited = parts.headers.contains_key(EXPECT);
        let lent = Self(Arc::new(Mutex::new(Loan { body, awaited })));
        (Request::from_parts(parts, Body::new(lent.clone())), Some(lent))
    }

    /// Reads and drops what the handler left; `false` when there is still more, so that the
    /// connection is of no further use. Where the answer itself goes on reading, it is left to it.
    async fn drain(self) -> bool {
        let Some(loan) = Arc::into_inner(self.0) else {
            return true;
        };
        let Loan { mut body, awaited } = loan.into_inner().unwrap_or_else(PoisonError::into_inner);
        if awaited {
            return false;
        }
        let all = async {
            let mut dropped = 0;
            while let Some(frame) = body.frame().await {
                let Ok(frame) = frame else { return false };
                dropped += frame.data_ref().map_or(0, Bytes::len);
                if dropped > Self::MOST {
                    return false;
                }
            }
            true
        };
        tokio::time::timeout(Self::LONGEST, all).await.unwrap_or(false)
    }

    fn loan(&self) -> MutexGuard<'_, Loan> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl http_body::Body for Lent {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let mut loan = self.loan();
        loan.awaited = false;
        Pin::new(&mut loan.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.loan().body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.loan().body.size_hint()
    }
}
