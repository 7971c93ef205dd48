//! ∅ → Issued, ∅ → Active.

use std::sync::Arc;

use super::{
    Violation,
    model::{Answer, Op},
    scene::{
        ACCESS, HOUR, IDLE, LOGIN, MIN, ONE_TIME, OneTime, Outcome, Person, S, Scene, read, revoke,
        touch,
    },
};
use crate::{
    grant::{
        Active, First, Grant, HEAD_STEP, Issue, Issued, Minted, Purpose, Refusal, State, Strength,
        Terms,
    },
    instant::{Lifetime, Timestamp},
    keys::Algorithm,
    model::{
        Audience, ClientId, Credential, CredentialId, CredentialType, HostClaims, Identity,
        IdentityId, IdentityType, Issuer, Scope, Tenant,
    },
};

pub(super) async fn a_record_comes_back_whole(scene: &Scene<'_>) -> Outcome {
    for (plain, credential, identity, algorithm) in [
        (false, CredentialType::ApiClient, IdentityType::Corporate, Algorithm::Ed25519),
        (true, CredentialType::User, IdentityType::Consumer, Algorithm::EdDsa),
    ] {
        let mut ana = scene.person()?;
        ana.credential.kind = credential;
        ana.identity.kind = identity;
        ana.key.algorithm = algorithm;
        let claims = if plain { None } else { Some(longest(scene, &mut ana)?) };
        let terms = Arc::new(Terms { claims, ..(*ana.terms()).clone() });
        every_state_of(scene, &ana, &terms).await?;
    }
    Ok(())
}

