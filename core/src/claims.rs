//! What a token says: its claims, how they are written and how they are read back.

use std::{fmt, marker::PhantomData, str::FromStr};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{
    Deserialize, Deserializer,
    de::{self, DeserializeSeed, MapAccess, Visitor},
};
use serde_json::value::RawValue;

use crate::{
    id::GrantId,
    instant::Timestamp,
    json::{NotAnObject, Object, Text},
    jws::{self, TokenError},
    keys::{KeyError, SigningKey},
    model::{
        Audience, ClientId, Credential, CredentialId, CredentialType, HostClaims, Identity,
        IdentityId, IdentityType, InvalidHostClaims, Issuer, Scope, Status, Tenant,
    },
    secret::SecretText,
};

/// What a token is good for: the `typ` of its header (RFC 7515 §4.1.9).
///
/// One can never be taken for the other: every reader names the type that it wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TokenType {
    /// `auth+jwt`: what a login earns; good for listing identities and for exchanges.
    Auth,
    /// `at+jwt`: what an exchange yields (RFC 9068 §2.1).
    Access,
}

impl TokenType {
    /// Its `typ`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auth => "auth+jwt",
            Self::Access => "at+jwt",
        }
    }

    /// The type whose `typ` this is, to the letter.
    pub(crate) fn of(typ: &str) -> Option<Self> {
        [Self::Auth, Self::Access].into_iter().find(|token_type| token_type.as_str() == typ)
    }
}

impl fmt::Display for TokenType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The claims of a token: those of RFC 9068 §2.2 and the engine's own.
///
/// An instant is written as whole seconds, rounded down, and read back as such. The same claims
/// under the same key are always the same bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// `iss`: who signs.
    pub issuer: Issuer,
    /// `aud`: for whom it is meant; one text, never a list.
    pub audience: Audience,
    /// `client_id`: the public id of the client that obtained it (RFC 8693 §4.3).
    pub client: ClientId,
    /// `tenant`: whose token it is.
    pub tenant: Tenant,
    /// `jti`: the grant behind it.
    pub id: GrantId,
    /// `sid`: the login that the grant came from. An auth token has none: its `jti` is the login.
    pub login: Option<GrantId>,
    /// `sub` is its id; `credentials` is `{type, id}`.
    pub credential: Credential,
    /// `identity`, `{type, id}`: an access token has one, an auth token has none.
    pub identity: Option<Identity>,
    /// `iat`.
    pub issued_at: Timestamp,
    /// `exp`: the absolute limit. The idle limit is the store's and is not in the token.
    pub expires_at: Timestamp,
    /// `auth_time`: when the person was authenticated.
    pub auth_time: Timestamp,
    /// `acr`: how strongly (RFC 9470 §4), when the token was signed.
    pub status: Status,
    /// `stepped_up_until`: when `STEPPED_UP` ends, where it ends before the token does. Only beside
    /// that status.
    pub stepped_up_until: Option<Timestamp>,
    /// `scope` (RFC 8693 §4.2).
    pub scope: Option<Scope>,
    /// The host's own claims, which stand beside the others. An empty object is the same as none
    /// and comes back as none.
    pub host: Option<HostClaims>,
}

impl Claims {
    /// The status at `now`, as far as the token tells: `STEPPED_UP` ends at
    /// [`stepped_up_until`](Self::stepped_up_until).
    #[must_use]
    pub fn status_at(&self, now: Timestamp) -> Status {
        match (self.status, self.stepped_up_until) {
            (Status::SteppedUp, Some(until)) if now >= until => Status::Standard,
            (status, _) => status,
        }
    }
}

