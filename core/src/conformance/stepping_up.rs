//! Issued → Active and Active → Superseded, in one step.

use super::{
    Violation,
    flaws::{BOTH, Flawed, pairs},
    issuing::one_winner,
    model::{Answer, Op},
    scene::{MIN, OneTime, Outcome, Person, S, Scene, bearer, read, revoke, touch},
};
use crate::{
    grant::{Grant, OnReplay, Purpose, Redeem, Refusal, StepUp, Strength},
    model::Status,
};

const EVIDENCE: Strength = Strength::SteppedUp { until: None };

pub(super) async fn a_step_up_puts_one_grant_in_the_place_of_another(scene: &Scene<'_>) -> Outcome {
    let ana = scene.person()?;
    let login = ana.logs_in(0).await?;
    for old in [ana.opens(&login, 0).await?, ana.buys(0).await?] {
        let until = scene.instant(10 * MIN);
        let evidence = ana.gets(Strength::SteppedUp { until: Some(until) }, 50 * S).await?;
        let new = scene.granted(evidence.step_up(&old), scene.at(MIN)).await?;
        let (was, is) = (scene.active(&old)?, scene.active(&new)?);
        scene.same("its id", &evidence.issue.id, &new.id)?;
        let purpose = Purpose::Access { identity: ana.identity.clone(), login: was.login() };
        scene.same("its purpose", &purpose, &is.minted.purpose)?;
        scene.same("its absolute limit", &was.minted.expires_at, &is.minted.expires_at)?;
        let strength = Strength::SteppedUp { until: Some(until) };
        scene.same("its strength", &strength, &is.strength)?;

        let seen = scene.granted(touch(&new), scene.at(MIN)).await?;
        scene.same("the new grant", &new, &seen)?;
        scene.refused(touch(&old), scene.at(MIN), Refusal::Superseded).await?;
        scene.refused(read(&old), scene.at(MIN), Refusal::Superseded).await?;
        scene.expired(touch(&new), scene.at(60 * MIN)).await?;
    }
    Ok(())
}

pub(super) async fn a_superseded_bearer_answers_only_its_own_attempt(scene: &Scene<'_>) -> Outcome {
    let ana = scene.person()?;
    let old = child(&ana).await?;
    let evidence = ana.gets(EVIDENCE, 0).await?;
    let stepped = scene.granted(evidence.step_up(&old), scene.at(S)).await?;
    scene.repeated(evidence.step_up(&old), scene.at(S), &stepped).await?;

    let more = ana.gets(EVIDENCE, 0).await?;
    let again = more.step_up(&old);
    scene.bearer_refused(&again, scene.at(2 * S), Refusal::Superseded).await?;
    // Not even under the attempt that superseded it, for that spent another token.
    let mut same_name = again;
    same_name.redeem.attempt = evidence.redeem.attempt;
    scene.bearer_refused(same_name, scene.at(2 * S), Refusal::Superseded).await?;
    scene.granted(&more.redeem, scene.at(2 * S)).await?;

    // Nor does another attempt get what that one bought,
    let mut stranger = evidence.step_up(&old);
    stranger.redeem.attempt = scene.attempt();
    stranger.redeem.on_replay = OnReplay::Refuse;
    let replayed = Answer::Replayed { revoked: false };
    scene.answered(stranger, scene.at(2 * S), replayed).await?;
    // nor does another Bearer.
    let stranger = evidence.step_up(&child(&ana).await?);
    scene.refused(stranger, scene.at(2 * S), Refusal::Spent).await?;

    // Not even one that the same name put another grant in the place of.
    let also_old = child(&ana).await?;
    let mut also = ana.gets(EVIDENCE, 0).await?;
    also.redeem.attempt = evidence.redeem.attempt;
    scene.granted(also.step_up(&also_old), scene.at(2 * S)).await?;
    scene.refused(evidence.step_up(&also_old), scene.at(2 * S), Refusal::Spent).await?;

    scene.repeated(evidence.step_up(&old), scene.at(31 * S - 1), &stepped).await?;
    scene.refused(evidence.step_up(&old), scene.at(31 * S), Refusal::Spent).await?;
    scene.granted(touch(&stepped), scene.at(31 * S)).await?;
    scene.answered(revoke(&stepped), scene.at(31 * S), Answer::Revoked).await?;
    scene.refused(evidence.step_up(&old), scene.at(31 * S), Refusal::Revoked).await
}

