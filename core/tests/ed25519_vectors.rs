//! Ed25519 as RFC 8032 and RFC 8037 write it down and as the Wycheproof project attacks it, through
//! the types that this crate signs and verifies with.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::ops::{AddAssign, Sub};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ed25519_dalek::Verifier as _;
use mintage::{Algorithm, InvalidKey, KeySet, Signature, SigningKey, VerifyingKey};
use sha2::{Digest as _, Sha512};
use wycheproof::{TestResult, eddsa};

/// RFC 8032 §7.1: private key, public key, message, signature. TEST 1024 is in Wycheproof's set.
const RFC_8032: [[&str; 4]; 4] = [
    [
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155\
         5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ],
    [
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da\
         085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ],
    [
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac\
         18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ],
    [
        "833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
        "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
        "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a\
         2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
        "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b589\
         09351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704",
    ],
];

#[tokio::test]
async fn rfc_8032_signs_and_verifies() {
    for [private, public, message, signature] in RFC_8032 {
        let message = hex(message);
        let key = signing_key(&hex(private));
        assert_eq!(key.verifying_key().as_bytes().as_slice(), hex(public));
        let ours = key.sign(&message).await.unwrap();
        assert_eq!(ours.as_bytes().as_slice(), hex(signature));
        assert!(key.verifying_key().verify(&message, &ours));
        assert!(!key.verifying_key().verify(b"another", &ours));
    }
}

/// RFC 8037 appendices A.1 to A.4.
#[tokio::test]
async fn rfc_8037_signs_a_jws() {
    let private = r#"{"kty":"OKP","crv":"Ed25519",
        "d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
        "x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
    let key = SigningKey::from_jwk(private).unwrap();
    let thumbprint = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k";
    assert_eq!(key.key_ref().kid.to_string(), thumbprint);
    let signing_input = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
    let signature = "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvp\
                     Ar_MuM0KAg";
    let ours = key.sign(signing_input.as_bytes()).await.unwrap();
    assert_eq!(URL_SAFE_NO_PAD.encode(ours.as_bytes()), signature);

    let public = r#"{"keys":[{"kty":"OKP","crv":"Ed25519",
        "x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;
    let keys = KeySet::from_jwks(public).unwrap();
    let public = keys.get(&thumbprint.parse().unwrap()).unwrap();
    assert!(public.verify(signing_input.as_bytes(), &ours));
}

/// Every case of Wycheproof's Ed25519 set as it is documented, with no exception: none of its valid
/// signatures has an `R` or a key of small order, which is all that the strict check refuses beyond
/// RFC 8032 §5.1.7.
#[test]
fn every_wycheproof_case_is_as_documented() {
    let set = eddsa::TestSet::load(eddsa::TestName::Ed25519).unwrap();
    let (mut valid, mut invalid) = (0, 0);
    for group in &set.test_groups {
        let key = verifying_key(&group.key.pk).unwrap();
        for test in &group.tests {
            // A signature of another length never becomes a `Signature`.
            let accepted = <[u8; 64]>::try_from(test.sig.as_ref())
                .is_ok_and(|bytes| key.verify(&test.msg, &Signature::from_bytes(bytes)));
            let expected = match test.result {
                TestResult::Valid => true,
                TestResult::Invalid => false,
                TestResult::Acceptable => panic!("case {} leaves it open", test.tc_id),
            };
            assert_eq!(accepted, expected, "case {}: {}", test.tc_id, test.comment);
            *(if expected { &mut valid } else { &mut invalid }) += 1;
        }
    }
    assert_eq!((valid, invalid), (88, 63), "the set is the one that was looked at");
}

