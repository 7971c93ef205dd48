//! Calls that wait at the same time travel together, and nobody waits for company.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what fails here fails the test")]

mod rig;

use mintage::{
    TokenStore as _,
    grant::{Redemption, Refusal, Strength, Verdict},
};
use mintage_storage_redis::{RedisStore, Settings};

use self::rig::{Server, deadline, field::Field, replicated};

async fn issued(store: &RedisStore, field: &Field, token: u64) {
    let issued = store.issue(&field.issue(token, Strength::Standard), &field.cx).await.unwrap();
    assert!(matches!(issued, Verdict::Granted { retried: false, .. }), "{issued:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_calls_at_once_share_a_wait_and_one_alone_has_its_own() {
    let primary = Server::start(&[]).await;
    let replica = primary.replica().await;
    let store = primary.store_with(replicated(1, 10_000)).await;
    let field = Field::new("waits");
    for token in 0..512 {
        issued(&store, &field, token).await;
    }

    let before = primary.waits().await;
    for token in 0..64 {
        drop(store.redeem(&field.redeem(token, token), &field.cx).await.unwrap());
    }
    let alone = primary.waits().await - before;
    assert_eq!(alone, 64, "calls, one after the other");

    let before = primary.waits().await;
    let calls: Vec<_> = (64..512)
        .map(|token| {
            let (store, field) = (store.clone(), field.clone());
            tokio::spawn(async move { store.redeem(&field.redeem(token, token), &field.cx).await })
        })
        .collect();
    for call in calls {
        let answer = call.await.unwrap().unwrap();
        assert!(matches!(answer, Redemption::Redeemed { retried: false, .. }), "{answer:?}");
    }
    let together = primary.waits().await - before;
    println!("448 calls at once: {together} WAITs");
    assert!(together < 448 / 4, "{together}");
    drop(replica);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_caller_gets_its_own_answer() {
    let server = Server::start(&[]).await;
    let settings = Settings { connections: 1.try_into().unwrap(), ..deadline(10_000) };
    let store = server.store_with(settings).await;
    let field = Field::new("answers");
    for token in 0..256 {
        issued(&store, &field, token).await;
    }
    // Every third is asked for with a wrong secret, and every fifth does not exist.
    let calls: Vec<_> = (0..256_u64)
        .map(|token| {
            let (store, field) = (store.clone(), field.clone());
            let mut redeem = field.redeem(token, token);
            if token % 3 == 0 {
                redeem.secret = field.redeem(token + 1, 0).secret;
            }
            if token % 5 == 0 {
                redeem.id = field.redeem(token + 10_000, 0).id;
            }
            tokio::spawn(async move { (token, store.redeem(&redeem, &field.cx).await.unwrap()) })
        })
        .collect();
    for call in calls {
        let (token, answer) = call.await.unwrap();
        match answer {
            Redemption::Redeemed { grant, retried: false } => {
                assert!(token % 3 != 0 && token % 5 != 0, "{token}");
                assert_eq!(grant.id, field.redeem(token, 0).id);
                assert_eq!(grant.terms.credential, Field::credential(token));
            }
            Redemption::Refused(Refusal::Unknown) => assert_eq!(token % 5, 0),
            Redemption::Refused(Refusal::Secret) => assert_eq!(token % 3, 0),
            other => panic!("{token}: {other:?}"),
        }
    }
}

/// 32 attempts on each of eight tokens: all of a token's but one must be told of the one.
#[tokio::test(flavor = "multi_thread")]
async fn of_many_calls_for_one_token_one_wins() {
    let server = Server::start(&[]).await;
    let store = server.store().await;
    let field = Field::new("one-token");
    for token in 0..8 {
        issued(&store, &field, token).await;
    }
    let calls: Vec<_> = (0..256_u64)
        .map(|attempt| {
            let (store, field) = (store.clone(), field.clone());
            tokio::spawn(async move {
                let redeem = field.redeem(attempt % 8, attempt);
                (attempt % 8, store.redeem(&redeem, &field.cx).await.unwrap())
            })
        })
        .collect();
    let mut granted = [0; 8];
    for call in calls {
        let (token, answer) = call.await.unwrap();
        match answer {
            Redemption::Redeemed { retried: false, .. } => {
                granted[usize::try_from(token).unwrap()] += 1;
            }
            Redemption::Replayed { revoked: false } => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(granted, [1; 8]);
}

impl Server {
    async fn waits(&self) -> u64 {
        let calls = self.field("commandstats", "cmdstat_wait").await;
        let calls = calls.split(',').next().unwrap().strip_prefix("calls=");
        calls.map_or(0, |calls| calls.parse().unwrap())
    }
}
