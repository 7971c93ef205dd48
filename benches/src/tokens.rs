//! The token that is measured, and what it is made of.

use std::{
    pin::pin,
    task::{Context, Poll, Waker},
};

use ed25519_dalek::pkcs8::EncodePrivateKey as _;
use mintage::{
    Algorithm, AnyStatus, Audience, Claims, ClientId, Credential, CredentialId, CredentialType,
    GrantId, Identity, IdentityId, IdentityType, Issuer, KeySet, Leeway, Lifetime, SecretText,
    SigningKey, Status, Tenant, Timestamp, TokenType, Verifier, VerifierParts, test_util,
};

use crate::Failure;

/// The instant at which everything happens, where it does not matter which.
pub const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

/// The seed of the key that signs.
pub const SEED: [u8; 32] = [7; 32];

/// A key, the same for the one who signs barely, and a token that it signed.
#[derive(Debug)]
pub struct Sample {
    /// What the token says.
    pub claims: Claims,
    /// The engine's key.
    pub key: SigningKey,
    /// The same key, bare.
    pub raw: ed25519_dalek::SigningKey,
    /// The token, which a [`verifier`](Self::verifier) accepts.
    pub token: SecretText,
}

impl Sample {
    /// A stepped-up access token under a login, with everything that the engine writes into one but
    /// scope and host claims.
    ///
    /// # Errors
    /// When it does not verify: then nothing that is measured with it counts.
    pub fn new() -> Result<Self, Failure> {
        let raw = ed25519_dalek::SigningKey::from_bytes(&SEED);
        let key = SigningKey::from_pkcs8_der(raw.to_pkcs8_der()?.as_bytes(), Algorithm::EdDsa)?;
        let claims = claims(NOW)?;
        let token = minted(&claims, &key)?;
        let sample = Self { claims, key, raw, token };
        let verified = sample.verifier().verify::<AnyStatus>(sample.token.expose(), NOW.into())?;
        if *verified.claims() == sample.claims {
            Ok(sample)
        } else {
            Err("the token says something else than its claims".into())
        }
    }

    /// What is signed of the token: all but its signature.
    #[must_use]
    pub fn signed(&self) -> &[u8] {
        let token = self.token.expose();
        token.rsplit_once('.').map_or(token, |(signed, _)| signed).as_bytes()
    }

    /// Who accepts the token.
    #[must_use]
    pub fn verifier(&self) -> Verifier {
        Verifier::new(VerifierParts {
            tenant: None,
            keys: KeySet::new([self.key.verifying_key().clone()]),
            issuer: self.claims.issuer.clone(),
            audience: self.claims.audience.clone(),
            leeway: Leeway::default(),
        })
    }
}

/// What the sample says.
///
/// # Errors
/// Never, unless the rules for names have changed.
pub fn claims(now: Timestamp) -> Result<Claims, Failure> {
    Ok(Claims {
        issuer: Issuer::new("https://login.acme.example")?,
        audience: Audience::new("https://api.acme.example")?,
        client: ClientId::new("acme-web")?,
        tenant: Tenant::new("acme")?,
        id: GrantId::from_bytes([7; GrantId::BYTES]),
        login: Some(GrantId::from_bytes([8; GrantId::BYTES])),
        credential: Credential::new(CredentialType::Root, CredentialId::new("1001")?),
        identity: Some(Identity::new(IdentityType::Corporate, IdentityId::new("5001")?)),
        issued_at: now,
        expires_at: now.after(Lifetime::from_mins(60)),
        auth_time: now,
        status: Status::SteppedUp,
        stepped_up_until: Some(now.after(Lifetime::from_mins(5))),
        scope: None,
        host: None,
    })
}

/// A key in memory signs at once, so the future is done when it is first asked.
///
/// # Errors
/// When it is not.
pub fn minted(claims: &Claims, key: &SigningKey) -> Result<SecretText, Failure> {
    Ok(at_once(test_util::mint(TokenType::Access, claims, key))??)
}

/// What a future gives that never waits.
///
/// # Errors
/// When it waits.
pub fn at_once<T>(work: impl Future<Output = T>) -> Result<T, Failure> {
    match pin!(work).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(done) => Ok(done),
        Poll::Pending => Err("it waits, and should not".into()),
    }
}
