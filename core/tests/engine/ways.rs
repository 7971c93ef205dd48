//! Every row of the exchange's table, and what it yields.

use mintage::{
    Denied, Error, FieldRule, HostClaims, IssueOneTime, LogIn, Status, SteppedUp, TokenKind,
};

use crate::world::*;

#[tokio::test]
async fn a_login_opens_an_access_token_for_a_linked_identity() {
    let world = World::new().await;
    let login = world.log_in(Status::Standard).await;
    let got = world.exchange(&Way::open(&login)).await.unwrap();
    assert_eq!((got.credential, got.identity, got.status), (root(), company(), Status::Standard));
    let live = world.live(&got.token).await.unwrap();
    assert_eq!(live.identity(), &company());
    assert!(live.claims().login.is_some(), "a child names its login");
}

#[tokio::test]
async fn a_login_opens_with_its_own_status() {
    let world = World::new().await;
    let login = world.log_in(Status::SteppedUp).await;
    assert_eq!(world.exchange(&Way::open(&login)).await.unwrap().status, Status::SteppedUp);
}

#[tokio::test]
async fn a_one_time_token_is_spent_once() {
    let world = World::new().await;
    for status in [Status::Standard, Status::SteppedUp] {
        let token = world.one_time(status).await;
        let got = world.exchange(&Way::redeem(&token)).await.unwrap();
        assert_eq!(got.status, status);
        assert_eq!(world.status(&got.token).await, status);

        let replay = denied(world.exchange(&Way::redeem(&token)).await);
        assert_eq!(replay, Denied::Replayed { revoked: true });
        assert!(world.live(&got.token).await.is_err(), "what it bought is revoked");
    }
}

#[tokio::test]
async fn the_same_attempt_gets_the_same_bytes() {
    let world = World::new().await;
    let token = world.one_time(Status::Standard).await;
    let way = Way::redeem(&token).attempt("a");
    let first = world.exchange(&way).await.unwrap();
    world.advance(mintage::Lifetime::from_secs(29));
    let again = world.exchange(&way).await.unwrap();
    assert!(again.retried && !first.retried);
    assert_eq!(first.token.expose(), again.token.expose());
}

#[tokio::test]
async fn a_step_up_supersedes_the_bearer_in_the_same_step() {
    let world = World::new().await;
    let (login, access) = world.open().await;
    let token = world.one_time(Status::SteppedUp).await;
    let way = Way::step_up(&access, &token).attempt("up");
    let got = world.exchange(&way).await.unwrap();
    assert_eq!(got.status, Status::SteppedUp);
    assert_eq!(world.status(&got.token).await, Status::SteppedUp);
    assert!(world.live(&access).await.is_err(), "the old token is superseded");
    assert_eq!(world.exchange(&way).await.unwrap().token.expose(), got.token.expose());

    world.engine.log_out(&acme(), &login).await.unwrap();
    assert!(world.live(&got.token).await.is_err(), "it is under the Bearer's login");
}

#[tokio::test]
async fn an_assertion_buys_one_standard_token_for_the_api_client() {
    let world = World::new().await;
    let assertion = world.assertion("a-jti").await;
    let got = world.exchange(&Way::assert(&assertion)).await.unwrap();
    assert_eq!(got.credential, api_client());
    assert_eq!(got.status, Status::Standard);
    assert!(matches!(denied(world.exchange(&Way::assert(&assertion)).await), Denied::Grant(_)));
    assert!(world.live(&got.token).await.is_ok(), "a second use of an assertion harms nobody");

    let another = world.assertion("a-jti").await;
    assert!(world.exchange(&Way::assert(&another)).await.is_err(), "it is the jti that is spent");
}

#[tokio::test]
async fn a_token_for_any_identity_is_resolved_when_it_is_exchanged() {
    let world = World::new().await;
    let token = world.one_time_for(None, Status::Standard).await;
    let strange = Way::redeem(&token).for_identity(stranger());
    assert_eq!(denied(world.exchange(&strange).await), Denied::NotLinked);
    let got = world.exchange(&Way::redeem(&token).for_identity(second_company())).await.unwrap();
    assert_eq!(got.identity, second_company());
}

