//! Parts that fail, hang or yield on demand.

use std::{
    num::NonZeroU32,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Poll,
    time::Duration,
};

use async_trait::async_trait;

use crate::{
    AssertionKey, Change, Client, ClientRegistry, Credential, CredentialId, Epoch, Guarantee,
    Identity, IdentityResolver, KeyError, KeyErrorKind, KeyId, KeyProvider, KeySet, Listing,
    LookupError, Page, Resolution, SecretDigest, Signature, Signer, SigningKey, StoreError, Tenant,
    Timer, Timestamp, TokenStore,
    grant::{
        Context, Elevate, Issue, Open, Read, Redeem, Redemption, Revocation, Revoke, RevokeAll,
        StepUp, Touch, Verdict,
    },
};

/// When a call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// Before it has done anything: a store says [`Change::Unchanged`].
    Before,
    /// After it has done everything, and has let others go first: a store says
    /// [`Change::MayHaveHappened`].
    After,
}

/// What goes wrong, and when: shared by every [`Faulty`] part of an engine, so that the calls of
/// an operation can be counted through.
#[derive(Debug, Default)]
pub struct Faults(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    calls: usize,
    plan: Plan,
    has_failed: bool,
    hangs: bool,
    sleeps: usize,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Plan {
    #[default]
    Smooth,
    Fail(usize, Failure),
    Hang(usize),
    Yield,
}

/// What is to become of one call.
enum Fate {
    Call,
    Fail(Failure),
    Hang,
    Yield,
}

impl Faults {
    /// The `nth` call from now on (1 is the next) fails, once.
    pub fn fail_nth(&self, nth: usize, failure: Failure) {
        let mut state = self.state();
        state.plan = Plan::Fail(state.calls + nth, failure);
        state.has_failed = false;
    }

    /// The `nth` call from now on (1 is the next) is carried out and never answers.
    pub fn hang_nth(&self, nth: usize) {
        let mut state = self.state();
        state.plan = Plan::Hang(state.calls + nth);
        state.has_failed = false;
    }

    /// Every call from now on yields to its runtime once before it does anything, and once after.
    pub fn yield_at_every_step(&self) {
        self.state().plan = Plan::Yield;
    }

    /// As a [`Timer`]: the next `sleeps` sleeps end at once.
    pub fn pass_sleeps(&self, sleeps: usize) {
        self.state().sleeps = sleeps;
    }

    /// Nothing goes wrong any more.
    pub fn run_smoothly(&self) {
        self.state().plan = Plan::Smooth;
    }

    /// Whether the planned failure has come.
    pub fn has_failed(&self) -> bool {
        self.state().has_failed
    }

    /// How many calls there have been.
    pub fn calls(&self) -> usize {
        self.state().calls
    }

    fn next(&self) -> Fate {
        let mut state = self.state();
        state.calls += 1;
        let fate = match state.plan {
            Plan::Fail(at, failure) if at == state.calls => Fate::Fail(failure),
            Plan::Hang(at) if at == state.calls => Fate::Hang,
            Plan::Yield => return Fate::Yield,
            Plan::Smooth | Plan::Fail(..) | Plan::Hang(_) => return Fate::Call,
        };
        state.plan = Plan::Smooth;
        state.has_failed = true;
        state.hangs = matches!(fate, Fate::Hang);
        fate
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn run<T, E>(
        &self,
        call: impl Future<Output = Result<T, E>> + Send,
        error: impl FnOnce(Failure) -> E + Send,
    ) -> Result<T, E> {
        match self.next() {
            Fate::Call => call.await,
            Fate::Fail(Failure::Before) => Err(error(Failure::Before)),
            Fate::Fail(Failure::After) => {
                drop(call.await);
                // The engine polls twice before it waits: once to see whether it has to.
                yield_once().await;
                yield_once().await;
                Err(error(Failure::After))
            }
            Fate::Hang => {
                drop(call.await);
                std::future::pending().await
            }
            Fate::Yield => {
                yield_once().await;
                let result = call.await;
                yield_once().await;
                result
            }
        }
    }
}

/// As a timer: a sleep ends at once where a call hangs or it was told to pass, and never otherwise.
#[async_trait]
impl Timer for Faults {
    async fn sleep(&self, _: Duration) {
        let ends = {
            let mut state = self.state();
            let passed = state.sleeps > 0;
            state.sleeps = state.sleeps.saturating_sub(1);
            state.hangs || passed
        };
        if !ends {
            std::future::pending::<()>().await;
        }
    }
}

async fn yield_once() {
    let mut yielded = false;
    std::future::poll_fn(|cx| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// A part that fails as [`Faults`] say, and passes everything else on.
#[derive(Debug)]
pub struct Faulty<T> {
    inner: T,
    faults: Arc<Faults>,
}

impl<T> Faulty<T> {
    /// Passes everything on to `inner` until it is told to fail.
    pub fn new(inner: T, faults: Arc<Faults>) -> Self {
        Self { inner, faults }
    }

    /// The part itself.
    pub fn inner(&self) -> &T {
        &self.inner
    }
}

const TOLD_TO: &str = "told to fail";

fn store_error(failure: Failure) -> StoreError {
    let change = match failure {
        Failure::Before => Change::Unchanged,
        Failure::After => Change::MayHaveHappened,
    };
    StoreError::new(change, TOLD_TO)
}

fn key_error(_: Failure) -> KeyError {
    KeyError::new(KeyErrorKind::Unavailable).because(TOLD_TO)
}

fn lookup_error(_: Failure) -> LookupError {
    LookupError::new(TOLD_TO)
}

#[async_trait]
#[deny(clippy::missing_trait_methods, reason = "a wrapper passes everything on")]
impl<T: TokenStore> TokenStore for Faulty<T> {
    async fn issue(&self, event: &Issue, cx: &Context) -> Result<Verdict, StoreError> {
        self.faults.run(self.inner.issue(event, cx), store_error).await
    }

    async fn redeem(&self, event: &Redeem, cx: &Context) -> Result<Redemption, StoreError> {
        self.faults.run(self.inner.redeem(event, cx), store_error).await
    }

    async fn step_up(&self, event: &StepUp, cx: &Context) -> Result<Redemption, StoreError> {
        self.faults.run(self.inner.step_up(event, cx), store_error).await
    }

    async fn open(&self, event: &Open, cx: &Context) -> Result<Redemption, StoreError> {
        self.faults.run(self.inner.open(event, cx), store_error).await
    }

    async fn elevate(&self, event: &Elevate, cx: &Context) -> Result<Verdict, StoreError> {
        self.faults.run(self.inner.elevate(event, cx), store_error).await
    }

    async fn touch(&self, event: &Touch, cx: &Context) -> Result<Verdict, StoreError> {
        self.faults.run(self.inner.touch(event, cx), store_error).await
    }

    async fn read(&self, event: &Read, cx: &Context) -> Result<Verdict, StoreError> {
        self.faults.run(self.inner.read(event, cx), store_error).await
    }

    async fn revoke(&self, event: &Revoke, cx: &Context) -> Result<Revocation, StoreError> {
        self.faults.run(self.inner.revoke(event, cx), store_error).await
    }

    async fn revoke_all(&self, event: &RevokeAll, cx: &Context) -> Result<(), StoreError> {
        self.faults.run(self.inner.revoke_all(event, cx), store_error).await
    }

    async fn purge(&self, limit: NonZeroU32, now: Timestamp) -> Result<u32, StoreError> {
        self.faults.run(self.inner.purge(limit, now), store_error).await
    }

    async fn epoch(&self, now: Timestamp) -> Result<Epoch, StoreError> {
        self.faults.run(self.inner.epoch(now), store_error).await
    }

    async fn raise_epoch(&self, now: Timestamp) -> Result<Epoch, StoreError> {
        self.faults.run(self.inner.raise_epoch(now), store_error).await
    }

    async fn guarantee(&self) -> Result<Guarantee, StoreError> {
        self.faults.run(self.inner.guarantee(), store_error).await
    }
}

/// The keys that it gives out have faulty signers too.
#[async_trait]
#[deny(clippy::missing_trait_methods, reason = "a wrapper passes everything on")]
impl<T: KeyProvider> KeyProvider for Faulty<T> {
    async fn signing_key(
        &self,
        kid: Option<&KeyId>,
        now: Timestamp,
    ) -> Result<SigningKey, KeyError> {
        let key = self.faults.run(self.inner.signing_key(kid, now), key_error).await?;
        let public = key.verifying_key().clone();
        let signer = Faulty::new(key, Arc::clone(&self.faults));
        Ok(SigningKey::new(&public, Arc::new(signer)))
    }

    async fn verifying_keys(&self, now: Timestamp) -> Result<Arc<KeySet>, KeyError> {
        self.faults.run(self.inner.verifying_keys(now), key_error).await
    }

    async fn rotate(&self, now: Timestamp) -> Result<(), KeyError> {
        self.faults.run(self.inner.rotate(now), key_error).await
    }
}

#[async_trait]
impl Signer for Faulty<SigningKey> {
    async fn sign(&self, message: &[u8]) -> Result<Signature, KeyError> {
        self.faults.run(self.inner.sign(message), key_error).await
    }
}

#[async_trait]
impl<T: IdentityResolver> IdentityResolver for Faulty<T> {
    async fn identities(
        &self,
        tenant: &Tenant,
        credential: &Credential,
        page: Page,
    ) -> Result<Listing, LookupError> {
        self.faults.run(self.inner.identities(tenant, credential, page), lookup_error).await
    }

    async fn resolve(
        &self,
        tenant: &Tenant,
        credential: &Credential,
        identity: &Identity,
    ) -> Result<Resolution, LookupError> {
        self.faults.run(self.inner.resolve(tenant, credential, identity), lookup_error).await
    }
}

#[async_trait]
impl<T: ClientRegistry> ClientRegistry for Faulty<T> {
    async fn client(&self, api_key: &SecretDigest) -> Result<Option<Client>, LookupError> {
        self.faults.run(self.inner.client(api_key), lookup_error).await
    }

    async fn assertion_keys(
        &self,
        client: &Client,
        issuer: &CredentialId,
    ) -> Result<Vec<AssertionKey>, LookupError> {
        self.faults.run(self.inner.assertion_keys(client, issuer), lookup_error).await
    }
}
