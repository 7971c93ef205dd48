//! 401, 403, 423: who is refused, and how little they learn.

use mintage::{Lifetime, Status};
use serde_json::{Value, json};
use time::Duration;

use crate::house::{House, KEY, OTHER_KEY, corporate, root, user};

const INVALID_TOKEN: &str = "Bearer error=\"invalid_token\"";
const NO_CLIENT: &str = "ApiKey header=\"api-key\"";

fn body(id: &str, member: &str, text: &str) -> Value {
    json!({"identity": {"type": "CORPORATE", "id": id}, member: text})
}

#[tokio::test]
async fn without_the_one_api_key_of_a_client_nobody_is_known() {
    let house = House::open().await;
    let auth = house.auth_token().await;
    for path in ["/access_token", "/logout"] {
        for keys in [&[][..], &[""], &["unknown"], &["ACME-KEY"], &[KEY, KEY], &[KEY, "unknown"]] {
            let mut call = house.post(path).bearer(&auth).json(&body("5001", "x", "x"));
            for key in keys {
                call = call.header("api-key", key);
            }
            let answer = call.await;
            assert_eq!(answer.status, 401, "{path} {keys:?}");
            assert_eq!(answer.header("www-authenticate"), Some(NO_CLIENT));
        }
    }
    assert_eq!(house.get("/identities").bearer(&auth).await.status, 401);
}

#[tokio::test]
async fn a_bearer_that_is_no_live_token_of_this_client_is_401() {
    let house = House::open().await;
    let auth = house.auth_token().await;
    let pick = json!({"identity": {"type": "CORPORATE", "id": "5001"}});
    let flipped = format!("{}A", &auth[..auth.len() - 1]);
    for authorization in [
        "Bearer",
        "Bearer ",
        "Bearer x",
        "Bearer a b",
        "Basic dXNlcjpwYXNz",
        &format!("Bearer {flipped}."),
        &format!("Bearer {auth}="),
        &format!("Bearer {auth}, Bearer {auth}"),
        &format!("Token {auth}"),
    ] {
        let answer = house.exchange(&pick).header("authorization", authorization).await;
        assert_eq!(answer.status, 401, "{authorization}");
        assert_eq!(answer.header("www-authenticate"), Some(INVALID_TOKEN));
    }
    assert_eq!(house.exchange(&pick).bearer(&auth).bearer(&auth).await.status, 401);

    // Another tenant's client.
    let call = house.post("/access_token").header("api-key", OTHER_KEY).bearer(&auth).json(&pick);
    assert_eq!(call.await.status, 401);

    // The scheme has any case.
    let call = house.exchange(&pick).header("authorization", &format!("bEARER {auth}"));
    assert_eq!(call.await.status, 200);

    house.clock.advance(Lifetime::from_mins(5));
    assert_eq!(house.exchange(&pick).bearer(&auth).await.status, 401);
}

#[tokio::test]
async fn a_revoked_login_and_what_it_opened_are_401() {
    let house = House::open().await;
    let auth = house.auth_token().await;
    let pick = json!({"identity": {"type": "CORPORATE", "id": "5001"}});
    let access = house.exchange(&pick).bearer(&auth).await.token();
    let step_up = body("5001", "token", &house.one_time(Status::SteppedUp).await);
    house.engine.revoke(&house.client, &mintage::SecretText::new(auth.clone())).await.unwrap();
    assert_eq!(house.exchange(&pick).bearer(&auth).await.status, 401);
    assert_eq!(house.exchange(&step_up).bearer(&access).await.status, 401);
}

