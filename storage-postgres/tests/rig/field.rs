//! Tokens by number: how each is issued, and how its owner, or anybody, spends it.

#![allow(dead_code, reason = "each experiment uses a part of it")]
#![allow(clippy::unwrap_used, reason = "what fails here fails the experiment")]

use std::sync::Arc;

use mintage::{
    Algorithm, Attempt, Audience, Client, ClientId, Credential, CredentialId, CredentialType,
    Epoch, Generation, GrantId, Identity, IdentityId, IdentityType, Issuer, KeyId, KeyRef,
    Lifetime, Locator, SecretDigest, Tenant, Timestamp,
    grant::{
        Bearer, Context, First, Grant, Issue, Mint, OnReplay, Open, Purpose, Read, Redeem, Revoke,
        Slide, State, StepUp, Strength, Terms, Touch,
    },
};

/// One tenant and client, a credential for every few tokens, and one instant.
#[derive(Debug, Clone)]
pub(crate) struct Field {
    pub(crate) tenant: Tenant,
    pub(crate) client: ClientId,
    pub(crate) identity: Identity,
    pub(crate) mint: Mint,
    pub(crate) cx: Context,
}

impl Field {
    /// Names make fields independent of each other on one server.
    pub(crate) fn new(name: &str) -> Self {
        let now = Timestamp::from_millis(4_102_444_800_000);
        Self {
            tenant: Tenant::new(name).unwrap(),
            client: ClientId::new("web").unwrap(),
            identity: Identity::new(IdentityType::Corporate, IdentityId::new("5001").unwrap()),
            mint: Mint {
                idle: Lifetime::from_mins(5),
                absolute: Lifetime::from_mins(60),
                key: KeyRef { kid: KeyId::from_bytes([1; 32]), algorithm: Algorithm::EdDsa },
                issuer: Issuer::new("https://issuer.example").unwrap(),
                audience: Audience::new("https://api.example").unwrap(),
                scope: None,
            },
            cx: Context {
                now,
                epoch: Epoch(Timestamp::from_millis(1)),
                max_skew: Lifetime::from_secs(5),
                retry_window: Lifetime::from_secs(30),
            },
        }
    }

    pub(crate) fn client(&self) -> Client {
        Client { id: self.client.clone(), tenant: self.tenant.clone() }
    }

    /// Eight tokens have one credential.
    pub(crate) fn credential(token: u64) -> Credential {
        let id = CredentialId::new(&(token / 8).to_string()).unwrap();
        Credential::new(CredentialType::Root, id)
    }

    fn id(&self, kind: u8, token: u64) -> GrantId {
        let locator = Locator::of(&self.tenant, &Self::credential(token));
        let tail = SecretDigest::of(&[&[kind], &token.to_be_bytes()[..]].concat());
        let mut bytes = [0; GrantId::BYTES];
        bytes[..Locator::BYTES].copy_from_slice(locator.as_bytes());
        bytes[Locator::BYTES..].copy_from_slice(&tail.as_bytes()[..12]);
        GrantId::from_bytes(bytes)
    }

    fn secret(&self, token: u64) -> SecretDigest {
        SecretDigest::of(&[self.tenant.as_str().as_bytes(), &token.to_be_bytes()].concat())
    }

    /// An attempt by its number.
    pub(crate) fn attempt(attempt: u64) -> Attempt {
        Attempt::from_bytes(*SecretDigest::of(&attempt.to_be_bytes()).as_bytes())
    }

    fn issuing(&self, id: GrantId, token: u64, first: First) -> Issue {
        Issue {
            id,
            terms: Arc::new(Terms {
                tenant: self.tenant.clone(),
                client: self.client.clone(),
                credential: Self::credential(token),
                auth_time: self.cx.now,
                scope: None,
                claims: None,
            }),
            generation: Generation::from_bytes([7; 16]),
            covers: Lifetime::from_hours(13),
            first,
        }
    }

    /// A one-time token that lives for an hour.
    pub(crate) fn issue(&self, token: u64, strength: Strength) -> Issue {
        let first = First::OneTime {
            secret: self.secret(token),
            identity: Some(self.identity.clone()),
            strength,
            lifetime: Lifetime::from_hours(1),
        };
        self.issuing(self.id(0, token), token, first)
    }

    pub(crate) fn redeem(&self, token: u64, attempt: u64) -> Redeem {
        Redeem {
            id: self.id(0, token),
            secret: self.secret(token),
            tenant: self.tenant.clone(),
            client: self.client.clone(),
            identity: self.identity.clone(),
            resolved: true,
            attempt: Self::attempt(attempt),
            mint: self.mint.clone(),
            on_replay: OnReplay::Refuse,
        }
    }

    pub(crate) fn log_in(&self, token: u64) -> Issue {
        let first = First::Token {
            attempt: Self::attempt(token),
            purpose: Purpose::Login,
            strength: Strength::Standard,
            mint: Mint { absolute: Lifetime::from_hours(12), ..self.mint.clone() },
            not_after: Timestamp::MAX,
            keep_until: Timestamp::MIN,
        };
        self.issuing(self.id(1, token), token, first)
    }

    pub(crate) fn open(&self, login: &Grant, attempt: u64) -> Open {
        let attempt = Self::attempt(attempt);
        Open {
            login: bearer(login),
            id: GrantId::of_child(login.id, attempt),
            identity: self.identity.clone(),
            attempt,
            mint: self.mint.clone(),
            slide: self.slide(),
        }
    }

    /// The token as evidence for that grant.
    pub(crate) fn step_up(&self, grant: &Grant, token: u64, attempt: u64) -> StepUp {
        StepUp { bearer: bearer(grant), redeem: self.redeem(token, attempt) }
    }

    pub(crate) fn touch(&self, grant: &Grant) -> Touch {
        Touch { bearer: bearer(grant), slide: self.slide() }
    }

    pub(crate) fn read(&self, token: u64) -> Read {
        let Redeem { id, secret, tenant, client, .. } = self.redeem(token, 0);
        Read::OneTime { id, secret, tenant, client }
    }

    pub(crate) fn revoke(&self, token: u64) -> Revoke {
        Revoke { id: self.id(0, token), tenant: self.tenant.clone(), client: None, secret: None }
    }

    fn slide(&self) -> Slide {
        Slide { idle: self.mint.idle, granularity: Lifetime::from_secs(15) }
    }

    /// This field, so many seconds later.
    pub(crate) fn later(&self, secs: u32) -> Self {
        let now = self.cx.now.after(Lifetime::from_secs(secs));
        Self { cx: Context { now, ..self.cx }, ..self.clone() }
    }
}

/// What a token of this grant says.
pub(crate) fn bearer(grant: &Grant) -> Bearer {
    let login = match &grant.state {
        State::Active(active) => active.login(),
        _ => None,
    };
    let Terms { tenant, client, credential, .. } = (*grant.terms).clone();
    Bearer { id: grant.id, login, tenant, client, credential }
}
