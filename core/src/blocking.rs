//! A signer that blocks, kept off the caller's thread.

use std::{fmt, num::NonZeroUsize, sync::Arc};

use async_trait::async_trait;
use tokio::{runtime::Handle, sync::Semaphore, task::JoinSet};

use crate::keys::{KeyError, KeyErrorKind, Signature, Signer};

/// A [`Signer`] for keys whose signing blocks its thread, as a smart card or a PKCS #11 module does:
/// it signs on tokio's blocking threads, at most so many at a time, and the rest wait their turn.
///
/// A key in memory needs none of it: a [`SigningKey`](crate::SigningKey) signs where it is asked, in
/// some twenty microseconds. The engine itself spawns nothing; whoever takes this type does.
///
/// A call that is dropped, or too late for the engine's deadline, signs nothing unless it has reached
/// the device; then it keeps its place until that has answered. So a device that hangs never holds
/// more threads than that; but when it holds them all, every further signature waits, and is told as
/// unavailable. And a tokio runtime that is dropped waits for its blocking threads: end it by
/// `shutdown_timeout` where a device may hang.
///
/// ```
/// use std::{num::NonZeroUsize, sync::Arc};
/// use ed25519_dalek::Signer as _;
/// use mintage::{Algorithm, BlockingSigner, Signature, SigningKey};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// // In place of a card and its driver.
/// let card = ed25519_dalek::SigningKey::from_bytes(&[7; 32]);
/// let public = mintage::VerifyingKey::from_bytes(card.verifying_key().as_bytes(), Algorithm::EdDsa)?;
/// let signer = BlockingSigner::new(NonZeroUsize::MIN, move |message| {
///     Ok(Signature::from_bytes(card.sign(message).to_bytes()))
/// });
/// let key = SigningKey::new(&public, Arc::new(signer));
/// # Ok(())
/// # }
/// ```
pub struct BlockingSigner<F> {
    sign: Arc<F>,
    places: Arc<Semaphore>,
}

impl<F> BlockingSigner<F>
where
    F: Fn(&[u8]) -> Result<Signature, KeyError> + Send + Sync + 'static,
{
    /// Signs by this function, of which at most so many run at a time.
    #[must_use]
    pub fn new(at_most: NonZeroUsize, sign: F) -> Self {
        let places = at_most.get().min(Semaphore::MAX_PERMITS);
        Self { sign: Arc::new(sign), places: Arc::new(Semaphore::new(places)) }
    }
}

#[async_trait]
impl<F> Signer for BlockingSigner<F>
where
    F: Fn(&[u8]) -> Result<Signature, KeyError> + Send + Sync + 'static,
{
    /// [`KeyErrorKind::Unavailable`] outside of a tokio runtime, and when the function panics.
    async fn sign(&self, message: &[u8]) -> Result<Signature, KeyError> {
        let unavailable = |why: &'static str| KeyError::new(KeyErrorKind::Unavailable).because(why);
        let runtime =
            Handle::try_current().map_err(|_| unavailable("there is no tokio runtime"))?;
        // Nobody closes it.
        let place = Arc::clone(&self.places).acquire_owned().await;
        let place = place.map_err(|_| unavailable("signing has ended"))?;
        let (sign, message) = (Arc::clone(&self.sign), message.to_vec());
        // Dropped with this future: what has not begun by then will not.
        let mut signing = JoinSet::new();
        signing.spawn_blocking_on(
            move || {
                let signature = sign(&message);
                drop(place);
                signature
            },
            &runtime,
        );
        match signing.join_next().await {
            Some(Ok(signed)) => signed,
            // What a panic says may hold anything, so it is not told.
            Some(Err(error)) if error.is_panic() => Err(unavailable("the signer panicked")),
            _ => Err(unavailable("the runtime ends")),
        }
    }
}

