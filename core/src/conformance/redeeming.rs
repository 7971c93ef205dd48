//! Issued → Active.

use super::{
    flaws::{Flaw, Flawed, TOKEN, pairs},
    issuing::one_winner,
    model::{Answer, Op},
    scene::{ACCESS, IDLE, MIN, Outcome, S, Scene, read, touch},
};
use crate::{
    grant::{OnReplay, Purpose, Redeem, Refusal, Strength},
    instant::Lifetime,
    model::{IdentityType, Status},
};

pub(super) async fn a_one_time_token_buys_its_access_token(scene: &Scene<'_>) -> Outcome {
    let ana = scene.person()?;
    let until = scene.instant(10 * MIN);
    for (strength, bought) in [
        (Strength::Standard, Strength::Standard),
        (Strength::SteppedUp { until: None }, Strength::SteppedUp { until: None }),
        (Strength::SteppedUp { until: Some(until) }, Strength::SteppedUp { until: Some(until) }),
        // It ended before the token was spent.
        (Strength::SteppedUp { until: Some(scene.instant(S)) }, Strength::Standard),
        // It would outlive the grant.
        (
            Strength::SteppedUp { until: Some(scene.instant(120 * MIN)) },
            Strength::SteppedUp { until: Some(scene.instant(S).after(ACCESS)) },
        ),
    ] {
        let token = ana.gets(strength, 0).await?;
        let grant = scene.granted(&token.redeem, scene.at(S)).await?;
        let active = scene.active(&grant)?;
        scene.same("its id", &token.issue.id, &grant.id)?;
        let purpose = Purpose::Access { identity: ana.identity.clone(), login: None };
        scene.same("its purpose", &purpose, &active.minted.purpose)?;
        scene.same("its strength", &bought, &active.strength)?;
        scene.same(
            "its absolute limit",
            &scene.instant(S).after(ACCESS),
            &active.minted.expires_at,
        )?;
        scene.same("its idle limit", &scene.instant(S).after(IDLE), &active.idle_until)?;
        let seen = scene.granted(touch(&grant), scene.at(S)).await?;
        scene.same("the grant as it was bought", &grant, &seen)?;
    }
    Ok(())
}

pub(super) async fn one_of_many_attempts_wins(scene: &Scene<'_>) -> Outcome {
    for on_replay in [OnReplay::Refuse, OnReplay::Revoke].repeat(8) {
        let ana = scene.person()?;
        let token = ana.gets(Strength::Standard, 0).await?;
        let attempts: Vec<_> = (0..8)
            .map(|_| (Op::from(Redeem { on_replay, ..token.by(scene.attempt()) }), scene.at(S)))
            .collect();
        let answers = scene.ask_at_once(&attempts).await?;
        let won = one_winner(scene, &answers)?;
        let seen = answers.iter().filter(|answer| **answer == Answer::Replayed { revoked: true });
        let revoked = seen.count();
        let forgiven =
            answers.iter().filter(|answer| **answer == Answer::Replayed { revoked: false });
        if on_replay == OnReplay::Refuse {
            scene.same("replays that revoked nothing", &7, &forgiven.count())?;
            scene.granted(touch(&won), scene.at(S)).await?;
        } else {
            scene.same("replays that revoked", &1, &revoked)?;
            let late = answers.iter().filter(|seen| **seen == Answer::Refused(Refusal::Revoked));
            scene.same("attempts after that", &6, &late.count())?;
            scene.refused(touch(&won), scene.at(S), Refusal::Revoked).await?;
        }
    }
    Ok(())
}

