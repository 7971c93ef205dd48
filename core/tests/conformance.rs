//! The store in memory is a store: each case on a store of its own, and all of them on one.
#![cfg(feature = "conformance")]

use std::{num::NonZeroUsize, sync::Arc};

use mintage::{MemoryStore, conformance};
use time::OffsetDateTime;

fn memory() -> Arc<MemoryStore> {
    Arc::new(MemoryStore::new(NonZeroUsize::MAX, OffsetDateTime::UNIX_EPOCH))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cases_share_one_store_at_once() {
    let store = memory();
    let cases = conformance::CASES.repeat(3).into_iter().map(|case| {
        let store = store.clone();
        tokio::spawn(async move { case.run(&*store).await })
    });
    for case in cases.collect::<Vec<_>>() {
        case.await.unwrap().unwrap();
    }
}

conformance::suite! { #[tokio::test] memory() }
