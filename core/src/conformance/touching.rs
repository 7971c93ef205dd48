//! The live check, its slide, and reading.

use super::{
    Violation,
    flaws::{BEARER, Flaw, Flawed, TOKEN, pairs},
    scene::{HOUR, MIN, Outcome, S, SLIDE, Scene, bearer, elevate, read, touch},
};
use crate::{
    grant::{Active, Grant, Read, Refusal, Slide, State, Strength, Touch},
    instant::Lifetime,
};

pub(super) async fn touching_slides_by_the_granularity(scene: &Scene<'_>) -> Outcome {
    let ana = scene.person()?;
    let grant = ana.buys(0).await?;
    let seen = scene.granted(touch(&grant), scene.at(15 * S - 1)).await?;
    scene.same("the grant, not yet slid", &grant, &seen)?;
    let seen = scene.granted(touch(&grant), scene.at(15 * S)).await?;
    let slid = slid(scene, &grant, 15 * S)?;
    scene.same("the grant, slid", &slid, &seen)?;
    let seen = scene.granted(read(&grant), scene.at(15 * S)).await?;
    scene.same("the grant, as it was kept", &slid, &seen)?;
    let seen = scene.granted(touch(&grant), scene.at(29 * S)).await?;
    scene.same("the grant, not slid again", &slid, &seen)?;
    scene.granted(touch(&grant), scene.at(5 * MIN + 15 * S - 1)).await.map(|_| ())
}

pub(super) async fn touching_never_shortens(scene: &Scene<'_>) -> Outcome {
    let ana = scene.person()?;
    let grant = ana.buys(0).await?;
    scene.granted(touch(&grant), scene.at(MIN)).await?;
    let slid = slid(scene, &grant, MIN)?;
    // By a shorter slide, by an earlier clock, by no granularity at all.
    let none = Lifetime::ZERO;
    for (slide, at) in [
        (Slide { idle: Lifetime::from_mins(1), granularity: none }, MIN),
        (SLIDE, MIN - 5 * S),
        (Slide { granularity: none, ..SLIDE }, MIN - 5 * S),
        (Slide { idle: none, granularity: none }, 2 * MIN),
        (Slide { granularity: none, ..SLIDE }, MIN),
    ] {
        let seen = scene.granted(Touch { bearer: bearer(&grant), slide }, scene.at(at)).await?;
        scene.same("the grant as it was slid", &slid, &seen)?;
    }
    let seen = scene.granted(read(&grant), scene.at(2 * MIN)).await?;
    scene.same("the grant as it was kept", &slid, &seen)
}

pub(super) async fn an_idle_grant_is_refused_on_time(scene: &Scene<'_>) -> Outcome {
    let ana = scene.person()?;
    let login = ana.logs_in(0).await?;
    for grant in [ana.buys(0).await?, ana.opens(&login, 0).await?, login] {
        scene.granted(read(&grant), scene.at(5 * MIN - 1)).await?;
        scene.refused(read(&grant), scene.at(5 * MIN), Refusal::Idle).await?;
        scene.refused(touch(&grant), scene.at(5 * MIN), Refusal::Idle).await?;
        scene.refused(elevate(&grant, None), scene.at(5 * MIN), Refusal::Idle).await?;
        // Nobody wakes it up.
        scene.refused(touch(&grant), scene.at(6 * MIN), Refusal::Idle).await?;
    }
    let grant = ana.buys(0).await?;
    scene.granted(touch(&grant), scene.at(5 * MIN - 1)).await?;
    scene.granted(read(&grant), scene.at(10 * MIN - 2)).await?;
    scene.refused(touch(&grant), scene.at(10 * MIN - 1), Refusal::Idle).await
}

pub(super) async fn the_absolute_limit_holds(scene: &Scene<'_>) -> Outcome {
    let ana = scene.person()?;
    let grant = ana.buys(0).await?;
    for minutes in (4..=56).step_by(4) {
        scene.granted(touch(&grant), scene.at(minutes * MIN)).await?;
    }
    let seen = scene.granted(touch(&grant), scene.at(58 * MIN)).await?;
    scene.same("its idle limit", &scene.instant(HOUR), &scene.active(&seen)?.idle_until)?;
    // It grows no more, so there is nothing to write.
    let slide = Slide { granularity: Lifetime::ZERO, ..SLIDE };
    let same = Touch { bearer: bearer(&grant), slide };
    let same = scene.granted(same, scene.at(HOUR - 1)).await?;
    scene.same("the grant as it was", &seen, &same)?;
    scene.expired(read(&grant), scene.at(HOUR)).await?;
    scene.expired(elevate(&grant, None), scene.at(HOUR)).await?;
    scene.expired(touch(&grant), scene.at(HOUR)).await
}

pub(super) async fn reading_changes_nothing(scene: &Scene<'_>) -> Outcome {
    let ana = scene.person()?;
    let token = ana.gets(Strength::Standard, 0).await?;
    for _ in 0..3 {
        let seen = scene.granted(token.read(), scene.at(MIN - 1)).await?;
        scene.holds(matches!(seen.state, State::Issued(_)), "a token that waits", &seen)?;
    }
    let bought = scene.granted(&token.redeem, scene.at(0)).await?;
    // By the spent token, and by what it bought; at a later instant, and at an earlier one.
    for at in [5 * MIN - 1, 0, -5 * S] {
        for read in [token.read(), read(&bought)] {
            let seen = scene.granted(read, scene.at(at)).await?;
            scene.same("the grant as it was bought", &bought, &seen)?;
        }
    }
    scene.refused(touch(&bought), scene.at(5 * MIN), Refusal::Idle).await?;
    scene.refused(token.read(), scene.at(5 * MIN), Refusal::Idle).await
}

pub(super) async fn touching_refuses_in_order(scene: &Scene<'_>) -> Outcome {
    for pair in pairs(BEARER) {
        let ana = scene.person()?;
        let mut flawed = Flawed::child(&ana).await?;
        flawed.suffers(pair).await?;
        let touch = Touch { bearer: flawed.bearer.clone(), slide: SLIDE };
        flawed.answers(touch, pair.0.refused()).await?;
    }
    Ok(())
}

pub(super) async fn reading_refuses_in_order(scene: &Scene<'_>) -> Outcome {
    for pair in pairs(BEARER) {
        let ana = scene.person()?;
        let mut flawed = Flawed::child(&ana).await?;
        flawed.suffers(pair).await?;
        let read = Read::Bearer(flawed.bearer.clone());
        flawed.answers(read, pair.0.refused()).await?;
    }
    // Reading a one-time token asks for no identity.
    let no_flaw = Flaw::Token(Refusal::Identity);
    for pair in pairs(TOKEN).filter(|(first, second)| ![first, second].contains(&&no_flaw)) {
        let ana = scene.person()?;
        let mut flawed = Flawed::child(&ana).await?;
        flawed.suffers(pair).await?;
        flawed.answers(flawed.token.read(), pair.0.refused()).await?;
    }
    Ok(())
}

/// The grant, as a touch at that instant leaves it.
fn slid(scene: &Scene<'_>, grant: &Grant, at: i64) -> Result<Grant, Violation> {
    let active = Active {
        idle_until: scene.instant(at).after(SLIDE.idle),
        seen_at: scene.instant(at),
        ..scene.active(grant)?.clone()
    };
    Ok(Grant { state: State::Active(active), ..grant.clone() })
}
