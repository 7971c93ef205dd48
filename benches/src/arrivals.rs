//! When work is due that does not wait for what came before it.

use std::{iter, time::Duration};

/// The instants, counted from the start, at which something arrives, so many a second: a Poisson
/// process, as of many callers who know nothing of each other. The same each time for a seed.
pub fn arrivals(rate: f64, seed: u64) -> impl Iterator<Item = Duration> {
    let mut random = SplitMix(seed);
    let mut due = 0.0;
    iter::repeat_with(move || {
        due -= random.unit().ln() / rate;
        Duration::from_secs_f64(due)
    })
}

/// Numbers that look random, by Steele, Lea and Flood's `SplitMix64`.
struct SplitMix(u64);

impl SplitMix {
    /// More than zero, and at most one.
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        let [.., a, b, c, d] = mixed.to_be_bytes();
        (f64::from(u32::from_be_bytes([a, b, c, d])) + 1.0) / (f64::from(u32::MAX) + 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_arrive_in_a_second_as_if_by_chance() {
        let due: Vec<_> = arrivals(1000.0, 1).take_while(|due| due.as_secs() < 100).collect();
        assert!((99_000..101_000).contains(&due.len()), "{}", due.len());
        // The gaps of such a process: a share of e⁻¹ is longer than the mean.
        let long = due
            .windows(2)
            .filter(|two| two[1].saturating_sub(two[0]) > Duration::from_millis(1))
            .count();
        assert!((36_000..37_600).contains(&long), "{long}");
    }

    #[test]
    fn a_seed_yields_the_same_again() {
        let first = |seed| arrivals(10.0, seed).take(5).collect::<Vec<_>>();
        assert_eq!(first(3), first(3));
        assert_ne!(first(3), first(4));
    }
}
