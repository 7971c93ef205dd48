//! any → Revoked: one grant, or all of a credential.

use super::{
    Violation,
    model::{Answer, Op},
    scene::{MIN, OneTime, Outcome, Person, S, Scene, elevate, read, revoke, touch},
};
use crate::{
    grant::{Grant, Issue, OnReplay, Redeem, Refusal, Revoke, Strength},
    instant::Lifetime,
    model::CredentialType,
};

const EVIDENCE: Strength = Strength::SteppedUp { until: None };

pub(super) async fn a_revoked_grant_stays_revoked(scene: &Scene<'_>) -> Outcome {
    let ana = scene.person()?;
    let token = ana.gets(Strength::Standard, 0).await?;
    scene.answered(by_secret(&token), scene.at(S), Answer::Revoked).await?;
    scene.answered(by_secret(&token), scene.at(2 * S), Answer::AlreadyRevoked).await?;
    scene.refused(&token.redeem, scene.at(2 * S), Refusal::Revoked).await?;
    scene.refused(token.read(), scene.at(2 * S), Refusal::Revoked).await?;
    scene.refused(&token.issue, scene.at(2 * S), Refusal::Revoked).await?;

    let login = ana.logs_in(0).await?;
    let bought = ana.gets(Strength::Standard, 0).await?;
    let grant = scene.granted(&bought.redeem, scene.at(0)).await?;
    for dead in [&grant, &login] {
        scene.answered(revoke(dead), scene.at(S), Answer::Revoked).await?;
        scene.answered(revoke(dead), scene.at(2 * S), Answer::AlreadyRevoked).await?;
        scene.refused(touch(dead), scene.at(2 * S), Refusal::Revoked).await?;
        scene.refused(read(dead), scene.at(2 * S), Refusal::Revoked).await?;
        scene.refused(elevate(dead, None), scene.at(2 * S), Refusal::Revoked).await?;
    }
    scene.refused(&bought.redeem, scene.at(2 * S), Refusal::Revoked).await?;
    scene.bearer_refused(ana.open(&login), scene.at(2 * S), Refusal::Revoked).await?;

    // At once, one of them ends it.
    let grant = ana.buys(0).await?;
    let answers = scene.ask_at_once(&vec![(Op::from(revoke(&grant)), scene.at(S)); 6]).await?;
    let first = answers.iter().filter(|answer| **answer == Answer::Revoked).count();
    let later = answers.iter().filter(|answer| **answer == Answer::AlreadyRevoked).count();
    scene.same("one that ended it, and five after", &(1, 5), &(first, later))
}

pub(super) async fn only_its_owner_revokes_a_grant(scene: &Scene<'_>) -> Outcome {
    let (ana, other) = (scene.person()?, scene.person()?);
    let token = ana.gets(Strength::Standard, 0).await?;
    let login = ana.logs_in(0).await?;
    for right in [revoke(&login), by_secret(&token)] {
        for (wrong, refusal) in [
            (Revoke { id: ana.fresh_id(), ..right.clone() }, Refusal::Unknown),
            (Revoke { secret: Some(scene.secret()), ..right.clone() }, Refusal::Secret),
            (Revoke { tenant: other.tenant.clone(), ..right.clone() }, Refusal::Tenant),
            (
                Revoke { tenant: other.tenant.clone(), client: None, ..right.clone() },
                Refusal::Tenant,
            ),
            (Revoke { client: Some(other.client.clone()), ..right.clone() }, Refusal::Client),
        ] {
            scene.refused(wrong, scene.at(S), refusal).await?;
        }
    }
    scene.granted(touch(&login), scene.at(S)).await?;
    scene.granted(&token.redeem, scene.at(S)).await?;
    let host = Revoke { client: None, ..revoke(&login) };
    scene.answered(host, scene.at(S), Answer::Revoked).await
}

pub(super) async fn a_dead_grant_can_be_revoked(scene: &Scene<'_>) -> Outcome {
    let ana = scene.person()?;
    let idle = ana.buys(0).await?;
    scene.answered(revoke(&idle), scene.at(10 * MIN), Answer::Revoked).await?;

    let old = ana.buys(0).await?;
    let evidence = ana.gets(EVIDENCE, 0).await?;
    scene.granted(evidence.step_up(&old), scene.at(S)).await?;
    scene.answered(revoke(&old), scene.at(2 * S), Answer::Revoked).await?;
    scene.bearer_refused(evidence.step_up(&old), scene.at(2 * S), Refusal::Revoked).await?;

    // Neither a clock that fell behind nor an epoch or head that ended it is in the way.
    let mut cx = scene.at(-MIN);
    cx.epoch.0 = scene.instant(MIN);
    let login = ana.logs_in(0).await?;
    scene.ask(ana.revoke_all(scene.instant(S)), scene.at(S)).await?;
    scene.answered(revoke(&login), cx, Answer::Revoked).await?;
    scene.answered(revoke(&login), cx, Answer::AlreadyRevoked).await
}