/// Signs a token that says this.
///
/// The engine mints through it; a host has it for tests and measurements alone. What it is given
/// is not judged: an access token without an identity, or an auth token with one or with a `login`,
/// is signed and then refused by every reader.
///
/// # Errors
/// [`KeyError`] when the signer does not answer.
#[cfg_attr(
    not(feature = "test-util"),
    expect(unreachable_pub, reason = "only `test_util` offers it: what it signs is in no record")
)]
pub async fn mint(
    token_type: TokenType,
    claims: &Claims,
    key: &SigningKey,
) -> Result<SecretText, KeyError> {
    let signing_input = jws::signing_input(token_type, &key.key_ref(), claims);
    let signature = key.sign(signing_input.as_bytes()).await?;
    Ok(SecretText::new(jws::finish(signing_input, &signature)))
}

/// Appends the claims as one JSON object; what differs least between tokens comes first.
///
/// No text needs an escape: `model.rs` admits none that would.
pub(crate) fn write(out: &mut String, claims: &Claims) {
    push(out, &["{\"iss\":\"", claims.issuer.as_str()]);
    push(out, &["\",\"aud\":\"", claims.audience.as_str()]);
    push(out, &["\",\"tenant\":\"", claims.tenant.as_str()]);
    push(out, &["\",\"client_id\":\"", claims.client.as_str()]);
    let Credential { kind, id } = &claims.credential;
    push(out, &["\",\"sub\":\"", id.as_str()]);
    push(
        out,
        &["\",\"credentials\":{\"type\":\"", kind.as_str(), "\",\"id\":\"", id.as_str(), "\"}"],
    );
    if let Some(Identity { kind, id }) = &claims.identity {
        push(
            out,
            &[",\"identity\":{\"type\":\"", kind.as_str(), "\",\"id\":\"", id.as_str(), "\"}"],
        );
    }
    push(out, &[",\"acr\":\"", claims.status.as_str()]);
    if let Some(scope) = &claims.scope {
        push(out, &["\",\"scope\":\"", scope.as_str()]);
    }
    if let Some(login) = claims.login {
        out.push_str("\",\"sid\":\"");
        URL_SAFE_NO_PAD.encode_string(login.as_bytes(), out);
    }
    out.push_str("\",\"jti\":\"");
    URL_SAFE_NO_PAD.encode_string(claims.id.as_bytes(), out);
    push_time(out, "\",\"auth_time\":", claims.auth_time);
    push_time(out, ",\"iat\":", claims.issued_at);
    push_time(out, ",\"exp\":", claims.expires_at);
    if let Some(until) = claims.stepped_up_until {
        push_time(out, ",\"stepped_up_until\":", until);
    }
    let host = claims.host.as_ref().map_or("{}", HostClaims::as_json);
    if host == "{}" {
        out.push('}');
    } else {
        // Its opening brace becomes a comma, and its closing one ends the whole.
        push(out, &[",", &host[1..]]);
    }
}

fn push(out: &mut String, texts: &[&str]) {
    for text in texts {
        out.push_str(text);
    }
}

fn push_time(out: &mut String, name: &str, at: Timestamp) {
    push(out, &[name, itoa::Buffer::new().format(at.as_secs())]);
}

/// Reads the claims of a token of this type.
///
/// The engine's own claims must each be there once, of their type and in their bounds; everything
/// else is the host's. A claim that the engine reserves but never writes (`nbf`, `cnf` …) would be
/// a condition that nobody checks, so it is refused.
pub(crate) fn read(token_type: TokenType, payload: &[u8]) -> Result<Claims, TokenError> {
    let text = std::str::from_utf8(payload).map_err(|_| TokenError::Payload)?;
    let mut refusal = None;
    let mut reader = serde_json::Deserializer::from_str(text);
    let read = DraftSeed(&mut refusal).deserialize(&mut reader);
    match read.and_then(|draft| reader.end().map(|()| draft)) {
        Ok(draft) => draft.finish(token_type),
        Err(error) if error.is_data() => Err(refusal.unwrap_or(TokenError::Payload)),
        Err(_) => Err(TokenError::Payload),
    }
}

