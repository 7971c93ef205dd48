//! What a token is good for while it lives: the live check, step-up in place, introspection, and
//! listing identities.

use crate::{
    audit::Trail,
    claims::{Claims, TokenType},
    error::{Denied, Error, Internal, Unauthenticated},
    exchange::unauthenticated,
    grant::{Bearer, Context, Elevate, Grant, Purpose, Read, Refusal, State, Touch, Verdict},
    host::{Listing, Page},
    live::{Introspection, Live, LiveBearer, LiveLogin, TokenKind},
    model::{Client, Status},
    one_time::OneTimeToken,
    secret::SecretText,
    verifier::Requirement,
};

use super::{Core, IdentityPage};

impl Core {
    pub(super) async fn authenticate<S: Requirement>(
        &self,
        client: &Client,
        bearer: &SecretText,
        trail: &mut Trail<'_>,
    ) -> Result<Live<S>, Error> {
        let (_, claims, status) = self.live(client, bearer, Some(TokenType::Access), trail).await?;
        if !S::is_met_by(status) {
            return Err(Error::StepUpRequired);
        }
        access(claims, status)
    }

    pub(super) async fn authenticate_login(
        &self,
        client: &Client,
        bearer: &SecretText,
        trail: &mut Trail<'_>,
    ) -> Result<LiveLogin, Error> {
        let (_, claims, status) = self.live(client, bearer, Some(TokenType::Auth), trail).await?;
        Ok(LiveLogin::new(claims, status))
    }

    pub(super) async fn authenticate_any(
        &self,
        client: &Client,
        bearer: &SecretText,
        trail: &mut Trail<'_>,
    ) -> Result<LiveBearer, Error> {
        Ok(match self.live(client, bearer, None, trail).await? {
            (TokenType::Auth, claims, status) => LiveBearer::Login(LiveLogin::new(claims, status)),
            (TokenType::Access, claims, status) => LiveBearer::Access(access(claims, status)?),
        })
    }

    pub(super) async fn elevate(
        &self,
        client: &Client,
        bearer: &SecretText,
        trail: &mut Trail<'_>,
    ) -> Result<(), Error> {
        let cx = self.context().await?;
        let (_, claims) = self.known(client, bearer, &cx, trail).await?;
        let event = Elevate { bearer: Bearer::of(&claims), until: self.stepped_up_until(&cx) };
        match self.calls.store(self.calls.parts.store.elevate(&event, &cx)).await? {
            Verdict::Granted { .. } => {
                trail.status = Some(Status::SteppedUp);
                Ok(())
            }
            Verdict::Refused(refusal) => Err(unauthenticated(refusal)),
        }
    }

    pub(super) async fn identities(
        &self,
        client: &Client,
        bearer: &SecretText,
        page: Page,
        trail: &mut Trail<'_>,
    ) -> Result<IdentityPage, Error> {
        let login = self.authenticate_login(client, bearer, trail).await?;
        let resolver = &self.calls.parts.identities;
        let listing = resolver.identities(&client.tenant, login.credential(), page);
        match self.calls.identities(listing).await? {
            Listing::Identities { identities, count } => Ok(IdentityPage { identities, count }),
            Listing::Locked { until } => Err(Error::Locked { until }),
            Listing::Disabled => Err(Denied::Disabled.into()),
        }
    }

    pub(super) async fn introspect(
        &self,
        client: &Client,
        token: &SecretText,
        trail: &mut Trail<'_>,
    ) -> Result<Option<Introspection>, Error> {
        let cx = self.context().await?;
        let read = match token.expose().parse::<OneTimeToken>() {
            Ok(token) => Read::OneTime {
                id: token.id(),
                secret: token.secret_digest(),
                tenant: client.tenant.clone(),
                client: client.id.clone(),
            },
            Err(_) => match self.known(client, token, &cx, trail).await {
                Ok((_, claims)) => Read::Bearer(Bearer::of(&claims)),
                Err(Error::Unauthenticated(_)) => return Ok(None),
                Err(error) => return Err(error),
            },
        };
        match self.calls.ask(self.calls.parts.store.read(&read, &cx)).await? {
            Verdict::Granted { grant, .. } => {
                let introspection = introspection(&grant, &read, &cx);
                if let Some(active) = &introspection {
                    trail.grant = Some(active.grant);
                    trail.credential = Some(active.credential.clone());
                    trail.identity.clone_from(&active.identity);
                    trail.status = Some(active.status);
                }
                Ok(introspection)
            }
            Verdict::Refused(Refusal::Clock) => Err(unauthenticated(Refusal::Clock)),
            Verdict::Refused(_) => Ok(None),
        }
    }

