//! The key ring that many nodes share.

mod rows;
mod seal;
mod settings;
mod trouble;

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
    time::Duration,
};

use mintage::{
    KeyError, KeyErrorKind, KeyId, KeyPhase, KeyProvider, KeySet, Lifetime, Ring, SigningKey,
    Timestamp, async_trait,
};
use sqlx::PgPool;
use tokio::sync::Mutex;

use self::{rows::Tables, seal::Seed, trouble::Trouble};
pub use self::{
    seal::{InvalidKekId, KeyEncryptionKey, KeyEncryptionKeys},
    settings::{InvalidKeySettings, KeySettings},
};
use crate::migrate::SetupError;

/// How often a change is tried again because another node changed the ring in the meantime. The
/// second try usually finds that nothing is left to do.
const TRIES: u8 = 8;

/// A [`KeyProvider`] that nodes share through PostgreSQL: all of them sign with the same key, accept
/// each other's tokens, and turn the ring over as one.
///
/// **At rest** a key is sealed under a [`KeyEncryptionKey`] that the host keeps elsewhere. Whoever
/// reads the tables learns no key. Whoever writes them can make a node refuse its ring, but cannot
/// make it take a key of theirs, a key of another ring revision, or other instants for a key. Put
/// the *whole* ring back as it once was, and a node cannot tell: after a restore from backup, or a
/// failover that lost writes, [`distrust`](Self::distrust) again what was distrusted since.
///
/// **At hand** every node keeps the ring, for it is asked for with every token. The first call after
/// [`KeySettings::refresh`] reads it again. So a rotation or a `distrust` on one node reaches the
/// others within `refresh` and [`KeySettings::deadline`], and a token that was signed with a key that
/// had to be drawn there and then (after the only key was distrusted) may be refused for as long.
/// While the database does not answer, or the ring cannot be opened, the ring at hand is good for
/// [`KeySettings::outlast`]; then nothing is signed and nothing accepted.
///
/// **Changes** are compared and set: a node reads the ring, lets it turn by the rules of [`Ring`],
/// and writes what it has become in one statement, which applies only while the ring is still in the
/// revision that was read. Otherwise another node was first, and it reads again. A node that dies on
/// the way leaves the ring as it was, or as it was to be.
///
/// Every node calls [`rotate`](KeyProvider::rotate) in its housekeeping; one of them does the work.
/// The pool needs room for one connection, and must lead to the primary.
#[derive(Debug)]
pub struct PostgresKeys {
    tables: Tables,
    keks: KeyEncryptionKeys,
    settings: KeySettings,
    /// The ring as it is before anything is known of it.
    empty: Ring,
    known: RwLock<Known>,
    /// Held by whoever reads or changes the tables: one call of a node at a time.
    busy: Mutex<()>,
}

/// The shared key ring could not be opened.
#[derive(Debug)]
#[non_exhaustive]
pub enum OpenKeysError {
    /// The settings contradict each other.
    Settings(InvalidKeySettings),
    /// The database cannot be reached, or its tables are not those that this code needs.
    Setup(SetupError),
    /// The ring could not be read, opened, or given its first key.
    Keys(KeyError),
}

impl fmt::Display for OpenKeysError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Settings(error) => error.fmt(f),
            Self::Setup(error) => error.fmt(f),
            Self::Keys(_) => f.write_str("the shared key ring could not be opened"),
        }
    }
}

impl std::error::Error for OpenKeysError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Settings(error) => error.source(),
            Self::Setup(error) => error.source(),
            // Its source names the key and the key-encryption key.
            Self::Keys(error) => error.source(),
        }
    }
}

impl PostgresKeys {
    /// Reads the ring; where there is none yet, draws its first key, which signs from `now`. Of
    /// many nodes that open it at once, one draws the key and all have it.
    ///
    /// [`migrate`](crate::migrate) makes the tables.
    ///
    /// # Errors
    /// [`OpenKeysError`], by whose fault it is.
    pub async fn open(
        pool: PgPool,
        keks: KeyEncryptionKeys,
        settings: KeySettings,
        now: Timestamp,
    ) -> Result<Self, OpenKeysError> {
        settings.check(&keks).map_err(OpenKeysError::Settings)?;
        let empty = Ring::new(settings.schedule)
            .map_err(|error| OpenKeysError::Settings(InvalidKeySettings::Schedule(error)))?;
        let tables = Tables::find(pool, &settings.schema, settings.deadline.into())
            .await
            .map_err(OpenKeysError::Setup)?;
        let known = RwLock::new(Known::nothing(empty.clone()));
        let node = Self { tables, keks, settings, empty, known, busy: Mutex::new(()) };
        node.turn_over(Turn::Begin, now).await.map_err(OpenKeysError::Keys)?;
        Ok(node)
    }