/// The claims as they are found, before it is known that all are there.
#[derive(Default)]
struct Draft<'a> {
    iss: Option<Parsed<Issuer>>,
    aud: Option<Parsed<Audience>>,
    tenant: Option<Parsed<Tenant>>,
    client_id: Option<Parsed<ClientId>>,
    sub: Option<Text<'a>>,
    credentials: Option<Party<CredentialType, CredentialId>>,
    identity: Option<Party<IdentityType, IdentityId>>,
    acr: Option<Parsed<Status>>,
    scope: Option<Parsed<Scope>>,
    sid: Option<Parsed<GrantId>>,
    jti: Option<Parsed<GrantId>>,
    auth_time: Option<NumericDate>,
    iat: Option<NumericDate>,
    exp: Option<NumericDate>,
    stepped_up_until: Option<NumericDate>,
    host: Object<'a>,
}

impl Draft<'_> {
    fn finish(self, token_type: TokenType) -> Result<Claims, TokenError> {
        use TokenError::{BadClaim, MissingClaim};

        let claims = Claims {
            issuer: self.iss.ok_or(MissingClaim("iss"))?.0,
            audience: self.aud.ok_or(MissingClaim("aud"))?.0,
            client: self.client_id.ok_or(MissingClaim("client_id"))?.0,
            tenant: self.tenant.ok_or(MissingClaim("tenant"))?.0,
            id: self.jti.ok_or(MissingClaim("jti"))?.0,
            login: self.sid.map(|sid| sid.0),
            credential: {
                let Party(kind, id) = self.credentials.ok_or(MissingClaim("credentials"))?;
                Credential { kind, id }
            },
            identity: self.identity.map(|Party(kind, id)| Identity { kind, id }),
            issued_at: self.iat.ok_or(MissingClaim("iat"))?.0,
            expires_at: self.exp.ok_or(MissingClaim("exp"))?.0,
            auth_time: self.auth_time.ok_or(MissingClaim("auth_time"))?.0,
            status: self.acr.ok_or(MissingClaim("acr"))?.0,
            stepped_up_until: self.stepped_up_until.map(|until| until.0),
            scope: self.scope.map(|scope| scope.0),
            host: host_claims(&self.host)?,
        };
        let Text(sub) = self.sub.ok_or(MissingClaim("sub"))?;
        if sub != claims.credential.id.as_str() {
            return Err(BadClaim("sub"));
        }
        match token_type {
            TokenType::Access if claims.identity.is_none() => return Err(MissingClaim("identity")),
            TokenType::Auth if claims.identity.is_some() => return Err(BadClaim("identity")),
            TokenType::Auth if claims.login.is_some() => return Err(BadClaim("sid")),
            _ => {}
        }
        if claims.stepped_up_until.is_some() && claims.status != Status::SteppedUp {
            return Err(BadClaim("stepped_up_until"));
        }
        Ok(claims)
    }
}

fn host_claims(members: &Object<'_>) -> Result<Option<HostClaims>, TokenError> {
    if members.is_empty() {
        return Ok(None);
    }
    let json = members.to_compact();
    HostClaims::new(&json).map(Some).map_err(|error| match error {
        InvalidHostClaims::Reserved(name) => TokenError::BadClaim(name),
        InvalidHostClaims::TooLong => TokenError::TooLong,
        InvalidHostClaims::NotAnObject => match Object::parse(&json) {
            Err(NotAnObject::Repeated) => TokenError::DuplicateMember,
            _ => TokenError::Payload,
        },
    })
}

/// Reads a [`Draft`] and says why it could not.
struct DraftSeed<'r>(&'r mut Option<TokenError>);

impl DraftSeed<'_> {
    /// Reads the value of the claim `name`, which must not have been read before.
    fn once<'de, T: Deserialize<'de>, A: MapAccess<'de>>(
        &mut self,
        name: &'static str,
        slot: &mut Option<T>,
        members: &mut A,
    ) -> Result<(), A::Error> {
        if slot.is_some() {
            return Err(self.refuse(TokenError::DuplicateMember));
        }
        let value = members.next_value();
        *slot = Some(value.inspect_err(|_| *self.0 = Some(TokenError::BadClaim(name)))?);
        Ok(())
    }

    fn refuse<E: de::Error>(&mut self, why: TokenError) -> E {
        *self.0 = Some(why);
        E::custom("refused")
    }
}

