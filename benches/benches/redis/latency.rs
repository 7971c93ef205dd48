//! How long one call takes that comes alone, through the store and by hand.

use redis::{AsyncConnectionConfig, Client, Value, aio::MultiplexedConnection, cmd};
use tokio::time::Instant;

use crate::{
    Failure, Sizes,
    shared::{
        by_turns,
        callers::Until,
        figures::{Goal, Run, figure, target},
    },
    site::{Site, Tally},
    stock::grant_key,
    yard::Yard,
};

pub(crate) async fn measure(site: &Site, yard: &Yard, sizes: Sizes) -> Result<(), Failure> {
    let patient =
        AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None);
    let client = Client::open(site.server.url())?;
    let connection = client.get_multiplexed_async_connection_with_config(&patient).await?;

    let mut rounds = Vec::new();
    for number in 0..sizes.rounds {
        eprintln!("latency: round {} of {}", number + 1, sizes.rounds);
        let half = sizes.tokens / 2;
        let round = by_turns(
            number,
            site.redeem(1, 0..half, Until::Time(sizes.run)),
            bare(site, yard, connection.clone(), half..sizes.tokens, sizes),
        );
        let (ours, bare) = round.await?;
        let redeemed = site.stock.restore(0..sizes.tokens).await?;
        if redeemed != ours.count + bare.count {
            return Err(format!("{redeemed} redemptions are left, which is wrong").into());
        }
        rounds.push((ours, bare));
    }
    println!("\nLatency of one caller, in runs of {} ms", sizes.run.as_millis());
    for (percent, name) in [(50, "median"), (99, "p99")] {
        let of = |run: &Run| run.percentile(percent);
        figure(&format!("redemption, µs, {name}, bare"), rounds.iter().map(|(_, bare)| of(bare)));
        figure(&format!("redemption, µs, {name}, store"), rounds.iter().map(|(ours, _)| of(ours)));
    }
    let medians = rounds.iter().map(|(ours, bare)| ours.percentile(50) / bare.percentile(50));
    target("redis_latency_1", Goal::AtMost(1.15), medians)
}

/// The same script with the same keys and the same argument, called through the redis crate alone.
async fn bare(
    site: &Site,
    yard: &Yard,
    connection: MultiplexedConnection,
    numbers: std::ops::Range<u32>,
    sizes: Sizes,
) -> Result<Run, Failure> {
    let keys = numbers.map(|number| grant_key(&site.stock.field, number));
    let keys: Vec<String> = keys.collect::<Result<_, _>>()?;
    let (sha, head, event) = (yard.sha.clone(), yard.head.clone(), yard.event.clone());
    let before = Tally::of(&site.server).await?;
    let until = Until::Time(sizes.run);
    // A task, as the store's caller is one.
    let called = tokio::spawn(async move {
        let (mut answers, mut connection) = (Vec::new(), connection);
        let start = Instant::now();
        let mut keys = keys.iter();
        while until.lasts(start)
            && let Some(key) = keys.next()
        {
            let asked = Instant::now();
            let mut call = cmd("EVALSHA");
            call.arg(&sha).arg(2).arg(&head).arg(key).arg(&event);
            let answer: Value = call.query_async(&mut connection).await?;
            answers.push((asked.elapsed(), answer));
        }
        Ok::<_, Failure>((start.elapsed(), answers))
    });
    let (elapsed, answers) = called.await??;
    let count = u32::try_from(answers.len())?;
    before.until(&Tally::of(&site.server).await?, count)?;
    let mut latencies = Vec::new();
    for (latency, answer) in answers {
        if !matches!(&answer, Value::BulkString(bytes) if bytes.first() == Some(&b'+')) {
            return Err(format!("the script did not redeem: {answer:?}").into());
        }
        latencies.push(latency);
    }
    Ok(Run::new(count, f64::from(count) / elapsed.as_secs_f64(), latencies))
}
