//! The lanes to one primary: calls that wait at the same time travel as one pipeline.
//!
//! A worker owns a connection, and nobody else uses it. Whenever it has nothing to do it takes what
//! waits, sends it as one pipeline and hands every caller its own answer. Nobody waits for company: a
//! call that comes alone goes alone. While one worker's pipeline is answered, another's is filled.
//!
//! Where writes wait for replicas, one `WAIT` ends the pipeline. It waits for all that its connection
//! has written, which is what these callers wrote and callers before them, so that nobody's write is
//! taken for another's.
//!
//! A pipeline belongs to its worker and not to a caller's future: whoever stops waiting leaves it to
//! finish, and no connection is ever left in the middle of something.

use std::{
    collections::VecDeque,
    fmt,
    future::{Future as _, poll_fn},
    num::NonZeroU32,
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering},
    },
    time::Duration,
};

use mintage::{Change, StoreError};
use redis::{Cmd, Pipeline, Value, cmd};
use tokio::{
    sync::{Notify, oneshot},
    task::yield_now,
    time::{Instant, timeout},
};

use crate::{
    fault::{Fault, Then},
    line::Line,
    settings::{Acknowledge, Settings},
};

/// What waits for one primary, and how to wake a worker.
#[derive(Debug)]
pub(crate) struct Lanes {
    waiting: Mutex<VecDeque<Call>>,
    /// How many wait or have been sent.
    under_way: AtomicUsize,
    closed: AtomicBool,
    /// How often the connections were left for new ones.
    reconnections: AtomicUsize,
    wake: Notify,
    limits: Limits,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) deadline: Duration,
    batch: usize,
    connections: usize,
    replicas: Option<NonZeroU32>,
}

impl Limits {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            deadline: settings.deadline.into(),
            batch: settings.batch.get() as usize,
            connections: settings.connections.get() as usize,
            replicas: match settings.acknowledge {
                Acknowledge::Primary => None,
                Acknowledge::Replicas(replicas) => Some(replicas),
            },
        }
    }
}

impl Limits {
    pub(crate) fn connections(&self) -> usize {
        self.connections
    }
}

/// One command that waits for its answer.
pub(crate) struct Call {
    pub(crate) command: Cmd,
    /// The node is not the owner of the slot yet.
    pub(crate) asking: bool,
    /// Its answer waits for the replicas.
    pub(crate) writes: bool,
    pub(crate) stage: Arc<Stage>,
    arrived: Instant,
    answer: oneshot::Sender<Answer>,
}

impl fmt::Debug for Call {
    /// Nothing of what the command holds.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call").finish_non_exhaustive()
    }
}

/// What has been answered to a call. A server's error is a value.
pub(crate) type Answer = Result<Answered, Fault>;

#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) value: Value,
    /// Fewer replicas than must have what was written have it.
    pub(crate) behind: bool,
}

impl Lanes {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            waiting: Mutex::default(),
            under_way: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
            reconnections: AtomicUsize::new(0),
            wake: Notify::new(),
            limits,
        }
    }

    /// Has a worker send the command.
    pub(crate) async fn send(
        &self,
        command: Cmd,
        asking: bool,
        writes: bool,
        stage: &Arc<Stage>,
    ) -> Answer {
        let (answer, answered) = oneshot::channel();
        let (stage, arrived) = (Arc::clone(stage), Instant::now());
        let call = Call { command, asking, writes, stage, arrived, answer };
        self.under_way.fetch_add(1, Ordering::AcqRel);
        let counted = Counted(&self.under_way);
        {
            let mut waiting = lock(&self.waiting);
            if self.closed.load(Ordering::Acquire) {
                return Err(Fault::unchanged("the node has left the cluster", Then::Elsewhere));
            }
            waiting.push_back(call);
        }
        // Whoever has worked last is still warm.
        self.wake.notify_last();
        let answer = answered.await;
        drop(counted);
        answer.unwrap_or_else(|_| {
            Err(Fault::new(Change::MayHaveHappened, "the store's worker is gone"))
        })
    }

    /// No call is taken any more; what waits is still carried out.
    pub(crate) fn close(&self) {
        {
            // Who has found them open is among those who wait.
            let _waiting = lock(&self.waiting);
            self.closed.store(true, Ordering::Release);
        }
        self.wake.notify_waiters();
        self.wake.notify_one();
    }

    /// No connection that there is now is used again.
    pub(crate) fn reconnect(&self) {
        self.reconnections.fetch_add(1, Ordering::AcqRel);
    }

    /// One worker's life: until the lanes are closed and empty.
    pub(crate) async fn work(self: Arc<Self>, mut line: Line) {
        let (mut company, mut reconnections) = (false, 0);
        while let Some(calls) = self.next(&mut line, company).await {
            company = calls.len() > 1;
            let wanted = self.reconnections.load(Ordering::Acquire);
            if wanted != std::mem::replace(&mut reconnections, wanted) {
                line.drop_connection();
            }
            let patience = line.patience(self.limits.deadline);
            let ready = match timeout(patience, line.ready()).await {
                Ok(ready) => ready.map_err(|fault| (fault, false)),
                Err(_) => Err((Fault::unreachable("the server does not answer"), true)),
            };
            let connection = match ready {
                Ok(connection) => connection,
                Err((fault, hangs)) => {
                    if hangs {
                        line.give_up();
                    } else {
                        line.drop_connection();
                    }
                    for call in calls {
                        call.settle(Err(fault.clone()));
                    }
                    continue;
                }
            };
            let load = Load::of(calls, self.limits);
            if load.calls.is_empty() {
                continue;
            }
            // It is given longer than its callers: an answer that comes late leaves the connection
            // sound.
            let sent = connection.send(&load.pipeline, load.answers);
            match timeout(2 * patience, sent).await {
                Ok(Ok(values)) => {
                    line.answered();
                    if !load.settle(values) {
                        line.drop_connection();
                    }
                }
                Ok(Err(error)) => {
                    line.drop_connection();
                    load.fail(&Fault::lost(&error));
                }
                Err(_) => {
                    line.give_up();
                    let hangs = "the server does not answer";
                    load.fail(&Fault::new(Change::MayHaveHappened, hangs));
                }
            }
        }
    }

    /// What is to be carried next.
    async fn next(&self, line: &mut Line, company: bool) -> Option<Vec<Call>> {
        loop {
            let mut wake = pin!(self.wake.notified());
            wake.as_mut().enable();
            if company {
                // Many have just been answered: those who come back at once may come along.
                yield_now().await;
            }
            let closed = self.closed.load(Ordering::Acquire);
            if let Some(calls) = self.take() {
                return Some(calls);
            }
            if closed {
                return None;
            }
            poll_fn(|cx| {
                line.idle(cx);
                wake.as_mut().poll(cx)
            })
            .await;
        }
    }

    /// A worker's share of what waits: not all, where all workers have something to do, so that the
    /// server has one pipeline to work on while another is made.
    fn take(&self) -> Option<Vec<Call>> {
        let share = self.under_way.load(Ordering::Acquire).div_ceil(self.limits.connections);
        let mut waiting = lock(&self.waiting);
        let most = waiting.len().min(share.max(1)).min(self.limits.batch);
        let calls: Vec<_> = waiting.drain(..most).collect();
        let more = !waiting.is_empty();
        drop(waiting);
        if more {
            self.wake.notify_one();
        }
        (!calls.is_empty()).then_some(calls)
    }
}

