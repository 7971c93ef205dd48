//! Client assertions: what a delegated API client signs to be let in (RFC 7523 §3).

mod key;

use std::{borrow::Cow, fmt};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;

pub use self::key::{AssertionAlgorithm, AssertionKey};
use crate::{
    claims::NumericDate,
    instant::{Lifetime, Timestamp},
    json::{NotAnObject, Object, Text},
    keys::{KeyError, SigningKey},
    model::{Audience, CredentialId},
    secret::SecretText,
};

/// The longest assertion that is read, in bytes.
pub const MAX_ASSERTION_BYTES: usize = 8192;

/// The longest `jti` of an assertion, in bytes.
const MAX_JTI_BYTES: usize = 255;

/// An assertion that can be read, and of which nothing is known to be true.
///
/// Its [`issuer`](Self::issuer) says whose keys to look up; only [`verify`](Self::verify) turns it
/// into an [`Assertion`].
pub struct UnverifiedAssertion {
    header: Header,
    claims: AssertionClaims,
    signing_input: String,
    signature: Vec<u8>,
}

/// What an assertion must fit.
#[derive(Debug, Clone, Copy)]
pub struct AssertionExpectation<'a> {
    /// The names under which this server is addressed; `aud` must hold one of them.
    pub audiences: &'a [Audience],
    /// The present.
    pub now: Timestamp,
    /// How old an assertion may be, counted from its `iat`: 300 s unless there is a reason.
    pub max_age: Lifetime,
    /// How far in the future `iat` may lie. The end gets no such leeway: a spent `jti` is only
    /// remembered until the end and this much longer.
    pub max_skew: Lifetime,
    /// For how long after its end it is still read, so that a retry can be told from a first use:
    /// whoever sets this must judge [`Assertion::ends_at`] where the record is known.
    pub grace: Lifetime,
}

/// An assertion whose signature, audience and times were right.
///
/// It may still have been used before: that is for the store to tell, by the
/// [`GrantId`](crate::GrantId) that is derived from issuer and `jti`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assertion {
    /// `iss` and `sub`: the delegated API client.
    pub issuer: CredentialId,
    /// `jti`: 1 to 255 bytes; spent once.
    pub jti: String,
    /// `iat`, in whole seconds.
    pub issued_at: Timestamp,
    /// When it ends: its `exp`, or `iat` + `max_age` where that is earlier.
    pub ends_at: Timestamp,
}

/// Why an assertion is refused: for the host's log. On the wire every one of them is the same 403.
///
/// It never holds any text of the assertion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AssertionError {
    /// Longer than [`MAX_ASSERTION_BYTES`].
    TooLong,
    /// It has other than three parts.
    NotAJws,
    /// A part is not base64url in its one form (RFC 7515 §2).
    Base64,
    /// The header is not a JSON object with `alg`, or its `kid` is no text.
    Header,
    /// The header or the payload names a member twice.
    DuplicateMember,
    /// The header has `crit`: no extension is understood (RFC 7515 §4.1.11).
    Crit,
    /// The `typ` is there, and neither `JWT` nor `client-authentication+jwt`.
    Typ,
    /// The client has no key, or none of this `kid`.
    UnknownKey,
    /// The `alg` is not that of a key (RFC 8725 §3.1); `none` and HMAC never are.
    Algorithm,
    /// The signature is none of the keys'.
    Signature,
    /// The payload is not one JSON object.
    Payload,
    /// A claim that must be there is not (RFC 7523 §3; `iat` and `jti` are required here).
    MissingClaim(&'static str),
    /// A claim is of another type or out of its bounds.
    BadClaim(&'static str),
    /// `iss` and `sub` differ.
    Subject,
    /// No `aud` is this server's.
    Audience,
    /// It has ended, or is older than it may be.
    Expired,
    /// Its `iat` or `nbf` has not come yet.
    NotYet,
}

impl fmt::Display for AssertionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLong => "the assertion is too long",
            Self::NotAJws => "the assertion is not of three parts",
            Self::Base64 => "a part of the assertion is not canonical base64url",
            Self::Header => "the assertion's header is malformed",
            Self::DuplicateMember => "the assertion names a member twice",
            Self::Crit => "the assertion's header demands an extension",
            Self::Typ => "the assertion is a JWT of another type",
            Self::UnknownKey => "the assertion's key is unknown",
            Self::Algorithm => "the assertion's algorithm is not its key's",
            Self::Signature => "the assertion's signature is wrong",
            Self::Payload => "the assertion's payload is malformed",
            Self::MissingClaim(name) => return write!(f, "the assertion lacks the claim `{name}`"),
            Self::BadClaim(name) => return write!(f, "the assertion's claim `{name}` is refused"),
            Self::Subject => "the assertion's issuer is not its subject",
            Self::Audience => "the assertion is for another audience",
            Self::Expired => "the assertion has ended or is too old",
            Self::NotYet => "the assertion is from the future",
        })
    }
}

