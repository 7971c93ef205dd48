//! What can go wrong, sorted by whose fault it is.
//!
//! Each variant of [`Error`] is one answer on the wire; what is inside it is for the host's log.
//! Nothing here ever holds a secret.

use std::fmt;

use time::OffsetDateTime;

use crate::{
    assertion::AssertionError,
    claims::TokenType,
    grant::Refusal,
    host::LookupError,
    jws::TokenError,
    keys::KeyError,
    one_time::InvalidOneTimeToken,
    policy::InvalidPolicy,
    random::NoRandomness,
    store::{Change, Grade, StoreError},
};

/// Why the engine did not do what it was asked.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The request is malformed; here is every field that is. The caller can mend it: 400.
    Invalid(Vec<InvalidField>),
    /// Nobody that we know is asking: 401.
    Unauthenticated(Unauthenticated),
    /// The token is good, but not strong enough: 401 with a step-up challenge (RFC 9470 §3).
    StepUpRequired,
    /// The authority was understood and is refused: 403. The wire does not say why.
    Denied(Denied),
    /// The credential is locked: 423.
    Locked {
        /// Until when, where the host knows.
        until: Option<OffsetDateTime>,
    },
    /// A part could not answer: 503. Trying again may help.
    Unavailable(Unavailable),
    /// The host's configuration or this library is wrong: 500. Trying again does not help.
    Internal(Internal),
}

/// One field of a request, and the rule that it breaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidField {
    /// The name on the wire, for example `identity.id`.
    pub field: &'static str,
    /// The rule.
    pub rule: FieldRule,
    /// The rule's parameters: a bound, a pattern, the words or fields to choose from.
    pub params: Vec<&'static str>,
}

/// The rules of the wire's `syntaxErrors`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FieldRule {
    /// It must be there.
    Required,
    /// It must be a text that is not empty.
    HasText,
    /// It needs another field beside it.
    Requires,
    /// It is too long or too short.
    Size,
    /// It is too large or too small.
    Range,
    /// It must be one of these words.
    In,
    /// It must be none of these words.
    NotIn,
    /// It must match this pattern.
    Regex,
    /// Exactly so many of these fields must be there.
    Exactly,
    /// At least so many of these fields must be there.
    AtLeast,
    /// At most so many of these fields may be there.
    AtMost,
    /// All of these fields must be there, or none.
    AllOrNone,
}

impl FieldRule {
    /// The word on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Required => "REQUIRED",
            Self::HasText => "HAS_TEXT",
            Self::Requires => "REQUIRES",
            Self::Size => "SIZE",
            Self::Range => "RANGE",
            Self::In => "IN",
            Self::NotIn => "NOT_IN",
            Self::Regex => "REGEX",
            Self::Exactly => "EXACTLY",
            Self::AtLeast => "AT_LEAST",
            Self::AtMost => "AT_MOST",
            Self::AllOrNone => "ALL_OR_NONE",
        }
    }
}

/// Why nobody that we know is asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unauthenticated {
    /// No client has this api-key.
    UnknownApiKey,
    /// The Bearer is no token of ours, or its time is up.
    Token(TokenError),
    /// The Bearer is a token of ours, but not of the type that is good for this.
    WrongType(TokenType),
    /// The Bearer was issued to another tenant.
    OtherTenant,
    /// The Bearer was issued to another client.
    OtherClient,
    /// The Bearer's grant is not live.
    Grant(Refusal),
}

