//! Load, and the reckoning: callers who issue and spend tokens while something breaks, and what
//! must be true of every token afterwards, given what they were told.

use std::{
    fmt,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use mintage::{
    Attempt, Change, StoreError, TokenStore,
    grant::{Grant, Redemption, Refusal, State, Strength, Verdict},
};
use tokio::{join, task::JoinSet, time::sleep};

use super::field::Field;

/// How many callers there are at a time.
const CALLERS: usize = 32;
/// How many tokens a caller has issued before it spends the first: so many are always unspent.
const AHEAD: usize = 3;
/// How many tokens are reckoned at a time.
const TOGETHER: usize = 1024;

/// How many rounds an experiment has: so many, or so many where `MINTAGE_TRUST` is set.
pub(crate) fn rounds(usual: u64, trusted: u64) -> u64 {
    if std::env::var_os("MINTAGE_TRUST").is_some() { trusted } else { usual }
}

/// A moment of a round: each round has another, between these milliseconds.
pub(crate) fn moment(round: u64, from: u64, to: u64) -> Duration {
    Duration::from_millis(from + round * 71 % (to - from))
}

/// What a caller was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Told {
    /// Here is the grant, of that [`fingerprint`].
    Granted { grant: u64, retried: bool },
    /// Another attempt has spent the token.
    Replayed,
    /// It is no good, though it was issued: what is wrong will be seen in the reckoning.
    Refused(Refusal),
    /// The store could not answer.
    Failed(Change),
}

impl Told {
    fn of_issue(answer: Result<Verdict, StoreError>) -> Self {
        match answer {
            Ok(Verdict::Granted { grant, retried }) => {
                Self::Granted { grant: fingerprint(&grant), retried }
            }
            Ok(Verdict::Refused(refusal)) => Self::Refused(refusal),
            Err(error) => Self::Failed(error.change()),
        }
    }

    pub(crate) fn of_redemption(answer: Result<Redemption, StoreError>) -> Self {
        match answer {
            Ok(Redemption::Redeemed { grant, retried }) => {
                Self::Granted { grant: fingerprint(&grant), retried }
            }
            Ok(Redemption::Replayed { .. }) => Self::Replayed,
            Ok(Redemption::Refused(refusal) | Redemption::BearerRefused(refusal)) => {
                Self::Refused(refusal)
            }
            Err(error) => Self::Failed(error.change()),
        }
    }
}

/// Different grants have different ones.
pub(crate) fn fingerprint(grant: &Grant) -> u64 {
    let mut hasher = DefaultHasher::new();
    format!("{grant:?}").hash(&mut hasher);
    hasher.finish()
}

/// A token, and all that its callers were told.
#[derive(Debug)]
pub(crate) struct History {
    pub(crate) token: u64,
    pub(crate) issued: Told,
    /// Each attempt to spend it, by its number.
    pub(crate) attempts: Vec<(u64, Told)>,
}

impl History {
    fn grants(&self) -> impl Iterator<Item = (u64, u64)> {
        self.attempts.iter().filter_map(|(attempt, told)| match told {
            Told::Granted { grant, .. } => Some((*attempt, *grant)),
            _ => None,
        })
    }

    /// What its callers were told contradicts itself: no more is needed to know.
    fn spent_twice(&self) -> bool {
        let fresh = |told: &Told| matches!(told, Told::Granted { retried: false, .. });
        let mut grants: Vec<_> = self.grants().collect();
        grants.dedup();
        grants.len() > 1 || self.attempts.iter().filter(|(_, told)| fresh(told)).count() > 1
    }

    /// Somebody was told that it is spent.
    fn told_spent(&self) -> bool {
        self.attempts.iter().any(|(_, told)| matches!(told, Told::Granted { .. } | Told::Replayed))
    }

    fn refused(&self) -> Option<Refusal> {
        let mut told = self.attempts.iter().map(|(_, told)| *told).chain([self.issued]);
        told.find_map(|told| match told {
            Told::Refused(refusal) => Some(refusal),
            _ => None,
        })
    }

    /// That attempt was told that it has not spent it.
    fn denied(&self, attempt: u64) -> bool {
        let mut told = self.attempts.iter().filter(|(own, _)| *own == attempt);
        told.clone().any(|(_, told)| *told == Told::Replayed)
            || told.all(|(_, told)| *told == Told::Failed(Change::Unchanged))
    }
}

/// Issues those tokens.
pub(crate) async fn stock(
    store: &Arc<dyn TokenStore>,
    field: &Field,
    tokens: Range<u64>,
) -> Vec<History> {
    let issued = tokens.map(|token| {
        let (store, field) = (Arc::clone(store), field.clone());
        async move {
            let issue = field.issue(token, Strength::Standard);
            let issued = Told::of_issue(store.issue(&issue, &field.cx).await);
            assert!(matches!(issued, Told::Granted { .. }), "{token}: {issued:?}");
            History { token, issued, attempts: Vec::new() }
        }
    });
    issued.collect::<JoinSet<_>>().join_all().await
}

