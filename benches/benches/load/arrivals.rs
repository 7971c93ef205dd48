//! When calls are due in an open loop: a Poisson process, as of many people who know nothing of each
//! other. The same seed gives the same arrivals.

use std::time::Duration;

/// So many instants in their order, of which so many come in a second in the mean.
pub(crate) fn poisson(rate: f64, count: usize, seed: u64) -> Vec<Duration> {
    let mut random = SplitMix(seed);
    let mut at = 0.0;
    let mut next = || {
        // A gap of an exponential distribution, drawn by its inverse.
        at -= random.part().ln() / rate;
        Duration::from_secs_f64(at)
    };
    (0..count).map(|_| next()).collect()
}

/// Steele, Lea and Flood's `SplitMix64`: good enough for gaps, and as long as its seed.
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// More than 0, and at most 1.
    fn part(&mut self) -> f64 {
        let [.., a, b, c, d] = self.next().to_le_bytes();
        (f64::from(u32::from_le_bytes([a, b, c, d])) + 1.0) / (f64::from(u32::MAX) + 1.0)
    }
}
