//! What the host vouches for: logins and one-time tokens.

use std::sync::Arc;

use crate::{
    audit::Trail,
    claims::{Claims, TokenType},
    error::{Error, Internal},
    exchange::denied,
    grant::{Context, First, Grant, Issue, Purpose, State, Strength, Terms, Verdict},
    id::{Attempt, Generation, GrantId, Locator},
    instant::Timestamp,
    model::{Client, Status},
    one_time::OneTimeToken,
};

use super::{Core, IssueOneTime, IssuedOneTime, LogIn, LoggedIn};

impl Core {
    pub(super) async fn log_in(
        &self,
        client: &Client,
        login: LogIn,
        trail: &mut Trail<'_>,
    ) -> Result<LoggedIn, Error> {
        trail.credential = Some(login.credential.clone());
        trail.status = Some(login.status);
        let cx = self.context().await?;
        let lifetime = self.calls.parts.policy.login;
        let key = self.signing_key(&cx).await?;
        let id = GrantId::random(Locator::of(&client.tenant, &login.credential))?;
        let issue = Issue {
            id,
            terms: Arc::new(Terms {
                tenant: client.tenant.clone(),
                client: client.id.clone(),
                credential: login.credential,
                auth_time: cx.now,
                scope: login.scope,
                claims: login.claims,
            }),
            generation: Generation::random()?,
            covers: lifetime.absolute,
            first: First::Token {
                attempt: Attempt::unrepeatable()?,
                purpose: Purpose::Login,
                strength: self.strength(login.status, &cx),
                mint: self.minting(client, lifetime, &key)?,
                not_after: Timestamp::MAX,
                keep_until: cx.now,
            },
        };
        trail.grant = Some(id);
        let grant = self.issue(&issue, &cx).await?;
        let State::Active(active) = &grant.state else {
            return Err(Error::Internal(Internal::Store));
        };
        let claims = Claims::of(&grant, &active.minted);
        Ok(LoggedIn {
            token: self.sign(TokenType::Auth, &claims, &key).await?,
            status: claims.status,
            grant: grant.id,
            expires_at: claims.expires_at.into(),
        })
    }

    pub(super) async fn issue_one_time(
        &self,
        client: &Client,
        wanted: IssueOneTime,
        trail: &mut Trail<'_>,
    ) -> Result<IssuedOneTime, Error> {
        trail.credential = Some(wanted.credential.clone());
        trail.identity.clone_from(&wanted.identity);
        trail.status = Some(wanted.status);
        let cx = self.context().await?;
        let policy = &self.calls.parts.policy;
        self.realm(&client.tenant)?;
        if let Some(identity) = &wanted.identity {
            self.resolve(&client.tenant, &wanted.credential, identity).await?;
        }
        let token = OneTimeToken::random(Locator::of(&client.tenant, &wanted.credential))?;
        let lifetime = wanted.lifetime.unwrap_or(policy.one_time);
        let issue = Issue {
            id: token.id(),
            terms: Arc::new(Terms {
                tenant: client.tenant.clone(),
                client: client.id.clone(),
                credential: wanted.credential,
                auth_time: cx.now,
                scope: wanted.scope,
                claims: wanted.claims,
            }),
            generation: Generation::random()?,
            // A step-up puts it under a login, and ends it with that at the latest.
            covers: lifetime.plus(policy.access.absolute.max(policy.login.absolute)),
            first: First::OneTime {
                secret: token.secret_digest(),
                identity: wanted.identity,
                strength: self.strength(wanted.status, &cx),
                lifetime,
            },
        };
        trail.grant = Some(token.id());
        let grant = self.issue(&issue, &cx).await?;
        match grant.state {
            State::Issued(issued) => {
                Ok(IssuedOneTime { token, expires_at: issued.expires_at.into() })
            }
            _ => Err(Error::Internal(Internal::Store)),
        }
    }

    async fn issue(&self, issue: &Issue, cx: &Context) -> Result<Grant, Error> {
        match self.calls.store(self.calls.parts.store.issue(issue, cx)).await? {
            Verdict::Granted { grant, .. } => Ok(grant),
            Verdict::Refused(refusal) => Err(denied(refusal)),
        }
    }

    /// The strength of what was authenticated now.
    fn strength(&self, status: Status, cx: &Context) -> Strength {
        match status {
            Status::Standard => Strength::Standard,
            Status::SteppedUp => Strength::SteppedUp { until: self.stepped_up_until(cx) },
        }
    }

    /// Until when a step-up that was passed now lasts.
    pub(super) fn stepped_up_until(&self, cx: &Context) -> Option<Timestamp> {
        self.calls.parts.policy.stepped_up_for.map(|length| cx.now.after(length))
    }
}
