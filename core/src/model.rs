//! The words of the engine: who asks, who logged in, on whose behalf they act, how strongly.

use std::{fmt, str::FromStr, sync::Arc};

use ecow::EcoString;
use serde::{Deserialize, Serialize};

/// A name was empty, too long, or held a character that names may not hold.
///
/// The offending text is not repeated: it may be a secret that was put in the wrong place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidName {
    what: &'static str,
    max: usize,
}

impl fmt::Display for InvalidName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} must be 1 to {} printable ASCII characters without spaces, quotes or backslashes",
            self.what, self.max
        )
    }
}

impl std::error::Error for InvalidName {}

/// Printable ASCII that stands in JSON, in SQL and in a log line without being escaped.
fn is_name(text: &str, max: usize) -> bool {
    (1..=max).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_graphic() && b != b'"' && b != b'\\')
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $what:literal, $max:literal) => {
        $(#[$doc])*
        ///
        #[doc = concat!("1 to ", $max, " printable ASCII characters; no space, `\"` or `\\`. Cheap to clone.")]
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        // Up to 15 bytes stand in the name itself: ids, mostly, which neither take an allocation nor
        // share a count of references with other threads.
        pub struct $name(EcoString);

        impl $name {
            /// Checks the text and takes it.
            ///
            /// # Errors
            /// [`InvalidName`] when it is empty, too long or holds another character.
            pub fn new(text: &str) -> Result<Self, InvalidName> {
                if is_name(text, $max) {
                    Ok(Self(text.into()))
                } else {
                    Err(InvalidName { what: $what, max: $max })
                }
            }

            /// The text itself.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidName;
            fn from_str(text: &str) -> Result<Self, InvalidName> {
                Self::new(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidName;
            fn try_from(text: String) -> Result<Self, InvalidName> {
                Self::new(&text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.as_str().to_owned()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name!(
    /// Whose records these are. Every record belongs to exactly one tenant, and tenants never see
    /// each other.
    Tenant, "a tenant", 64
);
name!(
    /// The public name of a calling application: `client_id` (RFC 6749 §2.2).
    ClientId, "a client id", 64
);
name!(
    /// The id of a credential within its tenant and type.
    CredentialId, "a credential id", 64
);
name!(
    /// The id of an identity within its tenant and type. The wire of `mintage-http` narrows it to
    /// 1 to 20 digits.
    IdentityId, "an identity id", 64
);
name!(
    /// Who signs the tokens: the `iss` claim (RFC 7519 §4.1.1), usually an `https` URL.
    Issuer, "an issuer", 255
);
name!(
    /// For whom the tokens are meant: the `aud` claim (RFC 7519 §4.1.3).
    Audience, "an audience", 255
);

impl From<Issuer> for Audience {
    /// An authorization server is itself the audience of a client assertion (RFC 7523 §3). Both
    /// names have the same alphabet and length.
    fn from(issuer: Issuer) -> Self {
        Self(issuer.0)
    }
}

/// The calling application, as the [`ClientRegistry`](crate::ClientRegistry) knows it.
///
/// Its api-key is not part of it: the key is looked up by digest and forgotten.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Client {
    /// The public id; bound into every token that the client obtains.
    pub id: ClientId,
    /// The tenant that the client belongs to.
    pub tenant: Tenant,
}

macro_rules! wire_enum {
    ($(#[$doc:meta])* $name:ident, $what:literal { $($(#[$vdoc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum $name {
            $($(#[$vdoc])* #[serde(rename = $text)] $variant,)+
        }

        impl $name {
            /// Every value, in the order of their declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The word on the wire.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = UnknownWord;
            fn from_str(text: &str) -> Result<Self, UnknownWord> {
                match text {
                    $($text => Ok(Self::$variant),)+
                    _ => Err(UnknownWord($what)),
                }
            }
        }
    };
}

/// A word is not one of those that the wire knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownWord(&'static str);

impl fmt::Display for UnknownWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not a known {}", self.0)
    }
}

impl std::error::Error for UnknownWord {}

wire_enum!(
    /// What kind of account logged in.
    CredentialType, "credential type" {
        /// The owner of an account.
        Root = "ROOT",
        /// A person whom an owner let in.
        User = "USER",
        /// A machine that acts for a consenting identity.
        ApiClient = "API_CLIENT",
    }
);

wire_enum!(
    /// What kind of party is acted for.
    IdentityType, "identity type" {
        /// A natural person.
        Consumer = "CONSUMER",
        /// A company.
        Corporate = "CORPORATE",
    }
);

wire_enum!(
    /// The strength of the authentication behind a token: the `acr` claim (RFC 9470 §4).
    Status, "status" {
        /// Logged in.
        Standard = "STANDARD",
        /// Passed a step-up challenge as well.
        SteppedUp = "STEPPED_UP",
    }
);

/// Who logged in: the `sub` of a token is its [`id`](Self::id).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Credential {
    /// The type of the account.
    #[serde(rename = "type")]
    pub kind: CredentialType,
    /// Its id within tenant and type.
    pub id: CredentialId,
}

impl Credential {
    /// Builds a credential from its two parts.
    #[must_use]
    pub fn new(kind: CredentialType, id: CredentialId) -> Self {
        Self { kind, id }
    }
}

/// On whose behalf a credential acts. A credential may be linked to several.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Identity {
    /// The type of the party.
    #[serde(rename = "type")]
    pub kind: IdentityType,
    /// Its id within tenant and type.
    pub id: IdentityId,
}

impl Identity {
    /// Builds an identity from its two parts.
    #[must_use]
    pub fn new(kind: IdentityType, id: IdentityId) -> Self {
        Self { kind, id }
    }
}

/// What a token may be used for: space-separated names (RFC 6749 §3.3, RFC 8693 §4.2).
///
/// At most 512 bytes; each name is printable ASCII without `"` and `\`, and stands in it once.
/// Kept sorted, so that equal scopes are equal texts.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Scope(Arc<str>);

/// A scope was empty, too long, repeated a name, or held a character that RFC 6749 §3.3 forbids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidScope;

impl fmt::Display for InvalidScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "a scope must be distinct names of printable ASCII, separated by single spaces, at \
             most {} bytes in all",
            Scope::MAX_BYTES
        )
    }
}

impl std::error::Error for InvalidScope {}

impl Scope {
    /// The longest scope, in bytes.
    pub const MAX_BYTES: usize = 512;

    /// Checks the names, sorts them and takes them.
    ///
    /// # Errors
    /// [`InvalidScope`] when the text is not a scope.
    pub fn new(text: &str) -> Result<Self, InvalidScope> {
        if text.len() > Self::MAX_BYTES {
            return Err(InvalidScope);
        }
        let mut names: Vec<&str> = text.split(' ').collect();
        names.sort_unstable();
        let distinct = names.windows(2).all(|pair| pair[0] != pair[1]);
        if distinct && names.iter().all(|name| is_name(name, Self::MAX_BYTES)) {
            Ok(Self(names.join(" ").into()))
        } else {
            Err(InvalidScope)
        }
    }

    /// The scope whose text a record in this process has kept.
    pub(crate) fn of_record(text: &str) -> Self {
        Self(text.into())
    }

    /// The names, sorted and separated by one space.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether every name of `self` is also in `wider`.
    #[must_use]
    pub fn is_within(&self, wider: &Self) -> bool {
        self.0.split(' ').all(|name| wider.0.split(' ').any(|other| other == name))
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Scope {
    type Err = InvalidScope;
    fn from_str(text: &str) -> Result<Self, InvalidScope> {
        Self::new(text)
    }
}

/// The host's own claims: one JSON object, at most 512 bytes, that the engine carries into the
/// token and does not read.
///
/// Fixed when a login or a one-time token is issued, and kept in its record. The names that the
/// engine writes itself ([`RESERVED`](Self::RESERVED)) are refused.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct HostClaims(Arc<str>);

/// The host's claims were refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InvalidHostClaims {
    /// Longer than [`HostClaims::MAX_BYTES`] once written compactly.
    TooLong,
    /// Not a JSON object, or one that names a member twice.
    NotAnObject,
    /// It sets a claim that the engine writes itself: rename that member.
    Reserved(&'static str),
}

impl fmt::Display for InvalidHostClaims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => write!(f, "host claims exceed {} bytes", HostClaims::MAX_BYTES),
            Self::NotAnObject => {
                f.write_str("host claims must be one JSON object without repeated members")
            }
            Self::Reserved(name) => {
                write!(f, "the claim `{name}` is the engine's own: use another name")
            }
        }
    }
}

