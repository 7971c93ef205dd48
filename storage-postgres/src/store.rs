//! The store itself.

use std::{io::ErrorKind, num::NonZeroU32, sync::Arc, time::Duration};

use mintage::{
    Change, Epoch, Guarantee, StoreError, Timestamp, TokenStore, async_trait,
    grant::{
        Context, Elevate, Issue, Open, Read, Redeem, Redemption, Revocation, Revoke, RevokeAll,
        StepUp, Touch, Verdict,
    },
};
use sqlx::{Connection as _, PgConnection, PgPool, postgres::PgConnectOptions};
use tokio::{
    sync::Mutex,
    task::JoinSet,
    time::{Instant, timeout},
};

use crate::{
    guarantee,
    lanes::{AsyncErrand, Lanes},
    line::{Address, Line, Promised, Trunk},
    migrate::{self, SetupError},
    notice::Listener,
    purge::Sweep,
    settings::Settings,
    statements::Statements,
};

/// A [`TokenStore`] in PostgreSQL.
///
/// Every operation is one statement in one round trip, and its own transaction. Operations that
/// wait at the same time travel as one statement, so that one commit serves them all. See the
/// [crate's page](crate) for what it promises and how to run it.
///
/// Cloning shares the store; when the last clone is dropped, its connections are closed. It must be
/// made within a tokio runtime, and lives no longer than that.
#[derive(Debug, Clone)]
pub struct PostgresStore {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    lanes: Arc<Lanes>,
    promised: Promised,
    sweep: Sweep,
    deadline: Duration,
    workers: Mutex<JoinSet<()>>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        // What waits has no caller any more; what was sent, the server finishes.
        self.lanes.close();
        self.workers.get_mut().detach_all();
    }
}

impl PostgresStore {
    /// Connects, and checks that the tables are there: [`migrate`](crate::migrate) makes them.
    ///
    /// # Errors
    /// [`SetupError`] when the database cannot be reached, or its tables are not those that this
    /// code needs.
    pub async fn connect(
        options: PgConnectOptions,
        settings: Settings,
    ) -> Result<Self, SetupError> {
        Self::at(Address::Options(Arc::new(options)), settings).await
    }

    /// The same, for a host that has a pool: the store connects as the pool does at that moment.
    ///
    /// Its [`Settings::connections`] are its own, beside those of the pool: they have settings that
    /// nobody else should get, and no user of the pool can have left them in the middle of a
    /// transaction.
    ///
    /// # Errors
    /// [`SetupError`], as above.
    pub async fn from_pool(pool: PgPool, settings: Settings) -> Result<Self, SetupError> {
        Self::at(Address::Pool(pool), settings).await
    }

    async fn at(address: Address, settings: Settings) -> Result<Self, SetupError> {
        let deadline = settings.deadline.into();
        let found = async {
            let mut connection = address.connect().await?;
            let found = migrate::version(&mut connection, &settings.schema).await?;
            connection.close().await.map(|()| found)
        };
        let late = |_| SetupError::Database(sqlx::Error::Io(ErrorKind::TimedOut.into()));
        migrate::check(timeout(deadline, found).await.map_err(late)??)?;
        let (lanes, promised) = (Arc::new(Lanes::new(&settings)), Promised::default());
        let statements = Statements::new(&settings.schema);
        let mut workers = JoinSet::new();
        for _ in 0..settings.connections.get() {
            let trunk = Trunk {
                address: address.clone(),
                statements: statements.clone(),
                deadline,
                promised: promised.clone(),
                listener: Listener::new(),
            };
            workers.spawn(employ(Arc::clone(&lanes), trunk));
        }
        let (sweep, workers) = (Sweep::default(), Mutex::new(workers));
        Ok(Self { inner: Arc::new(Inner { lanes, promised, sweep, deadline, workers }) })
    }

    /// Takes no more calls, carries out those that wait, and closes the connections. Gives up
    /// after twice the deadline: whatever is still at the server then finishes there.
    pub async fn close(&self) {
        self.inner.lanes.close();
        let mut workers = self.inner.workers.lock().await;
        let all = async { while workers.join_next().await.is_some() {} };
        drop(timeout(2 * self.inner.deadline, all).await);
    }
}

/// A worker, and another in its place should it ever panic.
async fn employ(lanes: Arc<Lanes>, trunk: Trunk) {
    loop {
        let worker = tokio::spawn(Arc::clone(&lanes).work(Line::new(trunk.clone())));
        match worker.await {
            Err(error) if error.is_panic() => {
                tracing::error!(target: "mintage", %error, "a worker of the store panicked");
            }
            _ => return,
        }
    }
}

