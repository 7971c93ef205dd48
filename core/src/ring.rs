//! The rules by which signing keys turn over, without a lock and without I/O.

use std::{fmt, sync::Arc};

use crate::{
    instant::{Lifetime, Timestamp},
    keys::{KeyError, KeyErrorKind, KeyId, KeySet, SigningKey},
};

/// Signing keys in the order in which they sign, and the rules by which they turn over.
///
/// A key goes Next → Current → Retiring → gone ([`KeyPhase`]); which of them it is, its instants and
/// `now` alone decide. The last key has no end: it signs until it has a successor, so a forgotten
/// rotation stops nobody.
///
/// A [`KeyRing`](crate::KeyRing) is one behind a lock. A [`KeyProvider`](crate::KeyProvider) that
/// keeps its keys elsewhere reads them, makes a ring [of them](Self::with_keys), lets it turn, and
/// writes back what it then [has](Self::keys).
///
/// ```
/// use mintage::{Algorithm, KeyPhase, Lifetime, Ring, RotationSchedule, SigningKey, Timestamp};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut ring = Ring::new(RotationSchedule {
///     publish_ahead: Lifetime::from_hours(1),
///     sign_for: Lifetime::from_hours(24),
///     verify_for: Lifetime::from_hours(13),
/// })?;
/// let draw = || SigningKey::generate(Algorithm::EdDsa);
/// let now = Timestamp::from_millis(1_800_000_000_000);
/// ring.rotate(now, draw)?;
/// let later = now.after(Lifetime::from_hours(23));
/// ring.rotate(later, draw)?;
/// let phases = ring.phases(later).into_iter().map(|(_, phase)| phase);
/// assert_eq!(phases.collect::<Vec<_>>(), [KeyPhase::Current, KeyPhase::Next]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Ring {
    schedule: Option<RotationSchedule>,
    /// In the order in which they sign.
    keys: Vec<RingKey>,
    /// All of them, for those who verify.
    published: Arc<KeySet>,
}

/// A key of a [`Ring`], and when it signs.
#[derive(Debug, Clone)]
pub struct RingKey {
    /// The key.
    pub key: SigningKey,
    /// The first instant at which it signs.
    pub signs_from: Timestamp,
    /// The first instant at which it does so no more: its successor does. None: it has none yet.
    pub signs_until: Option<Timestamp>,
}

/// How the keys of a [`Ring`] turn over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RotationSchedule {
    /// How long a key is published before it signs: as long as a verifier may keep a fetched key
    /// set. At most `sign_for`.
    pub publish_ahead: Lifetime,
    /// How long it signs.
    pub sign_for: Lifetime,
    /// How long it is still published after that: the longest life of a token (the login's 12 h, not
    /// the access token's), and the verifiers' leeway.
    pub verify_for: Lifetime,
}

/// A schedule that cannot be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidSchedule {
    /// `sign_for` is zero.
    SignsForNoTime,
    /// `publish_ahead` is longer than `sign_for`: more than one key would be waiting.
    PublishedTooEarly,
    /// `verify_for` is zero: a token would die with the rotation after it.
    VerifiesForNoTime,
    /// `verify_for` is more than 64 times `sign_for`: more keys than verifiers should be given.
    TooManyKeys,
}

impl fmt::Display for InvalidSchedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SignsForNoTime => "`sign_for` must not be zero",
            Self::PublishedTooEarly => "`publish_ahead` must not be longer than `sign_for`",
            Self::VerifiesForNoTime => "`verify_for` must not be zero",
            Self::TooManyKeys => "`verify_for` must not be longer than 64 times `sign_for`",
        })
    }
}

impl std::error::Error for InvalidSchedule {}

impl RotationSchedule {
    /// Checks that the schedule can be kept.
    ///
    /// # Errors
    /// [`InvalidSchedule`], saying which rule it breaks.
    pub fn check(&self) -> Result<(), InvalidSchedule> {
        if self.sign_for == Lifetime::ZERO {
            Err(InvalidSchedule::SignsForNoTime)
        } else if self.publish_ahead > self.sign_for {
            Err(InvalidSchedule::PublishedTooEarly)
        } else if self.verify_for == Lifetime::ZERO {
            Err(InvalidSchedule::VerifiesForNoTime)
        } else if self.verify_for.as_millis() / 64 > self.sign_for.as_millis() {
            Err(InvalidSchedule::TooManyKeys)
        } else {
            Ok(())
        }
    }
}

/// Where a key of a [`Ring`] is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyPhase {
    /// Published; does not sign yet.
    Next,
    /// Signs.
    Current,
    /// Published until the last token that it signed is dead; signs retries only.
    Retiring,
    /// Neither signs nor verifies.
    Gone,
}