    /// The live check, of a token of the wanted type: another is refused before the store is asked,
    /// so that it does not count as used.
    async fn live(
        &self,
        client: &Client,
        bearer: &SecretText,
        wanted: Option<TokenType>,
        trail: &mut Trail<'_>,
    ) -> Result<(TokenType, Claims, Status), Error> {
        let cx = self.context().await?;
        let (token_type, claims) = self.known(client, bearer, &cx, trail).await?;
        if wanted.is_some_and(|wanted| wanted != token_type) {
            return Err(Unauthenticated::WrongType(token_type).into());
        }
        let event = Touch { bearer: Bearer::of(&claims), slide: self.slide(token_type) };
        match self.calls.store(self.calls.parts.store.touch(&event, &cx)).await? {
            Verdict::Granted { grant: Grant { state: State::Active(active), .. }, .. } => {
                let status = active.strength.status(cx.now);
                trail.status = Some(status);
                Ok((token_type, claims, status))
            }
            Verdict::Granted { .. } => Err(Error::Internal(Internal::Store)),
            Verdict::Refused(refusal) => Err(unauthenticated(refusal)),
        }
    }

    /// A Bearer by its signature and claims, noted in the trail.
    pub(super) async fn known(
        &self,
        client: &Client,
        bearer: &SecretText,
        cx: &Context,
        trail: &mut Trail<'_>,
    ) -> Result<(TokenType, Claims), Error> {
        let (token_type, claims) = self.bearer(client, bearer, cx).await?;
        trail.grant = Some(claims.id);
        trail.credential = Some(claims.credential.clone());
        trail.identity.clone_from(&claims.identity);
        Ok((token_type, claims))
    }
}

/// An access token whose grant is live. Every one names an identity: the reader has refused those
/// that do not.
fn access<S>(claims: Claims, status: Status) -> Result<Live<S>, Error> {
    let identity = claims.identity.clone().ok_or(Error::Internal(Internal::Store))?;
    Ok(Live::new(claims, identity, status))
}

/// What the grant says; nothing where a one-time token has been spent, for it is no longer active.
fn introspection(grant: &Grant, read: &Read, cx: &Context) -> Option<Introspection> {
    let (kind, login, identity, strength, scope, expires_at, idle_until) =
        match (&grant.state, read) {
            (State::Issued(issued), Read::OneTime { .. }) => (
                TokenKind::OneTime,
                None,
                issued.identity.clone(),
                issued.strength,
                grant.terms.scope.clone(),
                issued.expires_at,
                None,
            ),
            (State::Active(active), Read::Bearer(_)) => {
                let (kind, identity, login) = match &active.minted.purpose {
                    Purpose::Login => (TokenKind::Auth, None, None),
                    Purpose::Access { identity, login } => {
                        (TokenKind::Access, Some(identity.clone()), *login)
                    }
                };
                (
                    kind,
                    login,
                    identity,
                    active.strength,
                    active.minted.scope.clone(),
                    active.minted.expires_at,
                    Some(active.idle_until),
                )
            }
            _ => return None,
        };
    Some(Introspection {
        kind,
        grant: grant.id,
        login,
        tenant: grant.terms.tenant.clone(),
        client: grant.terms.client.clone(),
        credential: grant.terms.credential.clone(),
        identity,
        status: strength.status(cx.now),
        scope,
        claims: grant.terms.claims.clone(),
        issued_at: grant.issued_at.into(),
        expires_at: expires_at.into(),
        idle_until: idle_until.map(Into::into),
    })
}
