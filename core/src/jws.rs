//! Tokens as text: JWS compact serialisation (RFC 7515 §7.1), written and strictly read.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{
    Deserializer,
    de::{self, DeserializeSeed, MapAccess, Visitor},
};

use crate::{
    bytes::base64url_chars,
    claims::{self, Claims, TokenType},
    instant::Timestamp,
    json::Text,
    keys::{KeyId, KeyRef, KeySet, Signature},
    model::{Audience, Issuer},
    verifier::Leeway,
};

/// The longest token that is read, in bytes.
///
/// The longest that can be written has a payload of 2,199 bytes: 1,024 of scope and host claims,
/// 510 of issuer and audience, the rest names and ids. In base64url, with header and signature,
/// that is 3,132 bytes; a test builds it.
pub const MAX_TOKEN_BYTES: usize = 4096;

const MAX_HEADER_BYTES: usize = 256;
const MAX_PAYLOAD_BYTES: usize = MAX_TOKEN_BYTES / 4 * 3;
const SIGNATURE_TEXT_BYTES: usize = 86;

/// Why a token is refused: for the host's log. On the wire every one of them is the same 401.
///
/// It never holds any text of the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TokenError {
    /// Longer than [`MAX_TOKEN_BYTES`], or its host claims than theirs.
    TooLong,
    /// It has other than three parts.
    NotAJws,
    /// A part is not base64url in its one form: another alphabet, padding, or stray bits at its end
    /// (RFC 7515 §2).
    Base64,
    /// The header is not one JSON object of the strings `alg`, `typ` and `kid`.
    Header,
    /// The header or the payload names a member twice (RFC 7515 §4, RFC 7519 §4).
    DuplicateMember,
    /// The header has `crit`: no extension is understood (RFC 7515 §4.1.11).
    Crit,
    /// The `typ` is not the one that is expected here (RFC 8725 §3.11).
    Typ,
    /// No known key has this `kid`.
    UnknownKey,
    /// The `alg` is not the key's own (RFC 8725 §3.1).
    Algorithm,
    /// The signature is not this key's.
    Signature,
    /// The payload is not one JSON object.
    Payload,
    /// A claim that must be there is not.
    MissingClaim(&'static str),
    /// A claim is of another type, out of its bounds, or at odds with the others.
    BadClaim(&'static str),
    /// The `iss` is another.
    Issuer,
    /// The `aud` is another.
    Audience,
    /// The `tenant` is another.
    Tenant,
    /// The `exp` has come.
    Expired,
    /// The `iat` has not come yet.
    NotYet,
    /// It was issued before the epoch that the verifier was told.
    Epoch,
    /// It is not `STEPPED_UP`, or no longer (RFC 9470).
    InsufficientStatus,
}

impl fmt::Display for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLong => "the token is too long",
            Self::NotAJws => "the token is not of three parts",
            Self::Base64 => "a part of the token is not canonical base64url",
            Self::Header => "the token's header is malformed",
            Self::DuplicateMember => "the token names a member twice",
            Self::Crit => "the token's header demands an extension",
            Self::Typ => "the token is of another type",
            Self::UnknownKey => "the token's key is unknown",
            Self::Algorithm => "the token's algorithm is not its key's",
            Self::Signature => "the token's signature is wrong",
            Self::Payload => "the token's payload is malformed",
            Self::MissingClaim(name) => return write!(f, "the token lacks the claim `{name}`"),
            Self::BadClaim(name) => return write!(f, "the token's claim `{name}` is refused"),
            Self::Issuer => "the token is another issuer's",
            Self::Audience => "the token is for another audience",
            Self::Tenant => "the token is another tenant's",
            Self::Expired => "the token has expired",
            Self::NotYet => "the token was issued in the future",
            Self::Epoch => "the token was issued before the epoch",
            Self::InsufficientStatus => "the token is not stepped up",
        })
    }
}

impl std::error::Error for TokenError {}

