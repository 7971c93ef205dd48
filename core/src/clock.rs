//! The only sources of time: what it is, and how to wait.

use std::{
    fmt,
    future::{Future, poll_fn},
    pin::pin,
    task::Poll,
    time::Duration,
};

use async_trait::async_trait;
use time::OffsetDateTime;

use crate::instant::Lifetime;

/// Tells what time it is. The only source of time: everything else is given an instant.
///
/// A clock that runs ahead ends tokens early; one that runs behind lets them live longer, so the
/// engine answers "unavailable" when it steps back by more than the policy's `max_skew`. Keep the
/// nodes that share a store within that of each other (NTP does).
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// The instant now. Finer than a millisecond is cut off.
    fn now(&self) -> OffsetDateTime;
}

/// The operating system's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the Clock that the ban points to")]
    fn now(&self) -> OffsetDateTime {
        OffsetDateTime::now_utc()
    }
}

/// Waits. Used for deadlines and housekeeping only, and never to judge a token.
#[async_trait]
pub trait Timer: fmt::Debug + Send + Sync + 'static {
    /// Completes once `length` has passed.
    async fn sleep(&self, length: Duration);
}

/// Waits on tokio's clock.
#[cfg(feature = "tokio")]
#[derive(Debug, Clone, Copy, Default)]
pub struct TokioTimer;

#[cfg(feature = "tokio")]
#[async_trait]
impl Timer for TokioTimer {
    async fn sleep(&self, length: Duration) {
        tokio::time::sleep(length).await;
    }
}

/// The work's result, or `None` when it takes longer than `limit`; it is then dropped. Work that
/// never waits starts no timer.
pub(crate) async fn within<T>(
    timer: &dyn Timer,
    limit: Lifetime,
    work: impl Future<Output = T> + Send,
) -> Option<T> {
    let mut work = pin!(work);
    let at_once = poll_fn(|cx| Poll::Ready(work.as_mut().poll(cx))).await;
    if let Poll::Ready(result) = at_once {
        return Some(result);
    }
    let mut alarm = timer.sleep(limit.into());
    poll_fn(|cx| match work.as_mut().poll(cx) {
        Poll::Ready(result) => Poll::Ready(Some(result)),
        Poll::Pending => alarm.as_mut().poll(cx).map(|()| None),
    })
    .await
}
