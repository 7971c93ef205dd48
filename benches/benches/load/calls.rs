//! Calls that are made at their time, whatever has become of those before them.
//!
//! In an open loop each call is due at an instant that was drawn beforehand, and its latency runs
//! from then, not from when it was sent. So whatever keeps a call from being sent, a stall of the
//! server, a queue, or a late generator, counts in full. A loop that sends the next call when the
//! last one is answered asks less while the server stalls, and so leaves out just the calls that
//! would have waited: "coordinated omission".

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use tokio::{
    runtime::Handle,
    sync::mpsc::unbounded_channel,
    task::JoinSet,
    time::{Instant, sleep_until, timeout_at},
};

use mintage_benches::Failure;

/// How long the last of what was offered is waited for. An engine has answered long before.
const PATIENCE: Duration = Duration::from_secs(10);

/// What came of a call.
#[derive(Debug)]
pub(crate) struct Call<T> {
    /// Which it was.
    pub(crate) nth: usize,
    /// How much later than due it was sent.
    pub(crate) late: Duration,
    /// From when it was due to its answer.
    pub(crate) latency: Duration,
    /// When it was answered, from the start of all.
    pub(crate) answered: Duration,
    pub(crate) answer: T,
}

impl<T> Call<T> {
    fn now(nth: usize, start: Instant, due: Instant, late: Duration, answer: T) -> Self {
        Self { nth, late, latency: due.elapsed(), answered: start.elapsed(), answer }
    }
}

/// Threads make these calls, each the next one as soon as it is due, or at once where nothing says
/// when. For calls that never wait: a thread more than there are cores would do nothing.
///
/// # Errors
/// When a thread panicked.
pub(crate) fn by_threads<T: Send>(
    threads: usize,
    count: usize,
    due: Option<&[Duration]>,
    call: impl Fn(usize) -> T + Sync,
) -> Result<Vec<Call<T>>, Failure> {
    let (start, next) = (Instant::now(), AtomicUsize::new(0));
    let one = || {
        let mut done = Vec::with_capacity(count);
        loop {
            let nth = next.fetch_add(1, Ordering::Relaxed);
            if nth >= count {
                return done;
            }
            let due = due.and_then(|due| due.get(nth)).map_or_else(Instant::now, |at| start + *at);
            let late = wait_for(due);
            let answer = call(nth);
            done.push(Call::now(nth, start, due, late, answer));
        }
    };
    let done = thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(one)).collect();
        threads.into_iter().map(|thread| thread.join().ok()).collect::<Option<Vec<_>>>()
    });
    Ok(done.ok_or("a thread panicked")?.into_iter().flatten().collect())
}

/// A closed loop: so many callers, each of whom makes the next call as soon as it is answered.
pub(crate) async fn by_callers<T, F>(
    callers: usize,
    count: usize,
    call: impl Fn(usize) -> F + Send + Sync + 'static,
) -> Vec<Call<T>>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let (shared, start) = (Arc::new((AtomicUsize::new(0), call)), Instant::now());
    let mut tasks = JoinSet::new();
    for _ in 0..callers {
        let shared = Arc::clone(&shared);
        tasks.spawn(async move {
            let (next, call) = &*shared;
            let mut done = Vec::new();
            loop {
                let nth = next.fetch_add(1, Ordering::Relaxed);
                if nth >= count {
                    return done;
                }
                let due = Instant::now();
                let answer = call(nth).await;
                done.push(Call::now(nth, start, due, Duration::ZERO, answer));
            }
        });
    }
    tasks.join_all().await.into_iter().flatten().collect()
}

/// An open loop: each call is a task, started when it is due. A thread of its own watches the time,
/// for tokio's timers know but milliseconds.
///
/// # Errors
/// When a call was never answered.
pub(crate) async fn by_arrivals<T, F>(
    due: Vec<Duration>,
    call: impl Fn(usize) -> F + Send + Sync + 'static,
) -> Result<Vec<Call<T>>, Failure>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let (count, runtime, call) = (due.len(), Handle::current(), Arc::new(call));
    let (tell, mut told) = unbounded_channel();
    let start = Instant::now();
    let end = start + due.last().copied().unwrap_or_default();
    thread::spawn(move || {
        for (nth, at) in due.into_iter().enumerate() {
            let (due, call, tell) = (start + at, Arc::clone(&call), tell.clone());
            let late = wait_for(due);
            runtime.spawn(async move {
                let answer = call(nth).await;
                // Nobody listens any more where patience has come to its end.
                drop(tell.send(Call::now(nth, start, due, late, answer)));
            });
        }
    });
    // Answers are left lying until all has been offered: to take each at once would be work, too.
    sleep_until(end).await;
    let mut done = Vec::with_capacity(count);
    while let Ok(Some(call)) = timeout_at(end + PATIENCE, told.recv()).await {
        done.push(call);
    }
    if done.len() == count {
        Ok(done)
    } else {
        Err(format!("of {count} calls {} were answered", done.len()).into())
    }
}

/// How late it is, once it is that time.
fn wait_for(due: Instant) -> Duration {
    thread::sleep(due.saturating_duration_since(Instant::now()));
    due.elapsed()
}
