//! stub until the token half lands
use std::fmt;
/// key id
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyId(pub(crate) [u8; 32]);
impl fmt::Display for KeyId { fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { write!(f, "{:?}", self.0) } }
/// alg
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Algorithm { /// a
 EdDsa, /// b
 Ed25519 }
/// key ref
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyRef { /// k
 pub kid: KeyId, /// a
 pub algorithm: Algorithm }
