//! The public keys with which a client's assertions are checked.

use std::fmt;

use ed25519_dalek::pkcs8::DecodePublicKey as _;

use crate::{
    json::Object,
    jwk,
    keys::{Algorithm, InvalidKey, Signature, VerifyingKey},
};

/// What an assertion is signed with (RFC 7518 §3.1, RFC 8037 §3.1, RFC 9864 §2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AssertionAlgorithm {
    /// Ed25519 under the name `EdDSA`.
    EdDsa,
    /// Ed25519 under its own name.
    Ed25519,
    /// ECDSA with P-256 and SHA-256.
    #[cfg(feature = "assertion-algorithms")]
    Es256,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    #[cfg(feature = "assertion-algorithms")]
    Rs256,
    /// RSASSA-PSS with SHA-256 and a salt of 32 bytes.
    #[cfg(feature = "assertion-algorithms")]
    Ps256,
}

impl AssertionAlgorithm {
    /// Its `alg`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::EdDsa => Algorithm::EdDsa.as_str(),
            Self::Ed25519 => Algorithm::Ed25519.as_str(),
            #[cfg(feature = "assertion-algorithms")]
            Self::Es256 => "ES256",
            #[cfg(feature = "assertion-algorithms")]
            Self::Rs256 => "RS256",
            #[cfg(feature = "assertion-algorithms")]
            Self::Ps256 => "PS256",
        }
    }
}

impl From<Algorithm> for AssertionAlgorithm {
    fn from(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::EdDsa => Self::EdDsa,
            Algorithm::Ed25519 => Self::Ed25519,
        }
    }
}

/// A public key of a delegated API client, and the one algorithm that it is used with: the assertion
/// does not choose.
///
/// `EdDSA` is always there; ES256, RS256 and PS256 come with the feature `assertion-algorithms`. That
/// feature only ever checks signatures: no RSA private key is held, so that the timing attacks on
/// RSA private keys (RUSTSEC-2023-0071) find nothing here.
#[derive(Clone)]
pub struct AssertionKey {
    kid: String,
    algorithm: AssertionAlgorithm,
    public: Public,
}

#[derive(Clone)]
enum Public {
    Ed25519(VerifyingKey),
    #[cfg(feature = "assertion-algorithms")]
    P256(p256::ecdsa::VerifyingKey),
    #[cfg(feature = "assertion-algorithms")]
    Rsa(Box<rsa::PublicKey>),
}

impl AssertionKey {
    /// Reads a public key as a JSON Web Key (RFC 7517 §4): `OKP`/`Ed25519`, and with the feature
    /// `EC`/`P-256` and `RSA`.
    ///
    /// Without `kid` it is named by its thumbprint (RFC 7638). Without `alg`, an `OKP` key is `EdDSA`
    /// and an `EC` key `ES256`; an `RSA` key must have it.
    ///
    /// # Errors
    /// [`InvalidKey`] when it is malformed, private, weak or of another kind.
    pub fn from_jwk(json: &str) -> Result<Self, InvalidKey> {
        let member = Object::parse(json).map_err(|_| InvalidKey::Malformed)?;
        if !jwk::signs(&member)? {
            return Err(InvalidKey::Unsupported);
        }
        let mut key = match jwk::text(&member, "kty")?.as_deref() {
            Some("OKP") => jwk::ed25519_public(&member).map(Self::from)?,
            #[cfg(feature = "assertion-algorithms")]
            Some("EC") => wider::p256_from_jwk(&member)?,
            #[cfg(feature = "assertion-algorithms")]
            Some("RSA") => wider::rsa_from_jwk(&member)?,
            Some(_) => return Err(InvalidKey::Unsupported),
            None => return Err(InvalidKey::Malformed),
        };
        if let Some(kid) = jwk::text(&member, "kid")? {
            key.kid = kid;
        }
        Ok(key)
    }

