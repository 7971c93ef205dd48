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
        let parts = (BoxedUint::from_be_slice_vartime(n), BoxedUint::from_be_slice_vartime(e));
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
        Ok(AssertionKey { kid: kid.to_string(), algorithm, public: Public::Rsa(Box::new(key)) })
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
        if member.has("d") { Err(InvalidKey::Private) } else { Ok(()) }
    }

    fn bytes(member: &Object<'_>, name: &str) -> Result<Vec<u8>, InvalidKey> {
        let text = jwk::text(member, name)?.ok_or(InvalidKey::Malformed)?;
        URL_SAFE_NO_PAD.decode(text).map_err(|_| InvalidKey::Malformed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // RFC 8410 §10.1.
    const ED25519_PEM: &str = "-----BEGIN PUBLIC KEY-----\n\
        MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n\
        -----END PUBLIC KEY-----\n";

    #[test]
    fn an_ed25519_key_is_read_from_pem_and_from_jwk() {
        let key = AssertionKey::from_spki_pem(ED25519_PEM, AssertionAlgorithm::Ed25519).unwrap();
        assert_eq!(key.alg(), "Ed25519");
        let jwk = r#"{"kty":"OKP","crv":"Ed25519","alg":"Ed25519",
            "x":"Gb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE"}"#;
        let again = AssertionKey::from_jwk(jwk).unwrap();
        assert_eq!((again.kid(), again.alg()), (key.kid(), key.alg()));
        let named = jwk.replace("\"x\"", "\"kid\":\"mine\",\"x\"");
        assert_eq!(AssertionKey::from_jwk(&named).unwrap().kid(), "mine");
    }

    #[test]
    fn a_key_that_is_none_is_refused() {
        let refused = |json: &str| AssertionKey::from_jwk(json).unwrap_err();
        assert_eq!(refused("{}"), InvalidKey::Malformed);
        assert_eq!(refused(r#"{"kty":"oct","k":"AAAA"}"#), InvalidKey::Unsupported);
        assert_eq!(refused(r#"{"kty":"OKP","use":"enc"}"#), InvalidKey::Unsupported);
        let pem = ED25519_PEM.replace("MCowBQYDK2Vw", "MCowBQYDK2Vu");
        let refused = AssertionKey::from_spki_pem(&pem, AssertionAlgorithm::EdDsa).unwrap_err();
        assert_eq!(refused, InvalidKey::Unsupported);
        let refused = AssertionKey::from_spki_pem("", AssertionAlgorithm::EdDsa).unwrap_err();
        assert_eq!(refused, InvalidKey::Malformed);
    }

    #[cfg(feature = "assertion-algorithms")]
    mod wider {
        use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
        use p256::{ecdsa::signature::Signer as _, pkcs8::EncodePublicKey as _};
        use rsa::{
            rand_core::{TryCryptoRng, TryRng},
            signature::{RandomizedSigner as _, SignatureEncoding as _},
            traits::PublicKeyParts as _,
        };
        use sha2::{Digest as _, Sha256};

        use super::*;

        /// Bytes that look random and are the same in every run.
        struct Counter(u64);

        impl TryRng for Counter {
            type Error = std::convert::Infallible;

            fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
                rsa::rand_core::utils::next_word_via_fill(self)
            }

            fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
                rsa::rand_core::utils::next_word_via_fill(self)
            }

            fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Self::Error> {
                for chunk in bytes.chunks_mut(32) {
                    self.0 += 1;
                    chunk.copy_from_slice(&Sha256::digest(self.0.to_be_bytes())[..chunk.len()]);
                }
                Ok(())
            }
        }

        impl TryCryptoRng for Counter {}

        fn rsa_key(bits: usize) -> rsa::PrivateKey {
            rsa::PrivateKey::new(&mut Counter(0), bits).unwrap()
        }

        fn rsa_jwk(key: &rsa::PrivateKey, rest: &str) -> String {
            let (n, e) = (key.n_bytes(), key.e_bytes());
            let (n, e) = (URL_SAFE_NO_PAD.encode(n), URL_SAFE_NO_PAD.encode(e));
            format!(r#"{{"kty":"RSA","n":"{n}","e":"{e}"{rest}}}"#)
        }

        /// The key takes its own signature, and no other message, no damage and no other length.
        fn check(key: &AssertionKey, signature: &[u8]) {
            assert!(key.verify(b"message", signature));
            assert!(!key.verify(b"massage", signature));
            for at in [0, signature.len() / 2, signature.len() - 1] {
                let mut damaged = signature.to_vec();
                damaged[at] ^= 1;
                assert!(!key.verify(b"message", &damaged));
            }
            assert!(!key.verify(b"message", &signature[1..]));
            assert!(!key.verify(b"message", &[signature, &[0]].concat()));
            assert!(!key.verify(b"message", &[]));
        }

        #[test]
        fn es256_is_checked_with_keys_from_pem_and_jwk() {
            let private = p256::ecdsa::SigningKey::from_slice(&[7; 32]).unwrap();
            let signature: p256::ecdsa::Signature = private.sign(b"message");
            let public = private.verifying_key();
            let pem = public.to_public_key_pem(p256::pkcs8::LineEnding::LF).unwrap();
            let key = AssertionKey::from_spki_pem(&pem, AssertionAlgorithm::Es256).unwrap();
            check(&key, &signature.to_bytes());

            let point = public.to_sec1_point(false);
            let [x, y] = [1..33, 33..65].map(|at| URL_SAFE_NO_PAD.encode(&point.as_bytes()[at]));
            let jwk = format!(r#"{{"kty":"EC","crv":"P-256","x":"{x}","y":"{y}"}}"#);
            let again = AssertionKey::from_jwk(&jwk).unwrap();
            assert_eq!((again.kid(), again.alg()), (key.kid(), "ES256"));
            check(&again, &signature.to_bytes());

            let refused = |jwk: &str| AssertionKey::from_jwk(jwk).unwrap_err();
            assert_eq!(refused(&jwk.replace(&y, &x)), InvalidKey::NotAPoint);
            assert_eq!(refused(&jwk.replace("P-256", "P-384")), InvalidKey::Unsupported);
            assert_eq!(refused(&jwk.replace("\"x\"", "\"d\":\"\",\"x\"")), InvalidKey::Private);
        }

        #[test]
        fn rs256_and_ps256_are_checked_each_with_its_own_key() {
            let private = rsa_key(2048);
            let rs256 = rsa::pkcs1v15::SigningKey::<Sha256>::new(private.clone());
            let rs256 = rs256.sign(b"message").to_vec();
            let ps256 = rsa::pss::SigningKey::<Sha256>::new(private.clone());
            let ps256 = ps256.sign_with_rng(&mut Counter(0), b"message").to_vec();

            let rs256_key =
                AssertionKey::from_jwk(&rsa_jwk(&private, r#","alg":"RS256""#)).unwrap();
            let ps256_key =
                AssertionKey::from_jwk(&rsa_jwk(&private, r#","alg":"PS256""#)).unwrap();
            check(&rs256_key, &rs256);
            check(&ps256_key, &ps256);
            assert!(!rs256_key.verify(b"message", &ps256));
            assert!(!ps256_key.verify(b"message", &rs256));

            let pem = private.to_public_key().to_public_key_pem(p256::pkcs8::LineEnding::LF);
            let key =
                AssertionKey::from_spki_pem(&pem.unwrap(), AssertionAlgorithm::Rs256).unwrap();
            assert_eq!(key.kid(), rs256_key.kid());
            check(&key, &rs256);
        }

        #[test]
        fn an_rsa_key_must_be_long_enough_and_say_its_algorithm() {
            let weak = rsa_jwk(&rsa_key(1024), r#","alg":"RS256""#);
            assert_eq!(AssertionKey::from_jwk(&weak).unwrap_err(), InvalidKey::RsaSize);
            let long = URL_SAFE_NO_PAD.encode([0xFF; 513]);
            let long = format!(r#"{{"kty":"RSA","alg":"PS256","n":"{long}","e":"AQAB"}}"#);
            assert_eq!(AssertionKey::from_jwk(&long).unwrap_err(), InvalidKey::RsaSize);
            let silent = rsa_jwk(&rsa_key(2048), "");
            assert_eq!(AssertionKey::from_jwk(&silent).unwrap_err(), InvalidKey::Unsupported);
        }

        // RFC 7638 §3.1.
        #[test]
        fn an_rsa_key_is_named_by_its_thumbprint() {
            let key = AssertionKey::from_jwk(
                r#"{"kty":"RSA","e":"AQAB","alg":"RS256","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"}"#,
            );
            assert_eq!(key.unwrap().kid(), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
        }
    }
}