impl Ring {
    /// A ring of no key yet; the first [`rotate`](Self::rotate) draws it.
    ///
    /// # Errors
    /// [`InvalidSchedule`], saying which rule it breaks.
    pub fn new(schedule: RotationSchedule) -> Result<Self, InvalidSchedule> {
        schedule.check()?;
        Ok(Self { schedule: Some(schedule), ..Self::fixed() })
    }

    /// A ring of no key yet, whose key will have no successor unless it is distrusted.
    #[must_use]
    pub fn fixed() -> Self {
        Self { schedule: None, keys: Vec::new(), published: Arc::default() }
    }

    /// The same ring, with these keys in the place of its own, in any order.
    #[must_use]
    pub fn with_keys(mut self, keys: impl IntoIterator<Item = RingKey>) -> Self {
        self.keys = keys.into_iter().collect();
        // What has no end is the last.
        self.keys.sort_by_key(|key| (key.signs_from, key.signs_until.unwrap_or(Timestamp::MAX)));
        self.publish();
        self
    }

    /// Its keys, in the order in which they sign.
    #[must_use]
    pub fn keys(&self) -> &[RingKey] {
        &self.keys
    }

    /// Every key and where it is in its life at `now`, the oldest first.
    #[must_use]
    pub fn phases(&self, now: Timestamp) -> Vec<(KeyId, KeyPhase)> {
        self.keys.iter().map(|key| (key.kid(), key.phase(self.verify_for(), now))).collect()
    }

    /// The key that signs at `now` for `None`; for `Some`, that very key, unless it is gone.
    ///
    /// # Errors
    /// [`KeyErrorKind::UnknownKey`] when there is no such key, or no longer.
    /// [`KeyErrorKind::Unavailable`] when no key signs.
    pub fn signing_key(&self, kid: Option<&KeyId>, now: Timestamp) -> Result<SigningKey, KeyError> {
        let mut keys = self.keys.iter();
        let (found, missing) = match kid {
            // A clock a little behind the one that saw a rotation finds no key that signs yet, and
            // takes the one that is about to.
            None => (
                keys.find(|key| key.phase(self.verify_for(), now) <= KeyPhase::Current),
                KeyErrorKind::Unavailable,
            ),
            Some(kid) => (
                keys.find(|key| key.kid() == *kid && !key.is_gone(self.verify_for(), now)),
                KeyErrorKind::UnknownKey,
            ),
        };
        found.map(|key| key.key.clone()).ok_or_else(|| KeyError::new(missing))
    }

    /// Every key under which a token is accepted at `now`: Next, Current and Retiring.
    #[must_use]
    pub fn verifying_keys(&self, now: Timestamp) -> Arc<KeySet> {
        let gone = |key: &&RingKey| key.is_gone(self.verify_for(), now);
        if self.keys.iter().any(|key| gone(&key)) {
            let live = self.keys.iter().filter(|key| !gone(key));
            return Arc::new(KeySet::new(live.map(|key| key.key.verifying_key().clone())));
        }
        Arc::clone(&self.published)
    }

    /// Drops what is gone at `now`, sees to it that a key signs, and publishes the successor of the
    /// newest key once its time has come: `publish_ahead` before it signs, or later.
    ///
    /// # Errors
    /// What `draw` gives, which draws a fresh key. What is gone is dropped all the same.
    pub fn rotate(
        &mut self,
        now: Timestamp,
        mut draw: impl FnMut() -> Result<SigningKey, KeyError>,
    ) -> Result<(), KeyError> {
        let verify_for = self.verify_for();
        self.keys.retain(|key| !key.is_gone(verify_for, now));
        let done = self.fill_gap(now, &mut draw);
        let done = done.and_then(|()| self.draw_successor(now, draw));
        self.publish();
        done
    }

    /// Removes a key at once. The next key takes over at `now`, or a fresh one, before verifiers
    /// have it in their copy of the key set.
    ///
    /// # Errors
    /// [`KeyErrorKind::UnknownKey`] when the ring has no such key. What `draw` gives, which draws a
    /// fresh key: the other is removed all the same, and nothing is signed until
    /// [`rotate`](Self::rotate) succeeds.
    pub fn distrust(
        &mut self,
        kid: &KeyId,
        now: Timestamp,
        draw: impl FnOnce() -> Result<SigningKey, KeyError>,
    ) -> Result<(), KeyError> {
        let before = self.keys.len();
        self.keys.retain(|key| key.kid() != *kid);
        if self.keys.len() == before {
            return Err(KeyError::new(KeyErrorKind::UnknownKey));
        }
        let done = self.fill_gap(now, draw);
        self.publish();
        done
    }

