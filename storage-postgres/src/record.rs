//! A grant as columns, and the words that stand in them.

use std::sync::Arc;

use mintage::{
    Algorithm, Attempt, Audience, ClientId, Credential, Epoch, Generation, GrantId, HostClaims,
    Identity, Issuer, KeyId, KeyRef, Locator, Scope, SecretDigest, Tenant, Timestamp,
    grant::{
        self, Active, Context, First, Grant, Head, Issue, Issued, Mint, Minted, Purpose, Redeem,
        Redemption, State, Strength, Terms, Verdict,
    },
};
use sqlx::{
    Row as _,
    postgres::{PgRow, Postgres},
};

/// The version of the records that this code writes, and the latest that it can read.
pub(crate) const VERSION: i16 = 1;

/// `stepped_up_until` of a grant that is `STEPPED_UP` for as long as it lives.
pub(crate) const ALWAYS: i64 = i64::MAX;

/// The part of an id that is its own, and not its credential's.
pub(crate) fn tail(id: &GrantId) -> &[u8] {
    &id.as_bytes()[Locator::BYTES..]
}

/// The part of an id that all of a credential's share.
pub(crate) fn locator(id: &GrantId) -> &[u8] {
    &id.as_bytes()[..Locator::BYTES]
}

pub(crate) fn credential(credential: &Credential) -> String {
    format!("{} {}", credential.kind, credential.id)
}

pub(crate) fn identity(identity: &Identity) -> String {
    format!("{} {}", identity.kind, identity.id)
}

pub(crate) fn stepped_up_until(strength: Strength) -> Option<i64> {
    match strength {
        Strength::Standard => None,
        Strength::SteppedUp { until: None } => Some(ALWAYS),
        Strength::SteppedUp { until: Some(until) } => Some(until.as_millis()),
    }
}

