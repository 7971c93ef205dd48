//! The names of the keys, and the slots that they are in.
//!
//! ```text
//! <prefix>{<locator>}          a head: the locator as 16 characters of base64url
//! <prefix>{<locator>}<tail>    a grant: its own 12 bytes as they are
//! <prefix>{epoch}              the epoch
//! ```

use mintage::{GrantId, Locator};

use crate::settings::Prefix;

/// How many slots a cluster has.
pub(crate) const SLOTS: usize = 16_384;

/// The names of a store's keys.
#[derive(Debug, Clone)]
pub(crate) struct Keys {
    prefix: Prefix,
}

/// The keys of one credential.
#[derive(Debug, Clone)]
pub(crate) struct Shard {
    /// The key of its head.
    head: Vec<u8>,
}

impl Keys {
    pub(crate) fn new(prefix: Prefix) -> Self {
        Self { prefix }
    }

    pub(crate) fn shard(&self, locator: Locator) -> Shard {
        Shard { head: self.tagged(&locator.to_string()) }
    }

    pub(crate) fn epoch(&self) -> Vec<u8> {
        self.tagged("epoch")
    }

    fn tagged(&self, tag: &str) -> Vec<u8> {
        format!("{}{{{tag}}}", self.prefix).into_bytes()
    }
}

impl Shard {
    pub(crate) fn head(&self) -> Vec<u8> {
        self.head.clone()
    }

    /// The key of the grant with that tail.
    pub(crate) fn grant(&self, tail: &[u8]) -> Vec<u8> {
        let mut key = Vec::with_capacity(self.head.len() + tail.len());
        key.extend_from_slice(&self.head);
        key.extend_from_slice(tail);
        key
    }
}

/// The part of an id that is its own, and not its credential's.
pub(crate) fn tail(id: &GrantId) -> &[u8] {
    &id.as_bytes()[Locator::BYTES..]
}

/// The slot of a key, which its hash tag decides: CRC-16 (XMODEM) of what is in braces.
pub(crate) fn slot(key: &[u8]) -> usize {
    let tagged = key.splitn(2, |byte| *byte == b'{').nth(1);
    let tag = tagged.and_then(|rest| rest.split(|byte| *byte == b'}').next());
    usize::from(crc16(tag.unwrap_or(key))) % SLOTS
}

fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc: u16, byte| {
        (0..8).fold(crc ^ u16::from(*byte) << 8, |crc, _| {
            if crc & 0x8000 == 0 { crc << 1 } else { crc << 1 ^ 0x1021 }
        })
    })
}

#[cfg(test)]
mod tests {
    use mintage::{Credential, CredentialType};

    use super::*;

    #[test]
    fn a_slot_is_that_of_the_hash_tag() {
        // The check value of CRC-16/XMODEM, and slots that `CLUSTER KEYSLOT` tells.
        assert_eq!(crc16(b"123456789"), 0x31C3);
        assert_eq!(slot(b"foo"), 12_182);
        assert_eq!(slot(b"mt:{foo}bar"), 12_182);
    }

    #[test]
    fn all_keys_of_a_credential_share_their_slot_and_are_short() {
        let credential = Credential::new(CredentialType::Root, "1001".parse().unwrap());
        let locator = Locator::of(&"acme".parse().unwrap(), &credential);
        let keys = Keys::new(Prefix::default());
        let (head, grant) =
            (keys.shard(locator).head(), keys.shard(locator).grant(b"}{twelve by}"));
        assert_eq!(slot(&head), slot(&grant));
        assert_eq!(slot(&head), slot(locator.to_string().as_bytes()));
        // With its header and its end, in 40 bytes.
        assert_eq!(grant.len(), 33);
    }
}