/// The one kind of signature that the strict check refuses and RFC 8032 §5.1.7 does not: `R` has a
/// small order. Only the key's owner can make it, so it is no forgery; but one kind is enough.
#[test]
fn a_signature_whose_r_has_a_small_order_is_refused() {
    let (seed, message) = ([7; 32], b"message");
    let private = ed25519_dalek::SigningKey::from_bytes(&seed);
    let public = private.verifying_key();
    // R is the neutral element, so S must be k·a, where k = SHA-512(R ‖ A ‖ M).
    let mut signature = [0; 64];
    signature[0] = 1;
    let s = times(private.to_scalar(), &[&signature[..32], public.as_bytes(), message]);
    signature[32..].copy_from_slice(s.as_bytes());

    let lax = public.verify(message, &ed25519_dalek::Signature::from_bytes(&signature));
    assert!(lax.is_ok(), "the equation holds");
    let key = signing_key(&seed).verifying_key().clone();
    assert!(!key.verify(message, &Signature::from_bytes(signature)));
}

/// The other seven need a key that has a part of small order itself, and so an owner who wants this.
/// For each of them, the library's strict check is the judge.
#[test]
fn a_signature_with_any_r_of_small_order_is_refused() {
    let private = ed25519_dalek::SigningKey::from_bytes(&[7; 32]);
    let point = |bytes: &[u8]| {
        let bytes = bytes.try_into().unwrap();
        ed25519_dalek::VerifyingKey::from_bytes(bytes).unwrap().to_edwards()
    };
    let eighth = point(&hex(SMALL_ORDER[4]));
    let mixed = (private.verifying_key().to_edwards() + eighth).compress().to_bytes();
    let lax = ed25519_dalek::VerifyingKey::from_bytes(&mixed).unwrap();
    let ours = verifying_key(&mixed).unwrap();
    for encoding in SMALL_ORDER {
        // Where S is k·a, the equation asks that R be -k times the key's part of small order, which
        // one message in eight fulfils.
        let fits = (0_u32..1000).map(u32::to_be_bytes).find_map(|message| {
            let mut signature = [0; 64];
            signature[..32].copy_from_slice(&hex(encoding));
            let s = times(private.to_scalar(), &[&signature[..32], &mixed, &message]);
            signature[32..].copy_from_slice(s.as_bytes());
            let fits = ed25519_dalek::Signature::from_bytes(&signature);
            lax.verify(&message, &fits).is_ok().then_some((message, fits))
        });
        let (message, fits) = fits.unwrap();
        assert!(lax.verify_strict(&message, &fits).is_err(), "{encoding}");
        assert!(!ours.verify(&message, &Signature::from_bytes(fits.to_bytes())), "{encoding}");
    }
}

/// The eight points of small order, each in its canonical encoding.
const SMALL_ORDER: [&str; 8] = [
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
];

#[test]
fn every_key_of_small_order_is_refused() {
    for encoding in SMALL_ORDER {
        assert_eq!(verifying_key(&hex(encoding)), Err(InvalidKey::SmallOrder), "{encoding}");
    }
}

/// SHA-512 of the parts, times `a`: by doubling and adding, from the highest bit down.
fn times<S: Copy + Sub<Output = S> + AddAssign>(a: S, parts: &[&[u8]]) -> S {
    let mut k = Sha512::new();
    for part in parts {
        k.update(part);
    }
    #[expect(clippy::eq_op, reason = "it is zero, which has no name here")]
    let mut s = a - a;
    for byte in k.finalize().into_iter().rev() {
        for bit in (0..8).rev() {
            s += s;
            if byte >> bit & 1 == 1 {
                s += a;
            }
        }
    }
    s
}

fn verifying_key(bytes: &[u8]) -> Result<VerifyingKey, InvalidKey> {
    VerifyingKey::from_bytes(bytes.try_into().unwrap(), Algorithm::EdDsa)
}

/// The key of this seed, in the PKCS#8 of RFC 8410 §7.
fn signing_key(seed: &[u8]) -> SigningKey {
    let der = [&hex("302e020100300506032b657004220420"), seed].concat();
    SigningKey::from_pkcs8_der(&der, Algorithm::EdDsa).unwrap()
}

fn hex(text: &str) -> Vec<u8> {
    let digits = text.as_bytes().chunks(2);
    digits.map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}
