//! One-time codes "sent" by SMS: how this host finds out that somebody passed a step-up.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use mintage::GrantId;

/// The code that the sandbox always sends.
const CODE: &str = "123456";
/// A challenge is locked after so many wrong codes.
const WRONG_CODES: u32 = 5;

/// The open challenges, by the grant of the token that asked for one.
#[derive(Debug, Default)]
pub(crate) struct Challenges(Mutex<HashMap<GrantId, u32>>);

/// What became of a code.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum CodeCheck {
    Right,
    Wrong,
    Locked,
    NoChallenge,
}

impl Challenges {
    /// Sends a code. An earlier challenge of the same token is void.
    pub(crate) fn send(&self, grant: GrantId) {
        self.open().insert(grant, 0);
    }

    /// Checks a code: the right one is spent by it, a wrong one counts.
    pub(crate) fn verify(&self, grant: GrantId, code: &str) -> CodeCheck {
        let mut open = self.open();
        match open.get_mut(&grant) {
            None => CodeCheck::NoChallenge,
            Some(wrong) if *wrong >= WRONG_CODES => CodeCheck::Locked,
            Some(_) if code == CODE => {
                open.remove(&grant);
                CodeCheck::Right
            }
            Some(wrong) => {
                *wrong += 1;
                CodeCheck::Wrong
            }
        }
    }

    fn open(&self) -> MutexGuard<'_, HashMap<GrantId, u32>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