/// A record is not one that this code could have written: the name of its first such column.
#[derive(Debug)]
pub(crate) struct Unreadable(pub(crate) &'static str);

/// Reads the columns of `sql/parts/grant.sql`, from that one on.
pub(crate) fn grant(row: &PgRow, first: usize) -> Result<Grant, Unreadable> {
    let columns = &mut Columns { row, next: first };
    if columns.required::<i16>("version")? > VERSION {
        return Err(Unreadable("version"));
    }
    let locator = columns.fixed::<{ Locator::BYTES }>("locator")?;
    let id = id(&locator, &columns.fixed("tail")?);
    let terms = Arc::new(Terms {
        tenant: columns.named("tenant", Tenant::new)?,
        client: columns.named("client", ClientId::new)?,
        credential: columns.pair("credential", Credential::new)?,
        auth_time: columns.instant("auth_time")?,
        scope: columns.optional_name("scope", Scope::new)?,
        claims: columns.optional_name("claims", HostClaims::new)?,
    });
    let secret = columns.optional_bytes("secret")?.map(SecretDigest::from_bytes);
    let epoch = Epoch(columns.instant("epoch")?);
    let generation = Generation::from_bytes(columns.fixed("generation")?);
    let issued_at = columns.instant("issued_at")?;
    let keep_until = columns.instant("keep_until")?;
    let name = columns.required("state")?;
    let mut state = StateColumns { locator, columns };
    let state = match name {
        "issued" => state.issued().map(State::Issued),
        "active" => state.active().map(State::Active),
        // What is superseded or revoked is granted to nobody.
        _ => Err(Unreadable("state")),
    }?;
    Ok(Grant { id, terms, secret, epoch, generation, issued_at, keep_until, state })
}

/// The id of the grant whose columns begin there.
pub(crate) fn id_of(row: &PgRow, first: usize) -> Result<GrantId, Unreadable> {
    let columns = &mut Columns { row, next: first + 1 };
    Ok(id(&columns.fixed("locator")?, &columns.fixed("tail")?))
}

/// What has been issued. Its statement tells the head's generation and the limit, and the
/// specification makes the rest of those and the event, as the statement did.
pub(crate) fn issued(
    row: &PgRow,
    first: usize,
    event: &Issue,
    cx: &Context,
) -> Result<Verdict, Unreadable> {
    let generation = Columns { row, next: first + 11 }.fixed("generation")?;
    let expires_at = Columns { row, next: first + 18 }.instant("expires_at")?;
    let cut_by_head = match &event.first {
        First::OneTime { .. } => false,
        First::Token { mint, .. } => expires_at < cx.now.after(mint.absolute),
    };
    let head = Head {
        tenant: event.terms.tenant.clone(),
        credential: event.terms.credential.clone(),
        generation: Generation::from_bytes(generation),
        revoked_to: Timestamp::MIN,
        revoked_at: Timestamp::MIN,
        keep_until: if cut_by_head { expires_at } else { Timestamp::MAX },
    };
    match grant::issue(Some(&head), None, event, cx).answer {
        issued @ Verdict::Granted { .. } => Ok(issued),
        Verdict::Refused(_) => Err(Unreadable("verdict")),
    }
}

/// What a redemption has bought. Its statement tells of the record what the event does not, and the
/// specification makes the rest of that, as the statement did.
pub(crate) fn redeemed(
    row: &PgRow,
    first: usize,
    event: &Redeem,
    cx: &Context,
) -> Result<Redemption, Unreadable> {
    let (grant, expires_at) = redeemed_columns(&mut Columns { row, next: first }, event)?;
    let head = Head {
        tenant: grant.terms.tenant.clone(),
        credential: grant.terms.credential.clone(),
        generation: grant.generation,
        revoked_to: Timestamp::MIN,
        revoked_at: Timestamp::MIN,
        keep_until: expires_at,
    };
    match grant::redeem(Some(&head), Some(&grant), event, cx).answer {
        redeemed @ Redemption::Redeemed { .. } => Ok(redeemed),
        _ => Err(Unreadable("verdict")),
    }
}

/// What the same attempt bought before.
pub(crate) fn redeemed_before(
    row: &PgRow,
    first: usize,
    event: &Redeem,
) -> Result<Grant, Unreadable> {
    let columns = &mut Columns { row, next: first };
    let (grant, expires_at) = redeemed_columns(columns, event)?;
    let State::Issued(Issued { strength, .. }) = grant.state else {
        return Err(Unreadable("state"));
    };
    let seen_at = columns.instant("seen_at")?;
    let idle_until = columns.instant("idle_until")?;
    let purpose = Purpose::Access { identity: event.identity.clone(), login: None };
    let minted = Arc::new(columns.minted(event.attempt, purpose, expires_at)?);
    let state = State::Active(Active { minted, strength, idle_until, seen_at });
    Ok(Grant { state, ..grant })
}

/// The first columns of either: the record as if its token still waited to be spent, and the limit
/// of what it has bought.
fn redeemed_columns(
    columns: &mut Columns<'_>,
    event: &Redeem,
) -> Result<(Grant, Timestamp), Unreadable> {
    let terms = Arc::new(Terms {
        tenant: event.tenant.clone(),
        client: event.client.clone(),
        credential: columns.pair("credential", Credential::new)?,
        auth_time: columns.instant("auth_time")?,
        scope: columns.optional_name("scope", Scope::new)?,
        claims: columns.optional_name("claims", HostClaims::new)?,
    });
    let epoch = Epoch(columns.instant("epoch")?);
    let generation = Generation::from_bytes(columns.fixed("generation")?);
    let issued_at = columns.instant("issued_at")?;
    let keep_until = columns.instant("keep_until")?;
    let identity = Some(event.identity.clone());
    let strength = columns.strength("stepped_up_until")?;
    let expires_at = columns.instant("expires_at")?;
    let state = State::Issued(Issued { identity, strength, expires_at: Timestamp::MAX });
    let (id, secret) = (event.id, Some(event.secret));
    Ok((Grant { id, terms, secret, epoch, generation, issued_at, keep_until, state }, expires_at))
}

fn id(locator: &[u8; Locator::BYTES], tail: &[u8; 12]) -> GrantId {
    let mut bytes = [0; GrantId::BYTES];
    bytes[..Locator::BYTES].copy_from_slice(locator);
    bytes[Locator::BYTES..].copy_from_slice(tail);
    GrantId::from_bytes(bytes)
}

/// The columns that stand after `state`.
struct StateColumns<'a, 'r> {
    locator: [u8; Locator::BYTES],
    columns: &'a mut Columns<'r>,
}

impl StateColumns<'_, '_> {
    fn issued(&mut self) -> Result<Issued, Unreadable> {
        let identity = self.columns.optional_pair("identity", Identity::new)?;
        self.columns.skip(1);
        let strength = self.columns.strength("stepped_up_until")?;
        let expires_at = self.columns.instant("expires_at")?;
        Ok(Issued { identity, strength, expires_at })
    }

    fn active(&mut self) -> Result<Active, Unreadable> {
        let Self { locator, columns } = self;
        let identity = columns.optional_pair("identity", Identity::new)?;
        let login = columns.optional_bytes("login")?.map(|tail| id(locator, &tail));
        let purpose = match identity {
            Some(identity) => Purpose::Access { identity, login },
            None => Purpose::Login,
        };
        let strength = columns.strength("stepped_up_until")?;
        let expires_at = columns.instant("expires_at")?;
        let seen_at = columns.instant("seen_at")?;
        let idle_until = columns.instant("idle_until")?;
        let attempt = Attempt::from_bytes(columns.fixed("attempt")?);
        let minted = Arc::new(columns.minted(attempt, purpose, expires_at)?);
        Ok(Active { minted, strength, idle_until, seen_at })
    }
}

const ALGORITHMS: [Algorithm; 2] = [Algorithm::EdDsa, Algorithm::Ed25519];

/// What a token is made with, in one column: 32 bytes of `kid`, the number of the algorithm, the
/// length of the issuer, issuer, audience.
pub(crate) fn packed(mint: &Mint) -> Vec<u8> {
    let (issuer, audience) = (mint.issuer.as_str(), mint.audience.as_str());
    let algorithm = ALGORITHMS.iter().position(|known| *known == mint.key.algorithm);
    // Both fit: there are two algorithms, and an issuer has 255 bytes at most.
    let [algorithm, length] = [algorithm.unwrap_or(0), issuer.len()].map(|n| n.to_le_bytes()[0]);
    let mut bytes = Vec::with_capacity(KeyId::BYTES + 2 + issuer.len() + audience.len());
    bytes.extend_from_slice(mint.key.kid.as_bytes());
    bytes.extend_from_slice(&[algorithm, length]);
    bytes.extend_from_slice(issuer.as_bytes());
    bytes.extend_from_slice(audience.as_bytes());
    bytes
}

fn unpacked(bytes: &[u8]) -> Option<(KeyRef, Issuer, Audience)> {
    let (kid, rest) = bytes.split_first_chunk()?;
    let ([algorithm, length], rest) = rest.split_first_chunk()?;
    let (issuer, audience) = rest.split_at_checked(usize::from(*length))?;
    let algorithm = *ALGORITHMS.get(usize::from(*algorithm))?;
    let key = KeyRef { kid: KeyId::from_bytes(*kid), algorithm };
    let text = |bytes| std::str::from_utf8(bytes).ok();
    Some((key, Issuer::new(text(issuer)?).ok()?, Audience::new(text(audience)?).ok()?))
}

/// Reads one column after the other.
struct Columns<'r> {
    row: &'r PgRow,
    next: usize,
}

