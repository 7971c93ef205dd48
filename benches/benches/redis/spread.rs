//! How evenly the work of many people lies upon a cluster's primaries.

use mintage::{Lifetime, grant::Redeem};
use mintage_storage_redis::Settings;

use crate::{
    Failure, Sizes,
    field::{CONTEXT, Field},
    rig::cluster::Cluster,
    shared::{
        callers::{Until, ask},
        figures::{Goal, figure, target},
    },
    site::Tally,
};

/// How many primaries there are.
const PRIMARIES: usize = 3;

pub(crate) async fn measure(sizes: Sizes) -> Result<(), Failure> {
    let cluster = Cluster::start(5_000).await;
    let settings = Settings { deadline: Lifetime::from_secs(20), ..Settings::default() };
    let store = cluster.store_with(settings).await;
    // A token for each person.
    let field = Field::of(1)?;
    let mut rounds = Vec::new();
    for number in 0..sizes.rounds {
        eprintln!("spread: round {} of {}", number + 1, sizes.rounds);
        let people = number * sizes.people..(number + 1) * sizes.people;
        let issues = people.clone().map(|person| field.issue(person)).collect::<Result<_, _>>()?;
        let redeems: Vec<Redeem> =
            people.map(|person| field.redeem(person)).collect::<Result<_, _>>()?;
        let before = scripts(&cluster).await?;
        ask(&store, CONTEXT, 256, issues, Until::Done).await?;
        let run = ask(&store, CONTEXT, 256, redeems, Until::Done).await?;
        let after = scripts(&cluster).await?;
        let done: Vec<u32> =
            before.iter().zip(after).map(|(before, after)| after - before).collect();
        let (primaries, replicas) = done.split_at(PRIMARIES);
        // Each went to its primary at once.
        if primaries.iter().sum::<u32>() != 2 * sizes.people || replicas.iter().any(|n| *n > 0) {
            return Err(format!("{} people are scripts: {done:?}", sizes.people).into());
        }
        let (most, fewest) = (primaries.iter().max(), primaries.iter().min());
        let ratio = f64::from(*most.unwrap_or(&0)) / f64::from(*fewest.unwrap_or(&0));
        rounds.push((run.rate, ratio));
    }
    println!(
        "\nSpread, {} people a round issued and redeemed a token each, {PRIMARIES} primaries",
        sizes.people
    );
    figure("redemptions/s, 256 callers, all on this machine", rounds.iter().map(|(rate, _)| *rate));
    target("redis_cluster_spread", Goal::AtMost(1.1), rounds.iter().map(|(_, ratio)| *ratio))
}

/// How many scripts each node has run.
async fn scripts(cluster: &Cluster) -> Result<Vec<u32>, Failure> {
    let mut scripts = Vec::new();
    for node in &cluster.nodes {
        scripts.push(u32::try_from(Tally::of(&node.server).await?.scripts)?);
    }
    Ok(scripts)
}
