//! How often the heap is asked: counted, so that what costs more is seen.

#![expect(clippy::panic, clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::{
    num::NonZeroUsize,
    pin::pin,
    task::{Context, Poll, Waker},
};

use allocation_counter::measure;
use mintage::{
    Algorithm, AnyStatus, Audience, Claims, ClientId, Credential, CredentialId, CredentialType,
    GrantId, Identity, IdentityId, IdentityType, Issuer, KeySet, Leeway, Lifetime, SecretText,
    SigningKey, Status, Tenant, Timestamp, TokenType, Verifier, VerifierParts, test_util::mint,
};

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

/// What is written into a token most often: everything but scope and host claims.
fn claims() -> Claims {
    Claims {
        issuer: Issuer::new("https://login.acme.example").unwrap(),
        audience: Audience::new("https://api.acme.example").unwrap(),
        client: ClientId::new("acme-web").unwrap(),
        tenant: Tenant::new("acme").unwrap(),
        id: GrantId::from_bytes([7; GrantId::BYTES]),
        login: Some(GrantId::from_bytes([8; GrantId::BYTES])),
        credential: Credential::new(CredentialType::Root, CredentialId::new("1001").unwrap()),
        identity: Some(Identity::new(IdentityType::Corporate, IdentityId::new("5001").unwrap())),
        issued_at: NOW,
        expires_at: NOW.after(Lifetime::from_mins(60)),
        auth_time: NOW,
        status: Status::SteppedUp,
        stepped_up_until: Some(NOW.after(Lifetime::from_mins(5))),
        scope: None,
        host: None,
    }
}

fn key() -> SigningKey {
    SigningKey::from_seed(&[7; 32], Algorithm::EdDsa)
}

fn verifier() -> Verifier {
    Verifier::new(VerifierParts {
        keys: KeySet::new([key().verifying_key().clone()]),
        issuer: claims().issuer,
        audience: claims().audience,
        leeway: Leeway::ZERO,
        tenant: None,
    })
}

/// A key in memory signs at once, so there is nothing to wait for.
fn minted(claims: &Claims, key: &SigningKey) -> SecretText {
    match pin!(mint(TokenType::Access, claims, key)).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(token) => token.unwrap(),
        Poll::Pending => panic!("a key in memory never waits"),
    }
}

/// How often the heap is asked while this goes on.
fn count<T>(work: impl FnOnce() -> T) -> u64 {
    let mut done = None;
    measure(|| done = Some(work())).count_total
}

#[test]
fn a_mint_asks_the_heap_at_most_six_times() {
    let (claims, key) = (claims(), key());
    let allocations = count(|| minted(&claims, &key));
    assert!((1..=6).contains(&allocations), "{allocations}");
}

#[test]
fn a_first_verify_asks_the_heap_at_most_six_times() {
    let token = minted(&claims(), &key());
    let remembering = verifier().remembering(NonZeroUsize::new(1000).unwrap());
    for verifier in [verifier(), remembering] {
        let verify = || verifier.verify::<AnyStatus>(token.expose(), NOW.into()).unwrap();
        let allocations = count(verify);
        assert!((1..=6).contains(&allocations), "{allocations}");
    }
}

#[test]
fn a_remembered_verify_never_asks_the_heap() {
    let token = minted(&claims(), &key());
    let verifier = verifier().remembering(NonZeroUsize::new(1000).unwrap());
    let verify = || verifier.verify::<AnyStatus>(token.expose(), NOW.into()).unwrap();
    assert!(count(verify) > 0, "the first time it does");
    assert_eq!(count(verify), 0);
}
