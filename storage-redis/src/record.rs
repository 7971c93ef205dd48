//! The records as bytes.
//!
//! Numbers are big-endian; an instant is 6 bytes of milliseconds; `·n` is a text behind its length in
//! one byte, `··n` one behind its length in two. The scripts read and write the same with Lua's
//! `struct`; what they need not look at is one text to them.
//!
//! ```text
//! a head     1 version   6 revoked_to   6 revoked_at   6 keep_until   16 generation
//!            ·n tenant   ·n credential
//!
//! a grant    1 version   1 state   6 issued_at   6 expires_at   6 epoch   16 generation   6 strength
//!            6 seen_at   6 keep_until: but in state 1, where they are issued_at and expires_at
//!            ·n identity   ·n tenant   ·n client   ·n credential   ·n secret
//!            ··n terms: 6 auth_time   and, where there is either, ··n scope   claims
//!   state 1, issued: nothing more
//!   state 2, active: 6 idle_until   6 minted at   6 minted strength   32 attempt   ·12 login
//!            ··n minted scope   32 kid   1 algorithm   ·n issuer   ·n audience
//!   state 3, superseded: 32 attempt   12 by
//!   state 4, revoked: nothing more
//!
//! the epoch  1 version   6 epoch   1 count: 20 run, 20 replication id   1 count: 20 replaced id
//! ```
//!
//! A credential and an identity are the number of their type in one byte, and their id. What is not
//! there is empty. `seen_at` is the instant of the last write. A login, and what has superseded, is
//! told by its tail. An empty minted scope is that of the terms. A strength is 0 for `STANDARD`,
//! [`ALWAYS`] for `STEPPED_UP` as long as the grant lives, and the instant after the last one at which
//! it is `STEPPED_UP`, plus one, otherwise: the stronger of two is the greater number.

use std::{str::FromStr, sync::Arc};

use mintage::{
    Algorithm, Attempt, Audience, ClientId, Credential, CredentialType, Epoch, Generation, GrantId,
    HostClaims, Identity, IdentityType, Issuer, KeyId, KeyRef, Locator, Scope, SecretDigest,
    Tenant, Timestamp,
    grant::{Active, Grant, Issued, Mint, Minted, Purpose, State, Strength, Terms},
};

/// The version of the records that this code writes, and the latest that it can read.
const VERSION: u8 = 1;

/// The strength of a grant that is `STEPPED_UP` for as long as it lives.
const ALWAYS: u64 = (1 << 48) - 1;

const ALGORITHMS: [Algorithm; 2] = [Algorithm::EdDsa, Algorithm::Ed25519];

/// A record, or an answer, is not one that this code could have written: the name of the first part
/// that is wrong.
#[derive(Debug)]
pub(crate) struct Unreadable(pub(crate) &'static str);

/// Writes one part after the other.
#[derive(Debug)]
pub(crate) struct Writer(Vec<u8>);

impl Writer {
    pub(crate) fn new() -> Self {
        Self(Vec::with_capacity(384))
    }

    pub(crate) fn done(self) -> Vec<u8> {
        self.0
    }

    pub(crate) fn byte(&mut self, byte: u8) -> &mut Self {
        self.0.push(byte);
        self
    }

    pub(crate) fn fixed(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend_from_slice(bytes);
        self
    }

    pub(crate) fn instant(&mut self, at: Timestamp) -> &mut Self {
        self.number(at.as_millis().unsigned_abs())
    }

    pub(crate) fn millis(&mut self, lifetime: mintage::Lifetime) -> &mut Self {
        self.number(lifetime.as_millis().unsigned_abs())
    }

    fn number(&mut self, number: u64) -> &mut Self {
        self.fixed(&number.to_be_bytes()[2..])
    }

    pub(crate) fn strength(&mut self, strength: Strength) -> &mut Self {
        self.number(match strength {
            Strength::Standard => 0,
            Strength::SteppedUp { until: None } => ALWAYS,
            Strength::SteppedUp { until: Some(until) } => until.as_millis().unsigned_abs() + 1,
        })
    }

    /// Of at most 255 bytes, which every name is.
    pub(crate) fn short(&mut self, text: &[u8]) -> &mut Self {
        self.byte(text.len().to_le_bytes()[0]).fixed(text)
    }

    /// Of at most 65535 bytes: scopes and claims have 512.
    pub(crate) fn long(&mut self, text: &[u8]) -> &mut Self {
        let [low, high, ..] = text.len().to_le_bytes();
        self.fixed(&[high, low]).fixed(text)
    }

    pub(crate) fn credential(&mut self, credential: &Credential) -> &mut Self {
        self.party(credential.kind as u8, credential.id.as_str())
    }

    pub(crate) fn identity(&mut self, identity: Option<&Identity>) -> &mut Self {
        match identity {
            Some(identity) => self.party(identity.kind as u8, identity.id.as_str()),
            None => self.short(b""),
        }
    }

    fn party(&mut self, kind: u8, id: &str) -> &mut Self {
        self.byte((id.len() + 1).to_le_bytes()[0]).byte(kind).fixed(id.as_bytes())
    }

    pub(crate) fn terms(&mut self, terms: &Terms) -> &mut Self {
        let scope = terms.scope.as_ref().map_or("", Scope::as_str);
        let claims = terms.claims.as_ref().map_or("", HostClaims::as_json);
        let mut text = Self::new();
        text.instant(terms.auth_time);
        if !(scope.is_empty() && claims.is_empty()) {
            text.long(scope.as_bytes()).fixed(claims.as_bytes());
        }
        self.long(&text.done())
    }

    /// What the scripts keep of a mint and never look at.
    pub(crate) fn minted(&mut self, mint: &Mint) -> &mut Self {
        let algorithm = ALGORITHMS.iter().position(|known| *known == mint.key.algorithm);
        self.long(mint.scope.as_ref().map_or("", Scope::as_str).as_bytes())
            .fixed(mint.key.kid.as_bytes())
            .byte(algorithm.unwrap_or(0).to_le_bytes()[0])
            .short(mint.issuer.as_str().as_bytes())
            .short(mint.audience.as_str().as_bytes())
    }
}

/// Reads one part after the other.
pub(crate) struct Reader<'r>(&'r [u8]);

