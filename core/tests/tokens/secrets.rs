//! No secret is shown.

use std::fmt::Debug;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use mintage::{
    Algorithm, AnyStatus, AssertionKey, Audience, CredentialId, GrantId, HostClaims,
    IdempotencyRef, KeyId, KeySet, Lifetime, OneTimeToken, Scope, SigningKey, TokenType,
    UnverifiedAssertion, sign_assertion, test_util::mint,
};

use crate::made::{
    HEADER, NOW, claims, key_of, minted, ready, signed, verifier, verify, verify_with,
};

#[test]
fn no_secret_is_shown() {
    let canary = "q6urq6urq6ur";
    let seed = URL_SAFE_NO_PAD.encode([0xAB; 32]);
    assert!(seed.contains(canary));
    let key = key_of(&[0xAB; 32]);
    let x = URL_SAFE_NO_PAD.encode(key.verifying_key().as_bytes());
    let jwk = format!(r#"{{"kty":"OKP","crv":"Ed25519","d":"{seed}","x":"{x}"}}"#);
    let token = minted(&claims());
    let signature = token.rsplit('.').next().unwrap();
    let issuer = CredentialId::new("9001").unwrap();
    let audience = Audience::new("https://login.example").unwrap();
    let assertion = ready(sign_assertion(&key, &issuer, &audience, canary, NOW, NOW)).unwrap();
    let end = NOW.after(Lifetime::from_mins(1));
    let good = ready(sign_assertion(&key, &issuer, &audience, canary, NOW, end)).unwrap();

    let shown = [
        show(&key),
        show(&SigningKey::from_jwk(&jwk)),
        show(&SigningKey::from_jwk(&jwk.replace("Ed25519", canary))),
        show(&SigningKey::from_jwk(&jwk.replace("\"x\":\"", "\"x\":\"A"))),
        show(&KeySet::from_jwks(&format!("{{\"keys\":[{jwk}]}}"))),
        show(&AssertionKey::from_jwk(&jwk)),
        show(&SigningKey::from_pkcs8_pem(&seed, Algorithm::EdDsa)),
        show(&ready(key.sign(b"message"))),
        show(&ready(mint(TokenType::Access, &claims(), &key))),
        show(&verifier()),
        show(&verifier().verify::<AnyStatus>(&token, NOW.into())),
        show(&UnverifiedAssertion::parse(assertion.expose())),
        show(&UnverifiedAssertion::parse(good.expose())),
        show(&good),
        show(&canary.parse::<OneTimeToken>()),
        show(&canary.parse::<GrantId>()),
        show(&canary.parse::<KeyId>()),
        show(&IdempotencyRef::new(canary)),
        show(&HostClaims::new(&format!("{{\"a\":\"{canary}\"}}"))),
        show(&HostClaims::new(canary)),
        show(&Scope::new(&format!("{canary} {canary}"))),
    ];
    let bytes = "171, 171, 171";
    for shown in shown {
        for secret in [canary, signature, bytes] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }
    for name in ["iss", "exp", "credentials", "acr", "cnf"] {
        let shown = show(&verify_with(name, &format!("\"{canary} {canary}\"")));
        assert!(!shown.contains(canary), "{shown}");
    }
    let shown = show(&verify(&signed(&HEADER.replace("EdDSA", canary), "{}")));
    assert!(!shown.contains(canary), "{shown}");
}

fn show(shown: &impl Debug) -> String {
    format!("{shown:?} {shown:#?}")
}
