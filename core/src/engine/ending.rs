//! How grants end on purpose.

use time::OffsetDateTime;

use crate::{
    audit::Trail,
    error::{Error, Unavailable},
    exchange::unauthenticated,
    grant::{Bearer, Read, Refusal, Revocation, Revoke, RevokeAll, Verdict},
    id::{Epoch, Generation},
    instant::Timestamp,
    model::{Client, Credential, Tenant},
    one_time::OneTimeToken,
    secret::SecretText,
};

use super::Core;

impl Core {
    pub(super) async fn log_out(
        &self,
        client: &Client,
        bearer: &SecretText,
        trail: &mut Trail<'_>,
    ) -> Result<(), Error> {
        let cx = self.context().await?;
        let (_, claims) = self.known(client, bearer, &cx, trail).await?;
        let read = Read::Bearer(Bearer::of(&claims));
        match self.calls.ask(self.calls.parts.store.read(&read, &cx)).await? {
            Verdict::Granted { .. } | Verdict::Refused(Refusal::Idle) => {}
            Verdict::Refused(refusal) => return Err(unauthenticated(refusal)),
        }
        let revoke = Revoke {
            id: claims.login.unwrap_or(claims.id),
            tenant: claims.tenant,
            client: Some(claims.client),
            secret: None,
        };
        match self.revoke_by(&revoke).await? {
            Revocation::Revoked => Ok(()),
            // Somebody else ended it between the two calls.
            Revocation::AlreadyRevoked => Err(unauthenticated(Refusal::Revoked)),
            Revocation::Refused(refusal) => Err(unauthenticated(refusal)),
        }
    }

    pub(super) async fn revoke(
        &self,
        client: &Client,
        token: &SecretText,
        trail: &mut Trail<'_>,
    ) -> Result<(), Error> {
        let (id, secret) = if let Ok(token) = token.expose().parse::<OneTimeToken>() {
            (token.id(), Some(token.secret_digest()))
        } else {
            let cx = self.context().await?;
            match self.known(client, token, &cx, trail).await {
                Ok((_, claims)) => (claims.id, None),
                Err(Error::Unauthenticated(_)) => return Ok(()),
                Err(error) => return Err(error),
            }
        };
        trail.grant = Some(id);
        let (tenant, client) = (client.tenant.clone(), Some(client.id.clone()));
        self.revoke_by(&Revoke { id, tenant, client, secret }).await.map(|_| ())
    }

    pub(super) async fn revoke_by(&self, revoke: &Revoke) -> Result<Revocation, Error> {
        let cx = self.context().await?;
        Ok(self.calls.store(self.calls.parts.store.revoke(revoke, &cx)).await?)
    }

    pub(super) async fn revoke_all(
        &self,
        tenant: &Tenant,
        credential: &Credential,
        up_to: Option<OffsetDateTime>,
    ) -> Result<(), Error> {
        let cx = self.context().await?;
        let event = RevokeAll {
            tenant: tenant.clone(),
            credential: credential.clone(),
            up_to: up_to.map_or(Timestamp::MAX, Into::into),
            generation: Generation::random()?,
        };
        Ok(self.calls.store(self.calls.parts.store.revoke_all(&event, &cx)).await?)
    }

    pub(super) async fn raise_epoch(&self) -> Result<Epoch, Error> {
        let now = self.pulse.tick(&self.calls)?;
        let raised = self.calls.store(self.calls.parts.store.raise_epoch(now)).await;
        let epoch = raised.map_err(Unavailable::Store)?;
        self.pulse.learn(epoch, now);
        Ok(epoch)
    }
}
