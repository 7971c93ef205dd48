//! An embeddable token-issuance engine for Rust servers, with pluggable storage.
//!
//! The host authenticates a person and tells the engine; the engine mints an auth token or a
//! one-time token, exchanges it **exactly once** for a signed `STANDARD` or `STEPPED_UP` access
//! token, steps it up, verifies, introspects and revokes it. It owns no HTTP stack, no user table
//! and no database: the host plugs a [`TokenStore`], a [`KeyProvider`] and an [`IdentityResolver`]
//! into an [`Engine`].
//!
//! Where to find the rule for a behaviour:
//!
//! * [`grant`]: what may become of a grant, and when. Every store is held to it.
//! * [`Exchange`]: the ways through an exchange, and their order.
//! * [`TokenStore`], [`KeyProvider`], [`IdentityResolver`], [`ClientRegistry`], [`Clock`],
//!   [`Timer`], [`AuditSink`]: the seams, each with what a wrong implementation costs.
//! * [`Policy`]: lifetimes, windows, demands, with their defaults.
//! * [`Error`]: what can go wrong, by whose fault.

mod assertion;
mod audit;
#[cfg(feature = "tokio")]
mod blocking;
mod bytes;
mod claims;
mod clock;
#[cfg(feature = "conformance")]
pub mod conformance;
mod engine;
mod error;
mod exchange;
pub mod grant;
mod host;
mod id;
mod instant;
mod json;
mod jwk;
mod jws;
mod key_ring;
mod keys;
mod live;
mod memory;
mod model;
mod one_time;
#[cfg(feature = "cache")]
mod passed;
mod policy;
mod random;
mod ring;
mod secret;
mod store;
#[cfg(feature = "test-util")]
pub mod test_util;
mod verifier;

/// Implement the seams with this very version of it.
pub use async_trait::async_trait;

pub use self::{
    assertion::{
        Assertion, AssertionAlgorithm, AssertionError, AssertionExpectation, AssertionKey,
        MAX_ASSERTION_BYTES, UnverifiedAssertion, sign_assertion,
    },
    audit::{AuditEvent, AuditSink, Operation, Outcome, TracingAudit},
    bytes::InvalidId,
    claims::{Claims, TokenType},
    clock::{Clock, SystemClock, Timer},
    engine::{Engine, IdentityPage, IssueOneTime, IssuedOneTime, LogIn, LoggedIn, Parts, Realm},
    error::{
        Denied, Error, FieldRule, Internal, InvalidField, StartError, Unauthenticated, Unavailable,
    },
    exchange::{AuthorityMix, Exchange, Exchanged},
    host::{ClientRegistry, IdentityResolver, Listing, LookupError, Page, Resolution},
    id::{Attempt, Epoch, Generation, GrantId, IdempotencyRef, Locator},
    instant::{InvalidLifetime, Lifetime, Timestamp},
    jws::{MAX_TOKEN_BYTES, TokenError},
    key_ring::{KeyRing, KeyRingError},
    keys::{
        Algorithm, InvalidKey, KeyError, KeyErrorKind, KeyId, KeyProvider, KeyRef, KeySet,
        Signature, Signer, SigningKey, VerifyingKey,
    },
    live::{Introspection, Live, LiveBearer, LiveLogin, TokenKind},
    memory::MemoryStore,
    model::{
        Audience, Client, ClientId, Credential, CredentialId, CredentialType, HostClaims, Identity,
        IdentityId, IdentityType, InvalidHostClaims, InvalidName, InvalidScope, Issuer, Scope,
        Status, Tenant, UnknownWord,
    },
    one_time::{InvalidOneTimeToken, OneTimeToken},
    policy::{InvalidPolicy, Policy, RequiredGrade, TokenLifetime},
    ring::{InvalidSchedule, KeyPhase, Ring, RingKey, RotationSchedule},
    secret::{SecretDigest, SecretText},
    store::{Change, Grade, Guarantee, StoreError, TokenStore},
    verifier::{
        AnyStatus, InvalidLeeway, Leeway, Requirement, SteppedUp, Verified, Verifier, VerifierParts,
    },
};
#[cfg(feature = "tokio")]
pub use self::{blocking::BlockingSigner, clock::TokioTimer};

/// The README's example, kept true.
#[cfg(all(doctest, feature = "test-util", feature = "tokio"))]
#[doc = include_str!("../../README.md")]
mod readme {}