impl std::error::Error for AssertionError {}

impl UnverifiedAssertion {
    /// Reads an assertion: its form, its header and its claims.
    ///
    /// # Errors
    /// [`AssertionError`], saying which rule of form it breaks.
    pub fn parse(text: &str) -> Result<Self, AssertionError> {
        if text.len() > MAX_ASSERTION_BYTES {
            return Err(AssertionError::TooLong);
        }
        let (signing_input, signature) = text.rsplit_once('.').ok_or(AssertionError::NotAJws)?;
        let (header, payload) = signing_input.split_once('.').ok_or(AssertionError::NotAJws)?;
        if payload.contains('.') {
            return Err(AssertionError::NotAJws);
        }
        Ok(Self {
            header: Header::read(&decode(header)?)?,
            claims: AssertionClaims::read(&decode(payload)?)?,
            signing_input: signing_input.to_owned(),
            signature: decode(signature)?,
        })
    }

    /// Who it says it is from. Anyone can write that: good for looking up keys, and nothing else.
    #[must_use]
    pub fn issuer(&self) -> &CredentialId {
        &self.claims.issuer
    }

    /// Checks the signature against the client's keys, then audience and times.
    ///
    /// A `kid` in the header selects the key; without one, every key of that `alg` is tried.
    ///
    /// # Errors
    /// [`AssertionError`], saying which rule it breaks.
    pub fn verify(
        self,
        keys: &[AssertionKey],
        expected: &AssertionExpectation<'_>,
    ) -> Result<Assertion, AssertionError> {
        self.check_signature(keys)?;
        self.claims.check(expected)
    }

    fn check_signature(&self, keys: &[AssertionKey]) -> Result<(), AssertionError> {
        let Header { alg, kid } = &self.header;
        let named = |key: &&AssertionKey| kid.as_ref().is_none_or(|kid| kid == key.kid());
        let mut named = keys.iter().filter(named).peekable();
        if named.peek().is_none() {
            return Err(AssertionError::UnknownKey);
        }
        let mut candidates = named.filter(|key| key.alg() == alg).peekable();
        if candidates.peek().is_none() {
            return Err(AssertionError::Algorithm);
        }
        if candidates.any(|key| key.verify(self.signing_input.as_bytes(), &self.signature)) {
            Ok(())
        } else {
            Err(AssertionError::Signature)
        }
    }
}

impl fmt::Debug for UnverifiedAssertion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnverifiedAssertion")
            .field("issuer", &self.claims.issuer)
            .finish_non_exhaustive()
    }
}

/// Signs an assertion as a delegated API client does: for tests, and for tools that play one.
///
/// Nothing is judged: a `jti` or a time that no server accepts is signed as well.
///
/// # Errors
/// [`KeyError`] when the signer does not answer.
pub async fn sign_assertion(
    key: &SigningKey,
    issuer: &CredentialId,
    audience: &Audience,
    jti: &str,
    issued_at: Timestamp,
    expires_at: Timestamp,
) -> Result<SecretText, KeyError> {
    let header = format!(
        r#"{{"alg":"{}","typ":"JWT","kid":"{}"}}"#,
        key.key_ref().algorithm,
        key.key_ref().kid,
    );
    let payload = format!(
        r#"{{"iss":"{issuer}","sub":"{issuer}","aud":"{audience}","jti":{},"iat":{},"exp":{}}}"#,
        serde_json::Value::from(jti),
        issued_at.as_secs(),
        expires_at.as_secs(),
    );
    let mut text = URL_SAFE_NO_PAD.encode(header);
    text.push('.');
    URL_SAFE_NO_PAD.encode_string(payload, &mut text);
    let signature = key.sign(text.as_bytes()).await?;
    text.push('.');
    URL_SAFE_NO_PAD.encode_string(signature.as_bytes(), &mut text);
    Ok(SecretText::new(text))
}

struct Header {
    alg: String,
    kid: Option<String>,
}

