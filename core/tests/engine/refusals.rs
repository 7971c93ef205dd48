//! What is refused, and that a refusal burns nothing.

use mintage::{
    Change, Client, Denied, Error, Lifetime, Policy, Status, Unauthenticated, grant::Refusal,
};

use crate::world::*;

#[tokio::test]
async fn a_wrong_identity_client_or_tenant_burns_no_token() {
    let world = World::new().await;
    let token = world.one_time(Status::Standard).await;
    let way = Way::redeem(&token);
    let refusals = [
        (way.clone().for_identity(second_company()), Refusal::Identity),
        (way.clone().for_identity(stranger()), Refusal::Identity),
        (way.clone().by(acme_app()), Refusal::Client),
        (way.clone().by(other()), Refusal::Tenant),
    ];
    for (wrong, refusal) in refusals {
        assert_eq!(denied(world.exchange(&wrong).await), Denied::Grant(refusal));
    }
    assert!(world.exchange(&way).await.is_ok());
}

#[tokio::test]
async fn a_forged_secret_burns_no_token_and_revokes_nothing() {
    let world = World::new().await;
    let mine = world.one_time(Status::Standard).await;
    let got = world.exchange(&Way::redeem(&mine)).await.unwrap();
    // The id of the spent token with another secret and a right checksum.
    let other = world.one_time(Status::Standard).await;
    let forged = forge(&mine, &other);
    assert_eq!(denied(world.exchange(&Way::redeem(&forged)).await), Denied::Grant(Refusal::Secret));
    assert!(world.live(&got.token).await.is_ok());
}

/// The id of one token and the secret of another.
fn forge(id_of: &str, secret_of: &str) -> String {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    let raw = |token: &str| URL_SAFE_NO_PAD.decode(&token[4..]).unwrap();
    let mut forged = raw(id_of)[..24].to_vec();
    forged.extend_from_slice(&raw(secret_of)[24..56]);
    forged.extend_from_slice(&crc32fast::hash(&forged).to_be_bytes());
    format!("mot_{}", URL_SAFE_NO_PAD.encode(forged))
}

#[tokio::test]
async fn a_mistyped_token_never_reaches_the_store() {
    let world = World::new().await;
    let token = world.one_time(Status::Standard).await;
    let last = if token.ends_with('A') { 'B' } else { 'A' };
    let mistyped = format!("{}{last}", &token[..token.len() - 1]);
    // Not even the epoch is read, though it is due.
    world.advance(Lifetime::from_secs(2));
    let before = world.faults.calls();
    let refused = denied(world.exchange(&Way::redeem(&mistyped)).await);
    assert!(matches!(refused, Denied::OneTimeToken(_)));
    assert_eq!(world.faults.calls(), before);
}

#[tokio::test]
async fn a_step_up_needs_evidence_of_the_same_person_and_identity() {
    let world = World::new().await;
    let (_, access) = world.open().await;
    let standard = world.one_time(Status::Standard).await;
    let foreign = world.one_time_for(Some(second_company()), Status::SteppedUp).await;
    let good = world.one_time(Status::SteppedUp).await;

    let step = |token: &str| Way::step_up(&access, token);
    let refused = denied(world.exchange(&step(&standard)).await);
    assert_eq!(refused, Denied::Grant(Refusal::Status));
    let refused = denied(world.exchange(&step(&foreign)).await);
    assert_eq!(refused, Denied::Grant(Refusal::Identity));
    let refused = denied(world.exchange(&step(&good).for_identity(second_company())).await);
    assert_eq!(refused, Denied::OtherIdentity);

    let issue = mintage::IssueOneTime {
        credential: user(),
        identity: Some(company()),
        status: Status::SteppedUp,
        lifetime: None,
        scope: None,
        claims: None,
    };
    let theirs = world.engine.issue_one_time(&acme(), issue).await.unwrap().token.to_text();
    let refused = denied(world.exchange(&step(theirs.expose())).await);
    assert_eq!(refused, Denied::OtherCredential);

    assert!(world.live(&access).await.is_ok(), "a refused step-up ends nothing");
    assert!(world.exchange(&Way::redeem(&standard)).await.is_ok(), "and burns nothing");
    assert!(world.exchange(&step(&good)).await.is_ok());
}

