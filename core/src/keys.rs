//! Keys: what a token is signed with and checked against, and the seam that provides them.

use std::{collections::BTreeMap, fmt, sync::Arc};

use async_trait::async_trait;
use ed25519_dalek::{
    hazmat::{ExpandedSecretKey, raw_sign},
    pkcs8::DecodePrivateKey as _,
};
use sha2::Sha512;
use zeroize::Zeroize as _;

use crate::{
    bytes::{base64url_text, fixed_bytes},
    instant::Timestamp,
    jwk, random,
};

/// What a key calls its signatures: the `alg` of a header (RFC 7515 §4.1.1).
///
/// Both are Ed25519 and make the same bytes. A token is accepted only under the one name that its
/// key has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Algorithm {
    /// `EdDSA` (RFC 8037 §3.1): the name that clients understand today.
    #[default]
    EdDsa,
    /// `Ed25519` (RFC 9864 §2.2): the name that says which curve.
    Ed25519,
}

impl Algorithm {
    /// Its `alg`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::EdDsa => "EdDSA",
            Self::Ed25519 => "Ed25519",
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The id of a key, its `kid`: the SHA-256 thumbprint of its public half (RFC 7638; RFC 8037
/// appendix A.3), so that it cannot name another key.
///
/// It prints as 43 characters of unpadded base64url.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId([u8; Self::BYTES]);

fixed_bytes!(KeyId, 32);
base64url_text!(KeyId, "a key id");

/// Which key signs and under which name: what a grant's record keeps, so that a retry is signed as
/// the first try was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyRef {
    /// The key.
    pub kid: KeyId,
    /// What it calls its signatures.
    pub algorithm: Algorithm,
}

/// An Ed25519 signature (RFC 8032 §5.1.6): `R` and `S`, 64 bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature([u8; Self::BYTES]);

fixed_bytes!(Signature, 64);

impl fmt::Debug for Signature {
    /// With its message it would be a token, so it is not shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signature(…)")
    }
}

/// The public half of an Ed25519 key, ready to check signatures.
#[derive(Clone, PartialEq, Eq)]
pub struct VerifyingKey {
    id: KeyRef,
    point: ed25519_dalek::VerifyingKey,
}

impl VerifyingKey {
    /// Its length in bytes.
    pub const BYTES: usize = 32;

    /// Reads the public key's encoding (RFC 8032 §5.1.2).
    ///
    /// The point is compressed again and compared, because decompression alone accepts several
    /// encodings of one point: two ids for one key.
    ///
    /// # Errors
    /// [`InvalidKey`] when it is no point of the curve, is encoded in another than its one way, or
    /// has a small order, so that one signature would fit many messages.
    pub fn from_bytes(bytes: &[u8; Self::BYTES], algorithm: Algorithm) -> Result<Self, InvalidKey> {
        let point =
            ed25519_dalek::VerifyingKey::from_bytes(bytes).map_err(|_| InvalidKey::NotAPoint)?;
        if point.to_edwards().compress().as_bytes() != bytes {
            return Err(InvalidKey::NonCanonical);
        }
        if point.is_weak() {
            return Err(InvalidKey::SmallOrder);
        }
        Ok(Self::of(point, algorithm))
    }

    /// The encoding of the public key.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; Self::BYTES] {
        self.point.as_bytes()
    }

    /// Its id.
    #[must_use]
    pub const fn kid(&self) -> KeyId {
        self.id.kid
    }

    /// Its id and what it calls its signatures.
    #[must_use]
    pub const fn key_ref(&self) -> KeyRef {
        self.id
    }

    /// Whether the signature is this key's over that message.
    ///
    /// Stricter than RFC 8032 §5.1.7 asks: a signature whose `R` has a small order or another than
    /// its one encoding is refused as well, so that nobody can turn a signature into a second one.
    #[must_use]
    pub fn verify(&self, message: &[u8], signature: &Signature) -> bool {
        let signature = ed25519_dalek::Signature::from_bytes(&signature.0);
        self.point.verify_strict(message, &signature).is_ok()
    }

    fn of(point: ed25519_dalek::VerifyingKey, algorithm: Algorithm) -> Self {
        let kid = jwk::ed25519_thumbprint(point.as_bytes());
        Self { id: KeyRef { kid, algorithm }, point }
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("VerifyingKey").field(&self.id).finish()
    }
}