pub(super) async fn the_same_attempt_at_once_gets_one_grant(scene: &Scene<'_>) -> Outcome {
    for _ in 0..8 {
        let ana = scene.person()?;
        let token = ana.gets(Strength::Standard, 0).await?;
        // One of them may be a little later than another: the grant must not be.
        let same: Vec<_> =
            (0..8).map(|i| (Op::from(&token.redeem), scene.at(S + 100 * i))).collect();
        let answers = scene.ask_at_once(&same).await?;
        let bought = one_winner(scene, &answers)?;
        for answer in &answers {
            scene.same("the one grant", &Some(&bought), &answer.grant())?;
        }
        scene.granted(touch(&bought), scene.at(2 * S)).await?;
    }
    Ok(())
}

pub(super) async fn the_same_attempt_gets_the_same_answer_within_the_window(
    scene: &Scene<'_>,
) -> Outcome {
    let ana = scene.person()?;
    let token = ana.gets(Strength::Standard, 0).await?;
    let bought = scene.granted(&token.redeem, scene.at(S)).await?;
    scene.repeated(&token.redeem, scene.at(S), &bought).await?;
    scene.repeated(&token.redeem, scene.at(31 * S - 1), &bought).await?;
    scene.refused(&token.redeem, scene.at(31 * S), Refusal::Spent).await?;
    scene.refused(&token.redeem, scene.at(59 * S), Refusal::Spent).await?;
    let seen = scene.granted(read(&bought), scene.at(59 * S)).await?;
    scene.same("the grant as it was bought", &bought, &seen)?;

    // What has ended within the window is not bought again.
    let brief = Lifetime::from_secs(10);
    for (idle, absolute, refusal) in
        [(brief, ACCESS, Refusal::Idle), (brief, brief, Refusal::Expired)]
    {
        let mut token = ana.gets(Strength::Standard, 0).await?;
        token.redeem.mint.idle = idle;
        token.redeem.mint.absolute = absolute;
        let bought = scene.granted(&token.redeem, scene.at(0)).await?;
        scene.repeated(&token.redeem, scene.at(10 * S - 1), &bought).await?;
        scene.refused(&token.redeem, scene.at(10 * S), refusal).await?;
    }
    Ok(())
}

pub(super) async fn a_replay_revokes_what_was_bought(scene: &Scene<'_>) -> Outcome {
    let ana = scene.person()?;
    // Soon after, when the one-time token would have expired, and when what it bought is idle.
    for later in [S, 2 * MIN, 10 * MIN] {
        let token = ana.gets(Strength::Standard, 0).await?;
        let bought = scene.granted(&token.redeem, scene.at(S)).await?;
        let thief = token.by(scene.attempt());
        let replayed = Answer::Replayed { revoked: true };
        scene.answered(thief, scene.at(S + later), replayed).await?;
        scene.refused(touch(&bought), scene.at(S + later), Refusal::Revoked).await?;
        scene.refused(token.read(), scene.at(S + later), Refusal::Revoked).await?;
        scene.refused(&token.redeem, scene.at(S + later), Refusal::Revoked).await?;
        let again = token.by(scene.attempt());
        scene.refused(again, scene.at(S + later), Refusal::Revoked).await?;
    }
    Ok(())
}

pub(super) async fn a_forgiven_replay_changes_nothing(scene: &Scene<'_>) -> Outcome {
    let ana = scene.person()?;
    let token = ana.gets(Strength::Standard, 0).await?;
    let bought = scene.granted(&token.redeem, scene.at(S)).await?;
    let thief = Redeem { on_replay: OnReplay::Refuse, ..token.by(scene.attempt()) };
    scene.answered(thief, scene.at(2 * S), Answer::Replayed { revoked: false }).await?;
    let seen = scene.granted(read(&bought), scene.at(2 * S)).await?;
    scene.same("the grant as it was bought", &bought, &seen)?;
    scene.repeated(&token.redeem, scene.at(3 * S), &bought).await
}

