//! Who issues tokens to whom, and what for: the parts that all events share.

use std::sync::Arc;

use mintage::{
    Algorithm, Attempt, Audience, ClientId, Credential, Generation, GrantId, Identity, IdentityId,
    IdentityType, Issuer, KeyId, KeyRef, Lifetime, SecretDigest, Tenant, Timestamp,
    grant::{First, Issue, Mint, OnReplay, Redeem, Strength, Terms},
};

use super::Failure;

/// One tenant, client, identity and key, at one instant.
#[derive(Debug, Clone)]
pub(crate) struct Parties {
    pub(crate) tenant: Tenant,
    client: ClientId,
    identity: Identity,
    mint: Mint,
    now: Timestamp,
    /// How long a one-time token can be redeemed.
    lifetime: Lifetime,
}

impl Parties {
    pub(crate) fn at(now: Timestamp, lifetime: Lifetime) -> Result<Self, Failure> {
        Ok(Self {
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
            now,
            lifetime,
        })
    }

    /// The event that issues a one-time token.
    pub(crate) fn issue(&self, id: GrantId, secret: SecretDigest, credential: Credential) -> Issue {
        Issue {
            id,
            terms: Arc::new(Terms {
                tenant: self.tenant.clone(),
                client: self.client.clone(),
                credential,
                auth_time: self.now,
                scope: None,
                claims: None,
            }),
            generation: Generation::from_bytes([0; 16]),
            covers: Lifetime::from_hours(12),
            first: First::OneTime {
                secret,
                identity: Some(self.identity.clone()),
                strength: Strength::Standard,
                lifetime: self.lifetime,
            },
        }
    }

    /// The event that redeems it.
    pub(crate) fn redeem(&self, id: GrantId, secret: SecretDigest) -> Redeem {
        Redeem {
            id,
            secret,
            tenant: self.tenant.clone(),
            client: self.client.clone(),
            identity: self.identity.clone(),
            resolved: true,
            attempt: Attempt::from_bytes(*secret.as_bytes()),
            mint: self.mint.clone(),
            on_replay: OnReplay::Revoke,
        }
    }
}
