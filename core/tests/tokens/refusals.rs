//! Each refusal has its reason.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use mintage::{
    AnyStatus, Claims, HostClaims, KeySet, Leeway, Lifetime, MAX_TOKEN_BYTES, Status, SteppedUp,
    Timestamp, TokenError, TokenType, test_util::mint,
};

use crate::made::{
    HEADER, NOW, bad_claim, claims, header, key, key_of, members, minted, payload, ready, signed,
    verifier, verifier_of, verify, verify_with, with_signature,
};

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

/// The next character of the alphabet in the last place: the same bytes to a lax decoder.
fn last_character_with_stray_bits(text: &str) -> String {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let last = text.bytes().next_back().unwrap();
    let at = alphabet.iter().position(|character| *character == last).unwrap();
    format!("{}{}", &text[..text.len() - 1], char::from(alphabet[at ^ 1]))
}
