//! The primary is another one now, as its sentinels say.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what fails here fails the test")]

mod rig;

use std::{sync::Arc, time::Duration};

use mintage::{
    TokenStore,
    grant::{Redemption, Strength, Verdict},
};
use mintage_storage_redis::RedisStore;
use tokio::time::{Instant, sleep};

use self::rig::{
    Server,
    field::Field,
    load::{Callers, Reckoning},
    replicated,
    sentinel::Sentinel,
};

/// The primary becomes a replica while callers are at work: it refuses their writes from then on.
#[tokio::test(flavor = "multi_thread")]
async fn callers_follow_the_sentinel_to_the_new_primary() {
    let primary = Server::start(&[]).await;
    let replica = primary.replica().await;
    let sentinel = Sentinel::over(&primary).await;
    let store = connect(&sentinel).await;
    let field = Field::new("switched");
    let callers = Callers::start(&(Arc::new(store.clone()) as _), &field, &Arc::default());
    sleep(Duration::from_millis(100)).await;
    sentinel.switch().await;
    sentinel.until(&replica).await;
    primary.follow(&replica).await;
    served(&store, &field, 1_000_000).await;
    let histories = callers.stop().await;
    assert!(replica.writes().await > 0, "nothing was written on the new primary");
    let store: Arc<dyn TokenStore> = Arc::new(store);
    let reckoning = Reckoning::of(&store, &field, histories).await;
    println!("one switch: {reckoning}");
    assert!(reckoning.flaws.is_empty(), "{reckoning}");
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_find_the_primary_that_took_the_place_of_a_dead_one() {
    let mut primary = Server::start(&[]).await;
    let replica = primary.replica().await;
    let sentinel = Sentinel::over(&primary).await;
    let store = connect(&sentinel).await;
    let field = Field::new("dead");
    let issued = store.issue(&field.issue(0, Strength::Standard), &field.cx).await.unwrap();
    assert!(matches!(issued, Verdict::Granted { .. }));
    primary.kill();
    sentinel.until(&replica).await;
    // Nobody follows the new primary yet, so it has not been acknowledged; but it was asked.
    let plain = RedisStore::connect(sentinel.address(), rig::deadline(1_000)).await.unwrap();
    let spent = plain.redeem(&field.redeem(0, 0), &field.cx).await.unwrap();
    assert!(matches!(spent, Redemption::Redeemed { retried: false, .. }), "{spent:?}");
    primary.launch().await;
    primary.follow(&replica).await;
    served(&store, &field, 8).await;
}

async fn connect(sentinel: &Sentinel) -> RedisStore {
    RedisStore::connect(sentinel.address(), replicated(1, 1_000)).await.unwrap()
}

/// Waits until a token is issued and spent.
async fn served(store: &RedisStore, field: &Field, token: u64) {
    let (began, issue) = (Instant::now(), field.issue(token, Strength::Standard));
    loop {
        match store.issue(&issue, &field.cx).await {
            Ok(Verdict::Granted { .. }) => break,
            Ok(refused) => panic!("{refused:?}"),
            Err(error) => assert!(began.elapsed() < Duration::from_secs(15), "{error}"),
        }
        sleep(Duration::from_millis(20)).await;
    }
    let spent = store.redeem(&field.redeem(token, 0), &field.cx).await.unwrap();
    assert!(matches!(spent, Redemption::Redeemed { .. }), "{spent:?}");
}

impl Server {
    /// How many scripts it has run.
    async fn writes(&self) -> u64 {
        let calls = self.field("commandstats", "cmdstat_evalsha").await;
        let calls = calls.split(',').next().unwrap().strip_prefix("calls=");
        calls.map_or(0, |calls| calls.parse().unwrap())
    }
}
