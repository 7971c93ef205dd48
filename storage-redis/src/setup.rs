//! Why a store could not be set up.

use std::{error::Error, fmt};

use mintage::StoreError;

/// The servers are not ready for this store.
#[derive(Debug)]
#[non_exhaustive]
pub enum SetupError {
    /// They could not be asked, or refused.
    Server(StoreError),
    /// A server is older than Redis 6.2.
    Outdated {
        /// The version that it tells.
        found: String,
    },
}

impl fmt::Display for SetupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Server(error) => {
                write!(f, "the store could not be set up: {error}")?;
                match error.source() {
                    Some(source) => write!(f, " ({source})"),
                    None => Ok(()),
                }
            }
            Self::Outdated { found } => {
                write!(f, "the server is of version {found} and 6.2 is needed: upgrade it")
            }
        }
    }
}

impl Error for SetupError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Server(error) => Some(error),
            Self::Outdated { .. } => None,
        }
    }
}

impl From<StoreError> for SetupError {
    fn from(error: StoreError) -> Self {
        Self::Server(error)
    }
}