impl<'r> Reader<'r> {
    pub(crate) fn new(bytes: &'r [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) fn byte(&mut self, name: &'static str) -> Result<u8, Unreadable> {
        self.fixed(name).map(|[byte]| byte)
    }

    pub(crate) fn fixed<const N: usize>(
        &mut self,
        name: &'static str,
    ) -> Result<[u8; N], Unreadable> {
        let (bytes, rest) = self.0.split_first_chunk().ok_or(Unreadable(name))?;
        self.0 = rest;
        Ok(*bytes)
    }

    pub(crate) fn instant(&mut self, name: &'static str) -> Result<Timestamp, Unreadable> {
        let millis = i64::try_from(self.number(name)?).map_err(|_| Unreadable(name))?;
        Ok(Timestamp::from_millis(millis))
    }

    fn number(&mut self, name: &'static str) -> Result<u64, Unreadable> {
        let mut bytes = [0; 8];
        bytes[2..].copy_from_slice(&self.fixed::<6>(name)?);
        Ok(u64::from_be_bytes(bytes))
    }

    fn strength(&mut self, name: &'static str) -> Result<Strength, Unreadable> {
        let number = self.number(name)?;
        Ok(match i64::try_from(number).map_err(|_| Unreadable(name))?.checked_sub(1) {
            Some(..0) | None => Strength::Standard,
            Some(_) if number == ALWAYS => Strength::SteppedUp { until: None },
            Some(until) => Strength::SteppedUp { until: Some(Timestamp::from_millis(until)) },
        })
    }

