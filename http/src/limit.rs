//! Rate limits: the seam, the windows, and what a 429 says.

use std::{fmt, num::NonZeroU32, str::FromStr, sync::Arc, time::Duration};

use axum::http::{HeaderMap, HeaderName, header::RETRY_AFTER};
use mintage::{Client, Locator, Tenant};
use time::OffsetDateTime;

use crate::wire::set;

#[cfg(feature = "governor")]
mod governor;

#[cfg(feature = "governor")]
pub use self::governor::Governor;

/// Counts calls, and says when there are too many.
///
/// It is asked on the caller's task, before a body is read or the engine is called: it must not
/// block. One that never refuses lets a single client keep the store busy; one that refuses wrongly
/// keeps honest clients out.
///
/// Calls without a known `api-key` are not counted: what an unknown caller may cost is for the
/// server in front, which sees addresses.
pub trait Limiter: fmt::Debug + Send + Sync + 'static {
    /// Counts one call for `key` at `now`.
    ///
    /// # Errors
    /// [`Exceeded`] when it is one too many.
    fn check(&self, key: LimitKey<'_>, now: OffsetDateTime) -> Result<(), Exceeded>;

    /// Forgets the keys that have not been used for so long that they are as good as new. Called
    /// now and then by housekeeping.
    fn prune(&self, now: OffsetDateTime);
}

/// What a call is counted for. Every call of a known client is counted for that client; an exchange
/// with a well-formed one-time token is counted for the token's locator as well.
///
/// The locator is read from the token's text, so anybody with an api-key can make one up: it is
/// counted per tenant, so that no tenant can use up another's limit. A Bearer's credential is known
/// only once its signature is checked, so those calls count for the client alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LimitKey<'a> {
    /// The calling application.
    Client(&'a Client),
    /// The credential that a one-time token says it is for.
    Locator(&'a Tenant, Locator),
}

/// A call was one too many.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exceeded {
    /// The window that it did not fit into.
    pub window: Window,
    /// All windows in force for this key.
    pub in_force: Windows,
    /// How long until a call may pass again.
    pub retry_after: Duration,
}

impl Exceeded {
    /// `x-ratelimit-limit`: the limit that was exceeded, then all in force; `x-ratelimit-reset` and
    /// `Retry-After`: whole seconds until a call may pass again, rounded up, at least 1.
    pub(crate) fn tell(&self, headers: &mut HeaderMap) {
        const LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
        const RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");
        let seconds = self.retry_after.as_millis().max(1).div_ceil(1000).to_string();
        set(headers, LIMIT, &format!("{}, {}", self.window.limit, self.in_force));
        set(headers, RESET, &seconds);
        set(headers, RETRY_AFTER, &seconds);
    }
}

impl fmt::Display for Exceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "more calls than {} allows", self.window)
    }
}

impl std::error::Error for Exceeded {}

/// Lets every call pass.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoLimit;

impl Limiter for NoLimit {
    fn check(&self, _: LimitKey<'_>, _: OffsetDateTime) -> Result<(), Exceeded> {
        Ok(())
    }

    fn prune(&self, _: OffsetDateTime) {}
}

/// So many calls in so many seconds. Its text is that of the header: `20;w=3600`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Window {
    /// How many calls.
    pub limit: NonZeroU32,
    /// In how many seconds.
    pub secs: NonZeroU32,
}

/// Several windows at once: a call must fit into each. Never empty; cheap to clone.
///
/// ```
/// use mintage_http::Windows;
///
/// let windows: Windows = "10;w=60, 20;w=3600".parse()?;
/// assert_eq!(windows.iter().count(), 2);
/// assert_eq!(windows.to_string(), "10;w=60, 20;w=3600");
/// # Ok::<(), mintage_http::InvalidWindow>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Windows(Arc<[Window]>);

/// A text is no list of windows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidWindow;

impl fmt::Display for InvalidWindow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a rate limit is written as calls;w=seconds, such as `5;w=60`, both at least 1")
    }
}

impl std::error::Error for InvalidWindow {}

impl Windows {
    /// The windows, in the order in which they were given.
    pub fn iter(&self) -> impl Iterator<Item = Window> {
        self.0.iter().copied()
    }
}

impl From<Window> for Windows {
    fn from(window: Window) -> Self {
        Self(Arc::from([window]))
    }
}

impl FromStr for Window {
    type Err = InvalidWindow;

    fn from_str(text: &str) -> Result<Self, InvalidWindow> {
        let (limit, secs) = text.split_once(";w=").ok_or(InvalidWindow)?;
        Ok(Self { limit: number(limit)?, secs: number(secs)? })
    }
}

impl FromStr for Windows {
    type Err = InvalidWindow;

    fn from_str(text: &str) -> Result<Self, InvalidWindow> {
        text.split(',').map(|window| window.trim().parse()).collect::<Result<_, _>>().map(Self)
    }
}

fn number(text: &str) -> Result<NonZeroU32, InvalidWindow> {
    // `parse` would take a plus sign.
    if text.starts_with('+') {
        return Err(InvalidWindow);
    }
    text.parse().map_err(|_| InvalidWindow)
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{};w={}", self.limit, self.secs)
    }
}

impl fmt::Display for Windows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, window) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{window}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn windows_come_back_from_their_text(
            numbers in proptest::collection::vec((1..=u32::MAX, 1..=u32::MAX), 1..5),
        ) {
            let number = |n| NonZeroU32::new(n).unwrap();
            let windows = numbers.iter().map(|(l, s)| Window { limit: number(*l), secs: number(*s) });
            let windows = Windows(windows.collect());
            prop_assert_eq!(windows.to_string().parse(), Ok(windows));
        }
    }

    #[test]
    fn what_is_no_window_is_refused() {
        for bad in ["", "5", "5;w=", "0;w=60", "5;w=0", "-5;w=60", "+5;w=60", "5;w=60,", "5; w=60"]
        {
            assert_eq!(bad.parse::<Windows>(), Err(InvalidWindow), "{bad}");
        }
    }

    #[test]
    fn the_headers_tell_the_limit_exceeded_and_then_all() {
        let in_force: Windows = "10;w=60, 20;w=3600".parse().unwrap();
        let window = in_force.iter().nth(1).unwrap();
        let retry_after = Duration::from_millis(1001);
        let mut headers = HeaderMap::new();
        Exceeded { window, in_force, retry_after }.tell(&mut headers);
        assert_eq!(headers["x-ratelimit-limit"], "20, 10;w=60, 20;w=3600");
        assert_eq!(headers["x-ratelimit-reset"], "2");
        assert_eq!(headers["retry-after"], "2");
    }
}
