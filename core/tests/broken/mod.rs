//! A plain store over a map, and what can be wrong with one.
//!
//! It judges by the pure functions, as [`MemoryStore`](mintage::MemoryStore) does. A fault alters
//! what they are shown (the records, the event, the context), what they decided, or the moment
//! between the two.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::{
    collections::{BTreeMap, HashMap},
    num::NonZeroU32,
    sync::{Arc, Mutex},
};

use mintage::{
    Epoch, Grade, GrantId, Guarantee, Lifetime, Locator, StoreError, Timestamp, TokenStore,
    async_trait,
    grant::{
        self, Active, Bearer, Context, Decision, Elevate, First, Grant, Head, Issue, Issued,
        Minted, Open, Purpose, Read, Redeem, Redemption, Refusal, Revocation, Revoke, RevokeAll,
        Revoked, State, StepUp, Strength, Terms, Touch, Verdict,
    },
};

/// What is wrong with a [`PlainStore`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing.
    Intact,
    // Nor is this wrong.
    /// Others come before and after its one step.
    IsSlow,
    /// It has dropped whatever was to be kept until a year that is past.
    DropsByItsOwnClock,
    /// To it, a record is gone when its `keep_until` has come.
    DropsOnTime,

    // It does in two steps what must be one: others come between reading and writing.
    RedeemsInTwoSteps,
    IssuesInTwoSteps,
    OpensInTwoSteps,
    StepsUpInTwoSteps,
    TouchesInTwoSteps,
    ElevatesInTwoSteps,
    RevokesInTwoSteps,
    /// It lists the grants of the credential, and then revokes what it found.
    RevokesAllByListing,

    // It forgets a condition.
    ForgetsSecret,
    ForgetsTenant,
    ForgetsClient,
    ForgetsCredential,
    ForgetsIdentity,
    ForgetsResolution,
    ForgetsClock,
    ForgetsEpoch,
    ForgetsGeneration,
    ForgetsRevokedTo,
    ForgetsRevokedAt,
    ForgetsMissingHead,
    ForgetsLogin,
    ForgetsNotAfter,
    ForgetsOneTimeExpiry,
    ForgetsIdleLimit,
    ForgetsAbsoluteLimit,
    ForgetsRetryWindow,
    ForgetsTakenId,
    IsOneMillisecondLate,

    // It does too much, or too little.
    MintsOnRetry,
    RevokesNothingOnReplay,
    BurnsOnRefusal,
    SpendsOnDeadBearer,
    ForgetsToSupersede,
    StepUpTakesTheTermsOfItsEvidence,
    SupersededAnswersAnyone,
    ChildOutlivesLogin,
    ChildForgetsStrength,
    OpensWithoutSliding,
    TouchesWithoutSliding,
    SlidesOnReading,
    ShortensStepUp,
    StepUpOutlivesGrant,

    // It keeps something else than it was given.
    LosesClaims,
    KeepsSecondsOnly,

    // It keeps house badly.
    PurgesTheLiving,
    PurgesByTheFirstEnd,
    PurgesWithoutLimit,
    PurgesNothing,
    KeepsWhatWasSpent,
    EpochStandsStill,
}

use Fault as F;

#[derive(Debug)]
pub(crate) struct PlainStore {
    fault: Fault,
    shards: Mutex<HashMap<Locator, Shard>>,
    epoch: Mutex<Epoch>,
}

/// The records of one credential.
#[derive(Debug, Clone, Default)]
struct Shard {
    head: Option<Head>,
    grants: BTreeMap<GrantId, Grant>,
}

impl PlainStore {
    pub(crate) fn with(fault: Fault) -> Self {
        Self { fault, shards: Mutex::default(), epoch: Mutex::default() }
    }

    fn is(&self, fault: Fault) -> bool {
        self.fault == fault
    }

    /// Shows a copy of the records to `judge`, and writes what it decides: in one step, unless it
    /// is the fault to do it in two.
    async fn step_unless<A: Send>(
        &self,
        in_two_steps: Fault,
        locator: Locator,
        cx: &Context,
        judge: impl FnOnce(Shard) -> Decision<A> + Send,
    ) -> Result<A, StoreError> {
        if self.is(F::IsSlow) {
            tokio::task::yield_now().await;
            let answer = self.step(locator, cx, judge);
            tokio::task::yield_now().await;
            return Ok(answer);
        }
        if !self.is(in_two_steps) {
            return Ok(self.step(locator, cx, judge));
        }
        let seen = self.shards.lock().unwrap().entry(locator).or_default().clone();
        tokio::task::yield_now().await;
        let decision = judge(self.shown(seen, cx));
        let mut shards = self.shards.lock().unwrap();
        Ok(self.write(shards.entry(locator).or_default(), decision))
    }

