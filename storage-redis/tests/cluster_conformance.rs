//! The store on a cluster of three primaries is a store: the suite of `mintage::conformance`,
//! unchanged.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

mod rig;

use mintage::conformance;
use mintage_storage_redis::RedisStore;

use self::rig::{
    cluster::{self, Cluster},
    deadline,
};

/// All cases share the cluster that the script has started; alone, each starts its own.
struct Proved {
    store: RedisStore,
    _cluster: Option<Cluster>,
}

impl std::ops::Deref for Proved {
    type Target = RedisStore;

    fn deref(&self) -> &RedisStore {
        &self.store
    }
}

async fn proved() -> Proved {
    let (address, cluster) = cluster::shared().await;
    let store = RedisStore::connect(address, deadline(10_000)).await.unwrap();
    Proved { store, _cluster: cluster }
}

conformance::suite! { #[tokio::test(flavor = "multi_thread")] proved().await }
