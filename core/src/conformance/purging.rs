//! What may be dropped, and when.
//!
//! All of it happens long ago, where no other case keeps anything: a purge spares no other case's
//! records. These cases spare each other's by their years, and by what they look at: records that
//! any purge here may drop, and records that are kept until the year 2100.

use std::num::NonZeroU32;

use super::{
    Violation,
    model::Answer,
    scene::{HOUR, MIN, Outcome, S, Scene, elevate, read, revoke, touch},
};
use crate::{
    grant::{Grant, Refusal, Revoke, Strength},
    instant::{Lifetime, Timestamp},
};

const EVIDENCE: Strength = Strength::SteppedUp { until: None };

/// When nothing is kept any more that lived a while.
const DAYS_LATER: i64 = 49 * HOUR;

/// More than is due in a test.
const MANY: NonZeroU32 = NonZeroU32::MAX;

pub(super) async fn purging_drops_what_is_due_and_nothing_else(scene: &Scene<'_>) -> Outcome {
    let past = &scene.in_the_year(1980);
    let ana = past.person()?;
    let due = ana.one_time(None, Strength::Standard).issue;
    past.granted(&due, past.at(0)).await?;
    let kept = past.granted(ana.assertion(scene.instant(0)), past.at(0)).await?;
    let living = scene.person()?.buys(0).await?;

    // On the very instant that it may go.
    let gone = Revoke { id: due.id, tenant: ana.tenant.clone(), client: None, secret: None };
    drop_all_due(past, MIN, &gone).await?;

    // Its head may have gone with another's purge, or by the store's own clock.
    let seen = past.ask(touch(&kept), past.at(HOUR)).await?;
    let known = [Refusal::Expired, Refusal::Head].map(Answer::Refused);
    past.holds(known.contains(&seen), "Refused(Expired), or Refused(Head)", &seen)?;
    past.answered(revoke(&kept), past.at(HOUR), Answer::Revoked).await?;
    scene.granted(touch(&living), scene.at(S)).await.map(|_| ())
}

pub(super) async fn purging_keeps_to_its_limit(scene: &Scene<'_>) -> Outcome {
    let past = &scene.in_the_year(1982);
    let ana = past.person()?;
    for _ in 0..6 {
        past.granted(ana.one_time(None, Strength::Standard).issue, past.at(0)).await?;
    }
    for limit in [1, 2, 3].into_iter().filter_map(NonZeroU32::new) {
        let dropped = purge(past, limit, MIN).await?;
        past.holds(dropped <= limit.get(), format_args!("{limit} at most"), dropped)?;
    }
    Ok(())
}

pub(super) async fn a_spent_token_is_kept_as_long_as_what_it_bought(scene: &Scene<'_>) -> Outcome {
    // Another run of this case beside this one may have dropped it, but not time after time.
    let mut last = None;
    for _ in 0..5 {
        let past = &scene.in_the_year(1990);
        let ana = past.person()?;
        let token = ana.one_time(Some(ana.identity.clone()), Strength::Standard);
        past.granted(&token.issue, past.at(0)).await?;
        let bought = match past.ask(&token.redeem, past.at(S)).await? {
            Answer::Granted { grant, .. } => *grant,
            // By its own clock the store has dropped it at once: there is nothing to see.
            Answer::Refused(Refusal::Unknown | Refusal::Head) => return Ok(()),
            other => return Err(past.violation("a grant", format_args!("{other:?}"))),
        };
        match stands_after_a_purge(past, &bought).await {
            Ok(()) => return Ok(()),
            Err(violation) => last = Some(violation),
        }
    }
    last.map_or(Ok(()), Err)
}

async fn stands_after_a_purge(past: &Scene<'_>, bought: &Grant) -> Outcome {
    match past.ask(read(bought), past.at(S)).await? {
        // By its own clock the store has dropped it since.
        Answer::Refused(Refusal::Unknown | Refusal::Head) => return Ok(()),
        Answer::Granted { .. } => {}
        other => return Err(past.violation("the grant that was bought", format_args!("{other:?}"))),
    }
    purge(past, MANY, 2 * MIN).await?;
    past.granted(touch(bought), past.at(2 * MIN)).await.map(|_| ())
}

