//! Proof that a store is a store: the suite that every [`TokenStore`] is held to, for anyone to
//! run (feature `conformance`).
//!
//! # Run it
//!
//! In your store's crate, with `mintage = { version = "…", features = ["conformance"] }` among the
//! dev-dependencies, `tests/conformance.rs` is:
//!
//! ```no_run
//! # mod your_store { pub use mintage::MemoryStore as YourStore; }
//! use std::sync::Arc;
//!
//! use mintage::conformance;
//! use your_store::YourStore;
//!
//! async fn connect() -> Arc<YourStore> {
//!     // One server may serve all tests, at once, run after run. It is never wiped.
//! #   let capacity = std::num::NonZeroUsize::MAX;
//! #   Arc::new(YourStore::new(capacity, time::OffsetDateTime::UNIX_EPOCH))
//! }
//!
//! conformance::suite! {
//!     #[tokio::test(flavor = "multi_thread")]
//!     connect().await
//! }
//! # fn main() {}
//! ```
//!
//! [`suite!`] makes one test of each case, under the name of its rule. It takes the attributes of
//! a test (your runtime's, and others such as `#[ignore]`), and an expression that makes the
//! store: it is evaluated inside each test, where it may await, and gives something that
//! dereferences to a store (`Arc`, `Box`, `&`). Where a runtime has no such attribute, or a store
//! is to be proved elsewhere than in a test, run [`CASES`] yourself; each case is also a function
//! of its own:
//!
//! ```
//! # use mintage::{TokenStore, conformance};
//! # async fn prove(store: &dyn TokenStore) -> Result<(), conformance::Violation> {
//! for case in conformance::CASES {
//!     case.run(store).await?;
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # What it proves
//!
//! Each case states one rule and breaks it in every way it knows. A [`Violation`] says which rule
//! was broken, what was done, what should have been seen and what was. Two cases are random: one
//! holds long sequences of operations against the pure functions of [`grant`](crate::grant),
//! answer by answer and record by record, and shrinks what it finds; the other runs short
//! sequences beside each other and looks for an order of them that [`grant`](crate::grant) allows.
//!
//! # What it takes for granted
//!
//! * **Nothing is shared.** Every case makes up its own tenant, credential, client and ids, so
//!   that cases run beside each other, and beside other runs, on one server.
//! * **Time is an argument.** All instants lie in the year 2100, after the clock of any server that
//!   drops records by it; nothing sleeps. Only what is to be purged lies in the twentieth century:
//!   no other case keeps anything there. A store that drops records by its own clock has dropped
//!   those at once, and what a case cannot see then, it does not judge.
//! * **The epoch is an argument**, and cases pass their own. The one that raises the store's does
//!   so by an instant long past, hence by a millisecond.
//! * **Concurrency is that of one task.** Cases poll their futures together, in random order, and
//!   start no thread: a store's client may need the reactor of its runtime on the thread. So they
//!   meet wherever the store awaits, a server's at the server. A store that never awaits, in
//!   memory, is raced on real threads by its own tests; ours is, in `core/tests/race.rs`.
//! * **Beyond `keep_until`, "unknown" and "expired" are one answer.**

use std::{error::Error, fmt, pin::Pin};

use crate::store::TokenStore;

mod elevating;
mod flaws;
mod histories;
mod issuing;
mod joined;
mod judging;
mod model;
mod moves;
mod opening;
mod purging;
mod redeeming;
mod revoking;
mod scene;
mod sequences;
mod stepping_up;
mod telling;
mod touching;

