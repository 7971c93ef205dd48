//! The verifier for resource servers that have nothing but the key set.

use std::{
    fmt,
    marker::PhantomData,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicI64, Ordering},
    },
};

use time::OffsetDateTime;

use crate::{
    claims::{Claims, TokenType},
    id::Epoch,
    instant::{Lifetime, Timestamp},
    jws::{self, Expectation, Opened, TokenError},
    keys::KeySet,
    model::{Audience, Issuer, Status, Tenant},
};
#[cfg(feature = "cache")]
use crate::{passed::Passed, secret::SecretDigest};

/// Checks access tokens by signature and claims alone (RFC 9068 §4).
///
/// It asks nobody. So until a token's `exp` it sees **no revocation, no idle limit and no step-up in
/// place**: a token that was revoked a second ago still passes. Where that matters, ask the engine
/// (`Engine::authenticate`), or give access tokens a short life.
///
/// It accepts exactly what the engine writes: `typ` is `at+jwt`, `alg` is the one that the key of
/// that `kid` has, the header has nothing else, every part is base64url in its one form, no member
/// is named twice, every claim is there and within its bounds. Each refusal is a [`TokenError`] of
/// its own for the log; on the wire, make all of them the same 401.
///
/// ```
/// use mintage::{
///     Audience, Issuer, KeySet, Leeway, SteppedUp, TokenError, Verifier, VerifierParts,
/// };
/// use time::OffsetDateTime;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let verifier = Verifier::new(VerifierParts {
///     keys: KeySet::from_jwks(r#"{"keys":[]}"#)?,
///     issuer: Issuer::new("https://login.example")?,
///     audience: Audience::new("https://api.example")?,
///     leeway: Leeway::default(),
///     tenant: None,
/// });
/// let refused = verifier.verify::<SteppedUp>("not.a.token", OffsetDateTime::UNIX_EPOCH);
/// assert_eq!(refused.unwrap_err(), TokenError::Base64);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Verifier {
    keys: RwLock<Arc<KeySet>>,
    issuer: Issuer,
    audience: Audience,
    tenant: Option<Tenant>,
    leeway: Leeway,
    epoch: AtomicI64,
    #[cfg(feature = "cache")]
    passed: Option<Passed>,
}

/// What a [`Verifier`] is made of.
#[derive(Debug)]
pub struct VerifierParts {
    /// The keys under which tokens are accepted.
    pub keys: KeySet,
    /// The `iss` that a token must have.
    pub issuer: Issuer,
    /// The `aud` that a token must have.
    pub audience: Audience,
    /// How far this machine's clock may be from the engine's.
    pub leeway: Leeway,
    /// The one tenant whose tokens are accepted; `None` where issuer and audience tell tenants
    /// apart already.
    pub tenant: Option<Tenant>,
}

impl Verifier {
    /// Puts the parts together.
    #[must_use]
    pub fn new(parts: VerifierParts) -> Self {
        let VerifierParts { keys, issuer, audience, leeway, tenant } = parts;
        Self {
            keys: RwLock::new(Arc::new(keys)),
            issuer,
            audience,
            tenant,
            leeway,
            epoch: AtomicI64::new(Timestamp::MIN.as_millis()),
            #[cfg(feature = "cache")]
            passed: None,
        }
    }

    /// The same verifier, which remembers up to so many tokens that have passed: one that comes
    /// again is not checked against its key again, for a fiftieth of the cost.
    ///
    /// It is known by the SHA-256 of its whole text, so that whatever differs from it in one bit is
    /// another token. Everything that can have changed is judged as if it came for the first time:
    /// whether its key is still in the set, the epoch, `exp`, tenant, status. What is remembered is
    /// only what passed, about half a kilobyte each; where there is no room, the least used goes.
    #[cfg(feature = "cache")]
    #[must_use]
    pub fn remembering(self, tokens: std::num::NonZeroUsize) -> Self {
        Self { passed: Some(Passed::new(tokens)), ..self }
    }

    /// Refuses every token that was issued before this epoch, as the engine does that returned it
    /// ([`Engine::raise_epoch`](crate::Engine::raise_epoch)). It never falls.
    ///
    /// A token tells whole seconds only, and the second of the epoch itself is refused: a token that
    /// was issued in it, after the epoch, is refused too.
    pub fn raise_epoch(&self, epoch: Epoch) {
        self.epoch.fetch_max(epoch.0.as_millis(), Ordering::AcqRel);
    }

