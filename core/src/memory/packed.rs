//! A grant in as few bytes as it takes: the instants as differences, the texts one after the other,
//! what many grants have in common once.
//!
//! A [`Grant`] as the state machine reads it takes several times as much, with all that it points to.
//! Packed, a live one takes 266 bytes, its share of the tables, of the queue of ends and of its
//! credential's head included (the bench `heap`). Packing costs about a quarter of a microsecond, and
//! so does unpacking; a signature takes twenty.

use std::{borrow::Borrow, collections::HashSet, hash, str::FromStr, sync::Arc};

use crate::{
    grant::{Active, Grant, Issued, Minted, Purpose, Revoked, State, Strength, Superseded, Terms},
    id::{Attempt, Epoch, Generation, GrantId},
    instant::Timestamp,
    keys::KeyRef,
    model::{
        Audience, Credential, CredentialType, HostClaims, Identity, IdentityType, Issuer, Scope,
    },
    secret::SecretDigest,
};

/// A packed grant; it is its id, as far as a set of them is concerned.
pub(super) struct Packed {
    bytes: Box<[u8]>,
    /// In whose name its token is signed; nothing where none is minted.
    seal: Option<Arc<Seal>>,
}

/// In whose name a token is signed, for whom and with what: the same for very many.
#[derive(PartialEq, Eq, Hash)]
pub(super) struct Seal {
    key: KeyRef,
    issuer: Issuer,
    audience: Audience,
}

/// The seals of the grants that are held, each once.
#[derive(Default)]
pub(super) struct Seals(HashSet<Arc<Seal>>);

impl Seals {
    /// The one seal that says this.
    fn of(&mut self, minted: &Minted) -> Arc<Seal> {
        let Minted { key, issuer, audience, .. } = minted;
        let seal = Seal { key: *key, issuer: issuer.clone(), audience: audience.clone() };
        if let Some(known) = self.0.get(&seal) {
            return Arc::clone(known);
        }
        let seal = Arc::new(seal);
        self.0.insert(Arc::clone(&seal));
        seal
    }

    /// Forgets the seal of a grant that is gone, if it was the last that had it.
    pub(super) fn release(&mut self, grant: Packed) {
        if let Some(seal) = grant.seal
            && Arc::strong_count(&seal) == 2
        {
            self.0.remove(&seal);
        }
    }

    pub(super) fn pack(&mut self, grant: &Grant) -> Packed {
        let mut to = Writer { out: Vec::with_capacity(256), from: grant.issued_at };
        to.bytes(grant.id.as_bytes());
        to.number(grant.issued_at.as_millis());
        to.at(grant.keep_until);
        to.at(grant.epoch.0);
        to.bytes(grant.generation.as_bytes());
        to.option(grant.secret.as_ref(), |to, secret| to.bytes(secret.as_bytes()));
        to.terms(&grant.terms);
        let mut seal = None;
        match &grant.state {
            State::Issued(Issued { identity, strength, expires_at }) => {
                to.byte(ISSUED);
                to.option(identity.as_ref(), Writer::identity);
                to.strength(*strength);
                to.at(*expires_at);
            }
            State::Active(Active { minted, strength, idle_until, seen_at }) => {
                to.byte(ACTIVE);
                to.minted(minted);
                to.strength(*strength);
                to.at(*idle_until);
                to.at(*seen_at);
                seal = Some(self.of(minted));
            }
            State::Superseded(Superseded { by, attempt, at }) => {
                to.byte(SUPERSEDED);
                to.bytes(by.as_bytes());
                to.bytes(attempt.as_bytes());
                to.at(*at);
            }
            State::Revoked(Revoked { at }) => {
                to.byte(REVOKED);
                to.at(*at);
            }
        }
        // The copy has no spare room.
        Packed { bytes: Box::from(to.out.as_slice()), seal }
    }
}

const ISSUED: u8 = 0;
const ACTIVE: u8 = 1;
const SUPERSEDED: u8 = 2;
const REVOKED: u8 = 3;

impl Packed {
    pub(super) fn id(&self) -> &[u8] {
        self.bytes.get(..GrantId::BYTES).unwrap_or_default()
    }

    pub(super) fn keep_until(&self) -> Option<Timestamp> {
        let mut from = Reader { bytes: &self.bytes, from: Timestamp::MIN };
        from.array::<{ GrantId::BYTES }>()?;
        from.begin()?;
        from.at()
    }