pub(super) async fn a_replayed_step_up_revokes_what_was_bought(scene: &Scene<'_>) -> Outcome {
    let ana = scene.person()?;
    for by_redeeming in [false, true] {
        let old = child(&ana).await?;
        let evidence = ana.gets(EVIDENCE, 0).await?;
        let stepped = scene.granted(evidence.step_up(&old), scene.at(S)).await?;
        let mut thief = evidence.step_up(&old);
        thief.redeem.attempt = scene.attempt();
        thief.redeem.on_replay = OnReplay::Refuse;
        let forgiven = Answer::Replayed { revoked: false };
        scene.answered(&thief, scene.at(2 * S), forgiven).await?;
        scene.granted(touch(&stepped), scene.at(2 * S)).await?;

        thief.redeem.on_replay = OnReplay::Revoke;
        let replayed = Answer::Replayed { revoked: true };
        if by_redeeming {
            // Even under the attempt that stepped up: it was bought otherwise.
            scene.answered(&evidence.redeem, scene.at(2 * S), replayed).await?;
        } else {
            scene.answered(&thief, scene.at(2 * S), replayed).await?;
        }
        scene.refused(touch(&stepped), scene.at(2 * S), Refusal::Revoked).await?;
        scene.refused(evidence.step_up(&old), scene.at(2 * S), Refusal::Revoked).await?;
    }
    Ok(())
}

pub(super) async fn a_superseded_token_is_a_replay_that_revokes_nothing(
    scene: &Scene<'_>,
) -> Outcome {
    let ana = scene.person()?;
    let token = ana.gets(EVIDENCE, 0).await?;
    let old = scene.granted(&token.redeem, scene.at(0)).await?;
    let evidence = ana.gets(EVIDENCE, 0).await?;
    let stepped = scene.granted(evidence.step_up(&old), scene.at(S)).await?;
    let replayed = || Answer::Replayed { revoked: false };
    scene.answered(&token.redeem, scene.at(2 * S), replayed()).await?;
    scene.answered(token.by(scene.attempt()), scene.at(2 * S), replayed()).await?;
    scene.answered(token.step_up(&stepped), scene.at(2 * S), replayed()).await?;
    scene.refused(touch(&old), scene.at(2 * S), Refusal::Superseded).await?;
    scene.granted(touch(&stepped), scene.at(2 * S)).await.map(|_| ())
}

pub(super) async fn a_dead_bearer_spends_nothing(scene: &Scene<'_>) -> Outcome {
    let ana = scene.person()?;
    let revoked = child(&ana).await?;
    scene.answered(revoke(&revoked), scene.at(0), Answer::Revoked).await?;
    let login = ana.logs_in(0).await?;
    let orphan = ana.opens(&login, 0).await?;
    scene.answered(revoke(&login), scene.at(0), Answer::Revoked).await?;
    let idle = child(&ana).await?;
    let mut unknown = child(&ana).await?;
    unknown.id = ana.fresh_id();

    for (dead, at, refusal) in [
        (revoked, S, Refusal::Revoked),
        (orphan, S, Refusal::Login),
        (unknown, S, Refusal::Unknown),
        (idle, 5 * MIN, Refusal::Idle),
    ] {
        let evidence = ana.gets(EVIDENCE, at - S).await?;
        let before = scene.granted(evidence.read(), scene.at(at)).await?;
        scene.bearer_refused(evidence.step_up(&dead), scene.at(at), refusal).await?;
        let after = scene.granted(evidence.read(), scene.at(at)).await?;
        scene.same("the evidence as before", &before, &after)?;
        scene.granted(&evidence.redeem, scene.at(at)).await?;
    }

    let old = scene.granted(&ana.gets(EVIDENCE, 0).await?.redeem, scene.at(0)).await?;
    let late = ana.gets(EVIDENCE, 60 * MIN - S).await?;
    let seen = scene.ask(late.step_up(&old), scene.at(60 * MIN)).await?;
    let expired = [Refusal::Expired, Refusal::Unknown].map(Answer::BearerRefused);
    scene.holds(expired.contains(&seen), "BearerRefused(Expired), or (Unknown)", &seen)?;
    scene.granted(&late.redeem, scene.at(60 * MIN)).await.map(|_| ())
}

