//! What the host decides about the shared key ring.

use std::fmt;

use mintage::{Algorithm, InvalidSchedule, Lifetime, RotationSchedule};

use super::KeyEncryptionKeys;
use crate::settings::Schema;

/// How nodes share their key ring. The same on every node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeySettings {
    /// How the keys turn over. Its `publish_ahead` must be at least [`outlast`](Self::outlast): for
    /// so long a node may not have heard of the next key.
    pub schedule: RotationSchedule,
    /// What fresh keys call their signatures. `EdDSA`.
    pub algorithm: Algorithm,
    /// Where the tables are. `mintage`.
    pub schema: Schema,
    /// How old the ring at hand may be before it is read again. 10 s. Within this and the deadline,
    /// a key that was distrusted on one node is refused by the others.
    pub refresh: Lifetime,
    /// How old the ring at hand may become while it cannot be read again. 60 s. At least
    /// [`refresh`](Self::refresh) and [`deadline`](Self::deadline) together.
    pub outlast: Lifetime,
    /// How long one statement may take, a connection to send it on included. 1 s.
    pub deadline: Lifetime,
}

impl KeySettings {
    /// This schedule, and for the rest a sound start; override by name.
    #[must_use]
    pub fn new(schedule: RotationSchedule) -> Self {
        Self {
            schedule,
            algorithm: Algorithm::default(),
            schema: Schema::default(),
            refresh: Lifetime::from_secs(10),
            outlast: Lifetime::from_secs(60),
            deadline: Lifetime::from_secs(1),
        }
    }

    pub(super) fn check(&self, keks: &KeyEncryptionKeys) -> Result<(), InvalidKeySettings> {
        self.schedule.check().map_err(InvalidKeySettings::Schedule)?;
        if self.outlast < self.refresh.plus(self.deadline) {
            return Err(InvalidKeySettings::OutlastsTooLittle);
        }
        if self.schedule.publish_ahead < self.outlast {
            return Err(InvalidKeySettings::PublishedTooLate);
        }
        match keks.ambiguous() {
            Some(id) => Err(InvalidKeySettings::AmbiguousKek(id.to_owned())),
            None => Ok(()),
        }
    }
}

/// Settings of a shared key ring contradict each other.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidKeySettings {
    /// The schedule cannot be kept.
    Schedule(InvalidSchedule),
    /// `outlast` is shorter than `refresh` and `deadline` together: the ring could end while it is
    /// read again.
    OutlastsTooLittle,
    /// `publish_ahead` is shorter than `outlast`: a key could sign before every node knows it.
    PublishedTooLate,
    /// Two key-encryption keys have this id.
    AmbiguousKek(String),
}

impl fmt::Display for InvalidKeySettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Schedule(error) => error.fmt(f),
            Self::OutlastsTooLittle => {
                f.write_str("`outlast` must not be shorter than `refresh` and `deadline` together")
            }
            Self::PublishedTooLate => {
                f.write_str("`publish_ahead` must not be shorter than `outlast`")
            }
            Self::AmbiguousKek(id) => write!(f, "two key-encryption keys have the id `{id}`"),
        }
    }
}

impl std::error::Error for InvalidKeySettings {}
