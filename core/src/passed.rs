//! Tokens that have passed before, so that they need not be checked against their key again.

use std::{fmt, num::NonZeroUsize, sync::Arc};

use quick_cache::sync::Cache;

use crate::{
    claims::Claims,
    jws::Opened,
    keys::{KeyRef, KeySet},
    secret::SecretDigest,
};

/// A bounded memory of tokens that have passed, each under the SHA-256 of its whole text.
///
/// Whoever finds two texts of one digest has broken SHA-256; short of that, only the very token that
/// passed is found. Nothing else is taken from it than that the key which it names made its
/// signature, and what it says.
pub(crate) struct Passed(Cache<[u8; SecretDigest::BYTES], Arc<Known>>);

/// What is known of a token that has passed.
struct Known {
    /// What signed it. A `kid` is its key's own thumbprint, so it is the same key if it is the same
    /// `kid`.
    key: KeyRef,
    claims: Claims,
}

impl Passed {
    pub(crate) fn new(tokens: NonZeroUsize) -> Self {
        Self(Cache::new(tokens.get()))
    }

    /// What the token says, if it has passed and its key is still accepted.
    pub(crate) fn find(&self, token: SecretDigest, keys: &KeySet) -> Option<Claims> {
        let known = self.0.get(token.as_bytes())?;
        let key = keys.get(&known.key.kid)?;
        (key.key_ref() == known.key).then(|| known.claims.clone())
    }

    /// Takes note of a token that has just passed.
    pub(crate) fn add(&self, token: SecretDigest, opened: Opened) {
        let Opened { key, claims, .. } = opened;
        self.0.insert(*token.as_bytes(), Arc::new(Known { key, claims }));
    }
}

impl fmt::Debug for Passed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Passed({} of {})", self.0.len(), self.0.capacity())
    }
}