    /// Removes a key at once, for the emergency that someone else may have it: every token that it
    /// signed is refused, and so are retries that it would sign; on this node from now on, on the
    /// others as soon as they read the ring again (see [above](Self)). The next key takes over, or a
    /// fresh one.
    ///
    /// # Errors
    /// [`KeyErrorKind::UnknownKey`] when the ring has no such key, or no longer. With any other, the
    /// key may still be there: call it again, until it is done or the key is unknown.
    pub async fn distrust(&self, kid: &KeyId, now: Timestamp) -> Result<(), KeyError> {
        self.turn_over(Turn::Distrust(kid), now).await
    }

    /// Every key and where it is in its life at `now`, the oldest first.
    ///
    /// # Errors
    /// [`KeyError`] when it cannot be told now.
    pub async fn phases(&self, now: Timestamp) -> Result<Vec<(KeyId, KeyPhase)>, KeyError> {
        self.refresh(now).await?;
        Ok(self.known().ring.phases(now))
    }

    /// Sees to it that the ring at hand may be used at `now`.
    ///
    /// One caller reads it again. The others go on with what there is for about as long as that
    /// takes, and then wait for it; one failure is enough for all who wait.
    async fn refresh(&self, now: Timestamp) -> Result<(), KeyError> {
        let KeySettings { refresh, deadline, outlast, .. } = self.settings;
        if self.known().is_within(refresh, now) {
            return Ok(());
        }
        let _busy = match self.busy.try_lock() {
            Ok(busy) => busy,
            Err(_) if self.known().is_within(refresh.plus(deadline), now) => return Ok(()),
            Err(_) => self.busy.lock().await,
        };
        if !self.known().is_within(refresh, now) && self.failed_lately(now).is_none() {
            // What this fails with, it leaves.
            drop(self.read(now).await);
        }
        let known = self.known();
        match &known.failed {
            Some((_, trouble)) if !known.is_younger(outlast, now) => Err(trouble.clone().into()),
            _ => Ok(()),
        }
    }

    /// Reads the ring for a key that it did not have, unless somebody has read it since.
    async fn look_again(&self, readings: u64, now: Timestamp) -> Result<(), KeyError> {
        let _busy = self.busy.lock().await;
        if self.known().readings != readings {
            return Ok(());
        }
        match self.failed_lately(now) {
            Some(trouble) => Err(trouble.into()),
            None => self.read(now).await.map(drop).map_err(Into::into),
        }
    }

    /// Lets the ring turn, in the tables and then here.
    async fn turn_over(&self, turn: Turn<'_>, now: Timestamp) -> Result<(), KeyError> {
        let _busy = self.busy.lock().await;
        for _ in 0..TRIES {
            let Reading { revision, ring, mut seeds, outdated } = self.read(now).await?;
            let mut next = ring.clone();
            let draw = || {
                let seed = Seed::draw()?;
                let key = seed.key(self.settings.algorithm);
                seeds.insert(key.key_ref().kid, seed);
                Ok(key)
            };
            turn.apply(&mut next, now, draw)?;
            if is_same(&next, &ring) && !(outdated && turn.seals_anew()) {
                return Ok(());
            }
            // A row is bound to its revision, so each is sealed anew.
            let seal = |key: &mintage::RingKey| {
                let seed = seeds.get(&key.kid()).ok_or(Trouble::Unreadable("kid"))?;
                self.keks.seal(key, seed, revision.saturating_add(1))
            };
            let rows = next.keys().iter().map(seal).collect::<Result<Vec<_>, _>>()?;
            // Should nobody be told how it ends, the next to come will have to read it.
            self.know().outdated = true;
            if self.tables.write(revision, &rows).await? {
                self.know().learn(next, now);
                return Ok(());
            }
        }
        Err(Trouble::Contended.into())
    }

    /// Reads the ring and has it at hand. To be called by who is `busy`.
    async fn read(&self, now: Timestamp) -> Result<Reading, Trouble> {
        match self.try_read().await {
            Ok(reading) => {
                self.know().learn(reading.ring.clone(), now);
                Ok(reading)
            }
            Err(trouble) => {
                tracing::warn!(%trouble, "the shared key ring could not be read");
                self.know().failed = Some((now, trouble.clone()));
                Err(trouble)
            }
        }
    }

