//! What can be wrong with what is presented, in the order of judgement: where two things are, the
//! earlier refuses.

use super::{
    Violation,
    model::{Answer, Op},
    scene::{HOUR, MIN, OneTime, Outcome, Person, S, Scene, bearer, revoke},
};
use crate::{
    grant::{Bearer, Context, First, Grant, Refusal, Revoke, Strength},
    id::Epoch,
    instant::{Lifetime, Timestamp},
};

/// One thing that is wrong, called as it is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flaw {
    /// With the one-time token; or with time, epoch or head.
    Token(Refusal),
    /// With the Bearer.
    Bearer(Refusal),
}

/// The flaws of a one-time token, in order.
pub(super) const TOKEN: &[Flaw] = &[
    Flaw::Token(Refusal::Unknown),
    Flaw::Token(Refusal::Secret),
    Flaw::Token(Refusal::Tenant),
    Flaw::Token(Refusal::Client),
    Flaw::Token(Refusal::Clock),
    Flaw::Token(Refusal::Epoch),
    Flaw::Token(Refusal::Head),
    Flaw::Token(Refusal::Identity),
    Flaw::Token(Refusal::Revoked),
    Flaw::Token(Refusal::Expired),
];

/// The flaws of an access token, in order.
pub(super) const BEARER: &[Flaw] = &[
    Flaw::Bearer(Refusal::Unknown),
    Flaw::Bearer(Refusal::Tenant),
    Flaw::Bearer(Refusal::Client),
    Flaw::Bearer(Refusal::Credential),
    Flaw::Bearer(Refusal::Clock),
    Flaw::Bearer(Refusal::Epoch),
    Flaw::Bearer(Refusal::Head),
    Flaw::Bearer(Refusal::Login),
    Flaw::Bearer(Refusal::Superseded),
    Flaw::Bearer(Refusal::Revoked),
    Flaw::Bearer(Refusal::Expired),
    Flaw::Bearer(Refusal::Idle),
];

/// The flaws of both, in the order in which a step-up judges them.
pub(super) const BOTH: &[Flaw] = &[
    Flaw::Token(Refusal::Unknown),
    Flaw::Token(Refusal::Secret),
    Flaw::Token(Refusal::Tenant),
    Flaw::Token(Refusal::Client),
    Flaw::Token(Refusal::Clock),
    Flaw::Token(Refusal::Epoch),
    Flaw::Token(Refusal::Head),
    Flaw::Bearer(Refusal::Unknown),
    Flaw::Bearer(Refusal::Tenant),
    Flaw::Bearer(Refusal::Client),
    Flaw::Bearer(Refusal::Credential),
    Flaw::Bearer(Refusal::Login),
    Flaw::Token(Refusal::Identity),
    Flaw::Token(Refusal::Revoked),
    Flaw::Bearer(Refusal::Superseded),
    Flaw::Bearer(Refusal::Revoked),
    Flaw::Bearer(Refusal::Idle),
];

/// Every two of these flaws that can be there at once, the earlier first.
pub(super) fn pairs(flaws: &[Flaw]) -> impl Iterator<Item = (Flaw, Flaw)> {
    flaws.iter().enumerate().flat_map(|(i, &first)| {
        flaws[i + 1..].iter().map(move |&second| (first, second)).filter(|pair| possible(*pair))
    })
}

/// A grant has one state, and an operation one instant.
fn possible((first, second): (Flaw, Flaw)) -> bool {
    let late = [Refusal::Expired, Refusal::Idle];
    match (first, second) {
        (
            Flaw::Bearer(Refusal::Superseded | Refusal::Revoked),
            Flaw::Bearer(Refusal::Superseded | Refusal::Revoked),
        ) => false,
        (
            Flaw::Token(Refusal::Clock) | Flaw::Bearer(Refusal::Clock),
            Flaw::Token(second) | Flaw::Bearer(second),
        ) => !late.contains(&second),
        _ => true,
    }
}

impl Flaw {
    /// The answer of an operation that refuses token and Bearer alike.
    pub(super) fn refused(self) -> Answer {
        let (Self::Token(refusal) | Self::Bearer(refusal)) = self;
        Answer::Refused(refusal)
    }

    /// The answer of an operation that tells them apart.
    pub(super) fn refused_apart(self) -> Answer {
        match self {
            Self::Token(refusal) => Answer::Refused(refusal),
            Self::Bearer(refusal) => Answer::BearerRefused(refusal),
        }
    }
}

/// A Bearer, and a one-time token that is evidence for it, until a flaw befalls them.
pub(super) struct Flawed<'a> {
    ana: &'a Person<'a>,
    scene: &'a Scene<'a>,
    pub(super) token: OneTime,
    /// What the Bearer stands for.
    pub(super) grant: Grant,
    pub(super) bearer: Bearer,
    pub(super) cx: Context,
    /// Whether a record may be gone by now, being past its end.
    may_be_gone: bool,
}

impl<'a> Flawed<'a> {
    /// The Bearer is an access token that was opened under a login.
    pub(super) async fn child(ana: &'a Person<'a>) -> Result<Self, Violation> {
        let login = ana.logs_in(0).await?;
        Self::of(ana, ana.opens(&login, 0).await?).await
    }

