//! How grants end on purpose.

use mintage::{Denied, Error, Lifetime, SecretText, Status, Unauthenticated, grant::Refusal};

use crate::world::*;

#[tokio::test]
async fn logging_out_ends_everything_that_came_from_the_login() {
    let world = World::new().await;
    let (login, access) = world.open().await;
    let sibling = world.exchange(&Way::open(&login)).await.unwrap().token;
    world.engine.log_out(&acme(), &access).await.unwrap();
    for token in [&access, &sibling] {
        let ended = Unauthenticated::Grant(Refusal::Login);
        let refused = world.live(token).await;
        assert!(matches!(refused, Err(Error::Unauthenticated(why)) if why == ended), "{refused:?}");
    }
    assert!(world.exchange(&Way::open(&login)).await.is_err());
    assert!(world.engine.log_out(&acme(), &login).await.is_err(), "there is nothing left to end");
}

#[tokio::test]
async fn logging_out_without_a_login_ends_the_token_alone() {
    let world = World::new().await;
    let one = world.one_time(Status::Standard).await;
    let one = world.exchange(&Way::redeem(&one)).await.unwrap().token;
    let two = world.one_time(Status::Standard).await;
    let two = world.exchange(&Way::redeem(&two)).await.unwrap().token;
    world.engine.log_out(&acme(), &one).await.unwrap();
    assert!(world.live(&one).await.is_err());
    assert!(world.live(&two).await.is_ok());
}

#[tokio::test]
async fn a_revoked_one_time_token_buys_nothing() {
    let world = World::new().await;
    let token = world.one_time(Status::Standard).await;
    world.engine.revoke(&acme_app(), &SecretText::new(token.clone())).await.unwrap();
    let way = Way::redeem(&token).attempt("a");
    let got = world.exchange(&way).await.unwrap();
    world.engine.revoke(&acme(), &SecretText::new(token)).await.unwrap();
    assert!(world.live(&got.token).await.is_err());
    let refused = denied(world.exchange(&way).await);
    assert_eq!(refused, Denied::Grant(Refusal::Revoked), "not even its own attempt");
    world.engine.revoke(&acme(), &SecretText::new("unknown")).await.unwrap();
}

#[tokio::test]
async fn revoking_a_credential_ends_all_of_its_grants_and_no_others() {
    let world = World::new().await;
    let (login, access) = world.open().await;
    let token = world.one_time(Status::Standard).await;
    let others = mintage::IssueOneTime {
        credential: user(),
        identity: Some(company()),
        status: Status::Standard,
        lifetime: None,
        scope: None,
        claims: None,
    };
    let others = world.engine.issue_one_time(&acme(), others).await.unwrap().token.to_text();
    world.engine.revoke_all(&acme().tenant, &root(), None).await.unwrap();
    assert!(world.live(&access).await.is_err());
    assert!(world.exchange(&Way::open(&login)).await.is_err());
    assert_eq!(denied(world.exchange(&Way::redeem(&token)).await), Denied::Grant(Refusal::Head));
    assert!(world.exchange(&Way::redeem(others.expose())).await.is_ok());
    let fresh = world.one_time(Status::Standard).await;
    assert!(world.exchange(&Way::redeem(&fresh)).await.is_ok(), "a new login starts afresh");
}

#[tokio::test]
async fn revoking_up_to_an_instant_spares_what_was_issued_later() {
    let world = World::new().await;
    let old = world.one_time(Status::Standard).await;
    world.advance(Lifetime::from_secs(1));
    let instant = mintage::Clock::now(&*world.clock);
    world.advance(Lifetime::from_secs(1));
    let new = world.one_time(Status::Standard).await;
    world.advance(Lifetime::from_secs(1));
    world.engine.revoke_all(&acme().tenant, &root(), Some(instant)).await.unwrap();
    assert_eq!(denied(world.exchange(&Way::redeem(&old)).await), Denied::Grant(Refusal::Head));
    assert!(world.exchange(&Way::redeem(&new)).await.is_ok());
}

#[tokio::test]
async fn raising_the_epoch_refuses_whatever_was_issued_before() {
    let world = World::new().await;
    let (_, access) = world.open().await;
    let token = world.one_time(Status::Standard).await;
    world.engine.raise_epoch().await.unwrap();
    assert!(world.live(&access).await.is_err());
    let refused = denied(world.exchange(&Way::redeem(&token)).await);
    assert_eq!(refused, Denied::Grant(Refusal::Epoch));
    let fresh = world.one_time(Status::Standard).await;
    assert!(world.exchange(&Way::redeem(&fresh)).await.is_ok());
}

#[tokio::test]
async fn another_engine_learns_of_a_raised_epoch_within_a_second() {
    let world = World::new().await;
    let (_, access) = world.open().await;
    let now = mintage::Clock::now(&*world.clock);
    mintage::TokenStore::raise_epoch(&*world.store, now.into()).await.unwrap();
    assert!(world.live(&access).await.is_ok(), "not yet");
    world.advance(Lifetime::from_secs(1));
    assert!(world.live(&access).await.is_err());
}

#[tokio::test]
async fn the_host_ends_a_grant_by_its_id_within_its_tenant() {
    let world = World::new().await;
    let token = world.one_time(Status::Standard).await;
    let got = world.exchange(&Way::redeem(&token)).await.unwrap();
    world.engine.revoke_grant(&other().tenant, got.grant).await.unwrap();
    assert!(world.live(&got.token).await.is_ok());
    world.engine.revoke_grant(&acme().tenant, got.grant).await.unwrap();
    assert!(world.live(&got.token).await.is_err());
}

#[tokio::test]
async fn a_policy_can_let_a_replay_change_nothing() {
    let on_replay = mintage::grant::OnReplay::Refuse;
    let world = World::with(mintage::Policy { on_replay, ..Default::default() }).await;
    let token = world.one_time(Status::Standard).await;
    let got = world.exchange(&Way::redeem(&token)).await.unwrap();
    let replay = denied(world.exchange(&Way::redeem(&token)).await);
    assert_eq!(replay, Denied::Replayed { revoked: false });
    assert!(world.live(&got.token).await.is_ok());
}

#[tokio::test]
async fn a_distrusted_key_ends_what_it_signed_at_once() {
    let world = World::new().await;
    let way = Way::redeem(&world.one_time(Status::Standard).await).attempt("a");
    let got = world.exchange(&way).await.unwrap();
    let now = mintage::Clock::now(&*world.clock).into();
    let kid = world.engine.verifying_keys().await.unwrap().iter().next().unwrap().kid();
    world.keys.inner().distrust(&kid, now).unwrap();
    assert!(world.live(&got.token).await.is_err());
    assert!(world.exchange(&way).await.is_err(), "a retry is not signed by it either");
    let fresh = Way::redeem(&world.one_time(Status::Standard).await);
    let fresh = world.exchange(&fresh).await.unwrap();
    assert!(world.live(&fresh.token).await.is_ok(), "another key has taken over");
}

#[tokio::test]
async fn what_is_dead_for_good_is_purged_and_nothing_else() {
    let world = World::new().await;
    let (_, access) = world.open().await;
    world.one_time(Status::Standard).await;
    world.advance(Lifetime::from_secs(70));
    let limit = std::num::NonZeroU32::new(10).unwrap();
    assert_eq!(world.engine.purge(limit).await.unwrap(), 1, "the one-time token");
    assert!(world.live(&access).await.is_ok());
    world.advance(Lifetime::from_hours(72));
    assert_eq!(world.engine.purge(limit).await.unwrap(), 3, "login, access token, head");
}