impl Header {
    /// Members other than these say nothing about how to check a signature, and are ignored (RFC
    /// 7515 §4).
    fn read(json: &[u8]) -> Result<Self, AssertionError> {
        let header = object(json, AssertionError::Header)?;
        if header.has("crit") {
            return Err(AssertionError::Crit);
        }
        let text = |name| header.text(name).map_err(|_| AssertionError::Header);
        if text("typ")?.is_some_and(|typ| typ != "JWT" && typ != "client-authentication+jwt") {
            return Err(AssertionError::Typ);
        }
        Ok(Self {
            alg: text("alg")?.ok_or(AssertionError::Header)?.into_owned(),
            kid: text("kid")?.map(Cow::into_owned),
        })
    }
}

/// The claims of RFC 7523 §3, as they were found.
struct AssertionClaims {
    issuer: CredentialId,
    audiences: Vec<String>,
    jti: String,
    issued_at: Timestamp,
    expires_at: Timestamp,
    not_before: Option<Timestamp>,
}

impl AssertionClaims {
    fn read(json: &[u8]) -> Result<Self, AssertionError> {
        use AssertionError::{BadClaim, MissingClaim, Payload, Subject};

        let payload = object(json, Payload)?;
        let text = |name| {
            let text = payload.text(name).map_err(|_| BadClaim(name))?;
            text.ok_or(MissingClaim(name))
        };
        let time = |name| {
            let time = payload.read::<NumericDate>(name).map_err(|_| BadClaim(name))?;
            Ok(time.map(|NumericDate(at)| at))
        };
        let issuer = text("iss")?;
        if text("sub")? != issuer {
            return Err(Subject);
        }
        let Audiences(audiences) =
            payload.read("aud").map_err(|_| BadClaim("aud"))?.ok_or(MissingClaim("aud"))?;
        let jti = text("jti")?;
        if !(1..=MAX_JTI_BYTES).contains(&jti.len()) {
            return Err(BadClaim("jti"));
        }
        let claims = Self {
            issuer: issuer.parse().map_err(|_| BadClaim("iss"))?,
            audiences,
            jti: jti.into_owned(),
            issued_at: time("iat")?.ok_or(MissingClaim("iat"))?,
            expires_at: time("exp")?.ok_or(MissingClaim("exp"))?,
            not_before: time("nbf")?,
        };
        if claims.expires_at <= claims.issued_at {
            return Err(BadClaim("exp"));
        }
        Ok(claims)
    }

    fn check(self, expected: &AssertionExpectation<'_>) -> Result<Assertion, AssertionError> {
        let AssertionExpectation { audiences, now, max_age, max_skew, grace } = *expected;
        if !audiences.iter().any(|ours| self.audiences.iter().any(|aud| aud == ours.as_str())) {
            return Err(AssertionError::Audience);
        }
        let earliest = self.not_before.map_or(self.issued_at, |nbf| nbf.max(self.issued_at));
        if earliest > now.after(max_skew) {
            return Err(AssertionError::NotYet);
        }
        let ends_at = self.expires_at.min(self.issued_at.after(max_age));
        if now >= ends_at.after(grace) {
            return Err(AssertionError::Expired);
        }
        let Self { issuer, jti, issued_at, .. } = self;
        Ok(Assertion { issuer, jti, issued_at, ends_at })
    }
}

/// `aud`: one text or a list of them (RFC 7519 §4.1.3).
struct Audiences(Vec<String>);

impl<'de> Deserialize<'de> for Audiences {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum OneOrMany<'a> {
            #[serde(borrow)]
            One(Text<'a>),
            Many(Vec<String>),
        }
        Ok(Self(match OneOrMany::deserialize(deserializer)? {
            OneOrMany::One(Text(one)) => vec![one.into_owned()],
            OneOrMany::Many(many) => many,
        }))
    }
}

fn decode(text: &str) -> Result<Vec<u8>, AssertionError> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| AssertionError::Base64)
}

