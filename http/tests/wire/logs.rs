//! What is logged: every decision under its request's name, and never a secret.

use std::{
    io,
    sync::{Arc, Mutex},
};

use mintage::Status;
use serde_json::json;
use tracing::Level;
use tracing_subscriber::fmt::MakeWriter;

use crate::house::{House, KEY};

/// Keeps what is written to it.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// The server runs on this test's one thread, so its subscriber sees everything.
#[tokio::test]
async fn every_decision_is_logged_with_its_request_ref_and_no_secret_is() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(Level::TRACE)
        .with_writer(log.clone())
        .with_ansi(false)
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);

    let house = House::open().await;
    let (auth, access) = (house.auth_token().await, house.access_token().await);
    let token = house.one_time(Status::SteppedUp).await;
    let assertion = house.assertion("once").await;
    let reference = "a-reference-that-nobody-may-repeat";
    let body = |id: &str, member: &str, text: &str| json!({"identity": {"type": "CORPORATE", "id": id}, member: text});
    let calls = [
        house.exchange(&body("5001", "token", &token)).bearer(&auth),
        house.exchange(&body("5002", "token", &token)).bearer(&access),
        house.exchange(&body("x", "token", &token)),
        house.exchange(&body("5001", "token", &token)).bearer(&access),
        house.exchange(&body("5001", "token", &token)),
        house.exchange(&body("5001", "clientAssertion", &assertion)),
        house.exchange(&body("5002", "clientAssertion", &assertion)),
        house.get("/identities").header("api-key", KEY).bearer(&auth),
        house.get("/identities").header("api-key", "an-unknown-api-key").bearer(&auth),
        house.post("/logout").header("api-key", KEY).bearer(&auth),
    ];
    let mut references = Vec::new();
    for call in calls {
        let answer = call.header("idempotency-ref", reference).await;
        references.push((answer.status, answer.header("request-ref").unwrap().to_owned()));
    }

    let log = log.text();
    for (status, reference) in &references {
        let lines: Vec<_> = log.lines().filter(|line| line.contains(reference)).collect();
        // Malformed fields are no decision: the engine is not asked.
        assert_eq!(lines.is_empty(), *status == 400 && reference == &references[2].1, "{status}");
        assert!(lines.iter().any(|line| line.contains("mintage::audit")) || *status == 400);
    }
    for secret in [KEY, "an-unknown-api-key", &*auth, &*access, &*token, &*assertion, reference] {
        // Nor a part of it that is long enough to be of use.
        let part = &secret[..secret.len().min(40)];
        let tail = &secret[secret.len() - secret.len().min(40)..];
        assert!(!log.contains(part) && !log.contains(tail), "{secret} is in the log");
    }
}