    /// Reads a public key in PEM (`BEGIN PUBLIC KEY`; RFC 5280 §4.1.2.7, RFC 8410 §4), to be used
    /// with that algorithm. It is named by its thumbprint.
    ///
    /// # Errors
    /// [`InvalidKey`] when it is malformed, weak or not for that algorithm.
    pub fn from_spki_pem(pem: &str, algorithm: AssertionAlgorithm) -> Result<Self, InvalidKey> {
        match algorithm {
            AssertionAlgorithm::EdDsa => ed25519_from_pem(pem, Algorithm::EdDsa),
            AssertionAlgorithm::Ed25519 => ed25519_from_pem(pem, Algorithm::Ed25519),
            #[cfg(feature = "assertion-algorithms")]
            AssertionAlgorithm::Es256 => wider::p256_from_pem(pem),
            #[cfg(feature = "assertion-algorithms")]
            AssertionAlgorithm::Rs256 | AssertionAlgorithm::Ps256 => {
                wider::rsa_from_pem(pem, algorithm)
            }
        }
    }

    /// The name by which an assertion's header selects it.
    #[must_use]
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The algorithm that it is used with.
    #[must_use]
    pub const fn algorithm(&self) -> AssertionAlgorithm {
        self.algorithm
    }

    pub(super) const fn alg(&self) -> &'static str {
        self.algorithm.as_str()
    }

    pub(super) fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        match &self.public {
            Public::Ed25519(key) => signature
                .try_into()
                .is_ok_and(|bytes| key.verify(message, &Signature::from_bytes(bytes))),
            #[cfg(feature = "assertion-algorithms")]
            Public::P256(key) => wider::verify_p256(key, message, signature),
            #[cfg(feature = "assertion-algorithms")]
            Public::Rsa(key) => wider::verify_rsa(key, self.algorithm, message, signature),
        }
    }
}

impl From<VerifyingKey> for AssertionKey {
    /// The key under its thumbprint.
    fn from(key: VerifyingKey) -> Self {
        Self {
            kid: key.kid().to_string(),
            algorithm: key.key_ref().algorithm.into(),
            public: Public::Ed25519(key),
        }
    }
}

impl fmt::Debug for AssertionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AssertionKey")
            .field("kid", &self.kid)
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

fn ed25519_from_pem(pem: &str, algorithm: Algorithm) -> Result<AssertionKey, InvalidKey> {
    let bytes = ed25519_dalek::pkcs8::PublicKeyBytes::from_public_key_pem(pem)
        .map_err(|error| spki_error(&error))?;
    Ok(VerifyingKey::from_bytes(&bytes.to_bytes(), algorithm)?.into())
}

fn spki_error(error: &ed25519_dalek::pkcs8::spki::Error) -> InvalidKey {
    match error {
        ed25519_dalek::pkcs8::spki::Error::OidUnknown { .. } => InvalidKey::Unsupported,
        _ => InvalidKey::Malformed,
    }
}

/// ECDSA and RSA.
#[cfg(feature = "assertion-algorithms")]
mod wider {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    use p256::ecdsa::signature::Verifier as _;
    use rsa::pkcs8::DecodePublicKey as _;
    use rsa::{BoxedUint, traits::PublicKeyParts as _};
    use sha2::Sha256;

    use super::{AssertionAlgorithm, AssertionKey, Public, spki_error};
    use crate::{json::Object, jwk, keys::InvalidKey};

    /// `EC` (RFC 7518 §6.2.1).
    pub(super) fn p256_from_jwk(member: &Object<'_>) -> Result<AssertionKey, InvalidKey> {
        let curve = jwk::text(member, "crv")?.ok_or(InvalidKey::Malformed)?;
        let alg = jwk::text(member, "alg")?;
        if curve != "P-256" || alg.is_some_and(|alg| alg != "ES256") {
            return Err(InvalidKey::Unsupported);
        }
        let (x, y) = (bytes(member, "x")?, bytes(member, "y")?);
        refuse_private(member)?;
        if x.len() != 32 || y.len() != 32 {
            return Err(InvalidKey::Malformed);
        }
        let point = [&[4], x.as_slice(), y.as_slice()].concat();
        let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(&point);
        Ok(p256_key(key.map_err(|_| InvalidKey::NotAPoint)?))
    }

    pub(super) fn p256_from_pem(pem: &str) -> Result<AssertionKey, InvalidKey> {
        let key = p256::ecdsa::VerifyingKey::from_public_key_pem(pem);
        key.map(p256_key).map_err(|error| spki_error(&error))
    }

