//! What is promised of every token, key and assertion as text: what is written is read back, what
//! was changed is refused and for the right reason, nothing makes a parser panic, and no secret is
//! shown.

#![expect(clippy::panic, clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::{
    fmt::Debug,
    pin::pin,
    task::{Context, Poll, Waker},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use mintage::{
    Algorithm, AnyStatus, AssertionAlgorithm, AssertionKey, Audience, Claims, ClientId, Credential,
    CredentialId, CredentialType, GrantId, HostClaims, IdempotencyRef, Identity, IdentityId,
    IdentityType, Issuer, KeyId, KeySet, Leeway, Lifetime, MAX_TOKEN_BYTES, OneTimeToken, Scope,
    SigningKey, Status, SteppedUp, Tenant, Timestamp, TokenError, TokenType, UnverifiedAssertion,
    Verifier, VerifierParts, sign_assertion, test_util::mint,
};
use proptest::prelude::*;
use time::OffsetDateTime;

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
const HEADER: &str = r#"{"alg":"EdDSA","typ":"at+jwt","kid":"KID"}"#;

// ---- What is written is read back -------------------------------------------------------------

proptest! {
    #[test]
    fn claims_come_back_as_they_were_written(claims in any_claims()) {
        let token = minted(&claims);
        prop_assert_eq!(&token, &minted(&claims), "the same claims are the same bytes");
        let parts = VerifierParts {
 tenant: None,
            keys: KeySet::new([key().verifying_key().clone()]),
            issuer: claims.issuer.clone(),
            audience: claims.audience.clone(),
            leeway: Leeway::ZERO,
        };
        let at = OffsetDateTime::from(claims.issued_at);
        let verified = Verifier::new(parts).verify::<AnyStatus>(&token, at).unwrap();
        prop_assert_eq!(verified.claims(), &claims);
    }

    #[test]
    fn ids_come_back_as_they_were_written(grant: [u8; 24], kid: [u8; 32]) {
        let grant = GrantId::from_bytes(grant);
        prop_assert_eq!(grant.to_string().parse(), Ok(grant));
        let kid = KeyId::from_bytes(kid);
        prop_assert_eq!(kid.to_string().parse(), Ok(kid));
    }

    #[test]
    fn a_key_set_comes_back_as_it_was_published(seeds in prop::collection::vec(any::<[u8; 32]>(), 0..4)) {
        let keys = seeds.iter().map(|seed| key_of(seed).verifying_key().clone());
        let keys = KeySet::new(keys);
        prop_assert_eq!(KeySet::from_jwks(&keys.to_jwks()), Ok(keys));
    }
}

// ---- What was changed is refused --------------------------------------------------------------

#[test]
fn no_bit_of_a_token_can_be_flipped() {
    let token = minted(&claims());
    assert!(verify(&token).is_ok());
    for at in 0..token.len() {
        for bit in 0..7 {
            let mut bytes = token.clone().into_bytes();
            bytes[at] ^= 1 << bit;
            let changed = String::from_utf8(bytes).unwrap();
            assert!(verify(&changed).is_err(), "bit {bit} of byte {at}");
        }
    }
}

proptest! {
    #[test]
    fn no_character_of_any_token_can_be_changed_added_or_lost(
        claims in any_claims(),
        at: prop::sample::Index,
        character in "[A-Za-z0-9_.=+/ -]",
    ) {
        let token = minted(&claims);
        let parts = VerifierParts {
 tenant: None,
            keys: KeySet::new([key().verifying_key().clone()]),
            issuer: claims.issuer.clone(),
            audience: claims.audience.clone(),
            leeway: Leeway::ZERO,
        };
        let (verifier, now) = (Verifier::new(parts), claims.issued_at.into());
        prop_assert!(verifier.verify::<AnyStatus>(&token, now).is_ok());
        let at = at.index(token.len());
        let changed = [&token[..at], &character, &token[at + 1..]].concat();
        prop_assume!(changed != token);
        let added = [&token[..at], &character, &token[at..]].concat();
        let lost = [&token[..at], &token[at + 1..]].concat();
        for other in [&changed, &added, &lost, &token[..at]] {
            prop_assert!(verifier.verify::<AnyStatus>(other, now).is_err());
        }
    }
}