/// Presents the token once and adds to its history.
pub(crate) async fn spend(
    store: &dyn TokenStore,
    field: &Field,
    history: &mut History,
    attempt: u64,
) {
    let redeem = field.redeem(history.token, attempt);
    let told = Told::of_redemption(store.redeem(&redeem, &field.cx).await);
    history.attempts.push((attempt, told));
}

/// Callers at work.
pub(crate) struct Callers {
    stop: Arc<AtomicBool>,
    tasks: JoinSet<Vec<History>>,
}

impl Callers {
    /// Sends callers to the store, who take the next numbers as tokens.
    pub(crate) fn start(
        store: &Arc<dyn TokenStore>,
        field: &Field,
        numbers: &Arc<AtomicU64>,
    ) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let mut tasks = JoinSet::new();
        for _ in 0..CALLERS {
            let caller = Caller { store: Arc::clone(store), field: field.clone() };
            let (numbers, stop) = (Arc::clone(numbers), Arc::clone(&stop));
            tasks.spawn(async move { caller.work(&numbers, &stop).await });
        }
        Self { stop, tasks }
    }

    /// Calls them off and hears what they were told.
    pub(crate) async fn stop(self) -> Vec<History> {
        self.stop.store(true, Ordering::Release);
        self.tasks.join_all().await.into_iter().flatten().collect()
    }
}

struct Caller {
    store: Arc<dyn TokenStore>,
    field: Field,
}

impl Caller {
    async fn work(self, numbers: &AtomicU64, stop: &AtomicBool) -> Vec<History> {
        let mut histories = Vec::new();
        let mut spent = 0;
        let called_off = || stop.load(Ordering::Acquire);
        while !called_off() {
            let token = numbers.fetch_add(1, Ordering::Relaxed);
            histories.push(self.issue(token).await);
            if histories.len() - spent > AHEAD && !called_off() {
                self.spend(&mut histories[spent]).await;
                spent += 1;
            }
        }
        histories
    }

    async fn issue(&self, token: u64) -> History {
        let event = self.field.issue(token, Strength::Standard);
        let issued = Told::of_issue(self.store.issue(&event, &self.field.cx).await);
        self.pause(issued).await;
        History { token, issued, attempts: Vec::new() }
    }

    /// Presents the token three times at once: in one attempt, in the same again, and in another.
    async fn spend(&self, history: &mut History) {
        if !matches!(history.issued, Told::Granted { .. }) {
            return;
        }
        let (own, other) = (2 * history.token, 2 * history.token + 1);
        let redeem = async |attempt| {
            let event = self.field.redeem(history.token, attempt);
            let told = Told::of_redemption(self.store.redeem(&event, &self.field.cx).await);
            self.pause(told).await;
            (attempt, told)
        };
        let told = join!(redeem(own), redeem(own), redeem(other));
        history.attempts = vec![told.0, told.1, told.2];
    }

    /// While the server is away, calls fail at once.
    async fn pause(&self, told: Told) {
        if matches!(told, Told::Failed(_)) {
            sleep(Duration::from_millis(50)).await;
        }
    }
}

/// What must not be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// An acknowledged change is gone.
    Lost,
    /// The token bought something in two attempts, or two things in one.
    SpentTwice,
    /// What was said not to have happened has.
    DeniedYetDone,
    /// It stands as nobody can have left it.
    Unaccountable,
}

/// What was done, and what was found.
#[derive(Default)]
pub(crate) struct Reckoning {
    /// Tokens of which it was acknowledged that they were issued,
    pub(crate) issued: usize,
    /// and that they were spent;
    pub(crate) spent: usize,
    /// calls that failed and changed nothing,
    pub(crate) unchanged: usize,
    /// and calls that failed and may have changed something.
    pub(crate) unsure: usize,
    /// What is wrong, and with which token.
    pub(crate) flaws: Vec<(u64, Flaw)>,
}

impl Reckoning {
    /// Presents every token again and compares.
    pub(crate) async fn of(
        store: &Arc<dyn TokenStore>,
        field: &Field,
        histories: Vec<History>,
    ) -> Self {
        let mut reckoning = Self::default();
        let mut histories = histories.into_iter();
        loop {
            let mut tasks = JoinSet::new();
            for history in histories.by_ref().take(TOGETHER) {
                reckoning.count(&history);
                let (store, field) = (Arc::clone(store), field.clone());
                tasks.spawn(async move {
                    let examined = examine(&*store, &field, &history).await;
                    examined.err().map(|flaw| (history.token, flaw))
                });
            }
            if tasks.is_empty() {
                return reckoning;
            }
            reckoning.flaws.extend(tasks.join_all().await.into_iter().flatten());
        }
    }

