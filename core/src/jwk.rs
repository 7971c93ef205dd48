//! Keys as JSON: RFC 7517, for Ed25519 as RFC 8037 §2 has it, named by RFC 7638 thumbprints.

use std::fmt::Write as _;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroize as _;

use crate::{
    json::Object,
    keys::{Algorithm, InvalidKey, KeyId, KeySet, SigningKey, VerifyingKey},
};

impl KeySet {
    /// The set as a JSON Web Key Set (RFC 7517 §5): public halves only, in the order of their ids.
    #[must_use]
    pub fn to_jwks(&self) -> String {
        let mut out = String::from("{\"keys\":[");
        for key in self.iter() {
            if !out.ends_with('[') {
                out.push(',');
            }
            let x = URL_SAFE_NO_PAD.encode(key.as_bytes());
            // Writing to a `String` does not fail.
            let _ = write!(
                out,
                r#"{{"kty":"OKP","crv":"Ed25519","use":"sig","alg":"{}","kid":"{}","x":"{x}"}}"#,
                key.key_ref().algorithm,
                key.kid(),
            );
        }
        out.push_str("]}");
        out
    }

    /// Reads a JSON Web Key Set.
    ///
    /// Keys that are not Ed25519 keys for signatures are skipped (RFC 7517 §5): other `kty`, `crv`,
    /// `use`, `key_ops` or `alg`. A key without `alg` signs `EdDSA`; one without `kid` is named by
    /// its thumbprint.
    ///
    /// # Errors
    /// [`InvalidKey`] when the set or one of its Ed25519 keys is malformed, a `kid` is not the key's
    /// thumbprint or stands there twice, or a private key stands among them.
    pub fn from_jwks(json: &str) -> Result<Self, InvalidKey> {
        let set = Object::parse(json).map_err(|_| InvalidKey::Malformed)?;
        let members: Vec<Object<'_>> =
            set.read("keys").ok().flatten().ok_or(InvalidKey::Malformed)?;
        let mut keys: Vec<VerifyingKey> = Vec::new();
        for member in &members {
            if !signs(member)? {
                continue;
            }
            let key = match ed25519_public(member) {
                Err(InvalidKey::Unsupported) => continue,
                key => key?,
            };
            if text(member, "kid")?.is_some_and(|kid| kid != key.kid().to_string()) {
                return Err(InvalidKey::NotItsThumbprint);
            }
            if keys.iter().any(|other| other.kid() == key.kid()) {
                return Err(InvalidKey::Duplicate);
            }
            keys.push(key);
        }
        Ok(Self::new(keys))
    }
}

impl SigningKey {
    /// Reads a private key as a JSON Web Key (RFC 8037 §2). Without `alg` it signs `EdDSA`.
    ///
    /// # Errors
    /// [`InvalidKey`] when it is no private Ed25519 key, `x` is not the public half of `d`, or `kid`
    /// is not the thumbprint.
    pub fn from_jwk(json: &str) -> Result<Self, InvalidKey> {
        let member = Object::parse(json).map_err(|_| InvalidKey::Malformed)?;
        if !signs(&member)? {
            return Err(InvalidKey::Unsupported);
        }
        let (x, algorithm) = ed25519_parts(&member)?;
        let mut seed = bytes(&member, "d")?;
        let key = Self::from_seed(&seed, algorithm);
        seed.zeroize();
        if *key.verifying_key().as_bytes() != x {
            return Err(InvalidKey::Mismatch);
        }
        if text(&member, "kid")?.is_some_and(|kid| kid != key.key_ref().kid.to_string()) {
            return Err(InvalidKey::NotItsThumbprint);
        }
        Ok(key)
    }
}

/// The thumbprint of an Ed25519 key (RFC 8037 appendix A.3).
pub(crate) fn ed25519_thumbprint(point: &[u8; VerifyingKey::BYTES]) -> KeyId {
    let x = URL_SAFE_NO_PAD.encode(point);
    thumbprint(&[("crv", "Ed25519"), ("kty", "OKP"), ("x", &x)])
}

/// SHA-256 over the members that make a key, which the caller gives sorted by name (RFC 7638 §3).
/// They need no escape.
pub(crate) fn thumbprint(members: &[(&str, &str)]) -> KeyId {
    let mut digest = Sha256::new();
    for (index, (name, value)) in members.iter().enumerate() {
        let opening = if index == 0 { "{" } else { "," };
        for part in [opening, "\"", name, "\":\"", value, "\""] {
            digest.update(part);
        }
    }
    digest.update("}");
    KeyId::from_bytes(digest.finalize().into())
}

/// The public Ed25519 key that this object is; [`InvalidKey::Unsupported`] when it is another kind
/// of key.
pub(crate) fn ed25519_public(member: &Object<'_>) -> Result<VerifyingKey, InvalidKey> {
    let (x, algorithm) = ed25519_parts(member)?;
    if member.has("d") {
        return Err(InvalidKey::Private);
    }
    VerifyingKey::from_bytes(&x, algorithm)
}

/// Whether a key, by its own word, is for signatures (RFC 7517 §4.2, §4.3).
pub(crate) fn signs(member: &Object<'_>) -> Result<bool, InvalidKey> {
    let operations: Option<Vec<String>> =
        member.read("key_ops").map_err(|_| InvalidKey::Malformed)?;
    let usable = operations
        .is_none_or(|all| all.iter().any(|operation| operation == "verify" || operation == "sign"));
    Ok(usable && text(member, "use")?.is_none_or(|usage| usage == "sig"))
}

