//! Callers of a store's public trait, each of whom asks again as soon as it is answered.

use std::{
    fmt, iter,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use mintage::{
    StoreError, TokenStore,
    grant::{Context, Issue, Redeem, Redemption, Verdict},
};
use tokio::{task::JoinSet, time::Instant};

use super::{Failure, figures::Run};

/// How long the callers go on.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Until {
    /// Everything has been asked.
    Done,
    /// So much time has passed, or everything has been asked.
    Time(Duration),
}

impl Until {
    pub(crate) fn lasts(self, start: Instant) -> bool {
        match self {
            Self::Done => true,
            Self::Time(time) => start.elapsed() < time,
        }
    }
}

/// A prime: steps of it through all numbers meet each once, and no neighbours.
const STEP: u32 = 7_368_787;

/// Every number below that one, in an order of no meaning, again and again.
pub(crate) fn picks(numbers: u32) -> impl Iterator<Item = u32> + Send {
    iter::successors(Some(0), move |number| Some((number + STEP) % numbers))
}

/// So many callers put these events to the store.
///
/// # Errors
/// Unless every single one is granted for the first time.
pub(crate) async fn ask<S: TokenStore + Clone, E: Event>(
    store: &S,
    cx: Context,
    callers: u32,
    events: Vec<E>,
    until: Until,
) -> Result<Run, Failure> {
    let (events, next) = (Arc::new(events), Arc::new(AtomicUsize::new(0)));
    let mut tasks = JoinSet::new();
    let start = Instant::now();
    for _ in 0..callers {
        let (store, events, next) = (store.clone(), Arc::clone(&events), Arc::clone(&next));
        tasks.spawn(async move {
            let mut answers = Vec::new();
            while until.lasts(start)
                && let Some(event) = events.get(next.fetch_add(1, Ordering::Relaxed))
            {
                let asked = Instant::now();
                let answer = event.put_to(&store, &cx).await;
                answers.push((asked.elapsed(), answer));
            }
            answers
        });
    }
    let answers = tasks.join_all().await;
    let elapsed = start.elapsed();

    let mut latencies = Vec::new();
    for (latency, answer) in answers.into_iter().flatten() {
        let answer = answer?;
        if !E::is_granted(&answer) {
            return Err(format!("the store did not grant: {answer:?}").into());
        }
        latencies.push(latency);
    }
    let count = u32::try_from(latencies.len())?;
    Ok(Run::new(count, f64::from(count) / elapsed.as_secs_f64(), latencies))
}

/// What is asked of the store.
pub(crate) trait Event: Send + Sync + 'static {
    type Answer: fmt::Debug + Send + 'static;

    fn put_to(
        &self,
        store: &impl TokenStore,
        cx: &Context,
    ) -> impl Future<Output = Result<Self::Answer, StoreError>> + Send;

    /// Whether it was granted, and for the first time.
    fn is_granted(answer: &Self::Answer) -> bool;
}

impl Event for Issue {
    type Answer = Verdict;

    async fn put_to(&self, store: &impl TokenStore, cx: &Context) -> Result<Verdict, StoreError> {
        store.issue(self, cx).await
    }

    fn is_granted(answer: &Verdict) -> bool {
        matches!(answer, Verdict::Granted { retried: false, .. })
    }
}

impl Event for Redeem {
    type Answer = Redemption;

    async fn put_to(
        &self,
        store: &impl TokenStore,
        cx: &Context,
    ) -> Result<Redemption, StoreError> {
        store.redeem(self, cx).await
    }

    fn is_granted(answer: &Redemption) -> bool {
        matches!(answer, Redemption::Redeemed { retried: false, .. })
    }
}
