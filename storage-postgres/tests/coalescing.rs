//! Calls that wait at the same time travel together, and nobody waits for company.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what fails here fails the test")]

mod rig;

use mintage::{
    TokenStore as _,
    grant::{Redemption, Strength, Verdict},
};
use mintage_storage_postgres::{PostgresStore, Settings};

use self::rig::{Server, deadline, field::Field};

/// How many transactions have written something.
async fn commits(server: &Server) -> i64 {
    server.value("SELECT txid_snapshot_xmax(txid_current_snapshot())").await
}

async fn issued(store: &PostgresStore, field: &Field, token: u64) {
    let issued = store.issue(&field.issue(token, Strength::Standard), &field.cx).await.unwrap();
    assert!(matches!(issued, Verdict::Granted { retried: false, .. }), "{issued:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_calls_at_once_share_a_commit_and_one_alone_has_its_own() {
    let server = Server::start(&["autovacuum = off"]).await;
    let store = server.store_with(deadline(10_000)).await;
    let field = Field::new("commits");
    for token in 0..512 {
        issued(&store, &field, token).await;
    }

    let before = commits(&server).await;
    for token in 0..64 {
        drop(store.redeem(&field.redeem(token, token), &field.cx).await.unwrap());
    }
    let alone = commits(&server).await - before;
    assert_eq!(alone, 64, "calls, one after the other");

    let before = commits(&server).await;
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
    let together = commits(&server).await - before;
    assert!(together < 448 / 4, "448 calls at once: {together} commits");
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
            Redemption::Refused(mintage::grant::Refusal::Unknown) => assert_eq!(token % 5, 0),
            Redemption::Refused(mintage::grant::Refusal::Secret) => assert_eq!(token % 3, 0),
            other => panic!("{token}: {other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_calls_for_one_row_never_share_a_statement() {
    let server = Server::start(&[]).await;
    let settings = Settings { connections: 1.try_into().unwrap(), ..deadline(10_000) };
    let store = server.store_with(settings).await;
    let field = Field::new("one-row");
    for token in 0..8 {
        issued(&store, &field, token).await;
    }
    // 32 attempts on each of eight tokens: all of a token's but one must be told of the one.
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

#[tokio::test(flavor = "multi_thread")]
async fn batches_that_meet_on_the_same_rows_do_not_deadlock() {
    let server = Server::start(&["deadlock_timeout = 100ms"]).await;
    let stores =
        [server.store_with(deadline(20_000)).await, server.store_with(deadline(20_000)).await];
    let field = Field::new("deadlock");
    // Logins of the same people, opened from both nodes, in opposite orders, time after time.
    let mut logins = Vec::new();
    for token in 0..64 {
        let login = stores[0].issue(&field.log_in(token * 8), &field.cx).await.unwrap();
        let Verdict::Granted { grant, .. } = login else { panic!("{login:?}") };
        logins.push(grant);
    }
    let calls: Vec<_> = (0..1024_u64)
        .map(|nth| {
            let (store, field) = (stores[(nth % 2) as usize].clone(), field.clone());
            let at = if nth % 2 == 0 { nth / 2 % 64 } else { 63 - nth / 2 % 64 };
            let login = logins[usize::try_from(at).unwrap()].clone();
            // Both nodes make the same attempts: the children meet as well.
            tokio::spawn(async move { store.open(&field.open(&login, nth / 128), &field.cx).await })
        })
        .collect();
    for call in calls {
        let opened = call.await.unwrap().unwrap();
        assert!(matches!(opened, Redemption::Redeemed { .. }), "{opened:?}");
    }
    assert!(!server.log().contains("deadlock detected"));
}