    fn count(&mut self, history: &History) {
        self.issued += usize::from(matches!(history.issued, Told::Granted { .. }));
        self.spent += usize::from(history.grants().next().is_some());
        let told = history.attempts.iter().map(|(_, told)| *told).chain([history.issued]);
        for told in told {
            match told {
                Told::Failed(Change::Unchanged) => self.unchanged += 1,
                Told::Failed(Change::MayHaveHappened) => self.unsure += 1,
                _ => {}
            }
        }
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.issued += other.issued;
        self.spent += other.spent;
        self.unchanged += other.unchanged;
        self.unsure += other.unsure;
        self.flaws.extend(other.flaws);
    }

    pub(crate) fn found(&self, flaw: Flaw) -> usize {
        self.flaws.iter().filter(|(_, found)| *found == flaw).count()
    }
}

impl fmt::Display for Reckoning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { issued, spent, unchanged, unsure, flaws } = self;
        write!(f, "{issued} issued, {spent} spent, {unchanged} unchanged, {unsure} unsure")?;
        for flaw in [Flaw::Lost, Flaw::SpentTwice, Flaw::DeniedYetDone, Flaw::Unaccountable] {
            write!(f, ", {} {flaw:?}", self.found(flaw))?;
        }
        write!(f, "; {:?}", &flaws[..flaws.len().min(3)])
    }
}

/// Whether the token stands as its callers were told, and whether it stays spent.
async fn examine(store: &dyn TokenStore, field: &Field, history: &History) -> Result<(), Flaw> {
    let issued = matches!(history.issued, Told::Granted { .. });
    if history.spent_twice() {
        return Err(Flaw::SpentTwice);
    }
    if let Some(refusal) = history.refused() {
        return Err(refused(refusal));
    }
    let grant = match store.read(&field.read(history.token), &field.cx).await.unwrap() {
        Verdict::Granted { grant, .. } => grant,
        Verdict::Refused(Refusal::Unknown) if !issued => return Ok(()),
        Verdict::Refused(refusal) => return Err(refused(refusal)),
    };
    if history.issued == Told::Failed(Change::Unchanged) {
        return Err(Flaw::DeniedYetDone);
    }
    let owner = match &grant.state {
        State::Issued(_) => None,
        State::Active(active) => Some((active.minted.attempt, fingerprint(&grant))),
        State::Superseded(_) | State::Revoked(_) => return Err(Flaw::Unaccountable),
    };
    match owner {
        Some((attempt, known)) => owned(history, attempt, known)?,
        None if history.told_spent() => return Err(unspent(store, field, history).await),
        None => {}
    }
    present(store, field, history, owner).await
}

/// What a refusal of a token that was issued comes from: without its head, a grant is refused too.
fn refused(refusal: Refusal) -> Flaw {
    match refusal {
        Refusal::Unknown | Refusal::Head => Flaw::Lost,
        _ => Flaw::Unaccountable,
    }
}

/// It is spent, by that attempt: nobody was told otherwise.
fn owned(history: &History, attempt: Attempt, known: u64) -> Result<(), Flaw> {
    let number = history.attempts.iter().map(|(number, _)| *number);
    let Some(owner) = number.into_iter().find(|number| Field::attempt(*number) == attempt) else {
        return Err(Flaw::Unaccountable);
    };
    if history.grants().any(|granted| granted != (owner, known)) {
        Err(Flaw::SpentTwice)
    } else if history.denied(owner) {
        Err(Flaw::DeniedYetDone)
    } else {
        Ok(())
    }
}

/// It was spent and is not: that is lost at least, and worse if a stranger can spend it again.
async fn unspent(store: &dyn TokenStore, field: &Field, history: &History) -> Flaw {
    let again =
        store.redeem(&field.redeem(history.token, stranger(history)), &field.cx).await.unwrap();
    let bought = matches!(again, Redemption::Redeemed { .. });
    if bought && history.grants().next().is_some() { Flaw::SpentTwice } else { Flaw::Lost }
}

/// Every attempt again, and a stranger's: all but the owner's are replays. Of a token that has no
/// owner, the first that is presented is.
async fn present(
    store: &dyn TokenStore,
    field: &Field,
    history: &History,
    mut owner: Option<(Attempt, u64)>,
) -> Result<(), Flaw> {
    let mut attempts: Vec<u64> = history.attempts.iter().map(|(attempt, _)| *attempt).collect();
    attempts.push(stranger(history));
    for number in attempts {
        let attempt = Field::attempt(number);
        let again = store.redeem(&field.redeem(history.token, number), &field.cx).await.unwrap();
        match (again, owner) {
            (Redemption::Redeemed { grant, retried: false }, None) => {
                owner = Some((attempt, fingerprint(&grant)));
            }
            (Redemption::Redeemed { grant, retried: true }, Some(known))
                if known == (attempt, fingerprint(&grant)) => {}
            (Redemption::Replayed { revoked: false }, Some((own, _))) if own != attempt => {}
            (Redemption::Redeemed { .. }, Some(_)) => return Err(Flaw::SpentTwice),
            _ => return Err(Flaw::Unaccountable),
        }
    }
    Ok(())
}

/// An attempt that nobody has made yet.
fn stranger(history: &History) -> u64 {
    u64::MAX - history.token
}
