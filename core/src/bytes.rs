//! Types that are so many bytes and nothing else, and the text of those that have one.

use std::fmt;

/// A text is not the id that it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidId {
    what: &'static str,
    chars: usize,
}

impl InvalidId {
    pub(crate) const fn new(what: &'static str, bytes: usize) -> Self {
        Self { what, chars: base64url_chars(bytes) }
    }
}

impl fmt::Display for InvalidId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, chars } = self;
        write!(f, "not {what}: {chars} characters of unpadded base64url are expected")
    }
}

impl std::error::Error for InvalidId {}

/// How many characters so many bytes are in unpadded base64url (RFC 4648 §5).
pub(crate) const fn base64url_chars(bytes: usize) -> usize {
    (bytes * 4).div_ceil(3)
}

/// Gives a tuple struct around a byte array its length and its bytes.
macro_rules! fixed_bytes {
    ($name:ident, $bytes:literal) => {
        impl $name {
            /// Its length in bytes.
            pub const BYTES: usize = $bytes;

            /// The bytes, as a store keeps them.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; Self::BYTES] {
                &self.0
            }

            /// The value with these bytes.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; Self::BYTES]) -> Self {
                Self(bytes)
            }
        }
    };
}

/// Gives such a struct its one text, unpadded base64url: printed, shown, and strictly read.
macro_rules! base64url_text {
    ($name:ident, $what:literal) => {
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

                let mut text = [0; crate::bytes::base64url_chars(Self::BYTES)];
                match URL_SAFE_NO_PAD.encode_slice(self.0, &mut text) {
                    Ok(_) => f.write_str(std::str::from_utf8(&text).map_err(|_| std::fmt::Error)?),
                    Err(_) => Err(std::fmt::Error),
                }
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Display::fmt(self, f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = crate::bytes::InvalidId;

            fn from_str(text: &str) -> Result<Self, crate::bytes::InvalidId> {
                use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

                let mut bytes = [0; Self::BYTES];
                match URL_SAFE_NO_PAD.decode_slice(text, &mut bytes) {
                    Ok(Self::BYTES) => Ok(Self(bytes)),
                    _ => Err(crate::bytes::InvalidId::new($what, Self::BYTES)),
                }
            }
        }
    };
}

pub(crate) use {base64url_text, fixed_bytes};
