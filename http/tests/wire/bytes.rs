//! What arrives byte by byte: too long, broken off, or never sent.

use std::{net::SocketAddr, time::Duration};

use hyper::{HeaderMap, StatusCode, body::Bytes};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::house::{Answer, Call, House, KEY};

/// Sends these bytes and reads whatever comes back until the server hangs up.
pub(crate) async fn exchange(address: SocketAddr, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request).await.unwrap();
    read_to_end(&mut stream).await
}

async fn read_to_end(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let reading = stream.read_to_end(&mut answer);
    tokio::time::timeout(Duration::from_secs(20), reading).await.expect("an answer").unwrap();
    String::from_utf8(answer).unwrap()
}

/// The one answer in this text, which is checked as every other is.
fn answer(text: &str) -> Answer {
    let (head, body) = text.split_once("\r\n\r\n").expect(text);
    let mut lines = head.split("\r\n");
    let status: StatusCode = lines.next().unwrap()[9..12].parse().unwrap();
    let mut headers = HeaderMap::new();
    for line in lines {
        let (name, value) = line.split_once(": ").unwrap();
        let name: hyper::header::HeaderName = name.parse().unwrap();
        headers.append(name, value.parse().unwrap());
    }
    Answer::new(status, headers, Bytes::copy_from_slice(body.as_bytes()))
}

fn head(extra: &str) -> String {
    format!(
        "POST /access_token HTTP/1.1\r\nhost: localhost\r\napi-key: {KEY}\r\n\
         content-type: application/json\r\nconnection: close\r\n{extra}\r\n"
    )
}

const TEN_MEGABYTES: usize = 10_000_000;

#[tokio::test]
async fn ten_megabytes_are_413_however_they_are_announced() {
    let house = House::open().await;
    let body = vec![b'['; TEN_MEGABYTES];
    let mut sized = head(&format!("content-length: {TEN_MEGABYTES}\r\n")).into_bytes();
    sized.extend_from_slice(&body);
    let mut chunked = head("transfer-encoding: chunked\r\n").into_bytes();
    for chunk in body.chunks(100_000) {
        chunked.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        chunked.extend_from_slice(chunk);
        chunked.extend_from_slice(b"\r\n");
    }
    chunked.extend_from_slice(b"0\r\n\r\n");
    for request in [sized, chunked] {
        let answer = answer(&exchange(house.address, &request).await);
        assert_eq!(answer.status, 413);
        assert_eq!(answer.code(), "PAYLOAD_TOO_LARGE");
    }
}

#[tokio::test]
async fn whoever_waits_for_leave_to_send_too_much_does_not_get_it() {
    let house = House::open().await;
    let request = head(&format!("content-length: {TEN_MEGABYTES}\r\nexpect: 100-continue\r\n"));
    let text = exchange(house.address, request.as_bytes()).await;
    assert!(text.starts_with("HTTP/1.1 413 "), "{text}");
    assert_eq!(answer(&text).code(), "PAYLOAD_TOO_LARGE");
}

#[tokio::test]
async fn the_limit_itself_is_not_too_long() {
    let house = House::open().await;
    for (length, status) in [(65_536, 400), (65_537, 413)] {
        let body = "x".repeat(length);
        let sized = head(&format!("content-length: {length}\r\n")) + &body;
        let chunked =
            head("transfer-encoding: chunked\r\n") + &format!("{length:x}\r\n{body}\r\n0\r\n\r\n");
        for request in [sized, chunked] {
            let answer = answer(&exchange(house.address, request.as_bytes()).await);
            assert_eq!(answer.status, status, "{length}");
        }
    }
}

#[tokio::test]
async fn an_answer_that_leaves_early_is_still_read() {
    let house = House::open().await;
    let body = vec![b'x'; 2_000_000];
    for (call, status) in [
        (house.post("/access_token").header("api-key", "unknown"), 401),
        (house.post("/nothing"), 404),
        (Call::new(house.address, hyper::Method::PUT, "/access_token"), 405),
        (house.post("/access_token").header("api-key", KEY), 413),
    ] {
        assert_eq!(call.body(body.clone()).await.status, status);
    }
}

#[tokio::test]
async fn a_connection_goes_on_after_an_answer_that_left_early() {
    let house = House::open().await;
    let early = format!(
        "POST /nothing HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000000\r\n\r\n{}",
        "x".repeat(1_000_000)
    );
    let next = "GET /nothing HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    let text = exchange(house.address, (early + next).as_bytes()).await;
    assert_eq!(text.matches("HTTP/1.1 404 ").count(), 2, "{text}");
}

