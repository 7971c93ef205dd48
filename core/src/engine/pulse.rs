//! The context of an operation: a clock that does not step back, and an epoch that is fresh.

use std::{
    future::poll_fn,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, AtomicU64, Ordering},
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
    /// When the reader of the epoch began, if somebody is reading; 0 otherwise.
    reading: AtomicI64,
    /// How many readings have failed.
    failures: AtomicU64,
    waiting: Mutex<Vec<Waker>>,
}

impl Pulse {
    /// The context for an operation now.
    ///
    /// One caller a second reads the epoch again; the others go on with the one they have. Only
    /// when it is too old to be used do they wait for the reader, and read themselves should it
    /// have gone away; but one failure is enough for all who wait.
    pub(super) async fn context(&self, calls: &Calls) -> Result<Context, Unavailable> {
        let now = self.tick(calls)?;
        let failures = self.failures.load(Ordering::Acquire);
        while self.age(now) >= FRESH {
            if let Some(_reading) = self.begin_reading(now, calls) {
                match calls.ask(calls.parts.store.epoch(now)).await {
                    Ok(epoch) => self.learn(epoch, now),
                    Err(error) => {
                        self.failures.fetch_add(1, Ordering::AcqRel);
                        if self.age(now) >= USABLE {
                            return Err(Unavailable::Store(error));
                        }
                        break;
                    }
                }
            } else if self.age(now) < USABLE {
                break;
            } else if calls.in_time(self.reader()).await.is_none()
                || self.failures.load(Ordering::Acquire) != failures
            {
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
        self.read_at.store(now.as_millis(), Ordering::Release);
    }

    /// The instant now, unless the clock has stepped back by more than it may.
    pub(super) fn tick(&self, calls: &Calls) -> Result<Timestamp, Unavailable> {
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

    /// The right to read, unless somebody has it; one who has had it for longer than a call may
    /// take is no longer polled, and loses it.
    fn begin_reading(&self, now: Timestamp, calls: &Calls) -> Option<Reading<'_>> {
        let began = self.reading.load(Ordering::Acquire);
        let lost = Timestamp::from_millis(began).after(calls.parts.policy.deadline) <= now;
        if began != 0 && !lost {
            return None;
        }
        let mine = now.as_millis().max(began + 1);
        let order = (Ordering::AcqRel, Ordering::Acquire);
        let taken = self.reading.compare_exchange(began, mine, order.0, order.1).is_ok();
        // Not `then_some`: it would make one to drop, and that gives the right back.
        taken.then(|| Reading { pulse: self, mine })
    }

    /// Completes when nobody is reading.
    async fn reader(&self) {
        poll_fn(|cx| {
            if self.reading.load(Ordering::Acquire) == 0 {
                return Poll::Ready(());
            }
            self.waiting().push(cx.waker().clone());
            // It may have ended before our waker was there to be woken.
            match self.reading.load(Ordering::Acquire) {
                0 => Poll::Ready(()),
                _ => Poll::Pending,
            }
        })
        .await;
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<Waker>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to read the epoch; given back however the reading ends, by being dropped too.
struct Reading<'a> {
    pulse: &'a Pulse,
    mine: i64,
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        let (Self { pulse, mine }, order) = (self, Ordering::AcqRel);
        if pulse.reading.compare_exchange(*mine, 0, order, Ordering::Acquire).is_ok() {
            for waker in std::mem::take(&mut *pulse.waiting()) {
                waker.wake();
            }
        }
    }
}
