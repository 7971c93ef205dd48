//! The one-time token's text: `mot_` and 80 characters of base64url.

use std::{fmt, str::FromStr};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use zeroize::Zeroize as _;

use crate::{
    id::{GrantId, Locator},
    random,
    secret::{SecretDigest, SecretText},
};

const SECRET_BYTES: usize = 32;
const CHECKSUM_BYTES: usize = 4;
const CHECKED_BYTES: usize = GrantId::BYTES + SECRET_BYTES;
const RAW_BYTES: usize = CHECKED_BYTES + CHECKSUM_BYTES;

/// A short-lived secret that is spent in one exchange: the `subject_token` of RFC 8693 §2.1.
///
/// Its text is `mot_` + base64url(grant id ‖ 32 random bytes ‖ CRC-32 of those 56 bytes, IEEE,
/// big-endian): 84 characters. The prefix lets secret scanners find it, and the checksum lets a
/// typing error be refused before any store is asked. Only the SHA-256 of the 32 random bytes is
/// ever stored.
///
/// ```
/// use mintage::OneTimeToken;
///
/// assert!("mot_not-a-token".parse::<OneTimeToken>().is_err());
/// ```
pub struct OneTimeToken {
    id: GrantId,
    secret: [u8; SECRET_BYTES],
}

/// A text is no one-time token: wrong prefix, length, alphabet or checksum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidOneTimeToken;

impl fmt::Display for InvalidOneTimeToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a one-time token: its prefix, length, alphabet or checksum is wrong")
    }
}

impl std::error::Error for InvalidOneTimeToken {}

impl OneTimeToken {
    /// What every one-time token starts with.
    pub const PREFIX: &'static str = "mot_";
    /// The length of its text, in bytes.
    pub const TEXT_BYTES: usize = Self::PREFIX.len() + RAW_BYTES / 3 * 4;

    /// A fresh token for a grant on the shard of `locator`.
    pub(crate) fn random(locator: Locator) -> Result<Self, random::NoRandomness> {
        Ok(Self { id: GrantId::random(locator)?, secret: random::bytes()? })
    }

    /// The grant that it names. Knowing the id buys nothing without the secret.
    #[must_use]
    pub fn id(&self) -> GrantId {
        self.id
    }

    /// SHA-256 of its secret: what a store keeps and compares.
    #[must_use]
    pub fn secret_digest(&self) -> SecretDigest {
        SecretDigest::of(&self.secret)
    }

    /// The text to hand to the one who is to spend it.
    #[must_use]
    pub fn to_text(&self) -> SecretText {
        let mut raw = [0; RAW_BYTES];
        raw[..GrantId::BYTES].copy_from_slice(self.id.as_bytes());
        raw[GrantId::BYTES..CHECKED_BYTES].copy_from_slice(&self.secret);
        let checksum = crc32fast::hash(&raw[..CHECKED_BYTES]);
        raw[CHECKED_BYTES..].copy_from_slice(&checksum.to_be_bytes());
        let mut text = String::with_capacity(Self::TEXT_BYTES);
        text.push_str(Self::PREFIX);
        URL_SAFE_NO_PAD.encode_string(raw, &mut text);
        raw.zeroize();
        SecretText::new(text)
    }
}

impl FromStr for OneTimeToken {
    type Err = InvalidOneTimeToken;

    fn from_str(text: &str) -> Result<Self, InvalidOneTimeToken> {
        let body = text
            .strip_prefix(Self::PREFIX)
            .filter(|_| text.len() == Self::TEXT_BYTES)
            .ok_or(InvalidOneTimeToken)?;
        let mut raw = [0; RAW_BYTES];
        let decoded = URL_SAFE_NO_PAD.decode_slice(body, &mut raw);
        let (checked, checksum) = raw.split_at(CHECKED_BYTES);
        let sound = decoded == Ok(RAW_BYTES) && crc32fast::hash(checked).to_be_bytes() == *checksum;
        let mut token =
            Self { id: GrantId::from_bytes([0; GrantId::BYTES]), secret: [0; SECRET_BYTES] };
        if sound {
            let (id, secret) = checked.split_at(GrantId::BYTES);
            let mut bytes = [0; GrantId::BYTES];
            bytes.copy_from_slice(id);
            token.id = GrantId::from_bytes(bytes);
            token.secret.copy_from_slice(secret);
        }
        raw.zeroize();
        if sound { Ok(token) } else { Err(InvalidOneTimeToken) }
    }
}

impl Drop for OneTimeToken {
    fn drop(&mut self) {
        self.secret.zeroize();
    }
}

impl fmt::Debug for OneTimeToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OneTimeToken").field("id", &self.id).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn its_text_comes_back_as_the_same_token(id: [u8; 24], secret: [u8; 32]) {
            let token = OneTimeToken { id: GrantId::from_bytes(id), secret };
            let text = token.to_text();
            prop_assert_eq!(text.expose().len(), OneTimeToken::TEXT_BYTES);
            let again: OneTimeToken = text.expose().parse().unwrap();
            prop_assert_eq!(again.id, token.id);
            prop_assert_eq!(again.secret, token.secret);
        }

        #[test]
        fn any_changed_character_is_refused(
            secret: [u8; 32], at in 0..OneTimeToken::TEXT_BYTES, to in 0_u8..128,
        ) {
            let token = OneTimeToken { id: GrantId::from_bytes([7; 24]), secret };
            let mut text = token.to_text().expose().as_bytes().to_vec();
            prop_assume!(text[at] != to);
            text[at] = to;
            let text = String::from_utf8(text).unwrap();
            prop_assert!(text.parse::<OneTimeToken>().is_err());
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in ".{0,120}") {
            let _ = text.parse::<OneTimeToken>();
        }
    }

    #[test]
    fn debug_shows_no_secret() {
        let token = OneTimeToken { id: GrantId::from_bytes([1; 24]), secret: [0xAB; 32] };
        let shown = format!("{token:?} {:?}", token.to_text());
        assert!(!shown.contains("171") && !shown.contains("q6ur"), "{shown}");
    }
}