/// A key, as text or as bytes, is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidKey {
    /// The JSON, PEM or DER around it cannot be read, or lacks a part.
    Malformed,
    /// It is a key of another kind, curve or algorithm.
    Unsupported,
    /// It is no point of the curve.
    NotAPoint,
    /// Its point is encoded in another than its one way.
    NonCanonical,
    /// Its point has a small order.
    SmallOrder,
    /// Its public half does not belong to its private half.
    Mismatch,
    /// Its `kid` is not its thumbprint.
    NotItsThumbprint,
    /// Two keys of a set have one `kid`.
    Duplicate,
    /// A private key stands where a public one is expected: treat it as known to others.
    Private,
    /// An RSA modulus of fewer than 2048 bits, or of more than 4096.
    RsaSize,
}

impl fmt::Display for InvalidKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "the key's JSON, PEM or DER is malformed or incomplete",
            Self::Unsupported => "the key is of another kind, curve or algorithm",
            Self::NotAPoint => "the key is no point of its curve",
            Self::NonCanonical => "the key's point is not encoded canonically",
            Self::SmallOrder => "the key's point has a small order",
            Self::Mismatch => "the key's public half does not belong to its private half",
            Self::NotItsThumbprint => "the key's `kid` is not its RFC 7638 thumbprint",
            Self::Duplicate => "two keys have the same `kid`",
            Self::Private => "a private key stands where a public key is expected",
            Self::RsaSize => "the RSA modulus must have 2048 to 4096 bits",
        })
    }
}

impl std::error::Error for InvalidKey {}

/// The keys under which tokens are accepted: a JSON Web Key Set (RFC 7517 §5).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KeySet(BTreeMap<KeyId, VerifyingKey>);

impl KeySet {
    /// The set of these keys. Of one key under two algorithm names, the last counts.
    #[must_use]
    pub fn new(keys: impl IntoIterator<Item = VerifyingKey>) -> Self {
        Self(keys.into_iter().map(|key| (key.kid(), key)).collect())
    }

    /// The key of this id.
    #[must_use]
    pub fn get(&self, kid: &KeyId) -> Option<&VerifyingKey> {
        self.0.get(kid)
    }

    /// Every key, in the order of their ids.
    pub fn iter(&self) -> impl Iterator<Item = &VerifyingKey> {
        self.0.values()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none: no token is accepted then.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Signs, here or elsewhere: the private half of an Ed25519 key, in memory, in an HSM or behind a
/// KMS.
///
/// What a wrong implementation costs:
/// - A signature by another key than the one that [`SigningKey::new`] was told makes a token that
///   everyone refuses; the one-time token that bought it is spent.
/// - Ed25519 is deterministic (RFC 8032 §5.1.6). A signer that adds randomness breaks the promise
///   that a repeated attempt gets the same bytes.
/// - It is asked after the store has changed. One that never answers costs the token, unless the
///   same attempt comes again in time; so let it fail rather than hang.
/// - It is asked on the caller's own thread. One that blocks keeps that thread from everything else:
///   wrap it in a `BlockingSigner` (feature `tokio`).
#[async_trait]
pub trait Signer: fmt::Debug + Send + Sync + 'static {
    /// The Ed25519 signature of the message (pure, not pre-hashed; RFC 8032 §5.1.6).
    async fn sign(&self, message: &[u8]) -> Result<Signature, KeyError>;
}

/// A key that signs tokens. It carries its own id and algorithm, so that a rotation between two
/// calls cannot pair the one key's name with the other's signature. Cheap to clone.
#[derive(Clone)]
pub struct SigningKey {
    public: VerifyingKey,
    signer: Arc<dyn Signer>,
}

impl SigningKey {
    /// The key whose public half is `public` and whose private half is `signer`.
    #[must_use]
    pub fn new(public: &VerifyingKey, signer: Arc<dyn Signer>) -> Self {
        Self { public: public.clone(), signer }
    }