pub(super) async fn a_one_time_token_expires_on_time(scene: &Scene<'_>) -> Outcome {
    let ana = scene.person()?;
    let token = ana.gets(Strength::Standard, 0).await?;
    scene.granted(token.read(), scene.at(MIN - 1)).await?;
    scene.expired(token.read(), scene.at(MIN)).await?;
    scene.expired(&token.redeem, scene.at(MIN)).await?;
    scene.expired(&token.redeem, scene.at(24 * 60 * MIN)).await?;
    let token = ana.gets(Strength::Standard, 0).await?;
    scene.granted(&token.redeem, scene.at(MIN - 1)).await.map(|_| ())
}

pub(super) async fn a_refused_redemption_burns_nothing(scene: &Scene<'_>) -> Outcome {
    let ana = scene.person()?;
    let other = scene.person()?;
    let token = ana.gets(Strength::Standard, 0).await?;
    let mut kind = ana.identity.clone();
    kind.kind = IdentityType::Consumer;
    let right = || token.by(scene.attempt());
    for (wrong, refusal) in [
        (Redeem { secret: scene.secret(), ..right() }, Refusal::Secret),
        (Redeem { tenant: other.tenant.clone(), ..right() }, Refusal::Tenant),
        (Redeem { client: other.client.clone(), ..right() }, Refusal::Client),
        (Redeem { identity: other.identity.clone(), ..right() }, Refusal::Identity),
        (Redeem { identity: kind, ..right() }, Refusal::Identity),
    ] {
        scene.refused(&wrong, scene.at(S), refusal).await?;
        // Nor is the attempt of use afterwards.
        scene.refused(&wrong, scene.at(S), refusal).await?;
    }
    let bought = scene.granted(&token.redeem, scene.at(2 * S)).await?;

    let spent = token.by(scene.attempt());
    for (wrong, refusal) in [
        (Redeem { secret: scene.secret(), ..spent.clone() }, Refusal::Secret),
        (Redeem { tenant: other.tenant, ..spent.clone() }, Refusal::Tenant),
        (Redeem { client: other.client, ..spent.clone() }, Refusal::Client),
        (Redeem { identity: other.identity, ..spent }, Refusal::Identity),
    ] {
        scene.refused(&wrong, scene.at(3 * S), refusal).await?;
    }
    scene.granted(touch(&bought), scene.at(4 * S)).await.map(|_| ())
}

pub(super) async fn any_identity_must_be_resolved(scene: &Scene<'_>) -> Outcome {
    let ana = scene.person()?;
    let token = ana.one_time(None, Strength::Standard);
    scene.granted(&token.issue, scene.at(0)).await?;
    let unresolved = Redeem { resolved: false, ..token.redeem.clone() };
    scene.refused(&unresolved, scene.at(S), Refusal::Unresolved).await?;
    let identity = scene.identity()?;
    let redeem = Redeem { identity: identity.clone(), ..token.redeem.clone() };
    let bought = scene.granted(&redeem, scene.at(S)).await?;
    let purpose = Purpose::Access { identity, login: None };
    scene.same("its purpose", &purpose, &scene.active(&bought)?.minted.purpose)?;
    scene.refused(&token.redeem, scene.at(S), Refusal::Identity).await?;

    // A token for one identity does not ask.
    let token = ana.gets(Strength::Standard, 0).await?;
    let unresolved = Redeem { resolved: false, ..token.redeem };
    let bought = scene.granted(unresolved, scene.at(S)).await?;
    let strength = scene.active(&bought)?.strength;
    scene.same("its status", &Status::Standard, &strength.status(scene.instant(S)))
}

pub(super) async fn redeeming_refuses_in_order(scene: &Scene<'_>) -> Outcome {
    // A revoked grant no longer says for whom it was.
    let silent = (Flaw::Token(Refusal::Identity), Flaw::Token(Refusal::Revoked));
    for pair in pairs(TOKEN).filter(|pair| *pair != silent) {
        let ana = scene.person()?;
        let mut flawed = Flawed::child(&ana).await?;
        flawed.suffers(pair).await?;
        flawed.answers(&flawed.token.redeem, pair.0.refused()).await?;
    }
    Ok(())
}
