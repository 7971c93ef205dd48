//! The lanes: calls that wait at the same time travel as one statement.
//!
//! Each kind of operation has a lane. A worker owns a connection; whenever it has nothing to do it
//! takes whatever waits in the lane whose first call has waited longest, sends it as one statement
//! and hands every caller its own answer. Nobody waits for company: a call that comes alone goes
//! alone. When the database is slower than the callers, lanes grow up to their bound, and so does
//! what travels together.
//!
//! A statement belongs to its worker and not to a caller's future: whoever stops waiting leaves it
//! to finish, and no connection is ever given back in the middle of something.

use std::{
    collections::{HashSet, VecDeque},
    fmt,
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use mintage::{
    Change, StoreError,
    grant::{Context, Elevate, Issue, Open, Redeem, Revoke, RevokeAll, StepUp, Touch},
};
use sqlx::{PgConnection, postgres::PgRow};
use tokio::{sync::Notify, sync::oneshot, task::yield_now, time::timeout};

use crate::{
    fault::Fault,
    line::Line,
    operations::{Batch, Operation, Outcome, ReadBearer, ReadOneTime, Row, Way},
    record::Unreadable,
    settings::Settings,
    statements::Statements,
};

/// How often a call is judged again because its rows changed hands in the meantime.
const TRIES: u8 = 8;

/// Everything that waits, and how to wake a worker.
#[derive(Debug)]
pub(crate) struct Lanes {
    issue: Arc<Lane<Issue>>,
    redeem: Arc<Lane<Redeem>>,
    step_up: Arc<Lane<StepUp>>,
    open: Arc<Lane<Open>>,
    elevate: Arc<Lane<Elevate>>,
    touch: Arc<Lane<Touch>>,
    read_bearer: Arc<Lane<ReadBearer>>,
    read_one_time: Arc<Lane<ReadOneTime>>,
    revoke: Arc<Lane<Revoke>>,
    revoke_all: Arc<Lane<RevokeAll>>,
    errands: Mutex<VecDeque<Errand>>,
    waiting: AtomicUsize,
    arrivals: AtomicU64,
    closed: AtomicBool,
    wake: Notify,
    limits: Limits,
}

#[derive(Debug, Clone, Copy)]
struct Limits {
    deadline: Duration,
    waiting: usize,
    batch: usize,
}

/// An operation that has a lane.
pub(crate) trait Laned: Operation {
    fn lane(lanes: &Lanes) -> &Arc<Lane<Self>>;
}

macro_rules! laned {
    ($($operation:ty: $lane:ident,)+) => {
        $(impl Laned for $operation {
            fn lane(lanes: &Lanes) -> &Arc<Lane<Self>> {
                &lanes.$lane
            }
        })+

        impl Lanes {
            pub(crate) fn new(settings: &Settings) -> Self {
                Self {
                    $($lane: Arc::default(),)+
                    errands: Mutex::default(),
                    waiting: AtomicUsize::new(0),
                    arrivals: AtomicU64::new(0),
                    closed: AtomicBool::new(false),
                    wake: Notify::new(),
                    limits: Limits {
                        deadline: settings.deadline.into(),
                        waiting: settings.waiting.get() as usize,
                        batch: settings.batch.get() as usize,
                    },
                }
            }

            /// Takes what has waited longest, and all that may travel with it.
            fn take(&self) -> Option<Box<dyn Load>> {
                let mut first: Option<(u64, &dyn Waits)> = None;
                $(if let Some(arrived) = self.$lane.first()
                    && first.is_none_or(|(other, _)| arrived < other)
                {
                    first = Some((arrived, &self.$lane));
                })+
                let errand = lock(&self.errands).front().map(|errand| errand.arrived);
                if let Some(arrived) = errand
                    && first.is_none_or(|(other, _)| arrived < other)
                {
                    let errand = lock(&self.errands).pop_front()?;
                    self.waiting.fetch_sub(1, Ordering::AcqRel);
                    return Some(Box::new(errand));
                }
                let (load, taken) = first?.1.take(self.limits.batch);
                self.waiting.fetch_sub(taken, Ordering::AcqRel);
                Some(load)
            }
        }
    };
}

laned! {
    Issue: issue,
    Redeem: redeem,
    StepUp: step_up,
    Open: open,
    Elevate: elevate,
    Touch: touch,
    ReadBearer: read_bearer,
    ReadOneTime: read_one_time,
    Revoke: revoke,
    RevokeAll: revoke_all,
}

impl Lanes {
    /// Has a worker carry the operation out.
    pub(crate) async fn call<O: Laned>(
        &self,
        operation: O,
        cx: &Context,
    ) -> Result<O::Answer, StoreError> {
        let (answer, answered) = oneshot::channel();
        let stage = Arc::new(Stage::default());
        let (arrived, waits) = (self.admit()?, Waiting(Arc::clone(&stage)));
        let (cx, way, tries, alone) = (*cx, Way::Usual, TRIES, false);
        let call = Call { operation, cx, way, tries, alone, arrived, stage, answer };
        lock(&O::lane(self).0).push_back(call);
        self.answer(answered, &waits).await
    }

    /// Has a worker run a statement that concerns no single credential.
    pub(crate) async fn errand<T, F>(&self, run: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: AsyncErrand<T>,
    {
        let (answer, answered) = oneshot::channel();
        let stage = Arc::new(Stage::default());
        let (arrived, waits) = (self.admit()?, Waiting(Arc::clone(&stage)));
        let run = Box::new(Running { run, answer });
        lock(&self.errands).push_back(Errand { arrived, stage, run });
        self.answer(answered, &waits).await
    }

    fn admit(&self) -> Result<u64, StoreError> {
        let refused = |what| Err(StoreError::new(Change::Unchanged, what));
        if self.closed.load(Ordering::Acquire) {
            return refused("the store is closed");
        }
        if self.waiting.fetch_add(1, Ordering::AcqRel) >= self.limits.waiting {
            self.waiting.fetch_sub(1, Ordering::AcqRel);
            return refused("too many calls wait for the database");
        }
        Ok(self.arrivals.fetch_add(1, Ordering::Relaxed))
    }

    async fn answer<T>(
        &self,
        answered: oneshot::Receiver<Result<T, StoreError>>,
        waits: &Waiting,
    ) -> Result<T, StoreError> {
        self.wake.notify_one();
        match timeout(self.limits.deadline, answered).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(waits.0.give_up("the store's worker is gone")),
            Err(_) => Err(waits.0.give_up("no answer within the deadline")),
        }
    }

    /// A call that was sent and has changed nothing waits again, before all others.
    fn put_back<O: Laned>(&self, call: Call<O>) {
        call.stage.put_back();
        self.waiting.fetch_add(1, Ordering::AcqRel);
        lock(&O::lane(self).0).push_front(call);
        self.wake.notify_one();
    }

    /// No call is taken any more; what waits is still carried out.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.wake.notify_waiters();
        self.wake.notify_one();
    }

    /// One worker's life: until the lanes are closed and empty.
    pub(crate) async fn work(self: Arc<Self>, mut line: Line) {
        let mut company = false;
        while let Some(load) = self.next(company).await {
            company = load.has_company();
            let patience = self.limits.deadline;
            match timeout(patience, line.ready()).await {
                Ok(Ok(())) => {}
                Ok(Err(fault)) => {
                    load.refuse(&fault);
                    continue;
                }
                Err(_) => {
                    line.drop_connection();
                    load.refuse(&Fault::new(Change::Unchanged, "the database does not answer"));
                    continue;
                }
            }
            // It is given longer than its callers: an answer that comes late leaves the connection
            // sound. One that does not come costs the connection, and nothing is ever cancelled: the
            // server is left with a session that hangs. So each time in a row it is given longer.
            match timeout(line.patience(), load.carry(&mut line, &self)).await {
                Ok(true) => line.answered(),
                Ok(false) => line.drop_connection(),
                Err(_) => line.give_up(),
            }
        }
        line.close().await;
    }

    /// What is to be carried next.
    async fn next(&self, company: bool) -> Option<Box<dyn Load>> {
        loop {
            let mut wake = pin!(self.wake.notified());
            wake.as_mut().enable();
            if company {
                // Many have just been answered: those who come back at once may come along.
                yield_now().await;
            }
            if let Some(load) = self.take() {
                if self.waiting.load(Ordering::Acquire) > 0 {
                    self.wake.notify_one();
                }
                return Some(load);
            }
            if self.closed.load(Ordering::Acquire) {
                return None;
            }
            wake.await;
        }
    }
}

