//! The neighbours of `POST /access_token`, and what is at no path and no method.

use hyper::Method;
use mintage::{AnyStatus, Audience, Issuer, KeySet, Leeway, Lifetime, Verifier, VerifierParts};
use serde_json::json;

use crate::house::{Call, House, KEY, root};

#[tokio::test]
async fn identities_are_listed_page_by_page() {
    let house = House::open().await;
    let auth = house.auth_token().await;
    let list = |path: &'static str| house.get(path).header("api-key", KEY).bearer(&auth);
    let first = json!({"type": "CORPORATE", "id": "5001"});
    let second = json!({"type": "CORPORATE", "id": "5002"});
    let third = json!({"type": "CONSUMER", "id": "7001"});
    for (path, identities) in [
        ("/identities", json!([first, second, third])),
        ("/identities?offset=1&limit=1", json!([second])),
        ("/identities?limit=2", json!([first, second])),
        ("/identities?limit=100&offset=2&other=x&other=y", json!([third])),
        ("/identities?offset=4294967295", json!([])),
    ] {
        let answer = list(path).await;
        assert_eq!(answer.status, 200, "{path}");
        let held = identities.as_array().unwrap().len();
        let expected = json!({"identities": identities, "count": 3, "responseCount": held});
        assert_eq!(answer.json(), expected, "{path}");
    }
    let offset = "offset RANGE [0 4294967295]";
    let limit = "limit RANGE [1 100]";
    for (path, named) in [
        ("/identities?limit=0", &[limit][..]),
        ("/identities?limit=101", &[limit]),
        ("/identities?limit=", &[limit]),
        ("/identities?limit", &[limit]),
        ("/identities?limit=+5", &[limit]),
        ("/identities?offset=4294967296", &[offset]),
        ("/identities?offset=-1&limit=x", &[offset, limit]),
        ("/identities?limit=1&limit=1", &["limit AT_MOST [1 limit]"]),
    ] {
        assert_eq!(list(path).await.invalid_fields(), named, "{path}");
    }
}

#[tokio::test]
async fn only_a_live_auth_token_lists_identities() {
    let house = House::open().await;
    let access = house.access_token().await;
    let list = || house.get("/identities").header("api-key", KEY);
    let none = list().await;
    assert_eq!((none.status.as_u16(), none.header("www-authenticate")), (401, Some("Bearer")));
    let wrong = list().bearer(&access).await;
    assert_eq!(wrong.status, 401);
    assert_eq!(wrong.header("www-authenticate"), Some("Bearer error=\"invalid_token\""));
    let auth = house.auth_token().await;
    house.people.table.lock(&house.client.tenant, &root(), true);
    assert_eq!(list().bearer(&auth).await.status, 423);
}

#[tokio::test]
async fn logging_out_ends_the_login_and_what_came_from_it() {
    let house = House::open().await;
    let log_out = |token: &str| house.post("/logout").header("api-key", KEY).bearer(token);
    let pick = json!({"identity": {"type": "CORPORATE", "id": "5001"}});
    for by_access_token in [false, true] {
        let auth = house.auth_token().await;
        let access = house.exchange(&pick).bearer(&auth).await.token();
        let presented = if by_access_token { &access } else { &auth };
        assert_eq!(log_out(presented).await.status, 204);
        assert_eq!(house.exchange(&pick).bearer(&auth).await.status, 401);
        assert_eq!(log_out(&access).await.status, 401);
        assert_eq!(log_out(&auth).await.status, 401);
    }
    assert_eq!(house.post("/logout").header("api-key", KEY).await.status, 401);
    // Whatever body there is does not matter.
    let auth = house.auth_token().await;
    let call = log_out(&auth).header("content-type", "text/plain").body("x".repeat(1_000_000));
    assert_eq!(call.await.status, 204);
}

#[tokio::test]
async fn the_published_keys_verify_what_was_bought_and_need_no_api_key() {
    let house = House::open().await;
    let token = house.access_token().await;
    let answer = house.get("/.well-known/jwks.json").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("application/jwk-set+json"));
    let verifier = Verifier::new(VerifierParts {
        tenant: None,
        keys: KeySet::from_jwks(std::str::from_utf8(&answer.body).unwrap()).unwrap(),
        issuer: Issuer::new("https://login.example").unwrap(),
        audience: Audience::new("https://api.example").unwrap(),
        leeway: Leeway::default(),
    });
    assert!(verifier.verify::<AnyStatus>(&token, house.engine.clock().now()).is_ok());
    house.clock.advance(Lifetime::from_hours(2));
    assert!(verifier.verify::<AnyStatus>(&token, house.engine.clock().now()).is_err());
}

#[tokio::test]
async fn an_unknown_path_is_404() {
    let house = House::open().await;
    for path in ["/", "/access_token/", "/Access_token", "/access_token/x", "/.well-known", "//"] {
        for method in [Method::GET, Method::POST, Method::DELETE] {
            let answer = Call::new(house.address, method, path).await;
            assert_eq!(answer.status, 404, "{path}");
            assert_eq!(answer.code(), "NOT_FOUND");
        }
    }
}

#[tokio::test]
async fn an_unknown_method_is_405_and_told_those_that_are() {
    let house = House::open().await;
    for (path, allowed) in [
        ("/access_token", "POST"),
        ("/logout", "POST"),
        ("/identities", "GET,HEAD"),
        ("/.well-known/jwks.json", "GET,HEAD"),
    ] {
        for method in ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"]
        {
            if allowed.split(',').any(|other| other == method) {
                continue;
            }
            let answer = Call::new(house.address, method.parse().unwrap(), path).await;
            assert_eq!(answer.status, 405, "{method} {path}");
            assert_eq!(answer.header("allow"), Some(allowed), "{method} {path}");
            if method != "HEAD" {
                assert_eq!(answer.code(), "METHOD_NOT_ALLOWED");
            }
        }
    }
}

#[tokio::test]
async fn a_head_request_is_answered_as_get_without_the_body() {
    let house = House::open().await;
    let get = house.get("/.well-known/jwks.json").await;
    let head = Call::new(house.address, Method::HEAD, "/.well-known/jwks.json").await;
    assert_eq!(head.status, 200);
    assert!(head.body.is_empty());
    assert_eq!(head.header("content-length"), get.header("content-length"));
    assert_eq!(Call::new(house.address, Method::HEAD, "/nothing").await.status, 404);
}
