//! `POST /access_token`: every way through it.

use mintage::{Lifetime, Status, test_util::Failure};
use serde_json::{Value, json};

use crate::house::{House, corporate, user};

fn for_5001() -> Value {
    json!({"identity": {"type": "CORPORATE", "id": "5001"}})
}

fn for_5001_with(member: &str, text: &str) -> Value {
    let mut body = for_5001();
    body[member] = text.into();
    body
}

#[tokio::test]
async fn an_auth_token_opens_an_access_token_and_the_answer_has_the_seeds_fields() {
    let house = House::open().await;
    let auth = house.auth_token().await;
    let answer = house.exchange(&for_5001()).bearer(&auth).await;
    assert_eq!(answer.status, 200);
    let mut body = answer.json();
    let token = body["token"].take();
    assert_eq!(token.as_str().unwrap().split('.').count(), 3);
    let expected = json!({
        "token": null,
        "identity": {"type": "CORPORATE", "id": "5001"},
        "credentials": {"type": "ROOT", "id": "1001"},
        "status": "STANDARD",
    });
    assert_eq!(body, expected);
}

#[tokio::test]
async fn a_one_time_token_buys_the_status_that_it_was_issued_with() {
    let house = House::open().await;
    for (status, word) in [(Status::Standard, "STANDARD"), (Status::SteppedUp, "STEPPED_UP")] {
        let token = house.one_time_of(user(), Some(corporate("5001")), status).await;
        let answer = house.exchange(&for_5001_with("token", &token)).await;
        let body = answer.json();
        assert_eq!(answer.status, 200);
        assert_eq!(body["status"], word);
        assert_eq!(body["credentials"], json!({"type": "USER", "id": "1002"}));
    }
}

#[tokio::test]
async fn an_access_token_and_a_stepped_up_one_time_token_step_up_and_end_the_old_token() {
    let house = House::open().await;
    let access = house.access_token().await;
    let token = house.one_time(Status::SteppedUp).await;
    let body = for_5001_with("token", &token);
    let answer = house.exchange(&body).bearer(&access).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json()["status"], "STEPPED_UP");
    let next = for_5001_with("token", &house.one_time(Status::SteppedUp).await);
    assert_eq!(house.exchange(&next).bearer(&access).await.status, 401);
}

#[tokio::test]
async fn a_client_assertion_buys_an_api_clients_token_once() {
    let house = House::open().await;
    let mut body = json!({"identity": {"type": "CORPORATE", "id": "5002"}});
    body["clientAssertion"] = house.assertion("first").await.into();
    let answer = house.exchange(&body).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json()["credentials"], json!({"type": "API_CLIENT", "id": "9001"}));
    assert_eq!(answer.json()["status"], "STANDARD");
    assert_eq!(house.exchange(&body).await.status, 403);
}

#[tokio::test]
async fn any_other_mix_of_authorities_is_named() {
    let house = House::open().await;
    let (auth, access) = (house.auth_token().await, house.access_token().await);
    let token = house.one_time(Status::SteppedUp).await;
    let with_token = for_5001_with("token", &token);
    let with_assertion = for_5001_with("clientAssertion", "x");
    let mut with_both = with_token.clone();
    with_both["clientAssertion"] = "x".into();

    let none = "[1 Authorization token clientAssertion]";
    assert_eq!(
        house.exchange(&for_5001()).await.invalid_fields(),
        ["Authorization", "token", "clientAssertion"].map(|it| format!("{it} AT_LEAST {none}")),
    );
    assert_eq!(
        house.exchange(&with_assertion).bearer(&auth).await.invalid_fields(),
        ["Authorization", "clientAssertion"]
            .map(|it| format!("{it} EXACTLY [1 Authorization clientAssertion]")),
    );
    assert_eq!(
        house.exchange(&with_both).await.invalid_fields(),
        ["token", "clientAssertion"].map(|it| format!("{it} EXACTLY [1 token clientAssertion]")),
    );
    assert_eq!(
        house.exchange(&with_both).bearer(&auth).await.invalid_fields(),
        ["Authorization", "token", "clientAssertion"]
            .map(|it| format!("{it} EXACTLY [1 Authorization token clientAssertion]")),
    );
    assert_eq!(
        house.exchange(&with_token).bearer(&auth).await.invalid_fields(),
        ["Authorization", "token"].map(|it| format!("{it} EXACTLY [1 Authorization token]")),
    );
    assert_eq!(
        house.exchange(&for_5001()).bearer(&access).await.invalid_fields(),
        ["token REQUIRED [Authorization]"],
    );
    // None of these has spent anything.
    assert_eq!(house.exchange(&with_token).bearer(&access).await.status, 200);
}