#[tokio::test]
async fn a_body_that_breaks_off_is_nobodys_fault_of_ours() {
    let house = House::open().await;
    // A chunk whose length is no number.
    let broken = head("transfer-encoding: chunked\r\n") + "zz\r\n";
    let answer = answer(&exchange(house.address, broken.as_bytes()).await);
    assert_eq!(answer.status, 400);
    assert!(answer.json()["message"].as_str().unwrap().contains("broke off"));

    // The client hangs up: the server goes on.
    let mut stream = TcpStream::connect(house.address).await.unwrap();
    stream.write_all((head("content-length: 100\r\n") + "{").as_bytes()).await.unwrap();
    drop(stream);
    assert_eq!(house.get("/nothing").await.status, 404);
}

/// Time stands still but where everybody waits for it.
#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_arrive_is_408() {
    let house = House::open().await;
    let mut stream = TcpStream::connect(house.address).await.unwrap();
    stream.write_all((head("content-length: 100\r\n") + "{").as_bytes()).await.unwrap();
    let before = tokio::time::Instant::now();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    let waited = before.elapsed().as_secs();
    assert!((30..=41).contains(&waited), "{waited}");
    let answer = answer(&text);
    assert_eq!(answer.status, 408);
    assert_eq!(answer.code(), "REQUEST_TIMEOUT");
    assert_eq!(answer.header("connection"), Some("close"));
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_long_for_a_body_that_is_not_wanted() {
    let house = House::open().await;
    let mut stream = TcpStream::connect(house.address).await.unwrap();
    let request = "POST /nothing HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{";
    stream.write_all(request.as_bytes()).await.unwrap();
    let before = tokio::time::Instant::now();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    let waited = before.elapsed().as_secs();
    assert!((10..=11).contains(&waited), "{waited}");
    let answer = answer(&text);
    assert_eq!(answer.status, 404);
    assert_eq!(answer.header("connection"), Some("close"));
}

#[tokio::test]
async fn an_answer_that_reads_on_gets_the_whole_body() {
    use std::sync::Arc;
    // Echoes the body as it arrives: when the answer begins, nothing of it has been read.
    let route = axum::routing::post(async |body: axum::body::Body| body);
    let routes = |_: &mintage_http::Gateway| axum::Router::new().route("/echo", route);
    let house = House::with(Arc::new(mintage_http::NoLimit), routes).await;
    let body = vec![b'x'; 1_000_000];
    assert_eq!(house.post("/echo").body(body.clone()).await.body, body);
}

#[tokio::test]
async fn a_hundred_thousand_brackets_are_400_where_they_fit() {
    use mintage_http::{BodyLimit, Gateway, NoLimit, StrictJson};
    use std::{num::NonZeroU32, sync::Arc};
    // In a router with a higher limit of its own: 100,000 brackets exceed the default.
    let house = House::with(Arc::new(NoLimit), |gateway| {
        let body_limit = BodyLimit::from_bytes(NonZeroU32::new(1_000_000).unwrap()).unwrap();
        let wide = Gateway { body_limit, ..gateway.clone() };
        let route = axum::routing::post(async |_: StrictJson| "read");
        axum::Router::new()
            .nest_service("/wide", wide.finish(axum::Router::new().route("/", route)))
    })
    .await;
    for body in ["[".repeat(100_000), "{\"a\":".repeat(100_000)] {
        let call = house.post("/wide").header("content-type", "application/json").body(body);
        assert_eq!(call.await.status, 400);
    }
}

#[tokio::test]
async fn a_body_that_is_not_declared_as_json_is_415() {
    let house = House::open().await;
    for headers in [
        &[][..],
        &[("content-type", "text/plain")],
        &[("content-type", "application/x-www-form-urlencoded")],
        &[("content-type", "application/json, application/json")],
        &[("content-type", "application/json"), ("content-type", "application/json")],
        &[("content-type", "application/json"), ("content-encoding", "gzip")],
    ] {
        let mut call = house.post("/access_token").header("api-key", KEY).body("{}");
        for (name, value) in headers {
            call = call.header(name, value);
        }
        let answer = call.await;
        assert_eq!(answer.status, 415, "{headers:?}");
        assert_eq!(answer.code(), "UNSUPPORTED_MEDIA_TYPE");
    }
}

#[tokio::test]
async fn odd_requests_are_refused_and_nothing_falls_over() {
    let house = House::open().await;
    for request in [
        "CONNECT localhost:1 HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n",
        "GET http://localhost/nothing HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n",
        "GET /%00 HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n",
        "GET /nothing HTTP/1.0\r\n\r\n",
    ] {
        let answer = answer(&exchange(house.address, request.as_bytes()).await);
        assert_eq!(answer.status, 404, "{request}");
    }
    // What hyper refuses itself: the head is no HTTP.
    let refused = exchange(house.address, b"\0\0\0\r\n\r\n").await;
    assert!(refused.is_empty() || refused.starts_with("HTTP/1.1 400 "), "{refused}");
    assert_eq!(house.get("/nothing").await.status, 404);
}
