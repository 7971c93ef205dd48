//! Active → Active(`STEPPED_UP`), in place.

use super::{
    flaws::{BEARER, Flawed, pairs},
    scene::{ACCESS, MIN, Outcome, S, Scene, elevate, read},
};
use crate::{
    grant::{Active, Elevate, Grant, State, Strength},
    model::Status,
};

pub(super) async fn a_grant_is_raised_in_place(scene: &Scene<'_>) -> Outcome {
    let ana = scene.person()?;
    let login = ana.logs_in(0).await?;
    let before = ana.opens(&login, 0).await?;
    let raised = scene.granted(elevate(&login, None), scene.at(S)).await?;
    let strength = Strength::SteppedUp { until: None };
    let was = scene.active(&login)?.clone();
    let active = Active { strength, seen_at: scene.instant(S), ..was };
    let expected = Grant { state: State::Active(active), ..login.clone() };
    scene.same("the login, raised and nothing else", &expected, &raised)?;
    let seen = scene.granted(read(&login), scene.at(S)).await?;
    scene.same("the login as read", &expected, &seen)?;

    let seen = scene.granted(read(&before), scene.at(S)).await?;
    scene.same("what it opened before", &before, &seen)?;
    let after = ana.opens(&raised, S).await?;
    scene.same("what it opens now", &strength, &scene.active(&after)?.strength)?;

    for grant in [before, ana.buys(0).await?] {
        let raised = scene.granted(elevate(&grant, None), scene.at(2 * S)).await?;
        scene.same("its strength", &strength, &scene.active(&raised)?.strength)?;
        let minted = &scene.active(&grant)?.minted;
        scene.same("its token", minted, &scene.active(&raised)?.minted)?;
    }
    Ok(())
}

pub(super) async fn a_step_up_is_never_shortened(scene: &Scene<'_>) -> Outcome {
    let ana = scene.person()?;
    let grant = ana.buys(0).await?;
    let limit = scene.instant(0).after(ACCESS);
    let until = |minutes| Some(scene.instant(minutes * MIN));
    for (asked, has) in [
        // Ended before it began.
        (Some(scene.instant(S)), Strength::Standard),
        (until(10), Strength::SteppedUp { until: until(10) }),
        (until(5), Strength::SteppedUp { until: until(10) }),
        (until(20), Strength::SteppedUp { until: until(20) }),
        (until(600), Strength::SteppedUp { until: Some(limit) }),
        (None, Strength::SteppedUp { until: None }),
        (until(10), Strength::SteppedUp { until: None }),
    ] {
        let raised = scene.granted(elevate(&grant, asked), scene.at(S)).await?;
        scene.same("its strength", &has, &scene.active(&raised)?.strength)?;
        let seen = scene.granted(read(&grant), scene.at(S)).await?;
        scene.same("the grant as read", &raised, &seen)?;
    }
    Ok(())
}

pub(super) async fn a_step_up_ends_when_it_should(scene: &Scene<'_>) -> Outcome {
    let ana = scene.person()?;
    let login = ana.logs_in(0).await?;
    let until = scene.instant(4 * MIN);
    scene.granted(elevate(&login, Some(until)), scene.at(0)).await?;
    let status = |grant: &Grant, at| {
        scene.active(grant).map(|active| active.strength.status(scene.instant(at)))
    };
    let seen = scene.granted(read(&login), scene.at(4 * MIN - 1)).await?;
    scene.same("its status", &Status::SteppedUp, &status(&seen, 4 * MIN - 1)?)?;
    let child = ana.opens(&login, 4 * MIN - 1).await?;
    let inherited = Strength::SteppedUp { until: Some(until) };
    scene.same("its child's strength", &inherited, &scene.active(&child)?.strength)?;

    let seen = scene.granted(read(&login), scene.at(4 * MIN)).await?;
    scene.same("its status", &Status::Standard, &status(&seen, 4 * MIN)?)?;
    let seen = scene.granted(read(&child), scene.at(4 * MIN)).await?;
    scene.same("its child's status", &Status::Standard, &status(&seen, 4 * MIN)?)?;
    let late = ana.opens(&login, 4 * MIN).await?;
    scene.same("a late child's strength", &Strength::Standard, &scene.active(&late)?.strength)?;

    // It can be raised again, and what had ended does not come back.
    let again = Some(scene.instant(5 * MIN));
    let raised = scene.granted(elevate(&child, again), scene.at(4 * MIN)).await?;
    let strength = Strength::SteppedUp { until: again };
    scene.same("its child's strength", &strength, &scene.active(&raised)?.strength)
}

pub(super) async fn elevating_refuses_in_order(scene: &Scene<'_>) -> Outcome {
    for pair in pairs(BEARER) {
        let ana = scene.person()?;
        let mut flawed = Flawed::child(&ana).await?;
        flawed.suffers(pair).await?;
        let elevate = Elevate { bearer: flawed.bearer.clone(), until: None };
        flawed.answers(elevate, pair.0.refused()).await?;
    }
    Ok(())
}