    /// The grant. Always there: what is read is what [`pack`](Seals::pack) wrote.
    pub(super) fn unpack(&self) -> Option<Grant> {
        let mut from = Reader { bytes: &self.bytes, from: Timestamp::MIN };
        let id = GrantId::from_bytes(from.array()?);
        let issued_at = from.begin()?;
        let keep_until = from.at()?;
        let epoch = Epoch(from.at()?);
        let generation = Generation::from_bytes(from.array()?);
        let secret = from.option(|from| from.array().map(SecretDigest::from_bytes))?;
        let terms = Arc::new(from.terms()?);
        let state = match from.byte()? {
            ISSUED => State::Issued(Issued {
                identity: from.option(Reader::identity)?,
                strength: from.strength()?,
                expires_at: from.at()?,
            }),
            ACTIVE => State::Active(Active {
                minted: Arc::new(from.minted(self.seal.as_deref()?)?),
                strength: from.strength()?,
                idle_until: from.at()?,
                seen_at: from.at()?,
            }),
            SUPERSEDED => State::Superseded(Superseded {
                by: GrantId::from_bytes(from.array()?),
                attempt: Attempt::from_bytes(from.array()?),
                at: from.at()?,
            }),
            REVOKED => State::Revoked(Revoked { at: from.at()? }),
            _ => return None,
        };
        Some(Grant { id, terms, secret, epoch, generation, issued_at, keep_until, state })
    }
}

impl Borrow<[u8]> for Packed {
    fn borrow(&self) -> &[u8] {
        self.id()
    }
}

impl hash::Hash for Packed {
    fn hash<H: hash::Hasher>(&self, state: &mut H) {
        self.id().hash(state);
    }
}

impl PartialEq for Packed {
    fn eq(&self, other: &Self) -> bool {
        self.id() == other.id()
    }
}

impl Eq for Packed {}

struct Writer {
    out: Vec<u8>,
    /// What instants are counted from.
    from: Timestamp,
}

impl Writer {
    fn byte(&mut self, byte: u8) {
        self.out.push(byte);
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    /// Seven bits a byte, the lowest first, the sign in the lowest of all.
    fn number(&mut self, number: i64) {
        let mut left = (number.cast_unsigned() << 1) ^ (number >> 63).cast_unsigned();
        while left > 0x7F {
            self.byte(low_byte(left) | 0x80);
            left >>= 7;
        }
        self.byte(low_byte(left));
    }

    fn at(&mut self, at: Timestamp) {
        self.number(at.as_millis() - self.from.as_millis());
    }

    /// Texts are at most 512 bytes long.
    fn text(&mut self, text: &str) {
        self.number(i64::try_from(text.len()).unwrap_or(i64::MAX));
        self.bytes(text.as_bytes());
    }

    fn option<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T)) {
        self.byte(u8::from(value.is_some()));
        if let Some(value) = value {
            write(self, value);
        }
    }

    fn terms(&mut self, terms: &Terms) {
        let Terms { tenant, client, credential, auth_time, scope, claims } = terms;
        self.text(tenant.as_str());
        self.text(client.as_str());
        self.byte(credential.kind as u8);
        self.text(credential.id.as_str());
        self.at(*auth_time);
        self.option(scope.as_ref(), |to, scope| to.text(scope.as_str()));
        self.option(claims.as_ref(), |to, claims| to.text(claims.as_json()));
    }

    /// All but what is in the seal.
    fn minted(&mut self, minted: &Minted) {
        let Minted { attempt, at, purpose, strength, expires_at, scope, .. } = minted;
        self.bytes(attempt.as_bytes());
        self.at(*at);
        match purpose {
            Purpose::Login => self.byte(0),
            Purpose::Access { identity, login } => {
                self.byte(1);
                self.identity(identity);
                self.option(login.as_ref(), |to, login| to.bytes(login.as_bytes()));
            }
        }
        self.strength(*strength);
        self.at(*expires_at);
        self.option(scope.as_ref(), |to, scope| to.text(scope.as_str()));
    }

    fn identity(&mut self, identity: &Identity) {
        self.byte(identity.kind as u8);
        self.text(identity.id.as_str());
    }

    fn strength(&mut self, strength: Strength) {
        match strength {
            Strength::Standard => self.byte(0),
            Strength::SteppedUp { until: None } => self.byte(1),
            Strength::SteppedUp { until: Some(until) } => {
                self.byte(2);
                self.at(until);
            }
        }
    }
}

