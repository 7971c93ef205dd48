//! The tokens that are measured on, the same for the store and for the yardstick.
//!
//! A token has a number, and so have the people that tokens are issued to. The number is the token's
//! own part of its id, written in the twelve digits that redis-benchmark puts into a key. All tokens
//! have the same secret, which it cannot vary, so the grants of one person are the same bytes.

use mintage::{
    Credential, CredentialId, CredentialType, Epoch, GrantId, Lifetime, Locator, SecretDigest,
    Timestamp,
    grant::{Context, Issue, Redeem},
};

use crate::shared::{Failure, parties::Parties};

/// The instant at which everything happens. Neither it nor the deadlines that are reckoned from it
/// hold a zero byte: see [`Yard`](crate::yard::Yard).
const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_001);

/// What every operation is judged by.
pub(crate) const CONTEXT: Context = Context {
    now: NOW,
    epoch: Epoch(NOW),
    max_skew: Lifetime::from_secs(5),
    retry_window: Lifetime::from_secs(30),
};

/// How many digits a person's number has.
pub(crate) const PERSON: usize = 8;

/// So many grants for each person.
#[derive(Debug, Clone)]
pub(crate) struct Field {
    each: u32,
    parties: Parties,
}

impl Field {
    pub(crate) fn of(each: u32) -> Result<Self, Failure> {
        // No record is to be dropped while anything is measured.
        Ok(Self { each, parties: Parties::at(NOW, Lifetime::from_hours(1))? })
    }

    /// How many grants each person has.
    pub(crate) fn each(&self) -> u32 {
        self.each
    }

    /// The event that issues the token of that number.
    pub(crate) fn issue(&self, number: u32) -> Result<Issue, Failure> {
        let credential = credential(number / self.each)?;
        Ok(self.parties.issue(self.id(number)?, secret(), credential))
    }

    /// The event that redeems it.
    pub(crate) fn redeem(&self, number: u32) -> Result<Redeem, Failure> {
        Ok(self.parties.redeem(self.id(number)?, secret()))
    }

    /// Where that person's records are.
    pub(crate) fn locator(&self, person: u32) -> Result<Locator, Failure> {
        Ok(Locator::of(&self.parties.tenant, &credential(person)?))
    }

    fn id(&self, number: u32) -> Result<GrantId, Failure> {
        let mut bytes = [0; GrantId::BYTES];
        let (locator, tail) = bytes.split_at_mut(Locator::BYTES);
        locator.copy_from_slice(self.locator(number / self.each)?.as_bytes());
        tail.copy_from_slice(format!("{number:012}").as_bytes());
        Ok(GrantId::from_bytes(bytes))
    }
}

fn credential(person: u32) -> Result<Credential, Failure> {
    let id = CredentialId::new(&format!("{person:0PERSON$}"))?;
    Ok(Credential::new(CredentialType::Root, id))
}

fn secret() -> SecretDigest {
    SecretDigest::of(b"secret")
}
