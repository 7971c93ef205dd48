//! The controls: stores that redeem as one would at first, and as no store must.

use std::num::NonZeroU32;

use mintage::{
    Change, Epoch, Guarantee, Locator, StoreError, Timestamp, TokenStore, async_trait,
    grant::{
        self, Context, Elevate, Grant, Head, Issue, Open, Read, Redeem, Redemption, Revocation,
        Revoke, RevokeAll, State, StepUp, Touch, Verdict,
    },
};
use mintage_storage_postgres::PostgresStore;
use sqlx::{PgPool, postgres::PgConnectOptions};

/// Reads the token, judges it by the specification, and writes what was decided: two statements.
/// All else is left to a sound store.
#[derive(Debug, Clone)]
pub(crate) struct NaiveStore {
    sound: PostgresStore,
    pool: PgPool,
    answers: Answers,
}

/// When it answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answers {
    /// When it has written.
    InTime,
    /// At once; it writes later.
    Early,
}

impl NaiveStore {
    /// One beside a sound store, at the same server.
    pub(crate) fn beside(sound: PostgresStore, server: PgConnectOptions, answers: Answers) -> Self {
        Self { sound, pool: PgPool::connect_lazy_with(server), answers }
    }

    async fn write(&self, grant: &Grant) -> Result<(), sqlx::Error> {
        let State::Active(active) = &grant.state else { return Ok(()) };
        let minted = &active.minted;
        let id = grant.id.as_bytes().split_at(Locator::BYTES);
        // As src/record.rs packs it.
        let (issuer, audience) = (minted.issuer.as_str(), minted.audience.as_str());
        let packed = [
            &minted.key.kid.as_bytes()[..],
            &[0, u8::try_from(issuer.len()).unwrap()],
            issuer.as_bytes(),
            audience.as_bytes(),
        ];
        sqlx::query(
            "UPDATE mintage.grants
             SET state = 'active', attempt = $3, minted = $4, minted_at = $5, seen_at = $5,
                 idle_until = $6, expires_at = $7, keep_until = $8
             WHERE locator = $1 AND tail = $2",
        )
        .bind(id.0)
        .bind(id.1)
        .bind(&minted.attempt.as_bytes()[..])
        .bind(packed.concat())
        .bind(minted.at.as_millis())
        .bind(active.idle_until.as_millis())
        .bind(minted.expires_at.as_millis())
        .bind(grant.keep_until.as_millis())
        .execute(&self.pool)
        .await
        .map(drop)
    }
}

#[async_trait]
impl TokenStore for NaiveStore {
    async fn redeem(&self, event: &Redeem, cx: &Context) -> Result<Redemption, StoreError> {
        let Redeem { id, secret, tenant, client, .. } = event.clone();
        let read = Read::OneTime { id, secret, tenant, client };
        let grant = match self.sound.read(&read, cx).await? {
            Verdict::Granted { grant, .. } => grant,
            Verdict::Refused(refusal) => return Ok(Redemption::Refused(refusal)),
        };
        let decision = grant::redeem(Some(&head(&grant)), Some(&grant), event, cx);
        if let [Some(grant), _] = decision.grants {
            match self.answers {
                Answers::InTime => {
                    let failed = |error| {
                        StoreError::new(Change::MayHaveHappened, "no answer").because(error)
                    };
                    self.write(&grant).await.map_err(failed)?;
                }
                Answers::Early => {
                    let store = self.clone();
                    tokio::spawn(async move { store.write(&grant).await });
                }
            }
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