/// How far a call has come: its caller may stop waiting at any time, and must know.
#[derive(Debug, Default)]
struct Stage(AtomicU8);

const WAITING: u8 = 0;
const SENT: u8 = 1;
const GIVEN_UP: u8 = 2;

impl Stage {
    /// It is being sent, unless nobody waits for it any more.
    fn send(&self) -> bool {
        self.step(WAITING, SENT)
    }

    /// It was sent in vain and waits again.
    fn put_back(&self) {
        self.step(SENT, WAITING);
    }

    /// It is not to be sent any more; and if it has been, it may have happened.
    fn give_up(&self, what: &'static str) -> StoreError {
        let unsent = self.step(WAITING, GIVEN_UP);
        let change = if unsent { Change::Unchanged } else { Change::MayHaveHappened };
        StoreError::new(change, what)
    }

    fn step(&self, from: u8, to: u8) -> bool {
        self.0.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
}

/// A caller who waits; one who is dropped gives up.
struct Waiting(Arc<Stage>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.step(WAITING, GIVEN_UP);
    }
}

/// One call.
struct Call<O: Operation> {
    operation: O,
    cx: Context,
    way: Way,
    tries: u8,
    /// It travelled with others and the statement failed because of one of them: it goes alone now.
    alone: bool,
    arrived: u64,
    stage: Arc<Stage>,
    answer: oneshot::Sender<Result<O::Answer, StoreError>>,
}

