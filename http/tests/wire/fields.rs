//! 400: both shapes, every rule that can be broken, all of them in one answer.

use mintage::Status;
use serde_json::{Value, json};

use crate::house::{Answer, House, KEY};

async fn refused(house: &House, body: Value) -> Vec<String> {
    house.exchange(&body).await.invalid_fields()
}

#[tokio::test]
async fn every_field_that_is_refused_is_named_with_its_rule() {
    let house = House::open().await;
    let good = json!({"type": "CORPORATE", "id": "5001"});
    let identity = |identity: Value| json!({"identity": identity, "token": "x"});
    let kind = |kind: Value| identity(json!({"type": kind, "id": "5001"}));
    let id = |id: Value| identity(json!({"type": "CONSUMER", "id": id}));
    let missing = "identity REQUIRED []";
    let not_a_type = "identity.type IN [CONSUMER CORPORATE]";
    let not_digits = "identity.id REGEX [^[0-9]+$]";
    let too_long = "identity.id SIZE [1 20]";

    let both = ["identity.type REQUIRED []", "identity.id REQUIRED []"];
    assert_eq!(refused(&house, identity(json!({}))).await, both);
    assert_eq!(refused(&house, identity(json!({"type": null, "id": null}))).await, both);
    for (body, named) in [
        (json!({"token": "x"}), missing),
        (identity(Value::Null), missing),
        (identity("5001".into()), missing),
        (identity(json!(["CORPORATE", "5001"])), missing),
        (kind("ROOT".into()), not_a_type),
        (kind("corporate".into()), not_a_type),
        (kind("".into()), not_a_type),
        (kind("CORPORATE\u{0}".into()), not_a_type),
        (kind(1.into()), not_a_type),
        (kind(Value::Null), "identity.type REQUIRED []"),
        (id("".into()), not_digits),
        (id("50 01".into()), not_digits),
        (id("5001\n".into()), not_digits),
        (id("5001\u{0}".into()), not_digits),
        (id("-1".into()), not_digits),
        (id("٥".into()), not_digits),
        (id(5001.into()), not_digits),
        (id(json!({"id": "5001"})), not_digits),
        (id("123456789012345678901".into()), too_long),
        (id(Value::Null), "identity.id REQUIRED []"),
        (json!({"identity": good, "token": ""}), "token HAS_TEXT []"),
        (json!({"identity": good, "token": "mot_\u{0}"}), "token HAS_TEXT []"),
        (json!({"identity": good, "token": 1}), "token HAS_TEXT []"),
        (json!({"identity": good, "token": {}}), "token HAS_TEXT []"),
        (json!({"identity": good, "clientAssertion": ""}), "clientAssertion HAS_TEXT []"),
        (json!({"identity": good, "clientAssertion": [1]}), "clientAssertion HAS_TEXT []"),
    ] {
        assert_eq!(refused(&house, body.clone()).await, [named], "{body}");
    }
    // Blank is not empty: a token that buys nothing.
    let blank = json!({"identity": good, "token": " \t"});
    assert_eq!(house.exchange(&blank).await.status, 403);
    // The longest id that there is: not refused for its form.
    assert_eq!(house.exchange(&id("12345678901234567890".into())).await.status, 403);
}

#[tokio::test]
async fn one_answer_names_all_that_is_wrong() {
    let house = House::open().await;
    let body = json!({
        "identity": {"type": "ROOT", "id": "x"},
        "token": "",
        "clientAssertion": 7,
    });
    let mut named = house.exchange(&body).header("idempotency-ref", "").await.invalid_fields();
    named.sort();
    let expected = [
        "clientAssertion EXACTLY [1 token clientAssertion]",
        "clientAssertion HAS_TEXT []",
        "idempotency-ref SIZE [1 255]",
        "identity.id REGEX [^[0-9]+$]",
        "identity.type IN [CONSUMER CORPORATE]",
        "token EXACTLY [1 token clientAssertion]",
        "token HAS_TEXT []",
    ];
    assert_eq!(named, expected);
    assert_eq!(refused(&house, json!({})).await.len(), 4);
}