/// The longest of everything.
fn longest(scene: &Scene<'_>, person: &mut Person<'_>) -> Result<HostClaims, Violation> {
    // Every character that a name may hold beside letters and digits.
    let odd = "!#$%&'()*+,-./:;<=>?@[]^_`{|}~";
    person.tenant = scene.valid(Tenant::new(&scene.name(odd, 64)))?;
    person.client = scene.valid(ClientId::new(&scene.name(odd, 64)))?;
    let id = scene.valid(CredentialId::new(&scene.name(odd, 64)))?;
    person.credential = Credential::new(person.credential.kind, id);
    let id = scene.valid(IdentityId::new(&scene.name(odd, 64)))?;
    person.identity = Identity::new(person.identity.kind, id);
    person.issuer = scene.valid(Issuer::new(&scene.name(odd, 255)))?;
    person.audience = scene.valid(Audience::new(&scene.name(odd, 255)))?;
    person.scope = Some(scene.valid(Scope::new(&format!("{odd} {}", scene.name("", 480))))?);
    let json = r#"{"n":null,"b":[true,-1.5e3],"s":"\u0000\"\\ü€😀","o":{"":"'--$1{}"},"x":""}"#;
    let room = HostClaims::MAX_BYTES - scene.valid(HostClaims::new(json))?.as_json().len();
    let json = json.replace(r#""x":"""#, &format!(r#""x":"{}""#, "x".repeat(room)));
    scene.valid(HostClaims::new(&json))
}

/// One grant of each kind, in each of its states, against records that are written out here.
async fn every_state_of(scene: &Scene<'_>, ana: &Person<'_>, terms: &Arc<Terms>) -> Outcome {
    let stepped_up = Strength::SteppedUp { until: Some(scene.instant(40 * MIN + 7)) };
    let login = Issue { terms: terms.clone(), ..ana.login(Strength::Standard) };
    let login = scene.granted(login, scene.at(1)).await?;
    let minted = scene.active(&login)?.minted.clone();
    scene.same(
        "the login",
        &Grant {
            id: login.id,
            terms: terms.clone(),
            secret: None,
            epoch: scene.at(0).epoch,
            generation: login.generation,
            issued_at: scene.instant(1),
            keep_until: scene.instant(1).after(LOGIN),
            state: State::Active(Active {
                minted: Arc::new(Minted {
                    attempt: minted.attempt,
                    at: scene.instant(1),
                    purpose: Purpose::Login,
                    strength: Strength::Standard,
                    expires_at: scene.instant(1).after(LOGIN),
                    scope: ana.scope.clone(),
                    key: ana.key,
                    issuer: ana.issuer.clone(),
                    audience: ana.audience.clone(),
                }),
                strength: Strength::Standard,
                idle_until: scene.instant(1).after(IDLE),
                seen_at: scene.instant(1),
            }),
        },
        &login,
    )?;
    scene.same("the login as read", &login, &scene.granted(read(&login), scene.at(2)).await?)?;

    let OneTime { issue, redeem } = ana.one_time(Some(ana.identity.clone()), stepped_up);
    let token = OneTime { issue: Issue { terms: terms.clone(), ..issue }, redeem };
    let issued = scene.granted(&token.issue, scene.at(3)).await?;
    let waiting = Grant {
        id: token.issue.id,
        terms: terms.clone(),
        secret: Some(token.redeem.secret),
        epoch: scene.at(0).epoch,
        generation: login.generation,
        issued_at: scene.instant(3),
        keep_until: scene.instant(3).after(ONE_TIME),
        state: State::Issued(Issued {
            identity: Some(ana.identity.clone()),
            strength: stepped_up,
            expires_at: scene.instant(3).after(ONE_TIME),
        }),
    };
    scene.same("the one-time token", &waiting, &issued)?;
    let seen = scene.granted(token.read(), scene.at(4)).await?;
    scene.same("the one-time token as read", &waiting, &seen)?;

    let opened = ana.opens(&login, 5).await?;
    let child = |minted: Minted, by: &Grant, at: i64, limit: Timestamp| Grant {
        keep_until: by.keep_until.max(limit),
        state: State::Active(Active {
            strength: minted.strength,
            idle_until: scene.instant(at).after(IDLE),
            seen_at: scene.instant(at),
            minted: Arc::new(minted),
        }),
        ..by.clone()
    };
    let of_login = Purpose::Access { identity: ana.identity.clone(), login: Some(login.id) };
    let limit = scene.instant(5).after(ACCESS);
    let expected = Minted {
        attempt: scene.active(&opened)?.minted.attempt,
        at: scene.instant(5),
        purpose: of_login,
        expires_at: limit,
        ..(*minted).clone()
    };
    let of_open =
        Grant { id: opened.id, issued_at: scene.instant(5), keep_until: limit, ..login.clone() };
    scene.same("the child", &child(expected.clone(), &of_open, 5, limit), &opened)?;
    scene.same("the child as read", &opened, &scene.granted(read(&opened), scene.at(6)).await?)?;

    let stepped = scene.granted(token.step_up(&opened), scene.at(7)).await?;
    let expected = Minted {
        attempt: token.redeem.attempt,
        at: scene.instant(7),
        strength: stepped_up,
        ..expected
    };
    scene.same("the stepped-up child", &child(expected, &waiting, 7, limit), &stepped)?;
    let seen = scene.granted(read(&stepped), scene.at(8)).await?;
    scene.same("the stepped-up child as read", &stepped, &seen)?;
    scene.refused(read(&opened), scene.at(8), Refusal::Superseded).await
}

pub(super) async fn the_same_issue_again_gives_the_same_grant(scene: &Scene<'_>) -> Outcome {
    let ana = scene.person()?;
    let token = ana.one_time(None, Strength::Standard);
    let issued = scene.granted(&token.issue, scene.at(0)).await?;
    scene.repeated(&token.issue, scene.at(MIN - 1), &issued).await?;

    let login = ana.login(Strength::Standard);
    let logged_in = scene.granted(&login, scene.at(0)).await?;
    scene.repeated(&login, scene.at(30 * S - 1), &logged_in).await?;
    scene.refused(&login, scene.at(30 * S), Refusal::Spent).await?;
    scene.granted(touch(&logged_in), scene.at(30 * S)).await?;

    let bob = scene.person()?;
    let login = bob.login(Strength::Standard);
    let answers = scene.ask_at_once(&vec![(Op::from(&login), scene.at(0)); 8]).await?;
    let logged_in = one_winner(scene, &answers)?;
    for answer in &answers {
        scene.same("the one login", &Some(&logged_in), &answer.grant())?;
    }
    Ok(())
}

pub(super) async fn a_taken_id_is_never_overwritten(scene: &Scene<'_>) -> Outcome {
    let ana = scene.person()?;
    let token = ana.gets(Strength::Standard, 0).await?;
    let before = scene.granted(token.read(), scene.at(0)).await?;
    let login = ana.login(Strength::Standard);
    let logged_in = scene.granted(&login, scene.at(0)).await?;

    let another = ana.one_time(Some(ana.identity.clone()), Strength::Standard).issue;
    let another = Issue { id: token.issue.id, ..another };
    scene.refused(another, scene.at(S), Refusal::Secret).await?;
    let a_token = Issue { id: token.issue.id, ..ana.login(Strength::Standard) };
    scene.refused(a_token, scene.at(S), Refusal::Spent).await?;
    let mut elsewhere = ana.clone();
    elsewhere.client = scene.person()?.client;
    let elsewhere = Issue { terms: elsewhere.terms(), ..token.issue.clone() };
    scene.refused(elsewhere, scene.at(S), Refusal::Client).await?;
    let seen = scene.granted(token.read(), scene.at(S)).await?;
    scene.same("the one-time token as before", &before, &seen)?;

    let another = Issue { id: login.id, ..ana.login(Strength::Standard) };
    scene.refused(another, scene.at(S), Refusal::Spent).await?;
    let seen = scene.granted(read(&logged_in), scene.at(S)).await?;
    scene.same("the login as before", &logged_in, &seen)?;

    let spent = scene.granted(&token.redeem, scene.at(S)).await?;
    scene.refused(&token.issue, scene.at(2 * S), Refusal::Spent).await?;
    scene.answered(revoke(&spent), scene.at(2 * S), Answer::Revoked).await?;
    scene.refused(&token.issue, scene.at(2 * S), Refusal::Revoked).await?;
    scene.answered(revoke(&logged_in), scene.at(2 * S), Answer::Revoked).await?;
    scene.refused(&login, scene.at(2 * S), Refusal::Revoked).await
}

pub(super) async fn a_token_has_the_scope_that_was_granted(scene: &Scene<'_>) -> Outcome {
    let mut ana = scene.person()?;
    let granted = Some(scene.valid(Scope::new("read write"))?);
    let narrowed = Some(scene.valid(Scope::new("read"))?);
    ana.scope.clone_from(&granted);
    for (asked, has) in [(None, &granted), (narrowed.clone(), &narrowed)] {
        let mut login = ana.login(Strength::Standard);
        if let First::Token { mint, .. } = &mut login.first {
            mint.scope.clone_from(&asked);
        }
        let login = scene.granted(login, scene.at(0)).await?;
        let mut open = ana.open(&login);
        open.mint.scope.clone_from(&asked);
        let child = scene.granted(open, scene.at(0)).await?;
        let mut token = ana.gets(Strength::SteppedUp { until: None }, 0).await?;
        token.redeem.mint.scope.clone_from(&asked);
        let stepped = scene.granted(token.step_up(&child), scene.at(0)).await?;
        let mut token = ana.gets(Strength::Standard, 0).await?;
        token.redeem.mint.scope.clone_from(&asked);
        let bought = scene.granted(&token.redeem, scene.at(0)).await?;
        for grant in [login, child, bought] {
            scene.same("its scope", has, &scene.active(&grant)?.minted.scope)?;
            scene.same("the scope of its terms", &granted, &grant.terms.scope)?;
        }
        scene.same("its scope", has, &scene.active(&stepped)?.minted.scope)?;
        scene.same("the scope of its terms, the Bearer's", has, &stepped.terms.scope)?;
    }
    Ok(())
}

pub(super) async fn a_step_up_keeps_the_scope_and_claims_of_the_bearer(
    scene: &Scene<'_>,
) -> Outcome {
    let scope = Some(scene.valid(Scope::new("read"))?);
    let wider = Some(scene.valid(Scope::new("read write"))?);
    let claims = Some(scene.valid(HostClaims::new(r#"{"branch":7}"#))?);
    let other = Some(scene.valid(HostClaims::new(r#"{"proof":1}"#))?);
    for (bearer, evidence, kept) in [
        ((&scope, &claims), (&wider, &other), (&scope, &claims)),
        ((&scope, &claims), (&None, &None), (&scope, &claims)),
        ((&None, &None), (&wider, &other), (&wider, &other)),
    ] {
        let mut ana = scene.person()?;
        (ana.scope, ana.claims) = (bearer.0.clone(), bearer.1.clone());
        let login = scene.granted(ana.login(Strength::Standard), scene.at(0)).await?;
        let child = scene.granted(ana.open(&login), scene.at(0)).await?;
        (ana.scope, ana.claims) = (evidence.0.clone(), evidence.1.clone());
        let mut token = ana.gets(Strength::SteppedUp { until: None }, 0).await?;
        token.redeem.mint.scope = None;
        let stepped = scene.granted(token.step_up(&child), scene.at(0)).await?;
        scene.same("its scope", kept.0, &scene.active(&stepped)?.minted.scope)?;
        scene.same("the scope of its terms", kept.0, &stepped.terms.scope)?;
        scene.same("its claims", kept.1, &stepped.terms.claims)?;
        let seen = scene.granted(read(&stepped), scene.at(0)).await?;
        scene.same("the grant as read", &stepped, &seen)?;
    }
    Ok(())
}

pub(super) async fn what_was_judged_before_revoking_all_is_not_issued_after(
    scene: &Scene<'_>,
) -> Outcome {
    let ana = scene.person()?;
    scene.granted(ana.login(Strength::Standard), scene.at(0)).await?;
    scene.ask(ana.revoke_all(Timestamp::MAX), scene.at(2)).await?;
    let late = ana.login(Strength::Standard);
    scene.refused(&late, scene.at(1), Refusal::Head).await?;
    scene.granted(late, scene.at(2)).await?;
    Ok(())
}

pub(super) async fn one_of_many_assertions_wins(scene: &Scene<'_>) -> Outcome {
    for _ in 0..8 {
        let ana = scene.person()?;
        let assertion = ana.assertion(scene.instant(5 * MIN));
        let presented: Vec<_> = (0..8)
            .map(|_| {
                let again = ana.assertion(scene.instant(5 * MIN));
                (Op::from(Issue { id: assertion.id, ..again }), scene.at(0))
            })
            .collect();
        let answers = scene.ask_at_once(&presented).await?;
        let won = one_winner(scene, &answers)?;
        let refused = answers.iter().filter(|seen| **seen == Answer::Refused(Refusal::Spent));
        scene.same("refused as spent", &7, &refused.count())?;
        scene.granted(touch(&won), scene.at(1)).await?;
    }
    Ok(())
}

pub(super) async fn an_assertion_that_has_ended_buys_nothing(scene: &Scene<'_>) -> Outcome {
    let ana = scene.person()?;
    let mut assertion = ana.assertion(scene.instant(5 * MIN));
    if let First::Token { not_after, .. } = &mut assertion.first {
        *not_after = scene.instant(MIN);
    }
    scene.refused(&assertion, scene.at(MIN), Refusal::Expired).await?;
    // That kept nothing.
    let bought = scene.granted(&assertion, scene.at(MIN - 1)).await?;
    scene.repeated(&assertion, scene.at(MIN + 29 * S), &bought).await?;
    let again = Issue { id: assertion.id, ..ana.assertion(scene.instant(5 * MIN)) };
    scene.refused(again, scene.at(MIN), Refusal::Spent).await
}

pub(super) async fn a_spent_assertion_is_known_beyond_its_grant(scene: &Scene<'_>) -> Outcome {
    let ana = scene.person()?;
    let assertion = ana.assertion(scene.instant(5 * HOUR));
    let bought = scene.granted(&assertion, scene.at(0)).await?;
    scene.same("kept until", &scene.instant(5 * HOUR), &bought.keep_until)?;
    let again = Issue { id: assertion.id, ..ana.assertion(scene.instant(5 * HOUR)) };
    scene.refused(again, scene.at(5 * HOUR - 1), Refusal::Spent).await?;
    scene.refused(touch(&bought), scene.at(5 * HOUR - 1), Refusal::Expired).await
}

pub(super) async fn a_head_covers_its_grants(scene: &Scene<'_>) -> Outcome {
    let ana = scene.person()?;
    let brief = scene.granted(ana.login(Strength::Standard), scene.at(0)).await?;
    let absolute = Lifetime::from_hours(300 * 24);
    let mut mint = ana.mint(absolute);
    mint.idle = absolute;
    let first = First::Token {
        attempt: scene.attempt(),
        purpose: Purpose::Login,
        strength: Strength::Standard,
        mint,
        not_after: Timestamp::MAX,
        keep_until: Timestamp::MIN,
    };
    let long = Issue { covers: absolute, ..ana.issue(first) };
    let long = scene.granted(long, scene.at(1)).await?;
    scene.same("one head", &brief.generation, &long.generation)?;
    let limit = scene.active(&long)?.minted.expires_at;
    scene.same("the end of the long one", &scene.instant(1).after(absolute), &limit)?;
    scene.granted(touch(&long), scene.at(300 * 24 * HOUR)).await?;

    // Whoever asks for a longer life than the head covers does not get it.
    let bob = scene.person()?;
    let mut beyond = bob.login(Strength::Standard);
    beyond.covers = Lifetime::ZERO;
    if let First::Token { mint, .. } = &mut beyond.first {
        mint.absolute = Lifetime::MAX;
    }
    let beyond = scene.granted(beyond, scene.at(0)).await?;
    let limit = scene.active(&beyond)?.minted.expires_at;
    let end = scene.instant(0).after(HEAD_STEP);
    scene.same("its end, with its head", &end, &limit)?;
    let mut beyond = bob.gets(Strength::Standard, 0).await?.redeem;
    beyond.mint.absolute = Lifetime::MAX;
    let bought = scene.granted(&beyond, scene.at(0)).await?;
    scene.same("the end of what is bought", &end, &scene.active(&bought)?.minted.expires_at)
}

/// The one answer that granted something new.
pub(super) fn one_winner(scene: &Scene<'_>, answers: &[Answer]) -> Result<Grant, Violation> {
    let mut won = answers.iter().filter_map(|answer| match answer {
        Answer::Granted { grant, retried: false } => Some(grant),
        _ => None,
    });
    match (won.next(), won.next()) {
        (Some(grant), None) => Ok((**grant).clone()),
        (first, second) => {
            let won = usize::from(first.is_some()) + usize::from(second.is_some()) + won.count();
            Err(scene.violation("one of them to be granted anew", format_args!("{won} were")))
        }
    }
}
