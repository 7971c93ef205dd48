//! Operations and answers in few words, for the steps of a [`Violation`](super::Violation).

use std::fmt;

use super::model::{Answer, Op};
use crate::{
    grant::{First, Grant, Read, State},
    id::{Attempt, GrantId},
};

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Issue(event) => {
                let id = Short(event.id);
                match &event.first {
                    First::OneTime { .. } => write!(f, "issue the one-time token {id}"),
                    First::Token { attempt, .. } => {
                        write!(f, "issue the grant {id} in {}", Try(*attempt))
                    }
                }
            }
            Self::Redeem(event) => {
                write!(f, "redeem {} in {}", Short(event.id), Try(event.attempt))
            }
            Self::StepUp(event) => {
                let (bearer, token) = (Short(event.bearer.id), Short(event.redeem.id));
                write!(f, "step up {bearer} with {token} in {}", Try(event.redeem.attempt))
            }
            Self::Open(event) => {
                let (login, child) = (Short(event.login.id), Short(event.id));
                write!(f, "open {child} under {login} in {}", Try(event.attempt))
            }
            Self::Elevate(event) => {
                write!(f, "elevate {} until {:?}", Short(event.bearer.id), event.until)
            }
            Self::Touch(event) => write!(f, "touch {}", Short(event.bearer.id)),
            Self::Read(event) => match &**event {
                Read::OneTime { id, .. } => write!(f, "read {} by its secret", Short(*id)),
                Read::Bearer(bearer) => write!(f, "read {}", Short(bearer.id)),
            },
            Self::Revoke(event) => write!(f, "revoke {}", Short(event.id)),
            Self::RevokeAll(event) => write!(f, "revoke all up to {:?}", event.up_to),
        }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Granted { grant, retried } => {
                let again = if *retried { " as before" } else { "" };
                write!(f, "granted{again}: ")?;
                state(grant, f)
            }
            other => fmt::Debug::fmt(other, f),
        }
    }
}

fn state(grant: &Grant, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let id = Short(grant.id);
    match &grant.state {
        State::Issued(issued) => write!(f, "{id} waits until {:?}", issued.expires_at),
        State::Active(active) => write!(
            f,
            "{id} is {:?} until {:?}, unused until {:?}",
            active.strength, active.minted.expires_at, active.idle_until
        ),
        other => write!(f, "{id} is {other:?}"),
    }
}

/// The end of an id: what tells it from the others of its credential.
struct Short(GrantId);

impl fmt::Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = self.0.to_string();
        write!(f, "…{}", &id[id.len() - 6..])
    }
}

/// The beginning of an attempt, which is no secret here.
struct Try(Attempt);

impl fmt::Display for Try {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, ..] = self.0.as_bytes();
        write!(f, "attempt {a:02x}{b:02x}")
    }
}