#[tokio::test]
async fn every_refused_authority_looks_the_same() {
    let house = House::open().await;
    let (auth, access) = (house.auth_token().await, house.access_token().await);
    let good = house.one_time(Status::Standard).await;

    let spent = house.one_time(Status::Standard).await;
    assert_eq!(house.exchange(&body("5001", "token", &spent)).await.status, 200);
    let expired = house.one_time(Status::Standard).await;
    house.clock.advance(Lifetime::from_secs(60));
    let fresh = house.one_time(Status::Standard).await;
    let stepped_up = house.one_time(Status::SteppedUp).await;
    let standard = house.one_time(Status::Standard).await;
    let foreign = house.one_time_of(user(), Some(corporate("5001")), Status::SteppedUp).await;
    let unlinked = house.one_time_of(user(), None, Status::Standard).await;
    let unknown = {
        let other = House::open().await;
        other.one_time(Status::Standard).await
    };
    let last = if fresh.ends_with('A') { 'B' } else { 'A' };
    let mistyped = format!("{}{last}", &fresh[..fresh.len() - 1]);
    let assertion = house.assertion("once").await;
    let pick = |id: &str| json!({"identity": {"type": "CORPORATE", "id": id}});

    let refused = [
        ("unknown", house.exchange(&body("5001", "token", &unknown))),
        ("spent", house.exchange(&body("5001", "token", &spent))),
        ("expired", house.exchange(&body("5001", "token", &expired))),
        ("expired too", house.exchange(&body("5001", "token", &good))),
        ("malformed", house.exchange(&body("5001", "token", "x"))),
        ("too long", house.exchange(&body("5001", "token", &"x".repeat(10_000)))),
        ("mistyped", house.exchange(&body("5001", "token", &mistyped))),
        ("an access token", house.exchange(&body("5001", "token", &access))),
        ("another identity", house.exchange(&body("5002", "token", &fresh))),
        ("no identity of anybody", house.exchange(&body("99999", "token", &fresh))),
        ("not linked", house.exchange(&body("5002", "token", &unlinked))),
        ("picks what is not linked", house.exchange(&pick("99999")).bearer(&auth)),
        ("another client", {
            let call = house.post("/access_token").header("api-key", OTHER_KEY);
            call.json(&body("5001", "token", &fresh))
        }),
        (
            "step-up, not stepped up",
            house.exchange(&body("5001", "token", &standard)).bearer(&access),
        ),
        (
            "step-up, another identity",
            house.exchange(&body("5002", "token", &stepped_up)).bearer(&access),
        ),
        (
            "step-up, another credential",
            house.exchange(&body("5001", "token", &foreign)).bearer(&access),
        ),
        ("no assertion", house.exchange(&body("5002", "clientAssertion", "x"))),
        (
            "a wrong assertion",
            house.exchange(&body("5002", "clientAssertion", &format!("{assertion}A"))),
        ),
        ("assertion, not linked", house.exchange(&body("5001", "clientAssertion", &assertion))),
        ("assertion as token", house.exchange(&body("5002", "token", &assertion))),
    ];
    let mut first = None;
    for (why, call) in refused {
        let answer = call.await;
        assert_eq!(answer.status, 403, "{why}");
        let looks = answer.looks();
        assert_eq!(first.get_or_insert_with(|| looks.clone()), &looks, "{why}");
    }

    // None of them has burnt what they named.
    assert_eq!(house.exchange(&body("5001", "token", &fresh)).await.status, 200);
    assert_eq!(house.exchange(&body("5001", "token", &unlinked)).await.status, 200);
    assert_eq!(house.exchange(&body("5002", "clientAssertion", &assertion)).await.status, 200);
    assert_eq!(
        house.exchange(&body("5001", "token", &stepped_up)).bearer(&access).await.status,
        200
    );
}

#[tokio::test]
async fn a_locked_credential_is_423_and_says_until_when_if_that_is_known() {
    let house = House::open().await;
    let auth = house.auth_token().await;
    let pick = json!({"identity": {"type": "CORPORATE", "id": "5001"}});
    house.people.table.lock(&house.client.tenant, &root(), true);
    let answer = house.exchange(&pick).bearer(&auth).await;
    assert_eq!(answer.status, 423);
    assert_eq!(answer.header("retry-after"), None);

    for (millis, seconds) in [(90_001, "91"), (90_000, "90"), (1, "1"), (0, "1"), (-5_000, "1")] {
        let until = house.engine.clock().now() + Duration::milliseconds(millis);
        *house.people.locked_until.lock().unwrap() = Some(until);
        let answer = house.exchange(&pick).bearer(&auth).await;
        assert_eq!(answer.status, 423);
        assert_eq!(answer.header("retry-after"), Some(seconds), "{millis}");
    }
}
