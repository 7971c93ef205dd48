//! With how many clients pgbench is at its best.

use crate::{
    Sizes,
    shared::Failure,
    tables::Work,
    yard::{Length, Log, Yard},
};

/// How many clients are tried.
const CLIENTS: [u32; 4] = [8, 16, 32, 64];

/// pgbench's best, once for all rounds.
#[derive(Debug)]
pub(crate) struct Best {
    pub(crate) issue: Peak,
    pub(crate) redeem: Peak,
}

/// The most that pgbench does in a run, and with how many clients.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Peak {
    pub(crate) clients: u32,
    count: u32,
}

impl Best {
    pub(crate) async fn find(yard: &Yard, sizes: Sizes) -> Result<Self, Failure> {
        yard.tables.refill(0..0).await?;
        let issue = Peak::of(Work::Issue, yard, sizes, 100_000_000).await?;
        // Redeeming is not three times as fast as issuing. If it were, rows would run out, and the
        // tables would not agree with pgbench.
        let rows = 3 * issue.count;
        yard.tables.refill(0..4 * rows).await?;
        let redeem = Peak::of(Work::Redeem, yard, sizes, rows).await?;
        Ok(Self { issue, redeem })
    }
}

impl Peak {
    /// Each number of clients has so many rows to itself.
    async fn of(work: Work, yard: &Yard, sizes: Sizes, rows: u32) -> Result<Self, Failure> {
        let mut peak = Self::default();
        let mut first = 0;
        for clients in CLIENTS {
            let length = Length::Seconds(sizes.seconds);
            let run = yard.run(work, clients, first, length, Log::Nothing).await?;
            println!(
                "{:<44} {:>11.1}",
                format!("{work:?}s/s by pgbench, {clients} clients"),
                run.rate
            );
            if run.count > peak.count {
                peak = Self { clients, count: run.count };
            }
            first += rows;
        }
        Ok(peak)
    }

    /// More rows than pgbench gets through in a run of that length, and about as many as the store
    /// does: where it has redeemed them all, its run is the shorter.
    pub(crate) fn plenty(self) -> u32 {
        8 * self.count
    }
}