pub(super) async fn what_was_purged_is_unknown_whatever_it_was(scene: &Scene<'_>) -> Outcome {
    let past = &scene.in_the_year(1986);
    let ana = past.person()?;
    let issued = ana.gets(EVIDENCE, 0).await?;
    let login = ana.logs_in(0).await?;
    let revoked = ana.logs_in(0).await?;
    let mut dead = vec![login.clone(), revoked.clone()];
    // By its own clock the store may have dropped any of them at once.
    past.ask(revoke(&revoked), past.at(0)).await?;
    if let Answer::Granted { grant, .. } = past.ask(ana.open(&login), past.at(0)).await? {
        dead.push(*grant);
    }
    let (token, evidence) = (ana.gets(Strength::Standard, 0).await?, ana.gets(EVIDENCE, 0).await?);
    if let Answer::Granted { grant, .. } = past.ask(&token.redeem, past.at(0)).await? {
        past.ask(evidence.step_up(&grant), past.at(0)).await?;
        dead.push(*grant);
    }

    for grant in &dead {
        drop_all_due(past, DAYS_LATER, &revoke(grant)).await?;
    }
    for cx in [past.at(S), past.at(DAYS_LATER)] {
        for grant in &dead {
            past.refused(touch(grant), cx, Refusal::Unknown).await?;
            past.refused(read(grant), cx, Refusal::Unknown).await?;
            past.refused(elevate(grant, None), cx, Refusal::Unknown).await?;
            past.bearer_refused(ana.open(grant), cx, Refusal::Unknown).await?;
        }
        for token in [&issued, &token, &evidence] {
            past.refused(&token.redeem, cx, Refusal::Unknown).await?;
            past.refused(token.read(), cx, Refusal::Unknown).await?;
            past.refused(token.step_up(&login), cx, Refusal::Unknown).await?;
        }
    }
    Ok(())
}

pub(super) async fn a_grant_without_its_head_is_refused(scene: &Scene<'_>) -> Outcome {
    let past = &scene.in_the_year(1984);
    let ana = past.person()?;
    // It is kept beyond its head.
    let mut assertion = ana.assertion(scene.instant(0));
    assertion.covers = Lifetime::ZERO;
    let orphan = past.granted(&assertion, past.at(0)).await?;
    purge_until_headless(past, &orphan).await?;
    past.refused(touch(&orphan), past.at(S), Refusal::Head).await?;
    past.refused(read(&orphan), past.at(S), Refusal::Head).await?;
    past.refused(&assertion, past.at(S), Refusal::Head).await?;
    // A new head does not bring it back.
    past.granted(ana.login(Strength::Standard), past.at(S)).await?;
    past.refused(touch(&orphan), past.at(S), Refusal::Head).await?;
    past.answered(revoke(&orphan), past.at(S), Answer::Revoked).await
}

async fn purge_until_headless(past: &Scene<'_>, orphan: &Grant) -> Outcome {
    for _ in 0..ROUNDS {
        purge(past, MANY, DAYS_LATER).await?;
        if past.ask(read(orphan), past.at(S)).await? == Answer::Refused(Refusal::Head) {
            return Ok(());
        }
    }
    Err(past.violation("the head to go, two days after it was needed", "it stayed"))
}

/// Purges until this grant is gone: another purge may be at work on it, or there is much to do.
async fn drop_all_due(past: &Scene<'_>, at: i64, gone: &Revoke) -> Outcome {
    for _ in 0..ROUNDS {
        purge(past, MANY, at).await?;
        let unknown = Answer::Refused(Refusal::Unknown);
        if past.ask(gone, past.at(at)).await? == unknown {
            return Ok(());
        }
    }
    Err(past.violation("what is due to be dropped", "it stayed"))
}

/// How often a purge may find that others are at the same.
const ROUNDS: u32 = 100;

async fn purge(past: &Scene<'_>, limit: NonZeroU32, at: i64) -> Result<u32, Violation> {
    let now: Timestamp = past.instant(at);
    let dropped = past.store.purge(limit, now).await.map_err(|error| past.unanswered(&error))?;
    past.tell(format!("after {at} ms, purge at most {limit} → {dropped} dropped"));
    Ok(dropped)
}
