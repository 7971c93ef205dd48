//! Why the ring could not be read or written.

use std::{error::Error, fmt};

use mintage::{KeyError, KeyErrorKind, KeyId};

use crate::fault::Fault;

/// Why. It names keys and never shows one; it can be cloned, for one failure is told to all who
/// wait.
#[derive(Debug, Clone)]
pub(crate) enum Trouble {
    /// The database refused, or could not be reached.
    Database { what: &'static str, cause: String },
    /// It did not answer in time.
    Late,
    /// The ring's row is missing, or a column is not one that this code could have written.
    Unreadable(&'static str),
    /// A row of a later version of this code.
    Newer { version: i16 },
    /// Nobody gave us the key-encryption key of that name.
    UnknownKek { kid: KeyId, kek: String },
    /// The row is not what was sealed.
    Unopened { kid: KeyId, kek: String },
    /// The operating system gave no random bytes.
    NoRandomness(getrandom::Error),
    /// Whenever we had read the ring, another node changed it.
    Contended,
}

impl Trouble {
    /// No connection could be had.
    pub(crate) fn connecting(error: &sqlx::Error) -> Self {
        Self::Database { what: Fault::connecting(error).what, cause: error.to_string() }
    }

    /// A statement failed.
    pub(crate) fn asking(error: &sqlx::Error) -> Self {
        Self::Database { what: Fault::of(error).what, cause: error.to_string() }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Database { what, cause } => write!(f, "{what}: {cause}"),
            Self::Late => f.write_str("the database did not answer in time"),
            Self::Unreadable(column) => {
                write!(f, "`{column}` of the key tables is not as this version of mintage wrote it")
            }
            Self::Newer { version } => write!(
                f,
                "a key's row is of version {version}, which this version of mintage does not know: \
                 upgrade this node"
            ),
            Self::UnknownKek { kid, kek } => write!(
                f,
                "key {kid} is sealed under the key-encryption key `{kek}`, which this node was not \
                 given"
            ),
            Self::Unopened { kid, kek } => write!(
                f,
                "the row of key {kid} does not open under the key-encryption key `{kek}`: either \
                 has been changed"
            ),
            Self::NoRandomness(error) => write!(f, "no random bytes: {error}"),
            Self::Contended => f.write_str("other nodes kept changing the ring"),
        }
    }
}

impl Error for Trouble {}

impl From<Trouble> for KeyError {
    fn from(trouble: Trouble) -> Self {
        let kind = match trouble {
            Trouble::Database { .. }
            | Trouble::Late
            | Trouble::NoRandomness(_)
            | Trouble::Contended => KeyErrorKind::Unavailable,
            Trouble::Unreadable(_)
            | Trouble::Newer { .. }
            | Trouble::UnknownKek { .. }
            | Trouble::Unopened { .. } => KeyErrorKind::Rejected,
        };
        Self::new(kind).because(trouble)
    }
}