#[async_trait]
impl TokenStore for PostgresStore {
    async fn issue(&self, event: &Issue, cx: &Context) -> Result<Verdict, StoreError> {
        self.inner.lanes.call(event.clone(), cx).await
    }

    async fn redeem(&self, event: &Redeem, cx: &Context) -> Result<Redemption, StoreError> {
        self.inner.lanes.call(event.clone(), cx).await
    }

    async fn step_up(&self, event: &StepUp, cx: &Context) -> Result<Redemption, StoreError> {
        self.inner.lanes.call(event.clone(), cx).await
    }

    async fn open(&self, event: &Open, cx: &Context) -> Result<Redemption, StoreError> {
        self.inner.lanes.call(event.clone(), cx).await
    }

    async fn elevate(&self, event: &Elevate, cx: &Context) -> Result<Verdict, StoreError> {
        self.inner.lanes.call(event.clone(), cx).await
    }

    async fn touch(&self, event: &Touch, cx: &Context) -> Result<Verdict, StoreError> {
        self.inner.lanes.call(event.clone(), cx).await
    }

    async fn read(&self, event: &Read, cx: &Context) -> Result<Verdict, StoreError> {
        let lanes = &self.inner.lanes;
        match event.clone() {
            Read::Bearer(bearer) => lanes.call(crate::operations::ReadBearer(bearer), cx).await,
            Read::OneTime { id, secret, tenant, client } => {
                let read = crate::operations::ReadOneTime { id, secret, tenant, client };
                lanes.call(read, cx).await
            }
        }
    }

    async fn revoke(&self, event: &Revoke, cx: &Context) -> Result<Revocation, StoreError> {
        self.inner.lanes.call(event.clone(), cx).await
    }

    async fn revoke_all(&self, event: &RevokeAll, cx: &Context) -> Result<(), StoreError> {
        self.inner.lanes.call(event.clone(), cx).await
    }

    async fn purge(&self, limit: NonZeroU32, now: Timestamp) -> Result<u32, StoreError> {
        let until = Instant::now() + self.inner.deadline / 2;
        self.inner.sweep.purge(&self.inner.lanes, limit, now, until).await
    }

    async fn epoch(&self, now: Timestamp) -> Result<Epoch, StoreError> {
        for _ in 0..8 {
            if let Some(epoch) = self.inner.lanes.errand(ReadEpoch(now)).await? {
                return Ok(epoch);
            }
        }
        Err(StoreError::new(Change::Unchanged, "the epoch kept changing"))
    }

    async fn raise_epoch(&self, now: Timestamp) -> Result<Epoch, StoreError> {
        self.inner.lanes.errand(RaiseEpoch(now)).await
    }

    async fn guarantee(&self) -> Result<Guarantee, StoreError> {
        let guarantee = self.inner.lanes.errand(AskGuarantee).await?;
        self.inner.promised.note(guarantee.grade);
        Ok(guarantee)
    }
}

struct ReadEpoch(Timestamp);

#[async_trait]
impl AsyncErrand<Option<Epoch>> for ReadEpoch {
    async fn run(
        self,
        connection: &mut PgConnection,
        statements: &Statements,
    ) -> Result<Option<Epoch>, sqlx::Error> {
        let millis = sqlx::query_scalar(statements.epoch.one.clone())
            .bind(self.0.as_millis())
            .fetch_optional(connection)
            .await?;
        Ok(millis.map(Timestamp::from_millis).map(Epoch))
    }
}

struct RaiseEpoch(Timestamp);

#[async_trait]
impl AsyncErrand<Epoch> for RaiseEpoch {
    async fn run(
        self,
        connection: &mut PgConnection,
        statements: &Statements,
    ) -> Result<Epoch, sqlx::Error> {
        let millis = sqlx::query_scalar(statements.raise_epoch.one.clone())
            .bind(self.0.as_millis())
            .fetch_one(connection)
            .await?;
        Ok(Epoch(Timestamp::from_millis(millis)))
    }
}

struct AskGuarantee;

#[async_trait]
impl AsyncErrand<Guarantee> for AskGuarantee {
    async fn run(
        self,
        connection: &mut PgConnection,
        statements: &Statements,
    ) -> Result<Guarantee, sqlx::Error> {
        guarantee::ask(connection, statements).await
    }
}
