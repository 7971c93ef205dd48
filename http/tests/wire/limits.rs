//! 429: what is counted, and what the headers say.
#![cfg(feature = "governor")]

use std::sync::Arc;

use mintage::{Lifetime, Status};
use mintage_http::{ApiClient, Gateway, Governor, Login};
use serde_json::{Value, json};

use crate::house::{House, KEY, OTHER_KEY, corporate, user};

/// An endpoint with two arguments, each of which asks for the client.
async fn me(Login(login): Login, ApiClient(_): ApiClient) -> String {
    login.credential().id.to_string()
}

async fn open(per_client: &str, per_locator: &str) -> House {
    let limiter = Governor::new(&per_client.parse().unwrap(), &per_locator.parse().unwrap());
    let routes = |gateway: &Gateway| gateway.routes().route("/me", axum::routing::get(me));
    House::with(Arc::new(limiter), routes).await
}

fn body(token: &str) -> Value {
    json!({"identity": {"type": "CORPORATE", "id": "5001"}, "token": token})
}

#[tokio::test]
async fn a_client_that_calls_too_often_is_told_when_to_come_again() {
    let house = open("5;w=60, 100;w=3600", "100;w=60").await;
    let token = house.one_time(Status::Standard).await;
    for _ in 0..5 {
        // Malformed calls count too.
        assert_eq!(house.exchange(&json!({})).await.status, 400);
    }
    let answer = house.exchange(&body(&token)).await;
    assert_eq!(answer.status, 429);
    assert_eq!(answer.header("x-ratelimit-limit"), Some("5, 5;w=60, 100;w=3600"));
    assert_eq!(answer.header("x-ratelimit-reset"), Some("12"));
    assert_eq!(answer.header("retry-after"), Some("12"));

    // Another client is not concerned, and neither is who needs no client.
    let other = house.post("/access_token").header("api-key", OTHER_KEY).json(&json!({}));
    assert_eq!(other.await.status, 400);
    assert_eq!(house.get("/.well-known/jwks.json").await.status, 200);

    // Nothing was spent.
    house.clock.advance(Lifetime::from_secs(12));
    assert_eq!(house.exchange(&body(&token)).await.status, 200);
}

#[tokio::test]
async fn every_endpoint_of_a_client_counts_and_a_call_counts_once() {
    let house = open("3;w=60", "100;w=60").await;
    let auth = house.auth_token().await;
    let list = || house.get("/identities").header("api-key", KEY).bearer(&auth);
    assert_eq!(list().await.status, 200);
    assert_eq!(house.get("/me").header("api-key", KEY).bearer(&auth).await.body, "1001");
    assert_eq!(house.post("/logout").header("api-key", KEY).bearer(&auth).await.status, 204);
    assert_eq!(list().await.status, 429);
    // The limit comes before the Bearer and the body.
    assert_eq!(house.post("/logout").header("api-key", KEY).await.status, 429);
    // An unknown api-key comes before the limit.
    assert_eq!(house.get("/identities").header("api-key", "x").await.status, 401);
}

#[tokio::test]
async fn one_time_tokens_of_one_credential_are_counted_together() {
    let house = open("100;w=60", "2;w=60").await;
    let mut tokens = Vec::new();
    for _ in 0..3 {
        tokens.push(house.one_time(Status::Standard).await);
    }
    assert_eq!(house.exchange(&body(&tokens[0])).await.status, 200);
    assert_eq!(house.exchange(&body(&tokens[1])).await.status, 200);
    let refused = house.exchange(&body(&tokens[2])).await;
    assert_eq!(refused.status, 429);
    assert_eq!(refused.header("x-ratelimit-limit"), Some("2, 2;w=60"));
    assert_eq!(refused.header("x-ratelimit-reset"), Some("30"));

    // Another credential's token passes, and another tenant cannot use up this one's limit.
    let other = house.one_time_of(user(), Some(corporate("5001")), Status::Standard).await;
    let foreign = house.post("/access_token").header("api-key", OTHER_KEY).json(&body(&other));
    assert_eq!(foreign.await.status, 403);
    let foreign = house.post("/access_token").header("api-key", OTHER_KEY).json(&body(&other));
    assert_eq!(foreign.await.status, 403);
    assert_eq!(house.exchange(&body(&other)).await.status, 200);

    house.clock.advance(Lifetime::from_secs(30));
    assert_eq!(house.exchange(&body(&tokens[2])).await.status, 200);
}