/// A member that must be text where it is there.
pub(crate) fn text(member: &Object<'_>, name: &str) -> Result<Option<String>, InvalidKey> {
    let text = member.text(name).map_err(|_| InvalidKey::Malformed)?;
    Ok(text.map(std::borrow::Cow::into_owned))
}

/// `x` and `alg` of an Ed25519 key.
fn ed25519_parts(member: &Object<'_>) -> Result<([u8; 32], Algorithm), InvalidKey> {
    let kind = text(member, "kty")?.ok_or(InvalidKey::Malformed)?;
    let curve = text(member, "crv")?;
    if kind != "OKP" || curve.as_deref().is_some_and(|curve| curve != "Ed25519") {
        return Err(InvalidKey::Unsupported);
    }
    if curve.is_none() {
        return Err(InvalidKey::Malformed);
    }
    let algorithm = match text(member, "alg")?.as_deref() {
        None | Some("EdDSA") => Algorithm::EdDsa,
        Some("Ed25519") => Algorithm::Ed25519,
        Some(_) => return Err(InvalidKey::Unsupported),
    };
    Ok((bytes(member, "x")?, algorithm))
}

/// A member that must be 32 bytes of base64url.
fn bytes(member: &Object<'_>, name: &str) -> Result<[u8; 32], InvalidKey> {
    let mut text = text(member, name)?.ok_or(InvalidKey::Malformed)?;
    let mut bytes = [0; 32];
    let decoded = URL_SAFE_NO_PAD.decode_slice(&text, &mut bytes);
    text.zeroize();
    if decoded == Ok(bytes.len()) { Ok(bytes) } else { Err(InvalidKey::Malformed) }
}

#[cfg(test)]
mod tests {
    use super::*;

    // RFC 8037 appendices A.1 and A.3.
    const PRIVATE: &str = r#"{"kty":"OKP","crv":"Ed25519",
        "d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
        "x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
    const PUBLIC: &str =
        r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
    const THUMBPRINT: &str = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k";

    fn set(keys: &[&str]) -> Result<KeySet, InvalidKey> {
        KeySet::from_jwks(&format!("{{\"keys\":[{}]}}", keys.join(",")))
    }

    fn public_with(member: &str) -> String {
        PUBLIC.replace('}', &format!(",{member}}}"))
    }

    #[test]
    fn a_key_is_named_by_its_thumbprint() {
        let key = SigningKey::from_jwk(PRIVATE).unwrap();
        assert_eq!(key.key_ref().kid.to_string(), THUMBPRINT);
        assert_eq!(key.key_ref().algorithm, Algorithm::EdDsa);
        let keys = set(&[PUBLIC]).unwrap();
        assert_eq!(keys.get(&key.key_ref().kid), Some(key.verifying_key()));
    }

    #[test]
    fn a_published_set_comes_back() {
        let keys = [Algorithm::EdDsa, Algorithm::Ed25519].map(|algorithm| {
            SigningKey::from_seed(&[algorithm as u8; 32], algorithm).verifying_key().clone()
        });
        let keys = KeySet::new(keys);
        assert_eq!(keys.len(), 2);
        assert_eq!(KeySet::from_jwks(&keys.to_jwks()), Ok(keys));
        assert_eq!(KeySet::default().to_jwks(), r#"{"keys":[]}"#);
    }

    #[test]
    fn keys_of_another_kind_are_skipped() {
        let others = [
            r#"{"kty":"RSA","n":"AQAB","e":"AQAB"}"#,
            r#"{"kty":"OKP","crv":"X25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#,
            &public_with("\"use\":\"enc\""),
            &public_with("\"alg\":\"ES256\""),
            &public_with("\"key_ops\":[\"deriveKey\"]"),
        ];
        assert!(set(&others).unwrap().is_empty());
        assert_eq!(set(&[others[0], PUBLIC, others[1]]).unwrap().len(), 1);
    }

    #[test]
    fn a_malformed_key_refuses_the_whole_set() {
        let kid = format!("\"kid\":\"{THUMBPRINT}\"");
        assert!(set(&[&public_with(&kid)]).is_ok());
        let other = kid.replace("kPrK", "kPrJ");
        assert_eq!(set(&[&public_with(&other)]), Err(InvalidKey::NotItsThumbprint));
        assert_eq!(set(&[PUBLIC, &public_with(&kid)]), Err(InvalidKey::Duplicate));
        assert_eq!(set(&[PRIVATE]), Err(InvalidKey::Private));
        for malformed in [
            r#"{"kty":"OKP","crv":"Ed25519"}"#,
            r#"{"kty":"OKP","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#,
            r#"{"kty":"OKP","crv":"Ed25519","x":"11qY"}"#,
            r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURp"}"#,
            r#"{"kty":"OKP","kty":"OKP","crv":"Ed25519","x":""}"#,
            r#"{"crv":"Ed25519"}"#,
            "[]",
        ] {
            assert_eq!(set(&[malformed]), Err(InvalidKey::Malformed), "{malformed}");
        }
        for malformed in ["", "{}", "[]", "{\"keys\":{}}", "{\"keys\":[]} x"] {
            assert_eq!(KeySet::from_jwks(malformed), Err(InvalidKey::Malformed), "{malformed}");
        }
    }

    #[test]
    fn both_halves_of_a_private_key_must_agree() {
        let refused = |json: &str| SigningKey::from_jwk(json).unwrap_err();
        assert_eq!(refused(&PRIVATE.replace("nWGx", "nWGy")), InvalidKey::Mismatch);
        assert_eq!(refused(PUBLIC), InvalidKey::Malformed);
        let with_kid = PRIVATE.replace("\"d\"", "\"kid\":\"mine\",\"d\"");
        assert_eq!(refused(&with_kid), InvalidKey::NotItsThumbprint);
    }
}