pub(super) async fn a_revocation_is_not_lost(scene: &Scene<'_>) -> Outcome {
    for _ in 0..16 {
        let ana = scene.person()?;
        let token = ana.gets(Strength::Standard, 0).await?;
        let grant = ana.buys(0).await?;
        let evidence = ana.gets(EVIDENCE, 0).await?;
        let login = ana.logs_in(0).await?;
        let beside = [
            (Op::from(revoke(&grant)), scene.at(30 * S)),
            (Op::from(by_secret(&token)), scene.at(30 * S)),
            (Op::from(revoke(&login)), scene.at(30 * S)),
            (Op::from(touch(&grant)), scene.at(30 * S)),
            (Op::from(elevate(&grant, None)), scene.at(30 * S)),
            (Op::from(evidence.step_up(&grant)), scene.at(30 * S)),
            (Op::from(&token.redeem), scene.at(30 * S)),
            (Op::from(touch(&login)), scene.at(30 * S)),
            (Op::from(elevate(&login, None)), scene.at(30 * S)),
            (Op::from(ana.open(&login)), scene.at(30 * S)),
        ];
        let answers = scene.ask_at_once(&beside).await?;
        for answer in &answers[..3] {
            scene.same("the answer to a revocation", &Answer::Revoked, answer)?;
        }
        scene.refused(read(&grant), scene.at(30 * S), Refusal::Revoked).await?;
        scene.refused(token.read(), scene.at(30 * S), Refusal::Revoked).await?;
        scene.refused(read(&login), scene.at(30 * S), Refusal::Revoked).await?;
        // The evidence was spent with the step-up, or not at all.
        let seen = scene.ask(evidence.read(), scene.at(30 * S)).await?;
        match answers[5].grant() {
            Some(stepped) => {
                let grant = Box::new(stepped.clone());
                scene.same(
                    "the stepped-up grant",
                    &Answer::Granted { grant, retried: false },
                    &seen,
                )?;
            }
            None => scene.granted(&evidence.redeem, scene.at(30 * S)).await.map(|_| ())?,
        }
    }
    Ok(())
}

pub(super) async fn revoking_all_ends_every_grant(scene: &Scene<'_>) -> Outcome {
    // Up to now, and beyond.
    for up_to in [2 * S, 10 * MIN] {
        let ana = scene.person()?;
        let standing = Standing::of(&ana, 0).await?;
        // Issued by a clock that is ahead by less than the skew: it too is there.
        let ahead = ana.gets(Strength::Standard, 4 * S).await?;
        let all = ana.revoke_all(scene.instant(up_to));
        scene.answered(&all, scene.at(2 * S), Answer::RevokedAll).await?;
        standing.all_refused(scene, 3 * S).await?;
        scene.refused(&ahead.redeem, scene.at(3 * S), Refusal::Head).await?;

        // What is issued afterwards lives, at that very instant too, under the new generation.
        let fresh = ana.logs_in(2 * S).await?;
        scene.same("its generation", &all.generation, &fresh.generation)?;
        let child = ana.opens(&fresh, 3 * S).await?;
        scene.granted(touch(&child), scene.at(3 * S)).await?;
        let bought = ana.buys(3 * S).await?;
        scene.granted(touch(&bought), scene.at(3 * S)).await?;
        standing.all_refused(scene, 3 * S).await?;

        let again = ana.revoke_all(scene.instant(4 * S));
        scene.answered(again, scene.at(4 * S), Answer::RevokedAll).await?;
        scene.refused(touch(&fresh), scene.at(4 * S), Refusal::Head).await?;
        scene.refused(touch(&child), scene.at(4 * S), Refusal::Head).await?;
    }
    Ok(())
}

pub(super) async fn revoking_all_up_to_an_instant_spares_the_later(scene: &Scene<'_>) -> Outcome {
    let ana = scene.person()?;
    let before = Standing::of(&ana, 0).await?;
    let on_it = Standing::of(&ana, 10 * S).await?;
    let after = ana.logs_in(10 * S + 1).await?;
    let waiting = ana.gets(Strength::Standard, 10 * S + 1).await?;
    let earlier_child = ana.opens(&before.login, 20 * S).await?;
    let later_child = ana.opens(&after, 20 * S).await?;
    for up_to in [10 * S, 5 * S] {
        let all = ana.revoke_all(scene.instant(up_to));
        scene.answered(all, scene.at(30 * S), Answer::RevokedAll).await?;
        before.all_refused(scene, 30 * S).await?;
        on_it.all_refused(scene, 30 * S).await?;
        scene.refused(touch(&earlier_child), scene.at(30 * S), Refusal::Login).await?;
        scene.granted(touch(&after), scene.at(30 * S)).await?;
        scene.granted(touch(&later_child), scene.at(30 * S)).await?;
        scene.granted(waiting.read(), scene.at(30 * S)).await?;
    }
    let bought = scene.granted(&waiting.redeem, scene.at(30 * S)).await?;
    // What was bought later was still issued when its token was.
    let all = ana.revoke_all(scene.instant(29 * S));
    scene.answered(all, scene.at(31 * S), Answer::RevokedAll).await?;
    scene.refused(touch(&bought), scene.at(31 * S), Refusal::Head).await?;
    let fresh = ana.logs_in(31 * S).await?;
    scene.same("the generation as it was", &after.generation, &fresh.generation)
}