/// The one list of cases: a case is a function in one of the modules above, and an entry here.
/// It is given to the macro `$then`, after `$with`.
#[doc(hidden)]
#[macro_export]
macro_rules! __mintage_conformance_cases {
    ($then:ident $with:tt) => {
        $crate::conformance::$then! {
            $with
            issuing {
                /// What was issued is read back as it was asked for: the longest names, both
                /// algorithms, and every instant to the millisecond.
                a_record_comes_back_whole,
                /// The very same issue again gives the same record, and makes no other.
                the_same_issue_again_gives_the_same_grant,
                /// An id that is taken is never given away, and its record is left as it was.
                a_taken_id_is_never_overwritten,
                /// A token has the scope of its terms, unless it was narrowed.
                a_token_has_the_scope_that_was_granted,
                /// A step-up keeps the Bearer's scope and claims, where it has any: evidence does
                /// not widen what it raises.
                a_step_up_keeps_the_scope_and_claims_of_the_bearer,
                /// An issue that was judged before everything was revoked does not slip in behind.
                what_was_judged_before_revoking_all_is_not_issued_after,
                /// A client assertion buys one grant, however often it is presented at once.
                one_of_many_assertions_wins,
                /// A client assertion is good to the millisecond before its end.
                an_assertion_that_has_ended_buys_nothing,
                /// A client assertion is known as spent until its own end, though what it bought
                /// ended before.
                a_spent_assertion_is_known_beyond_its_grant,
                /// A head is kept as long as the longest grant under it is to live, and no grant
                /// lives longer.
                a_head_covers_its_grants,
            }
            redeeming {
                /// A one-time token buys what it was issued for: that identity, that strength.
                a_one_time_token_buys_its_access_token,
                /// Of many attempts on one token at once, one gets a grant.
                one_of_many_attempts_wins,
                /// The same attempt many times at once gets one grant, every time.
                the_same_attempt_at_once_gets_one_grant,
                /// The same attempt gets the same answer within the retry window; after it, it is
                /// refused and revokes nothing.
                the_same_attempt_gets_the_same_answer_within_the_window,
                /// A replay is refused and revokes what the token bought, for its own attempt too.
                a_replay_revokes_what_was_bought,
                /// Where the policy forgives it, a replay is refused and changes nothing.
                a_forgiven_replay_changes_nothing,
                /// A one-time token lives to the millisecond before its end.
                a_one_time_token_expires_on_time,
                /// No wrong secret, tenant, client or identity buys, nor burns, a token.
                a_refused_redemption_burns_nothing,
                /// A token that is good for any identity is spent only for a resolved one.
                any_identity_must_be_resolved,
                /// Redeeming judges in the one order.
                redeeming_refuses_in_order,
            }
            stepping_up {
                /// A step-up puts a `STEPPED_UP` grant in the place of the Bearer's, in one step,
                /// with its login and absolute limit.
                a_step_up_puts_one_grant_in_the_place_of_another,
                /// A superseded Bearer answers the attempt that superseded it, and no other.
                a_superseded_bearer_answers_only_its_own_attempt,
                /// A replay of spent evidence revokes what it bought.
                a_replayed_step_up_revokes_what_was_bought,
                /// A one-time token whose grant was superseded is a replay, and ends nothing more.
                a_superseded_token_is_a_replay_that_revokes_nothing,
                /// With a Bearer that is dead in any way, a step-up spends nothing.
                a_dead_bearer_spends_nothing,
                /// Only a `STEPPED_UP` token of the same identity is evidence; others are not
                /// burnt.
                only_evidence_steps_up,
                /// Evidence is good to the millisecond before its end.
                evidence_expires_on_time,
                /// Of many step-ups of one Bearer, or by one token, at once, one wins, and the
                /// losers' evidence is not spent.
                one_of_many_step_ups_wins,
                /// A step-up and a redemption of the same token at once: one wins.
                a_step_up_and_a_redemption_share_no_token,
                /// Stepping up judges in the one order, the token before the Bearer.
                stepping_up_refuses_in_order,
            }
            opening {
                /// An access grant is opened under a login with its strength, terms and head.
                a_child_comes_from_its_login,
                /// No child outlives the absolute limit of its login.
                no_child_outlives_its_login,
                /// Opening slides the login's idle deadline, a retry included.
                opening_slides_the_login,
                /// A login that idled out opens nothing more, and its children live on.
                an_idle_login_opens_nothing_and_ends_no_child,
                /// Revoking a login ends whatever came from it.
                a_revoked_login_ends_its_children,
                /// So does it end what is being opened, or stepped up, at that moment.
                a_child_opened_beside_the_revocation_ends_too,
                /// The same attempt opens one child, at once or again; another is another child's.
                the_same_attempt_opens_one_child,
                /// A token's login must be the one of its record.
                the_named_login_must_agree,
                /// Only an auth token opens, and it does nothing else that an access token does.
                only_an_auth_token_opens,
                /// Opening judges in the one order.
                opening_refuses_in_order,
            }
            elevating {
                /// Elevating raises the grant in place, and what is opened from it later.
                a_grant_is_raised_in_place,
                /// A step-up is never shortened, and never outlives its grant.
                a_step_up_is_never_shortened,
                /// A step-up that was given an end is `STANDARD` from then on.
                a_step_up_ends_when_it_should,
                /// Elevating judges in the one order.
                elevating_refuses_in_order,
            }
            touching {
                /// Use slides the idle deadline where it grows by the granularity, and no less.
                touching_slides_by_the_granularity,
                /// The idle deadline is never moved backwards.
                touching_never_shortens,
                /// An idle grant is refused from its deadline on.
                an_idle_grant_is_refused_on_time,
                /// The absolute limit holds however much a grant is used.
                the_absolute_limit_holds,
                /// Reading neither slides, spends nor writes.
                reading_changes_nothing,
                /// Touching judges in the one order.
                touching_refuses_in_order,
                /// Reading judges in the one order, a Bearer's grant and a one-time token.
                reading_refuses_in_order,
            }
            revoking {
                /// A revoked grant does nothing more; revoking it again is answered so.
                a_revoked_grant_stays_revoked,
                /// Another tenant, another client or a wrong secret revokes nothing.
                only_its_owner_revokes_a_grant,
                /// A grant that idled out, was superseded, or lost its head can still be revoked.
                a_dead_grant_can_be_revoked,
                /// No operation that runs beside a revocation undoes it.
                a_revocation_is_not_lost,
                /// Revoking all up to now ends every grant of the credential, and none later.
                revoking_all_ends_every_grant,
                /// Revoking all up to an earlier instant spares what was issued later.
                revoking_all_up_to_an_instant_spares_the_later,
                /// Revoking all spares other credentials and tenants, and needs no head.
                revoking_all_spares_everyone_else,
                /// No grant that is being issued, bought or opened slips past revoking all.
                nothing_slips_past_revoking_all,
            }
            judging {
                /// Whatever was never issued is unknown.
                the_unknown_buys_nothing,
                /// A record of a lower epoch is refused by every operation, and can be revoked.
                a_lower_epoch_is_refused,
                /// A `now` further behind the record than the skew is refused by every operation.
                a_clock_that_fell_behind_is_refused,
                /// Tenants never see each other, though credential and client share their names.
                tenants_never_see_each_other,
                /// Raising the epoch raises it, at least to now.
                the_epoch_only_grows,
                /// A guarantee comes with its reason.
                a_guarantee_says_why,
            }
            purging {
                /// What is due is dropped, and nothing that is not.
                purging_drops_what_is_due_and_nothing_else,
                /// One purge drops no more than its limit.
                purging_keeps_to_its_limit,
                /// A spent token is kept as long as what it bought may live.
                a_spent_token_is_kept_as_long_as_what_it_bought,
                /// What was purged is unknown to every operation, whatever it was.
                what_was_purged_is_unknown_whatever_it_was,
                /// A grant whose head is gone is refused.
                a_grant_without_its_head_is_refused,
            }
            sequences {
                /// Random operations are answered as [`grant`](crate::grant) answers them.
                random_sequences_agree_with_the_specification,
            }
            histories {
                /// What runs concurrently is answered as if it had run in some order.
                concurrent_histories_have_an_order,
            }
        }
    };
}

