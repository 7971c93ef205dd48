//! What every operation is judged by: that there is such a grant, whose it is, time and epoch.

use super::{
    model::{Answer, Op},
    scene::{MIN, Outcome, Person, S, SLIDE, Scene, bearer, elevate, read, revoke, touch},
};
use crate::{
    grant::{Context, Read, Redeem, Refusal, Revoke, StepUp, Strength, Touch},
    id::Epoch,
    instant::Timestamp,
};

const EVIDENCE: Strength = Strength::SteppedUp { until: None };

pub(super) async fn the_unknown_buys_nothing(scene: &Scene<'_>) -> Outcome {
    // Of somebody whom the store has never seen, and of somebody whom it has.
    for known in [false, true] {
        let ana = scene.person()?;
        let real = scene.person()?;
        let mut grant = real.buys(0).await?;
        grant.id = ana.fresh_id();
        grant.terms = ana.terms();
        if known {
            ana.logs_in(0).await?;
        }
        let token = ana.one_time(None, EVIDENCE);
        scene.refused(&token.redeem, scene.at(0), Refusal::Unknown).await?;
        scene.refused(token.read(), scene.at(0), Refusal::Unknown).await?;
        scene.refused(token.step_up(&grant), scene.at(0), Refusal::Unknown).await?;
        scene.refused(touch(&grant), scene.at(0), Refusal::Unknown).await?;
        scene.refused(read(&grant), scene.at(0), Refusal::Unknown).await?;
        scene.refused(elevate(&grant, None), scene.at(0), Refusal::Unknown).await?;
        scene.refused(revoke(&grant), scene.at(0), Refusal::Unknown).await?;
        scene.bearer_refused(ana.open(&grant), scene.at(0), Refusal::Unknown).await?;
        let issued = ana.gets(EVIDENCE, 0).await?;
        scene.bearer_refused(issued.step_up(&grant), scene.at(0), Refusal::Unknown).await?;
        scene.granted(&issued.redeem, scene.at(0)).await?;
    }
    Ok(())
}

pub(super) async fn a_lower_epoch_is_refused(scene: &Scene<'_>) -> Outcome {
    let raised = |at| {
        let cx = scene.at(at);
        let epoch = Epoch(Timestamp::from_millis(cx.epoch.0.as_millis() + 1));
        Context { epoch, ..cx }
    };
    let ana = scene.person()?;
    every_operation_is_refused(&ana, raised(S), Refusal::Epoch).await?;

    // What is issued under the higher one lives, beside the dead, under the same head.
    let token = ana.one_time(Some(ana.identity.clone()), Strength::Standard);
    let issued = scene.granted(&token.issue, raised(S)).await?;
    scene.same("its epoch", &raised(S).epoch, &issued.epoch)?;
    let bought = scene.granted(&token.redeem, raised(S)).await?;
    scene.granted(touch(&bought), raised(S)).await?;
    // An engine that has not yet heard of it is not kept from it, and does not undo it.
    scene.granted(touch(&bought), scene.at(S)).await?;
    let login = scene.granted(ana.login(Strength::Standard), raised(S)).await?;
    let child = ana.opens(&login, S).await?;
    scene.same("its epoch", &login.epoch, &child.epoch)?;
    scene.granted(touch(&child), raised(S)).await.map(|_| ())
}

pub(super) async fn a_clock_that_fell_behind_is_refused(scene: &Scene<'_>) -> Outcome {
    let ana = scene.person()?;
    every_operation_is_refused(&ana, scene.at(-5 * S - 1), Refusal::Clock).await?;

    let token = ana.gets(Strength::Standard, 0).await?;
    let bought = scene.granted(&token.redeem, scene.at(-5 * S)).await?;
    scene.granted(touch(&bought), scene.at(-10 * S)).await?;
    // What counts is the latest instant that the record has seen.
    scene.granted(touch(&bought), scene.at(MIN)).await?;
    scene.refused(touch(&bought), scene.at(55 * S - 1), Refusal::Clock).await?;
    scene.granted(touch(&bought), scene.at(55 * S)).await?;
    scene.granted(elevate(&bought, None), scene.at(2 * MIN)).await?;
    scene.refused(read(&bought), scene.at(115 * S - 1), Refusal::Clock).await?;
    scene.granted(elevate(&bought, None), scene.at(115 * S)).await?;
    scene.refused(read(&bought), scene.at(115 * S - 1), Refusal::Clock).await?;

    let bought = ana.buys(0).await?;
    scene.granted(elevate(&bought, None), scene.at(20 * S)).await?;
    let slid = scene.granted(touch(&bought), scene.at(16 * S)).await?;
    scene.same("its latest instant", &scene.instant(20 * S), &scene.active(&slid)?.seen_at)?;

    // So is one that was superseded or revoked.
    let superseded = ana.buys(0).await?;
    let evidence = ana.gets(EVIDENCE, 0).await?;
    scene.granted(evidence.step_up(&superseded), scene.at(20 * S)).await?;
    let revoked = ana.buys(0).await?;
    scene.answered(revoke(&revoked), scene.at(20 * S), Answer::Revoked).await?;
    for (dead, refusal) in [(superseded, Refusal::Superseded), (revoked, Refusal::Revoked)] {
        scene.refused(touch(&dead), scene.at(15 * S - 1), Refusal::Clock).await?;
        scene.refused(touch(&dead), scene.at(15 * S), refusal).await?;
    }

    // A child that is opened again is judged by its own instants.
    let login = ana.logs_in(0).await?;
    let open = ana.open(&login);
    let child = scene.granted(&open, scene.at(0)).await?;
    let touched = scene.granted(touch(&child), scene.at(20 * S)).await?;
    scene.refused(&open, scene.at(15 * S - 1), Refusal::Clock).await?;
    scene.repeated(&open, scene.at(15 * S), &touched).await?;

    // A child is judged by its login's instants too.
    let login = ana.logs_in(0).await?;
    let child = ana.opens(&login, 0).await?;
    scene.granted(touch(&login), scene.at(MIN)).await?;
    scene.refused(touch(&child), scene.at(55 * S - 1), Refusal::Clock).await?;
    scene.granted(touch(&child), scene.at(55 * S)).await.map(|_| ())
}