struct Counted<'a>(&'a AtomicUsize);

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Call {
    fn settle(self, answer: Answer) {
        // A caller who no longer waits is told nothing.
        drop(self.answer.send(answer));
    }
}

/// A pipeline, and who waits for it.
struct Load {
    calls: Vec<Call>,
    pipeline: Pipeline,
    /// How many answers are to come.
    answers: usize,
    replicas: Option<NonZeroU32>,
}

impl Load {
    fn of(calls: Vec<Call>, limits: Limits) -> Self {
        let mut load = Self {
            pipeline: Pipeline::with_capacity(calls.len() + 1),
            calls: Vec::with_capacity(calls.len()),
            answers: 0,
            replicas: None,
        };
        for mut call in calls {
            if !call.stage.send() {
                continue;
            }
            if call.asking {
                load.add(cmd("ASKING"));
            }
            if call.writes {
                load.replicas = limits.replicas;
            }
            load.add(std::mem::take(&mut call.command));
            load.calls.push(call);
        }
        if let Some(replicas) = load.replicas {
            let waited = load.calls.iter().map(|call| call.arrived.elapsed()).min();
            let left = limits.deadline.saturating_sub(waited.unwrap_or_default());
            // Those who came last are told what came of it, and do not run out of time themselves.
            let left = u64::try_from((left * 15 / 16).as_millis()).unwrap_or(u64::MAX);
            let mut wait = cmd("WAIT");
            wait.arg(replicas.get()).arg(left.max(1));
            load.add(wait);
        }
        load
    }

    fn add(&mut self, command: Cmd) {
        self.pipeline.add_command(command);
        self.answers += 1;
    }

    /// Hands out the answers, and tells whether the connection is still the right one.
    fn settle(self, values: Vec<Value>) -> bool {
        let mut values = values.into_iter();
        let mut sound = values.len() == self.answers;
        let behind = self.replicas.is_some_and(|replicas| {
            !matches!(values.next_back(), Some(Value::Int(n)) if n >= i64::from(replicas.get()))
        });
        for call in self.calls {
            if call.asking {
                values.next();
            }
            let Some(value) = values.next() else {
                let short = "the server has answered too little";
                call.settle(Err(Fault::new(Change::MayHaveHappened, short)));
                continue;
            };
            if let Value::ServerError(error) = &value
                && Fault::of(error).then == Then::Elsewhere
            {
                sound = false;
            }
            call.settle(Ok(Answered { value, behind }));
        }
        sound
    }

    fn fail(self, fault: &Fault) {
        for call in self.calls {
            call.settle(Err(fault.clone()));
        }
    }
}

/// How far a call has come: its caller may stop waiting at any time, and must know.
#[derive(Debug, Default)]
pub(crate) struct Stage(AtomicU8);

const WAITING: u8 = 0;
const SENT: u8 = 1;
const GIVEN_UP: u8 = 2;

impl Stage {
    /// It is being sent, unless nobody waits for it any more.
    fn send(&self) -> bool {
        self.step(WAITING, SENT)
    }

    /// It was sent in vain and may be sent again.
    pub(crate) fn rewind(&self) {
        self.step(SENT, WAITING);
    }

    /// It is not to be sent any more; and if it has been, it may have happened.
    pub(crate) fn give_up(&self, what: &'static str) -> StoreError {
        let unsent = self.step(WAITING, GIVEN_UP);
        let change = if unsent { Change::Unchanged } else { Change::MayHaveHappened };
        StoreError::new(change, what)
    }

    fn step(&self, from: u8, to: u8) -> bool {
        self.0.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
}

/// A caller who waits; one who is dropped gives up.
pub(crate) struct Waiting(pub(crate) Arc<Stage>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.step(WAITING, GIVEN_UP);
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
