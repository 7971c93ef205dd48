//! An access token, minted and verified, beside one bare Ed25519 signature over the same bytes.
//!
//! What lies between the two is JSON, base64 and judging the claims: a few hundredths of the whole.

use std::{
    error::Error,
    hint::black_box,
    pin::pin,
    task::{Context, Poll, Waker},
};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ed25519_dalek::{Signer as _, pkcs8::EncodePrivateKey as _};
use mintage::{
    Algorithm, AnyStatus, Audience, Claims, ClientId, Credential, CredentialId, CredentialType,
    GrantId, Identity, IdentityId, IdentityType, Issuer, KeySet, Leeway, Lifetime, SecretText,
    SigningKey, Status, Tenant, Timestamp, TokenType, Verifier, VerifierParts, test_util::mint,
};

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

criterion_group!(benches, sign);
criterion_main!(benches);

fn sign(criterion: &mut Criterion) {
    if let Err(error) = try_sign(criterion) {
        // Criterion has no other way to say that nothing could be measured.
        eprintln!("sign: {error}");
        std::process::exit(1);
    }
}

fn try_sign(criterion: &mut Criterion) -> Result<(), Box<dyn Error>> {
    let claims = claims()?;
    let raw = ed25519_dalek::SigningKey::from_bytes(&[7; 32]);
    let key = SigningKey::from_pkcs8_der(raw.to_pkcs8_der()?.as_bytes(), Algorithm::EdDsa)?;
    let token = minted(&claims, &key)?;
    let token = token.expose();
    let signed = token.rsplit_once('.').map_or(token, |(signed, _)| signed).as_bytes();

    let raw_public = raw.verifying_key();
    let raw_signature = raw.sign(signed);

    let verifier = Verifier::new(VerifierParts {
        tenant: None,
        keys: KeySet::new([key.verifying_key().clone()]),
        issuer: claims.issuer.clone(),
        audience: claims.audience.clone(),
        leeway: Leeway::default(),
    });
    let now = NOW.into();
    verifier.verify::<AnyStatus>(token, now)?;

    let mut group = criterion.benchmark_group("sign");
    group.throughput(Throughput::Elements(1));
    group.bench_function("raw signature", |bench| {
        bench.iter(|| raw.sign(black_box(signed)));
    });
    group.bench_function("mintage access token", |bench| {
        bench.iter(|| minted(black_box(&claims), &key));
    });
    group.finish();

    let mut group = criterion.benchmark_group("verify");
    group.throughput(Throughput::Elements(1));
    group.bench_function("raw signature", |bench| {
        bench.iter(|| raw_public.verify_strict(black_box(signed), &raw_signature));
    });
    group.bench_function("mintage access token", |bench| {
        bench.iter(|| verifier.verify::<AnyStatus>(black_box(token), now));
    });
    group.finish();
    Ok(())
}

/// A key in memory signs at once, so the future is done when it is first asked.
fn minted(claims: &Claims, key: &SigningKey) -> Result<SecretText, Box<dyn Error>> {
    match pin!(mint(TokenType::Access, claims, key)).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(token) => Ok(token?),
        Poll::Pending => Err("a key in memory never waits".into()),
    }
}

fn claims() -> Result<Claims, Box<dyn Error>> {
    Ok(Claims {
        issuer: Issuer::new("https://login.acme.example")?,
        audience: Audience::new("https://api.acme.example")?,
        client: ClientId::new("acme-web")?,
        tenant: Tenant::new("acme")?,
        id: GrantId::from_bytes([7; GrantId::BYTES]),
        login: Some(GrantId::from_bytes([8; GrantId::BYTES])),
        credential: Credential::new(CredentialType::Root, CredentialId::new("1001")?),
        identity: Some(Identity::new(IdentityType::Corporate, IdentityId::new("5001")?)),
        issued_at: NOW,
        expires_at: NOW.after(Lifetime::from_mins(60)),
        auth_time: NOW,
        status: Status::SteppedUp,
        stepped_up_until: Some(NOW.after(Lifetime::from_mins(5))),
        scope: None,
        host: None,
    })
}
