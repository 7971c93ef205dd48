//! How redis-benchmark is at its best.

use crate::{
    Failure, Sizes,
    site::Site,
    yard::{Way, Yard},
};

/// How many calls a second there are, before anything is known.
const GUESS: f64 = 60_000.0;

/// What it does best, once for all rounds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Best {
    /// With 256 plain clients.
    pub(crate) plain: Peak,
    /// Whatever its clients and its pipelines.
    pub(crate) piped: Peak,
}

/// The way that is fastest, and how many calls of that kind a run has.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peak {
    pub(crate) way: Way,
    pub(crate) calls: u32,
    rate: f64,
}

impl Best {
    pub(crate) async fn find(site: &Site, yard: &Yard, sizes: Sizes) -> Result<Self, Failure> {
        let plain = Way { clients: 256, depth: 1, threads: 0 };
        let plain = [plain, Way { threads: 2, ..plain }];
        let mut piped = Vec::new();
        for depth in [8, 16, 32, 64] {
            for clients in [16, 64, 256] {
                piped.push(Way { clients, depth, threads: 0 });
            }
        }
        let plain = Peak::of(site, yard, sizes, &plain).await?;
        let one_thread = Peak::of(site, yard, sizes, &piped).await?;
        let two_threads = [one_thread.way, Way { threads: 2, ..one_thread.way }];
        let piped = Peak::of(site, yard, sizes, &two_threads).await?;
        Ok(Self { plain, piped })
    }
}

impl Peak {
    async fn of(site: &Site, yard: &Yard, sizes: Sizes, ways: &[Way]) -> Result<Self, Failure> {
        let mut peak: Option<Self> = None;
        for &way in ways {
            let rate = yard.run(site, way, sizes.calls_at(GUESS)?).await?.rate;
            let Way { clients, depth, threads } = way;
            let name = format!("{clients} clients, {depth} deep, --threads {threads}");
            println!("redis-benchmark's redemptions/s, {name:<36} {rate:>11.1}");
            if peak.is_none_or(|peak| rate > peak.rate) {
                peak = Some(Self { way, calls: sizes.calls_at(rate)?, rate });
            }
        }
        peak.ok_or_else(|| "there is no way".into())
    }
}