/// Header and payload, as they are signed: `header.payload` (RFC 7515 §5.1).
pub(crate) fn signing_input(token_type: TokenType, key: &KeyRef, claims: &Claims) -> String {
    let mut header = String::with_capacity(128);
    header.push_str("{\"alg\":\"");
    header.push_str(key.algorithm.as_str());
    header.push_str("\",\"typ\":\"");
    header.push_str(token_type.as_str());
    header.push_str("\",\"kid\":\"");
    URL_SAFE_NO_PAD.encode_string(key.kid.as_bytes(), &mut header);
    header.push_str("\"}");
    let mut payload = String::with_capacity(1024);
    claims::write(&mut payload, claims);
    // What the token takes and no more: it may wait long to be sent, and is wiped as a whole.
    let parts = base64url_chars(header.len()) + base64url_chars(payload.len());
    let mut token = String::with_capacity(parts + 2 + SIGNATURE_TEXT_BYTES);
    URL_SAFE_NO_PAD.encode_string(&header, &mut token);
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(&payload, &mut token);
    token
}

/// The token: what was signed, and its signature.
pub(crate) fn finish(signing_input: String, signature: &Signature) -> String {
    let mut token = signing_input;
    token.reserve_exact(1 + SIGNATURE_TEXT_BYTES);
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(signature.as_bytes(), &mut token);
    token
}

/// Reads a token of either type: form, header, key, signature, and only then its claims. What the
/// claims are worth, [`Expectation::check`] tells.
///
/// One thing is said before the signature was checked: that a token has expired, for that is seen at
/// a twentieth of the cost, and those who never stop presenting an old token are many.
pub(crate) fn open(
    token: &str,
    keys: &KeySet,
    now: Timestamp,
    leeway: Leeway,
) -> Result<Opened, TokenError> {
    if token.len() > MAX_TOKEN_BYTES {
        return Err(TokenError::TooLong);
    }
    let (signing_input, signature) = token.rsplit_once('.').ok_or(TokenError::NotAJws)?;
    let (header, payload) = signing_input.split_once('.').ok_or(TokenError::NotAJws)?;
    if payload.contains('.') {
        return Err(TokenError::NotAJws);
    }
    let Header { token_type, kid, algorithm } = read_header(header)?;
    let key = keys.get(&kid).ok_or(TokenError::UnknownKey)?;
    if algorithm != key.key_ref().algorithm.as_str() {
        return Err(TokenError::Algorithm);
    }
    let signature = read_signature(signature)?;
    let mut buffer = [0; MAX_PAYLOAD_BYTES];
    let claims = decode(payload, &mut buffer).and_then(|payload| claims::read(token_type, payload));
    if let Ok(claims) = &claims
        && has_expired(claims, now, leeway)
    {
        return Err(TokenError::Expired);
    }
    if !key.verify(signing_input.as_bytes(), &signature) {
        return Err(TokenError::Signature);
    }
    Ok(Opened { token_type, key: key.key_ref(), claims: claims? })
}

/// A token whose signature was right.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) token_type: TokenType,
    /// What signed it.
    #[cfg_attr(not(feature = "cache"), expect(dead_code, reason = "only the cache asks again"))]
    pub(crate) key: KeyRef,
    pub(crate) claims: Claims,
}

/// `exp == now` is expired where there is no leeway.
fn has_expired(claims: &Claims, now: Timestamp, leeway: Leeway) -> bool {
    now >= claims.expires_at.after(leeway.as_lifetime())
}

/// What every reader expects of a token, whatever its type.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Expectation<'a> {
    /// The `iss` to the letter.
    pub(crate) issuer: &'a Issuer,
    /// The `aud` to the letter.
    pub(crate) audience: &'a Audience,
    /// How far the clocks may be apart.
    pub(crate) leeway: Leeway,
}

impl Expectation<'_> {
    /// Judges issuer, audience and times.
    pub(crate) fn check(&self, claims: &Claims, now: Timestamp) -> Result<(), TokenError> {
        if claims.issuer != *self.issuer {
            Err(TokenError::Issuer)
        } else if claims.audience != *self.audience {
            Err(TokenError::Audience)
        } else if has_expired(claims, now, self.leeway) {
            Err(TokenError::Expired)
        } else if claims.issued_at > now.after(self.leeway.as_lifetime()) {
            Err(TokenError::NotYet)
        } else {
            Ok(())
        }
    }
}

