//! Instants and lifetimes: whole milliseconds, in the types that say so.

use std::{fmt, time::Duration};

use time::OffsetDateTime;

/// An instant: whole milliseconds since 1970-01-01T00:00:00Z, from there to the end of the year
/// 9999.
///
/// What a record keeps and a store compares. The host's own instants are
/// [`OffsetDateTime`]; they become this once, at the clock, and anything finer than a millisecond
/// is cut off there, so that every store judges by the very same number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

impl Timestamp {
    /// 1970-01-01T00:00:00Z.
    pub const MIN: Self = Self(0);
    /// 9999-12-31T23:59:59.999Z.
    pub const MAX: Self = Self(253_402_300_799_999);

    /// The instant `millis` milliseconds after 1970, held within [`MIN`](Self::MIN) and
    /// [`MAX`](Self::MAX).
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        if millis < Self::MIN.0 {
            Self::MIN
        } else if millis > Self::MAX.0 {
            Self::MAX
        } else {
            Self(millis)
        }
    }

    /// Milliseconds since 1970; never negative.
    #[must_use]
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Seconds since 1970, rounded down: a JWT's `NumericDate` (RFC 7519 §2).
    #[must_use]
    pub const fn as_secs(self) -> i64 {
        self.0 / 1000
    }

    /// This much later, at most [`MAX`](Self::MAX).
    #[must_use]
    pub const fn after(self, lifetime: Lifetime) -> Self {
        Self::from_millis(self.0 + lifetime.as_millis())
    }

    /// This much earlier, at least [`MIN`](Self::MIN).
    #[must_use]
    pub const fn before(self, lifetime: Lifetime) -> Self {
        Self::from_millis(self.0 - lifetime.as_millis())
    }

    /// How long after `earlier` this is; zero when it is not.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0).max(0).unsigned_abs())
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}ms", self.0)
    }
}

impl From<OffsetDateTime> for Timestamp {
    /// Cuts to the millisecond.
    fn from(at: OffsetDateTime) -> Self {
        Self::from_millis(at.unix_timestamp() * 1000 + i64::from(at.millisecond()))
    }
}

impl From<Timestamp> for OffsetDateTime {
    fn from(at: Timestamp) -> Self {
        // `time` counts to the end of 9999 as we do, so the sum stays within its range.
        OffsetDateTime::UNIX_EPOCH + Duration::from_millis(at.0.unsigned_abs())
    }
}

impl From<std::time::SystemTime> for Timestamp {
    fn from(at: std::time::SystemTime) -> Self {
        match at.duration_since(std::time::UNIX_EPOCH) {
            Ok(since) => Self::from_millis(i64::try_from(since.as_millis()).unwrap_or(Self::MAX.0)),
            Err(_) => Self::MIN,
        }
    }
}

/// A length of time: whole milliseconds, never negative, at most [`Lifetime::MAX`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lifetime(i64);

/// A length of time was negative or longer than [`Lifetime::MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidLifetime;

impl fmt::Display for InvalidLifetime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a lifetime must be between 0 and 366 days")
    }
}

impl std::error::Error for InvalidLifetime {}

impl Lifetime {
    /// No time at all.
    pub const ZERO: Self = Self(0);
    /// 366 days.
    pub const MAX: Self = Self(366 * 24 * 60 * 60 * 1000);

    /// So many milliseconds, at most [`MAX`](Self::MAX).
    #[must_use]
    pub const fn from_millis(millis: u32) -> Self {
        Self::at_most_max(millis as i64)
    }

    /// So many seconds, at most [`MAX`](Self::MAX).
    #[must_use]
    pub const fn from_secs(secs: u32) -> Self {
        Self::at_most_max(secs as i64 * 1000)
    }

    /// So many minutes, at most [`MAX`](Self::MAX).
    #[must_use]
    pub const fn from_mins(mins: u32) -> Self {
        Self::at_most_max(mins as i64 * 60_000)
    }

    /// So many hours, at most [`MAX`](Self::MAX).
    #[must_use]
    pub const fn from_hours(hours: u32) -> Self {
        Self::at_most_max(hours as i64 * 3_600_000)
    }

    /// Its length in milliseconds.
    #[must_use]
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// The two together, at most [`MAX`](Self::MAX).
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self::at_most_max(self.0 + other.0)
    }

    const fn at_most_max(millis: i64) -> Self {
        if millis > Self::MAX.0 { Self::MAX } else { Self(millis) }
    }
}

impl fmt::Debug for Lifetime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}ms", self.0)
    }
}

impl TryFrom<Duration> for Lifetime {
    type Error = InvalidLifetime;
    fn try_from(length: Duration) -> Result<Self, InvalidLifetime> {
        match i64::try_from(length.as_millis()) {
            Ok(millis) if millis <= Self::MAX.0 => Ok(Self(millis)),
            _ => Err(InvalidLifetime),
        }
    }
}

impl TryFrom<time::Duration> for Lifetime {
    type Error = InvalidLifetime;
    fn try_from(length: time::Duration) -> Result<Self, InvalidLifetime> {
        Duration::try_from(length).map_err(|_| InvalidLifetime)?.try_into()
    }
}

impl From<Lifetime> for Duration {
    fn from(lifetime: Lifetime) -> Self {
        Duration::from_millis(lifetime.0.unsigned_abs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_is_cut_to_the_millisecond_and_comes_back() {
        let at = OffsetDateTime::UNIX_EPOCH + Duration::from_nanos(1_700_000_000_123_999_999);
        let cut = Timestamp::from(at);
        assert_eq!(cut.as_millis(), 1_700_000_000_123);
        assert_eq!(cut.as_secs(), 1_700_000_000);
        assert_eq!(Timestamp::from(OffsetDateTime::from(cut)), cut);
        assert_eq!(OffsetDateTime::from(Timestamp::MAX).year(), 9999);
    }

    #[test]
    fn arithmetic_stays_within_its_bounds() {
        assert_eq!(Timestamp::MAX.after(Lifetime::MAX), Timestamp::MAX);
        assert_eq!(Timestamp::MIN.before(Lifetime::MAX), Timestamp::MIN);
        assert_eq!(Timestamp::MIN.since(Timestamp::MAX), Duration::ZERO);
        assert_eq!(Lifetime::from_hours(u32::MAX), Lifetime::MAX);
    }

    #[test]
    fn a_negative_or_endless_lifetime_is_refused() {
        assert!(Lifetime::try_from(time::Duration::seconds(-1)).is_err());
        assert!(Lifetime::try_from(Duration::MAX).is_err());
        assert_eq!(Lifetime::try_from(Duration::from_secs(1)), Ok(Lifetime::from_secs(1)));
    }
}