impl<O: Operation> Call<O> {
    fn settle(self, answer: Result<O::Answer, StoreError>) {
        // A caller who no longer waits is told nothing.
        drop(self.answer.send(answer));
    }
}

/// The calls of one kind that wait.
pub(crate) struct Lane<O: Operation>(Mutex<VecDeque<Call<O>>>);

impl<O: Operation> Default for Lane<O> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<O: Operation> fmt::Debug for Lane<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} waiting", lock(&self.0).len())
    }
}

/// A lane, whatever its kind.
trait Waits {
    /// When its first call arrived.
    fn first(&self) -> Option<u64>;

    /// As many calls as may travel together; and how many wait less.
    fn take(&self, most: usize) -> (Box<dyn Load>, usize);
}

impl<O: Laned> Waits for Arc<Lane<O>> {
    fn first(&self) -> Option<u64> {
        lock(&self.0).front().map(|call| call.arrived)
    }

    fn take(&self, most: usize) -> (Box<dyn Load>, usize) {
        let mut waiting = lock(&self.0);
        let before = waiting.len();
        let mut calls: Vec<Call<O>> = Vec::new();
        let mut left = VecDeque::new();
        let mut written = HashSet::new();
        while calls.len() < most
            && let Some(call) = waiting.pop_front()
        {
            if call.answer.is_closed() {
                continue;
            }
            let rows = call.operation.writes(call.way);
            let fits = calls.first().is_none_or(|first| first.way == call.way && !call.alone)
                && rows.iter().flatten().all(|row| !written.contains(row));
            if fits {
                written.extend(rows.into_iter().flatten());
                calls.push(call);
                if calls[0].alone {
                    break;
                }
            } else {
                left.push_back(call);
            }
        }
        // Those that could not come along are the first of the next.
        left.append(&mut waiting);
        *waiting = left;
        let taken = before - waiting.len();
        drop(waiting);
        calls.sort_unstable_by_key(|call| call.operation.subject());
        (Box::new(Calls(calls)), taken)
    }
}

/// What a worker carries at one time.
#[async_trait]
trait Load: Send {
    /// Sends it, and tells whether the connection is still sound.
    async fn carry(self: Box<Self>, line: &mut Line, lanes: &Lanes) -> bool;

    /// It was never sent.
    fn refuse(self: Box<Self>, fault: &Fault);

    /// It is more than one call.
    fn has_company(&self) -> bool;
}

struct Calls<O: Operation>(Vec<Call<O>>);

#[async_trait]
impl<O: Laned> Load for Calls<O> {
    async fn carry(self: Box<Self>, line: &mut Line, lanes: &Lanes) -> bool {
        let calls: Vec<_> = self.0.into_iter().filter(|call| call.stage.send()).collect();
        if calls.is_empty() {
            return true;
        }
        match run(&calls, line).await {
            Ok(rows) => {
                distribute(calls, &rows, lanes);
                true
            }
            Err(fault) if fault.one_of_many && calls.len() > 1 => {
                for call in calls.into_iter().rev() {
                    lanes.put_back(Call { alone: true, ..call });
                }
                true
            }
            Err(fault) => {
                for call in calls {
                    call.settle(Err(fault.clone().into()));
                }
                !fault.broken
            }
        }
    }

    fn refuse(self: Box<Self>, fault: &Fault) {
        for call in self.0 {
            call.settle(Err(fault.clone().into()));
        }
    }

