//! What is left of a body when the answer is there: read, so that the caller gets to see the answer.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    body::{Body, Bytes},
    extract::Request,
    http::header::EXPECT,
};
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::BodyExt as _;

/// A request's body, lent to the handler: what it leaves unread can still be read when it is done.
///
/// A server that closes a connection on which data is still arriving resets it, and the reset may
/// overtake the answer (RFC 9112 §9.6).
#[derive(Clone)]
pub(crate) struct Lent(Arc<Mutex<Loan>>);

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
    pub(crate) fn lend(request: Request) -> (Request, Option<Self>) {
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
    pub(crate) async fn drain(self) -> bool {
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