pub(super) async fn only_evidence_steps_up(scene: &Scene<'_>) -> Outcome {
    let ana = scene.person()?;
    let old = child(&ana).await?;
    let standard = ana.gets(Strength::Standard, 0).await?;
    scene.refused(standard.step_up(&old), scene.at(S), Refusal::Status).await?;
    let brief = Strength::SteppedUp { until: Some(scene.instant(S)) };
    let brief = ana.gets(brief, 0).await?;
    scene.refused(brief.step_up(&old), scene.at(S), Refusal::Status).await?;

    // For another identity: the token, the request, the Bearer.
    let bob = Person { identity: scene.identity()?, ..ana.clone() };
    let for_bob = bob.gets(EVIDENCE, 0).await?;
    scene.refused(for_bob.step_up(&old), scene.at(S), Refusal::Identity).await?;
    let mut asked_for_ana = for_bob.step_up(&old);
    asked_for_ana.redeem.identity = ana.identity.clone();
    scene.refused(asked_for_ana, scene.at(S), Refusal::Identity).await?;
    let for_any = ana.one_time(None, EVIDENCE);
    scene.granted(&for_any.issue, scene.at(0)).await?;
    let mut asked_for_bob = for_any.step_up(&old);
    asked_for_bob.redeem.identity = bob.identity.clone();
    scene.refused(asked_for_bob, scene.at(S), Refusal::Identity).await?;
    let mut unresolved = for_any.step_up(&old);
    unresolved.redeem.resolved = false;
    scene.refused(unresolved, scene.at(S), Refusal::Unresolved).await?;
    // The identity is judged before the strength.
    let bobs_standard = bob.gets(Strength::Standard, 0).await?;
    scene.refused(bobs_standard.step_up(&old), scene.at(S), Refusal::Identity).await?;

    // An auth token acts for nobody.
    let login = ana.logs_in(0).await?;
    let evidence = ana.gets(EVIDENCE, 0).await?;
    scene.refused(evidence.step_up(&login), scene.at(S), Refusal::Identity).await?;

    for unburnt in [&standard, &brief, &for_bob, &for_any, &evidence, &bobs_standard] {
        scene.granted(&unburnt.redeem, scene.at(S)).await?;
    }
    let seen = scene.granted(read(&old), scene.at(S)).await?;
    scene.same("the Bearer's grant as before", &old, &seen)
}

pub(super) async fn evidence_expires_on_time(scene: &Scene<'_>) -> Outcome {
    let ana = scene.person()?;
    let old = child(&ana).await?;
    let evidence = ana.gets(EVIDENCE, 0).await?;
    scene.expired(evidence.step_up(&old), scene.at(MIN)).await?;
    let seen = scene.granted(read(&old), scene.at(MIN)).await?;
    scene.same("the Bearer's grant as before", &old, &seen)?;
    scene.granted(evidence.step_up(&old), scene.at(MIN - 1)).await.map(|_| ())
}

