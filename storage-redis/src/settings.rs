//! What the host decides about the store.

use std::{fmt, num::NonZeroU32, str::FromStr};

use mintage::Lifetime;

/// How the store uses its servers. [`Settings::default`] is a sound start; override by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// What every key begins with. `mt:`.
    pub prefix: Prefix,
    /// Who has to have a write before it is answered. [`Acknowledge::Primary`].
    pub acknowledge: Acknowledge,
    /// What is done when another server has taken a primary's place. [`OnFailover::RaiseEpoch`].
    pub on_failover: OnFailover,
    /// How many connections it keeps to each primary, each with one pipeline at a time. 4: while some
    /// are answered, others are filled, and one that waits for replicas does not keep the rest.
    pub connections: NonZeroU32,
    /// How long a call may take. 1 s. Keep it below the engine's `Policy::deadline`, so that the
    /// store's own answer, which knows whether a change may have happened, is the one that counts.
    pub deadline: Lifetime,
    /// How many calls may be under way. One more is refused at once. 4096.
    pub waiting: NonZeroU32,
    /// How many calls travel together at most. 256.
    pub batch: NonZeroU32,
}

impl Default for Settings {
    fn default() -> Self {
        const fn nonzero(n: u32) -> NonZeroU32 {
            match NonZeroU32::new(n) {
                Some(n) => n,
                None => NonZeroU32::MIN,
            }
        }
        Self {
            prefix: Prefix::default(),
            acknowledge: Acknowledge::Primary,
            on_failover: OnFailover::RaiseEpoch,
            connections: nonzero(4),
            deadline: Lifetime::from_secs(1),
            waiting: nonzero(4096),
            batch: nonzero(256),
        }
    }
}

/// Who has to have a write before it is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Acknowledge {
    /// The primary. A failover to a replica that lags behind undoes what it had not got.
    Primary,
    /// That many of its replicas as well (`WAIT`). Only if it is *all* of those that may take its
    /// place can no failover undo what was answered.
    Replicas(NonZeroU32),
}

/// What is done when another server has taken a primary's place, or the same one was started again:
/// it may have lost writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OnFailover {
    /// The epoch is raised: whatever was issued before is refused, and people log in again.
    RaiseEpoch,
    /// It is told as a warning, and nothing else is done.
    Report,
}

/// What the names of all keys begin with: 0 to 64 printable ASCII characters, no space, `{` or `}`,
/// which mark what decides about a key's slot. A grant's key of 3 or fewer takes the least memory.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Prefix(String);

/// A text cannot be the prefix of keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidPrefix;

impl fmt::Display for InvalidPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a prefix is 0 to 64 printable ASCII characters without spaces, `{` or `}`")
    }
}

impl std::error::Error for InvalidPrefix {}

impl Prefix {
    /// The text itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Prefix {
    fn default() -> Self {
        Self("mt:".to_owned())
    }
}

impl FromStr for Prefix {
    type Err = InvalidPrefix;

    fn from_str(text: &str) -> Result<Self, InvalidPrefix> {
        let sound =
            text.len() <= 64 && text.bytes().all(|b| b.is_ascii_graphic() && !b"{}".contains(&b));
        if sound { Ok(Self(text.to_owned())) } else { Err(InvalidPrefix) }
    }
}

impl fmt::Debug for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