// ---- Each refusal has its reason --------------------------------------------------------------

#[test]
fn a_token_made_by_hand_is_accepted_when_nothing_is_wrong_with_it() {
    let token = signed(HEADER, &payload(&members()));
    assert_eq!(verify(&token), Ok(()));
    let any_order = r#"{"kid":"KID", "typ":"\u0061t+jwt", "alg":"EdDSA"}"#;
    assert_eq!(verify(&signed(any_order, &payload(&members()))), Ok(()));
}

#[test]
fn a_token_of_the_wrong_form_is_refused() {
    let good = signed(HEADER, &payload(&members()));
    let parts: Vec<&str> = good.split('.').collect();
    let [header, body, signature] = parts[..] else { panic!("three parts") };
    let token = |header: &str, body: &str, signature: &str| [header, body, signature].join(".");

    for other in ["", ".", "a", header, &format!("{header}.{body}"), &format!("{good}.{body}")] {
        assert_eq!(verify(other), Err(TokenError::NotAJws), "{other}");
    }
    assert_eq!(verify(&"x".repeat(MAX_TOKEN_BYTES + 1)), Err(TokenError::TooLong));
    assert_eq!(verify(&"x".repeat(MAX_TOKEN_BYTES)), Err(TokenError::NotAJws));

    assert_eq!(verify(&token(&format!("{header}="), body, signature)), Err(TokenError::Base64));
    assert_eq!(verify(&token(header, body, &signature.replace(['-', '_'], "+"))), {
        assert!(signature.contains(['-', '_']), "else this shows nothing");
        Err(TokenError::Base64)
    });
    // 64 bytes leave four bits of the last character unused: they must be zero.
    let stray = last_character_with_stray_bits(signature);
    assert_eq!(verify(&token(header, body, &stray)), Err(TokenError::Base64));
    assert_eq!(verify(&token(header, body, &signature[..84])), Err(TokenError::Signature));
    assert_eq!(verify(&token(header, body, &format!("{signature}AA"))), Err(TokenError::Signature));
    assert_eq!(verify(&token(header, body, "")), Err(TokenError::Signature));
    // Signed by the key itself, and still refused: a payload with stray bits, or with padding.
    let body = URL_SAFE_NO_PAD.encode("{}");
    for body in [last_character_with_stray_bits(&body), format!("{body}=")] {
        let token = with_signature(&format!("{header}.{body}"));
        assert_eq!(verify(&token), Err(TokenError::Base64), "{body}");
    }
}

