//! What the host decides about the store.

use std::{fmt, num::NonZeroU32, str::FromStr};

use mintage::Lifetime;

/// How the store uses its database. [`Settings::default`] is a sound start; override by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Where its tables are. `mintage`.
    pub schema: Schema,
    /// How many connections it keeps, each with one statement at a time. 2. As many as the server
    /// has cores are enough, for whatever waits at the same time travels together; more only make
    /// what travels smaller.
    pub connections: NonZeroU32,
    /// How long a call may take. 1 s. Keep it below the engine's `Policy::deadline`, so that the
    /// store's own answer, which knows whether a change may have happened, is the one that counts.
    pub deadline: Lifetime,
    /// How many calls may wait. One more is refused at once. 4096.
    pub waiting: NonZeroU32,
    /// How many calls travel together at most. 256.
    pub batch: NonZeroU32,
}

impl Default for Settings {
    fn default() -> Self {
        const fn nonzero(n: u32) -> NonZeroU32 {
            match NonZeroU32::new(n) {
                Some(n) => n,
                None => NonZeroU32::MIN,
            }
        }
        Self {
            schema: Schema::default(),
            connections: nonzero(2),
            deadline: Lifetime::from_secs(1),
            waiting: nonzero(4096),
            batch: nonzero(256),
        }
    }
}

/// The name of a schema: 1 to 63 bytes, without NUL, quotes, `{`, `}` or `@`. It is quoted wherever
/// it is used, so upper and lower case differ.
#[derive(Clone, PartialEq, Eq)]
pub struct Schema(String);

/// A name cannot be that of a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidSchema;

impl fmt::Display for InvalidSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a schema is 1 to 63 bytes, without NUL, quotes, `{`, `}` or `@`")
    }
}

impl std::error::Error for InvalidSchema {}

impl Schema {
    /// The name as it stands in a statement.
    pub(crate) fn quoted(&self) -> String {
        format!("\"{}\"", self.0)
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Schema {
    fn default() -> Self {
        Self("mintage".to_owned())
    }
}

impl FromStr for Schema {
    type Err = InvalidSchema;

    fn from_str(name: &str) -> Result<Self, InvalidSchema> {
        let sound =
            (1..=63).contains(&name.len()) && !name.contains(['\0', '"', '\'', '{', '}', '@']);
        if sound { Ok(Self(name.to_owned())) } else { Err(InvalidSchema) }
    }
}

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