    fn short(&mut self, name: &'static str) -> Result<&'r [u8], Unreadable> {
        let length = self.byte(name)?;
        self.some(usize::from(length), name)
    }

    fn long(&mut self, name: &'static str) -> Result<&'r [u8], Unreadable> {
        let length = u16::from_be_bytes(self.fixed(name)?);
        self.some(usize::from(length), name)
    }

    fn some(&mut self, length: usize, name: &'static str) -> Result<&'r [u8], Unreadable> {
        let (bytes, rest) = self.0.split_at_checked(length).ok_or(Unreadable(name))?;
        self.0 = rest;
        Ok(bytes)
    }

    fn named<T: FromStr>(&mut self, name: &'static str) -> Result<T, Unreadable> {
        parsed(self.short(name)?, name)
    }

    fn credential(&mut self, name: &'static str) -> Result<Credential, Unreadable> {
        let (kind, id) = self.short(name)?.split_first().ok_or(Unreadable(name))?;
        let kind = CredentialType::ALL.get(usize::from(*kind)).ok_or(Unreadable(name))?;
        Ok(Credential::new(*kind, parsed(id, name)?))
    }

    fn identity(&mut self, name: &'static str) -> Result<Option<Identity>, Unreadable> {
        let Some((kind, id)) = self.short(name)?.split_first() else { return Ok(None) };
        let kind = IdentityType::ALL.get(usize::from(*kind)).ok_or(Unreadable(name))?;
        Ok(Some(Identity::new(*kind, parsed(id, name)?)))
    }

    fn scope(&mut self, name: &'static str) -> Result<Option<Scope>, Unreadable> {
        let scope = self.long(name)?;
        if scope.is_empty() { Ok(None) } else { parsed(scope, name).map(Some) }
    }

    /// The whole of a grant, which lives on that shard under that tail.
    pub(crate) fn grant(mut self, locator: Locator, tail: &[u8]) -> Result<Grant, Unreadable> {
        if self.byte("version")? > VERSION {
            return Err(Unreadable("version"));
        }
        let state = self.byte("state")?;
        let issued_at = self.instant("issued_at")?;
        let expires_at = self.instant("expires_at")?;
        let epoch = Epoch(self.instant("epoch")?);
        let generation = Generation::from_bytes(self.fixed("generation")?);
        let strength = self.strength("strength")?;
        let (seen_at, keep_until) = match state {
            1 => (issued_at, expires_at),
            _ => (self.instant("seen_at")?, self.instant("keep_until")?),
        };
        let identity = self.identity("identity")?;
        let (tenant, client): (Tenant, ClientId) = (self.named("tenant")?, self.named("client")?);
        let credential = self.credential("credential")?;
        let secret = match self.short("secret")? {
            [] => None,
            secret => {
                let secret = secret.try_into().map_err(|_| Unreadable("secret"))?;
                Some(SecretDigest::from_bytes(secret))
            }
        };
        let mut text = Self::new(self.long("terms")?);
        let auth_time = text.instant("auth_time")?;
        let scope = if text.0.is_empty() { None } else { text.scope("scope")? };
        let claims = match text.0 {
            [] => None,
            claims => {
                let text = std::str::from_utf8(claims).map_err(|_| Unreadable("claims"))?;
                Some(HostClaims::new(text).map_err(|_| Unreadable("claims"))?)
            }
        };
        let terms = Terms { tenant, client, credential, auth_time, scope, claims };
        let state = match state {
            1 => State::Issued(Issued { identity, strength, expires_at }),
            2 => {
                let idle_until = self.instant("idle_until")?;
                let minted = self.minted(locator, identity, expires_at, &terms)?;
                State::Active(Active { minted: Arc::new(minted), strength, idle_until, seen_at })
            }
            // What is superseded or revoked is granted to nobody.
            _ => return Err(Unreadable("state")),
        };
        let (id, terms) = (id(locator, tail)?, Arc::new(terms));
        Ok(Grant { id, terms, secret, epoch, generation, issued_at, keep_until, state })
    }

    fn minted(
        &mut self,
        locator: Locator,
        identity: Option<Identity>,
        expires_at: Timestamp,
        terms: &Terms,
    ) -> Result<Minted, Unreadable> {
        let at = self.instant("minted_at")?;
        let strength = self.strength("minted_strength")?;
        let attempt = Attempt::from_bytes(self.fixed("attempt")?);
        let login = match self.short("login")? {
            [] => None,
            tail => Some(id(locator, tail)?),
        };
        let purpose = match identity {
            Some(identity) => Purpose::Access { identity, login },
            None => Purpose::Login,
        };
        let scope = self.scope("minted_scope")?.or_else(|| terms.scope.clone());
        let kid = KeyId::from_bytes(self.fixed("kid")?);
        let algorithm = usize::from(self.byte("algorithm")?);
        let algorithm = *ALGORITHMS.get(algorithm).ok_or(Unreadable("algorithm"))?;
        let key = KeyRef { kid, algorithm };
        let issuer: Issuer = self.named("issuer")?;
        let audience: Audience = self.named("audience")?;
        Ok(Minted { attempt, at, purpose, strength, expires_at, scope, key, issuer, audience })
    }
}

fn parsed<T: FromStr>(text: &[u8], name: &'static str) -> Result<T, Unreadable> {
    let text = std::str::from_utf8(text).map_err(|_| Unreadable(name))?;
    text.parse().map_err(|_| Unreadable(name))
}

fn id(locator: Locator, tail: &[u8]) -> Result<GrantId, Unreadable> {
    let mut bytes = [0; GrantId::BYTES];
    let (shard, own) = bytes.split_at_mut(Locator::BYTES);
    shard.copy_from_slice(locator.as_bytes());
    if own.len() != tail.len() {
        return Err(Unreadable("tail"));
    }
    own.copy_from_slice(tail);
    Ok(GrantId::from_bytes(bytes))
}
