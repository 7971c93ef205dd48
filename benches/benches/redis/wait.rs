//! What it costs that every write waits for a replica.

use mintage_storage_redis::RedisStore;

use crate::{
    Failure, Sizes,
    field::Field,
    shared::{
        by_turns,
        callers::{Until, picks},
        figures::{Goal, Run, figure, target},
    },
    site::Site,
};

pub(crate) async fn measure(sizes: Sizes) -> Result<(), Failure> {
    let site = Site::start(Field::of(sizes.tokens)?).await?;
    let _replica = site.server.replica().await;
    let waiting = site.waiting_store().await?;
    site.stock.restore(0..sizes.tokens).await?;
    site.stock.settle().await?;

    let mut rounds = Vec::new();
    for number in 0..sizes.rounds {
        eprintln!("WAIT: round {} of {}", number + 1, sizes.rounds);
        let (with, without) = (redeem(&site, &waiting, sizes), redeem(&site, &site.store, sizes));
        rounds.push(by_turns(number, with, without).await?);
    }
    println!("\nWAIT, 64 callers, one replica, in runs of {} ms", sizes.run.as_millis());
    figure("redemptions/s, primary", rounds.iter().map(|(_, without)| without.rate));
    figure("redemptions/s, primary and replica", rounds.iter().map(|(with, _)| with.rate));
    let median = |run: &Run| run.percentile(50);
    figure("redemption, µs, median, primary", rounds.iter().map(|(_, without)| median(without)));
    let with = rounds.iter().map(|(with, _)| median(with));
    figure("redemption, µs, median, primary and replica", with);
    let rates = rounds.iter().map(|(with, without)| with.rate / without.rate);
    target("redis_wait_64", Goal::AtLeast(0.5), rates)
}

async fn redeem(site: &Site, store: &RedisStore, sizes: Sizes) -> Result<Run, Failure> {
    // More than 64 callers get through.
    let plenty = sizes.tokens / 3;
    let numbers = picks(sizes.tokens).take(plenty as usize);
    let run = site.redeem_through(store, 64, numbers, Until::Time(sizes.run)).await?;
    let redeemed = site.stock.restore(0..sizes.tokens).await?;
    site.stock.settle().await?;
    if redeemed != run.count {
        return Err(format!("of {} redemptions {redeemed} are left", run.count).into());
    }
    Ok(run)
}
