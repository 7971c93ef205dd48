//! Random moves of a small cast: few tokens, few logins, few attempts, so that they often meet.

use proptest::{
    prelude::Strategy,
    sample::select,
    strategy::ValueTree,
    test_runner::{Config, TestRunner},
};

use super::{
    Violation,
    joined::Joined,
    model::Op,
    scene::{MIN, OneTime, Outcome, Person, S, SLIDE, Scene},
};
use crate::{
    grant::{
        Bearer, Elevate, Issue, OnReplay, Open, Read, Redeem, Revoke, StepUp, Strength, Touch,
    },
    id::{Attempt, Epoch, GrantId},
    instant::{Lifetime, Timestamp},
    model::Identity,
};

/// One operation, in words that mean something in any [`Cast`].
#[derive(Debug, Clone, Copy)]
pub(super) struct Move {
    pub(super) what: What,
    /// Of which Bearer.
    pub(super) whose: Whose,
    /// With which one-time token.
    pub(super) token: usize,
    /// In which attempt.
    pub(super) attempt: usize,
    /// What else is odd about it.
    pub(super) odd: Odd,
    /// How many milliseconds pass before it; fewer than none where the clock steps back.
    pub(super) tick: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    Issue,
    LogIn,
    Redeem,
    StepUp,
    Open,
    Elevate,
    Touch,
    Read,
    ReadOneTime,
    Revoke,
    RevokeOneTime,
    RevokeAll,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose {
    Login(usize),
    /// What an attempt opened under a login.
    Child(usize, usize),
    /// What a one-time token bought, under that login or none.
    Bought(usize, Option<usize>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Odd {
    Nothing,
    Secret,
    Tenant,
    Client,
    Credential,
    Epoch,
    Login,
    Identity,
    Unresolved,
    /// A replay is forgiven; a revocation of all is up to a minute ago.
    Mild,
    /// An elevation has an end; a head has to be kept longer.
    Longer,
}

/// Any move, of which the clock moves by one of these ticks.
pub(super) fn moves(ticks: &'static [i64]) -> impl Strategy<Value = Move, Tree: Send> {
    let what = select(WHAT);
    let whose = select(WHOSE);
    (what, whose, 0..TOKENS, 0..ATTEMPTS, select(ODD), select(ticks)).prop_map(
        |(what, whose, token, attempt, odd, tick)| Move { what, whose, token, attempt, odd, tick },
    )
}

const TOKENS: usize = 4;
const LOGINS: usize = 2;
const ATTEMPTS: usize = 3;

const WHAT: &[What] = &[
    What::Read,
    What::Touch,
    What::ReadOneTime,
    What::Redeem,
    What::Redeem,
    What::StepUp,
    What::StepUp,
    What::Open,
    What::Open,
    What::Elevate,
    What::Touch,
    What::Issue,
    What::LogIn,
    What::Revoke,
    What::RevokeOneTime,
    What::RevokeAll,
];

const WHOSE: &[Whose] = &[
    Whose::Login(0),
    Whose::Child(0, 0),
    Whose::Child(0, 1),
    Whose::Bought(0, None),
    Whose::Bought(0, Some(0)),
    Whose::Bought(1, Some(0)),
    Whose::Bought(2, None),
    Whose::Bought(3, None),
    Whose::Bought(3, Some(1)),
    Whose::Child(1, 0),
    Whose::Child(1, 2),
    Whose::Login(1),
];

const ODD: &[Odd] = &[
    Odd::Nothing,
    Odd::Nothing,
    Odd::Nothing,
    Odd::Nothing,
    Odd::Nothing,
    Odd::Nothing,
    Odd::Nothing,
    Odd::Nothing,
    Odd::Mild,
    Odd::Mild,
    Odd::Longer,
    Odd::Longer,
    Odd::Identity,
    Odd::Unresolved,
    Odd::Secret,
    Odd::Tenant,
    Odd::Client,
    Odd::Credential,
    Odd::Login,
    Odd::Epoch,
];

/// Who makes the moves, with all that they hold.
pub(super) struct Cast<'a> {
    ana: Person<'a>,
    other: Person<'a>,
    second: Identity,
    tokens: Vec<OneTime>,
    logins: Vec<Issue>,
    attempts: Vec<Attempt>,
}

impl<'a> Cast<'a> {
    pub(super) fn new(scene: &'a Scene<'a>) -> Result<Self, Violation> {
        let ana = scene.person()?;
        let own = Some(ana.identity.clone());
        let until = Some(scene.instant(2 * MIN));
        Ok(Self {
            tokens: vec![
                ana.one_time(own.clone(), Strength::SteppedUp { until: None }),
                ana.one_time(None, Strength::SteppedUp { until }),
                ana.one_time(own.clone(), Strength::Standard),
                ana.one_time(own, Strength::SteppedUp { until: None }),
            ],
            logins: vec![ana.login(Strength::Standard), ana.login(Strength::SteppedUp { until })],
            attempts: (0..ATTEMPTS).map(|_| scene.attempt()).collect(),
            other: scene.person()?,
            second: scene.identity()?,
            ana,
        })
    }

    /// Issues everything, and opens something.
    pub(super) fn prelude() -> impl Iterator<Item = Move> {
        let plain = Move {
            what: What::Issue,
            whose: WHOSE[0],
            token: 0,
            attempt: 0,
            odd: Odd::Nothing,
            tick: 0,
        };
        let issue = (0..TOKENS).map(move |token| Move { token, ..plain });
        let log_in = (0..LOGINS).map(move |login| Move {
            what: What::LogIn,
            whose: Whose::Login(login),
            ..plain
        });
        issue.chain(log_in).chain([Move { what: What::Open, ..plain }])
    }

    /// Reads everything.
    pub(super) fn finale() -> impl Iterator<Item = Move> {
        let plain = Move {
            what: What::Read,
            whose: WHOSE[0],
            token: 0,
            attempt: 0,
            odd: Odd::Nothing,
            tick: 0,
        };
        let by_bearer = WHOSE.iter().map(move |&whose| Move { whose, ..plain });
        let by_token =
            (0..TOKENS).map(move |token| Move { what: What::ReadOneTime, token, ..plain });
        by_bearer.chain(by_token)
    }

    /// The move as an operation of this cast, at that instant.
    pub(super) fn op(&self, it: Move, now: Timestamp) -> Op {
        match it.what {
            What::Issue => self.issue(self.tokens[it.token].issue.clone(), it).into(),
            What::LogIn => self.issue(self.logins[login_of(it.whose)].clone(), it).into(),
            What::Redeem => self.redeem(it).into(),
            What::StepUp => {
                // Where both are odd in the same way, the Bearer would never be refused for it.
                let odd = if it.attempt == 0 { Odd::Nothing } else { it.odd };
                StepUp { bearer: self.bearer(it), redeem: self.redeem(Move { odd, ..it }) }.into()
            }
            What::Open => self.open(it).into(),
            What::Elevate => {
                let later = now.after(Lifetime::from_mins(1 + 3 * u32::from(it.attempt == 0)));
                let until = (it.odd == Odd::Longer).then_some(later);
                Elevate { bearer: self.bearer(it), until }.into()
            }
            What::Touch => Touch { bearer: self.bearer(it), slide: SLIDE }.into(),
            What::Read => Read::Bearer(self.bearer(it)).into(),
            What::ReadOneTime => {
                let Redeem { id, secret, tenant, client, .. } = self.redeem(it);
                Read::OneTime { id, secret, tenant, client }.into()
            }
            What::Revoke => {
                let Bearer { id, tenant, client, .. } = self.bearer(it);
                Revoke { id, tenant, client: Some(client), secret: None }.into()
            }
            What::RevokeOneTime => {
                let Redeem { id, secret, tenant, client, .. } = self.redeem(it);
                Revoke { id, tenant, client: Some(client), secret: Some(secret) }.into()
            }
            What::RevokeAll => {
                let back =
                    if it.odd == Odd::Mild { Lifetime::from_mins(1) } else { Lifetime::ZERO };
                self.ana.revoke_all(now.before(back)).into()
            }
        }
    }

    /// The epoch that a move is judged by.
    pub(super) fn epoch(it: Move, epoch: Epoch) -> Epoch {
        let raised = i64::from(it.odd == Odd::Epoch);
        Epoch(Timestamp::from_millis(epoch.0.as_millis() + raised))
    }

    fn issue(&self, issue: Issue, it: Move) -> Issue {
        let covers = match it.odd {
            Odd::Longer => Lifetime::from_hours(99),
            _ => issue.covers,
        };
        let terms = if it.odd == Odd::Client {
            Person { client: self.other.client.clone(), ..self.ana.clone() }.terms()
        } else {
            issue.terms
        };
        Issue { covers, terms, ..issue }
    }

    fn redeem(&self, it: Move) -> Redeem {
        let mut redeem = self.tokens[it.token].by(self.attempts[it.attempt]);
        match it.odd {
            Odd::Secret => redeem.secret = self.tokens[(it.token + 1) % TOKENS].redeem.secret,
            Odd::Tenant => redeem.tenant = self.other.tenant.clone(),
            Odd::Client => redeem.client = self.other.client.clone(),
            Odd::Identity => redeem.identity = self.second.clone(),
            Odd::Unresolved => redeem.resolved = false,
            Odd::Mild => redeem.on_replay = OnReplay::Refuse,
            _ => {}
        }
        redeem
    }

    fn open(&self, it: Move) -> Open {
        // What the Bearer may open is named after its grant, whatever that is.
        let login = self.bearer(it);
        let attempt = self.attempts[it.attempt];
        let identity = match it.odd {
            Odd::Identity => self.second.clone(),
            _ => self.ana.identity.clone(),
        };
        Open {
            id: GrantId::of_child(login.id, attempt),
            login,
            identity,
            attempt,
            mint: self.ana.mint(super::scene::ACCESS),
            slide: SLIDE,
        }
    }

    fn bearer(&self, it: Move) -> Bearer {
        let login_id = |login: usize| self.logins[login].id;
        let (id, login) = match it.whose {
            Whose::Login(login) => (login_id(login), None),
            Whose::Child(login, attempt) => {
                let login = login_id(login);
                (GrantId::of_child(login, self.attempts[attempt]), Some(login))
            }
            Whose::Bought(token, login) => (self.tokens[token].issue.id, login.map(login_id)),
        };
        let Person { tenant, client, credential, .. } = self.ana.clone();
        let mut bearer = Bearer { id, login, tenant, client, credential };
        match it.odd {
            Odd::Tenant => bearer.tenant = self.other.tenant.clone(),
            Odd::Client => bearer.client = self.other.client.clone(),
            Odd::Credential => bearer.credential = self.other.credential.clone(),
            Odd::Login => bearer.login = Some(login_id(1 - login_of(it.whose))),
            _ => {}
        }
        bearer
    }
}

fn login_of(whose: Whose) -> usize {
    match whose {
        Whose::Login(login) | Whose::Child(login, _) | Whose::Bought(_, Some(login)) => login,
        Whose::Bought(_, None) => 0,
    }
}

/// How far the clock of a sequence moves: mostly little, sometimes to just before a limit or onto
/// it, sometimes back.
pub(super) const SEQUENCE: &[i64] = &[
    0,
    0,
    0,
    0,
    0,
    0,
    1,
    S,
    S,
    S,
    -S,
    -4 * S,
    5 * S,
    15 * S - 1,
    15 * S,
    30 * S - 1,
    30 * S,
    MIN,
    5 * MIN - 1,
    5 * MIN,
    60 * MIN,
    11 * 60 * MIN,
];

/// When the moves of a history happen, counted from its beginning: nearly at once.
pub(super) const HISTORY: &[i64] = &[S, S, S, 2 * S, 20 * S, 31 * S];

/// Runs this on so many random values; gives the violation of the smallest that breaks the rule.
pub(super) async fn on_random<'a, T, R>(
    scene: &Scene<'_>,
    rounds: u32,
    strategy: T,
    run: R,
) -> Outcome
where
    T: Strategy<Tree: Send> + Sync + Send,
    R: Fn(T::Value) -> Joined<'a, Outcome> + Send + Sync,
{
    for _ in 0..rounds {
        let mut tree = {
            let mut runner =
                TestRunner::new(Config { failure_persistence: None, ..Config::default() });
            strategy
                .new_tree(&mut runner)
                .map_err(|reason| scene.violation("random moves", reason))?
        };
        let value = tree.current();
        let Err(mut smallest) = run(value).await else { continue };
        let mut smaller = tree.simplify();
        for _ in 0..SIMPLER {
            if !smaller {
                break;
            }
            let value = tree.current();
            smaller = match run(value).await {
                Err(violation) => {
                    smallest = violation;
                    tree.simplify()
                }
                Ok(()) => tree.complicate(),
            };
        }
        return Err(smallest);
    }
    Ok(())
}

/// How many simpler values are tried at most.
const SIMPLER: u32 = 500;
