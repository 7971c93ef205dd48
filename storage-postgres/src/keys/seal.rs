//! Sealing: a key's seed leaves the process only under a key-encryption key.

use std::fmt;

use chacha20poly1305::{AeadInOut as _, KeyInit as _, Tag, XChaCha20Poly1305, XNonce};
use mintage::{Algorithm, RingKey, SigningKey};
use zeroize::Zeroizing;

use super::{
    rows::{Bound, Row, VERSION},
    trouble::Trouble,
};

/// A key-encryption key (KEK): what the rows of the shared key ring are sealed under, with
/// XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03).
///
/// The host keeps it outside the database, and gives the same to every node. Its `Debug` shows the
/// id alone; it is neither cloned nor compared, and its memory is wiped when it is dropped.
pub struct KeyEncryptionKey {
    id: String,
    cipher: XChaCha20Poly1305,
}

/// A text cannot be the id of a key-encryption key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidKekId;

impl fmt::Display for InvalidKekId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the id of a key-encryption key is 1 to 64 visible ASCII characters")
    }
}

impl std::error::Error for InvalidKekId {}

impl KeyEncryptionKey {
    /// The key of that id, 1 to 64 visible ASCII characters, which stands in every row that is
    /// sealed under it: never give the id to another key. The secret is 32 random bytes, of which
    /// this keeps a copy of its own: wipe yours.
    ///
    /// # Errors
    /// [`InvalidKekId`].
    pub fn new(id: impl Into<String>, secret: &[u8; 32]) -> Result<Self, InvalidKekId> {
        let id = id.into();
        if !(1..=64).contains(&id.len()) || !id.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(InvalidKekId);
        }
        Ok(Self { id, cipher: XChaCha20Poly1305::new(secret.into()) })
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }
}

impl fmt::Debug for KeyEncryptionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("KeyEncryptionKey").field(&self.id).finish()
    }
}

/// The key-encryption keys that a node has.
///
/// To change from one to the next, while nodes run: give the new one to every node among the
/// `others`; then make it the `current` one of every node, with the old one among the others; and
/// after the next [`rotate`](mintage::KeyProvider::rotate), forget the old one.
#[derive(Debug)]
pub struct KeyEncryptionKeys {
    /// What is written is sealed under this one.
    pub current: KeyEncryptionKey,
    /// What was written may be sealed under these, too.
    pub others: Vec<KeyEncryptionKey>,
}

impl KeyEncryptionKeys {
    /// An id that two of them have.
    pub(crate) fn ambiguous(&self) -> Option<&str> {
        let mut ids: Vec<&str> = self.iter().map(KeyEncryptionKey::id).collect();
        ids.sort_unstable();
        ids.windows(2).find_map(|pair| (pair[0] == pair[1]).then_some(pair[0]))
    }

    /// Seals a key for that revision of the ring, under the current key-encryption key.
    pub(crate) fn seal(&self, key: &RingKey, seed: &Seed, revision: i64) -> Result<Row, Trouble> {
        let bound = Bound {
            version: VERSION,
            kid: key.kid(),
            algorithm: key.key.key_ref().algorithm,
            signs_from: key.signs_from,
            signs_until: key.signs_until,
        };
        let KeyEncryptionKey { id, cipher } = &self.current;
        let nonce = random::<NONCE>()?;
        let mut text = seed.0.clone();
        let tag = cipher
            .encrypt_inout_detached(
                &XNonce::from(*nonce),
                &associated(&bound, id, revision),
                text.as_mut_slice().into(),
            )
            // It fails for a text of 256 GiB alone.
            .map_err(|_| Trouble::Unopened { kid: bound.kid, kek: id.clone() })?;
        let sealed = [nonce.as_slice(), text.as_slice(), tag.as_slice()].concat();
        Ok(Row { bound, kek: id.clone(), sealed })
    }

    /// Opens a row of that revision of the ring.
    pub(crate) fn open(&self, row: &Row, revision: i64) -> Result<(RingKey, Seed), Trouble> {
        let Row { bound, kek, sealed } = row;
        let Bound { kid, algorithm, signs_from, signs_until, .. } = *bound;
        let unopened = || Trouble::Unopened { kid, kek: kek.clone() };
        let known = self.iter().find(|known| known.id == *kek);
        let unknown = || Trouble::UnknownKek { kid, kek: kek.clone() };
        let cipher = &known.ok_or_else(unknown)?.cipher;
        let (nonce, rest) = sealed.split_first_chunk::<NONCE>().ok_or_else(unopened)?;
        let (text, rest) = rest.split_first_chunk::<SEED>().ok_or_else(unopened)?;
        let tag: [u8; 16] = rest.try_into().map_err(|_| unopened())?;
        let mut seed = Seed(Zeroizing::new(*text));
        cipher
            .decrypt_inout_detached(
                &XNonce::from(*nonce),
                &associated(bound, kek, revision),
                seed.0.as_mut_slice().into(),
                &Tag::from(tag),
            )
            .map_err(|_| unopened())?;
        let key = seed.key(algorithm);
        if key.key_ref().kid != kid {
            return Err(unopened());
        }
        Ok((RingKey { key, signs_from, signs_until }, seed))
    }

    /// Whether the row is sealed under another than the current one.
    pub(crate) fn outdates(&self, row: &Row) -> bool {
        row.kek != self.current.id
    }

