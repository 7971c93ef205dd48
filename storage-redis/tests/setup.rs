//! Connecting: who may, to what, under which names; and letting go.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what fails here fails the test")]
#![allow(clippy::disallowed_methods, reason = "a deadline is measured by a clock of its own")]

mod rig;

use std::time::{Duration, Instant};

use mintage::{
    Change, Generation, TokenStore as _,
    grant::{Redemption, Refusal, Revocation, RevokeAll, Strength, Verdict},
};
use mintage_storage_redis::{Address, RedisStore, Settings};
use tokio::time::sleep;

use self::rig::{
    Server, deadline,
    field::{Field, bearer},
    proxy::Proxy,
    replicated,
};

/// What a user needs, and no more: as the crate's page lists it.
const RULES: &str = include_str!("rig/acl.txt");

fn with_user(server: &Server, user: &str) -> Address {
    format!("redis://{user}@127.0.0.1:{}", server.port()).parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_with_the_listed_rules_alone_can_do_all() {
    let primary = Server::start(&[]).await;
    let replica = primary.replica().await;
    let mut rules = vec!["ACL", "SETUSER", "mintage", "on", ">hunter2"];
    rules.extend(RULES.split_whitespace());
    let () = primary.ask(&rules).await.unwrap();
    let address = with_user(&primary, "mintage:hunter2");
    let store = RedisStore::connect(address, replicated(1, 5_000)).await.unwrap();
    let field = Field::new("acl");
    let cx = &field.cx;

    let issue = field.issue(0, Strength::SteppedUp { until: None });
    assert!(matches!(store.issue(&issue, cx).await.unwrap(), Verdict::Granted { .. }));
    drop(store.read(&field.read(0), cx).await.unwrap());
    let login = store.issue(&field.log_in(0), cx).await.unwrap();
    let Verdict::Granted { grant: login, .. } = login else { panic!("{login:?}") };
    let opened = store.open(&field.open(&login, 1), cx).await.unwrap();
    let Redemption::Redeemed { grant, .. } = opened else { panic!("{opened:?}") };
    let touched = store.touch(&field.touch(&grant), cx).await.unwrap();
    assert!(matches!(touched, Verdict::Granted { .. }), "{touched:?}");
    let stepped = store.step_up(&field.step_up(&grant, 0, 2), cx).await.unwrap();
    let Redemption::Redeemed { grant, .. } = stepped else { panic!("{stepped:?}") };
    let elevate = mintage::grant::Elevate { bearer: bearer(&grant), until: None };
    drop(store.elevate(&elevate, cx).await.unwrap());
    let revoked = store.revoke(&field.revoke(0), cx).await.unwrap();
    assert_eq!(revoked, Revocation::Revoked);
    let all = RevokeAll {
        tenant: field.tenant.clone(),
        credential: Field::credential(0),
        up_to: cx.now,
        generation: Generation::from_bytes([8; 16]),
    };
    store.revoke_all(&all, cx).await.unwrap();
    let epoch = store.epoch(cx.now).await.unwrap();
    assert!(store.raise_epoch(cx.now).await.unwrap() > epoch);
    store.purge(1.try_into().unwrap(), cx.now).await.unwrap();
    let guarantee = store.guarantee().await.unwrap();
    println!("under ACL: {guarantee:?}");
    assert!(!guarantee.may_evict, "{}", guarantee.reason);
    drop(replica);

    // The control: it is these rules that count.
    let denied: Result<String, _> =
        redis::cmd("KEYS").arg("*").query_async(&mut as_user(&primary).await).await;
    assert!(denied.is_err(), "{denied:?}");
}

async fn as_user(server: &Server) -> redis::aio::MultiplexedConnection {
    let url = format!("redis://mintage:hunter2@127.0.0.1:{}", server.port());
    rig::connection_to(&url).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_not_let_in_is_told_so_and_no_password_is_shown() {
    let server = Server::start(&[]).await;
    server.set("requirepass", "correct-horse").await;
    for (user, secret) in [(":hunter2", "hunter2"), ("nobody:hunter3", "hunter3"), ("", "\0")] {
        let address = if user.is_empty() { server.address() } else { with_user(&server, user) };
        assert!(!format!("{address:?}").contains(secret));
        let error = RedisStore::connect(address, deadline(1_000)).await.unwrap_err();
        let shown = format!("{error} {error:?} {:?}", std::error::Error::source(&error));
        println!("{user}: {shown}");
        assert!(!shown.contains(secret), "{shown}");
    }
    let address = with_user(&server, ":correct-horse");
    let store = RedisStore::connect(address, deadline(1_000)).await.unwrap();
    assert!(!format!("{store:?}").contains("correct-horse"));
    let (field, issue) = (Field::new("let-in"), |field: &Field| field.issue(0, Strength::Standard));
    drop(store.issue(&issue(&field), &field.cx).await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_not_there_is_told_in_time() {
    let address: Address = format!("redis://127.0.0.1:{}", rig::free_port()).parse().unwrap();
    let began = Instant::now();
    let error = RedisStore::connect(address, deadline(500)).await.unwrap_err();
    println!("{error}");
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());

    // One that takes the connection and says nothing.
    let server = Server::start(&[]).await;
    let wire = Proxy::to(server.port()).await;
    wire.silence();
    let began = Instant::now();
    let error = RedisStore::connect(wire.address(), deadline(500)).await.unwrap_err();
    println!("{error}");
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
}

/// The very same token, in the same place but for the prefix, or the database.
#[tokio::test(flavor = "multi_thread")]
async fn prefixes_and_databases_do_not_see_each_other() {
    let server = Server::start(&[]).await;
    let prefixed = Settings { prefix: "other:".parse().unwrap(), ..deadline(5_000) };
    let third = format!("{}/3", server.url()).parse().unwrap();
    let stores = [
        server.store().await,
        server.store_with(prefixed).await,
        RedisStore::connect(third, deadline(5_000)).await.unwrap(),
    ];
    let field = Field::new("apart");
    for (number, store) in stores.iter().enumerate() {
        let redeem = field.redeem(0, number as u64);
        let before = store.redeem(&redeem, &field.cx).await.unwrap();
        assert_eq!(before, Redemption::Refused(Refusal::Unknown), "store {number}");
        drop(store.issue(&field.issue(0, Strength::Standard), &field.cx).await.unwrap());
    }
    for (number, store) in stores.iter().enumerate() {
        let redeem = field.redeem(0, number as u64);
        let spent = store.redeem(&redeem, &field.cx).await.unwrap();
        assert!(matches!(spent, Redemption::Redeemed { retried: false, .. }), "store {number}");
    }
    // Each has an epoch of its own as well.
    let epoch = stores[1].raise_epoch(field.later(60).cx.now).await.unwrap();
    for store in [&stores[0], &stores[2]] {
        assert!(store.epoch(field.cx.now).await.unwrap() < epoch);
    }
    let keys = server.keys().await;
    let (other, own): (Vec<_>, Vec<_>) = keys.iter().partition(|key| key.starts_with(b"other:"));
    assert_eq!((other.len(), own.len()), (3, 3), "a head, a grant and an epoch each");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_closes_answers_what_it_was_asked_and_takes_no_more() {
    let server = Server::start(&[]).await;
    let wire = Proxy::to(server.port()).await;
    let store = RedisStore::connect(wire.address(), deadline(2_000)).await.unwrap();
    let field = Field::new("closing");
    for token in 0..32 {
        drop(store.issue(&field.issue(token, Strength::Standard), &field.cx).await.unwrap());
    }
    wire.delay(Duration::from_millis(50));
    let calls: Vec<_> = (0..32)
        .map(|token| {
            let (store, field) = (store.clone(), field.clone());
            tokio::spawn(async move { store.redeem(&field.redeem(token, 0), &field.cx).await })
        })
        .collect();
    sleep(Duration::from_millis(20)).await;
    store.close().await;
    for call in calls {
        let answer = call.await.unwrap().unwrap();
        assert!(matches!(answer, Redemption::Redeemed { retried: false, .. }), "{answer:?}");
    }
    let error = store.redeem(&field.redeem(0, 0), &field.cx).await.unwrap_err();
    assert_eq!(error.change(), Change::Unchanged, "{error}");
    server.alone().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_closes_waits_for_no_server_that_hangs() {
    let server = Server::start(&[]).await;
    let store = server.store_with(deadline(300)).await;
    let field = Field::new("closing-on");
    drop(store.issue(&field.issue(0, Strength::Standard), &field.cx).await.unwrap());
    server.halt();
    let call = {
        let (store, field) = (store.clone(), field.clone());
        tokio::spawn(async move { store.redeem(&field.redeem(0, 0), &field.cx).await })
    };
    sleep(Duration::from_millis(20)).await;
    let began = Instant::now();
    store.close().await;
    let took = began.elapsed();
    assert!(took < Duration::from_millis(2 * 300 + 100), "{took:?}");
    assert_eq!(call.await.unwrap().unwrap_err().change(), Change::MayHaveHappened);
    server.resume();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_dropped_leaves_no_connection() {
    let server = Server::start(&[]).await;
    let store = server.store().await;
    let field = Field::new("dropped");
    drop(store.issue(&field.issue(0, Strength::Standard), &field.cx).await.unwrap());
    drop(store);
    server.alone().await;
}

impl Server {
    /// Waits until nobody but us is connected.
    async fn alone(&self) {
        for _ in 0..200 {
            if self.field("clients", "connected_clients").await == "1" {
                return;
            }
            sleep(Duration::from_millis(10)).await;
        }
        panic!("{} clients", self.field("clients", "connected_clients").await);
    }
}