/// One test of each case: `suite! { #[tokio::test] make_store().await }`.
///
/// The attributes are those of every test. The expression is evaluated inside each test and gives
/// something that dereferences to a [`TokenStore`]. Tests are named after their cases, so that a
/// crate that proves several stores puts each suite into a module of its own.
///
/// See the [module](self) for a complete example.
#[doc(hidden)]
#[macro_export]
macro_rules! __mintage_conformance_suite {
    ({ @tests $with:tt } $($module:ident { $($(#[$doc:meta])* $case:ident,)* })*) => {
        $($($crate::conformance::suite! { @test $with $case })*)*
    };
    (@test { [$($attribute:tt)+] $make:expr } $case:ident) => {
        $($attribute)+
        async fn $case() -> ::core::result::Result<(), $crate::conformance::Violation> {
            let store = $make;
            $crate::conformance::$case(&*store).await
        }
    };
    ($(#[$($attribute:tt)+])+ $make:expr $(,)?) => {
        $crate::__mintage_conformance_cases! { suite { @tests { [$(#[$($attribute)+])+] $make } } }
    };
}

#[doc(inline)]
pub use crate::__mintage_conformance_suite as suite;

/// Makes the public function of each case, and the list of all.
macro_rules! publish {
    ([] $($module:ident { $($(#[$doc:meta])* $case:ident,)* })*) => {
        $($(
            $(#[$doc])*
            ///
            /// # Errors
            /// A [`Violation`] where the store breaks this rule, or could not answer.
            pub async fn $case(store: &dyn TokenStore) -> Result<(), Violation> {
                $module::$case(&scene::Scene::new(store, stringify!($case))?).await
            }
        )*)*

        /// Every case, by name: for a test harness of your own.
        pub const CASES: &[Case] = &[
            $($(Case { name: stringify!($case), run: |store| Box::pin($case(store)) },)*)*
        ];
    };
}
use publish;

__mintage_conformance_cases! { publish [] }

/// One case of the suite.
#[derive(Clone, Copy)]
pub struct Case {
    name: &'static str,
    run: for<'a> fn(&'a dyn TokenStore) -> Run<'a>,
}

type Run<'a> = Pin<Box<dyn Future<Output = Result<(), Violation>> + Send + 'a>>;

impl Case {
    /// The rule that it states: the name of its function, and of its test.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Runs it.
    ///
    /// # Errors
    /// A [`Violation`] where the store breaks the rule, or could not answer.
    pub async fn run(&self, store: &dyn TokenStore) -> Result<(), Violation> {
        (self.run)(store).await
    }
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Case").field(&self.name).finish()
    }
}

/// A store broke a rule: which one, what was done, what should have been seen, and what was.
///
/// It prints over several lines. It holds no secret: what a case presents is made up.
#[derive(Clone, PartialEq, Eq)]
pub struct Violation {
    rule: &'static str,
    did: Vec<String>,
    expected: String,
    seen: String,
}

impl Violation {
    /// The rule that was broken: the name of the case.
    #[must_use]
    pub fn rule(&self) -> &'static str {
        self.rule
    }

    /// What was done, each step with its answer.
    #[must_use]
    pub fn did(&self) -> &[String] {
        &self.did
    }

    /// What should have been seen at the end.
    #[must_use]
    pub fn expected(&self) -> &str {
        &self.expected
    }

    /// What was seen instead.
    #[must_use]
    pub fn seen(&self) -> &str {
        &self.seen
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "the store breaks the rule `{}`", self.rule)?;
        for (step, did) in (1..).zip(&self.did) {
            writeln!(f, "{step:4}. {did}")?;
        }
        writeln!(f, "expected: {}", self.expected)?;
        write!(f, "    seen: {}", self.seen)
    }
}

impl fmt::Debug for Violation {
    /// As [`Display`](fmt::Display): a test that returns it shows it so.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Error for Violation {}