#[tokio::test]
async fn a_wrong_field_spends_nothing() {
    let house = House::open().await;
    let token = house.one_time(Status::Standard).await;
    let mut body = json!({"identity": {"type": "CORPORATE", "id": "x"}, "token": token});
    assert_eq!(house.exchange(&body).await.status, 400);
    body["identity"]["id"] = "5001".into();
    assert_eq!(house.exchange(&body).await.status, 200);
}

#[tokio::test]
async fn a_body_that_is_no_json_object_is_told_what_to_send() {
    let house = House::open().await;
    let deep = "[".repeat(60_000);
    let deep_inside = format!("{{\"a\":{}1{}}}", "[".repeat(200), "]".repeat(200));
    let cases: [(&[u8], &str); 18] = [
        (b"", "empty"),
        (b" ", "not valid JSON"),
        (b"{", "not valid JSON"),
        (b"{}{}", "not valid JSON"),
        (b"{} x", "not valid JSON"),
        (b"{'a':1}", "not valid JSON"),
        (b"{\"a\":1,}", "not valid JSON"),
        (b"{\"a\":\"\\ud800\"}", "not valid JSON"),
        (b"{\"a\":\"\0\"}", "not valid JSON"),
        (b"\xef\xbb\xbf{}", "not valid JSON"),
        (deep.as_bytes(), "not valid JSON"),
        (deep_inside.as_bytes(), "not valid JSON"),
        (b"[]", "one JSON object"),
        (b"null", "one JSON object"),
        (b"\"{}\"", "one JSON object"),
        (b"{\"a\":\"\xff\"}", "not UTF-8 from byte 6"),
        (b"{\"token\":\"a\",\"\\u0074oken\":\"b\"}", "names a member twice"),
        (b"{\"x\":[{\"y\":{\"a\":1,\"b\":2,\"a\":3}}]}", "names a member twice"),
    ];
    for (body, says) in cases {
        let answer = post(&house, body).await;
        assert_eq!(answer.status, 400, "{}", body.escape_ascii());
        let json = answer.json();
        assert_eq!(json.as_object().unwrap().len(), 1, "the first shape: {json}");
        let message = json["message"].as_str().unwrap();
        assert!(message.contains(says), "{}: {message}", body.escape_ascii());
    }
}

async fn post(house: &House, body: &[u8]) -> Answer {
    let call = house.post("/access_token").header("api-key", KEY);
    call.header("content-type", "application/json").body(body.to_vec()).await
}

mod any_body {
    use proptest::prelude::*;

    use super::*;

    /// Bytes, JSON, and JSON that is nearly right.
    fn bodies() -> impl Strategy<Value = Vec<u8>> {
        let leaf = prop_oneof![
            Just(json!(null)),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "\\PC{0,12}".prop_map(Value::from),
            Just(json!("CORPORATE")),
            Just(json!("5001")),
        ];
        let value = leaf.prop_recursive(4, 24, 5, |inner| {
            let name = prop_oneof![
                Just("identity".to_owned()),
                Just("type".to_owned()),
                Just("id".to_owned()),
                Just("token".to_owned()),
                Just("clientAssertion".to_owned()),
                "\\PC{0,3}",
            ];
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::btree_map(name, inner, 0..5)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        });
        let json = value.prop_map(|value| value.to_string().into_bytes());
        let broken = (json.clone(), any::<proptest::sample::Index>(), any::<u8>()).prop_map(
            |(mut json, at, byte)| {
                let at = at.index(json.len());
                json[at] = byte;
                json
            },
        );
        prop_oneof![proptest::collection::vec(any::<u8>(), 0..200), json, broken]
    }

    #[test]
    fn no_body_is_answered_with_a_failure_of_ours() {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let house = runtime.block_on(House::open());
        let config = ProptestConfig { cases: 512, failure_persistence: None, ..Default::default() };
        proptest!(config, |(body in bodies())| {
            let answer = runtime.block_on(post(&house, &body));
            prop_assert!(matches!(answer.status.as_u16(), 400 | 403), "{:?}", answer);
        });
    }
}
