//! The limiter on top of `governor` (feature `governor`), on the engine's clock.

use std::{
    cmp::max,
    fmt,
    hash::Hash,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use governor::{
    Quota, RateLimiter, clock, middleware::NoOpMiddleware, nanos::Nanos,
    state::keyed::HashMapStateStore,
};
use mintage::{Client, Locator, Tenant};
use time::OffsetDateTime;

use super::{Exceeded, LimitKey, Limiter, Window, Windows};

/// Limits by the generic cell rate algorithm: a window of 5 calls in 60 s lets 5 pass at once, and
/// then one every 12 s.
///
/// The windows of a key are asked from the shortest to the longest, and a call that one of them
/// refuses has been counted in the shorter ones: whoever goes on calling while a long window is
/// used up may find a short one used up too.
///
/// ```
/// use mintage_http::Governor;
///
/// let limiter = Governor::new(&"100;w=1, 1000;w=60".parse()?, &"20;w=60".parse()?);
/// # Ok::<(), mintage_http::InvalidWindow>(())
/// ```
pub struct Governor {
    clients: Keyed<Client>,
    locators: Keyed<(Tenant, Locator)>,
}

impl Governor {
    /// With these windows for each client, and for each locator.
    #[must_use]
    pub fn new(per_client: &Windows, per_locator: &Windows) -> Self {
        Self { clients: Keyed::new(per_client), locators: Keyed::new(per_locator) }
    }
}

impl Limiter for Governor {
    fn check(&self, key: LimitKey<'_>, now: OffsetDateTime) -> Result<(), Exceeded> {
        match key {
            LimitKey::Client(client) => self.clients.check(client, now),
            LimitKey::Locator(tenant, locator) => {
                self.locators.check(&(tenant.clone(), locator), now)
            }
        }
    }

    fn prune(&self, now: OffsetDateTime) {
        self.clients.prune(now);
        self.locators.prune(now);
    }
}

impl fmt::Debug for Governor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Governor")
            .field("per_client", &self.clients.in_force)
            .field("per_locator", &self.locators.in_force)
            .finish()
    }
}

/// The windows of one kind of key.
struct Keyed<K: Hash + Eq + Clone> {
    in_force: Windows,
    clock: Hands,
    /// From the shortest to the longest.
    windows: Vec<(Window, Counted<K>)>,
}

type Counted<K> = RateLimiter<K, HashMapStateStore<K>, Hands, NoOpMiddleware<Nanos>>;

impl<K: Hash + Eq + Clone> Keyed<K> {
    fn new(in_force: &Windows) -> Self {
        let clock = Hands::default();
        let mut windows: Vec<_> = in_force
            .iter()
            .map(|window| (window, RateLimiter::hashmap_with_clock(quota(window), clock.clone())))
            .collect();
        windows.sort_by_key(|(window, _)| window.secs);
        Self { in_force: in_force.clone(), clock, windows }
    }

    fn check(&self, key: &K, now: OffsetDateTime) -> Result<(), Exceeded> {
        let now = self.clock.set(now);
        for (window, counted) in &self.windows {
            counted.check_key(key).map_err(|not_until| Exceeded {
                window: *window,
                in_force: self.in_force.clone(),
                retry_after: not_until.wait_time_from(now),
            })?;
        }
        Ok(())
    }

    fn prune(&self, now: OffsetDateTime) {
        self.clock.set(now);
        for (_, counted) in &self.windows {
            counted.retain_recent();
            counted.shrink_to_fit();
        }
    }
}

fn quota(window: Window) -> Quota {
    let each = Duration::from_secs(window.secs.get().into()) / window.limit.get();
    let each = max(each, Duration::from_nanos(1));
    Quota::with_period(each)
        .unwrap_or_else(|| Quota::per_second(window.limit))
        .allow_burst(window.limit)
}

/// A clock that shows the instant of the latest call: nanoseconds since 1970.
///
/// Calls at the same moment may see each other's instant, so that it is a few microseconds off.
#[derive(Clone, Default)]
struct Hands(Arc<AtomicU64>);

impl Hands {
    fn set(&self, now: OffsetDateTime) -> Nanos {
        // The algorithm adds at most one window's length; half the range leaves room for that.
        let latest = u64::MAX / 2;
        let now = now.unix_timestamp_nanos().clamp(0, latest.into());
        let now = u64::try_from(now).unwrap_or(latest);
        self.0.store(now, Ordering::Relaxed);
        now.into()
    }
}

impl clock::Clock for Hands {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        self.0.load(Ordering::Relaxed).into()
    }
}

