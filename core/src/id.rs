//! Ids and digests, with their bytes: grant ids, locators, attempts, generations, epochs.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest as _, Sha256};

use crate::{
    bytes::{base64url_text, fixed_bytes},
    instant::Timestamp,
    model::{ClientId, Credential, CredentialId, Tenant},
    random,
};

/// Where the records of one credential live: the first 12 bytes of SHA-256 over the tenant, the
/// credential's type and its id, each preceded by its length.
///
/// Every record of a credential shares it, so a store can keep them on one shard: it is the hash
/// tag of every key in a Redis Cluster, the leading column of every index in Postgres, the lock
/// stripe in memory.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Locator([u8; Self::BYTES]);

impl Locator {
    /// The locator of a credential.
    #[must_use]
    pub fn of(tenant: &Tenant, credential: &Credential) -> Self {
        let digest = hash(&[
            tenant.as_str().as_bytes(),
            credential.kind.as_str().as_bytes(),
            credential.id.as_str().as_bytes(),
        ]);
        Self(first(&digest))
    }
}

fixed_bytes!(Locator, 12);
base64url_text!(Locator, "a locator");

/// The id of a grant: a [`Locator`] and 12 more bytes; the token's `jti` (RFC 7519 §4.1.7).
///
/// It prints as 32 characters of unpadded base64url and is no secret: knowing it buys nothing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GrantId([u8; Self::BYTES]);

impl GrantId {
    /// A fresh random id on the shard of `locator`.
    pub(crate) fn random(locator: Locator) -> Result<Self, random::NoRandomness> {
        Ok(Self::on(locator, random::bytes()?))
    }

    /// The id of the grant that `attempt` opens under `login`: the same attempt finds the same
    /// grant, on the login's shard.
    #[must_use]
    pub fn of_child(login: Self, attempt: Attempt) -> Self {
        Self::on(login.locator(), first(&hash(&[b"open", &login.0, &attempt.0])))
    }

    /// The id of the grant that a client assertion buys: a second use of its `jti` finds the id
    /// taken. `issuer` is the assertion's `iss`, the delegated API client's credential id.
    #[must_use]
    pub fn of_assertion(tenant: &Tenant, issuer: &CredentialId, jti: &str) -> Self {
        let credential = Credential::new(crate::model::CredentialType::ApiClient, issuer.clone());
        let digest = hash(&[
            b"assertion",
            tenant.as_str().as_bytes(),
            issuer.as_str().as_bytes(),
            jti.as_bytes(),
        ]);
        Self::on(Locator::of(tenant, &credential), first(&digest))
    }

    /// The shard that its record lives on.
    #[must_use]
    pub fn locator(&self) -> Locator {
        Locator(first(&self.0))
    }

    fn on(locator: Locator, tail: [u8; 12]) -> Self {
        let mut bytes = [0; Self::BYTES];
        bytes[..Locator::BYTES].copy_from_slice(&locator.0);
        bytes[Locator::BYTES..].copy_from_slice(&tail);
        Self(bytes)
    }
}

fixed_bytes!(GrantId, 24);
base64url_text!(GrantId, "a grant id");

/// What a client calls one try of its own, so that it can be repeated safely: the
/// `idempotency-ref` of the wire.
///
/// 1 to 255 printable ASCII characters; choose it at random, for example a UUID.
#[derive(Clone, PartialEq, Eq)]
pub struct IdempotencyRef(String);

impl IdempotencyRef {
    /// Checks the text and takes it; `None` when it is empty, longer than 255 bytes or not
    /// printable ASCII.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let printable = text.bytes().all(|b| (b' '..=b'~').contains(&b));
        ((1..=255).contains(&text.len()) && printable).then(|| Self(text.to_owned()))
    }
}

impl fmt::Debug for IdempotencyRef {
    /// Whoever knows it can repeat the attempt, so it is not shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IdempotencyRef(…)")
    }
}

/// The id of one try to spend a token. Repeating the same attempt is safe; another attempt on a
/// spent token is a replay.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Attempt([u8; Self::BYTES]);

impl Attempt {
    /// The attempt of this client to do exactly this under that name: SHA-256 over the reference,
    /// the client and every field of the request, each preceded by its length.
    ///
    /// Two requests that differ in any field are two attempts, even under one reference.
    #[must_use]
    pub fn of(reference: &IdempotencyRef, client: &ClientId, fields: &[&[u8]]) -> Self {
        let mut digest = Sha256::new();
        feed(&mut digest, b"attempt");
        feed(&mut digest, reference.0.as_bytes());
        feed(&mut digest, client.as_str().as_bytes());
        for field in fields {
            feed(&mut digest, field);
        }
        Self(digest.finalize().into())
    }

    /// An attempt that nobody can repeat.
    pub(crate) fn unrepeatable() -> Result<Self, random::NoRandomness> {
        random::unique().map(Self)
    }
}

fixed_bytes!(Attempt, 32);

impl fmt::Debug for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Attempt(…)")
    }
}

/// The random mark of a head. Every grant carries its head's; drawing a new one ends them all.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Generation([u8; Self::BYTES]);

impl Generation {
    pub(crate) fn random() -> Result<Self, random::NoRandomness> {
        random::bytes().map(Self)
    }
}

fixed_bytes!(Generation, 16);

impl fmt::Debug for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Generation({})", URL_SAFE_NO_PAD.encode(self.0))
    }
}

/// The store's own count of restores: an instant, stamped into every record. Records of a lower
/// epoch are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Epoch(pub Timestamp);

impl Epoch {
    /// The epoch after this one, raised at `now`: max(this + 1 ms, now).
    #[must_use]
    pub fn raised(self, now: Timestamp) -> Self {
        Self(now.max(Timestamp::from_millis(self.0.as_millis() + 1)))
    }
}

/// SHA-256 over the parts, each preceded by its length in bytes as a big-endian `u64`, so that no
/// two lists of parts share an input.
fn hash(parts: &[&[u8]]) -> [u8; 32] {
    let mut digest = Sha256::new();
    for part in parts {
        feed(&mut digest, part);
    }
    digest.finalize().into()
}

fn feed(digest: &mut Sha256, part: &[u8]) {
    digest.update((part.len() as u64).to_be_bytes());
    digest.update(part);
}

/// The first `N` bytes of a longer array.
fn first<const N: usize, const M: usize>(bytes: &[u8; M]) -> [u8; N] {
    const { assert!(N <= M) };
    let mut first = [0; N];
    first.copy_from_slice(&bytes[..N]);
    first
}
