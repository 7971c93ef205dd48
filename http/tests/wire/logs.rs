//! What is logged: every decision under its request's name, and never a secret.

use std::{
    io,
    sync::{LazyLock, Mutex},
};

use mintage::Status;
use serde_json::json;
use tracing::Level;

use crate::house::{House, KEY};

/// Whatever any test of this binary logs. The subscriber is the process's own, and there before
/// anything is logged: `tracing` remembers of each place whether anybody listens.
static LOG: LazyLock<Mutex<Vec<u8>>> = LazyLock::new(|| {
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(Level::TRACE)
        .with_writer(|| Writer)
        .with_ansi(false)
        .finish();
    tracing::subscriber::set_global_default(subscriber).unwrap();
    Mutex::default()
});

/// Listens from now on.
pub(crate) fn listen() {
    LazyLock::force(&LOG);
}

struct Writer;

impl io::Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LOG.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn every_decision_is_logged_with_its_request_ref_and_no_secret_is() {
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
    let mut answers = Vec::new();
    for call in calls {
        answers.push(call.header("idempotency-ref", reference).await);
    }

    let log = String::from_utf8(LOG.lock().unwrap().clone()).unwrap();
    for (index, answer) in answers.iter().enumerate() {
        let reference = answer.header("request-ref").unwrap();
        let mut lines = log.lines().filter(|line| line.contains(reference));
        let decided = lines.any(|line| line.contains("mintage::audit"));
        // Malformed fields are no decision: the engine is not asked.
        assert_eq!(decided, index != 2, "{answer:?}");
    }
    for secret in [KEY, "an-unknown-api-key", &*auth, &*access, &*token, &*assertion, reference] {
        // Nor a part of it that is long enough to be of use.
        let part = &secret[..secret.len().min(40)];
        let tail = &secret[secret.len() - secret.len().min(40)..];
        assert!(!log.contains(part) && !log.contains(tail), "{secret} is in the log");
    }
}