impl std::error::Error for InvalidHostClaims {}

impl HostClaims {
    /// The longest object, in bytes of compact JSON.
    pub const MAX_BYTES: usize = 512;

    /// The claims that only the engine writes: those of RFC 9068 §2.2, RFC 7519 §4.1 and its own.
    pub const RESERVED: &'static [&'static str] = &[
        "iss",
        "sub",
        "aud",
        "exp",
        "nbf",
        "iat",
        "jti",
        "client_id",
        "auth_time",
        "acr",
        "amr",
        "scope",
        "cnf",
        "act",
        "sid",
        "tenant",
        "identity",
        "credentials",
        "status",
        "stepped_up_until",
    ];

    /// Checks the object and takes it.
    ///
    /// # Errors
    /// [`InvalidHostClaims`], saying which rule it breaks.
    pub fn new(json: &str) -> Result<Self, InvalidHostClaims> {
        let object: crate::json::Object<'_> =
            serde_json::from_str(json).map_err(|_| InvalidHostClaims::NotAnObject)?;
        for name in Self::RESERVED {
            if object.has(name) {
                return Err(InvalidHostClaims::Reserved(name));
            }
        }
        let compact = object.to_compact();
        if compact.len() > Self::MAX_BYTES {
            return Err(InvalidHostClaims::TooLong);
        }
        Ok(Self(compact.into()))
    }

    /// The claims whose text a record in this process has kept.
    pub(crate) fn of_record(json: &str) -> Self {
        Self(json.into())
    }

    /// The object as compact JSON, braces included.
    #[must_use]
    pub fn as_json(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for HostClaims {
    /// The claims are the host's business: only their length is told.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HostClaims({} bytes)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_short_printable_and_needs_no_escape() {
        assert!(Tenant::new("acme").is_ok());
        for bad in ["", "a b", "a\"b", "a\\b", "a\0b", "é", &"x".repeat(65)] {
            assert!(Tenant::new(bad).is_err(), "{bad:?}");
        }
        assert!(Tenant::new(&"x".repeat(64)).is_ok());
    }

    #[test]
    fn a_scope_narrows_and_never_widens() {
        let wide = Scope::new("write read list").unwrap();
        assert_eq!(wide.as_str(), "list read write");
        assert!(Scope::new("read").unwrap().is_within(&wide));
        assert!(!Scope::new("read delete").unwrap().is_within(&wide));
        for bad in ["", " ", "read  write", "read read", "re\"ad", &"x".repeat(513)] {
            assert!(Scope::new(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn host_claims_are_one_object_without_the_engines_names() {
        assert_eq!(HostClaims::new("{ \"a\": 1 }").unwrap().as_json(), "{\"a\":1}");
        assert_eq!(HostClaims::new("[]"), Err(InvalidHostClaims::NotAnObject));
        assert_eq!(HostClaims::new("{\"a\":1,\"a\":2}"), Err(InvalidHostClaims::NotAnObject));
        assert_eq!(HostClaims::new("{\"s\\u0075b\":1}"), Err(InvalidHostClaims::Reserved("sub")));
        let long = format!("{{\"a\":\"{}\"}}", "x".repeat(520));
        assert_eq!(HostClaims::new(&long), Err(InvalidHostClaims::TooLong));
    }
}
