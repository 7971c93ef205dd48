//! Where tokens and keys are kept.

use std::{error::Error, num::NonZeroUsize, sync::Arc};

use mintage::{
    Algorithm, Clock as _, KeyProvider, KeyRing, MemoryStore, RotationSchedule, SecretText,
    SystemClock, Timestamp, TokenStore,
};
use mintage_storage_postgres::{
    KeyEncryptionKey, KeyEncryptionKeys, KeySettings, PostgresKeys, PostgresStore, Settings,
    migrate,
};
use mintage_storage_redis::{Address, RedisStore};
use sqlx::postgres::{PgConnectOptions, PgPool};

use crate::options::Kept;

/// The two seams to whatever keeps things.
pub(crate) struct Keeping {
    pub(crate) store: Arc<dyn TokenStore>,
    pub(crate) keys: Arc<dyn KeyProvider>,
}

impl Keeping {
    pub(crate) async fn of(
        kept: &Kept,
        schedule: RotationSchedule,
    ) -> Result<Self, Box<dyn Error>> {
        match kept {
            Kept::Memory => Self::in_memory(schedule),
            Kept::Postgres(options) => Self::in_postgres(options, schedule).await,
            Kept::Redis(address) => Self::in_redis(address, schedule).await,
        }
    }

    /// Both end with the process.
    fn in_memory(schedule: RotationSchedule) -> Result<Self, Box<dyn Error>> {
        const CAPACITY: NonZeroUsize = NonZeroUsize::new(2_000_000).unwrap();
        let store = Arc::new(MemoryStore::new(CAPACITY, SystemClock.now()));
        Ok(Self { store, keys: in_process(schedule)? })
    }

    /// Tokens stay, but keys end with the process, and so does whatever they have signed.
    async fn in_redis(
        address: &Address,
        schedule: RotationSchedule,
    ) -> Result<Self, Box<dyn Error>> {
        let settings = mintage_storage_redis::Settings::default();
        let store = Arc::new(RedisStore::connect(address.clone(), settings).await?);
        Ok(Self { store, keys: in_process(schedule)? })
    }

    /// Several sandboxes on one database are one: they share their tokens and their keys.
    async fn in_postgres(
        options: &PgConnectOptions,
        schedule: RotationSchedule,
    ) -> Result<Self, Box<dyn Error>> {
        let (settings, now) = (Settings::default(), Timestamp::from(SystemClock.now()));
        let pool = PgPool::connect_lazy_with(options.clone());
        migrate(&pool, &settings.schema).await?;
        // Everybody knows this one: a host of yours takes its own from where it keeps secrets.
        let known = SecretText::new("the sandbox's key-encryption key").digest();
        let current = KeyEncryptionKey::new("sandbox", known.as_bytes())?;
        let sealed_by = KeyEncryptionKeys { current, others: Vec::new() };
        let keys = PostgresKeys::open(pool, sealed_by, KeySettings::new(schedule), now).await?;
        let store = PostgresStore::connect(options.clone(), settings).await?;
        Ok(Self { store: Arc::new(store), keys: Arc::new(keys) })
    }
}

fn in_process(schedule: RotationSchedule) -> Result<Arc<KeyRing>, Box<dyn Error>> {
    let now = SystemClock.now();
    Ok(Arc::new(KeyRing::generate(schedule, Algorithm::EdDsa, now.into())?))
}
