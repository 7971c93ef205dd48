//! No secret is in any `Debug`, error, event or log line.

use std::{
    fmt::{Debug, Write as _},
    io,
    sync::{Arc, Mutex},
};

use mintage::{AuditEvent, AuditSink, OneTimeToken, SecretText, Status, TracingAudit};
use tracing_subscriber::fmt::MakeWriter;

use crate::world::*;

/// Everything that could be seen.
#[derive(Debug, Clone, Default)]
struct Seen(Arc<Mutex<String>>);

impl Seen {
    fn note(&self, thing: &dyn Debug) {
        writeln!(self.0.lock().unwrap(), "{thing:?}\n{thing:#?}").unwrap();
    }

    fn result<T: Debug>(&self, result: &Result<T, mintage::Error>) {
        self.note(result);
        if let Err(error) = result {
            self.0.lock().unwrap().push_str(&error.to_string());
        }
    }
}

impl AuditSink for Seen {
    fn record(&self, event: &AuditEvent<'_>) {
        self.note(event);
        TracingAudit.record(event);
    }
}

impl io::Write for Seen {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().push_str(&String::from_utf8_lossy(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Seen {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn no_secret_is_ever_shown() {
    let seen = Seen::default();
    let logs = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(seen.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(logs);
    let world = World::audited(Arc::new(seen.clone())).await;

    let (login, access) = world.open().await;
    let spent = world.one_time(Status::Standard).await;
    let proof = world.one_time(Status::SteppedUp).await;
    let assertion = world.assertion("canary").await;
    let ways = [
        Way::open(&login).attempt("my-reference"),
        Way::redeem(&spent),
        Way::redeem(&spent),
        Way::redeem(&format!("{spent}x")),
        Way::step_up(&access, &proof).attempt("my-reference"),
        Way::step_up(&access, &proof),
        Way::assert(&assertion),
        Way::assert(&assertion),
        Way::open(&access),
        Way::nothing(),
    ];
    let mut minted = Vec::new();
    for way in &ways {
        seen.note(&way.request());
        let result = world.exchange(way).await;
        seen.result(&result);
        minted.extend(result.ok().map(|got| got.token.expose().to_owned()));
    }
    let key = SecretText::new(API_KEY);
    seen.result(&world.engine.client(&key).await);
    seen.result(&world.engine.client(&SecretText::new("a-wrong-api-key")).await);
    seen.result(&world.live(&access).await);
    seen.result(&world.engine.introspect(&acme(), &access).await);
    seen.result(&world.engine.log_out(&acme(), &access).await);
    seen.note(&world.engine);
    seen.note(&world.store);
    seen.note(&world.keys);
    seen.note(&spent.parse::<OneTimeToken>());
    seen.note(&world.assertion_key);

    let seen = seen.0.lock().unwrap().clone();
    assert!(seen.contains("replay of a spent one-time token"), "the log was captured: {seen}");
    let presented = [login.expose(), access.expose(), &spent, &proof, &assertion];
    let minted = minted.iter().map(String::as_str);
    for secret in presented.into_iter().chain(minted) {
        // The secret half of a one-time token; the signature of a JWS.
        let tail = &secret[secret.len() - 40..];
        assert!(!seen.contains(tail), "a token is shown");
    }
    for secret in [API_KEY, "a-wrong-api-key", "my-reference"] {
        assert!(!seen.contains(secret), "{secret} is shown");
    }
}