/// Why an authority that was understood is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Denied {
    /// The one-time token is malformed, or mistyped.
    OneTimeToken(InvalidOneTimeToken),
    /// The one-time token or its attempt buys nothing.
    Grant(Refusal),
    /// Another attempt has spent the one-time token.
    Replayed {
        /// What it had bought has been revoked.
        revoked: bool,
    },
    /// The one-time token is another credential's than the Bearer.
    OtherCredential,
    /// The Bearer acts for another identity.
    OtherIdentity,
    /// The client assertion is not good.
    Assertion(AssertionError),
    /// The assertion was signed before the store's epoch (and the clock skew after it), so that
    /// nobody can tell whether it has been spent before.
    AssertionBeforeEpoch,
    /// The store may drop records early, so that it cannot tell whether an assertion was spent.
    StoreMayEvict,
    /// The credential may not act for this identity, or there is none.
    NotLinked,
    /// Credential or identity is disabled.
    Disabled,
    /// The scope that was asked for is wider than what was granted.
    Scope,
}

/// A part could not answer.
#[derive(Debug)]
#[non_exhaustive]
pub enum Unavailable {
    /// The token store; it says whether the change may have happened.
    Store(StoreError),
    /// The key provider, before the store was asked. Nothing was changed.
    Keys(KeyError),
    /// The signer, after the store call. Of an exchange, the same attempt gets the token within the
    /// retry window.
    Signer(KeyError),
    /// The client registry.
    Clients(LookupError),
    /// The identity resolver.
    Identities(LookupError),
    /// The clock is further behind than `max_skew` allows. Nothing was changed.
    Clock,
    /// The store's epoch has not been read for too long. Nothing was changed.
    Epoch,
    /// The operating system gave no random bytes. Nothing was changed.
    Randomness,
}

impl Unavailable {
    /// Whether the change that was asked for can have happened all the same.
    #[must_use]
    pub fn change(&self) -> Change {
        match self {
            Self::Store(error) => error.change(),
            Self::Signer(_) => Change::MayHaveHappened,
            _ => Change::Unchanged,
        }
    }
}

/// The host's configuration or this library is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Internal {
    /// The client's tenant is not among the engine's: add it to `Parts::tenants`.
    UnknownTenant,
    /// The store answered what no transition answers: it fails the conformance suite.
    Store,
}

/// The engine does not start.
#[derive(Debug)]
#[non_exhaustive]
pub enum StartError {
    /// The policy contradicts itself.
    Policy(InvalidPolicy),
    /// No tenant was given.
    NoTenant,
    /// The store promises less than the policy demands.
    Grade {
        /// What the policy demands.
        required: Grade,
        /// What the store promises.
        found: Grade,
        /// What decided that, in the store's words: the setting to change.
        reason: String,
    },
    /// A part could not answer.
    Unavailable(Unavailable),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid(fields) => {
                f.write_str("the request is malformed:")?;
                for InvalidField { field, rule, params } in fields {
                    write!(f, " `{field}` {}", rule.as_str())?;
                    if !params.is_empty() {
                        write!(f, "({})", params.join(", "))?;
                    }
                }
                Ok(())
            }
            Self::Unauthenticated(why) => write!(f, "not authenticated: {why}"),
            Self::StepUpRequired => f.write_str("a STEPPED_UP token is required"),
            Self::Denied(why) => write!(f, "refused: {why}"),
            Self::Locked { .. } => f.write_str("the credential is locked"),
            Self::Unavailable(why) => why.fmt(f),
            Self::Internal(why) => why.fmt(f),
        }
    }
}