    /// The Bearer is an auth token.
    pub(super) async fn login(ana: &'a Person<'a>) -> Result<Self, Violation> {
        Self::of(ana, ana.logs_in(0).await?).await
    }

    async fn of(ana: &'a Person<'a>, grant: Grant) -> Result<Self, Violation> {
        let scene = ana.scene;
        let evidence = Strength::SteppedUp { until: None };
        let mut token = ana.one_time(Some(ana.identity.clone()), evidence);
        // It outlives the idle limit of the Bearer.
        if let First::OneTime { lifetime, .. } = &mut token.issue.first {
            *lifetime = Lifetime::from_mins(10);
        }
        scene.granted(&token.issue, scene.at(0)).await?;
        let bearer = bearer(&grant);
        Ok(Self { ana, scene, token, grant, bearer, cx: scene.at(S), may_be_gone: false })
    }

    pub(super) async fn suffers(&mut self, (first, second): (Flaw, Flaw)) -> Outcome {
        // The later first: what it needs done is done while the rest is still in order.
        for flaw in [second, first] {
            match flaw {
                Flaw::Token(Refusal::Clock | Refusal::Epoch | Refusal::Head)
                | Flaw::Bearer(Refusal::Clock | Refusal::Epoch | Refusal::Head) => {
                    self.surroundings(flaw).await?;
                }
                Flaw::Token(refusal) => self.token(refusal).await?,
                Flaw::Bearer(refusal) => self.bearer(refusal).await?,
            }
        }
        Ok(())
    }

    /// The operation is answered so; or, where a record may be gone, it is unknown.
    pub(super) async fn answers(&self, op: impl Into<Op>, expected: Answer) -> Outcome {
        let unknown = match expected {
            Answer::BearerRefused(_) => Answer::BearerRefused(Refusal::Unknown),
            _ => Answer::Refused(Refusal::Unknown),
        };
        let seen = self.scene.ask(op, self.cx).await?;
        if self.may_be_gone && seen == unknown {
            return Ok(());
        }
        self.scene.same("the answer", &expected, &seen)
    }

    async fn surroundings(&mut self, flaw: Flaw) -> Outcome {
        match flaw {
            Flaw::Token(Refusal::Clock) | Flaw::Bearer(Refusal::Clock) => {
                self.cx.now = self.scene.instant(-5 * S - 1);
            }
            Flaw::Token(Refusal::Epoch) | Flaw::Bearer(Refusal::Epoch) => {
                self.cx.epoch = Epoch(Timestamp::from_millis(self.cx.epoch.0.as_millis() + 1));
            }
            _ => {
                let all = self.ana.revoke_all(self.scene.instant(S));
                self.scene.answered(all, self.scene.at(S), Answer::RevokedAll).await?;
            }
        }
        Ok(())
    }

    async fn token(&mut self, refusal: Refusal) -> Outcome {
        let redeem = &mut self.token.redeem;
        let other = self.scene.person()?;
        match refusal {
            Refusal::Unknown => redeem.id = self.ana.fresh_id(),
            Refusal::Secret => redeem.secret = self.scene.secret(),
            Refusal::Tenant => redeem.tenant = other.tenant,
            Refusal::Client => redeem.client = other.client,
            Refusal::Identity => redeem.identity = other.identity,
            Refusal::Revoked => {
                let id = self.token.issue.id;
                let tenant = self.ana.tenant.clone();
                let revoke = Revoke { id, tenant, client: None, secret: None };
                self.scene.answered(revoke, self.scene.at(S), Answer::Revoked).await?;
            }
            _ => self.pass_to(10 * MIN, true),
        }
        Ok(())
    }

    async fn bearer(&mut self, refusal: Refusal) -> Outcome {
        let other = self.scene.person()?;
        match refusal {
            Refusal::Unknown => self.bearer.id = self.ana.fresh_id(),
            Refusal::Tenant => self.bearer.tenant = other.tenant,
            Refusal::Client => self.bearer.client = other.client,
            Refusal::Credential => self.bearer.credential = other.credential,
            Refusal::Login => self.bearer.login = Some(self.ana.fresh_id()),
            Refusal::Superseded => {
                let evidence = self.ana.gets(Strength::SteppedUp { until: None }, 0).await?;
                self.scene.granted(evidence.step_up(&self.grant), self.scene.at(S)).await?;
            }
            Refusal::Revoked => {
                let revoked = revoke(&self.grant);
                self.scene.answered(revoked, self.scene.at(S), Answer::Revoked).await?;
            }
            Refusal::Idle => self.pass_to(5 * MIN, false),
            _ => {
                let limit = self.scene.active(&self.grant)?.minted.expires_at;
                let lives = if limit < self.scene.instant(2 * HOUR) { HOUR } else { 12 * HOUR };
                self.pass_to(lives, true);
            }
        }
        Ok(())
    }

    fn pass_to(&mut self, millis: i64, may_be_gone: bool) {
        self.cx.now = self.cx.now.max(self.scene.instant(millis));
        self.may_be_gone |= may_be_gone;
    }
}