    fn p256_key(key: p256::ecdsa::VerifyingKey) -> AssertionKey {
        // Uncompressed: 4, then x and y of 32 bytes each (SEC 1 §2.3.3).
        let point = key.to_sec1_point(false);
        let (x, y) = point.as_bytes()[1..].split_at(32);
        let (x, y) = (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y));
        let kid = jwk::thumbprint(&[("crv", "P-256"), ("kty", "EC"), ("x", &x), ("y", &y)]);
        AssertionKey {
            kid: kid.to_string(),
            algorithm: AssertionAlgorithm::Es256,
            public: Public::P256(key),
        }
    }

    /// `RSA` (RFC 7518 §6.3.1).
    pub(super) fn rsa_from_jwk(member: &Object<'_>) -> Result<AssertionKey, InvalidKey> {
        let algorithm = match jwk::text(member, "alg")?.as_deref() {
            Some("RS256") => AssertionAlgorithm::Rs256,
            Some("PS256") => AssertionAlgorithm::Ps256,
            _ => return Err(InvalidKey::Unsupported),
        };
        refuse_private(member)?;
        rsa_key(&bytes(member, "n")?, &bytes(member, "e")?, algorithm)
    }

    pub(super) fn rsa_from_pem(
        pem: &str,
        algorithm: AssertionAlgorithm,
    ) -> Result<AssertionKey, InvalidKey> {
        let key = rsa::PublicKey::from_public_key_pem(pem).map_err(|error| spki_error(&error))?;
        rsa_key(&key.n_bytes(), &key.e_bytes(), algorithm)
    }

    fn rsa_key(
        n: &[u8],
        e: &[u8],
        algorithm: AssertionAlgorithm,
    ) -> Result<AssertionKey, InvalidKey> {
        if n.len() > 4096 / 8 || e.len() > 8 {
            return Err(InvalidKey::RsaSize);
        }
        let parts = (
            BoxedUint::from_be_slice_vartime(n),
            BoxedUint::from_be_slice_vartime(e),
        );
        let key = rsa::PublicKey::new_with_size_limits(parts.0, parts.1, 2048..=4096);
        let key = key.map_err(|error| match error {
            rsa::Error::ModulusTooSmall | rsa::Error::ModulusTooLarge => InvalidKey::RsaSize,
            _ => InvalidKey::Malformed,
        })?;
        let kid = jwk::thumbprint(&[
            ("e", &URL_SAFE_NO_PAD.encode(key.e_bytes())),
            ("kty", "RSA"),
            ("n", &URL_SAFE_NO_PAD.encode(key.n_bytes())),
        ]);
        Ok(AssertionKey {
            kid: kid.to_string(),
            algorithm,
            public: Public::Rsa(Box::new(key)),
        })
    }

    /// `r` and `s`, 32 bytes each (RFC 7518 §3.4).
    pub(super) fn verify_p256(
        key: &p256::ecdsa::VerifyingKey,
        message: &[u8],
        signature: &[u8],
    ) -> bool {
        p256::ecdsa::Signature::from_slice(signature)
            .is_ok_and(|signature| key.verify(message, &signature).is_ok())
    }

    /// RFC 7518 §3.3 and §3.5.
    pub(super) fn verify_rsa(
        key: &rsa::PublicKey,
        algorithm: AssertionAlgorithm,
        message: &[u8],
        signature: &[u8],
    ) -> bool {
        if algorithm == AssertionAlgorithm::Ps256 {
            let key = rsa::pss::VerifyingKey::<Sha256>::new(key.clone());
            rsa::pss::Signature::try_from(signature)
                .is_ok_and(|signature| key.verify(message, &signature).is_ok())
        } else {
            let key = rsa::pkcs1v15::VerifyingKey::<Sha256>::new(key.clone());
            rsa::pkcs1v15::Signature::try_from(signature)
                .is_ok_and(|signature| key.verify(message, &signature).is_ok())
        }
    }

    fn refuse_private(member: &Object<'_>) -> Result<(), InvalidKey> {
        if member.has("d") {
            Err(InvalidKey::Private)
        } else {
            Ok(())
        }
    }

    fn bytes(member: &Object<'_>, name: &str) -> Result<Vec<u8>, InvalidKey> {
        let text = jwk::text(member, name)?.ok_or(InvalidKey::Malformed)?;
        URL_SAFE_NO_PAD
            .decode(text)
            .map_err(|_| InvalidKey::Malformed)
    }
}