impl fmt::Display for Unauthenticated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownApiKey => f.write_str("no client has this api-key"),
            Self::Token(error) => error.fmt(f),
            Self::WrongType(kind) => write!(f, "a token of type {} is no good here", kind.as_str()),
            Self::OtherTenant => f.write_str("the token is another tenant's"),
            Self::OtherClient => f.write_str("the token is another client's"),
            Self::Grant(refusal) => refusal.fmt(f),
        }
    }
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OneTimeToken(error) => error.fmt(f),
            Self::Grant(refusal) => refusal.fmt(f),
            Self::Replayed { revoked: true } => {
                f.write_str("replay of a spent one-time token: what it bought has been revoked")
            }
            Self::Replayed { revoked: false } => f.write_str("replay of a spent one-time token"),
            Self::OtherCredential => f.write_str("the one-time token is another credential's"),
            Self::OtherIdentity => f.write_str("the Bearer acts for another identity"),
            Self::Assertion(error) => error.fmt(f),
            Self::AssertionBeforeEpoch => f.write_str(
                "the assertion was signed before the store's epoch and may have been spent: sign \
                 a new one",
            ),
            Self::StoreMayEvict => f.write_str(
                "the store may evict records, so it cannot tell whether an assertion was spent",
            ),
            Self::NotLinked => f.write_str("the credential is not linked to this identity"),
            Self::Disabled => f.write_str("the credential or the identity is disabled"),
            Self::Scope => f.write_str("the scope is wider than what was granted"),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unknown => "no such grant",
            Self::Secret => "wrong secret",
            Self::Tenant => "another tenant's grant",
            Self::Client => "another client's grant",
            Self::Credential => "another credential's grant",
            Self::Clock => "the clock is behind the record's",
            Self::Epoch => "issued before the store's epoch",
            Self::Head => "everything of the credential was revoked",
            Self::Login => "its login has ended",
            Self::Identity => "for another identity",
            Self::Unresolved => "its identity has not been resolved",
            Self::Status => "no evidence of a step-up",
            Self::Spent => "spent already",
            Self::Superseded => "superseded by a step-up",
            Self::Revoked => "revoked",
            Self::Expired => "expired",
            Self::Idle => "unused for too long",
        })
    }
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(error) => error.fmt(f),
            Self::Keys(error) => write!(f, "the key provider could not answer: {error}"),
            Self::Signer(error) => write!(
                f,
                "the signer could not answer: {error}; no token was handed out: repeat the same attempt"
            ),
            Self::Clients(error) => write!(f, "the client registry could not answer: {error}"),
            Self::Identities(error) => write!(f, "the identity resolver could not answer: {error}"),
            Self::Clock => f.write_str("the clock stepped back too far: set it right"),
            Self::Epoch => f.write_str("the store's epoch has not been read for too long"),
            Self::Randomness => f.write_str("the operating system gave no random bytes"),
        }
    }
}

impl fmt::Display for Internal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnknownTenant => "the client's tenant is unknown: add it to `Parts::tenants`",
            Self::Store => "the store broke its contract: run the conformance suite on it",
        })
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Policy(error) => error.fmt(f),
            Self::NoTenant => f.write_str("no tenant was given: fill `Parts::tenants`"),
            Self::Grade { required, found, reason } => write!(
                f,
                "the policy demands a store that is {required:?}, but this one is {found:?}: \
                 {reason}"
            ),
            Self::Unavailable(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Unavailable(why) => why.source(),
            _ => None,
        }
    }
}

impl std::error::Error for Unavailable {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Store(error) => error.source(),
            Self::Keys(error) | Self::Signer(error) => error.source(),
            Self::Clients(error) | Self::Identities(error) => error.source(),
            Self::Clock | Self::Epoch | Self::Randomness => None,
        }
    }
}

impl std::error::Error for StartError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Unavailable(why) => why.source(),
            _ => None,
        }
    }
}

impl From<Unavailable> for Error {
    fn from(why: Unavailable) -> Self {
        Self::Unavailable(why)
    }
}

impl From<Denied> for Error {
    fn from(why: Denied) -> Self {
        Self::Denied(why)
    }
}

impl From<Unauthenticated> for Error {
    fn from(why: Unauthenticated) -> Self {
        Self::Unauthenticated(why)
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        Self::Unavailable(Unavailable::Store(error))
    }
}

impl From<NoRandomness> for Error {
    fn from(_: NoRandomness) -> Self {
        Self::Unavailable(Unavailable::Randomness)
    }
}

impl From<Unavailable> for StartError {
    fn from(why: Unavailable) -> Self {
        Self::Unavailable(why)
    }
}