    fn has_company(&self) -> bool {
        self.0.len() > 1
    }
}

/// Sends the calls, which are sorted by their subjects, as one statement.
async fn run<O: Operation>(calls: &[Call<O>], line: &mut Line) -> Result<Vec<PgRow>, Fault> {
    let way = calls.first().map_or(Way::Usual, |call| call.way);
    let batch: Vec<_> = calls.iter().map(|call| (&call.operation, &call.cx)).collect();
    let batch: &Batch<'_, O> = &batch;
    let unsendable =
        |error| Fault::new(Change::Unchanged, "an argument cannot be sent").because(error);
    let arguments = O::bind(batch).map_err(unsendable)?;
    let statement = |statements: &Statements| {
        let statement = O::statement(statements, way);
        if calls.len() == 1 { statement.one.clone() } else { statement.many.clone() }
    };
    line.fetch(statement, arguments).await
}

/// Hands every caller its answer.
fn distribute<O: Laned>(calls: Vec<Call<O>>, rows: &[PgRow], lanes: &Lanes) {
    let answers = match assign(&calls, rows) {
        Ok(answers) => answers,
        Err(unreadable) => {
            for call in calls {
                call.settle(Err(Unreadable(unreadable.0).into()));
            }
            return;
        }
    };
    for (mut call, row) in calls.into_iter().zip(answers) {
        let row = row.map(Row::of).transpose();
        match row.and_then(|row| call.operation.conclude(&call.cx, row)) {
            Ok(Outcome::Answer(answer)) => call.settle(Ok(answer)),
            Ok(Outcome::Again(_)) if call.tries == 0 => {
                let busy = "others kept writing the same records";
                call.settle(Err(StoreError::new(Change::Unchanged, busy)));
            }
            Ok(Outcome::Again(way)) => {
                call.way = way;
                call.tries -= 1;
                lanes.put_back(call);
            }
            Err(unreadable) => call.settle(Err(unreadable.into())),
        }
    }
}

/// The row of each call. Of a new grant there are two, and it comes before the judgement that made
/// it.
fn assign<'r, O: Operation>(
    calls: &[Call<O>],
    rows: &'r [PgRow],
) -> Result<Vec<Option<&'r PgRow>>, Unreadable> {
    let mut answers: Vec<Option<&PgRow>> = vec![None; calls.len()];
    for row in rows {
        let number = if let Some(number) = Row::number(row)? {
            number
        } else {
            let id = Row::id(row)?;
            calls
                .binary_search_by_key(&id, |call| call.operation.subject())
                .map_err(|_| Unreadable("tail"))?
        };
        let answer = answers.get_mut(number).ok_or(Unreadable("nth"))?;
        *answer = answer.or(Some(row));
    }
    Ok(answers)
}

/// A statement of its own, run on a worker's connection.
#[async_trait]
pub(crate) trait AsyncErrand<T>: Send + 'static {
    async fn run(
        self,
        connection: &mut PgConnection,
        statements: &Statements,
    ) -> Result<T, sqlx::Error>;
}

struct Errand {
    arrived: u64,
    stage: Arc<Stage>,
    run: Box<dyn AnyErrand>,
}

impl fmt::Debug for Errand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Errand")
    }
}

struct Running<T, F> {
    run: F,
    answer: oneshot::Sender<Result<T, StoreError>>,
}

#[async_trait]
trait AnyErrand: Send {
    async fn run(self: Box<Self>, line: &mut Line) -> bool;

    fn refuse(self: Box<Self>, fault: Fault);
}

#[async_trait]
impl<T: Send + 'static, F: AsyncErrand<T>> AnyErrand for Running<T, F> {
    async fn run(self: Box<Self>, line: &mut Line) -> bool {
        let Self { run, answer } = *self;
        let result = line.run(run).await;
        let sound = result.as_ref().err().is_none_or(|fault| !fault.broken);
        drop(answer.send(result.map_err(Into::into)));
        sound
    }

    fn refuse(self: Box<Self>, fault: Fault) {
        drop(self.answer.send(Err(fault.into())));
    }
}

#[async_trait]
impl Load for Errand {
    async fn carry(self: Box<Self>, line: &mut Line, _: &Lanes) -> bool {
        !self.stage.send() || self.run.run(line).await
    }

    fn refuse(self: Box<Self>, fault: &Fault) {
        self.run.refuse(fault.clone());
    }

    fn has_company(&self) -> bool {
        false
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
