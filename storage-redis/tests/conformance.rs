//! The store in Redis is a store: the suite of `mintage::conformance`, unchanged.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

mod rig;

use mintage::conformance;
use mintage_storage_redis::RedisStore;

/// All cases share the server that the script has started; alone, each starts its own.
struct Proved {
    store: RedisStore,
    _server: Option<rig::Server>,
}

impl std::ops::Deref for Proved {
    type Target = RedisStore;

    fn deref(&self) -> &RedisStore {
        &self.store
    }
}

async fn proved() -> Proved {
    let (address, server) = rig::shared().await;
    let store = RedisStore::connect(address, rig::deadline(10_000)).await.unwrap();
    Proved { store, _server: server }
}

conformance::suite! { #[tokio::test(flavor = "multi_thread")] proved().await }