#[test]
fn a_header_with_anything_else_in_it_is_refused() {
    let refused = |header: &str| verify(&signed(header, &payload(&members()))).unwrap_err();
    let with = |member: &str| refused(&HEADER.replace('}', &format!(",{member}}}")));

    assert_eq!(with(r#""crit":["exp"]"#), TokenError::Crit);
    assert_eq!(with(r#""cri\u0074":[]"#), TokenError::Crit);
    assert_eq!(with(r#""alg":"EdDSA""#), TokenError::DuplicateMember);
    assert_eq!(with(r#""\u0061lg":"EdDSA""#), TokenError::DuplicateMember);
    assert_eq!(with(r#""jwk":{}"#), TokenError::Header);
    assert_eq!(with(r#""cty":"JWT""#), TokenError::Header);
    for malformed in [
        "",
        "{}",
        "[]",
        "null",
        r#"["EdDSA","at+jwt","KID"]"#,
        r#"{"alg":"EdDSA","typ":"at+jwt"}"#,
        r#"{"alg":1,"typ":"at+jwt","kid":"KID"}"#,
        r#"{"alg":null,"typ":"at+jwt","kid":"KID"}"#,
        r#"{"alg":"EdDSA","typ":"at+jwt","kid":"KID"} "x""#,
        r#"{"alg":"EdDSA","typ":"at+jwt","kid":"KID""#,
    ] {
        assert_eq!(refused(malformed), TokenError::Header, "{malformed}");
    }
    for typ in ["JWT", "AT+JWT", "application/at+jwt", "at+jwt ", ""] {
        assert_eq!(refused(&HEADER.replace("at+jwt", typ)), TokenError::Typ, "{typ:?}");
    }
    for alg in ["none", "None", "", "Ed25519", "HS256", "ES256", "eddsa"] {
        assert_eq!(refused(&HEADER.replace("EdDSA", alg)), TokenError::Algorithm, "{alg:?}");
    }
    let another = key_of(&[2; 32]).key_ref().kid.to_string();
    for kid in ["", "x", &another, &format!("{another}=")] {
        assert_eq!(refused(&HEADER.replace("KID", kid)), TokenError::UnknownKey, "{kid:?}");
    }
    assert_eq!(refused(&format!("{HEADER}{}", " ".repeat(300))), TokenError::TooLong);
}

#[test]
fn an_unsigned_token_and_one_of_another_key_are_refused() {
    let body = URL_SAFE_NO_PAD.encode(payload(&members()));
    let unsigned = format!("{}.{body}.", URL_SAFE_NO_PAD.encode(header().replace("EdDSA", "none")));
    assert_eq!(verify(&unsigned), Err(TokenError::Algorithm));
    let input = format!("{}.{body}", URL_SAFE_NO_PAD.encode(header()));
    let signature = ready(key_of(&[2; 32]).sign(input.as_bytes())).unwrap();
    let forged = format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature.as_bytes()));
    assert_eq!(verify(&forged), Err(TokenError::Signature));
}

#[test]
fn a_payload_that_is_not_one_object_is_refused() {
    let body = payload(&members());
    let cut = &body[..body.len() - 1];
    let deep = format!("{cut},\"deep\":{}", "[".repeat(2000));
    for malformed in
        ["", "[]", "null", "1", "{", cut, &format!("{body}x"), &format!("{body}{{}}"), &deep]
    {
        assert_eq!(verify(&signed(HEADER, malformed)), Err(TokenError::Payload), "{malformed}");
    }
    let header = URL_SAFE_NO_PAD.encode(header());
    let not_utf8 = URL_SAFE_NO_PAD.encode([b"{\"a\":\"".as_slice(), &[0xFF], b"\"}"].concat());
    let token = with_signature(&format!("{header}.{not_utf8}"));
    assert_eq!(verify(&token), Err(TokenError::Payload));
}

#[test]
fn no_claim_stands_there_twice() {
    for (name, value) in members() {
        let twice = format!("{{\"{name}\":{value},{}", &payload(&members())[1..]);
        assert_eq!(verify(&signed(HEADER, &twice)), Err(TokenError::DuplicateMember), "{name}");
        let escaped = format!("\\u{:04x}{}", name.as_bytes()[0], &name[1..]);
        let twice = format!("{{\"{escaped}\":{value},{}", &payload(&members())[1..]);
        assert_eq!(verify(&signed(HEADER, &twice)), Err(TokenError::DuplicateMember), "{name}");
    }
    for host in [r#""own":1,"own":2"#, r#""own":{"a":1,"a":2}"#, r#""own":[{"a":1,"\u0061":2}]"#] {
        let body = format!("{{{host},{}", &payload(&members())[1..]);
        assert_eq!(verify(&signed(HEADER, &body)), Err(TokenError::DuplicateMember), "{host}");
    }
}

#[test]
fn every_claim_that_must_be_there_is_missed() {
    let optional = ["sid", "scope", "stepped_up_until"];
    for (name, _) in members() {
        let mut without = members();
        without.retain(|(other, _)| *other != name);
        let expected =
            if optional.contains(&name) { Ok(()) } else { Err(TokenError::MissingClaim(name)) };
        assert_eq!(verify(&signed(HEADER, &payload(&without))), expected, "{name}");
    }
}

#[test]
fn a_claim_of_the_wrong_type_or_out_of_its_bounds_is_refused() {
    for name in ["exp", "iat", "auth_time", "stepped_up_until"] {
        for bad in [
            "1800003600.0",
            "1.8e9",
            "\"1800003600\"",
            "-1",
            "-0",
            "null",
            "true",
            "[1]",
            "{}",
            "253402300800",
            "18446744073709551615",
            "18446744073709551616",
            "1e400",
        ] {
            assert_eq!(verify_with(name, bad), bad_claim(name, bad), "{name} {bad}");
        }
    }
    for name in ["iss", "aud", "tenant", "client_id", "sub", "acr", "jti", "sid", "scope"] {
        for bad in ["1", "null", "[\"https://api.example\"]", "{}", "\"\"", "\"a\\u0000\""] {
            assert_eq!(verify_with(name, bad), bad_claim(name, bad), "{name} {bad}");
        }
    }
    for name in ["credentials", "identity"] {
        for bad in [
            "1",
            "null",
            "{}",
            "[]",
            "[\"ROOT\",\"1001\"]",
            r#"{"type":"ROOT"}"#,
            r#"{"id":"1001"}"#,
            r#"{"type":"ROOT","id":"1001","x":1}"#,
            r#"{"type":"ROOT","id":"1001","id":"1001"}"#,
            r#"{"type":"root","id":"1001"}"#,
            r#"{"type":"ROOT","id":1001}"#,
        ] {
            assert_eq!(verify_with(name, bad), Err(TokenError::BadClaim(name)), "{name} {bad}");
        }
    }
    assert_eq!(verify_with("sub", "\"1002\""), Err(TokenError::BadClaim("sub")));
    assert_eq!(verify_with("acr", "\"stepped_up\""), Err(TokenError::BadClaim("acr")));
    let standard = verify_with("acr", "\"STANDARD\"");
    assert_eq!(standard, Err(TokenError::BadClaim("stepped_up_until")));
}

#[test]
fn a_condition_that_nobody_would_check_is_refused() {
    for name in ["nbf", "cnf", "act", "amr", "status"] {
        assert_eq!(verify_with(name, "1"), Err(TokenError::BadClaim(name)), "{name}");
    }
    let long = format!("\"{}\"", "x".repeat(HostClaims::MAX_BYTES));
    assert_eq!(verify_with("own", &long), Err(TokenError::TooLong));
    assert_eq!(verify_with("own", r#"{"a":[1.50,"é"]}"#), Ok(()));
}

#[test]
fn a_token_for_others_is_refused() {
    let other = verify_with("iss", "\"https://login.example/\"");
    assert_eq!(other, Err(TokenError::Issuer));
    let other = verify_with("aud", "\"https://API.example\"");
    assert_eq!(other, Err(TokenError::Audience));
    let token = signed(HEADER, &payload(&members()));
    let now = NOW.into();
    let acme = verifier_of(Some("acme"));
    assert!(acme.verify::<AnyStatus>(&token, now).is_ok());
    let other = verifier_of(Some("other"));
    assert_eq!(other.verify::<AnyStatus>(&token, now).unwrap_err(), TokenError::Tenant);
}

#[test]
fn a_token_outside_its_time_is_refused() {
    let token = minted(&claims());
    let at = |now: Timestamp| verifier().verify::<AnyStatus>(&token, now.into()).err();
    let (end, millisecond) = (claims().expires_at, Lifetime::from_millis(1));
    let leeway = Leeway::default().as_lifetime();
    assert_eq!(at(end.after(leeway).before(millisecond)), None);
    assert_eq!(at(end.after(leeway)), Some(TokenError::Expired));
    assert_eq!(at(NOW.before(leeway)), None);
    assert_eq!(at(NOW.before(leeway).before(millisecond)), Some(TokenError::NotYet));
}

#[test]
fn a_standard_token_never_passes_where_stepped_up_is_asked_for() {
    let until = NOW.after(Lifetime::from_mins(5));
    let stepped_up = |token: &str, now: Timestamp| {
        verifier().verify::<SteppedUp>(token, now.into()).map(|verified| {
            assert_eq!(verified.status(now.into()), Status::SteppedUp);
            assert_eq!(verified.status(until.into()), Status::Standard);
        })
    };
    let claims = Claims { stepped_up_until: Some(until), ..claims() };
    let token = minted(&claims);
    assert_eq!(stepped_up(&token, until.before(Lifetime::from_millis(1))), Ok(()));
    assert_eq!(stepped_up(&token, until), Err(TokenError::InsufficientStatus));
    assert!(verifier().verify::<AnyStatus>(&token, until.into()).is_ok());

    let claims = Claims { stepped_up_until: None, status: Status::Standard, ..claims };
    assert_eq!(stepped_up(&minted(&claims), NOW), Err(TokenError::InsufficientStatus));
}

#[test]
fn an_auth_token_opens_nothing_at_a_verifier() {
    let claims = Claims { identity: None, login: None, ..claims() };
    let token = ready(mint(TokenType::Auth, &claims, &key())).unwrap();
    assert_eq!(verify(token.expose()), Err(TokenError::Typ));
}

#[test]
fn a_new_key_set_replaces_the_old_one() {
    let (token, verifier) = (minted(&claims()), verifier());
    verifier.set_keys(KeySet::new([key_of(&[2; 32]).verifying_key().clone()]));
    let refused = verifier.verify::<AnyStatus>(&token, NOW.into()).unwrap_err();
    assert_eq!(refused, TokenError::UnknownKey);
    verifier.set_keys(KeySet::new([key().verifying_key().clone()]));
    assert!(verifier.verify::<AnyStatus>(&token, NOW.into()).is_ok());
}

// ---- Nothing makes a parser panic -------------------------------------------------------------

proptest! {
    #[test]
    fn no_text_makes_a_parser_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), text in ".{0,100}") {
        let lossy = String::from_utf8_lossy(&bytes);
        for text in [&lossy, text.as_str()] {
            parse_everywhere(text);
        }
        let _ = SigningKey::from_pkcs8_der(&bytes, Algorithm::EdDsa);
    }

    #[test]
    fn no_damage_to_a_good_text_makes_a_parser_panic(
        which: prop::sample::Index, at: prop::sample::Index, length in 0_usize..9, middle in "[ -~]{0,4}",
    ) {
        let texts = good_texts();
        let text = &texts[which.index(texts.len())];
        let at = at.index(text.len());
        let end = (at + length).min(text.len());
        prop_assume!(text.is_char_boundary(at) && text.is_char_boundary(end));
        parse_everywhere(&[&text[..at], &middle, &text[end..]].concat());
    }

    #[test]
    fn nothing_that_the_key_itself_signed_makes_a_reader_panic(
        header in json_like(), body in json_like(),
    ) {
        let _ = verify(&signed(&header, &body));
        let _ = verify(&signed(HEADER, &body));
    }
}

// ---- No secret is shown -----------------------------------------------------------------------

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

// ---- A verifier that remembers ----------------------------------------------------------------

#[cfg(feature = "cache")]
mod remembering {
    use std::num::NonZeroUsize;

    use mintage::{Epoch, VerifyingKey};

    use super::*;

    /// A verifier that remembers the token.
    fn poisoned_by(token: &str) -> Verifier {
        let verifier = verifier().remembering(NonZeroUsize::new(100).unwrap());
        for _ in 0..2 {
            assert_eq!(
                verifier.verify::<AnyStatus>(token, NOW.into()).unwrap().claims(),
                &claims()
            );
        }
        verifier
    }

    #[test]
    fn no_bit_of_a_remembered_token_can_be_flipped() {
        let token = minted(&claims());
        let verifier = poisoned_by(&token);
        for at in 0..token.len() {
            for bit in 0..7 {
                let mut bytes = token.clone().into_bytes();
                bytes[at] ^= 1 << bit;
                let changed = String::from_utf8(bytes).unwrap();
                let again = verifier.verify::<AnyStatus>(&changed, NOW.into());
                assert!(again.is_err(), "bit {bit} of byte {at}");
            }
        }
        assert!(verifier.verify::<AnyStatus>(&token, NOW.into()).is_ok());
    }

    #[test]
    fn the_claims_of_a_remembered_token_cannot_be_given_another_signature() {
        let token = minted(&claims());
        let verifier = poisoned_by(&token);
        let richer = minted(&Claims { issued_at: NOW.before(Lifetime::from_secs(1)), ..claims() });
        let signature = token.rsplit_once('.').unwrap().1;
        let forged = format!("{}.{signature}", richer.rsplit_once('.').unwrap().0);
        let refused = verifier.verify::<AnyStatus>(&forged, NOW.into()).unwrap_err();
        assert_eq!(refused, TokenError::Signature);
        // A refusal is not remembered either, and puts nothing in the way of the true one.
        assert!(verifier.verify::<AnyStatus>(&richer, NOW.into()).is_ok());
    }

    #[test]
    fn a_remembered_token_ends_when_its_time_comes() {
        let token = minted(&claims());
        let verifier = poisoned_by(&token);
        let at = |now: Timestamp| verifier.verify::<AnyStatus>(&token, now.into()).err();
        let (end, millisecond) = (claims().expires_at, Lifetime::from_millis(1));
        let leeway = Leeway::default().as_lifetime();
        assert_eq!(at(end.after(leeway).before(millisecond)), None);
        assert_eq!(at(end.after(leeway)), Some(TokenError::Expired));
        assert_eq!(at(NOW.before(leeway).before(millisecond)), Some(TokenError::NotYet));
    }

    #[test]
    fn a_remembered_token_ends_with_its_key() {
        let token = minted(&claims());
        let verifier = poisoned_by(&token);
        let other = key_of(&[2; 32]).verifying_key().clone();
        verifier.set_keys(KeySet::new([other.clone()]));
        let refused = verifier.verify::<AnyStatus>(&token, NOW.into()).unwrap_err();
        assert_eq!(refused, TokenError::UnknownKey);
        verifier.set_keys(KeySet::new([other, key().verifying_key().clone()]));
        assert!(verifier.verify::<AnyStatus>(&token, NOW.into()).is_ok());
    }

    #[test]
    fn a_remembered_token_ends_when_its_key_gets_another_algorithm_name() {
        let token = minted(&claims());
        let verifier = poisoned_by(&token);
        let bytes = key().verifying_key().as_bytes().to_owned();
        let renamed = VerifyingKey::from_bytes(&bytes, Algorithm::Ed25519).unwrap();
        verifier.set_keys(KeySet::new([renamed]));
        let refused = verifier.verify::<AnyStatus>(&token, NOW.into()).unwrap_err();
        assert_eq!(refused, TokenError::Algorithm);
    }

    #[test]
    fn a_remembered_token_ends_when_the_epoch_is_raised() {
        let token = minted(&claims());
        for verifier in [verifier(), poisoned_by(&token)] {
            verifier.raise_epoch(Epoch(NOW));
            assert!(verifier.verify::<AnyStatus>(&token, NOW.into()).is_ok());
            verifier.raise_epoch(Epoch(NOW.after(Lifetime::from_millis(1))));
            verifier.raise_epoch(Epoch(NOW));
            let refused = verifier.verify::<AnyStatus>(&token, NOW.into()).unwrap_err();
            assert_eq!(refused, TokenError::Epoch);
        }
    }

    #[test]
    fn a_remembered_step_up_ends_when_it_does() {
        let until = NOW.after(Lifetime::from_mins(5));
        let token = minted(&Claims { stepped_up_until: Some(until), ..claims() });
        let verifier = verifier().remembering(NonZeroUsize::MIN);
        assert!(verifier.verify::<SteppedUp>(&token, NOW.into()).is_ok());
        assert!(verifier.verify::<SteppedUp>(&token, NOW.into()).is_ok());
        let refused = verifier.verify::<SteppedUp>(&token, until.into()).unwrap_err();
        assert_eq!(refused, TokenError::InsufficientStatus);
        assert!(verifier.verify::<AnyStatus>(&token, until.into()).is_ok());
    }

    #[test]
    fn what_is_remembered_is_bounded_and_not_shown() {
        let verifier = verifier().remembering(NonZeroUsize::new(10).unwrap());
        for nth in 0..100 {
            let id = GrantId::from_bytes([nth; 24]);
            let token = minted(&Claims { id, ..claims() });
            assert!(verifier.verify::<AnyStatus>(&token, NOW.into()).is_ok());
        }
        let shown = format!("{verifier:?}");
        assert!(shown.contains("Passed(10 of 10)") && !shown.contains("1001"), "{shown}");
    }
}

// ---- Helpers ----------------------------------------------------------------------------------

/// A key in memory signs at once, so there is nothing to wait for.
fn ready<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("a key in memory never waits"),
    }
}

fn key_of(seed: &[u8; 32]) -> SigningKey {
    let mut der = vec![0x30, 0x2E, 2, 1, 0, 0x30, 5, 6, 3, 0x2B, 0x65, 0x70, 4, 0x22, 4, 0x20];
    der.extend(seed);
    SigningKey::from_pkcs8_der(&der, Algorithm::EdDsa).unwrap()
}

fn key() -> SigningKey {
    key_of(&[1; 32])
}

fn verifier() -> Verifier {
    verifier_of(None)
}

fn verifier_of(tenant: Option<&str>) -> Verifier {
    Verifier::new(VerifierParts {
        keys: KeySet::new([key().verifying_key().clone()]),
        issuer: Issuer::new("https://login.example").unwrap(),
        audience: Audience::new("https://api.example").unwrap(),
        leeway: Leeway::default(),
        tenant: tenant.map(|tenant| Tenant::new(tenant).unwrap()),
    })
}

fn verify(token: &str) -> Result<(), TokenError> {
    verifier().verify::<AnyStatus>(token, NOW.into()).map(|_| ())
}

fn minted(claims: &Claims) -> String {
    ready(mint(TokenType::Access, claims, &key())).unwrap().expose().to_owned()
}

fn claims() -> Claims {
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
fn members() -> Vec<(&'static str, String)> {
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

fn payload(members: &[(&str, String)]) -> String {
    let members: Vec<String> =
        members.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
    format!("{{{}}}", members.join(","))
}

/// A good payload in which this claim is that JSON.
fn verify_with(name: &'static str, value: &str) -> Result<(), TokenError> {
    let mut members = members();
    members.retain(|(other, _)| *other != name);
    members.push((name, value.to_owned()));
    verify(&signed(HEADER, &payload(&members)))
}

/// How a bad value of a claim is refused: as such, unless it is no JSON at all.
fn bad_claim(name: &'static str, value: &str) -> Result<(), TokenError> {
    match serde_json::from_str::<serde_json::Value>(value) {
        Ok(_) => Err(TokenError::BadClaim(name)),
        Err(_) => Err(TokenError::Payload),
    }
}

fn header() -> String {
    HEADER.replace("KID", &key().key_ref().kid.to_string())
}

/// Signs whatever it is given, as the key's owner; `KID` stands for the key's id.
fn signed(header: &str, payload: &str) -> String {
    let header = header.replace("KID", &key().key_ref().kid.to_string());
    let (header, payload) = (URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
    with_signature(&format!("{header}.{payload}"))
}

fn with_signature(input: &str) -> String {
    let signature = ready(key().sign(input.as_bytes())).unwrap();
    format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature.as_bytes()))
}

/// The next character of the alphabet in the last place: the same bytes to a lax decoder.
fn last_character_with_stray_bits(text: &str) -> String {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let last = text.bytes().next_back().unwrap();
    let at = alphabet.iter().position(|character| *character == last).unwrap();
    format!("{}{}", &text[..text.len() - 1], char::from(alphabet[at ^ 1]))
}

fn parse_everywhere(text: &str) {
    let _ = verifier().verify::<AnyStatus>(text, NOW.into());
    let _ = text.parse::<OneTimeToken>();
    let _ = text.parse::<GrantId>();
    let _ = text.parse::<KeyId>();
    let _ = KeySet::from_jwks(text);
    let _ = SigningKey::from_jwk(text);
    let _ = SigningKey::from_pkcs8_pem(text, Algorithm::EdDsa);
    let _ = AssertionKey::from_jwk(text);
    let _ = AssertionKey::from_spki_pem(text, AssertionAlgorithm::EdDsa);
    #[cfg(feature = "assertion-algorithms")]
    for algorithm in [AssertionAlgorithm::Es256, AssertionAlgorithm::Rs256] {
        let _ = AssertionKey::from_spki_pem(text, algorithm);
    }
    let _ = UnverifiedAssertion::parse(text);
    let _ = Scope::new(text);
    let _ = HostClaims::new(text);
    let _ = Tenant::new(text);
    let _ = IdempotencyRef::new(text);
}

/// One good text for every parser.
fn good_texts() -> Vec<String> {
    let issuer = CredentialId::new("9001").unwrap();
    let audience = Audience::new("https://login.example").unwrap();
    let end = NOW.after(Lifetime::from_mins(1));
    let assertion = ready(sign_assertion(&key(), &issuer, &audience, "1", NOW, end)).unwrap();
    let jwks = KeySet::new([key().verifying_key().clone()]).to_jwks();
    let jwk = jwks.trim_start_matches(r#"{"keys":["#).trim_end_matches("]}").to_owned();
    let seed = URL_SAFE_NO_PAD.encode([1; 32]);
    vec![
        minted(&claims()),
        assertion.expose().to_owned(),
        GrantId::from_bytes([7; 24]).to_string(),
        key().key_ref().kid.to_string(),
        jwk.replace("\"x\"", &format!("\"d\":\"{seed}\",\"x\"")),
        jwk,
        jwks,
        // RFC 8410 §10.1 and §10.3.
        "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n\
         -----END PUBLIC KEY-----\n"
            .into(),
        "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n\
         -----END PRIVATE KEY-----\n"
            .into(),
        "list read write".into(),
        r#"{"a":[1.5,{"b":"\u00e9"}],"c":null}"#.into(),
    ]
}

fn name(longest: usize) -> impl Strategy<Value = String> {
    prop::string::string_regex(&format!("[!#-\\[\\]-~]{{1,{longest}}}")).unwrap()
}

/// Whole seconds, as a token has them.
fn seconds() -> impl Strategy<Value = Timestamp> {
    (0..=Timestamp::MAX.as_secs()).prop_map(|secs| Timestamp::from_millis(secs * 1000))
}

fn any_host_claims() -> impl Strategy<Value = Option<HostClaims>> {
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
    fn any_claims()(
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

/// Pieces of JSON in any order.
fn json_like() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"",
        "\\",
        "\\u0061",
        "\\ud800",
        "null",
        "-0",
        "1e999",
        " ",
        "\"alg\":\"EdDSA\"",
        "\"typ\":\"at+jwt\"",
        "\"kid\":\"KID\"",
        "\"crit\":[]",
        "\"exp\":1",
        "\"iss\":\"x\"",
        "\"credentials\":{\"type\":\"ROOT\"",
        "\"id\":\"1\"",
        "\"own\":{\"a\":1}",
    ]);
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}