    fn step<A>(
        &self,
        locator: Locator,
        cx: &Context,
        judge: impl FnOnce(Shard) -> Decision<A>,
    ) -> A {
        let mut shards = self.shards.lock().unwrap();
        let shard = shards.entry(locator).or_default();
        let decision = judge(self.shown(shard.clone(), cx));
        self.write(shard, decision)
    }

    fn write<A>(&self, shard: &mut Shard, decision: Decision<A>) -> A {
        if let Some(head) = decision.head {
            shard.head = Some(head);
        }
        for mut grant in decision.grants.into_iter().flatten() {
            match self.fault {
                F::LosesClaims => {
                    grant.terms = Arc::new(Terms { claims: None, ..(*grant.terms).clone() });
                }
                F::KeepsSecondsOnly => {
                    if let State::Active(active) = &mut grant.state {
                        active.idle_until =
                            Timestamp::from_millis(active.idle_until.as_secs() * 1000);
                    }
                }
                F::PurgesByTheFirstEnd => {
                    let first = shard.grants.get(&grant.id).map(|grant| grant.keep_until);
                    grant.keep_until = first.unwrap_or(grant.keep_until);
                }
                _ => {}
            }
            shard.grants.insert(grant.id, grant);
        }
        decision.answer
    }

    /// The records as every operation sees them.
    fn shown(&self, mut shard: Shard, cx: &Context) -> Shard {
        let gone = match self.fault {
            F::DropsByItsOwnClock => THIS_YEAR,
            F::DropsOnTime => cx.now,
            _ => Timestamp::MIN,
        };
        shard.head.take_if(|head| head.keep_until <= gone);
        shard.grants.retain(|_, grant| grant.keep_until > gone);
        match (self.fault, &mut shard.head) {
            (F::ForgetsRevokedTo, Some(head)) => head.revoked_to = Timestamp::MIN,
            (F::ForgetsRevokedAt, Some(head)) => head.revoked_at = Timestamp::MIN,
            (F::ForgetsGeneration, Some(head)) => {
                for grant in shard.grants.values_mut() {
                    grant.generation = head.generation;
                }
            }
            (F::ForgetsMissingHead, head @ None) => {
                *head = shard.grants.values().next().map(|grant| Head {
                    tenant: grant.terms.tenant.clone(),
                    credential: grant.terms.credential.clone(),
                    generation: grant.generation,
                    revoked_to: Timestamp::MIN,
                    revoked_at: Timestamp::MIN,
                    keep_until: Timestamp::MAX,
                });
            }
            _ => {}
        }
        shard
    }

    fn context(&self, cx: &Context) -> Context {
        match self.fault {
            F::ForgetsEpoch => Context { epoch: Epoch(Timestamp::MIN), ..*cx },
            F::ForgetsClock => Context { max_skew: Lifetime::MAX, ..*cx },
            F::ForgetsRetryWindow => Context { retry_window: Lifetime::MAX, ..*cx },
            _ => *cx,
        }
    }

    /// The one-time token and its record, as redeeming and stepping up see them.
    fn token(&self, event: &Redeem, shard: &mut Shard) -> Redeem {
        let mut event = event.clone();
        let Some(grant) = shard.grants.get_mut(&event.id) else { return event };
        match (self.fault, &mut grant.state) {
            (F::ForgetsSecret, _) => event.secret = grant.secret.unwrap_or(event.secret),
            (F::ForgetsTenant, _) => event.tenant = grant.terms.tenant.clone(),
            (F::ForgetsClient, _) => event.client = grant.terms.client.clone(),
            (F::ForgetsResolution, _) => event.resolved = true,
            (F::ForgetsIdentity, State::Issued(issued)) => {
                issued.identity = None;
                event.resolved = true;
            }
            (F::ForgetsOneTimeExpiry, State::Issued(issued)) => issued.expires_at = Timestamp::MAX,
            (F::IsOneMillisecondLate, State::Issued(issued)) => {
                issued.expires_at = issued.expires_at.after(Lifetime::from_millis(1));
            }
            (F::MintsOnRetry, State::Active(active)) if active.minted.attempt == event.attempt => {
                grant.state = State::Issued(Issued {
                    identity: Some(event.identity.clone()),
                    strength: active.strength,
                    expires_at: Timestamp::MAX,
                });
            }
            _ => {}
        }
        event
    }

