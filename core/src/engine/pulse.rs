//! The context of an operation: a clock that does not step back, and an epoch that is fresh.

use std::{
    future::poll_fn,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    task::{Poll, Waker},
};

use crate::{
    error::Unavailable,
    grant::Context,
    id::Epoch,
    instant::{Lifetime, Timestamp},
};

use super::calls::Calls;

/// The epoch is read again by the first call after so long,
const FRESH: Lifetime = Lifetime::from_secs(1);
/// and one that nobody could read for so long is no good.
const USABLE: Lifetime = Lifetime::from_secs(5);

/// What the process knows of time and epoch.
#[derive(Debug, Default)]
pub(super) struct Pulse {
    latest: AtomicI64,
    epoch: AtomicI64,
    read_at: AtomicI64,
    reading: AtomicBool,
    waiting: Mutex<Vec<Waker>>,
}

impl Pulse {
    /// The context for an operation now.
    ///
    /// One caller a second reads the epoch again; the others go on with the one they have, and
    /// wait for the reader only when it is too old to be used.
    pub(super) async fn context(&self, calls: &Calls) -> Result<Context, Unavailable> {
        let now = self.tick(calls)?;
        if self.age(now) >= FRESH {
            match self.begin_reading() {
                Some(_reading) => {
                    let read = calls.store(calls.parts.store.epoch()).await;
                    match read {
                        Ok(epoch) => self.learn(epoch, now),
                        Err(error) if self.age(now) >= USABLE => {
                            return Err(Unavailable::Store(error));
                        }
                        Err(_) => {}
                    }
                }
                None if self.age(now) >= USABLE => self.reader().await,
                None => {}
            }
            if self.age(now) >= USABLE {
                return Err(Unavailable::Epoch);
            }
        }
        Ok(Context {
            now,
            epoch: Epoch(Timestamp::from_millis(self.epoch.load(Ordering::Acquire))),
            max_skew: calls.parts.policy.max_skew,
            retry_window: calls.parts.policy.retry_window,
        })
    }

    /// The epoch is known to have been at least this at `now`.
    pub(super) fn learn(&self, epoch: Epoch, now: Timestamp) {
        self.epoch.fetch_max(epoch.0.as_millis(), Ordering::AcqRel);
        self.read_at.fetch_max(now.as_millis(), Ordering::AcqRel);
    }

    /// The instant now, unless the clock has stepped back by more than it may.
    fn tick(&self, calls: &Calls) -> Result<Timestamp, Unavailable> {
        let now = Timestamp::from(calls.parts.clock.now());
        let latest = self.latest.fetch_max(now.as_millis(), Ordering::AcqRel);
        if now.after(calls.parts.policy.max_skew) < Timestamp::from_millis(latest) {
            return Err(Unavailable::Clock);
        }
        Ok(now)
    }

    /// How long ago the epoch was read.
    fn age(&self, now: Timestamp) -> Lifetime {
        let read_at = Timestamp::from_millis(self.read_at.load(Ordering::Acquire));
        now.since(read_at).try_into().unwrap_or(Lifetime::MAX)
    }

    fn begin_reading(&self) -> Option<Reading<'_>> {
        // Not `then_some`: it would make one to drop, and that gives the right back.
        (!self.reading.swap(true, Ordering::AcqRel)).then(|| Reading(self))
    }

    /// Completes when nobody is reading.
    async fn reader(&self) {
        poll_fn(|cx| {
            if !self.reading.load(Ordering::Acquire) {
                return Poll::Ready(());
            }
            self.waiting().push(cx.waker().clone());
            // It may have ended before our waker was there to be woken.
            if self.reading.load(Ordering::Acquire) { Poll::Pending } else { Poll::Ready(()) }
        })
        .await;
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, Vec<Waker>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to read the epoch; given back however the reading ends, by being dropped too.
struct Reading<'a>(&'a Pulse);

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        self.0.reading.store(false, Ordering::Release);
        for waker in std::mem::take(&mut *self.0.waiting()) {
            waker.wake();
        }
    }
}
