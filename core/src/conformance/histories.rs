//! Random concurrent histories: is there an order in which the specification answers so?

use std::{
    collections::HashMap,
    sync::atomic::{AtomicU64, Ordering},
};

use super::{
    Violation,
    joined::{Joined, join_all},
    model::{Answer, Model, Op},
    moves::{Cast, HISTORY, Move, on_random, tasks},
    scene::{Outcome, S, Scene},
};
use crate::grant::Context;

/// How many histories are tried.
const ROUNDS: u32 = 100;
/// How many tasks run beside each other.
const TASKS: usize = 3;
/// How many moves each makes.
const MOVES: usize = 4;

pub(super) async fn concurrent_histories_have_an_order(scene: &Scene<'_>) -> Outcome {
    on_random(scene, ROUNDS, tasks(&HISTORY, 1..=TASKS, 1..=MOVES), |tasks| {
        let scene = scene.in_the_year(2100);
        Box::pin(async move { has_an_order(&scene, &tasks).await })
    })
    .await
}

async fn has_an_order(scene: &Scene<'_>, tasks: &[Vec<Move>]) -> Outcome {
    let cast = Cast::new(scene)?;
    let clock = AtomicU64::new(0);
    let prelude: Vec<Move> = Cast::prelude().collect();
    let finale: Vec<Move> = Cast::finale().map(|it| Move { tick: 20 * S, ..it }).collect();

    let mut history = vec![run(scene, &cast, &clock, &prelude).await?];
    let order = scene.shuffled(tasks.len());
    let running = order.iter().filter_map(|&task| tasks.get(task)).map(|moves| {
        let task: Joined<'_, _> = Box::pin(run(scene, &cast, &clock, moves));
        task
    });
    for task in join_all(running).await {
        history.push(task?);
    }
    history.push(run(scene, &cast, &clock, &finale).await?);

    if Search::succeeds(&history) {
        return Ok(());
    }
    let mut calls: Vec<&Call> = history.iter().flatten().collect();
    calls.sort_unstable_by_key(|call| call.began);
    for Call { it, began, ended, answer, .. } in calls {
        scene.tell(format!("began {began}, ended {ended}: {it:?} → {answer}"));
    }
    let order = "an order of these calls in which the specification answers so";
    Err(scene.violation(order, "answers that no order explains"))
}

/// One call, and when it began and ended by a clock that counts such events.
struct Call {
    it: Move,
    op: Op,
    cx: Context,
    began: u64,
    ended: u64,
    answer: Answer,
}

/// One task: its moves, one after the other.
async fn run(
    scene: &Scene<'_>,
    cast: &Cast<'_>,
    clock: &AtomicU64,
    moves: &[Move],
) -> Result<Vec<Call>, Violation> {
    let mut calls = Vec::new();
    for &it in moves {
        let cx = scene.at(it.tick);
        let cx = Context { epoch: Cast::epoch(it, cx.epoch), ..cx };
        let op = cast.op(it, cx.now);
        let began = clock.fetch_add(1, Ordering::SeqCst);
        let answer = op.ask(scene.store, &cx).await.map_err(|error| scene.unanswered(&error))?;
        let ended = clock.fetch_add(1, Ordering::SeqCst);
        calls.push(Call { it, op, cx, began, ended, answer });
    }
    Ok(calls)
}

/// Looks for an order of all calls that the specification answers so, in which no call comes before
/// one that had ended when it began.
struct Search<'a> {
    tasks: &'a [Vec<Call>],
    /// Where it has been in vain: how far each task was, and the records then.
    in_vain: HashMap<Vec<usize>, Vec<Model>>,
}

impl<'a> Search<'a> {
    fn succeeds(tasks: &'a [Vec<Call>]) -> bool {
        let mut search = Self { tasks, in_vain: HashMap::new() };
        search.goes_on(&Model::default(), &mut vec![0; tasks.len()])
    }

    fn goes_on(&mut self, model: &Model, done: &mut Vec<usize>) -> bool {
        let calls = |(task, calls): (usize, &'a Vec<Call>)| Some((task, calls.get(done[task])?));
        let next: Vec<(usize, &Call)> = self.tasks.iter().enumerate().filter_map(calls).collect();
        let Some(first_end) = next.iter().map(|(_, call)| call.ended).min() else { return true };
        if self.in_vain.get(done).is_some_and(|models| models.contains(model)) {
            return false;
        }
        for (task, call) in next.into_iter().filter(|(_, call)| call.began < first_end) {
            for decision in model.judgements(&call.op, &call.cx) {
                if decision.answer == call.answer {
                    let mut after = model.clone();
                    after.write(&decision, call.cx.now);
                    done[task] += 1;
                    let found = self.goes_on(&after, done);
                    done[task] -= 1;
                    if found {
                        return true;
                    }
                }
            }
        }
        self.in_vain.entry(done.clone()).or_default().push(model.clone());
        false
    }
}