fn low_byte(number: u64) -> u8 {
    let [low, ..] = number.to_le_bytes();
    low
}

struct Reader<'a> {
    bytes: &'a [u8],
    from: Timestamp,
}

impl<'a> Reader<'a> {
    fn byte(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, rest) = self.bytes.split_first_chunk()?;
        self.bytes = rest;
        Some(*array)
    }

    fn number(&mut self) -> Option<i64> {
        let (mut number, mut shift) = (0_u64, 0);
        loop {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7F).checked_shl(shift)?;
            if byte < 0x80 {
                return Some((number >> 1).cast_signed() ^ -(number & 1).cast_signed());
            }
            shift += 7;
        }
    }

    /// Reads the instant that the others are counted from.
    fn begin(&mut self) -> Option<Timestamp> {
        self.from = Timestamp::from_millis(self.number()?);
        Some(self.from)
    }

    fn at(&mut self) -> Option<Timestamp> {
        Some(Timestamp::from_millis(self.from.as_millis().checked_add(self.number()?)?))
    }

    fn text(&mut self) -> Option<&'a str> {
        let length = usize::try_from(self.number()?).ok()?;
        let (text, rest) = self.bytes.split_at_checked(length)?;
        self.bytes = rest;
        std::str::from_utf8(text).ok()
    }

    fn name<T: FromStr>(&mut self) -> Option<T> {
        self.text()?.parse().ok()
    }

    #[expect(clippy::option_option, reason = "the outer one says whether it could be read")]
    fn option<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<Option<T>> {
        match self.byte()? {
            0 => Some(None),
            _ => read(self).map(Some),
        }
    }

    fn terms(&mut self) -> Option<Terms> {
        Some(Terms {
            tenant: self.name()?,
            client: self.name()?,
            credential: Credential {
                kind: *CredentialType::ALL.get(usize::from(self.byte()?))?,
                id: self.name()?,
            },
            auth_time: self.at()?,
            scope: self.option(|from| from.text().map(Scope::of_record))?,
            claims: self.option(|from| from.text().map(HostClaims::of_record))?,
        })
    }

    fn minted(&mut self, seal: &Seal) -> Option<Minted> {
        Some(Minted {
            attempt: Attempt::from_bytes(self.array()?),
            at: self.at()?,
            purpose: match self.byte()? {
                0 => Purpose::Login,
                _ => Purpose::Access {
                    identity: self.identity()?,
                    login: self.option(|from| from.array().map(GrantId::from_bytes))?,
                },
            },
            strength: self.strength()?,
            expires_at: self.at()?,
            scope: self.option(|from| from.text().map(Scope::of_record))?,
            key: seal.key,
            issuer: seal.issuer.clone(),
            audience: seal.audience.clone(),
        })
    }

    fn identity(&mut self) -> Option<Identity> {
        let kind = *IdentityType::ALL.get(usize::from(self.byte()?))?;
        Some(Identity { kind, id: self.name()? })
    }

    fn strength(&mut self) -> Option<Strength> {
        Some(match self.byte()? {
            0 => Strength::Standard,
            1 => Strength::SteppedUp { until: None },
            _ => Strength::SteppedUp { until: Some(self.at()?) },
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::keys::{Algorithm, KeyId};

    fn name<T: FromStr + std::fmt::Debug>(max: usize) -> impl Strategy<Value = T> {
        let name = prop::string::string_regex(&format!("[!#-\\[\\]-~]{{1,{max}}}")).unwrap();
        name.prop_filter_map("a name", |text| text.parse().ok())
    }

    fn at() -> impl Strategy<Value = Timestamp> {
        (0..=Timestamp::MAX.as_millis()).prop_map(Timestamp::from_millis)
    }

    fn identity() -> impl Strategy<Value = Identity> {
        let kind = prop::sample::select(IdentityType::ALL);
        (kind, name(64)).prop_map(|(kind, id)| Identity { kind, id })
    }

    fn scope() -> impl Strategy<Value = Option<Scope>> {
        prop::option::of(name::<Scope>(512))
    }

    fn strength() -> impl Strategy<Value = Strength> {
        prop_oneof![
            Just(Strength::Standard),
            prop::option::of(at()).prop_map(|until| Strength::SteppedUp { until }),
        ]
    }

    fn id() -> impl Strategy<Value = GrantId> {
        any::<[u8; GrantId::BYTES]>().prop_map(GrantId::from_bytes)
    }

    fn attempt() -> impl Strategy<Value = Attempt> {
        any::<[u8; Attempt::BYTES]>().prop_map(Attempt::from_bytes)
    }

    fn terms() -> impl Strategy<Value = Terms> {
        let kind = prop::sample::select(CredentialType::ALL);
        let claims = prop::option::of("[ -!#-\\[\\]-~]{0,400}").prop_map(|text| {
            text.map(|text| HostClaims::new(&format!("{{\"x\":\"{text}\"}}")).unwrap())
        });
        let parts = (name(64), name(64), kind, name(64), at(), scope(), claims);
        parts.prop_map(|(tenant, client, kind, id, auth_time, scope, claims)| Terms {
            tenant,
            client,
            credential: Credential { kind, id },
            auth_time,
            scope,
            claims,
        })
    }

    fn minted() -> impl Strategy<Value = Minted> {
        let purpose = prop_oneof![
            Just(Purpose::Login),
            (identity(), prop::option::of(id()))
                .prop_map(|(identity, login)| Purpose::Access { identity, login }),
        ];
        let key = any::<[u8; KeyId::BYTES]>().prop_map(KeyId::from_bytes);
        let times = (at(), at());
        let parts = (attempt(), times, purpose, strength(), scope(), key, name(255), name(255));
        parts.prop_map(
            |(attempt, (at, expires_at), purpose, strength, scope, kid, issuer, audience)| Minted {
                attempt,
                at,
                purpose,
                strength,
                expires_at,
                scope,
                key: KeyRef { kid, algorithm: Algorithm::Ed25519 },
                issuer,
                audience,
            },
        )
    }

    fn state() -> impl Strategy<Value = State> {
        let issued = (prop::option::of(identity()), strength(), at());
        let active = (minted(), strength(), at(), at());
        prop_oneof![
            issued.prop_map(|(identity, strength, expires_at)| {
                State::Issued(Issued { identity, strength, expires_at })
            }),
            active.prop_map(|(minted, strength, idle_until, seen_at)| {
                State::Active(Active { minted: Arc::new(minted), strength, idle_until, seen_at })
            }),
            (id(), attempt(), at()).prop_map(|(by, attempt, at)| State::Superseded(Superseded {
                by,
                attempt,
                at
            })),
            at().prop_map(|at| State::Revoked(Revoked { at })),
        ]
    }

    fn grant() -> impl Strategy<Value = Grant> {
        let secret = prop::option::of(any::<[u8; 32]>().prop_map(SecretDigest::from_bytes));
        let generation = any::<[u8; Generation::BYTES]>().prop_map(Generation::from_bytes);
        let times = (at(), at(), at());
        (id(), terms(), secret, generation, times, state()).prop_map(
            |(id, terms, secret, generation, (epoch, issued_at, keep_until), state)| Grant {
                id,
                terms: Arc::new(terms),
                secret,
                epoch: Epoch(epoch),
                generation,
                issued_at,
                keep_until,
                state,
            },
        )
    }

    proptest! {
        #[test]
        fn a_grant_comes_out_as_it_went_in(grant in grant()) {
            let mut seals = Seals::default();
            let packed = seals.pack(&grant);
            prop_assert_eq!(packed.id(), grant.id.as_bytes());
            prop_assert_eq!(packed.keep_until(), Some(grant.keep_until));
            prop_assert_eq!(packed.unpack(), Some(grant));
        }

        #[test]
        fn a_seal_is_kept_once_and_as_long_as_a_grant_has_it(grant in grant()) {
            let mut seals = Seals::default();
            let (first, second) = (seals.pack(&grant), seals.pack(&grant));
            let sealed = usize::from(matches!(grant.state, State::Active(_)));
            prop_assert_eq!(seals.0.len(), sealed);
            seals.release(first);
            prop_assert_eq!(seals.0.len(), sealed);
            seals.release(second);
            prop_assert_eq!(seals.0.len(), 0);
        }
    }
}
