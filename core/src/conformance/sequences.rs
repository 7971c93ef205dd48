//! Random sequences, beside the specification.

use proptest::collection::vec;

use super::{
    model::Model,
    moves::{Cast, Move, SEQUENCE, moves, on_random},
    scene::{Outcome, Scene},
};
use crate::grant::Context;

/// How many sequences are tried.
const ROUNDS: u32 = 40;
/// How long one may be.
const MOVES: usize = 48;

pub(super) async fn random_sequences_agree_with_the_specification(scene: &Scene<'_>) -> Outcome {
    on_random(scene, ROUNDS, vec(moves(SEQUENCE), 1..=MOVES), |moves| {
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