#[tokio::test]
async fn a_step_up_with_a_dead_bearer_spends_nothing() {
    let world = World::new().await;
    let (_, access) = world.open().await;
    let token = world.one_time(Status::SteppedUp).await;
    world.engine.revoke(&acme(), &access).await.unwrap();
    let refused = world.exchange(&Way::step_up(&access, &token)).await;
    let why = Unauthenticated::Grant(Refusal::Revoked);
    assert!(matches!(refused, Err(Error::Unauthenticated(it)) if it == why));
    assert!(world.exchange(&Way::redeem(&token)).await.is_ok());
}

#[tokio::test]
async fn a_bearer_of_another_client_or_tenant_is_nobody() {
    let world = World::new().await;
    let (login, access) = world.open().await;
    let namesake = Client { tenant: other().tenant, ..acme() };
    for (client, why) in [
        (acme_app(), Unauthenticated::OtherClient),
        (other(), Unauthenticated::OtherTenant),
        (namesake, Unauthenticated::OtherTenant),
    ] {
        let opened = world.exchange(&Way::open(&login).by(client.clone())).await;
        assert!(matches!(opened, Err(Error::Unauthenticated(it)) if it == why), "{opened:?}");
        let live = world.engine.authenticate::<mintage::AnyStatus>(&client, &access).await;
        assert!(matches!(live, Err(Error::Unauthenticated(it)) if it == why), "{live:?}");
    }
}

#[tokio::test]
async fn an_auth_token_opens_no_resource_and_an_access_token_no_exchange() {
    let world = World::new().await;
    let (login, access) = world.open().await;
    assert!(matches!(world.live(&login).await, Err(Error::Unauthenticated(_))));
    let exchanged = world.exchange(&Way::open(&access)).await;
    assert!(matches!(exchanged, Err(Error::Invalid(_))));
}

#[tokio::test]
async fn an_identity_that_is_not_linked_looks_like_one_that_does_not_exist() {
    let world = World::new().await;
    let login = world.log_in(Status::Standard).await;
    world.people.inner().link(&acme().tenant, &user(), stranger());
    let not_mine = denied(world.exchange(&Way::open(&login).for_identity(stranger())).await);
    world.people.inner().unlink(&acme().tenant, &user(), &stranger());
    let not_there = denied(world.exchange(&Way::open(&login).for_identity(stranger())).await);
    assert_eq!(not_mine, not_there);
}

#[tokio::test]
async fn a_locked_credential_opens_nothing() {
    let world = World::new().await;
    let login = world.log_in(Status::Standard).await;
    world.people.inner().lock(&acme().tenant, &root(), true);
    let opened = world.exchange(&Way::open(&login)).await;
    assert!(matches!(opened, Err(Error::Locked { until: None })));
}

#[tokio::test]
async fn a_policy_can_ask_the_resolver_again_at_the_exchange() {
    let policy = Policy { resolve_at_exchange: true, ..Policy::default() };
    let world = World::with(policy).await;
    let token = world.one_time(Status::Standard).await;
    world.people.inner().unlink(&acme().tenant, &root(), &company());
    assert_eq!(denied(world.exchange(&Way::redeem(&token)).await), Denied::NotLinked);
    world.people.inner().link(&acme().tenant, &root(), company());
    assert!(world.exchange(&Way::redeem(&token)).await.is_ok());
}

#[tokio::test]
async fn an_assertion_from_before_the_epoch_may_have_been_spent_and_is_refused() {
    let world = World::new().await;
    let assertion = world.assertion("early").await;
    world.engine.raise_epoch().await.unwrap();
    let refused = denied(world.exchange(&Way::assert(&assertion)).await);
    assert_eq!(refused, Denied::AssertionBeforeEpoch);
    world.advance(Lifetime::from_secs(6));
    let later = world.assertion("early").await;
    assert!(world.exchange(&Way::assert(&later)).await.is_ok());
}

#[tokio::test]
async fn a_clock_that_steps_back_mints_nothing() {
    let world = World::new().await;
    let token = world.one_time(Status::Standard).await;
    world.clock.set(start() - time::Duration::seconds(20));
    match world.exchange(&Way::redeem(&token)).await {
        Err(Error::Unavailable(why)) => assert_eq!(why.change(), Change::Unchanged),
        other => panic!("{other:?}"),
    }
    let login = mintage::LogIn::new(root(), Status::Standard);
    let minted = world.engine.log_in(&acme(), login).await;
    assert!(minted.is_err(), "where no record has seen a later instant, the process has");
    world.clock.set(start() + time::Duration::seconds(10));
    assert!(world.exchange(&Way::redeem(&token)).await.is_ok());
}