/// One grant of each kind, issued at 0 and refused so in that context; and none the worse for it.
async fn every_operation_is_refused(ana: &Person<'_>, cx: Context, refusal: Refusal) -> Outcome {
    let scene = ana.scene;
    let token = ana.gets(EVIDENCE, 0).await?;
    let issue = ana.login(Strength::Standard);
    let login = scene.granted(&issue, scene.at(0)).await?;
    let child = ana.opens(&login, 0).await?;
    let doomed = ana.buys(0).await?;
    scene.refused(&token.issue, cx, refusal).await?;
    scene.refused(&issue, cx, refusal).await?;
    scene.refused(&token.redeem, cx, refusal).await?;
    scene.refused(token.read(), cx, refusal).await?;
    scene.refused(token.step_up(&child), cx, refusal).await?;
    scene.bearer_refused(ana.open(&login), cx, refusal).await?;
    for grant in [&login, &child] {
        scene.refused(touch(grant), cx, refusal).await?;
        scene.refused(read(grant), cx, refusal).await?;
        scene.refused(elevate(grant, None), cx, refusal).await?;
    }
    scene.answered(revoke(&doomed), cx, Answer::Revoked).await?;

    scene.granted(token.step_up(&child), scene.at(0)).await?;
    scene.granted(ana.open(&login), scene.at(0)).await.map(|_| ())
}

pub(super) async fn tenants_never_see_each_other(scene: &Scene<'_>) -> Outcome {
    let ana = scene.person()?;
    let namesake = Person { tenant: scene.person()?.tenant, ..ana.clone() };
    let token = ana.gets(EVIDENCE, 0).await?;
    let login = ana.logs_in(0).await?;
    let child = ana.opens(&login, 0).await?;
    // Each has their own head.
    let theirs = namesake.logs_in(0).await?;
    scene.holds(
        theirs.generation != login.generation,
        "another tenant's head to be another",
        theirs.generation,
    )?;

    let tenant = &namesake.tenant;
    let redeem = Redeem { tenant: tenant.clone(), ..token.redeem.clone() };
    let mut wrong = bearer(&child);
    wrong.tenant = tenant.clone();
    let mut open = ana.open(&login);
    open.login.tenant = tenant.clone();
    let mut wrong_read = token.read();
    if let Read::OneTime { tenant: presented, .. } = &mut wrong_read {
        *presented = tenant.clone();
    }
    let mut touched = touch(&child);
    touched.bearer = wrong.clone();
    let mut elevated = elevate(&child, None);
    elevated.bearer = wrong.clone();
    let revoked = Revoke { tenant: tenant.clone(), ..revoke(&child) };
    let by_host = Revoke { client: None, ..revoked.clone() };
    for op in [
        Op::from(&redeem),
        wrong_read.into(),
        touched.into(),
        Read::Bearer(wrong.clone()).into(),
        elevated.into(),
        revoked.into(),
        by_host.into(),
        StepUp { bearer: bearer(&child), redeem }.into(),
    ] {
        scene.refused(op, scene.at(S), Refusal::Tenant).await?;
    }
    scene.bearer_refused(open, scene.at(S), Refusal::Tenant).await?;
    let step_up = StepUp { bearer: wrong, redeem: token.redeem.clone() };
    scene.bearer_refused(step_up, scene.at(S), Refusal::Tenant).await?;

    scene.granted(token.step_up(&child), scene.at(S)).await?;
    let untouched = Touch { bearer: bearer(&theirs), slide: SLIDE };
    scene.granted(untouched, scene.at(S)).await.map(|_| ())
}

pub(super) async fn the_epoch_only_grows(scene: &Scene<'_>) -> Outcome {
    // Long past, so that a store whose epoch is that of any living process hardly notices.
    let now = Timestamp::from_millis(0);
    let epoch = async || {
        scene.store.epoch(scene.instant(0)).await.map_err(|error| scene.unanswered(&error))
    };
    let before = epoch().await?;
    let raised = scene.store.raise_epoch(now).await.map_err(|error| scene.unanswered(&error))?;
    let after = epoch().await?;
    scene.tell(format!("epoch → {before:?}; raise_epoch({now:?}) → {raised:?}; epoch → {after:?}"));
    // Somebody else may raise it between any two of these.
    scene.holds(raised > before, "a higher epoch than before", raised)?;
    scene.holds(raised.0 >= now, "an epoch that is now or later", raised)?;
    scene.holds(after >= raised, "the raised epoch to stay", after)
}

pub(super) async fn a_guarantee_says_why(scene: &Scene<'_>) -> Outcome {
    let guarantee = scene.store.guarantee().await.map_err(|error| scene.unanswered(&error))?;
    scene.holds(!guarantee.reason.is_empty(), "a reason for its grade", &guarantee)
}