    /// The Bearer and its records, as every operation on one sees them.
    fn bearer(&self, bearer: &Bearer, shard: &mut Shard, cx: &Context) -> Bearer {
        let mut bearer = bearer.clone();
        let Some(grant) = shard.grants.get_mut(&bearer.id) else { return bearer };
        match (self.fault, &mut grant.state) {
            (F::ForgetsTenant, _) => bearer.tenant = grant.terms.tenant.clone(),
            (F::ForgetsClient, _) => bearer.client = grant.terms.client.clone(),
            (F::ForgetsCredential, _) => bearer.credential = grant.terms.credential.clone(),
            (F::ForgetsAbsoluteLimit, State::Active(active)) => {
                active.minted = unlimited(&active.minted);
            }
            (F::ForgetsIdleLimit, State::Active(active)) if cx.now >= active.idle_until => {
                active.idle_until = Timestamp::MAX;
            }
            (F::ForgetsLogin, State::Active(active)) => {
                let minted = Minted { purpose: Purpose::Login, ..(*active.minted).clone() };
                let alive = Active { minted: unlimited(&minted), ..active.clone() };
                let login = bearer.login.and_then(|login| shard.grants.get_mut(&login));
                if let Some(login) = login {
                    login.state = State::Active(alive);
                }
            }
            _ => {}
        }
        bearer
    }
}

/// When the store that drops by its own clock is at work.
const THIS_YEAR: Timestamp = Timestamp::from_millis(1_790_000_000_000);

fn unlimited(minted: &Minted) -> Arc<Minted> {
    Arc::new(Minted { expires_at: Timestamp::MAX, ..minted.clone() })
}

#[async_trait]
impl TokenStore for PlainStore {
    async fn issue(&self, event: &Issue, cx: &Context) -> Result<Verdict, StoreError> {
        self.step_unless(F::IssuesInTwoSteps, event.id.locator(), cx, |shard| {
            let mut event = event.clone();
            if let (F::ForgetsNotAfter, First::Token { not_after, .. }) =
                (self.fault, &mut event.first)
            {
                *not_after = Timestamp::MAX;
            }
            let taken = shard.grants.get(&event.id).filter(|_| !self.is(F::ForgetsTakenId));
            grant::issue(shard.head.as_ref(), taken, &event, cx)
        })
        .await
    }

    async fn redeem(&self, event: &Redeem, cx: &Context) -> Result<Redemption, StoreError> {
        let cx = &self.context(cx);
        self.step_unless(F::RedeemsInTwoSteps, event.id.locator(), cx, |mut shard| {
            let event = self.token(event, &mut shard);
            let grant = shard.grants.get(&event.id);
            let mut decision = grant::redeem(shard.head.as_ref(), grant, &event, cx);
            match (self.fault, &decision.answer, grant) {
                (F::RevokesNothingOnReplay, Redemption::Replayed { .. }, _) => {
                    decision.grants = [None, None];
                }
                (F::BurnsOnRefusal, Redemption::Refused(Refusal::Identity), Some(grant)) => {
                    decision.grants[0] = Some(burnt(grant, cx));
                }
                _ => {}
            }
            decision
        })
        .await
    }