/// The bytes behind base64url in its one form.
fn decode<'b>(text: &str, buffer: &'b mut [u8]) -> Result<&'b [u8], TokenError> {
    match URL_SAFE_NO_PAD.decode_slice(text, buffer) {
        Ok(length) => Ok(&buffer[..length]),
        Err(base64::DecodeSliceError::OutputSliceTooSmall) => Err(TokenError::TooLong),
        Err(base64::DecodeSliceError::DecodeError(_)) => Err(TokenError::Base64),
    }
}

fn read_signature(text: &str) -> Result<Signature, TokenError> {
    let mut bytes = [0; Signature::BYTES];
    if text.len() != SIGNATURE_TEXT_BYTES {
        return Err(TokenError::Signature);
    }
    decode(text, &mut bytes)?;
    Ok(Signature::from_bytes(bytes))
}

struct Header {
    token_type: TokenType,
    kid: KeyId,
    algorithm: String,
}

fn read_header(text: &str) -> Result<Header, TokenError> {
    let mut buffer = [0; MAX_HEADER_BYTES];
    let json = std::str::from_utf8(decode(text, &mut buffer)?).map_err(|_| TokenError::Header)?;
    let mut refusal = None;
    let mut reader = serde_json::Deserializer::from_str(json);
    let header = HeaderSeed(&mut refusal).deserialize(&mut reader);
    let members = match header.and_then(|header| reader.end().map(|()| header)) {
        Ok(members) => members,
        Err(error) if error.is_data() => return Err(refusal.unwrap_or(TokenError::Header)),
        Err(_) => return Err(TokenError::Header),
    };
    let [Some(alg), Some(typ), Some(kid)] = members else {
        return Err(TokenError::Header);
    };
    Ok(Header {
        token_type: TokenType::of(&typ.0).ok_or(TokenError::Typ)?,
        kid: kid.0.parse().map_err(|_| TokenError::UnknownKey)?,
        algorithm: alg.0.into_owned(),
    })
}

const HEADER_MEMBERS: [&str; 3] = ["alg", "typ", "kid"];

/// Reads the values of [`HEADER_MEMBERS`], each at most once, and says why it could not.
struct HeaderSeed<'r>(&'r mut Option<TokenError>);

