//! What a server is asked, and whether its answers are right.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use ed25519_dalek::{Signature, SigningKey, VerifyingKey};
use hyper::body::Bytes;
use mintage::OneTimeToken;
use mintage_benches::{
    Failure,
    tokens::SEED,
    world::{IDENTITY, World},
};
use serde_json::Value;

use super::server::Role;

/// A request, but for its body.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Target {
    pub(crate) path: &'static str,
    pub(crate) content_type: &'static str,
}

impl Target {
    /// Where the server of that role makes tokens.
    pub(crate) fn of(role: Role) -> Self {
        match role {
            Role::Ours | Role::Bare => {
                Self { path: "/access_token", content_type: "application/json" }
            }
            Role::OidcProvider => {
                Self { path: "/token", content_type: "application/x-www-form-urlencoded" }
            }
        }
    }
}

/// The body of a request for client credentials (RFC 6749 §4.4.2).
pub(crate) const CLIENT_CREDENTIALS: &[u8] =
    b"grant_type=client_credentials&client_id=acme-web&client_secret=acme-web-secret";

/// The body of an exchange of that one-time token.
pub(crate) fn exchange(token: &str) -> Bytes {
    format!(r#"{{"identity":{{"type":"CORPORATE","id":"{IDENTITY}"}},"token":"{token}"}}"#).into()
}

/// What was asked, and what was answered with 200.
pub(crate) type Pair = (Bytes, Bytes);

/// Knows a right answer.
#[derive(Debug)]
pub(crate) struct Judge {
    world: World,
    key: VerifyingKey,
}

impl Judge {
    pub(crate) fn new() -> Result<Self, Failure> {
        let key = SigningKey::from_bytes(&SEED).verifying_key();
        Ok(Self { world: World::new(1)?, key })
    }

    /// Makes sure that mintage has answered with an access token of the very grant that was asked
    /// for, which a verifier accepts; and every other server with a JWT that the key has signed,
    /// whatever it says.
    ///
    /// # Errors
    /// At the first that is not.
    pub(crate) fn check(&self, role: Role, pairs: &[Pair]) -> Result<(), Failure> {
        pairs.iter().try_for_each(|(asked, answer)| match role {
            Role::Ours => {
                let asked: Value = serde_json::from_slice(asked)?;
                let asked: OneTimeToken = text(&asked, "token")?.parse()?;
                let answer: Value = serde_json::from_slice(answer)?;
                self.world.check(text(&answer, "token")?, asked.id())
            }
            Role::Bare => self.check_signature(answer, "token"),
            Role::OidcProvider => self.check_signature(answer, "access_token"),
        })
    }

    fn check_signature(&self, answer: &Bytes, name: &str) -> Result<(), Failure> {
        let answer: Value = serde_json::from_slice(answer)?;
        let (signed, signature) = text(&answer, name)?.rsplit_once('.').ok_or("this is no JWT")?;
        let signature = Signature::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(signature)?)?;
        Ok(self.key.verify_strict(signed.as_bytes(), &signature)?)
    }
}

fn text<'a>(object: &'a Value, name: &str) -> Result<&'a str, Failure> {
    object[name].as_str().ok_or_else(|| format!("there is no {name}: {object}").into())
}