#[tokio::test]
async fn any_other_mix_names_its_fields() {
    let world = World::new().await;
    let (login, access) = world.open().await;
    let token = world.one_time(Status::SteppedUp).await;
    let (login, access) = (Some(login.expose().to_owned()), Some(access.expose().to_owned()));
    let (token, assertion) = (Some(token), Some(world.assertion("j").await));
    let nothing = Way::nothing();
    let mixes = [
        (Way { ..nothing.clone() }, FieldRule::AtLeast, "token"),
        (
            Way { token: token.clone(), assertion: assertion.clone(), ..nothing.clone() },
            FieldRule::Exactly,
            "clientAssertion",
        ),
        (
            Way { bearer: login.clone(), assertion: assertion.clone(), ..nothing.clone() },
            FieldRule::Exactly,
            "clientAssertion",
        ),
        (
            Way { bearer: login, token: token.clone(), ..nothing.clone() },
            FieldRule::Exactly,
            "token",
        ),
        (Way { bearer: access.clone(), ..nothing.clone() }, FieldRule::Required, "token"),
        (Way { bearer: access, token, assertion, ..nothing }, FieldRule::Exactly, "token"),
    ];
    for (way, rule, field) in mixes {
        match world.exchange(&way).await {
            Err(Error::Invalid(fields)) => assert!(
                fields.iter().any(|it| it.field == field && it.rule == rule),
                "{field} {rule:?} is not in {fields:?}"
            ),
            other => panic!("{way:?} gave {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_token_is_stepped_up_in_place() {
    let world = World::new().await;
    let (login, access) = world.open().await;
    let strong = world.engine.authenticate::<SteppedUp>(&acme(), &access).await;
    assert!(matches!(strong, Err(Error::StepUpRequired)));
    world.engine.elevate(&acme(), &access).await.unwrap();
    assert!(world.engine.authenticate::<SteppedUp>(&acme(), &access).await.is_ok());

    let opened = world.exchange(&Way::open(&login)).await.unwrap();
    assert_eq!(opened.status, Status::Standard, "the login was not stepped up");
    world.engine.elevate(&acme(), &login).await.unwrap();
    let opened = world.exchange(&Way::open(&login)).await.unwrap();
    assert_eq!(opened.status, Status::SteppedUp);
}

#[tokio::test]
async fn scope_and_claims_are_carried_and_a_scope_is_only_narrowed() {
    let world = World::new().await;
    let token = IssueOneTime {
        credential: root(),
        identity: Some(company()),
        status: Status::Standard,
        lifetime: None,
        scope: Some("read write".parse().unwrap()),
        claims: Some(HostClaims::new(r#"{"plan":"gold"}"#).unwrap()),
    };
    let issue = || async {
        let issued = world.engine.issue_one_time(&acme(), token.clone()).await.unwrap();
        issued.token.to_text().expose().to_owned()
    };
    let whole = world.exchange(&Way::redeem(&issue().await)).await.unwrap();
    let claims = world.live(&whole.token).await.unwrap().claims().clone();
    assert_eq!(claims.scope, Some("read write".parse().unwrap()));
    assert_eq!(claims.host.unwrap().as_json(), r#"{"plan":"gold"}"#);

    let secret = issue().await;
    let wider = Way { scope: Some("read delete"), ..Way::redeem(&secret) };
    assert_eq!(denied(world.exchange(&wider).await), Denied::Scope);
    let narrower = Way { scope: Some("read"), ..Way::redeem(&secret) };
    let narrow = world.exchange(&narrower).await.unwrap();
    let claims = world.live(&narrow.token).await.unwrap().claims().clone();
    assert_eq!(claims.scope, Some("read".parse().unwrap()));

    let login = LogIn {
        credential: root(),
        status: Status::Standard,
        scope: Some("read".parse().unwrap()),
        claims: None,
    };
    let login = world.engine.log_in(&acme(), login).await.unwrap().token;
    let wider = Way { scope: Some("write"), ..Way::open(&login) };
    assert_eq!(denied(world.exchange(&wider).await), Denied::Scope);
}

#[tokio::test]
async fn a_step_up_keeps_the_scope_of_the_bearer() {
    let world = World::new().await;
    let login =
        LogIn { scope: Some("read list".parse().unwrap()), ..LogIn::new(root(), Status::Standard) };
    let login = world.engine.log_in(&acme(), login).await.unwrap().token;
    let proof = async || {
        let wide = IssueOneTime {
            scope: Some("read write".parse().unwrap()),
            ..IssueOneTime::new(root(), company(), Status::SteppedUp)
        };
        let issued = world.engine.issue_one_time(&acme(), wide).await.unwrap();
        issued.token.to_text().expose().to_owned()
    };
    let scope_of = async |token: &mintage::SecretText| {
        let scope = world.live(token).await.unwrap().claims().scope.clone();
        scope.unwrap().as_str().to_owned()
    };
    let access = world.exchange(&Way::open(&login)).await.unwrap().token;
    let stepped = world.exchange(&Way::step_up(&access, &proof().await)).await.unwrap().token;
    assert_eq!(scope_of(&stepped).await, "list read");

    let proof = proof().await;
    let wider = Way { scope: Some("write"), ..Way::step_up(&stepped, &proof) };
    assert_eq!(denied(world.exchange(&wider).await), Denied::Scope);
    let narrower = Way { scope: Some("read"), ..Way::step_up(&stepped, &proof) };
    let narrow = world.exchange(&narrower).await.unwrap().token;
    assert_eq!(scope_of(&narrow).await, "read");
}

#[tokio::test]
async fn either_type_is_live_where_either_will_do() {
    let world = World::new().await;
    let (login, access) = world.open().await;
    for (token, is_login) in [(&login, true), (&access, false)] {
        let live = world.engine.authenticate_any(&acme(), token).await.unwrap();
        assert_eq!(matches!(live, mintage::LiveBearer::Login(_)), is_login);
        assert_eq!(live.status(), Status::Standard);
    }
}

#[tokio::test]
async fn introspection_tells_what_is_active_and_changes_nothing() {
    let world = World::new().await;
    let (login, access) = world.open().await;
    let token = world.one_time(Status::SteppedUp).await;
    let secret = mintage::SecretText::new(token.clone());
    let tell = async |token| world.engine.introspect(&acme(), token).await.unwrap();
    assert_eq!(tell(&login).await.unwrap().kind, TokenKind::Auth);
    let told = tell(&access).await.unwrap();
    assert_eq!((told.kind, told.identity), (TokenKind::Access, Some(company())));
    for _ in 0..2 {
        let told = tell(&secret).await.unwrap();
        assert_eq!((told.kind, told.status), (TokenKind::OneTime, Status::SteppedUp));
    }
    assert!(world.engine.introspect(&other(), &secret).await.unwrap().is_none());
    world.exchange(&Way::redeem(&token)).await.unwrap();
    assert!(tell(&secret).await.is_none(), "spent");
    assert!(tell(&mintage::SecretText::new("garbage")).await.is_none());
}

#[tokio::test]
async fn identities_are_listed_to_a_login_page_by_page() {
    let world = World::new().await;
    let (login, access) = world.open().await;
    let page = mintage::Page { offset: 1, limit: 5 };
    let listed = world.engine.identities(&acme(), &login, page).await.unwrap();
    assert_eq!((listed.identities, listed.count), (vec![second_company()], 2));
    let refused = world.engine.identities(&acme(), &access, page).await;
    assert!(matches!(refused, Err(Error::Unauthenticated(_))));
}
