//! Many futures on one task, without a runtime.

use std::{future::poll_fn, pin::Pin, task::Poll};

/// Polls all of them whenever any can go on, in their order; gives their outputs in that order.
pub(super) async fn join_all<'a, T: Send>(
    futures: impl IntoIterator<Item = Joined<'a, T>>,
) -> Vec<T> {
    let mut running: Vec<_> = futures.into_iter().map(|future| (future, None)).collect();
    poll_fn(|task| {
        for (future, output) in &mut running {
            if output.is_none()
                && let Poll::Ready(ready) = future.as_mut().poll(task)
            {
                *output = Some(ready);
            }
        }
        if running.iter().all(|(_, output)| output.is_some()) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
    running.into_iter().filter_map(|(_, output)| output).collect()
}

/// One of the futures of [`join_all`].
pub(super) type Joined<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;