pub(super) async fn revoking_all_spares_everyone_else(scene: &Scene<'_>) -> Outcome {
    let ana = scene.person()?;
    let elsewhere = Person { tenant: scene.person()?.tenant, ..ana.clone() };
    let mut namesake = ana.clone();
    namesake.credential.kind = CredentialType::User;
    let mut spared = Vec::new();
    for person in [&elsewhere, &namesake, &scene.person()?] {
        spared.push(person.buys(0).await?);
    }
    let mine = ana.buys(0).await?;
    let all = ana.revoke_all(scene.instant(S));
    scene.answered(all, scene.at(S), Answer::RevokedAll).await?;
    scene.refused(touch(&mine), scene.at(S), Refusal::Head).await?;
    for grant in &spared {
        scene.granted(touch(grant), scene.at(S)).await?;
    }

    let nobody = scene.person()?;
    let all = nobody.revoke_all(scene.instant(S));
    scene.answered(all, scene.at(S), Answer::RevokedAll).await?;
    let grant = nobody.buys(S).await?;
    scene.granted(touch(&grant), scene.at(S)).await.map(|_| ())
}

pub(super) async fn nothing_slips_past_revoking_all(scene: &Scene<'_>) -> Outcome {
    for _ in 0..16 {
        let ana = scene.person()?;
        let standing = Standing::of(&ana, 0).await?;
        let all = ana.revoke_all(scene.instant(S));
        // One that needs no longer head, and one that has it written anew.
        let brief = ana.login(Strength::Standard);
        let long = Issue { covers: Lifetime::from_hours(99), ..ana.login(Strength::Standard) };
        let forgiving =
            Redeem { on_replay: OnReplay::Refuse, ..standing.token.by(scene.attempt()) };
        let beside = [
            (Op::from(&all), scene.at(S)),
            (Op::from(brief), scene.at(S)),
            (Op::from(long), scene.at(S)),
            (Op::from(ana.open(&standing.login)), scene.at(S)),
            (Op::from(forgiving), scene.at(S)),
            (Op::from(standing.evidence.step_up(&standing.child)), scene.at(S)),
            (Op::from(elevate(&standing.bought, None)), scene.at(S)),
        ];
        let answers = scene.ask_at_once(&beside).await?;
        scene.same("the revocation of all", &Answer::RevokedAll, &answers[0])?;
        // Issued before it, and ended; or after it, and alive under its generation.
        for grant in answers[1..].iter().filter_map(Answer::grant) {
            if grant.generation == all.generation {
                scene.granted(touch(grant), scene.at(S)).await?;
            } else {
                scene.refused(touch(grant), scene.at(S), Refusal::Head).await?;
            }
        }
        for grant in answers[3..].iter().filter_map(Answer::grant) {
            let before = &standing.login.generation;
            scene.same("the generation of what stood before", before, &grant.generation)?;
        }
        for grant in [&standing.login, &standing.child, &standing.bought] {
            scene.refused(touch(grant), scene.at(S), Refusal::Head).await?;
        }
        scene.refused(standing.token.read(), scene.at(S), Refusal::Head).await?;
        scene.refused(standing.evidence.read(), scene.at(S), Refusal::Head).await?;
    }
    Ok(())
}

/// One grant of each kind, all issued at one instant.
struct Standing {
    login: Grant,
    child: Grant,
    bought: Grant,
    token: OneTime,
    evidence: OneTime,
}

impl Standing {
    async fn of(ana: &Person<'_>, at: i64) -> Result<Self, Violation> {
        let login = ana.logs_in(at).await?;
        Ok(Self {
            child: ana.opens(&login, at).await?,
            login,
            bought: ana.buys(at).await?,
            token: ana.gets(Strength::Standard, at).await?,
            evidence: ana.gets(EVIDENCE, at).await?,
        })
    }

    async fn all_refused(&self, scene: &Scene<'_>, at: i64) -> Outcome {
        for grant in [&self.login, &self.child, &self.bought] {
            scene.refused(touch(grant), scene.at(at), Refusal::Head).await?;
            scene.refused(read(grant), scene.at(at), Refusal::Head).await?;
        }
        scene.refused(&self.token.redeem, scene.at(at), Refusal::Head).await?;
        let step_up = self.evidence.step_up(&self.child);
        scene.refused(step_up, scene.at(at), Refusal::Head).await
    }
}

/// By whoever holds the one-time token.
fn by_secret(token: &OneTime) -> Revoke {
    let Redeem { id, secret, tenant, client, .. } = token.redeem.clone();
    Revoke { id, tenant, client: Some(client), secret: Some(secret) }
}