    async fn step_up(&self, event: &StepUp, cx: &Context) -> Result<Redemption, StoreError> {
        let cx = &self.context(cx);
        self.step_unless(F::StepsUpInTwoSteps, event.redeem.id.locator(), cx, |mut shard| {
            let redeem = self.token(&event.redeem, &mut shard);
            let bearer = self.bearer(&event.bearer, &mut shard, cx);
            if self.is(F::SupersededAnswersAnyone) {
                for grant in shard.grants.values_mut() {
                    match &mut grant.state {
                        State::Superseded(superseded) => superseded.attempt = redeem.attempt,
                        State::Active(active) if grant.id == redeem.id => {
                            let minted = (*active.minted).clone();
                            let attempt = redeem.attempt;
                            active.minted = Arc::new(Minted { attempt, ..minted });
                        }
                        _ => {}
                    }
                }
            }
            let event = StepUp { bearer, redeem };
            let token = shard.grants.get(&event.redeem.id);
            let mut decision = grant::step_up(
                shard.head.as_ref(),
                event.bearer.login.and_then(|login| shard.grants.get(&login)),
                shard.grants.get(&event.bearer.id),
                token,
                &event,
                cx,
            );
            match (self.fault, &decision.answer, token) {
                (F::ForgetsToSupersede, _, _) => decision.grants[1] = None,
                (F::StepUpTakesTheTermsOfItsEvidence, Redemption::Redeemed { .. }, Some(token)) => {
                    if let [Some(stepped), _] = &mut decision.grants {
                        stepped.terms = token.terms.clone();
                    }
                }
                (F::RevokesNothingOnReplay, Redemption::Replayed { .. }, _) => {
                    decision.grants = [None, None];
                }
                (F::SpendsOnDeadBearer, Redemption::BearerRefused(_), Some(token)) => {
                    decision.grants[0] = Some(burnt(token, cx));
                }
                _ => {}
            }
            decision
        })
        .await
    }

    async fn open(&self, event: &Open, cx: &Context) -> Result<Redemption, StoreError> {
        let cx = &self.context(cx);
        self.step_unless(F::OpensInTwoSteps, event.login.id.locator(), cx, |mut shard| {
            let login = self.bearer(&event.login, &mut shard, cx);
            let event = &Open { login, ..event.clone() };
            if self.is(F::ChildOutlivesLogin)
                && let Some(Grant { state: State::Active(active), .. }) =
                    shard.grants.get_mut(&event.login.id)
                && cx.now < active.minted.expires_at
            {
                active.minted = unlimited(&active.minted);
            }
            let login = shard.grants.get(&event.login.id);
            let child = shard.grants.get(&event.id).filter(|_| !self.is(F::MintsOnRetry));
            let mut decision = grant::open(shard.head.as_ref(), login, child, event, cx);
            match (self.fault, &mut decision.grants) {
                (F::OpensWithoutSliding | F::ChildOutlivesLogin, [_, login]) => *login = None,
                (F::ChildForgetsStrength, [Some(child), _]) => {
                    if let State::Active(active) = &mut child.state {
                        active.strength = Strength::Standard;
                    }
                }
                _ => {}
            }
            decision
        })
        .await
    }

    async fn elevate(&self, event: &Elevate, cx: &Context) -> Result<Verdict, StoreError> {
        let cx = &self.context(cx);
        self.step_unless(F::ElevatesInTwoSteps, event.bearer.id.locator(), cx, |mut shard| {
            let bearer = self.bearer(&event.bearer, &mut shard, cx);
            if self.is(F::ShortensStepUp)
                && let Some(Grant { state: State::Active(active), .. }) =
                    shard.grants.get_mut(&bearer.id)
            {
                active.strength = Strength::Standard;
            }
            let login = bearer.login.and_then(|login| shard.grants.get(&login));
            let grant = shard.grants.get(&bearer.id);
            let event = &Elevate { bearer, ..event.clone() };
            let mut decision = grant::elevate(shard.head.as_ref(), login, grant, event, cx);
            if self.is(F::StepUpOutlivesGrant)
                && let Verdict::Granted { grant, .. } = &mut decision.answer
                && let State::Active(active) = &mut grant.state
            {
                active.strength = Strength::SteppedUp { until: event.until };
                decision.grants[0] = Some(grant.clone());
            }
            decision
        })
        .await
    }

    async fn touch(&self, event: &Touch, cx: &Context) -> Result<Verdict, StoreError> {
        let cx = &self.context(cx);
        self.step_unless(F::TouchesInTwoSteps, event.bearer.id.locator(), cx, |mut shard| {
            let bearer = self.bearer(&event.bearer, &mut shard, cx);
            let login = bearer.login.and_then(|login| shard.grants.get(&login));
            let grant = shard.grants.get(&bearer.id);
            let event = &Touch { bearer, ..event.clone() };
            let mut decision = grant::touch(shard.head.as_ref(), login, grant, event, cx);
            if self.is(F::TouchesWithoutSliding) {
                decision.grants = [None, None];
            }
            decision
        })
        .await
    }

