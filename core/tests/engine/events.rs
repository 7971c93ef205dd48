//! Every operation leaves exactly one event, however it ends.

use std::{
    pin::pin,
    sync::{Arc, Mutex},
    task::{Context, Waker},
};

use mintage::{
    AuditEvent, AuditSink, LogIn, Operation, Outcome, Page, SecretText, Status, SteppedUp,
};

use crate::world::*;

#[derive(Debug, Clone, Default)]
struct Events(Arc<Mutex<Vec<Event>>>);

/// What was asked for, how it ended, and whose it was.
type Event = (Operation, &'static str, Option<String>);

impl AuditSink for Events {
    fn record(&self, event: &AuditEvent<'_>) {
        let outcome = match event.outcome {
            Outcome::Done { .. } => "done",
            Outcome::Failed(_) => "failed",
            Outcome::Abandoned => "abandoned",
        };
        let tenant = event.tenant.map(ToString::to_string);
        self.0.lock().unwrap().push((event.operation, outcome, tenant));
    }
}

impl Events {
    /// The one event since the last time.
    fn one(&self) -> Event {
        let mut events = self.0.lock().unwrap();
        assert_eq!(events.len(), 1, "{events:?}");
        events.pop().unwrap()
    }
}

#[tokio::test]
async fn every_operation_leaves_one_event() {
    let events = Events::default();
    let world = World::audited(Arc::new(events.clone())).await;
    let engine = &world.engine;
    let told = |operation, outcome: &str| {
        let (seen, how, tenant) = events.one();
        assert_eq!((seen, how), (operation, outcome));
        let has_tenant = !matches!(operation, Operation::RaiseEpoch | Operation::IdentifyClient);
        assert_eq!(tenant.is_some(), has_tenant, "{operation:?}");
    };

    assert!(engine.client(&SecretText::new("unknown")).await.is_err());
    told(Operation::IdentifyClient, "failed");
    let login = LogIn::new(root(), Status::Standard);
    let login = engine.log_in(&acme(), login).await.unwrap().token;
    told(Operation::LogIn, "done");
    let access = world.exchange(&Way::open(&login)).await.unwrap().token;
    told(Operation::Open, "done");
    assert!(world.exchange(&Way::nothing()).await.is_err());
    told(Operation::Exchange, "failed");
    let token = world.one_time(Status::Standard).await;
    told(Operation::IssueOneTime, "done");
    assert!(world.exchange(&Way::step_up(&access, &token)).await.is_err());
    told(Operation::StepUp, "failed");
    assert!(world.exchange(&Way::redeem(&token)).await.is_ok());
    told(Operation::Redeem, "done");
    assert!(world.exchange(&Way::redeem(&token)).await.is_err());
    told(Operation::Redeem, "failed");
    let assertion = world.assertion("events").await;
    assert!(world.exchange(&Way::assert(&assertion)).await.is_ok());
    told(Operation::Assert, "done");
    assert!(engine.authenticate::<SteppedUp>(&acme(), &access).await.is_err());
    told(Operation::Authenticate, "failed");
    assert!(engine.elevate(&acme(), &access).await.is_ok());
    told(Operation::Elevate, "done");
    assert!(engine.introspect(&acme(), &access).await.is_ok());
    told(Operation::Introspect, "done");
    assert!(engine.identities(&acme(), &login, Page { offset: 0, limit: 9 }).await.is_ok());
    told(Operation::ListIdentities, "done");
    assert!(engine.revoke(&acme(), &access).await.is_ok());
    told(Operation::Revoke, "done");
    assert!(engine.log_out(&acme(), &login).await.is_ok());
    told(Operation::LogOut, "done");
    assert!(engine.revoke_all(&acme().tenant, &root(), None).await.is_ok());
    told(Operation::RevokeAll, "done");
    assert!(engine.raise_epoch().await.is_ok());
    told(Operation::RaiseEpoch, "done");
}

#[tokio::test]
async fn an_operation_that_is_dropped_leaves_its_event_too() {
    let events = Events::default();
    let world = World::audited(Arc::new(events.clone())).await;
    let token = world.one_time(Status::Standard).await;
    events.one();
    world.faults.yield_at_every_step();
    {
        let mut dropped = pin!(world.engine.exchange(Way::redeem(&token).request()));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(dropped.as_mut().poll(&mut cx).is_pending());
    }
    assert_eq!(events.one(), (Operation::Redeem, "abandoned", Some("acme".to_owned())));
}
