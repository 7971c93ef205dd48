//! The one warning that must not be missed: a commit that did not wait for its standby after all.
//!
//! Whoever cancels a backend that waits for its synchronous standby makes it answer as if all were
//! well, but for a warning: "canceling wait for synchronous replication". sqlx 0.9 hands warnings
//! to nobody; it emits each as an event of `tracing`, and that is where this listens, on no other
//! task and to no other event.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use tracing::{
    Dispatch, Event, Level, Metadata, Subscriber,
    instrument::WithSubscriber as _,
    level_filters::LevelFilter,
    span::{Attributes, Id, Record},
    subscriber::Interest,
};

/// Listens to what the server says beside its answers.
#[derive(Debug, Clone)]
pub(crate) struct Listener {
    warned: Arc<AtomicBool>,
    dispatch: Dispatch,
}

impl Listener {
    /// To be made once: `tracing` looks at every event of the program when one is made.
    pub(crate) fn new() -> Self {
        let warned = Arc::new(AtomicBool::new(false));
        let dispatch = Dispatch::new(Notices { warned: Arc::clone(&warned) });
        Self { warned, dispatch }
    }

    /// The output of one statement, and whether the server warned while it ran.
    pub(crate) async fn heeding<T>(&self, statement: impl Future<Output = T> + Send) -> (T, bool) {
        self.warned.store(false, Ordering::Relaxed);
        let output = statement.with_subscriber(self.dispatch.clone()).await;
        (output, self.warned.load(Ordering::Relaxed))
    }
}

struct Notices {
    warned: Arc<AtomicBool>,
}

fn is_warning(metadata: &Metadata<'_>) -> bool {
    metadata.target() == "sqlx::postgres::notice" && *metadata.level() <= Level::WARN
}

impl Subscriber for Notices {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if is_warning(metadata) { Interest::always() } else { Interest::never() }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::WARN)
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        is_warning(metadata)
    }

    fn event(&self, _: &Event<'_>) {
        self.warned.store(true, Ordering::Relaxed);
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}