/// The rule stands in the engine as well; here it is merged with the other fields.
#[tokio::test]
async fn the_engine_names_the_same_fields_of_a_wrong_mix() {
    use mintage::{Error, Exchange, SecretText};
    let house = House::open().await;
    let auth = house.auth_token().await;
    for [bearer, token, assertion] in
        [[false, false, false], [true, false, true], [false, true, true], [true, true, true]]
    {
        let mut body = for_5001();
        if token {
            body["token"] = "x".into();
        }
        if assertion {
            body["clientAssertion"] = "x".into();
        }
        let call = house.exchange(&body);
        let answer = if bearer { call.bearer(&auth).await } else { call.await };
        let exchange = Exchange {
            client: house.client.clone(),
            identity: corporate("5001"),
            bearer: bearer.then(|| SecretText::new(auth.clone())),
            token: token.then(|| SecretText::new("x")),
            client_assertion: assertion.then(|| SecretText::new("x")),
            scope: None,
            idempotency_ref: None,
        };
        let Err(Error::Invalid(fields)) = house.engine.exchange(exchange).await else {
            panic!("a wrong mix");
        };
        let text = |field: &mintage::InvalidField| {
            format!("{} {} [{}]", field.field, field.rule.as_str(), field.params.join(" "))
        };
        assert_eq!(answer.invalid_fields(), fields.iter().map(text).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn members_that_nobody_asks_for_are_ignored_and_null_is_nothing() {
    let house = House::open().await;
    let auth = house.auth_token().await;
    let mut body = for_5001();
    body["token"] = Value::Null;
    body["clientAssertion"] = Value::Null;
    body["extra"] = json!({"a": [1, "\u{0}", {"b": null}]});
    body["identity"]["extra"] = 1.into();
    assert_eq!(house.exchange(&body).bearer(&auth).await.status, 200);
}

#[tokio::test]
async fn a_content_type_may_have_parameters_and_any_case() {
    let house = House::open().await;
    let auth = house.auth_token().await;
    for content_type in ["application/json; charset=utf-8", "Application/JSON;charset=UTF-8"] {
        let call = house.post("/access_token").header("api-key", crate::house::KEY).bearer(&auth);
        let call = call.header("content-type", content_type).body(for_5001().to_string());
        assert_eq!(call.await.status, 200, "{content_type}");
    }
}

#[tokio::test]
async fn the_same_attempt_gets_the_same_bytes_and_another_is_a_replay() {
    let house = House::open().await;
    let body = for_5001_with("token", &house.one_time(Status::Standard).await);
    let attempt = |name: &str| house.exchange(&body).header("idempotency-ref", name);
    let first = attempt("a").await;
    assert_eq!(first.status, 200);
    assert_eq!(attempt("a").await.body, first.body);
    house.clock.advance(Lifetime::from_secs(29));
    assert_eq!(attempt("a").await.body, first.body);
    assert_eq!(attempt("b").await.status, 403);
    // The replay has revoked what the token bought.
    assert_eq!(attempt("a").await.status, 403);
}

/// Each call to the store, the keys, the signer, the resolver and the registry fails in turn.
#[tokio::test]
async fn a_part_that_fails_is_503_and_the_same_attempt_then_gets_its_token() {
    let house = House::open().await;
    for failure in [Failure::Before, Failure::After] {
        for nth in 1.. {
            let body =
                for_5001_with("token", &house.one_time_of(user(), None, Status::Standard).await);
            let attempt = || house.exchange(&body).header("idempotency-ref", "once");
            house.faults.fail_nth(nth, failure);
            let refused = attempt().await;
            if !house.faults.has_failed() {
                assert!(
                    nth > 7,
                    "the registry, the key, the store thrice, the resolver, the signer"
                );
                assert_eq!(refused.status, 200);
                house.faults.run_smoothly();
                break;
            }
            assert_eq!(refused.status, 503, "{failure:?} {nth}");
            assert_eq!(refused.header("retry-after"), Some("1"));
            let first = attempt().await;
            assert_eq!(first.status, 200, "{failure:?} {nth}");
            assert_eq!(attempt().await.body, first.body);
        }
    }
}

#[tokio::test]
async fn an_idempotency_ref_is_short_printable_and_given_once() {
    let house = House::open().await;
    let body = for_5001_with("token", &house.one_time(Status::Standard).await);
    let long = "x".repeat(256);
    for (values, named) in [
        (vec![""], "idempotency-ref SIZE [1 255]"),
        (vec![&*long], "idempotency-ref SIZE [1 255]"),
        (vec!["é"], "idempotency-ref REGEX [^[ -~]+$]"),
        (vec!["a", "b"], "idempotency-ref AT_MOST [1 idempotency-ref]"),
    ] {
        let mut call = house.exchange(&body);
        for value in values {
            call = call.header("idempotency-ref", value);
        }
        assert_eq!(call.await.invalid_fields(), [named]);
    }
    let longest = "x".repeat(255);
    assert_eq!(house.exchange(&body).header("idempotency-ref", &longest).await.status, 200);
}