    fn iter(&self) -> impl Iterator<Item = &KeyEncryptionKey> {
        std::iter::once(&self.current).chain(&self.others)
    }
}

const SEED: usize = 32;
const NONCE: usize = 24;

/// What a signing key grows from.
pub(crate) struct Seed(Zeroizing<[u8; SEED]>);

impl Seed {
    pub(crate) fn draw() -> Result<Self, Trouble> {
        random().map(Self)
    }

    pub(crate) fn key(&self, algorithm: Algorithm) -> SigningKey {
        SigningKey::from_seed(&self.0, algorithm)
    }
}

/// What is bound to the seed: every column of its row, and the ring's revision, so that a row cannot
/// be changed, nor put in the place of another, nor back when it is gone.
fn associated(bound: &Bound, kek: &str, revision: i64) -> Vec<u8> {
    let until = bound.signs_until.map_or(i64::MAX, mintage::Timestamp::as_millis);
    let algorithm = bound.algorithm.as_str();
    let mut bytes = b"mintage key row\0".to_vec();
    bytes.extend_from_slice(&bound.version.to_be_bytes());
    bytes.extend_from_slice(&revision.to_be_bytes());
    bytes.extend_from_slice(bound.kid.as_bytes());
    bytes.extend_from_slice(&bound.signs_from.as_millis().to_be_bytes());
    bytes.extend_from_slice(&until.to_be_bytes());
    // Neither text has a NUL.
    bytes.extend_from_slice(algorithm.as_bytes());
    bytes.push(0);
    bytes.extend_from_slice(kek.as_bytes());
    bytes
}

#[expect(clippy::disallowed_methods, reason = "this crate's one place that asks for them")]
fn random<const N: usize>() -> Result<Zeroizing<[u8; N]>, Trouble> {
    let mut bytes = Zeroizing::new([0; N]);
    getrandom::fill(bytes.as_mut_slice()).map_err(Trouble::NoRandomness)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use mintage::Timestamp;

    use super::*;

    fn keks() -> KeyEncryptionKeys {
        let current = KeyEncryptionKey::new("2027-01", &[9; 32]).unwrap();
        KeyEncryptionKeys { current, others: Vec::new() }
    }

    fn key() -> (RingKey, Seed) {
        let seed = Seed(Zeroizing::new([7; SEED]));
        let (signs_from, signs_until) = (Timestamp::from_millis(1_800_000_000_000), None);
        (RingKey { key: seed.key(Algorithm::EdDsa), signs_from, signs_until }, seed)
    }

    /// `key()` in revision 41 under `keks()`, as the first version sealed it; another implementation
    /// of `HChaCha20`, ChaCha20-Poly1305 and Ed25519 opens it, too.
    const SEALED: [u8; NONCE + SEED + 16] = [
        0x03, 0xCA, 0x2A, 0xE4, 0xA4, 0x62, 0x6D, 0xC3, 0xD1, 0x7E, 0x0B, 0x6F, 0x8C, 0xBC, 0xED,
        0xBF, 0xD0, 0x98, 0xC8, 0x28, 0xCC, 0x3B, 0x0D, 0x9C, 0x4F, 0x2E, 0xDD, 0x54, 0xC0, 0x8E,
        0x7E, 0x1E, 0x45, 0x7F, 0xA9, 0xF3, 0xB8, 0xB4, 0x5A, 0xB8, 0xF6, 0x9C, 0x7B, 0xEC, 0xF3,
        0xD9, 0x98, 0x73, 0xC0, 0xCB, 0x5B, 0x87, 0x3A, 0x3C, 0xB4, 0x9E, 0xA9, 0xF1, 0xA2, 0xE4,
        0xE7, 0x1C, 0x89, 0x65, 0xFE, 0x90, 0x0A, 0x84, 0x29, 0x69, 0x76, 0x4E,
    ];

    #[test]
    fn a_row_that_was_sealed_long_ago_still_opens() {
        let (key, seed) = key();
        let mut row = keks().seal(&key, &seed, 41).unwrap();
        row.sealed = SEALED.to_vec();
        let (opened, grown) = keks().open(&row, 41).unwrap();
        assert_eq!(*grown.0, *seed.0);
        assert_eq!(opened.kid(), key.kid());
        assert!(keks().open(&row, 42).is_err(), "in another revision");
    }

    #[test]
    fn no_two_rows_of_one_key_are_alike() {
        let (key, seed) = key();
        let [one, other] = [(); 2].map(|()| keks().seal(&key, &seed, 41).unwrap().sealed);
        assert_ne!(one[..NONCE], other[..NONCE]);
        assert_ne!(one[NONCE..][..SEED], other[NONCE..][..SEED]);
        assert!(!one.windows(4).any(|four| four == [7; 4]));
    }

    #[test]
    fn a_text_that_cannot_stand_in_a_row_is_no_id() {
        for id in ["", "a b", "é", "\0", &"x".repeat(65)] {
            assert_eq!(KeyEncryptionKey::new(id, &[9; 32]).unwrap_err(), InvalidKekId, "{id}");
        }
        let shown = format!("{:?}", keks());
        assert!(shown.contains("2027-01") && !shown.contains("9, 9"), "{shown}");
    }
}