    /// A fresh key in this process's memory, wiped when its last clone is dropped.
    ///
    /// # Errors
    /// [`KeyError`] when the operating system gives no randomness.
    pub fn generate(algorithm: Algorithm) -> Result<Self, KeyError> {
        let mut seed = random::bytes()
            .map_err(|error| KeyError::new(KeyErrorKind::Unavailable).because(error.0))?;
        let key = Self::from_seed(&seed, algorithm);
        seed.zeroize();
        Ok(key)
    }

    /// Reads a PKCS#8 private key in PEM (RFC 8410 §7, RFC 7468 §10), as `openssl genpkey
    /// -algorithm ed25519` writes it.
    ///
    /// # Errors
    /// [`InvalidKey`] when it is none, or its public half, where there is one, is another key's.
    pub fn from_pkcs8_pem(pem: &str, algorithm: Algorithm) -> Result<Self, InvalidKey> {
        let key = ed25519_dalek::SigningKey::from_pkcs8_pem(pem).map_err(pkcs8_error)?;
        Ok(Self::local(&key, algorithm))
    }

    /// Reads a PKCS#8 private key in DER (RFC 8410 §7, RFC 5958).
    ///
    /// # Errors
    /// [`InvalidKey`] when it is none, or its public half, where there is one, is another key's.
    pub fn from_pkcs8_der(der: &[u8], algorithm: Algorithm) -> Result<Self, InvalidKey> {
        let key = ed25519_dalek::SigningKey::from_pkcs8_der(der).map_err(pkcs8_error)?;
        Ok(Self::local(&key, algorithm))
    }

    /// The key that grows from this seed, the private key of RFC 8032 §5.1.5: 32 random bytes, for
    /// a provider that keeps keys itself. Whoever has the seed has the key: wipe it, and let nothing
    /// but what is sealed leave the process.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32], algorithm: Algorithm) -> Self {
        Self::local(&ed25519_dalek::SigningKey::from_bytes(seed), algorithm)
    }

    fn local(key: &ed25519_dalek::SigningKey, algorithm: Algorithm) -> Self {
        let public = VerifyingKey::of(key.verifying_key(), algorithm);
        Self { public, signer: Arc::new(LocalSigner::new(key)) }
    }

    /// Its id and what it calls its signatures.
    #[must_use]
    pub const fn key_ref(&self) -> KeyRef {
        self.public.key_ref()
    }

    /// Its public half.
    #[must_use]
    pub const fn verifying_key(&self) -> &VerifyingKey {
        &self.public
    }

    /// Signs the message.
    ///
    /// # Errors
    /// [`KeyError`] when the signer does not answer. A key in memory always answers.
    pub async fn sign(&self, message: &[u8]) -> Result<Signature, KeyError> {
        self.signer.sign(message).await
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SigningKey").field(&self.public.id).finish()
    }
}

/// A private key in memory, expanded once and for all (RFC 8032 §5.1.5), which its own type wipes
/// on drop.
struct LocalSigner {
    #[cfg(feature = "aws-lc")]
    aws_lc: Option<aws_lc_rs::signature::Ed25519KeyPair>,
    expanded: ExpandedSecretKey,
    /// Whoever signs with one key and another's public half gives the key away: both come from one
    /// seed, and stay together.
    public: ed25519_dalek::VerifyingKey,
}

impl LocalSigner {
    fn new(key: &ed25519_dalek::SigningKey) -> Self {
        let public = key.verifying_key();
        Self {
            // It takes every seed. Should it not take one, the other signs the same.
            #[cfg(feature = "aws-lc")]
            aws_lc: aws_lc_rs::signature::Ed25519KeyPair::from_seed_and_public_key(
                key.as_bytes(),
                public.as_bytes(),
            )
            .ok(),
            expanded: ExpandedSecretKey::from(key.as_bytes()),
            public,
        }
    }
}