    async fn read(&self, event: &Read, cx: &Context) -> Result<Verdict, StoreError> {
        if self.is(F::SlidesOnReading)
            && let Read::Bearer(bearer) = event
        {
            let slide = grant::Slide { idle: Lifetime::from_mins(5), granularity: Lifetime::ZERO };
            return self.touch(&Touch { bearer: bearer.clone(), slide }, cx).await;
        }
        let cx = &self.context(cx);
        let locator = match event {
            Read::OneTime { id, .. } => id.locator(),
            Read::Bearer(bearer) => bearer.id.locator(),
        };
        Ok(self.step(locator, cx, |mut shard| {
            let (event, id, login) = match event {
                Read::Bearer(bearer) => {
                    let bearer = self.bearer(bearer, &mut shard, cx);
                    let (id, login) = (bearer.id, bearer.login);
                    (Read::Bearer(bearer), id, login)
                }
                one_time @ Read::OneTime { id, .. } => (one_time.clone(), *id, None),
            };
            let login = login.and_then(|login| shard.grants.get(&login));
            let answer = grant::read(shard.head.as_ref(), login, shard.grants.get(&id), &event, cx);
            Decision { answer, head: None, grants: [None, None] }
        }))
    }

    async fn revoke(&self, event: &Revoke, cx: &Context) -> Result<Revocation, StoreError> {
        self.step_unless(F::RevokesInTwoSteps, event.id.locator(), cx, |shard| {
            let grant = shard.grants.get(&event.id);
            let mut event = event.clone();
            match (self.fault, grant) {
                (F::ForgetsSecret, Some(grant)) => event.secret = grant.secret,
                (F::ForgetsTenant, Some(grant)) => event.tenant = grant.terms.tenant.clone(),
                (F::ForgetsClient, _) => event.client = None,
                _ => {}
            }
            grant::revoke(grant, &event, cx)
        })
        .await
    }

    async fn revoke_all(&self, event: &RevokeAll, cx: &Context) -> Result<(), StoreError> {
        let locator = Locator::of(&event.tenant, &event.credential);
        if self.is(F::RevokesAllByListing) {
            let found = self.shards.lock().unwrap().entry(locator).or_default().grants.clone();
            tokio::task::yield_now().await;
            let mut shards = self.shards.lock().unwrap();
            let grants = &mut shards.entry(locator).or_default().grants;
            grants.extend(
                found
                    .into_iter()
                    .filter(|(_, grant)| grant.issued_at <= event.up_to)
                    .map(|(id, grant)| (id, burnt(&grant, cx))),
            );
            return Ok(());
        }
        self.step(locator, cx, |shard| {
            let head = grant::revoke_all(shard.head.as_ref(), event, cx);
            Decision { answer: (), head, grants: [None, None] }
        });
        Ok(())
    }

    async fn purge(&self, limit: NonZeroU32, now: Timestamp) -> Result<u32, StoreError> {
        let mut left = match self.fault {
            F::PurgesWithoutLimit => u32::MAX,
            F::PurgesNothing => 0,
            _ => limit.get(),
        };
        let before = left;
        for shard in self.shards.lock().unwrap().values_mut() {
            let mut is_due = |keep_until: Timestamp| {
                let due = (keep_until <= now || self.is(F::PurgesTheLiving)) && left > 0;
                left -= u32::from(due);
                due
            };
            shard.grants.retain(|_, grant| {
                let spares =
                    self.is(F::KeepsWhatWasSpent) && !matches!(grant.state, State::Issued(_));
                spares || !is_due(grant.keep_until)
            });
            shard.head.take_if(|head| is_due(head.keep_until));
        }
        Ok(before - left)
    }

    async fn epoch(&self, _: Timestamp) -> Result<Epoch, StoreError> {
        Ok(*self.epoch.lock().unwrap())
    }

    async fn raise_epoch(&self, now: Timestamp) -> Result<Epoch, StoreError> {
        let mut epoch = self.epoch.lock().unwrap();
        *epoch =
            if self.is(F::EpochStandsStill) { Epoch(epoch.0.max(now)) } else { epoch.raised(now) };
        Ok(*epoch)
    }

    async fn guarantee(&self) -> Result<Guarantee, StoreError> {
        Ok(Guarantee {
            grade: Grade::Volatile,
            reason: "it is a map in a test".to_owned(),
            may_evict: false,
        })
    }
}

fn burnt(grant: &Grant, cx: &Context) -> Grant {
    Grant { state: State::Revoked(Revoked { at: cx.now }), ..grant.clone() }
}