    /// Takes a newly fetched key set in place of the one it has; tokens that are being checked at
    /// that moment are checked against the old one.
    pub fn set_keys(&self, keys: KeySet) {
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keys);
    }

    /// Checks an access token at `now`.
    ///
    /// `S` says how strongly the person must have been authenticated: [`AnyStatus`] or
    /// [`SteppedUp`].
    ///
    /// # Errors
    /// [`TokenError`], saying which rule it breaks. [`TokenError::InsufficientStatus`] is the last to
    /// be judged: the token is sound, and a step-up would help (RFC 9470 §3).
    pub fn verify<S: Requirement>(
        &self,
        token: &str,
        now: OffsetDateTime,
    ) -> Result<Verified<S>, TokenError> {
        let now = Timestamp::from(now);
        let keys = Arc::clone(&self.keys.read().unwrap_or_else(PoisonError::into_inner));
        #[cfg(feature = "cache")]
        if let Some(passed) = &self.passed {
            return self.verify_remembering(passed, token, &keys, now);
        }
        self.judge(self.open(token, &keys, now)?.claims, now)
    }

    #[cfg(feature = "cache")]
    fn verify_remembering<S: Requirement>(
        &self,
        passed: &Passed,
        token: &str,
        keys: &KeySet,
        now: Timestamp,
    ) -> Result<Verified<S>, TokenError> {
        if token.len() > jws::MAX_TOKEN_BYTES {
            return Err(TokenError::TooLong);
        }
        let digest = SecretDigest::of(token.as_bytes());
        if let Some(claims) = passed.find(digest, keys) {
            return self.judge(claims, now);
        }
        let opened = self.open(token, keys, now)?;
        let verified = self.judge(opened.claims.clone(), now)?;
        passed.add(digest, opened);
        Ok(verified)
    }

    /// The signature, and the form of the claims.
    fn open(&self, token: &str, keys: &KeySet, now: Timestamp) -> Result<Opened, TokenError> {
        let opened = jws::open(token, keys, now, self.leeway)?;
        match opened.token_type {
            TokenType::Access => Ok(opened),
            TokenType::Auth => Err(TokenError::Typ),
        }
    }

    /// Whatever is judged each time that a token comes.
    fn judge<S: Requirement>(
        &self,
        claims: Claims,
        now: Timestamp,
    ) -> Result<Verified<S>, TokenError> {
        let Self { issuer, audience, leeway, .. } = self;
        Expectation { issuer, audience, leeway: *leeway }.check(&claims, now)?;
        if self.tenant.as_ref().is_some_and(|tenant| *tenant != claims.tenant) {
            return Err(TokenError::Tenant);
        }
        if claims.issued_at.as_millis() < self.epoch.load(Ordering::Acquire) {
            return Err(TokenError::Epoch);
        }
        if !S::is_met_by(claims.status_at(now)) {
            return Err(TokenError::InsufficientStatus);
        }
        Ok(Verified { claims, requirement: PhantomData })
    }
}

/// A token whose signature and claims were right, and whose status met `S`, when it was checked.
/// It says nothing of revocation: see [`Verifier`].
///
/// A handler whose argument is a `Verified<SteppedUp>` cannot be reached with a STANDARD token.
pub struct Verified<S> {
    claims: Claims,
    requirement: PhantomData<fn() -> S>,
}

impl<S> Verified<S> {
    /// What the token says.
    #[must_use]
    pub const fn claims(&self) -> &Claims {
        &self.claims
    }

    /// The same, to keep.
    #[must_use]
    pub fn into_claims(self) -> Claims {
        self.claims
    }

    /// The status at `now`, which may be later than the check: `STEPPED_UP` can end before the token
    /// does.
    #[must_use]
    pub fn status(&self, now: OffsetDateTime) -> Status {
        self.claims.status_at(now.into())
    }
}

impl<S> fmt::Debug for Verified<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Verified").field(&self.claims).finish()
    }
}

/// How strongly the person behind a token must have been authenticated: [`AnyStatus`] or
/// [`SteppedUp`], and no other.
pub trait Requirement: sealed::Sealed + Send + Sync + 'static {
    /// Whether this status is enough.
    #[must_use]
    fn is_met_by(status: Status) -> bool;
}

/// Every status will do.
#[derive(Debug, Clone, Copy)]
pub enum AnyStatus {}

/// The status must be `STEPPED_UP`, at this moment.
#[derive(Debug, Clone, Copy)]
pub enum SteppedUp {}

impl Requirement for AnyStatus {
    fn is_met_by(_: Status) -> bool {
        true
    }
}

impl Requirement for SteppedUp {
    fn is_met_by(status: Status) -> bool {
        status == Status::SteppedUp
    }
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::AnyStatus {}
    impl Sealed for super::SteppedUp {}
}

/// How far two clocks may be apart: 0 to 60 whole seconds, 5 by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Leeway(Lifetime);

impl Leeway {
    /// None: `exp == now` is expired.
    pub const ZERO: Self = Self(Lifetime::ZERO);
    /// 60 seconds.
    pub const MAX: Self = Self(Lifetime::from_secs(60));

    /// So many seconds.
    ///
    /// # Errors
    /// [`InvalidLeeway`] when it is more than [`MAX`](Self::MAX).
    pub fn from_secs(secs: u32) -> Result<Self, InvalidLeeway> {
        let leeway = Self(Lifetime::from_secs(secs));
        if leeway <= Self::MAX { Ok(leeway) } else { Err(InvalidLeeway) }
    }

    /// The same as a length of time.
    #[must_use]
    pub const fn as_lifetime(self) -> Lifetime {
        self.0
    }
}

impl Default for Leeway {
    /// 5 seconds.
    fn default() -> Self {
        Self(Lifetime::from_secs(5))
    }
}

/// A leeway was longer than [`Leeway::MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidLeeway;

impl fmt::Display for InvalidLeeway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a leeway must be between 0 and 60 seconds")
    }
}

impl std::error::Error for InvalidLeeway {}