impl<'r> Columns<'r> {
    fn optional<T>(&mut self, name: &'static str) -> Result<Option<T>, Unreadable>
    where
        T: sqlx::Decode<'r, Postgres> + sqlx::Type<Postgres>,
    {
        let column = self.next;
        self.next += 1;
        self.row.try_get_unchecked(column).map_err(|_| Unreadable(name))
    }

    fn required<T>(&mut self, name: &'static str) -> Result<T, Unreadable>
    where
        T: sqlx::Decode<'r, Postgres> + sqlx::Type<Postgres>,
    {
        self.optional(name)?.ok_or(Unreadable(name))
    }

    fn skip(&mut self, columns: usize) {
        self.next += columns;
    }

    fn instant(&mut self, name: &'static str) -> Result<Timestamp, Unreadable> {
        self.required(name).map(Timestamp::from_millis)
    }

    fn strength(&mut self, name: &'static str) -> Result<Strength, Unreadable> {
        Ok(match self.optional(name)? {
            None => Strength::Standard,
            Some(ALWAYS) => Strength::SteppedUp { until: None },
            Some(until) => Strength::SteppedUp { until: Some(Timestamp::from_millis(until)) },
        })
    }

    /// The last columns.
    fn minted(
        &mut self,
        attempt: Attempt,
        purpose: Purpose,
        expires_at: Timestamp,
    ) -> Result<Minted, Unreadable> {
        let at = self.instant("minted_at")?;
        let strength = self.strength("minted_stepped_up_until")?;
        let scope = self.optional_name("minted_scope", Scope::new)?;
        let packed: &[u8] = self.required("minted")?;
        let (key, issuer, audience) = unpacked(packed).ok_or(Unreadable("minted"))?;
        Ok(Minted { attempt, at, purpose, strength, expires_at, scope, key, issuer, audience })
    }

    fn optional_bytes<const N: usize>(
        &mut self,
        name: &'static str,
    ) -> Result<Option<[u8; N]>, Unreadable> {
        let bytes: Option<&[u8]> = self.optional(name)?;
        bytes.map(|bytes| bytes.try_into().map_err(|_| Unreadable(name))).transpose()
    }

    fn fixed<const N: usize>(&mut self, name: &'static str) -> Result<[u8; N], Unreadable> {
        self.optional_bytes(name)?.ok_or(Unreadable(name))
    }

    fn optional_name<T, E>(
        &mut self,
        name: &'static str,
        read: impl Fn(&str) -> Result<T, E>,
    ) -> Result<Option<T>, Unreadable> {
        let text: Option<&str> = self.optional(name)?;
        text.map(|text| read(text).map_err(|_| Unreadable(name))).transpose()
    }

    fn named<T, E>(
        &mut self,
        name: &'static str,
        read: impl Fn(&str) -> Result<T, E>,
    ) -> Result<T, Unreadable> {
        self.optional_name(name, read)?.ok_or(Unreadable(name))
    }

    /// What is written as `TYPE id`.
    fn optional_pair<K, I, T>(
        &mut self,
        name: &'static str,
        make: impl Fn(K, I) -> T,
    ) -> Result<Option<T>, Unreadable>
    where
        K: std::str::FromStr,
        I: std::str::FromStr,
    {
        self.optional_name(name, |text| {
            let (kind, id) = text.split_once(' ').ok_or(())?;
            Ok::<_, ()>(make(kind.parse().map_err(|_| ())?, id.parse().map_err(|_| ())?))
        })
    }

    fn pair<K, I, T>(
        &mut self,
        name: &'static str,
        make: impl Fn(K, I) -> T,
    ) -> Result<T, Unreadable>
    where
        K: std::str::FromStr,
        I: std::str::FromStr,
    {
        self.optional_pair(name, make)?.ok_or(Unreadable(name))
    }
}