impl<'de> DeserializeSeed<'de> for HeaderSeed<'_> {
    type Value = [Option<Text<'de>>; 3];

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for HeaderSeed<'_> {
    type Value = [Option<Text<'de>>; 3];

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a header")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut values = [None, None, None];
        while let Some(Text(name)) = members.next_key::<Text<'de>>()? {
            let why = match HEADER_MEMBERS.iter().position(|known| **known == *name) {
                Some(at) if values[at].is_none() => {
                    values[at] = Some(members.next_value()?);
                    continue;
                }
                Some(_) => TokenError::DuplicateMember,
                None if name == "crit" => TokenError::Crit,
                None => TokenError::Header,
            };
            *self.0 = Some(why);
            return Err(de::Error::custom("refused"));
        }
        Ok(values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        id::GrantId,
        instant::Lifetime,
        keys::{Algorithm, SigningKey},
        model::{
            ClientId, Credential, CredentialId, CredentialType, HostClaims, Identity, IdentityId,
            IdentityType, Scope, Status, Tenant,
        },
    };

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    /// A login with nothing optional in it.
    fn login() -> Claims {
        Claims {
            issuer: Issuer::new("https://login.example").unwrap(),
            audience: Audience::new("https://api.example").unwrap(),
            client: ClientId::new("acme-web").unwrap(),
            tenant: Tenant::new("acme").unwrap(),
            id: GrantId::from_bytes([7; 24]),
            login: None,
            credential: Credential::new(CredentialType::Root, CredentialId::new("1001").unwrap()),
            identity: None,
            issued_at: NOW,
            expires_at: NOW.after(Lifetime::from_hours(1)),
            auth_time: NOW,
            status: Status::Standard,
            stepped_up_until: None,
            scope: None,
            host: None,
        }
    }

    /// Everything as long as it can be.
    fn longest() -> Claims {
        let longest = |length| "x".repeat(length);
        Claims {
            issuer: Issuer::new(&longest(255)).unwrap(),
            audience: Audience::new(&longest(255)).unwrap(),
            client: ClientId::new(&longest(64)).unwrap(),
            tenant: Tenant::new(&longest(64)).unwrap(),
            id: GrantId::from_bytes([255; 24]),
            login: Some(GrantId::from_bytes([255; 24])),
            credential: Credential::new(
                CredentialType::ApiClient,
                CredentialId::new(&longest(64)).unwrap(),
            ),
            identity: Some(Identity::new(
                IdentityType::Corporate,
                IdentityId::new(&longest(64)).unwrap(),
            )),
            issued_at: Timestamp::MAX,
            expires_at: Timestamp::MAX,
            auth_time: Timestamp::MAX,
            status: Status::SteppedUp,
            stepped_up_until: Some(Timestamp::MAX),
            scope: Some(Scope::new(&longest(Scope::MAX_BYTES)).unwrap()),
            host: Some(HostClaims::new(&format!("{{\"a\":\"{}\"}}", longest(504))).unwrap()),
        }
    }

    fn key() -> SigningKey {
        SigningKey::from_seed(&[1; 32], Algorithm::Ed25519)
    }

    fn keys() -> KeySet {
        KeySet::new([key().verifying_key().clone()])
    }

    fn opened(token: &str) -> Result<(TokenType, Claims), TokenError> {
        let opened = open(token, &keys(), NOW, Leeway::ZERO)?;
        Ok((opened.token_type, opened.claims))
    }

    async fn minted(token_type: TokenType, claims: &Claims) -> String {
        claims::mint(token_type, claims, &key()).await.unwrap().expose().to_owned()
    }

    #[tokio::test]
    async fn an_auth_token_comes_back_as_one() {
        let token = minted(TokenType::Auth, &login()).await;
        assert_eq!(opened(&token), Ok((TokenType::Auth, login())));
        assert_eq!(minted(TokenType::Auth, &login()).await, token);
    }

    #[tokio::test]
    async fn an_auth_token_has_neither_identity_nor_login_and_an_access_token_has_an_identity() {
        let token = minted(TokenType::Access, &login()).await;
        assert_eq!(opened(&token), Err(TokenError::MissingClaim("identity")));
        let claims = Claims { login: Some(login().id), ..login() };
        let token = minted(TokenType::Auth, &claims).await;
        assert_eq!(opened(&token), Err(TokenError::BadClaim("sid")));
        let claims = Claims { identity: longest().identity, ..login() };
        let token = minted(TokenType::Auth, &claims).await;
        assert_eq!(opened(&token), Err(TokenError::BadClaim("identity")));
    }

    #[tokio::test]
    async fn the_longest_token_fits() {
        let token = minted(TokenType::Access, &longest()).await;
        assert!(token.len() <= MAX_TOKEN_BYTES);
        assert_eq!(token.len(), 3132, "MAX_TOKEN_BYTES states this number");
        let payload = token.split('.').nth(1).unwrap();
        assert_eq!(payload.len() * 3 / 4, 2199, "and this one");
        let mut claims = longest();
        let seconds = Timestamp::from_millis(Timestamp::MAX.as_millis() / 1000 * 1000);
        (claims.issued_at, claims.expires_at, claims.auth_time) = (seconds, seconds, seconds);
        claims.stepped_up_until = Some(seconds);
        assert_eq!(opened(&token), Ok((TokenType::Access, claims)));
    }

    #[test]
    fn a_token_ends_when_its_exp_comes_and_leeway_moves_that() {
        let (issuer, audience) = (login().issuer, login().audience);
        let check = |leeway, now| {
            let leeway = Leeway::from_secs(leeway).unwrap();
            Expectation { issuer: &issuer, audience: &audience, leeway }.check(&login(), now)
        };
        let (end, millisecond) = (login().expires_at, Lifetime::from_millis(1));
        assert_eq!(check(0, end.before(millisecond)), Ok(()));
        assert_eq!(check(0, end), Err(TokenError::Expired));
        assert_eq!(check(5, end.after(Lifetime::from_millis(4999))), Ok(()));
        assert_eq!(check(5, end.after(Lifetime::from_secs(5))), Err(TokenError::Expired));
        assert_eq!(check(0, NOW), Ok(()));
        assert_eq!(check(0, NOW.before(millisecond)), Err(TokenError::NotYet));
        assert_eq!(check(5, NOW.before(Lifetime::from_secs(5))), Ok(()));
        assert_eq!(check(5, NOW.before(Lifetime::from_millis(5001))), Err(TokenError::NotYet));
    }
}
