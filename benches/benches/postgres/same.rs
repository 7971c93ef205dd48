//! That both sides do the very same work: they leave the very same rows behind.

use crate::{
    ours::Ours,
    shared::{Failure, callers::Until},
    tables::Work,
    yard::{Length, Log, Yard},
};

/// Issues and redeems the same grants on both sides, and compares every column of every row.
pub(crate) async fn check(ours: &Ours, yard: &Yard) -> Result<(), Failure> {
    // What is issued one by one is what is filled in.
    ours.tables.refill(0..0).await?;
    yard.tables.refill(0..64).await?;
    ours.run(Work::Issue, 8, 0..64, Until::Done).await?;
    ours.tables.must_equal(&yard.tables).await?;

    for (work, numbers) in [(Work::Issue, 64..128), (Work::Redeem, 32..96)] {
        yard.run(work, 8, numbers.start, Length::Each(8), Log::Nothing).await?;
        ours.run(work, 8, numbers, Until::Done).await?;
        ours.tables.must_equal(&yard.tables).await?;
    }
    Ok(())
}
