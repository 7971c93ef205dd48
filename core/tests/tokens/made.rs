//! Keys, verifiers, tokens and texts that are made for a test.

use std::{
    pin::pin,
    task::{Context, Poll, Waker},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use mintage::{
    Algorithm, AnyStatus, Audience, Claims, ClientId, Credential, CredentialId, CredentialType,
    GrantId, HostClaims, Identity, IdentityId, IdentityType, Issuer, KeySet, Leeway, Lifetime,
    Scope, SigningKey, Status, Tenant, Timestamp, TokenError, TokenType, Verifier, VerifierParts,
    test_util::mint,
};
use proptest::prelude::*;

pub(crate) const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
pub(crate) const HEADER: &str = r#"{"alg":"EdDSA","typ":"at+jwt","kid":"KID"}"#;

/// A key in memory signs at once, so there is nothing to wait for.
pub(crate) fn ready<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("a key in memory never waits"),
    }
}

pub(crate) fn key_of(seed: &[u8; 32]) -> SigningKey {
    let mut der = vec![0x30, 0x2E, 2, 1, 0, 0x30, 5, 6, 3, 0x2B, 0x65, 0x70, 4, 0x22, 4, 0x20];
    der.extend(seed);
    SigningKey::from_pkcs8_der(&der, Algorithm::EdDsa).unwrap()
}

pub(crate) fn key() -> SigningKey {
    key_of(&[1; 32])
}

pub(crate) fn verifier() -> Verifier {
    verifier_of(None)
}

pub(crate) fn verifier_of(tenant: Option<&str>) -> Verifier {
    Verifier::new(VerifierParts {
        keys: KeySet::new([key().verifying_key().clone()]),
        issuer: Issuer::new("https://login.example").unwrap(),
        audience: Audience::new("https://api.example").unwrap(),
        leeway: Leeway::default(),
        tenant: tenant.map(|tenant| Tenant::new(tenant).unwrap()),
    })
}

pub(crate) fn verify(token: &str) -> Result<(), TokenError> {
    verifier().verify::<AnyStatus>(token, NOW.into()).map(|_| ())
}

pub(crate) fn minted(claims: &Claims) -> String {
    ready(mint(TokenType::Access, claims, &key())).unwrap().expose().to_owned()
}

pub(crate) fn claims() -> Claims {
    Claims {
        issuer: Issuer::new("https://login.example").unwrap(),
        audience: Audience::new("https://api.example").unwrap(),
        client: ClientId::new("acme-web").unwrap(),
        tenant: Tenant::new("acme").unwrap(),
        id: GrantId::from_bytes([7; 24]),
        login: Some(GrantId::from_bytes([8; 24])),
        credential: Credential::new(CredentialType::Root, CredentialId::new("1001").unwrap()),
        identity: Some(Identity::new(IdentityType::Corporate, IdentityId::new("5001").unwrap())),
        issued_at: NOW,
        expires_at: NOW.after(Lifetime::from_hours(1)),
        auth_time: NOW,
        status: Status::SteppedUp,
        stepped_up_until: None,
        scope: None,
        host: None,
    }
}

