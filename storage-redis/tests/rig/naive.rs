//! The control: a store that redeems as one would at first, and as no store must.

#![allow(dead_code, reason = "each experiment uses a part of it")]
#![allow(clippy::unwrap_used, reason = "what fails here fails the experiment")]

use std::num::NonZeroU32;

use mintage::{
    Change, Epoch, Guarantee, StoreError, Timestamp, TokenStore, async_trait,
    grant::{
        self, Context, Elevate, Grant, Head, Issue, Open, Read, Redeem, Redemption, Revocation,
        Revoke, RevokeAll, StepUp, Touch, Verdict,
    },
};
use mintage_storage_redis::RedisStore;
use redis::{RedisError, aio::MultiplexedConnection};

/// `GET`s whether a token is spent, judges it by the specification, and `SET`s that it is: two
/// commands. All else is left to a sound store.
#[derive(Clone)]
pub(crate) struct NaiveStore {
    sound: RedisStore,
    connection: MultiplexedConnection,
}

impl std::fmt::Debug for NaiveStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NaiveStore").finish_non_exhaustive()
    }
}

impl NaiveStore {
    /// One beside a sound store, at the same server.
    pub(crate) async fn beside(sound: RedisStore, server: &str) -> Self {
        Self { sound, connection: super::connection_to(server).await.unwrap() }
    }

    async fn spender(&self, key: &[u8]) -> Result<Option<Vec<u8>>, RedisError> {
        redis::cmd("GET").arg(key).query_async(&mut self.connection.clone()).await
    }

    async fn spend(&self, key: &[u8], attempt: &[u8]) -> Result<(), RedisError> {
        redis::cmd("SET").arg(key).arg(attempt).query_async(&mut self.connection.clone()).await
    }
}

#[async_trait]
impl TokenStore for NaiveStore {
    async fn redeem(&self, event: &Redeem, cx: &Context) -> Result<Redemption, StoreError> {
        let failed = |error| StoreError::new(Change::MayHaveHappened, "no answer").because(error);
        let Redeem { id, secret, tenant, client, .. } = event.clone();
        let read = Read::OneTime { id, secret, tenant, client };
        let grant = match self.sound.read(&read, cx).await? {
            Verdict::Granted { grant, .. } => grant,
            Verdict::Refused(refusal) => return Ok(Redemption::Refused(refusal)),
        };
        let key = [b"naive:", event.id.as_bytes().as_slice()].concat();
        if let Some(attempt) = self.spender(&key).await.map_err(failed)?
            && attempt != event.attempt.as_bytes()
        {
            return Ok(Redemption::Replayed { revoked: false });
        }
        let decision = grant::redeem(Some(&head(&grant)), Some(&grant), event, cx);
        if let Redemption::Redeemed { .. } = decision.answer {
            self.spend(&key, event.attempt.as_bytes()).await.map_err(failed)?;
        }
        Ok(decision.answer)
    }

    async fn issue(&self, event: &Issue, cx: &Context) -> Result<Verdict, StoreError> {
        self.sound.issue(event, cx).await
    }

    async fn step_up(&self, event: &StepUp, cx: &Context) -> Result<Redemption, StoreError> {
        self.sound.step_up(event, cx).await
    }

    async fn open(&self, event: &Open, cx: &Context) -> Result<Redemption, StoreError> {
        self.sound.open(event, cx).await
    }

    async fn elevate(&self, event: &Elevate, cx: &Context) -> Result<Verdict, StoreError> {
        self.sound.elevate(event, cx).await
    }

    async fn touch(&self, event: &Touch, cx: &Context) -> Result<Verdict, StoreError> {
        self.sound.touch(event, cx).await
    }

    async fn read(&self, event: &Read, cx: &Context) -> Result<Verdict, StoreError> {
        self.sound.read(event, cx).await
    }

    async fn revoke(&self, event: &Revoke, cx: &Context) -> Result<Revocation, StoreError> {
        self.sound.revoke(event, cx).await
    }

    async fn revoke_all(&self, event: &RevokeAll, cx: &Context) -> Result<(), StoreError> {
        self.sound.revoke_all(event, cx).await
    }

    async fn purge(&self, limit: NonZeroU32, now: Timestamp) -> Result<u32, StoreError> {
        self.sound.purge(limit, now).await
    }

    async fn epoch(&self, now: Timestamp) -> Result<Epoch, StoreError> {
        self.sound.epoch(now).await
    }

    async fn raise_epoch(&self, now: Timestamp) -> Result<Epoch, StoreError> {
        self.sound.raise_epoch(now).await
    }

    async fn guarantee(&self) -> Result<Guarantee, StoreError> {
        self.sound.guarantee().await
    }
}

/// One under which the grant stands: the sound store has just judged by the true one.
fn head(grant: &Grant) -> Head {
    Head {
        tenant: grant.terms.tenant.clone(),
        credential: grant.terms.credential.clone(),
        generation: grant.generation,
        revoked_to: Timestamp::MIN,
        revoked_at: Timestamp::MIN,
        keep_until: Timestamp::MAX,
    }
}
