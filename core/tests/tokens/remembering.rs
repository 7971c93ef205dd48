//! A verifier that remembers.

use std::num::NonZeroUsize;

use mintage::{
    Algorithm, AnyStatus, Claims, Epoch, GrantId, KeySet, Leeway, Lifetime, SteppedUp, Timestamp,
    TokenError, Verifier, VerifyingKey,
};

use crate::made::{NOW, claims, key, key_of, minted, verifier};

/// A verifier that remembers the token.
fn poisoned_by(token: &str) -> Verifier {
    let verifier = verifier().remembering(NonZeroUsize::new(100).unwrap());
    for _ in 0..2 {
        assert_eq!(verifier.verify::<AnyStatus>(token, NOW.into()).unwrap().claims(), &claims());
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
