//! Nothing makes a parser panic.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use mintage::{
    Algorithm, AnyStatus, AssertionAlgorithm, AssertionKey, Audience, CredentialId, GrantId,
    HostClaims, IdempotencyRef, KeyId, KeySet, Lifetime, OneTimeToken, Scope, SigningKey, Tenant,
    UnverifiedAssertion, sign_assertion,
};
use proptest::prelude::*;

use crate::made::{HEADER, NOW, claims, key, minted, ready, signed, verifier, verify};

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
