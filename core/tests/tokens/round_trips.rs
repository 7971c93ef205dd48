//! What is written is read back.

use mintage::{AnyStatus, GrantId, KeyId, KeySet, Leeway, Verifier, VerifierParts};
use proptest::prelude::*;
use time::OffsetDateTime;

use crate::made::{any_claims, key, key_of, minted};

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
