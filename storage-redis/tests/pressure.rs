//! A server whose memory is full, and one that makes room by dropping what it likes: nothing is
//! minted, nothing is spent twice, and what is gone is refused.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what fails here fails the test")]

mod rig;

use std::{sync::Arc, time::Duration};

use mintage::{
    Change, Generation, Locator, StoreError, TokenStore,
    grant::{Context, Issue, Redemption, Refusal, Revocation, Strength, Verdict},
};
use tokio::time::sleep;

use self::rig::{
    Server,
    field::Field,
    load::{Callers, Flaw, Reckoning, spend, stock},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_full_server_mints_nothing_and_reads_go_on() {
    let server = Server::start(&["maxmemory-policy noeviction"]).await;
    let (store, field) = (server.store().await, Field::new("full"));
    let issue = async |token| store.issue(&field.issue(token, Strength::Standard), &field.cx).await;
    let login = store.issue(&field.log_in(800), &field.cx).await.unwrap();
    let Verdict::Granted { grant: login, .. } = login else { panic!("{login:?}") };
    for token in 0..3 {
        granted(&issue(token).await);
    }
    server.room(200_000).await;
    let (token, error) = 'full: {
        for token in 3..20_000 {
            match issue(token).await {
                Err(error) => break 'full (token, error),
                answer => granted(&answer),
            }
        }
        panic!("the memory was never full");
    };
    assert_full(&error);
    let read = store.read(&field.read(token), &field.cx).await.unwrap();
    assert_eq!(read, Verdict::Refused(Refusal::Unknown), "it was not issued");

    // Well beyond the limit, so that no answer depends on some buffer.
    server.set("maxmemory", "1").await;
    let read = store.read(&field.read(0), &field.cx).await.unwrap();
    assert!(matches!(read, Verdict::Granted { .. }), "{read:?}");
    let touched = store.touch(&field.touch(&login), &field.cx).await.unwrap();
    assert!(matches!(touched, Verdict::Granted { .. }), "{touched:?}");
    assert_full(&store.redeem(&field.redeem(0, 0), &field.cx).await.unwrap_err());
    assert_full(&store.revoke(&field.revoke(1), &field.cx).await.unwrap_err());
    assert_full(&store.open(&field.open(&login, 0), &field.cx).await.unwrap_err());
    assert_full(&issue(token).await.unwrap_err());

    server.set("maxmemory", "0").await;
    let spent = store.redeem(&field.redeem(0, 0), &field.cx).await.unwrap();
    assert!(matches!(spent, Redemption::Redeemed { retried: false, .. }), "{spent:?}");
    let revoked = store.revoke(&field.revoke(1), &field.cx).await.unwrap();
    assert_eq!(revoked, Revocation::Revoked);
    let refused = store.redeem(&field.redeem(1, 1), &field.cx).await.unwrap();
    assert_eq!(refused, Redemption::Refused(Refusal::Revoked));
    granted(&issue(token).await);
}

#[track_caller]
fn granted(answer: &Result<Verdict, StoreError>) {
    assert!(matches!(answer, Ok(Verdict::Granted { retried: false, .. })), "{answer:?}");
}