#[async_trait]
impl Signer for LocalSigner {
    async fn sign(&self, message: &[u8]) -> Result<Signature, KeyError> {
        #[cfg(feature = "aws-lc")]
        if let Some(aws_lc) = &self.aws_lc
            && let Ok(signature) = aws_lc.try_sign(message)
            && let Ok(signature) = signature.as_ref().try_into()
        {
            return Ok(Signature(signature));
        }
        Ok(Signature(raw_sign::<Sha512>(&self.expanded, message, &self.public).to_bytes()))
    }
}

impl fmt::Debug for LocalSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LocalSigner(…)")
    }
}

fn pkcs8_error(error: ed25519_dalek::pkcs8::Error) -> InvalidKey {
    use ed25519_dalek::pkcs8::{Error, KeyError, spki};
    match error {
        Error::PublicKey(spki::Error::OidUnknown { .. }) => InvalidKey::Unsupported,
        Error::KeyMalformed(KeyError::Invalid) => InvalidKey::Mismatch,
        _ => InvalidKey::Malformed,
    }
}

/// Provides the keys, and turns them over.
///
/// A key goes Next (published) → Current → Retiring (published until the last token that it signed
/// is dead; signs retries only) → gone. What a wrong implementation costs:
/// - A key that signs before everyone's copy of the key set has it: its first tokens are refused.
/// - A key that is gone before its last token is dead: people are logged out; a retry in its window
///   finds its token lost.
/// - A key that comes back after it was distrusted: whoever stole it mints tokens again.
/// - A `kid` that means two keys, or an answer to `signing_key(Some(kid))` with another key: a retry
///   gets other bytes than the first try.
///
/// It is asked before the store changes, so an error here costs nobody a token. `now` is the
/// engine's clock: an implementation asks no other.
#[async_trait]
pub trait KeyProvider: fmt::Debug + Send + Sync + 'static {
    /// The current key for `None`; for `Some`, that very key, so that a retry can be signed as the
    /// first try was.
    ///
    /// # Errors
    /// [`KeyErrorKind::UnknownKey`] when the key is gone or was distrusted;
    /// [`KeyErrorKind::Unavailable`] when it cannot be told now.
    async fn signing_key(
        &self,
        kid: Option<&KeyId>,
        now: Timestamp,
    ) -> Result<SigningKey, KeyError>;

    /// Every key under which a token is accepted at `now`: Next, Current and Retiring. It is asked
    /// for with every token, so keep it at hand.
    ///
    /// # Errors
    /// [`KeyError`] when it cannot be told now: no token is accepted then.
    async fn verifying_keys(&self, now: Timestamp) -> Result<Arc<KeySet>, KeyError>;

    /// Publishes the next key and forgets what is gone, as far as `now` asks for it. Called by
    /// housekeeping, any number of times; does nothing where keys are managed elsewhere.
    ///
    /// # Errors
    /// [`KeyError`] when it must be tried again later.
    async fn rotate(&self, now: Timestamp) -> Result<(), KeyError>;
}

/// A key could not be had or could not sign.
#[derive(Debug)]
pub struct KeyError {
    kind: KeyErrorKind,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// What is the matter with the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KeyErrorKind {
    /// The key service does not answer now; later it may.
    Unavailable,
    /// There is no such key, or no longer.
    UnknownKey,
    /// The key service answers, and refuses: asking again does not help.
    Rejected,
}

impl KeyError {
    /// An error of this kind.
    #[must_use]
    pub const fn new(kind: KeyErrorKind) -> Self {
        Self { kind, source: None }
    }