impl<F> fmt::Debug for BlockingSigner<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlockingSigner")
            .field("free_places", &self.places.available_permits())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::{
        pin::Pin,
        sync::{
            Barrier, LazyLock, Mutex,
            atomic::{AtomicBool, AtomicUsize, Ordering},
            mpsc::channel,
        },
        task::{Context, Poll, Waker},
        thread,
        time::Duration,
    };

    use ed25519_dalek::Signer as _;
    use tokio::task::JoinSet;

    use super::*;

    fn signature(message: &[u8]) -> Signature {
        let key = ed25519_dalek::SigningKey::from_bytes(&[7; 32]);
        Signature::from_bytes(key.sign(message).to_bytes())
    }

    const TWO: NonZeroUsize = NonZeroUsize::new(2).unwrap();

    #[tokio::test]
    async fn no_more_than_so_many_sign_at_a_time_and_all_get_their_signature() {
        static NOW: AtomicUsize = AtomicUsize::new(0);
        static MOST: AtomicUsize = AtomicUsize::new(0);
        static PAIR: LazyLock<Barrier> = LazyLock::new(|| Barrier::new(2));
        let signer = Arc::new(BlockingSigner::new(TWO, |message| {
            MOST.fetch_max(NOW.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            // Each waits for another one.
            PAIR.wait();
            thread::sleep(Duration::from_millis(5));
            NOW.fetch_sub(1, Ordering::SeqCst);
            Ok(signature(message))
        }));
        let mut calls = JoinSet::new();
        for number in 0..8_u8 {
            let signer = Arc::clone(&signer);
            calls.spawn(async move { (number, signer.sign(&[number]).await) });
        }
        for (number, signed) in calls.join_all().await {
            assert_eq!(signed.unwrap(), signature(&[number]));
        }
        assert_eq!(MOST.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn a_call_that_is_dropped_keeps_its_place_until_the_device_answers() {
        let (answer, device) = channel::<()>();
        let (begun, beginning) = channel();
        let device = Mutex::new(device);
        let signer = BlockingSigner::new(TWO, move |message| {
            begun.send(()).unwrap();
            device.lock().unwrap().recv().ok();
            Ok(signature(message))
        });
        for _ in 0..2 {
            let mut call = signer.sign(b"x");
            assert!(poll_once(&mut call).is_pending());
            beginning.recv().unwrap();
        }
        assert_eq!(signer.places.available_permits(), 0);
        drop(answer);
        assert!(signer.sign(b"x").await.is_ok());
    }

    fn poll_once<F: Future + Unpin>(call: &mut F) -> Poll<F::Output> {
        Pin::new(call).poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn a_call_that_is_dropped_before_it_begins_signs_nothing_and_gives_its_place_back() {
        let one_thread =
            tokio::runtime::Builder::new_current_thread().max_blocking_threads(1).build();
        one_thread.unwrap().block_on(async {
            static SIGNED: AtomicBool = AtomicBool::new(false);
            let (free, thread) = channel::<()>();
            let occupier = tokio::task::spawn_blocking(move || thread.recv());
            let signer = BlockingSigner::new(TWO, |message| {
                SIGNED.store(true, Ordering::SeqCst);
                Ok(signature(message))
            });
            let mut call = signer.sign(b"x");
            assert!(poll_once(&mut call).is_pending());
            assert_eq!(signer.places.available_permits(), 1);
            drop(call);
            drop(free);
            assert!(occupier.await.unwrap().is_err());
            // Whatever was queued behind it is done with by now.
            tokio::task::spawn_blocking(|| ()).await.unwrap();
            assert!(!SIGNED.load(Ordering::SeqCst));
            assert_eq!(signer.places.available_permits(), 2);
        });
    }

    #[tokio::test]
    async fn a_signer_that_panics_is_an_error_and_gives_its_place_back() {
        let signer = BlockingSigner::new(TWO, |_| panic!("secret"));
        for _ in 0..3 {
            let error = signer.sign(b"x").await.unwrap_err();
            assert_eq!(error.kind(), KeyErrorKind::Unavailable);
            assert!(!format!("{error:?}").contains("secret"));
        }
        assert_eq!(signer.places.available_permits(), 2);
    }

    #[test]
    fn without_a_runtime_it_is_an_error() {
        let signer = BlockingSigner::new(TWO, |message| Ok(signature(message)));
        let mut call = signer.sign(b"x");
        let Poll::Ready(Err(error)) = poll_once(&mut call) else { panic!("it did not fail") };
        assert_eq!(error.kind(), KeyErrorKind::Unavailable);
    }
}
