//! How much memory a grant takes, and how much a head: the server's own `used_memory`.
//!
//! A million grants, ten a head, are issued through the store, redeemed, and then the heads are
//! dropped. What the tables of keys take is counted as the grants', though heads are in them too:
//! they have twice as many places as there are powers of two for, and a million grants with their
//! heads are just beyond such a power, so this is as much as it can be. Nothing here varies with the
//! machine's mood, so there is one round.

use std::time::Duration;

use tokio::time::sleep;

use crate::{
    Failure, Sizes,
    field::{CONTEXT, Field},
    rig::Server,
    shared::{
        callers::{Until, ask},
        figures::{Goal, figure, target},
    },
    site::Site,
    stock::{grant_key, head_key},
};

/// How many grants a person has.
const EACH: u32 = 10;

pub(crate) async fn measure(sizes: Sizes) -> Result<(), Failure> {
    let site = Site::start(Field::of(EACH)?).await?;
    let (grants, stock) = (sizes.tokens, &site.stock);
    let empty = used(&site.server).await?;
    for first in (0..grants).step_by(AT_ONCE as usize) {
        eprintln!("bytes: {first} of {grants} grants are issued");
        let numbers = first..grants.min(first + AT_ONCE);
        let events = numbers.map(|number| stock.field.issue(number)).collect::<Result<_, _>>()?;
        ask(&site.store, CONTEXT, 512, events, Until::Done).await?;
    }
    must_hold(&site.server, grants + grants / EACH).await?;
    let issued = used(&site.server).await?;
    let (head, grant) = (head_key(&stock.field, 0)?, grant_key(&stock.field, 0)?);
    let head_bytes = stock.value(&head).await?.len();
    let grant_bytes = stock.value(&grant).await?.len();

    for first in (0..grants).step_by(AT_ONCE as usize) {
        eprintln!("bytes: {first} of {grants} grants are redeemed");
        site.redeem(512, first..grants.min(first + AT_ONCE), Until::Done).await?;
    }
    let redeemed = used(&site.server).await?;
    let redeemed_bytes = stock.value(&grant).await?.len();
    stock.behead(0..grants).await?;
    must_hold(&site.server, grants).await?;
    let beheaded = used(&site.server).await?;

    let heads = redeemed - beheaded;
    let each = |bytes: f64| bytes / f64::from(grants);
    println!("\nBytes, {grants} grants, {EACH} a head");
    for (name, bytes) in [
        ("the record of a head, alone", as_f64(head_bytes)?),
        ("the record of an issued one-time grant", as_f64(grant_bytes)?),
        ("the record of a redeemed one", as_f64(redeemed_bytes)?),
        ("used_memory for a head", each(heads) * f64::from(EACH)),
        ("used_memory for an issued one-time grant", each(issued - empty - heads)),
        ("used_memory for a redeemed one", each(redeemed - empty - heads)),
    ] {
        figure(name, [bytes].into_iter());
    }
    let bytes = each(issued - empty - heads);
    target("redis_bytes", Goal::AtMost(300.0), [bytes].into_iter())
}

/// How many events are made at a time.
const AT_ONCE: u32 = 250_000;

fn as_f64(number: usize) -> Result<f64, Failure> {
    Ok(f64::from(u32::try_from(number)?))
}

async fn must_hold(server: &Server, keys: u32) -> Result<(), Failure> {
    let held: u32 = server.ask(&["DBSIZE"]).await?;
    if held == keys { Ok(()) } else { Err(format!("there are {held} keys, not {keys}").into()) }
}

/// The memory that is used, once the server has moved its keys from its old tables to new ones.
async fn used(server: &Server) -> Result<f64, Failure> {
    let mut before = 0;
    for _ in 0..100 {
        sleep(Duration::from_millis(500)).await;
        let after: u32 = server.field("memory", "used_memory").await.parse()?;
        if after.abs_diff(before) < 16_384 {
            return Ok(f64::from(after));
        }
        before = after;
    }
    Err("the server's memory comes to no rest".into())
}
