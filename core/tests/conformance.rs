//! The store in memory is a store. Each case has a store of its own here; a server would be shared.
#![cfg(feature = "conformance")]

use std::{num::NonZeroUsize, sync::Arc};

use mintage::{MemoryStore, conformance};
use time::OffsetDateTime;

fn memory() -> Arc<MemoryStore> {
    Arc::new(MemoryStore::new(NonZeroUsize::MAX, OffsetDateTime::UNIX_EPOCH))
}

conformance::suite!(
    #[tokio::test]
    memory()
);