    /// The same error with what caused it. The cause is logged: it must hold no secret.
    #[must_use]
    pub fn because(self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self { kind: self.kind, source: Some(source.into()) }
    }

    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> KeyErrorKind {
        self.kind
    }
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            KeyErrorKind::Unavailable => "the key service does not answer",
            KeyErrorKind::UnknownKey => "there is no such key",
            KeyErrorKind::Rejected => "the key service refuses to sign",
        })
    }
}

impl std::error::Error for KeyError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn std::error::Error + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bytes::InvalidId;

    /// What `y` and the sign of `x` encode (RFC 8032 §5.1.2), `y` counted from the prime.
    fn from_the_prime(offset: u8, sign: u8) -> [u8; 32] {
        let mut bytes = [0xFF; 32];
        bytes[0] = 0xED + offset;
        bytes[31] = 0x7F | sign;
        bytes
    }

    #[test]
    fn a_point_is_accepted_in_its_one_encoding_only() {
        let mut decompressed = 0;
        for offset in 0..=18 {
            for sign in [0, 0x80] {
                let bytes = from_the_prime(offset, sign);
                let refused = VerifyingKey::from_bytes(&bytes, Algorithm::EdDsa).unwrap_err();
                match ed25519_dalek::VerifyingKey::from_bytes(&bytes) {
                    Ok(_) => {
                        decompressed += 1;
                        assert_eq!(refused, InvalidKey::NonCanonical);
                    }
                    Err(_) => assert_eq!(refused, InvalidKey::NotAPoint),
                }
            }
        }
        assert!(decompressed > 10, "the library alone accepts many of them");
    }

    #[test]
    fn a_point_of_small_order_is_refused() {
        let mut one = [0; 32];
        one[0] = 1;
        let mut minus_one = from_the_prime(0, 0);
        minus_one[0] -= 1;
        let mut zero_negative = [0; 32];
        zero_negative[31] = 0x80;
        for bytes in [one, minus_one, [0; 32], zero_negative] {
            let refused = VerifyingKey::from_bytes(&bytes, Algorithm::EdDsa);
            assert_eq!(refused, Err(InvalidKey::SmallOrder));
        }
    }

    #[test]
    fn a_key_id_is_its_text_and_no_other() {
        let kid = KeyId::from_bytes([0xFB; 32]);
        let text = kid.to_string();
        assert_eq!((text.len(), text.parse()), (43, Ok(kid)));
        let padded = format!("{text}=");
        let stray = format!("{}t", &text[..42]);
        for bad in ["", &text[..42], &padded, &stray, &text.replace('-', "+")] {
            assert_eq!(
                bad.parse::<KeyId>(),
                Err(InvalidId::new("a key id", KeyId::BYTES)),
                "{bad}"
            );
        }
    }

    #[test]
    fn a_private_key_is_not_shown() {
        let key = SigningKey::from_seed(&[0xAB; 32], Algorithm::EdDsa);
        let shown = format!("{key:?} {:?}", key.signer);
        assert!(!shown.contains("171") && !shown.contains("abab"), "{shown}");
        assert!(shown.contains(&key.key_ref().kid.to_string()));
    }

    #[cfg(feature = "aws-lc")]
    #[tokio::test]
    async fn either_library_signs_the_same_bytes() {
        for byte in 0..=255 {
            let key = ed25519_dalek::SigningKey::from_bytes(&[byte; 32]);
            let (fast, pure) = (LocalSigner::new(&key), LocalSigner::new(&key));
            assert!(fast.aws_lc.is_some(), "it takes every seed");
            let pure = LocalSigner { aws_lc: None, ..pure };
            let message = vec![byte; usize::from(byte) * 3];
            let [fast, pure] = [fast.sign(&message).await, pure.sign(&message).await];
            assert_eq!(fast.unwrap(), pure.unwrap());
        }
    }

    #[test]
    fn an_error_tells_its_cause_and_kind() {
        let error = KeyError::new(KeyErrorKind::Rejected).because("quota");
        assert_eq!(error.kind(), KeyErrorKind::Rejected);
        assert_eq!(std::error::Error::source(&error).unwrap().to_string(), "quota");
    }
}
