//! The model: operations and answers as values, and the records as the specification leaves them.

use std::collections::BTreeMap;

use crate::{
    grant::{
        self, Context, Decision, Elevate, Grant, Head, Issue, Open, Read, Redeem, Redemption,
        Refusal, Revocation, Revoke, RevokeAll, StepUp, Touch, Verdict,
    },
    id::{GrantId, Locator},
    instant::Timestamp,
    store::{StoreError, TokenStore},
};

macro_rules! operations {
    ($($event:ident,)+) => {
        /// Any operation of a store that judges grants.
        #[derive(Debug, Clone)]
        pub(super) enum Op {
            $($event(Box<$event>),)+
        }

        $(
            impl From<$event> for Op {
                fn from(event: $event) -> Self {
                    Self::$event(Box::new(event))
                }
            }

            impl From<&$event> for Op {
                fn from(event: &$event) -> Self {
                    event.clone().into()
                }
            }
        )+
    };
}

operations! { Issue, Redeem, StepUp, Open, Elevate, Touch, Read, Revoke, RevokeAll, }

/// The answer to any of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// Here is the grant.
    Granted { grant: Box<Grant>, retried: bool },
    /// Another attempt spent the token before.
    Replayed { revoked: bool },
    /// Refused.
    Refused(Refusal),
    /// The Bearer is refused.
    BearerRefused(Refusal),
    /// It has ended now.
    Revoked,
    /// It had ended before.
    AlreadyRevoked,
    /// All have ended.
    RevokedAll,
}

impl Answer {
    pub(super) fn grant(&self) -> Option<&Grant> {
        match self {
            Self::Granted { grant, .. } => Some(grant),
            _ => None,
        }
    }
}

impl From<Verdict> for Answer {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Granted { grant, retried } => {
                Self::Granted { grant: Box::new(grant), retried }
            }
            Verdict::Refused(refusal) => Self::Refused(refusal),
        }
    }
}

impl From<Redemption> for Answer {
    fn from(redemption: Redemption) -> Self {
        match redemption {
            Redemption::Redeemed { grant, retried } => {
                Self::Granted { grant: Box::new(grant), retried }
            }
            Redemption::Replayed { revoked } => Self::Replayed { revoked },
            Redemption::Refused(refusal) => Self::Refused(refusal),
            Redemption::BearerRefused(refusal) => Self::BearerRefused(refusal),
        }
    }
}

impl From<Revocation> for Answer {
    fn from(revocation: Revocation) -> Self {
        match revocation {
            Revocation::Revoked => Self::Revoked,
            Revocation::AlreadyRevoked => Self::AlreadyRevoked,
            Revocation::Refused(refusal) => Self::Refused(refusal),
        }
    }
}

impl Op {
    /// Asks a store.
    pub(super) async fn ask(
        &self,
        store: &dyn TokenStore,
        cx: &Context,
    ) -> Result<Answer, StoreError> {
        Ok(match self {
            Self::Issue(event) => store.issue(event, cx).await?.into(),
            Self::Redeem(event) => store.redeem(event, cx).await?.into(),
            Self::StepUp(event) => store.step_up(event, cx).await?.into(),
            Self::Open(event) => store.open(event, cx).await?.into(),
            Self::Elevate(event) => store.elevate(event, cx).await?.into(),
            Self::Touch(event) => store.touch(event, cx).await?.into(),
            Self::Read(event) => store.read(event, cx).await?.into(),
            Self::Revoke(event) => store.revoke(event, cx).await?.into(),
            Self::RevokeAll(event) => {
                store.revoke_all(event, cx).await?;
                Answer::RevokedAll
            }
        })
    }
}

/// The records, as the specification leaves them.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Model {
    heads: BTreeMap<Locator, Head>,
    grants: BTreeMap<GrantId, Grant>,
    latest: Timestamp,
}

impl Model {
    /// What the specification decides.
    pub(super) fn judge(&self, op: &Op, cx: &Context) -> Decision<Answer> {
        let head = |id: GrantId| self.heads.get(&id.locator());
        let grant = |id: GrantId| self.grants.get(&id);
        let login = |id: Option<GrantId>| self.grants.get(&id?);
        match op {
            Op::Issue(event) => flat(grant::issue(head(event.id), grant(event.id), event, cx)),
            Op::Redeem(event) => flat(grant::redeem(head(event.id), grant(event.id), event, cx)),
            Op::StepUp(event) => flat(grant::step_up(
                head(event.redeem.id),
                login(event.bearer.login),
                grant(event.bearer.id),
                grant(event.redeem.id),
                event,
                cx,
            )),
            Op::Open(event) => {
                let id = event.login.id;
                flat(grant::open(head(id), grant(id), grant(event.id), event, cx))
            }
            Op::Elevate(event) => {
                let Elevate { bearer, .. } = &**event;
                let (head, login) = (head(bearer.id), login(bearer.login));
                flat(grant::elevate(head, login, grant(bearer.id), event, cx))
            }
            Op::Touch(event) => {
                let Touch { bearer, .. } = &**event;
                let (head, login) = (head(bearer.id), login(bearer.login));
                flat(grant::touch(head, login, grant(bearer.id), event, cx))
            }
            Op::Read(event) => {
                let (id, sid) = match &**event {
                    Read::OneTime { id, .. } => (*id, None),
                    Read::Bearer(bearer) => (bearer.id, bearer.login),
                };
                only(grant::read(head(id), login(sid), grant(id), event, cx).into())
            }
            Op::Revoke(event) => flat(grant::revoke(grant(event.id), event, cx)),
            Op::RevokeAll(event) => {
                let locator = Locator::of(&event.tenant, &event.credential);
                let head = grant::revoke_all(self.heads.get(&locator), event, cx);
                Decision { head, ..only(Answer::RevokedAll) }
            }
        }
    }

    /// Every decision that a store may come to: beyond its `keep_until` a record may be there or
    /// not, and "unknown" and "expired" are one answer.
    pub(super) fn judgements(&self, op: &Op, cx: &Context) -> Vec<Decision<Answer>> {
        // It may judge so by this operation's clock, or have dropped the record at an earlier one.
        let as_kept = [cx.now, self.latest.max(cx.now)]
            .into_iter()
            .filter(|now| !self.keeps_all_at(*now))
            .map(|now| self.kept_at(now).judge(op, cx));
        [self.judge(op, cx)].into_iter().chain(as_kept).collect()
    }

    /// Writes what was decided.
    pub(super) fn write(&mut self, decision: &Decision<Answer>, now: Timestamp) {
        self.latest = self.latest.max(now);
        if let Some(head) = &decision.head {
            self.heads.insert(Locator::of(&head.tenant, &head.credential), head.clone());
        }
        for grant in decision.grants.iter().flatten() {
            self.grants.insert(grant.id, grant.clone());
        }
    }

    fn keeps_all_at(&self, now: Timestamp) -> bool {
        self.heads.values().all(|head| now < head.keep_until)
            && self.grants.values().all(|grant| now < grant.keep_until)
    }

    fn kept_at(&self, now: Timestamp) -> Self {
        let mut kept = self.clone();
        kept.heads.retain(|_, head| now < head.keep_until);
        kept.grants.retain(|_, grant| now < grant.keep_until);
        kept
    }
}

fn flat<A: Into<Answer>>(decision: Decision<A>) -> Decision<Answer> {
    let Decision { answer, head, grants } = decision;
    Decision { answer: answer.into(), head, grants }
}

fn only(answer: Answer) -> Decision<Answer> {
    Decision { answer, head: None, grants: [None, None] }
}