#[track_caller]
fn assert_full(error: &StoreError) {
    assert_eq!(error.change(), Change::Unchanged, "{error}");
    assert!(error.to_string().contains("memory"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_at_work_on_a_server_that_fills_up_are_told_the_truth() {
    let server = Server::start(&["maxmemory-policy noeviction"]).await;
    let store: Arc<dyn TokenStore> = Arc::new(server.store().await);
    let field = Field::new("filling");
    let callers = Callers::start(&store, &field, &Arc::default());
    for _ in 0..3 {
        server.room(50_000).await;
        sleep(Duration::from_millis(200)).await;
        server.set("maxmemory", "0").await;
        sleep(Duration::from_millis(50)).await;
    }
    let reckoning = Reckoning::of(&store, &field, callers.stop().await).await;
    println!("filled up three times: {reckoning}");
    assert!(reckoning.flaws.is_empty(), "{reckoning}");
    assert!(reckoning.spent > 0 && reckoning.unchanged > 0 && reckoning.unsure == 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_evicts_loses_tokens_and_spends_none_twice() {
    let server = Server::start(&["maxmemory-policy allkeys-lru"]).await;
    let store: Arc<dyn TokenStore> = Arc::new(server.store().await);
    let field = Field::new("evicted");
    server.room(300_000).await;
    let guarantee = store.guarantee().await.unwrap();
    assert!(guarantee.may_evict, "{}", guarantee.reason);
    assert!(guarantee.reason.contains("allkeys-lru"), "{}", guarantee.reason);
    let mut histories = stock(&store, &field, 0..1_000).await;
    for history in &mut histories {
        spend(&*store, &field, history, history.token).await;
    }
    histories.extend(stock(&store, &field, 1_000..3_000).await);
    server.set("maxmemory", "0").await;
    // What was gone when it was to be spent was refused already.
    let reckoning = Reckoning::of(&store, &field, histories).await;
    println!("evicting: {reckoning}");
    assert!(reckoning.spent > 0);
    assert!(reckoning.found(Flaw::Lost) > 0, "nothing was evicted: {reckoning}");
    assert_eq!(reckoning.found(Flaw::Lost), reckoning.flaws.len(), "{reckoning}");
}

/// Absence is refused: of the grant, of its head, and of the epoch that it was issued in.
#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_gone_is_refused() {
    let server = Server::start(&[]).await;
    let (store, field) = (server.store().await, Field::new("gone"));
    let now = field.cx.now;
    let epoch = store.epoch(now).await.unwrap();
    let field = Field { cx: Context { epoch, ..field.cx }, ..field };
    for token in 0..3 {
        granted(&store.issue(&field.issue(token, Strength::Standard), &field.cx).await);
    }
    let redeem = async |token, field: &Field| {
        store.redeem(&field.redeem(token, token), &field.cx).await.unwrap()
    };

    let tag = format!("{{{}}}", Locator::of(&field.tenant, &Field::credential(0)));
    let keys = server.keys().await;
    let grant = |key: &&Vec<u8>| contains(key, tag.as_bytes()) && !key.ends_with(tag.as_bytes());
    let head = |key: &&Vec<u8>| key.ends_with(tag.as_bytes());
    let grants: Vec<_> = keys.iter().filter(grant).collect();
    let heads: Vec<_> = keys.iter().filter(head).collect();
    assert_eq!((grants.len(), heads.len()), (3, 1));

    // One grant of the three, by its id.
    let id = field.redeem(0, 0).id;
    let tail = &id.as_bytes()[Locator::BYTES..];
    let gone: Vec<_> = grants.iter().filter(|key| key.ends_with(tail)).collect();
    assert_eq!(gone.len(), 1, "a grant's key ends with its tail");
    server.drop_key(gone[0]).await;
    assert_eq!(redeem(0, &field).await, Redemption::Refused(Refusal::Unknown));

    server.drop_key(heads[0]).await;
    assert_eq!(redeem(1, &field).await, Redemption::Refused(Refusal::Head));
    // A new head is another one: nothing of before stands under it.
    let generation = Generation::from_bytes([9; 16]);
    let issue = Issue { generation, ..field.issue(3, Strength::Standard) };
    granted(&store.issue(&issue, &field.cx).await);
    assert_eq!(redeem(1, &field).await, Redemption::Refused(Refusal::Head));
    assert!(matches!(redeem(3, &field).await, Redemption::Redeemed { .. }));

    let later = field.later(1);
    assert_eq!(store.epoch(later.cx.now).await.unwrap(), epoch, "the epoch stays");
    let epochs: Vec<_> = keys.iter().filter(|key| contains(key, b"{epoch}")).collect();
    assert_eq!(epochs.len(), 1);
    server.drop_key(epochs[0]).await;
    let raised = store.epoch(later.cx.now).await.unwrap();
    assert_eq!(raised.0, later.cx.now, "a store that has lost its epoch begins another");
    let later = Field { cx: Context { epoch: raised, ..later.cx }, ..later };
    assert_eq!(redeem(3, &later).await, Redemption::Refused(Refusal::Epoch));
}

fn contains(key: &[u8], part: &[u8]) -> bool {
    key.windows(part.len()).any(|window| window == part)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_may_evict_is_told_from_one_that_may_not() {
    let server = Server::start(&[]).await;
    let store = server.store().await;
    let cases = [
        ("0", "noeviction", false),
        ("0", "allkeys-lru", false),
        ("100mb", "noeviction", false),
        ("100mb", "allkeys-lru", true),
        ("100mb", "volatile-ttl", true),
        ("100mb", "allkeys-random", true),
    ];
    for (limit, policy, may_evict) in cases {
        server.set("maxmemory", limit).await;
        server.set("maxmemory-policy", policy).await;
        let guarantee = store.guarantee().await.unwrap();
        assert_eq!(guarantee.may_evict, may_evict, "{limit} {policy}: {}", guarantee.reason);
    }
}

impl Server {
    /// Limits its memory to what it uses now and that much more.
    async fn room(&self, bytes: u64) {
        let used: u64 = self.field("memory", "used_memory").await.parse().unwrap();
        self.set("maxmemory", &(used + bytes).to_string()).await;
    }

    async fn drop_key(&self, key: &[u8]) {
        let mut connection = self.connection().await.unwrap();
        let dropped: u32 = redis::cmd("DEL").arg(key).query_async(&mut connection).await.unwrap();
        assert_eq!(dropped, 1);
    }
}
