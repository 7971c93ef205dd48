//! ∅ → Active under a login, and how a login ends its children.

use std::sync::Arc;

use super::{
    Violation,
    flaws::{BEARER, Flaw, Flawed, pairs},
    issuing::one_winner,
    model::{Answer, Op},
    scene::{
        ACCESS, HOUR, LOGIN, MIN, Outcome, Person, S, SLIDE, Scene, bearer, elevate, read, revoke,
        touch,
    },
};
use crate::{
    grant::{First, Grant, Issue, Open, Purpose, Read, Refusal, Slide, Strength, Touch},
    id::GrantId,
    model::{HostClaims, Scope},
};

pub(super) async fn a_child_comes_from_its_login(scene: &Scene<'_>) -> Outcome {
    let until = scene.instant(30 * MIN);
    for (strength, inherited) in [
        (Strength::Standard, Strength::Standard),
        (Strength::SteppedUp { until: Some(until) }, Strength::SteppedUp { until: Some(until) }),
        (Strength::SteppedUp { until: None }, Strength::SteppedUp { until: None }),
        // It ended before the child was opened.
        (Strength::SteppedUp { until: Some(scene.instant(MIN)) }, Strength::Standard),
        // It would outlive the child.
        (
            Strength::SteppedUp { until: Some(scene.instant(2 * HOUR)) },
            Strength::SteppedUp { until: Some(scene.instant(MIN).after(ACCESS)) },
        ),
    ] {
        let mut ana = scene.person()?;
        ana.scope = Some(scene.valid(Scope::new("read write"))?);
        let issue = ana.login(strength);
        let mut terms = (*issue.terms).clone();
        terms.claims = Some(scene.valid(HostClaims::new(r#"{"a":1}"#))?);
        let issue = Issue { terms: Arc::new(terms), ..issue };
        let login = scene.granted(issue, scene.at(0)).await?;
        let mut open = ana.open(&login);
        open.mint.scope = Some(scene.valid(Scope::new("read"))?);
        let child = scene.granted(&open, scene.at(MIN)).await?;
        let active = scene.active(&child)?;
        scene.same("its id", &open.id, &child.id)?;
        scene.same("its terms", &login.terms, &child.terms)?;
        scene.same("its generation", &login.generation, &child.generation)?;
        scene.same("its epoch", &login.epoch, &child.epoch)?;
        scene.same("its scope", &open.mint.scope, &active.minted.scope)?;
        let purpose = Purpose::Access { identity: ana.identity.clone(), login: Some(login.id) };
        scene.same("its purpose", &purpose, &active.minted.purpose)?;
        scene.same("its strength", &inherited, &active.strength)?;
        let limit = scene.instant(MIN).after(ACCESS);
        scene.same("its absolute limit", &limit, &active.minted.expires_at)?;
        let seen = scene.granted(touch(&child), scene.at(MIN)).await?;
        scene.same("the child as it was opened", &child, &seen)?;
    }
    Ok(())
}

pub(super) async fn no_child_outlives_its_login(scene: &Scene<'_>) -> Outcome {
    let ana = scene.person()?;
    let login = restless_login(&ana).await?;
    let end = scene.active(&login)?.minted.expires_at;
    let half = 11 * HOUR + 30 * MIN;
    let child = ana.opens(&login, half).await?;
    scene.same("the child's absolute limit", &end, &scene.active(&child)?.minted.expires_at)?;

    let evidence = ana.gets(Strength::SteppedUp { until: None }, half).await?;
    let stepped = scene.granted(evidence.step_up(&child), scene.at(half)).await?;
    scene.same("once stepped up", &end, &scene.active(&stepped)?.minted.expires_at)?;

    let slide = Slide { idle: LOGIN, ..SLIDE };
    let restless = Touch { bearer: bearer(&stepped), slide };
    scene.granted(&restless, scene.at(half + MIN)).await?;
    scene.granted(touch(&stepped), scene.at(12 * HOUR - 1)).await?;
    let gone = [Refusal::Login, Refusal::Expired, Refusal::Unknown].map(Answer::Refused);
    for op in [Op::from(touch(&stepped)), read(&stepped).into(), elevate(&stepped, None).into()] {
        let seen = scene.ask(op, scene.at(12 * HOUR)).await?;
        scene.holds(gone.contains(&seen), "its login, or itself, to be past its end", &seen)?;
    }
    let gone = gone.map(|answer| match answer {
        Answer::Refused(refusal) => Answer::BearerRefused(refusal),
        other => other,
    });
    let seen = scene.ask(ana.open(&login), scene.at(12 * HOUR)).await?;
    scene.holds(gone.contains(&seen), "the login to be past its end", &seen)
}

pub(super) async fn opening_slides_the_login(scene: &Scene<'_>) -> Outcome {
    let ana = scene.person()?;
    let login = ana.logs_in(0).await?;
    let open = ana.open(&login);
    let child = scene.granted(&open, scene.at(4 * MIN)).await?;
    let seen = scene.granted(read(&login), scene.at(4 * MIN)).await?;
    let idle_until = scene.active(&seen)?.idle_until;
    scene.same("the login's idle limit", &scene.instant(9 * MIN), &idle_until)?;

    // A retry is use too, where the limit grows by the granularity.
    scene.repeated(&open, scene.at(4 * MIN + 14 * S), &child).await?;
    let seen = scene.granted(read(&login), scene.at(4 * MIN + 14 * S)).await?;
    scene.same("the limit still", &scene.instant(9 * MIN), &scene.active(&seen)?.idle_until)?;
    scene.repeated(&open, scene.at(4 * MIN + 15 * S), &child).await?;
    scene.granted(read(&login), scene.at(9 * MIN + 15 * S - 1)).await?;
    scene.refused(read(&login), scene.at(9 * MIN + 15 * S), Refusal::Idle).await
}

pub(super) async fn an_idle_login_opens_nothing_and_ends_no_child(scene: &Scene<'_>) -> Outcome {
    let ana = scene.person()?;
    let login = ana.logs_in(0).await?;
    let child = ana.opens(&login, 0).await?;
    scene.granted(touch(&child), scene.at(4 * MIN)).await?;
    scene.bearer_refused(ana.open(&login), scene.at(5 * MIN), Refusal::Idle).await?;
    scene.granted(touch(&child), scene.at(5 * MIN)).await?;
    let evidence = ana.gets(Strength::SteppedUp { until: None }, 5 * MIN).await?;
    let stepped = scene.granted(evidence.step_up(&child), scene.at(6 * MIN - 1)).await?;
    scene.granted(elevate(&stepped, None), scene.at(7 * MIN)).await?;
    scene.answered(revoke(&login), scene.at(7 * MIN), Answer::Revoked).await?;
    scene.refused(touch(&stepped), scene.at(7 * MIN), Refusal::Login).await
}

pub(super) async fn a_revoked_login_ends_its_children(scene: &Scene<'_>) -> Outcome {
    let ana = scene.person()?;
    let login = ana.logs_in(0).await?;
    let other = ana.logs_in(0).await?;
    let spared = ana.opens(&other, 0).await?;
    let open = ana.open(&login);
    let child = scene.granted(&open, scene.at(0)).await?;
    let old = ana.opens(&login, 0).await?;
    let stepping = ana.gets(Strength::SteppedUp { until: None }, 0).await?;
    let stepped = scene.granted(stepping.step_up(&old), scene.at(0)).await?;
    scene.answered(revoke(&login), scene.at(S), Answer::Revoked).await?;

    for grant in [&child, &stepped, &old] {
        scene.refused(touch(grant), scene.at(S), Refusal::Login).await?;
        scene.refused(read(grant), scene.at(S), Refusal::Login).await?;
        scene.refused(elevate(grant, None), scene.at(S), Refusal::Login).await?;
        let evidence = ana.gets(Strength::SteppedUp { until: None }, S).await?;
        scene.bearer_refused(evidence.step_up(grant), scene.at(S), Refusal::Login).await?;
        scene.granted(evidence.redeem, scene.at(S)).await?;
    }
    scene.bearer_refused(stepping.step_up(&old), scene.at(S), Refusal::Login).await?;
    scene.bearer_refused(&open, scene.at(S), Refusal::Revoked).await?;
    scene.bearer_refused(ana.open(&login), scene.at(S), Refusal::Revoked).await?;
    scene.granted(touch(&spared), scene.at(S)).await.map(|_| ())
}

pub(super) async fn a_child_opened_beside_the_revocation_ends_too(scene: &Scene<'_>) -> Outcome {
    for _ in 0..16 {
        let ana = scene.person()?;
        let login = ana.logs_in(0).await?;
        let old = ana.opens(&login, 0).await?;
        let evidence = ana.gets(Strength::SteppedUp { until: None }, 0).await?;
        let beside = [
            (Op::from(ana.open(&login)), scene.at(S)),
            (Op::from(evidence.step_up(&old)), scene.at(S)),
            (Op::from(revoke(&login)), scene.at(S)),
            (Op::from(ana.open(&login)), scene.at(S)),
        ];
        let answers = scene.ask_at_once(&beside).await?;
        scene.same("the revocation", &Answer::Revoked, &answers[2])?;
        for grant in answers.iter().filter_map(Answer::grant).chain([&old]) {
            scene.refused(touch(grant), scene.at(S), Refusal::Login).await?;
        }
        scene.bearer_refused(ana.open(&login), scene.at(S), Refusal::Revoked).await?;
    }
    Ok(())
}

pub(super) async fn the_same_attempt_opens_one_child(scene: &Scene<'_>) -> Outcome {
    let ana = scene.person()?;
    let login = ana.logs_in(0).await?;
    let open = ana.open(&login);
    let answers = scene.ask_at_once(&vec![(Op::from(&open), scene.at(S)); 8]).await?;
    let child = one_winner(scene, &answers)?;
    for answer in &answers {
        scene.same("the one child", &Some(&child), &answer.grant())?;
    }
    let for_another = Open { identity: scene.identity()?, ..open.clone() };
    scene.refused(for_another, scene.at(2 * S), Refusal::Identity).await?;
    let by_another = Open { attempt: scene.attempt(), ..open.clone() };
    scene.refused(by_another, scene.at(2 * S), Refusal::Spent).await?;
    let second = ana.opens(&login, 2 * S).await?;
    scene.holds(second.id != child.id, "another attempt to open another child", second.id)?;

    scene.repeated(&open, scene.at(31 * S - 1), &child).await?;
    scene.refused(&open, scene.at(31 * S), Refusal::Spent).await?;
    scene.granted(touch(&child), scene.at(31 * S)).await?;
    scene.granted(read(&child), scene.at(31 * S)).await?;
    let before = scene.granted(read(&login), scene.at(50 * S)).await?;
    scene.refused(&open, scene.at(50 * S), Refusal::Spent).await?;
    let after = scene.granted(read(&login), scene.at(50 * S)).await?;
    scene.same("the login, as the refusal found it", &before, &after)?;
    scene.answered(revoke(&child), scene.at(31 * S), Answer::Revoked).await?;
    scene.refused(&open, scene.at(31 * S), Refusal::Revoked).await
}

pub(super) async fn the_named_login_must_agree(scene: &Scene<'_>) -> Outcome {
    let ana = scene.person()?;
    let login = ana.logs_in(0).await?;
    let other = ana.logs_in(0).await?;
    let child = ana.opens(&login, 0).await?;
    let childless = ana.buys(0).await?;
    for (grant, named) in [
        (&child, None),
        (&child, Some(other.id)),
        (&child, Some(child.id)),
        (&childless, Some(login.id)),
        (&login, Some(login.id)),
    ] {
        let mut wrong = touch(grant);
        wrong.bearer.login = named;
        scene.refused(&wrong, scene.at(S), Refusal::Login).await?;
        let wrong = Read::Bearer(wrong.bearer);
        scene.refused(wrong, scene.at(S), Refusal::Login).await?;
    }
    scene.granted(touch(&child), scene.at(S)).await.map(|_| ())
}

pub(super) async fn only_an_auth_token_opens(scene: &Scene<'_>) -> Outcome {
    let ana = scene.person()?;
    let token = ana.gets(Strength::Standard, 0).await?;
    let mut unspent = ana.open(&ana.logs_in(0).await?);
    unspent.login.id = token.issue.id;
    unspent.id = GrantId::of_child(token.issue.id, unspent.attempt);
    scene.bearer_refused(&unspent, scene.at(S), Refusal::Unknown).await?;
    let mut touched = touch(&ana.logs_in(0).await?);
    touched.bearer.id = token.issue.id;
    scene.refused(touched, scene.at(S), Refusal::Unknown).await?;

    let bought = scene.granted(&token.redeem, scene.at(S)).await?;
    scene.bearer_refused(ana.open(&bought), scene.at(S), Refusal::Unknown).await?;
    scene.granted(touch(&bought), scene.at(S)).await.map(|_| ())
}

pub(super) async fn opening_refuses_in_order(scene: &Scene<'_>) -> Outcome {
    // A login is never superseded.
    let no_flaw = Flaw::Bearer(Refusal::Superseded);
    for pair in pairs(BEARER).filter(|(first, second)| ![first, second].contains(&&no_flaw)) {
        let ana = scene.person()?;
        let mut flawed = Flawed::login(&ana).await?;
        flawed.suffers(pair).await?;
        let open = ana.open(&flawed.grant);
        let open = Open {
            login: flawed.bearer.clone(),
            id: GrantId::of_child(flawed.bearer.id, open.attempt),
            ..open
        };
        let refused = match pair.0.refused() {
            Answer::Refused(refusal) => Answer::BearerRefused(refusal),
            other => other,
        };
        flawed.answers(open, refused).await?;
    }
    Ok(())
}

/// A login that does not idle out.
async fn restless_login(ana: &Person<'_>) -> Result<Grant, Violation> {
    let mut login = ana.login(Strength::Standard);
    if let First::Token { mint, .. } = &mut login.first {
        mint.idle = LOGIN;
    }
    ana.scene.granted(login, ana.scene.at(0)).await
}