    /// Sees to it that a key signs at `now`: the last of the ring, or a fresh one.
    fn fill_gap(
        &mut self,
        now: Timestamp,
        draw: impl FnOnce() -> Result<SigningKey, KeyError>,
    ) -> Result<(), KeyError> {
        let verify_for = self.verify_for();
        if let Some(last) = self.keys.last_mut()
            && last.phase(verify_for, now) <= KeyPhase::Current
        {
            last.signs_until = None;
        }
        if self.keys.iter().any(|key| key.phase(verify_for, now) == KeyPhase::Current) {
            return Ok(());
        }
        match self.keys.last_mut() {
            Some(last) if last.signs_until.is_none() => last.signs_from = now,
            _ => self.keys.push(RingKey::from(draw()?, now)),
        }
        Ok(())
    }

    /// Publishes the successor of the newest key once its time has come.
    fn draw_successor(
        &mut self,
        now: Timestamp,
        draw: impl FnOnce() -> Result<SigningKey, KeyError>,
    ) -> Result<(), KeyError> {
        let (Some(schedule), Some(newest)) = (self.schedule, self.keys.last_mut()) else {
            return Ok(());
        };
        let due = newest.signs_from.after(schedule.sign_for);
        if now < newest.signs_from || now < due.before(schedule.publish_ahead) {
            return Ok(());
        }
        let successor = draw()?;
        let takes_over = due.max(now.after(schedule.publish_ahead));
        newest.signs_until = Some(takes_over);
        self.keys.push(RingKey::from(successor, takes_over));
        Ok(())
    }

    fn publish(&mut self) {
        let keys = self.keys.iter().map(|key| key.key.verifying_key().clone());
        self.published = Arc::new(KeySet::new(keys));
    }

    fn verify_for(&self) -> Lifetime {
        self.schedule.map_or(Lifetime::ZERO, |schedule| schedule.verify_for)
    }
}

impl RingKey {
    pub(crate) const fn from(key: SigningKey, signs_from: Timestamp) -> Self {
        Self { key, signs_from, signs_until: None }
    }

    /// Its id.
    #[must_use]
    pub fn kid(&self) -> KeyId {
        self.key.key_ref().kid
    }

    fn phase(&self, verify_for: Lifetime, now: Timestamp) -> KeyPhase {
        match self.signs_until {
            Some(end) if now >= end.after(verify_for) => KeyPhase::Gone,
            Some(end) if now >= end => KeyPhase::Retiring,
            _ if now < self.signs_from => KeyPhase::Next,
            _ => KeyPhase::Current,
        }
    }

    fn is_gone(&self, verify_for: Lifetime, now: Timestamp) -> bool {
        self.phase(verify_for, now) == KeyPhase::Gone
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::Algorithm;

    const SCHEDULE: RotationSchedule = RotationSchedule {
        publish_ahead: Lifetime::from_mins(10),
        sign_for: Lifetime::from_mins(60),
        verify_for: Lifetime::from_mins(90),
    };

    fn minute(minutes: u32) -> Timestamp {
        Timestamp::from_millis(1_800_000_000_000).after(Lifetime::from_mins(minutes))
    }

    fn draw() -> Result<SigningKey, KeyError> {
        SigningKey::generate(Algorithm::EdDsa)
    }

    fn no_key() -> Result<SigningKey, KeyError> {
        Err(KeyError::new(KeyErrorKind::Unavailable))
    }

    #[test]
    fn keys_that_were_written_and_read_again_go_on_where_they_were() {
        let mut ring = Ring::new(SCHEDULE).unwrap();
        for now in (0..1000).step_by(7).map(minute) {
            ring.rotate(now, draw).unwrap();
            let mut keys = ring.keys().to_vec();
            keys.reverse();
            let again = ring.clone().with_keys(keys);
            assert_eq!(again.phases(now), ring.phases(now));
            assert_eq!(again.verifying_keys(now), ring.verifying_keys(now));
            ring = again;
        }
    }

    #[test]
    fn where_no_key_can_be_drawn_what_is_gone_goes_and_what_signs_signs_on() {
        let mut ring = Ring::new(SCHEDULE).unwrap();
        assert!(ring.rotate(minute(0), no_key).is_err());
        assert!(ring.keys().is_empty() && ring.signing_key(None, minute(0)).is_err());

        ring.rotate(minute(0), draw).unwrap();
        ring.rotate(minute(50), draw).unwrap();
        assert!(ring.rotate(minute(200), no_key).is_err());
        assert_eq!(ring.keys().len(), 1);
        assert_eq!(ring.verifying_keys(minute(200)).len(), 1);
        assert!(ring.signing_key(None, minute(200)).is_ok());

        let last = ring.keys()[0].kid();
        assert!(ring.distrust(&last, minute(201), no_key).is_err());
        assert!(ring.verifying_keys(minute(201)).is_empty());
    }
}
