//! The rows that are measured on, the same for the store and for the yardstick.
//!
//! A grant has a number, and so have the people that grants are issued to. Whatever identifies a
//! row is SHA-256 of its number, so rows come in no order, as real ones do. `sql/` says the same.

use mintage::{
    Credential, CredentialId, CredentialType, Epoch, GrantId, Lifetime, Locator, SecretDigest,
    Timestamp,
    grant::{Context, Issue, Redeem},
};

use crate::shared::{Failure, parties::Parties};

/// The instant at which everything happens.
const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

/// What every operation is judged by.
pub(crate) const CONTEXT: Context = Context {
    now: NOW,
    epoch: Epoch(NOW),
    max_skew: Lifetime::from_secs(5),
    retry_window: Lifetime::from_secs(30),
};

/// So many people, and those who issue grants to them.
#[derive(Debug, Clone)]
pub(crate) struct Field {
    people: u32,
    parties: Parties,
}

impl Field {
    /// Grants for so many people, each of whom has the same share of them.
    pub(crate) fn of(people: u32) -> Result<Self, Failure> {
        Ok(Self { people, parties: Parties::at(NOW, Lifetime::from_secs(60))? })
    }

    pub(crate) fn people(&self) -> u32 {
        self.people
    }

    /// The event that issues the grant of that number.
    pub(crate) fn issue(&self, number: u32) -> Result<Issue, Failure> {
        let id = CredentialId::new(&(number % self.people).to_string())?;
        let credential = Credential::new(CredentialType::Root, id);
        Ok(self.parties.issue(self.id(number), digest(number), credential))
    }

    /// The event that redeems it.
    pub(crate) fn redeem(&self, number: u32) -> Redeem {
        self.parties.redeem(self.id(number), digest(number))
    }

    fn id(&self, number: u32) -> GrantId {
        let (person, grant) = (digest(number % self.people), digest(number));
        let mut bytes = [0; GrantId::BYTES];
        let (locator, tail) = bytes.split_at_mut(Locator::BYTES);
        locator.copy_from_slice(&person.as_bytes()[..locator.len()]);
        tail.copy_from_slice(&grant.as_bytes()[..tail.len()]);
        GrantId::from_bytes(bytes)
    }
}

fn digest(number: u32) -> SecretDigest {
    SecretDigest::of(&i64::from(number).to_be_bytes())
}