pub(super) async fn one_of_many_step_ups_wins(scene: &Scene<'_>) -> Outcome {
    for _ in 0..8 {
        let ana = scene.person()?;
        // One token, one Bearer, many attempts.
        let (old, evidence) = (child(&ana).await?, ana.gets(EVIDENCE, 0).await?);
        let attempts: Vec<_> = (0..6)
            .map(|_| StepUp {
                bearer: bearer(&old),
                redeem: Redeem { on_replay: OnReplay::Refuse, ..evidence.by(scene.attempt()) },
            })
            .map(|step_up| (Op::from(step_up), scene.at(S)))
            .collect();
        let answers = scene.ask_at_once(&attempts).await?;
        let won = one_winner(scene, &answers)?;
        scene.granted(touch(&won), scene.at(S)).await?;
        scene.refused(touch(&old), scene.at(S), Refusal::Superseded).await?;

        // One Bearer, many tokens.
        let old = child(&ana).await?;
        let mut evidence = Vec::new();
        for _ in 0..6 {
            evidence.push(ana.gets(EVIDENCE, 0).await?);
        }
        let step_ups: Vec<_> =
            evidence.iter().map(|it| (Op::from(it.step_up(&old)), scene.at(S))).collect();
        let answers = scene.ask_at_once(&step_ups).await?;
        let won = one_winner(scene, &answers)?;
        losers_keep_theirs(scene, &evidence, &answers, &won).await?;

        // One token, many Bearers.
        let evidence = ana.gets(EVIDENCE, 0).await?;
        let mut old = Vec::new();
        for _ in 0..6 {
            old.push(child(&ana).await?);
        }
        let step_ups: Vec<_> = old
            .iter()
            .map(|old| {
                let redeem = Redeem { on_replay: OnReplay::Refuse, ..evidence.by(scene.attempt()) };
                (Op::from(StepUp { bearer: bearer(old), redeem }), scene.at(S))
            })
            .collect();
        let answers = scene.ask_at_once(&step_ups).await?;
        one_winner(scene, &answers)?;
        for (old, answer) in old.iter().zip(&answers) {
            match answer.grant() {
                Some(_) => scene.refused(touch(old), scene.at(S), Refusal::Superseded).await?,
                None => scene.granted(touch(old), scene.at(S)).await.map(|_| ())?,
            }
        }
    }
    Ok(())
}

async fn losers_keep_theirs(
    scene: &Scene<'_>,
    evidence: &[OneTime],
    answers: &[Answer],
    won: &Grant,
) -> Outcome {
    scene.granted(touch(won), scene.at(S)).await?;
    for (token, answer) in evidence.iter().zip(answers) {
        if token.issue.id != won.id {
            let superseded = Answer::BearerRefused(Refusal::Superseded);
            scene.same("the answer of a loser", &superseded, answer)?;
            scene.granted(&token.redeem, scene.at(S)).await?;
        }
    }
    Ok(())
}

pub(super) async fn a_step_up_and_a_redemption_share_no_token(scene: &Scene<'_>) -> Outcome {
    for _ in 0..16 {
        let ana = scene.person()?;
        let (old, evidence) = (child(&ana).await?, ana.gets(EVIDENCE, 0).await?);
        let forgiving = || Redeem { on_replay: OnReplay::Refuse, ..evidence.by(scene.attempt()) };
        let step_up = StepUp { bearer: bearer(&old), redeem: forgiving() };
        let both = [(Op::from(step_up), scene.at(S)), (Op::from(forgiving()), scene.at(S))];
        let answers = scene.ask_at_once(&both).await?;
        let won = one_winner(scene, &answers)?;
        scene.granted(touch(&won), scene.at(S)).await?;
        if answers[0].grant().is_some() {
            scene.refused(touch(&old), scene.at(S), Refusal::Superseded).await?;
        } else {
            let seen = scene.granted(read(&old), scene.at(S)).await?;
            scene.same("the Bearer's grant as before", &old, &seen)?;
        }
        let status = scene.active(&won)?.strength.status(scene.instant(S));
        scene.same("its status", &Status::SteppedUp, &status)?;
    }
    Ok(())
}

pub(super) async fn stepping_up_refuses_in_order(scene: &Scene<'_>) -> Outcome {
    for pair in pairs(BOTH) {
        let ana = scene.person()?;
        let mut flawed = Flawed::child(&ana).await?;
        flawed.suffers(pair).await?;
        let step_up = StepUp { bearer: flawed.bearer.clone(), redeem: flawed.token.redeem.clone() };
        flawed.answers(step_up, pair.0.refused_apart()).await?;
    }
    Ok(())
}

/// An access token that was opened under a login, now.
async fn child(ana: &Person<'_>) -> Result<Grant, Violation> {
    let login = ana.logs_in(0).await?;
    ana.opens(&login, 0).await
}
