//! What the host decides: lifetimes, windows, demands.

use std::fmt;

use crate::{
    grant::OnReplay, instant::Lifetime, ring::RotationSchedule, store::Grade, verifier::Leeway,
};

/// How long a token lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenLifetime {
    /// It ends when nobody used it for so long. The live check sees this; a stateless verifier
    /// does not.
    pub idle: Lifetime,
    /// It ends then at the latest: the `exp` claim.
    pub absolute: Lifetime,
}

/// What the host decides. [`Policy::default`] is a sound start; override by name:
///
/// ```
/// use mintage::{Lifetime, Policy};
///
/// let policy = Policy { one_time: Lifetime::from_secs(30), ..Policy::default() };
/// # assert_eq!(policy.retry_window, Lifetime::from_secs(30));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// How long a one-time token can be spent, where its issuer does not say. 60 s.
    pub one_time: Lifetime,
    /// The auth token. Idle 5 min, absolute 12 h.
    pub login: TokenLifetime,
    /// The access token. Idle 5 min, absolute 60 min.
    pub access: TokenLifetime,
    /// How long a step-up lasts; `None`: as long as the grant. `None`.
    pub stepped_up_for: Option<Lifetime>,
    /// How old a client assertion may be. 300 s.
    pub assertion_max_age: Lifetime,
    /// By how much an idle deadline must grow to be worth a write. A grant may idle out up to so
    /// much early, never late. 15 s.
    pub idle_granularity: Lifetime,
    /// How long the same attempt gets the same answer. 30 s.
    pub retry_window: Lifetime,
    /// How far the clocks of nodes may lie apart, and a clock may step back. 5 s.
    pub max_skew: Lifetime,
    /// What a replay does to the grant that the token bought. It revokes it (RFC 9700 §2.1.1).
    pub on_replay: OnReplay,
    /// Ask the resolver again when a one-time token is exchanged, and not only when it is issued.
    /// Costs one more round trip to the store. No.
    pub resolve_at_exchange: bool,
    /// The grade that the store must have. `Volatile`: any.
    pub required_grade: RequiredGrade,
    /// How long the engine waits for one answer of a store, key provider, resolver or registry.
    /// 2 s.
    pub deadline: Lifetime,
}

/// The least grade of the store, by what it is to keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequiredGrade {
    /// For one-time tokens.
    pub one_time: Grade,
    /// For whatever is `STEPPED_UP`.
    pub stepped_up: Grade,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            one_time: Lifetime::from_secs(60),
            login: TokenLifetime {
                idle: Lifetime::from_mins(5),
                absolute: Lifetime::from_hours(12),
            },
            access: TokenLifetime {
                idle: Lifetime::from_mins(5),
                absolute: Lifetime::from_mins(60),
            },
            stepped_up_for: None,
            assertion_max_age: Lifetime::from_secs(300),
            idle_granularity: Lifetime::from_secs(15),
            retry_window: Lifetime::from_secs(30),
            max_skew: Lifetime::from_secs(5),
            on_replay: OnReplay::Revoke,
            resolve_at_exchange: false,
            required_grade: RequiredGrade {
                one_time: Grade::Volatile,
                stepped_up: Grade::Volatile,
            },
            deadline: Lifetime::from_secs(2),
        }
    }
}

/// A policy contradicts itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidPolicy(&'static str);

impl fmt::Display for InvalidPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the policy contradicts itself: {}", self.0)
    }
}

impl std::error::Error for InvalidPolicy {}

impl Policy {
    /// The schedule of keys that sign for `sign_for`, each published `publish_ahead` before: a key
    /// stays published until the last token that it signed under this policy is dead.
    #[must_use]
    pub fn rotation(&self, publish_ahead: Lifetime, sign_for: Lifetime) -> RotationSchedule {
        let longest = self.login.absolute.max(self.access.absolute);
        RotationSchedule {
            publish_ahead,
            sign_for,
            verify_for: longest.plus(Leeway::MAX.as_lifetime()),
        }
    }

    /// Whether the parts agree with each other.
    pub(crate) fn check(&self) -> Result<(), InvalidPolicy> {
        let second = Lifetime::from_secs(1);
        let rules = [
            (self.one_time >= second, "`one_time` must be at least 1 s"),
            (self.login.idle >= second, "`login.idle` must be at least 1 s"),
            (self.access.idle >= second, "`access.idle` must be at least 1 s"),
            (self.login.idle <= self.login.absolute, "`login.idle` exceeds `login.absolute`"),
            (self.access.idle <= self.access.absolute, "`access.idle` exceeds `access.absolute`"),
            (
                self.idle_granularity < self.login.idle && self.idle_granularity < self.access.idle,
                "`idle_granularity` must be shorter than both idle lifetimes",
            ),
            (
                self.stepped_up_for.is_none_or(|length| length >= second),
                "`stepped_up_for` must be at least 1 s",
            ),
            (self.assertion_max_age >= second, "`assertion_max_age` must be at least 1 s"),
            (self.max_skew <= Lifetime::from_secs(60), "`max_skew` must be at most 60 s"),
            (
                self.deadline > Lifetime::ZERO && self.deadline <= Lifetime::from_secs(30),
                "`deadline` must be longer than nothing and at most 30 s",
            ),
            (
                self.retry_window >= second && self.retry_window <= self.access.idle,
                "`retry_window` must be at least 1 s and at most `access.idle`",
            ),
        ];
        match rules.iter().find(|(holds, _)| !holds) {
            Some((_, broken)) => Err(InvalidPolicy(broken)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_agrees_with_itself() {
        assert_eq!(Policy::default().check(), Ok(()));
    }

    #[test]
    fn a_contradiction_is_named() {
        let access =
            TokenLifetime { idle: Lifetime::from_mins(9), absolute: Lifetime::from_mins(8) };
        let refused = Policy { access, ..Policy::default() }.check().unwrap_err();
        assert!(refused.to_string().contains("`access.idle` exceeds"), "{refused}");
        let zero = Policy { one_time: Lifetime::ZERO, ..Policy::default() };
        assert!(zero.check().is_err());
    }
}