impl<'de> DeserializeSeed<'de> for DraftSeed<'_> {
    type Value = Draft<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Draft<'de>, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for DraftSeed<'_> {
    type Value = Draft<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("claims")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut members: A) -> Result<Draft<'de>, A::Error> {
        let mut draft = Draft::default();
        while let Some(Text(name)) = members.next_key::<Text<'de>>()? {
            let members = &mut members;
            match name.as_ref() {
                "iss" => self.once("iss", &mut draft.iss, members)?,
                "aud" => self.once("aud", &mut draft.aud, members)?,
                "tenant" => self.once("tenant", &mut draft.tenant, members)?,
                "client_id" => self.once("client_id", &mut draft.client_id, members)?,
                "sub" => self.once("sub", &mut draft.sub, members)?,
                "credentials" => self.once("credentials", &mut draft.credentials, members)?,
                "identity" => self.once("identity", &mut draft.identity, members)?,
                "acr" => self.once("acr", &mut draft.acr, members)?,
                "scope" => self.once("scope", &mut draft.scope, members)?,
                "sid" => self.once("sid", &mut draft.sid, members)?,
                "jti" => self.once("jti", &mut draft.jti, members)?,
                "auth_time" => self.once("auth_time", &mut draft.auth_time, members)?,
                "iat" => self.once("iat", &mut draft.iat, members)?,
                "exp" => self.once("exp", &mut draft.exp, members)?,
                "stepped_up_until" => {
                    self.once("stepped_up_until", &mut draft.stepped_up_until, members)?;
                }
                _ => {
                    let value = members.next_value::<&'de RawValue>()?;
                    if !draft.host.insert(name, value) {
                        return Err(self.refuse(TokenError::DuplicateMember));
                    }
                }
            }
        }
        Ok(draft)
    }
}

/// A JSON string that is a `T`.
struct Parsed<T>(T);

impl<'de, T: FromStr> Deserialize<'de> for Parsed<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Text(text) = Text::deserialize(deserializer)?;
        text.parse().map(Self).map_err(|_| de::Error::custom("not of its form"))
    }
}

/// A JSON integer that is a count of seconds from 1970 to the end of 9999 (RFC 7519 §2).
pub(crate) struct NumericDate(pub(crate) Timestamp);

impl<'de> Deserialize<'de> for NumericDate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let millis = u64::deserialize(deserializer)?.saturating_mul(1000);
        match i64::try_from(millis) {
            Ok(millis) if millis <= Timestamp::MAX.as_millis() => {
                Ok(Self(Timestamp::from_millis(millis)))
            }
            _ => Err(de::Error::custom("after the year 9999")),
        }
    }
}

/// `{type, id}`, each once and nothing else.
struct Party<K, I>(K, I);

impl<'de, K: FromStr, I: FromStr> Deserialize<'de> for Party<K, I> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(PartyVisitor(PhantomData))
    }
}

struct PartyVisitor<K, I>(PhantomData<(K, I)>);

impl<'de, K: FromStr, I: FromStr> Visitor<'de> for PartyVisitor<K, I> {
    type Value = Party<K, I>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of `type` and `id`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Party<K, I>, A::Error> {
        let (mut kind, mut id) = (None, None);
        while let Some(Text(name)) = members.next_key::<Text<'de>>()? {
            match name.as_ref() {
                "type" if kind.is_none() => kind = Some(members.next_value::<Parsed<K>>()?.0),
                "id" if id.is_none() => id = Some(members.next_value::<Parsed<I>>()?.0),
                _ => return Err(de::Error::custom("another member, or one twice")),
            }
        }
        match (kind, id) {
            (Some(kind), Some(id)) => Ok(Party(kind, id)),
            _ => Err(de::Error::custom("`type` or `id` is missing")),
        }
    }
}
