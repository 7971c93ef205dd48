//! The store, through its public trait.

use std::{
    fmt,
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use mintage::{
    Grade, Lifetime, StoreError, TokenStore as _,
    grant::{Issue, Redeem, Redemption, Verdict},
};
use mintage_storage_postgres::{PostgresStore, Settings};
use sqlx::postgres::PgConnectOptions;
use tokio::{task::JoinSet, time::Instant};

use crate::{
    Failure,
    field::CONTEXT,
    figures::Run,
    tables::{Tables, Work},
};

/// How long the callers go on.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Until {
    /// Everything has been asked.
    Done,
    /// So much time has passed, or everything has been asked.
    Time(Duration),
}

/// A store and its tables.
#[derive(Debug)]
pub(crate) struct Ours {
    pub(crate) tables: Tables,
    store: PostgresStore,
}

impl Ours {
    pub(crate) async fn connect(
        options: PgConnectOptions,
        tables: Tables,
    ) -> Result<Self, Failure> {
        let settings = Settings {
            schema: tables.schema().parse()?,
            // On a busy machine too, nothing is to be refused.
            deadline: Lifetime::from_secs(20),
            ..Settings::default()
        };
        let store = PostgresStore::connect(options, settings).await?;
        let guarantee = store.guarantee().await?;
        if guarantee.grade != Grade::PowerLossSafe {
            return Err(format!("the server is not as it should be: {}", guarantee.reason).into());
        }
        Ok(Self { tables, store })
    }

    /// Does this to the grants of those numbers, each of so many callers one after the other.
    ///
    /// # Errors
    /// Unless every single one is granted for the first time, and the tables agree.
    pub(crate) async fn run(
        &self,
        work: Work,
        callers: u32,
        numbers: Range<u32>,
        until: Until,
    ) -> Result<Run, Failure> {
        let before = self.tables.count(work).await?;
        let run = self.measure(work, callers, numbers, until).await?;
        let done = self.tables.count(work).await? - before;
        if done != run.count {
            let count = run.count;
            return Err(format!("the store says {count} times {work:?}, the tables {done}").into());
        }
        Ok(run)
    }

    /// The same, but whoever calls it must ask the tables.
    pub(crate) async fn measure(
        &self,
        work: Work,
        callers: u32,
        numbers: impl Iterator<Item = u32> + Send,
        until: Until,
    ) -> Result<Run, Failure> {
        let field = &self.tables.field;
        match work {
            Work::Issue => {
                let events = numbers.map(|number| field.issue(number)).collect::<Result<_, _>>()?;
                self.ask::<Issue>(callers, events, until).await
            }
            Work::Redeem => {
                let events = numbers.map(|number| field.redeem(number)).collect();
                self.ask::<Redeem>(callers, events, until).await
            }
        }
    }

    async fn ask<E: Event>(
        &self,
        callers: u32,
        events: Vec<E>,
        until: Until,
    ) -> Result<Run, Failure> {
        let (events, next) = (Arc::new(events), Arc::new(AtomicUsize::new(0)));
        let mut tasks = JoinSet::new();
        let start = Instant::now();
        for _ in 0..callers {
            let (store, events, next) =
                (self.store.clone(), Arc::clone(&events), Arc::clone(&next));
            tasks.spawn(async move {
                let mut answers = Vec::new();
                while until.lasts(start)
                    && let Some(event) = events.get(next.fetch_add(1, Ordering::Relaxed))
                {
                    let asked = Instant::now();
                    let answer = event.put_to(&store).await;
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
}

impl Until {
    fn lasts(self, start: Instant) -> bool {
        match self {
            Self::Done => true,
            Self::Time(time) => start.elapsed() < time,
        }
    }
}

/// What is asked of the store.
trait Event: Send + Sync + 'static {
    type Answer: fmt::Debug + Send + 'static;

    fn put_to(
        &self,
        store: &PostgresStore,
    ) -> impl Future<Output = Result<Self::Answer, StoreError>> + Send;

    /// Whether it was granted, and for the first time.
    fn is_granted(answer: &Self::Answer) -> bool;
}

impl Event for Issue {
    type Answer = Verdict;

    async fn put_to(&self, store: &PostgresStore) -> Result<Verdict, StoreError> {
        store.issue(self, &CONTEXT).await
    }

    fn is_granted(answer: &Verdict) -> bool {
        matches!(answer, Verdict::Granted { retried: false, .. })
    }
}

impl Event for Redeem {
    type Answer = Redemption;

    async fn put_to(&self, store: &PostgresStore) -> Result<Redemption, StoreError> {
        store.redeem(self, &CONTEXT).await
    }

    fn is_granted(answer: &Redemption) -> bool {
        matches!(answer, Redemption::Redeemed { retried: false, .. })
    }
}
