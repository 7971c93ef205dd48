//! What it costs that many grants live: the same exchanges among few and among many.

use std::{env, mem, time::Duration};

use mintage_benches::{
    Failure, Turns,
    figures::{Goal, figure, target},
    world::World,
};

use super::{Run, per_op};

/// How many grants are few. A round exchanges so many.
const FEW: u32 = 10_000;
/// How many grants each person has.
const A_PERSON: u32 = 10;
/// A prime: steps of it through all grants meet each once, and no neighbours.
const STEP: u32 = 7_368_787;

pub(crate) fn measure(turns: Turns) -> Result<(), Failure> {
    let quick = env::var_os("MINTAGE_BENCH_QUICK").is_some();
    let most = match env::var("MINTAGE_BENCH_GRANTS") {
        Ok(grants) => grants.parse()?,
        Err(_) if quick => 100_000,
        Err(_) => 10_000_000,
    };
    let wanted = (turns.rounds + 1) * FEW;
    if most < wanted {
        return Err(format!("{most} grants are not enough for {} rounds", turns.rounds).into());
    }
    let (many, mut tokens) = stored(most, wanted)?;
    let mut rounds = Vec::new();
    for round in 0..=turns.rounds {
        let (few, few_tokens) = stored(FEW, FEW)?;
        let rest = tokens.split_off(tokens.len() - FEW as usize);
        let (mut among_few, mut among_many) = (Run::with(few_tokens), Run::with(rest));
        let [mut in_few, mut in_many] = [Duration::ZERO; 2];
        for turn in 0..100 {
            let count = FEW as usize / 100;
            if turn % 2 == 0 {
                in_few += among_few.go(&few, count);
                in_many += among_many.go(&many, count);
            } else {
                in_many += among_many.go(&many, count);
                in_few += among_few.go(&few, count);
            }
        }
        among_few.check(&few)?;
        among_many.check(&many)?;
        if round > 0 {
            rounds.push((per_op(in_few, FEW), per_op(in_many, FEW)));
        }
    }
    println!("{FEW} exchanges a round among {FEW} live grants and among {most}");
    figure("exchange, ns, few", rounds.iter().map(|(few, _)| *few));
    figure("exchange, ns, many", rounds.iter().map(|(_, many)| *many));
    target("exchange_growth", Goal::AtMost(1.25), rounds.iter().map(|(few, many)| many / few))?;
    // Freeing millions of records one by one tells nothing.
    mem::forget(many);
    Ok(())
}

/// A world with so many grants, and the tokens of some of them, in an order of no meaning.
fn stored(grants: u32, wanted: u32) -> Result<(World, Vec<mintage::SecretText>), Failure> {
    let world = World::new(2 * grants)?;
    let every = grants / wanted;
    let mut tokens = Vec::new();
    for grant in 0..grants {
        let token = world.issue((grant % (grants / A_PERSON)).wrapping_mul(STEP))?;
        if grant % every == 0 && tokens.len() < wanted as usize {
            tokens.push(token.to_text());
        }
    }
    let mut order: Vec<_> = (0..wanted).collect();
    order.sort_by_key(|nth| nth.wrapping_mul(STEP));
    let mut tokens: Vec<_> = tokens.into_iter().map(Some).collect();
    let shuffled = order.into_iter().filter_map(|nth| tokens.get_mut(nth as usize)?.take());
    Ok((world, shuffled.collect()))
}
