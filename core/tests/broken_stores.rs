//! The suite catches what it is there to catch: stores that are broken on purpose, each caught by
//! the cases that are named here, and an intact one by none.
#![cfg(feature = "conformance")]
#![expect(clippy::expect_used, reason = "helpers of tests fail as tests do")]

mod broken;

use mintage::conformance::{CASES, Case, Violation};

use self::broken::{Fault, PlainStore};

#[tokio::test]
async fn a_store_that_breaks_no_rule_is_not_blamed() {
    for intact in [Fault::Intact, Fault::IsSlow, Fault::DropsByItsOwnClock, Fault::DropsOnTime] {
        let shared = PlainStore::with(intact);
        for case in CASES {
            case.run(&shared).await.unwrap();
            case.run(&PlainStore::with(intact)).await.unwrap();
        }
    }
}

/// Every fault, with cases that must catch it. A fault that is not listed is dead code.
macro_rules! caught {
    ($($fault:ident by $($case:ident),+;)+) => {
        const CAUGHT: &[(Fault, &[&str])] =
            &[$((Fault::$fault, &[$(stringify!($case)),+])),+];
    };
}

caught! {
    RedeemsInTwoSteps by one_of_many_attempts_wins, the_same_attempt_at_once_gets_one_grant,
        a_revocation_is_not_lost, concurrent_histories_have_an_order;
    IssuesInTwoSteps by one_of_many_assertions_wins, nothing_slips_past_revoking_all;
    OpensInTwoSteps by the_same_attempt_opens_one_child, a_revocation_is_not_lost;
    StepsUpInTwoSteps by one_of_many_step_ups_wins, a_revocation_is_not_lost,
        a_step_up_and_a_redemption_share_no_token, concurrent_histories_have_an_order;
    TouchesInTwoSteps by a_revocation_is_not_lost, concurrent_histories_have_an_order;
    ElevatesInTwoSteps by a_revocation_is_not_lost, concurrent_histories_have_an_order;
    RevokesInTwoSteps by a_revoked_grant_stays_revoked;
    RevokesAllByListing by nothing_slips_past_revoking_all, revoking_all_ends_every_grant;

    ForgetsSecret by a_refused_redemption_burns_nothing, redeeming_refuses_in_order,
        only_its_owner_revokes_a_grant;
    ForgetsTenant by tenants_never_see_each_other, only_its_owner_revokes_a_grant,
        a_refused_redemption_burns_nothing, touching_refuses_in_order;
    ForgetsClient by only_its_owner_revokes_a_grant, a_refused_redemption_burns_nothing,
        opening_refuses_in_order;
    ForgetsCredential by touching_refuses_in_order, reading_refuses_in_order,
        elevating_refuses_in_order, opening_refuses_in_order, stepping_up_refuses_in_order;
    ForgetsIdentity by a_refused_redemption_burns_nothing, only_evidence_steps_up;
    ForgetsResolution by any_identity_must_be_resolved, only_evidence_steps_up;
    ForgetsClock by a_clock_that_fell_behind_is_refused;
    ForgetsEpoch by a_lower_epoch_is_refused;
    ForgetsGeneration by revoking_all_ends_every_grant, nothing_slips_past_revoking_all;
    ForgetsRevokedTo by revoking_all_up_to_an_instant_spares_the_later;
    ForgetsRevokedAt by what_was_judged_before_revoking_all_is_not_issued_after;
    ForgetsMissingHead by a_grant_without_its_head_is_refused;
    ForgetsLogin by a_revoked_login_ends_its_children,
        a_child_opened_beside_the_revocation_ends_too;
    ForgetsNotAfter by an_assertion_that_has_ended_buys_nothing;
    ForgetsOneTimeExpiry by a_one_time_token_expires_on_time, evidence_expires_on_time;
    ForgetsIdleLimit by an_idle_grant_is_refused_on_time, reading_changes_nothing,
        a_dead_bearer_spends_nothing;
    ForgetsAbsoluteLimit by the_absolute_limit_holds, no_child_outlives_its_login;
    ForgetsRetryWindow by the_same_attempt_gets_the_same_answer_within_the_window,
        the_same_attempt_opens_one_child, a_superseded_bearer_answers_only_its_own_attempt;
    ForgetsTakenId by a_taken_id_is_never_overwritten, one_of_many_assertions_wins,
        a_spent_assertion_is_known_beyond_its_grant;
    IsOneMillisecondLate by a_one_time_token_expires_on_time, evidence_expires_on_time;

    MintsOnRetry by the_same_attempt_gets_the_same_answer_within_the_window,
        the_same_attempt_at_once_gets_one_grant, the_same_attempt_opens_one_child,
        a_superseded_bearer_answers_only_its_own_attempt;
    RevokesNothingOnReplay by a_replay_revokes_what_was_bought,
        a_replayed_step_up_revokes_what_was_bought, one_of_many_attempts_wins;
    BurnsOnRefusal by a_refused_redemption_burns_nothing;
    SpendsOnDeadBearer by a_dead_bearer_spends_nothing, one_of_many_step_ups_wins;
    ForgetsToSupersede by a_step_up_puts_one_grant_in_the_place_of_another,
        one_of_many_step_ups_wins;
    StepUpTakesTheTermsOfItsEvidence by a_step_up_keeps_the_scope_and_claims_of_the_bearer;
    SupersededAnswersAnyone by a_superseded_bearer_answers_only_its_own_attempt,
        a_replayed_step_up_revokes_what_was_bought;
    ChildOutlivesLogin by no_child_outlives_its_login;
    ChildForgetsStrength by a_child_comes_from_its_login;
    OpensWithoutSliding by opening_slides_the_login;
    TouchesWithoutSliding by touching_slides_by_the_granularity,
        an_idle_grant_is_refused_on_time, the_absolute_limit_holds;
    SlidesOnReading by reading_changes_nothing, an_idle_grant_is_refused_on_time;
    ShortensStepUp by a_step_up_is_never_shortened;
    StepUpOutlivesGrant by a_step_up_is_never_shortened;

    LosesClaims by a_record_comes_back_whole;
    KeepsSecondsOnly by a_record_comes_back_whole;

    PurgesTheLiving by purging_drops_what_is_due_and_nothing_else;
    PurgesByTheFirstEnd by a_spent_token_is_kept_as_long_as_what_it_bought;
    PurgesWithoutLimit by purging_keeps_to_its_limit;
    PurgesNothing by purging_drops_what_is_due_and_nothing_else;
    KeepsWhatWasSpent by what_was_purged_is_unknown_whatever_it_was;
    EpochStandsStill by the_epoch_only_grows;
}

#[tokio::test]
async fn every_broken_store_is_caught_by_name() {
    for (fault, names) in CAUGHT {
        for name in *names {
            let violation = caught_by(case(name), *fault)
                .await
                .unwrap_or_else(|| panic!("{name} does not catch {fault:?}"));
            assert_eq!(violation.rule(), *name);
        }
    }
}

/// A case that runs things at once, or at random, may miss a fault by chance: hardly three times.
async fn caught_by(case: &Case, fault: Fault) -> Option<Violation> {
    for _ in 0..3 {
        if let Err(violation) = case.run(&PlainStore::with(fault)).await {
            return Some(violation);
        }
    }
    None
}

fn case(name: &str) -> &'static Case {
    CASES.iter().find(|case| case.name() == name).expect(name)
}
