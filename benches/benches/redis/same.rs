//! That both sides do the very same work: they leave the very same record behind.

use crate::{Failure, shared::callers::Until, site::Site, stock::grant_key, yard::Yard};

/// Redeems a token on both sides, and compares what is left of it.
pub(crate) async fn check(site: &Site, yard: &Yard) -> Result<(), Failure> {
    let (stock, key) = (&site.stock, grant_key(&site.stock.field, 0)?);
    stock.restore(0..1).await?;
    site.redeem(1, 0..1, Until::Done).await?;
    let (ours, our_life) = (stock.value(&key).await?, stock.life(&key).await?);

    stock.restore(0..1).await?;
    yard.call_once()?;
    let (theirs, their_life) = (stock.value(&key).await?, stock.life(&key).await?);

    // What the script never looks at, and yet keeps: see `Yard::sent`.
    let same = |(our, their): (&u8, &u8)| our == their || (*our, *their) == (0, 1);
    let kept = yard.event.iter().zip(&yard.sent).filter(|(event, sent)| event != sent).count();
    let differ = ours.iter().zip(&theirs).filter(|(our, their)| our != their).count();
    let alike = ours.len() == theirs.len() && ours.iter().zip(&theirs).all(same) && differ < kept;
    if !alike || our_life.abs_diff(their_life) > 10_000 {
        return Err(format!("the records differ: {ours:?} and {theirs:?}").into());
    }
    Ok(())
}