/// The members of a good payload, as JSON.
pub(crate) fn members() -> Vec<(&'static str, String)> {
    let id = GrantId::from_bytes([7; 24]);
    vec![
        ("iss", "\"https://login.example\"".into()),
        ("aud", "\"https://api.example\"".into()),
        ("tenant", "\"acme\"".into()),
        ("client_id", "\"acme-web\"".into()),
        ("sub", "\"1001\"".into()),
        ("credentials", r#"{"type":"ROOT","id":"1001"}"#.into()),
        ("identity", r#"{"type":"CORPORATE","id":"5001"}"#.into()),
        ("acr", "\"STEPPED_UP\"".into()),
        ("scope", "\"read\"".into()),
        ("sid", format!("\"{id}\"")),
        ("jti", format!("\"{id}\"")),
        ("auth_time", "1800000000".into()),
        ("iat", "1800000000".into()),
        ("exp", "1800003600".into()),
        ("stepped_up_until", "1800000300".into()),
    ]
}

pub(crate) fn payload(members: &[(&str, String)]) -> String {
    let members: Vec<String> =
        members.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
    format!("{{{}}}", members.join(","))
}

/// A good payload in which this claim is that JSON.
pub(crate) fn verify_with(name: &'static str, value: &str) -> Result<(), TokenError> {
    let mut members = members();
    members.retain(|(other, _)| *other != name);
    members.push((name, value.to_owned()));
    verify(&signed(HEADER, &payload(&members)))
}

/// How a bad value of a claim is refused: as such, unless it is no JSON at all.
pub(crate) fn bad_claim(name: &'static str, value: &str) -> Result<(), TokenError> {
    match serde_json::from_str::<serde_json::Value>(value) {
        Ok(_) => Err(TokenError::BadClaim(name)),
        Err(_) => Err(TokenError::Payload),
    }
}

pub(crate) fn header() -> String {
    HEADER.replace("KID", &key().key_ref().kid.to_string())
}

/// Signs whatever it is given, as the key's owner; `KID` stands for the key's id.
pub(crate) fn signed(header: &str, payload: &str) -> String {
    let header = header.replace("KID", &key().key_ref().kid.to_string());
    let (header, payload) = (URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
    with_signature(&format!("{header}.{payload}"))
}

pub(crate) fn with_signature(input: &str) -> String {
    let signature = ready(key().sign(input.as_bytes())).unwrap();
    format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature.as_bytes()))
}

pub(crate) fn name(longest: usize) -> impl Strategy<Value = String> {
    prop::string::string_regex(&format!("[!#-\\[\\]-~]{{1,{longest}}}")).unwrap()
}

/// Whole seconds, as a token has them.
pub(crate) fn seconds() -> impl Strategy<Value = Timestamp> {
    (0..=Timestamp::MAX.as_secs()).prop_map(|secs| Timestamp::from_millis(secs * 1000))
}

pub(crate) fn any_host_claims() -> impl Strategy<Value = Option<HostClaims>> {
    let value = prop_oneof![
        Just("null".to_owned()),
        any::<f64>()
            .prop_filter("JSON has no other", |number| number.is_finite())
            .prop_map(|number| format!("{number:e}")),
        any::<i128>().prop_map(|number| number.to_string()),
        ".{0,20}".prop_map(|text| serde_json::Value::from(text).to_string()),
        Just(r#"{ "a" : [ { } , " x " ] }"#.to_owned()),
    ];
    let members = prop::collection::btree_map(".{0,10}", value, 0..4);
    members.prop_map(|members| {
        let members: Vec<String> = members
            .iter()
            .map(|(name, value)| format!("{} : {value}", serde_json::Value::from(name.as_str())))
            .collect();
        HostClaims::new(&format!("{{{}}}", members.join(" , ")))
            .ok()
            .filter(|host| host.as_json() != "{}")
    })
}

prop_compose! {
    pub(crate) fn any_claims()(
        (issuer, audience) in (name(255), name(255)),
        (client, tenant, subject, identity) in (name(64), name(64), name(64), name(64)),
        (id, login) in (any::<[u8; 24]>(), any::<Option<[u8; 24]>>()),
        kind in prop::sample::select(CredentialType::ALL),
        identity_kind in prop::sample::select(IdentityType::ALL),
        (issued_at, auth_time, until) in (seconds(), seconds(), prop::option::of(seconds())),
        life in 1_u32..1_000_000,
        scope in prop::option::of(name(100)),
        host in any_host_claims(),
        stepped_up: bool,
    ) -> Claims {
        let issued_at = issued_at.before(Lifetime::MAX);
        Claims {
            issuer: Issuer::new(&issuer).unwrap(),
            audience: Audience::new(&audience).unwrap(),
            client: ClientId::new(&client).unwrap(),
            tenant: Tenant::new(&tenant).unwrap(),
            id: GrantId::from_bytes(id),
            login: login.map(GrantId::from_bytes),
            credential: Credential::new(kind, CredentialId::new(&subject).unwrap()),
            identity: Some(Identity::new(identity_kind, IdentityId::new(&identity).unwrap())),
            issued_at,
            expires_at: issued_at.after(Lifetime::from_secs(life)),
            auth_time,
            status: if stepped_up { Status::SteppedUp } else { Status::Standard },
            stepped_up_until: until.filter(|_| stepped_up),
            scope: scope.map(|scope| Scope::new(&scope).unwrap()),
            host,
        }
    }
}
