//! What was changed is refused.

use mintage::{AnyStatus, KeySet, Leeway, Verifier, VerifierParts};
use proptest::prelude::*;

use crate::made::{any_claims, claims, key, minted, verify};

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
