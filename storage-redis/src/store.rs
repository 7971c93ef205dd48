//! The store itself.

use std::{
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use mintage::{
    Epoch, Guarantee, StoreError, Timestamp, TokenStore, async_trait,
    grant::{
        Context, Elevate, Issue, Open, Read, Redeem, Redemption, Revocation, Revoke, RevokeAll,
        StepUp, Touch, Verdict,
    },
};
use redis::{Value, cmd};
use tokio::time::timeout;

use crate::{
    address::Address,
    fault::Fault,
    fence, guarantee,
    line::field,
    operations::{Operation, ReadBearer, ReadOneTime},
    scripts::{Guard, Scripts},
    settings::Settings,
    setup::SetupError,
    shards::{Node, Shards},
};

/// A [`TokenStore`] in Redis or Valkey.
///
/// Every operation is one script on one slot, in one round trip. Operations that wait at the same time
/// travel as one pipeline. See the [crate's page](crate) for what it promises and how to run it.
///
/// Cloning shares the store; when the last clone is dropped, its connections are closed. It must be
/// made within a tokio runtime, and lives no longer than that.
#[derive(Debug, Clone)]
pub struct RedisStore {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    shards: Shards,
    settings: Settings,
    /// What may be dropped by then is gone: see [`RedisStore::purge`].
    purged: AtomicI64,
}

impl Drop for Inner {
    fn drop(&mut self) {
        // What waits has no caller any more; what was sent, the server finishes.
        self.shards.close();
        self.shards.detach();
    }
}

impl RedisStore {
    /// Connects, checks that every primary is Redis 6.2 or later, or Valkey, and loads the scripts.
    ///
    /// # Errors
    /// [`SetupError`] when a server cannot be reached, refuses, or is too old.
    pub async fn connect(address: Address, settings: Settings) -> Result<Self, SetupError> {
        Self::connect_guarded(address, settings, Guard::default()).await
    }

    /// The same, with Lua of a test's before every script.
    #[doc(hidden)]
    pub async fn connect_guarded(
        address: Address,
        settings: Settings,
        guard: Guard,
    ) -> Result<Self, SetupError> {
        let deadline: Duration = settings.deadline.into();
        let found = Shards::connect(&address, &settings, Scripts::new(guard));
        let late = |_| Fault::unreachable("the server does not answer");
        let shards = match timeout(deadline, found).await.map_err(late) {
            Ok(Ok(shards)) => shards,
            Ok(Err(fault)) | Err(fault) => return Err(StoreError::from(fault).into()),
        };
        for node in &shards.map().nodes {
            check(&shards, node).await?;
            for (_, script) in shards.scripts.all() {
                shards.load(node, script).await.map_err(StoreError::from)?;
            }
        }
        let promised = guarantee::ask(&shards, &settings).await.map_err(StoreError::from)?;
        if promised.may_evict {
            tracing::warn!(
                target: "mintage",
                "tokens may be evicted, and client assertions are refused: {}",
                promised.reason
            );
        }
        let purged = AtomicI64::new(-1);
        Ok(Self { inner: Arc::new(Inner { shards, settings, purged }) })
    }

    /// Takes no more calls, carries out those that wait, and closes the connections. Gives up after
    /// twice the deadline: whatever is still at the server then finishes there.
    pub async fn close(&self) {
        self.inner.shards.close();
        self.inner.shards.drain(2 * Duration::from(self.inner.settings.deadline)).await;
    }

    async fn call<O: Operation>(
        &self,
        operation: &O,
        cx: &Context,
    ) -> Result<O::Answer, StoreError> {
        let purged = Timestamp::from_millis(self.inner.purged.load(Ordering::Acquire));
        self.inner.shards.call(operation, cx, purged).await
    }
}

/// Is the server one that the scripts can run on?
async fn check(shards: &Shards, node: &Node) -> Result<(), SetupError> {
    let mut question = cmd("INFO");
    question.arg("server");
    let info = match shards.ask(node, question).await.map_err(StoreError::from)? {
        Value::BulkString(info) => String::from_utf8_lossy(&info).into_owned(),
        _ => String::new(),
    };
    let found = field(&info, "redis_version").unwrap_or("unknown").to_owned();
    let mut numbers = found.split('.').map(|number| number.parse::<u32>().unwrap_or(0));
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if version < (6, 2) { Err(SetupError::Outdated { found }) } else { Ok(()) }
}

#[async_trait]
impl TokenStore for RedisStore {
    async fn issue(&self, event: &Issue, cx: &Context) -> Result<Verdict, StoreError> {
        self.call(event, cx).await
    }

    async fn redeem(&self, event: &Redeem, cx: &Context) -> Result<Redemption, StoreError> {
        self.call(event, cx).await
    }

    async fn step_up(&self, event: &StepUp, cx: &Context) -> Result<Redemption, StoreError> {
        self.call(event, cx).await
    }

    async fn open(&self, event: &Open, cx: &Context) -> Result<Redemption, StoreError> {
        self.call(event, cx).await
    }

    async fn elevate(&self, event: &Elevate, cx: &Context) -> Result<Verdict, StoreError> {
        self.call(event, cx).await
    }

    async fn touch(&self, event: &Touch, cx: &Context) -> Result<Verdict, StoreError> {
        self.call(event, cx).await
    }

    async fn read(&self, event: &Read, cx: &Context) -> Result<Verdict, StoreError> {
        match event {
            Read::Bearer(bearer) => self.call(&ReadBearer(bearer), cx).await,
            Read::OneTime { id, secret, tenant, client } => {
                let (id, secret) = (*id, *secret);
                self.call(&ReadOneTime { id, secret, tenant, client }, cx).await
            }
        }
    }

    async fn revoke(&self, event: &Revoke, cx: &Context) -> Result<Revocation, StoreError> {
        self.call(event, cx).await
    }

    async fn revoke_all(&self, event: &RevokeAll, cx: &Context) -> Result<(), StoreError> {
        self.call(event, cx).await
    }

    /// Redis drops every record by itself, at most ten seconds after its `keep_until`. To purge only
    /// says that what may be dropped by `now` is gone already, for whoever asks here: nothing is
    /// looked for, and nothing is counted.
    async fn purge(&self, _: NonZeroU32, now: Timestamp) -> Result<u32, StoreError> {
        self.inner.purged.fetch_max(now.as_millis(), Ordering::AcqRel);
        Ok(0)
    }

    async fn epoch(&self, now: Timestamp) -> Result<Epoch, StoreError> {
        fence::epoch(&self.inner.shards, now, self.inner.settings.on_failover).await
    }

    async fn raise_epoch(&self, now: Timestamp) -> Result<Epoch, StoreError> {
        fence::raise(&self.inner.shards, now).await
    }

    async fn guarantee(&self) -> Result<Guarantee, StoreError> {
        let asked = guarantee::ask(&self.inner.shards, &self.inner.settings).await;
        asked.map_err(StoreError::from)
    }
}
