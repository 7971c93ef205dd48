//! The rows that are measured on, the same for the store and for the yardstick.
//!
//! A grant has a number, and so have the people that grants are issued to. Whatever identifies a
//! row is SHA-256 of its number, so rows come in no order, as real ones do. `sql/` says the same.

use std::sync::Arc;

use mintage::{
    Algorithm, Attempt, Audience, ClientId, Credential, CredentialId, CredentialType, Epoch,
    Generation, GrantId, Identity, IdentityId, IdentityType, Issuer, KeyId, KeyRef, Lifetime,
    Locator, SecretDigest, Tenant, Timestamp,
    grant::{Context, First, Issue, Mint, OnReplay, Redeem, Strength, Terms},
};

use crate::Failure;

/// The instant at which everything happens.
const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

/// What every operation is judged by.
pub(crate) const CONTEXT: Context = Context {
    now: NOW,
    epoch: Epoch(NOW),
    max_skew: Lifetime::from_secs(5),
    retry_window: Lifetime::from_secs(30),
};

/// The parts that all events share.
#[derive(Debug, Clone)]
pub(crate) struct Field {
    people: u32,
    tenant: Tenant,
    client: ClientId,
    identity: Identity,
    mint: Mint,
}

impl Field {
    /// Grants for so many people, each of whom has the same share of them.
    pub(crate) fn of(people: u32) -> Result<Self, Failure> {
        Ok(Self {
            people,
            tenant: Tenant::new("acme")?,
            client: ClientId::new("web")?,
            identity: Identity::new(IdentityType::Corporate, IdentityId::new("5001")?),
            mint: Mint {
                idle: Lifetime::from_mins(5),
                absolute: Lifetime::from_mins(60),
                key: KeyRef {
                    kid: KeyId::from_bytes(*SecretDigest::of(b"key").as_bytes()),
                    algorithm: Algorithm::EdDsa,
                },
                issuer: Issuer::new("https://issuer.example")?,
                audience: Audience::new("https://api.example")?,
                scope: None,
            },
        })
    }

    pub(crate) fn people(&self) -> u32 {
        self.people
    }

    /// The event that issues the grant of that number.
    pub(crate) fn issue(&self, number: u32) -> Result<Issue, Failure> {
        let id = CredentialId::new(&(number % self.people).to_string())?;
        Ok(Issue {
            id: self.id(number),
            terms: Arc::new(Terms {
                tenant: self.tenant.clone(),
                client: self.client.clone(),
                credential: Credential::new(CredentialType::Root, id),
                auth_time: NOW,
                scope: None,
                claims: None,
            }),
            generation: Generation::from_bytes([0; 16]),
            covers: Lifetime::from_hours(12),
            first: First::OneTime {
                secret: digest(number),
                identity: Some(self.identity.clone()),
                strength: Strength::Standard,
                lifetime: Lifetime::from_secs(60),
            },
        })
    }

    /// The event that redeems it.
    pub(crate) fn redeem(&self, number: u32) -> Redeem {
        Redeem {
            id: self.id(number),
            secret: digest(number),
            tenant: self.tenant.clone(),
            client: self.client.clone(),
            identity: self.identity.clone(),
            resolved: true,
            attempt: Attempt::from_bytes(*digest(number).as_bytes()),
            mint: self.mint.clone(),
            on_replay: OnReplay::Revoke,
        }
    }

    fn id(&self, number: u32) -> GrantId {
        let (person, grant) = (digest(number % self.people), digest(number));
        let mut bytes = [0; GrantId::BYTES];
        let (locator, tail) = bytes.split_at_mut(Locator::BYTES);
        locator.copy_from_slice(&person.as_bytes()[..locator.len()]);
        tail.copy_from_slice(&grant.as_bytes()[..tail.len()]);
        GrantId::from_bytes(bytes)
    }
}

fn digest(number: u32) -> SecretDigest {
    SecretDigest::of(&i64::from(number).to_be_bytes())
}
