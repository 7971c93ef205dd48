//! The key ring: signing keys in this process's memory, turned over on a schedule.

use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use async_trait::async_trait;

use crate::{
    instant::Timestamp,
    keys::{Algorithm, KeyError, KeyId, KeyProvider, KeySet, SigningKey},
    ring::{InvalidSchedule, KeyPhase, Ring, RingKey, RotationSchedule},
};

/// A [`KeyProvider`] that keeps its keys in memory.
///
/// A key goes Next → Current → Retiring → gone ([`KeyPhase`]); which of them it is, its instants and
/// `now` alone decide. A successor is drawn and published by [`rotate`](KeyProvider::rotate), at the
/// earliest `publish_ahead` before it signs; until there is one, the current key signs on, so a
/// forgotten rotation stops nobody.
///
/// The keys end with the process, and every process has its own: tokens do not outlive a restart.
/// Several servers that must accept each other's tokens need a [`fixed`](Self::fixed) ring of one
/// shared key, or a provider that they share.
///
/// ```
/// use mintage::{Algorithm, KeyRing, Lifetime, RotationSchedule, Timestamp};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let schedule = RotationSchedule {
///     publish_ahead: Lifetime::from_hours(1),
///     sign_for: Lifetime::from_hours(24),
///     verify_for: Lifetime::from_hours(13),
/// };
/// let now = Timestamp::from_millis(1_800_000_000_000);
/// let ring = KeyRing::generate(schedule, Algorithm::EdDsa, now)?;
/// assert_eq!(ring.phases(now).len(), 1);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct KeyRing {
    algorithm: Algorithm,
    ring: RwLock<Ring>,
}

/// A ring could not be made.
#[derive(Debug)]
pub enum KeyRingError {
    /// Its schedule cannot be kept.
    Schedule(InvalidSchedule),
    /// Its first key could not be drawn.
    Key(KeyError),
}

impl fmt::Display for KeyRingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Schedule(error) => error.fmt(f),
            Self::Key(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for KeyRingError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Schedule(_) => None,
            Self::Key(error) => error.source(),
        }
    }
}

impl KeyRing {
    /// A ring that starts with a fresh key.
    ///
    /// # Errors
    /// [`KeyRingError`] when the schedule cannot be kept or no key can be drawn.
    pub fn generate(
        schedule: RotationSchedule,
        algorithm: Algorithm,
        now: Timestamp,
    ) -> Result<Self, KeyRingError> {
        let key = SigningKey::generate(algorithm).map_err(KeyRingError::Key)?;
        Self::with_key(schedule, key, now).map_err(KeyRingError::Schedule)
    }

    /// A ring that starts with this key, which signs from `now`. Its successors are fresh keys of
    /// the same algorithm.
    ///
    /// # Errors
    /// [`InvalidSchedule`], saying which rule it breaks.
    pub fn with_key(
        schedule: RotationSchedule,
        key: SigningKey,
        now: Timestamp,
    ) -> Result<Self, InvalidSchedule> {
        Ok(Self::of(Ring::new(schedule)?, key, now))
    }

    /// A ring of this one key, which signs until it is distrusted. The host that loaded it turns it
    /// over.
    #[must_use]
    pub fn fixed(key: SigningKey) -> Self {
        Self::of(Ring::fixed(), key, Timestamp::MIN)
    }

    fn of(empty: Ring, key: SigningKey, now: Timestamp) -> Self {
        let algorithm = key.key_ref().algorithm;
        Self { algorithm, ring: RwLock::new(empty.with_keys([RingKey::from(key, now)])) }
    }

    /// Removes a key at once, for the emergency that someone else may have it: every token that it
    /// signed is refused from now on, and so are retries that it would sign. The next key takes
    /// over, or a fresh one, before verifiers have it in their copy of the key set.
    ///
    /// # Errors
    /// [`KeyErrorKind::UnknownKey`](crate::KeyErrorKind::UnknownKey) when the ring has no such key.
    /// [`KeyErrorKind::Unavailable`](crate::KeyErrorKind::Unavailable) when it is removed and no
    /// other could be drawn: nothing is signed until [`rotate`](KeyProvider::rotate) succeeds.
    pub fn distrust(&self, kid: &KeyId, now: Timestamp) -> Result<(), KeyError> {
        self.write().distrust(kid, now, || SigningKey::generate(self.algorithm))
    }

