//! Random bytes: the one place that asks for them.

use std::cell::Cell;

use sha2::{Digest as _, Sha256};

/// The operating system gave no random bytes: nothing can be minted until it does.
#[derive(Debug)]
pub(crate) struct NoRandomness(pub(crate) getrandom::Error);

/// So many fresh random bytes from the operating system.
#[expect(clippy::disallowed_methods, reason = "this is the one place")]
pub(crate) fn bytes<const N: usize>() -> Result<[u8; N], NoRandomness> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(NoRandomness)?;
    Ok(bytes)
}

/// Bytes that come only once, of which nobody can tell the next; no secret.
///
/// They are the SHA-256 of a random seed of this thread, a count and the process, which a fork
/// changes. Asking the operating system each time would take five times as long: 0.7 µs, a
/// thirtieth of a signature. Secrets and ids are worth that, and come from [`bytes`].
pub(crate) fn unique() -> Result<[u8; 32], NoRandomness> {
    thread_local! {
        static SEED_AND_COUNT: Cell<Option<([u8; 32], u64)>> = const { Cell::new(None) };
    }
    let (seed, count) = match SEED_AND_COUNT.get() {
        Some((seed, count)) => (seed, count + 1),
        None => (bytes()?, 0),
    };
    SEED_AND_COUNT.set(Some((seed, count)));
    let mut digest = Sha256::new();
    digest.update(seed);
    digest.update(count.to_be_bytes());
    digest.update(std::process::id().to_be_bytes());
    Ok(digest.finalize().into())
}

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, thread};

    use super::*;

    #[test]
    fn what_is_unique_comes_once_on_all_threads() {
        let draw = || (0..1000).map(|_| unique().unwrap()).collect::<Vec<_>>();
        let threads: Vec<_> = (0..4).map(|_| thread::spawn(draw)).collect();
        let drawn = threads.into_iter().flat_map(|thread| thread.join().unwrap());
        assert_eq!(drawn.collect::<HashSet<_>>().len(), 4000);
    }
}
