//! The store in PostgreSQL is a store: the suite of `mintage::conformance`, unchanged.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

mod rig;

use mintage::conformance;
use mintage_storage_postgres::PostgresStore;

/// All cases share the server that the script has started; alone, each starts its own.
struct Proved {
    store: PostgresStore,
    _server: Option<rig::Server>,
}

impl std::ops::Deref for Proved {
    type Target = PostgresStore;

    fn deref(&self) -> &PostgresStore {
        &self.store
    }
}

async fn proved() -> Proved {
    let (options, server) = rig::shared().await;
    let store = rig::store_at(options, rig::deadline(10_000)).await;
    Proved { store, _server: server }
}

conformance::suite! { #[tokio::test(flavor = "multi_thread")] proved().await }