    /// Every key and where it is in its life at `now`, the oldest first.
    #[must_use]
    pub fn phases(&self, now: Timestamp) -> Vec<(KeyId, KeyPhase)> {
        self.read().phases(now)
    }

    fn read(&self) -> RwLockReadGuard<'_, Ring> {
        self.ring.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Ring> {
        self.ring.write().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl KeyProvider for KeyRing {
    async fn signing_key(
        &self,
        kid: Option<&KeyId>,
        now: Timestamp,
    ) -> Result<SigningKey, KeyError> {
        self.read().signing_key(kid, now)
    }

    async fn verifying_keys(&self, now: Timestamp) -> Result<Arc<KeySet>, KeyError> {
        Ok(self.read().verifying_keys(now))
    }

    async fn rotate(&self, now: Timestamp) -> Result<(), KeyError> {
        self.write().rotate(now, || SigningKey::generate(self.algorithm))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{instant::Lifetime, keys::KeyErrorKind};

    const SCHEDULE: RotationSchedule = RotationSchedule {
        publish_ahead: Lifetime::from_mins(10),
        sign_for: Lifetime::from_mins(60),
        verify_for: Lifetime::from_mins(90),
    };

    fn minute(minutes: u32) -> Timestamp {
        Timestamp::from_millis(1_800_000_000_000).after(Lifetime::from_mins(minutes))
    }

    fn ring() -> KeyRing {
        KeyRing::generate(SCHEDULE, Algorithm::EdDsa, minute(0)).unwrap()
    }

    async fn signer(ring: &KeyRing, now: Timestamp) -> KeyId {
        ring.signing_key(None, now).await.unwrap().key_ref().kid
    }

    async fn verifies(ring: &KeyRing, kid: &KeyId, now: Timestamp) -> bool {
        ring.verifying_keys(now).await.unwrap().get(kid).is_some()
    }

    #[tokio::test]
    async fn a_key_is_published_then_signs_then_retires_then_is_gone() {
        let ring = ring();
        let first = signer(&ring, minute(0)).await;
        ring.rotate(minute(49)).await.unwrap();
        assert_eq!(ring.phases(minute(49)), [(first, KeyPhase::Current)]);

        ring.rotate(minute(50)).await.unwrap();
        ring.rotate(minute(50)).await.unwrap();
        let phases = ring.phases(minute(59));
        let second = phases[1].0;
        assert_eq!(phases, [(first, KeyPhase::Current), (second, KeyPhase::Next)]);
        assert!(verifies(&ring, &second, minute(50)).await);
        assert_eq!(signer(&ring, minute(59)).await, first);

        assert_eq!(signer(&ring, minute(60)).await, second);
        let at_the_end = minute(60 + 90);
        let just_before = at_the_end.before(Lifetime::from_millis(1));
        assert_eq!(ring.phases(just_before)[0], (first, KeyPhase::Retiring));
        assert!(verifies(&ring, &first, just_before).await);
        assert!(ring.signing_key(Some(&first), just_before).await.is_ok());

        assert_eq!(ring.phases(at_the_end)[0], (first, KeyPhase::Gone));
        assert!(!verifies(&ring, &first, at_the_end).await);
        let error = ring.signing_key(Some(&first), at_the_end).await.unwrap_err();
        assert_eq!(error.kind(), KeyErrorKind::UnknownKey);
        ring.rotate(at_the_end).await.unwrap();
        assert!(ring.phases(at_the_end).iter().all(|(kid, _)| *kid != first));
        assert!(!verifies(&ring, &first, at_the_end).await);
    }

    #[tokio::test]
    async fn a_late_rotation_still_publishes_ahead_and_the_old_key_signs_on() {
        let ring = ring();
        let first = signer(&ring, minute(0)).await;
        assert_eq!(signer(&ring, minute(500)).await, first);
        ring.rotate(minute(500)).await.unwrap();
        assert_eq!(signer(&ring, minute(509)).await, first);
        assert_ne!(signer(&ring, minute(510)).await, first);
        assert!(verifies(&ring, &first, minute(599)).await);
        assert!(!verifies(&ring, &first, minute(600)).await);
    }

    #[tokio::test]
    async fn many_rotations_keep_few_keys_and_always_one_that_signs() {
        let ring = ring();
        for now in (0..6000).step_by(7).map(minute) {
            ring.rotate(now).await.unwrap();
            let phases = ring.phases(now);
            let current = phases.iter().filter(|(_, phase)| *phase == KeyPhase::Current);
            assert_eq!(current.count(), 1);
            assert!(phases.len() <= 4, "{phases:?}");
            assert_eq!(ring.verifying_keys(now).await.unwrap().len(), phases.len());
        }
    }

    #[tokio::test]
    async fn a_distrusted_key_is_gone_at_once_and_another_signs() {
        let ring = ring();
        let first = signer(&ring, minute(0)).await;
        ring.rotate(minute(55)).await.unwrap();
        let next = ring.phases(minute(55))[1].0;
        ring.distrust(&first, minute(56)).unwrap();
        assert!(!verifies(&ring, &first, minute(56)).await);
        assert!(ring.signing_key(Some(&first), minute(56)).await.is_err());
        assert_eq!(signer(&ring, minute(56)).await, next);
        assert_eq!(signer(&ring, minute(55)).await, next, "for a clock a little behind, too");

        ring.distrust(&next, minute(57)).unwrap();
        let third = signer(&ring, minute(57)).await;
        assert!(verifies(&ring, &third, minute(57)).await && third != next && third != first);
        let error = ring.distrust(&first, minute(57)).unwrap_err();
        assert_eq!(error.kind(), KeyErrorKind::UnknownKey);
    }

    #[tokio::test]
    async fn when_the_next_key_is_distrusted_the_current_one_signs_on() {
        let ring = ring();
        let first = signer(&ring, minute(0)).await;
        ring.rotate(minute(55)).await.unwrap();
        let next = ring.phases(minute(55))[1].0;
        ring.distrust(&next, minute(56)).unwrap();
        assert_eq!(signer(&ring, minute(70)).await, first);
        ring.rotate(minute(70)).await.unwrap();
        assert_ne!(signer(&ring, minute(80)).await, first);
    }

    #[tokio::test]
    async fn a_fixed_ring_keeps_its_key() {
        let ring = KeyRing::fixed(SigningKey::generate(Algorithm::Ed25519).unwrap());
        let kid = signer(&ring, minute(0)).await;
        ring.rotate(Timestamp::MAX).await.unwrap();
        assert_eq!(signer(&ring, Timestamp::MAX).await, kid);
        ring.distrust(&kid, minute(1)).unwrap();
        assert_ne!(signer(&ring, minute(1)).await, kid);
    }

    #[test]
    fn a_schedule_that_cannot_be_kept_is_refused() {
        let with = |change: fn(&mut RotationSchedule)| {
            let mut schedule = SCHEDULE;
            change(&mut schedule);
            schedule.check().unwrap_err()
        };
        assert_eq!(with(|s| s.sign_for = Lifetime::ZERO), InvalidSchedule::SignsForNoTime);
        assert_eq!(
            with(|s| s.publish_ahead = Lifetime::from_mins(61)),
            InvalidSchedule::PublishedTooEarly
        );
        assert_eq!(with(|s| s.verify_for = Lifetime::ZERO), InvalidSchedule::VerifiesForNoTime);
        assert_eq!(with(|s| s.verify_for = Lifetime::MAX), InvalidSchedule::TooManyKeys);
        assert!(SCHEDULE.check().is_ok());
        let bad = RotationSchedule { sign_for: Lifetime::ZERO, ..SCHEDULE };
        assert!(KeyRing::generate(bad, Algorithm::EdDsa, minute(0)).is_err());
    }
}
