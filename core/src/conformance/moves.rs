//! Random moves of a small cast: few tokens, few logins, few attempts, so that they often meet.

use std::{fmt::Debug, iter::repeat_n, ops::RangeInclusive};

use proptest::{
    collection::vec,
    prelude::Strategy,
    sample::select,
    strategy::ValueTree,
    test_runner::{Config, TestRunner},
};

use super::{
    Violation,
    joined::Joined,
    model::Op,
    scene::{ACCESS, MIN, OneTime, Outcome, Person, S, SLIDE, Scene},
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
    /// An elevation has no end; a head has to be kept longer.
    Longer,
}

/// What moves are drawn from, each with its weight. The first of each is the simplest.
pub(super) struct Repertoire {
    what: &'static [(usize, What)],
    odd: &'static [(usize, Odd)],
    ticks: &'static [(usize, i64)],
}

/// So many tasks of so many moves. Most are about one grant, so that they meet.
pub(super) fn tasks(
    of: &Repertoire,
    tasks: RangeInclusive<usize>,
    moves: RangeInclusive<usize>,
) -> impl Strategy<Value = Vec<Vec<Move>>, Tree: Send> + use<> {
    let about_it = weighted(&[(2, true), (1, false)]);
    let task = vec((about_it, single(of)), moves);
    (weighted(HOT), vec(task, tasks)).prop_map(|(hot, tasks)| {
        let focus = |(about_it, it)| if about_it { Move { whose: hot, ..it } } else { it };
        tasks.into_iter().map(|task| task.into_iter().map(focus).collect()).collect()
    })
}

fn single(of: &Repertoire) -> impl Strategy<Value = Move, Tree: Send> + use<> {
    let whose = select(WHOSE);
    (weighted(of.what), whose, 0..TOKENS, 0..ATTEMPTS, weighted(of.odd), weighted(of.ticks))
        .prop_map(|(what, whose, token, attempt, odd, tick)| Move {
            what,
            whose,
            token,
            attempt,
            odd,
            tick,
        })
}

fn weighted<T: Copy + Debug + Send + Sync>(
    of: &'static [(usize, T)],
) -> impl Strategy<Value = T, Tree: Send> {
    let each = of.iter().flat_map(|&(weight, value)| repeat_n(value, weight));
    select(each.collect::<Vec<_>>())
}

/// One after the other: anything, and the clock moves mostly little, sometimes to just before a
/// limit or onto it, sometimes back.
pub(super) const SEQUENCE: Repertoire = Repertoire {
    what: &[
        (1, What::Read),
        (1, What::ReadOneTime),
        (2, What::Touch),
        (3, What::Redeem),
        (3, What::StepUp),
        (2, What::Open),
        (2, What::Elevate),
        (1, What::Issue),
        (1, What::LogIn),
        (1, What::Revoke),
        (1, What::RevokeOneTime),
        (1, What::RevokeAll),
    ],
    odd: &[
        (8, Odd::Nothing),
        (2, Odd::Mild),
        (2, Odd::Longer),
        (1, Odd::Identity),
        (1, Odd::Unresolved),
        (1, Odd::Secret),
        (1, Odd::Tenant),
        (1, Odd::Client),
        (1, Odd::Credential),
        (1, Odd::Login),
        (1, Odd::Epoch),
    ],
    ticks: &[
        (16, 0),
        (1, 1),
        (6, S),
        (2, -S),
        (1, -4 * S),
        (2, 5 * S),
        (1, 15 * S - 1),
        (3, 15 * S),
        (1, 30 * S - 1),
        (2, 30 * S),
        (1, MIN),
        (1, 5 * MIN - 1),
        (1, 5 * MIN),
        (1, 60 * MIN),
        (1, 11 * 60 * MIN),
    ],
};

/// Beside each other: only what writes, nothing wrong with it, and nearly at one instant; here the
/// tick is counted from the beginning.
pub(super) const HISTORY: Repertoire = Repertoire {
    what: &[
        (2, What::Redeem),
        (2, What::StepUp),
        (2, What::Open),
        (2, What::Touch),
        (1, What::Elevate),
        (1, What::LogIn),
        (2, What::Revoke),
        (1, What::RevokeOneTime),
        (1, What::RevokeAll),
    ],
    odd: &[(2, Odd::Nothing), (1, Odd::Mild), (1, Odd::Longer)],
    ticks: &[(1, S), (2, 16 * S), (1, 20 * S)],
};

/// What moves are mostly about: what is alive after the prelude.
const HOT: &[(usize, Whose)] =
    &[(2, Whose::Login(0)), (1, Whose::Child(0, 0)), (1, Whose::Bought(2, None))];

const TOKENS: usize = 4;
const LOGINS: usize = 2;
const ATTEMPTS: usize = 3;

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

    /// Issues everything, opens something and buys something.
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
        let open = Move { what: What::Open, ..plain };
        let redeem = Move { what: What::Redeem, token: 2, ..plain };
        issue.chain(log_in).chain([open, redeem])
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
                let minutes = [4, 1, 10][it.attempt];
                let until = now.after(Lifetime::from_mins(minutes));
                let until = (it.odd != Odd::Longer).then_some(until);
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
        Issue { terms, covers, ..issue }
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
            mint: self.ana.mint(ACCESS),
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