    async fn try_read(&self) -> Result<Reading, Trouble> {
        let snapshot = self.tables.read().await?;
        let revision = snapshot.revision;
        let (mut keys, mut seeds) = (Vec::new(), BTreeMap::new());
        for row in &snapshot.rows {
            let (key, seed) = self.keks.open(row, revision)?;
            seeds.insert(key.kid(), seed);
            keys.push(key);
        }
        let outdated = snapshot.rows.iter().any(|row| self.keks.outdates(row));
        Ok(Reading { revision, ring: self.empty.clone().with_keys(keys), seeds, outdated })
    }

    /// Why the last reading failed, if it is too early for the next: nobody should have to wait for
    /// a database that has just not answered.
    fn failed_lately(&self, now: Timestamp) -> Option<Trouble> {
        let deadline = self.settings.deadline;
        let (at, trouble) = self.known().failed.clone()?;
        is_near(at, deadline.plus(deadline), now).then_some(trouble)
    }

    fn known(&self) -> RwLockReadGuard<'_, Known> {
        self.known.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn know(&self) -> RwLockWriteGuard<'_, Known> {
        self.known.write().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl KeyProvider for PostgresKeys {
    async fn signing_key(
        &self,
        kid: Option<&KeyId>,
        now: Timestamp,
    ) -> Result<SigningKey, KeyError> {
        self.refresh(now).await?;
        let (found, readings) = {
            let known = self.known();
            (known.ring.signing_key(kid, now), known.readings)
        };
        match found {
            Err(error) if error.kind() == KeyErrorKind::UnknownKey => {
                self.look_again(readings, now).await?;
                self.known().ring.signing_key(kid, now)
            }
            found => found,
        }
    }

    async fn verifying_keys(&self, now: Timestamp) -> Result<Arc<KeySet>, KeyError> {
        self.refresh(now).await?;
        Ok(self.known().ring.verifying_keys(now))
    }

    async fn rotate(&self, now: Timestamp) -> Result<(), KeyError> {
        self.turn_over(Turn::Rotate, now).await
    }
}

/// What is to become of the ring.
#[derive(Debug, Clone, Copy)]
enum Turn<'a> {
    Begin,
    Rotate,
    Distrust(&'a KeyId),
}

impl Turn<'_> {
    fn apply(
        self,
        ring: &mut Ring,
        now: Timestamp,
        draw: impl FnMut() -> Result<SigningKey, KeyError>,
    ) -> Result<(), KeyError> {
        match self {
            Self::Begin if !ring.keys().is_empty() => Ok(()),
            Self::Begin | Self::Rotate => ring.rotate(now, draw),
            Self::Distrust(kid) => ring.distrust(kid, now, draw),
        }
    }

    /// Whether rows under another key-encryption key than the current one are reason enough to
    /// write.
    fn seals_anew(self) -> bool {
        matches!(self, Self::Rotate)
    }
}

/// The ring as the tables have it.
struct Reading {
    revision: i64,
    ring: Ring,
    seeds: BTreeMap<KeyId, Seed>,
    /// A row is sealed under another key-encryption key than the current one.
    outdated: bool,
}

/// The ring at hand.
#[derive(Debug)]
struct Known {
    ring: Ring,
    /// As of when.
    read_at: Timestamp,
    readings: u64,
    /// A change was sent, and how it ended is not known.
    outdated: bool,
    /// When reading it again failed, and why.
    failed: Option<(Timestamp, Trouble)>,
}

impl Known {
    fn nothing(ring: Ring) -> Self {
        let read_at = Timestamp::MIN;
        Self { ring, read_at, readings: 0, outdated: true, failed: None }
    }

    fn learn(&mut self, ring: Ring, now: Timestamp) {
        let readings = self.readings + 1;
        *self = Self { ring, read_at: now, readings, outdated: false, failed: None };
    }

    /// Whether it is what the tables had less than this ago.
    fn is_within(&self, limit: Lifetime, now: Timestamp) -> bool {
        !self.outdated && self.is_younger(limit, now)
    }

    fn is_younger(&self, limit: Lifetime, now: Timestamp) -> bool {
        is_near(self.read_at, limit, now)
    }
}

/// Whether less than this lies between the two instants, whichever is the earlier: a clock that was
/// set back must not make old things new.
fn is_near(at: Timestamp, limit: Lifetime, now: Timestamp) -> bool {
    at.since(now).max(now.since(at)) < Duration::from(limit)
}

fn is_same(one: &Ring, other: &Ring) -> bool {
    let pairs = || one.keys().iter().zip(other.keys());
    one.keys().len() == other.keys().len()
        && pairs().all(|(one, other)| {
            (one.kid(), one.signs_from, one.signs_until)
                == (other.kid(), other.signs_from, other.signs_until)
        })
}
