//! Random sequences, beside the specification.

use proptest::{prelude::Strategy, sample::select};

use super::{
    model::Model,
    moves::{Cast, Move, SEQUENCE, on_random, tasks},
    scene::{Outcome, S, Scene},
};
use crate::grant::Context;

/// How many sequences are tried.
const ROUNDS: u32 = 60;
/// How long one may be.
const MOVES: usize = 48;

pub(super) async fn random_sequences_agree_with_the_specification(scene: &Scene<'_>) -> Outcome {
    // In every other sequence little time passes, so that all of it happens within the limits.
    let sequence = (tasks(&SEQUENCE, 1..=1, 1..=MOVES), select(&[false, true][..]));
    let sequence = sequence.prop_map(|(tasks, slowly)| {
        let longest = if slowly { i64::MAX } else { 15 * S };
        let paced = |it: Move| Move { tick: it.tick.min(longest), ..it };
        tasks.into_iter().flatten().map(paced).collect::<Vec<_>>()
    });
    on_random(scene, ROUNDS, sequence, |moves| {
        let scene = scene.in_the_year(2100);
        Box::pin(async move { agrees(&scene, &moves).await })
    })
    .await
}

/// The store and the specification, side by side.
async fn agrees(scene: &Scene<'_>, moves: &[Move]) -> Outcome {
    let cast = Cast::new(scene)?;
    let mut model = Model::default();
    let mut at = 0;
    for it in Cast::prelude().chain(moves.iter().copied()).chain(Cast::finale()) {
        at += it.tick;
        let cx = scene.at(at);
        let cx = Context { epoch: Cast::epoch(it, cx.epoch), ..cx };
        let op = cast.op(it, cx.now);
        let decisions = model.judgements(&op, &cx);
        scene.tell(format!("{it:?}:"));
        let seen = scene.ask(op, cx).await?;
        match decisions.iter().find(|decision| decision.answer == seen) {
            Some(decision) => model.write(decision, cx.now),
            None => scene.same("the answer", &decisions[0].answer, &seen)?,
        }
    }
    Ok(())
}