#[cfg(test)]
mod tests {
    use mintage::{ClientId, Credential, CredentialId, CredentialType};

    use super::*;

    const START: i64 = 1_800_000_000;

    #[test]
    fn so_many_calls_pass_and_the_next_is_told_when_to_come_again() {
        let governor = governor("5;w=60");
        let client = client("acme");
        for _ in 0..5 {
            assert_eq!(governor.check(LimitKey::Client(&client), at(0)), Ok(()));
        }
        let exceeded = governor.check(LimitKey::Client(&client), at(0)).unwrap_err();
        assert_eq!(exceeded.window, "5;w=60".parse().unwrap());
        assert_eq!(exceeded.retry_after, Duration::from_secs(12));
        assert!(governor.check(LimitKey::Client(&client), at(11)).is_err());
        assert!(governor.check(LimitKey::Client(&client), at(12)).is_ok());
    }

    #[test]
    fn the_longer_window_holds_where_the_shorter_is_free_again() {
        let governor = governor("10;w=3600, 2;w=1");
        let client = client("acme");
        let refused =
            (0..20).find_map(|second| governor.check(LimitKey::Client(&client), at(second)).err());
        let exceeded = refused.unwrap();
        assert_eq!(exceeded.window.limit.get(), 10);
        assert_eq!(exceeded.in_force.to_string(), "10;w=3600, 2;w=1");
        assert_eq!(exceeded.retry_after, Duration::from_secs(350));
    }

    #[test]
    fn a_call_that_the_shorter_window_refuses_is_not_counted_in_the_longer() {
        let governor = governor("3;w=3600, 1;w=10");
        let client = client("acme");
        for second in [0, 10, 20] {
            assert!(governor.check(LimitKey::Client(&client), at(second)).is_ok(), "{second}");
            for _ in 0..5 {
                let exceeded = governor.check(LimitKey::Client(&client), at(second)).unwrap_err();
                assert_eq!(exceeded.window.secs.get(), 10);
            }
        }
    }

    #[test]
    fn keys_are_counted_apart() {
        let governor = governor("1;w=60");
        let (acme, other) = (client("acme"), client("other"));
        let credential = Credential::new(CredentialType::Root, CredentialId::new("1").unwrap());
        let locator = Locator::of(&acme.tenant, &credential);
        for key in [
            LimitKey::Client(&acme),
            LimitKey::Client(&other),
            LimitKey::Locator(&acme.tenant, locator),
            LimitKey::Locator(&other.tenant, locator),
        ] {
            assert!(governor.check(key, at(0)).is_ok(), "{key:?}");
            assert!(governor.check(key, at(0)).is_err(), "{key:?}");
        }
    }

    #[test]
    fn keys_that_are_as_good_as_new_are_forgotten() {
        let governor = governor("1;w=60");
        let early = client("early");
        let late = client("late");
        governor.check(LimitKey::Client(&early), at(0)).unwrap();
        governor.check(LimitKey::Client(&late), at(100)).unwrap();
        governor.prune(at(130));
        let (_, counted) = &governor.clients.windows[0];
        assert_eq!(counted.len(), 1);
        assert!(governor.check(LimitKey::Client(&late), at(130)).is_err());
        governor.prune(at(1000));
        assert!(governor.clients.windows[0].1.is_empty());
    }

    #[test]
    fn no_window_and_no_instant_overflows() {
        let most = Window { limit: std::num::NonZeroU32::MAX, secs: std::num::NonZeroU32::MAX };
        let least = Window { limit: std::num::NonZeroU32::MIN, secs: std::num::NonZeroU32::MAX };
        let tight = Window { limit: std::num::NonZeroU32::MAX, secs: std::num::NonZeroU32::MIN };
        let client = client("acme");
        for window in [most, least, tight] {
            let governor = Governor::new(&window.into(), &window.into());
            for now in [OffsetDateTime::UNIX_EPOCH, mintage::Timestamp::MAX.into()] {
                let _ = governor.check(LimitKey::Client(&client), now);
                let _ = governor.check(LimitKey::Client(&client), now);
                governor.prune(now);
            }
        }
    }

    fn governor(windows: &str) -> Governor {
        let windows = windows.parse().unwrap();
        Governor::new(&windows, &windows)
    }

    fn client(name: &str) -> Client {
        Client { id: ClientId::new(name).unwrap(), tenant: Tenant::new(name).unwrap() }
    }

    fn at(second: i64) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(START + second).unwrap()
    }
}