/// The JSON object in these bytes; `malformed` where there is none.
fn object(json: &[u8], malformed: AssertionError) -> Result<Object<'_>, AssertionError> {
    let text = std::str::from_utf8(json).map_err(|_| malformed)?;
    Object::parse(text).map_err(|error| match error {
        NotAnObject::Malformed => malformed,
        NotAnObject::Repeated => AssertionError::DuplicateMember,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::Algorithm;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
    const HEADER: &str = r#"{"alg":"EdDSA"}"#;

    fn key() -> SigningKey {
        SigningKey::from_seed(&[1; 32], Algorithm::EdDsa)
    }

    fn keys() -> Vec<AssertionKey> {
        vec![AssertionKey::from(key().verifying_key().clone())]
    }

    fn ours() -> Audience {
        Audience::new("https://login.example").unwrap()
    }

    async fn signed(header: &str, payload: &str) -> String {
        let (header, payload) = (URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
        let input = format!("{header}.{payload}");
        let signature = key().sign(input.as_bytes()).await.unwrap();
        format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature.as_bytes()))
    }

    fn members() -> Vec<(&'static str, String)> {
        vec![
            ("iss", "\"9001\"".into()),
            ("sub", "\"9001\"".into()),
            ("aud", "\"https://login.example\"".into()),
            ("jti", "\"once\"".into()),
            ("iat", "1800000000".into()),
            ("exp", "1800000060".into()),
        ]
    }

    fn payload(members: &[(&str, String)]) -> String {
        let members: Vec<String> =
            members.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
        format!("{{{}}}", members.join(","))
    }

    fn with(name: &'static str, value: &str) -> String {
        let mut members = members();
        members.retain(|(other, _)| *other != name);
        members.push((name, value.to_owned()));
        payload(&members)
    }

    fn verify_at(text: &str, now: Timestamp) -> Result<Assertion, AssertionError> {
        let expected = AssertionExpectation {
            audiences: &[ours()],
            now,
            max_age: Lifetime::from_secs(300),
            max_skew: Lifetime::from_secs(5),
            grace: Lifetime::ZERO,
        };
        UnverifiedAssertion::parse(text)?.verify(&keys(), &expected)
    }

    async fn verify(header: &str, payload: &str) -> Result<(), AssertionError> {
        verify_at(&signed(header, payload).await, NOW).map(|_| ())
    }

    #[tokio::test]
    async fn an_assertion_is_read_back_as_it_was_signed() {
        let issuer = CredentialId::new("9001").unwrap();
        let end = NOW.after(Lifetime::from_secs(60));
        let text = sign_assertion(&key(), &issuer, &ours(), "a\"\n", NOW, end).await.unwrap();
        let unverified = UnverifiedAssertion::parse(text.expose()).unwrap();
        assert_eq!(unverified.issuer(), &issuer);
        let assertion = Assertion { issuer, jti: "a\"\n".into(), issued_at: NOW, ends_at: end };
        assert_eq!(verify_at(text.expose(), NOW), Ok(assertion));
    }

    #[tokio::test]
    async fn it_ends_with_its_exp_or_its_age_whichever_is_earlier() {
        let text = signed(HEADER, &with("exp", "1800000060")).await;
        let (end, millisecond) = (NOW.after(Lifetime::from_secs(60)), Lifetime::from_millis(1));
        assert_eq!(verify_at(&text, end.before(millisecond)).unwrap().ends_at, end);
        assert_eq!(verify_at(&text, end), Err(AssertionError::Expired));

        let text = signed(HEADER, &with("exp", "1800009999")).await;
        let end = NOW.after(Lifetime::from_secs(300));
        assert_eq!(verify_at(&text, end.before(millisecond)).unwrap().ends_at, end);
        assert_eq!(verify_at(&text, end), Err(AssertionError::Expired));

        let early = NOW.before(Lifetime::from_secs(5));
        assert!(verify_at(&text, early).is_ok());
        assert_eq!(verify_at(&text, early.before(millisecond)), Err(AssertionError::NotYet));
        let text = signed(HEADER, &with("nbf", "1800000010")).await;
        assert_eq!(verify_at(&text, NOW), Err(AssertionError::NotYet));
        assert!(verify_at(&text, NOW.after(Lifetime::from_secs(5))).is_ok());
    }

    #[tokio::test]
    async fn its_audience_must_be_this_server() {
        for good in ["[\"x\",\"https://login.example\"]", "[\"https://login.example\"]"] {
            assert_eq!(verify(HEADER, &with("aud", good)).await, Ok(()), "{good}");
        }
        for bad in ["[]", "\"https://login.example/\"", "\"\"", "[\"x\"]"] {
            let refused = verify(HEADER, &with("aud", bad)).await;
            assert_eq!(refused, Err(AssertionError::Audience), "{bad}");
        }
    }

    #[tokio::test]
    async fn every_claim_must_be_there_and_right() {
        assert_eq!(verify(HEADER, &payload(&members())).await, Ok(()));
        for (name, _) in members() {
            let mut without = members();
            without.retain(|(other, _)| *other != name);
            let refused = verify(HEADER, &payload(&without)).await;
            assert_eq!(refused, Err(AssertionError::MissingClaim(name)));
            let twice = format!("{{\"{name}\":1,{}", &payload(&members())[1..]);
            assert_eq!(verify(HEADER, &twice).await, Err(AssertionError::DuplicateMember));
        }
        let long = format!("\"{}\"", "x".repeat(256));
        for (name, value) in [
            ("aud", "1"),
            ("aud", "[1]"),
            ("aud", "{}"),
            ("jti", "\"\""),
            ("jti", "1"),
            ("jti", &long),
            ("iat", "1.0"),
            ("iat", "-1"),
            ("exp", "\"1800000060\""),
            ("exp", "253402300800"),
            ("exp", "1800000000"),
            ("exp", "1799999999"),
            ("nbf", "null"),
        ] {
            let refused = verify(HEADER, &with(name, value)).await;
            assert_eq!(refused, Err(AssertionError::BadClaim(name)), "{name} {value}");
        }
        assert_eq!(verify(HEADER, &with("sub", "\"9002\"")).await, Err(AssertionError::Subject));
        for bad in ["", "[]", "{", "{} {}"] {
            assert_eq!(verify(HEADER, bad).await, Err(AssertionError::Payload), "{bad}");
        }
    }

    #[tokio::test]
    async fn its_key_chooses_the_algorithm_and_its_kid_chooses_the_key() {
        let kid = key().key_ref().kid;
        let payload = payload(&members());
        for good in [
            r#"{"alg":"EdDSA","typ":"JWT","x5t":"ignored"}"#.to_owned(),
            r#"{"alg":"EdDSA","typ":"client-authentication+jwt"}"#.to_owned(),
            format!(r#"{{"alg":"EdDSA","kid":"{kid}"}}"#),
        ] {
            assert_eq!(verify(&good, &payload).await, Ok(()), "{good}");
        }
        for (header, refused) in [
            (r#"{"alg":"none"}"#, AssertionError::Algorithm),
            (r#"{"alg":"HS256"}"#, AssertionError::Algorithm),
            (r#"{"alg":"Ed25519"}"#, AssertionError::Algorithm),
            (r#"{"alg":"EdDSA","kid":"another"}"#, AssertionError::UnknownKey),
            (r#"{"alg":"EdDSA","kid":1}"#, AssertionError::Header),
            (r#"{"typ":"JWT"}"#, AssertionError::Header),
            ("[]", AssertionError::Header),
            (r#"{"alg":"EdDSA","typ":"at+jwt"}"#, AssertionError::Typ),
            (r#"{"alg":"EdDSA","crit":["b64"],"b64":false}"#, AssertionError::Crit),
            (r#"{"alg":"EdDSA","\u0061lg":"none"}"#, AssertionError::DuplicateMember),
        ] {
            assert_eq!(verify(header, &payload).await, Err(refused), "{header}");
        }
    }

    #[tokio::test]
    async fn another_keys_signature_and_a_changed_text_are_refused() {
        let text = signed(HEADER, &payload(&members())).await;
        let expected = AssertionExpectation {
            audiences: &[ours()],
            now: NOW,
            max_age: Lifetime::from_secs(300),
            max_skew: Lifetime::from_secs(5),
            grace: Lifetime::ZERO,
        };
        let another = SigningKey::from_seed(&[2; 32], Algorithm::EdDsa).verifying_key().clone();
        let both = [AssertionKey::from(another.clone()), keys().remove(0)];
        let verify = |keys: &[AssertionKey]| {
            UnverifiedAssertion::parse(&text).unwrap().verify(keys, &expected).map(|_| ())
        };
        assert_eq!(verify(&both), Ok(()));
        assert_eq!(verify(&[another.into()]), Err(AssertionError::Signature));
        assert_eq!(verify(&[]), Err(AssertionError::UnknownKey));
        for at in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[at] ^= 1;
            assert!(verify_at(&String::from_utf8(bytes).unwrap(), NOW).is_err(), "byte {at}");
        }
        assert_eq!(verify_at(&format!("{text}."), NOW), Err(AssertionError::NotAJws));
        assert_eq!(verify_at(&format!("{text}="), NOW), Err(AssertionError::Base64));
        assert_eq!(verify_at(&"x".repeat(8193), NOW), Err(AssertionError::TooLong));
    }
}
