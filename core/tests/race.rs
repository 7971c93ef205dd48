//! Real threads at one store: of all who redeem a one-time token, exactly one gets a grant.
//!
//! The conformance suite polls its futures on one task, which is no race for a store that never
//! awaits.

#![expect(clippy::panic, clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

#[expect(dead_code, reason = "one fault of many is raced here")]
mod broken;

use std::{
    num::NonZeroUsize,
    pin::pin,
    sync::{
        Arc, Barrier,
        atomic::{AtomicU32, Ordering},
    },
    task::{Context as Task, Poll, Waker},
    thread,
};

use mintage::{
    Algorithm, Attempt, Audience, ClientId, Credential, CredentialId, CredentialType, Epoch,
    Generation, GrantId, Identity, IdentityId, IdentityType, Issuer, KeyId, KeyRef, Lifetime,
    Locator, MemoryStore, SecretDigest, Tenant, Timestamp, TokenStore,
    grant::{
        Context, First, Issue, Mint, OnReplay, Redeem, Redemption, Refusal, Strength, Terms,
        Verdict,
    },
};
use time::OffsetDateTime;

use self::broken::{Fault, PlainStore};

const THREADS: usize = 16;
const TOKENS: usize = 20_000;
/// How many tokens are raced for before all wait for each other.
const LAP: usize = 100;

#[test]
fn of_sixteen_threads_exactly_one_redeems_each_token() {
    let store = MemoryStore::new(NonZeroUsize::MAX, OffsetDateTime::UNIX_EPOCH);
    assert_eq!(race(&store, TOKENS), Ok(()));
}

#[test]
fn a_store_that_first_reads_and_then_writes_loses_the_race() {
    let store = PlainStore::with(Fault::RedeemsInTwoSteps);
    let broken = race(&store, LAP).expect_err("a token was never redeemed twice");
    assert!(broken.won > 1, "{broken:?}");
}

/// A token that was not redeemed by exactly one.
#[derive(Debug, PartialEq, Eq)]
struct Broken {
    token: usize,
    won: u32,
    lost: u32,
}

/// Issues the tokens, has every thread redeem each of them in an attempt of its own, and counts.
fn race(store: &dyn TokenStore, tokens: usize) -> Result<(), Broken> {
    let field = Field::new();
    for token in 0..tokens {
        let issued = at_once(store.issue(&field.issue(token), &field.cx));
        assert!(matches!(issued, Ok(Verdict::Granted { retried: false, .. })), "{issued:?}");
    }
    let [won, lost] = [(); 2].map(|()| (0..tokens).map(|_| AtomicU32::new(0)).collect::<Vec<_>>());
    let lap = Barrier::new(THREADS);
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let (field, won, lost, lap) = (&field, &won, &lost, &lap);
            scope.spawn(move || {
                for token in 0..tokens {
                    if token.is_multiple_of(LAP) {
                        lap.wait();
                    }
                    let redeem = field.redeem(token, thread);
                    let count = match at_once(store.redeem(&redeem, &field.cx)) {
                        Ok(Redemption::Redeemed { retried: false, .. }) => &won[token],
                        Ok(Redemption::Replayed { .. } | Redemption::Refused(Refusal::Revoked)) => {
                            &lost[token]
                        }
                        other => panic!("no answer of a race: {other:?}"),
                    };
                    count.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    for (token, (won, lost)) in won.into_iter().zip(lost).enumerate() {
        let (won, lost) = (won.into_inner(), lost.into_inner());
        if (won, lost) != (1, 15) {
            return Err(Broken { token, won, lost });
        }
    }
    Ok(())
}

/// Runs a future on this thread. It waits for nobody here: at most it lets others go first.
fn at_once<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Task::from_waker(Waker::noop())) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::yield_now(),
        }
    }
}

/// Where the race is run: one person, one client, one instant.
struct Field {
    terms: Arc<Terms>,
    identity: Identity,
    mint: Mint,
    cx: Context,
}

impl Field {
    fn new() -> Self {
        let now = Timestamp::from_millis(4_102_444_800_000);
        Self {
            terms: Arc::new(Terms {
                tenant: Tenant::new("acme").unwrap(),
                client: ClientId::new("web").unwrap(),
                credential: Credential::new(
                    CredentialType::Root,
                    CredentialId::new("1001").unwrap(),
                ),
                auth_time: now,
                scope: None,
                claims: None,
            }),
            identity: Identity::new(IdentityType::Corporate, IdentityId::new("5001").unwrap()),
            mint: Mint {
                idle: Lifetime::from_mins(5),
                absolute: Lifetime::from_mins(60),
                key: KeyRef { kid: KeyId::from_bytes([1; 32]), algorithm: Algorithm::EdDsa },
                issuer: Issuer::new("https://issuer.example").unwrap(),
                audience: Audience::new("https://api.example").unwrap(),
                scope: None,
            },
            cx: Context {
                now,
                epoch: Epoch(now),
                max_skew: Lifetime::from_secs(5),
                retry_window: Lifetime::from_secs(30),
            },
        }
    }

    fn issue(&self, token: usize) -> Issue {
        Issue {
            id: self.id(token),
            terms: self.terms.clone(),
            generation: Generation::from_bytes([1; 16]),
            covers: Lifetime::from_hours(12),
            first: First::OneTime {
                secret: secret(token),
                identity: Some(self.identity.clone()),
                strength: Strength::Standard,
                lifetime: Lifetime::from_secs(60),
            },
        }
    }

    /// Of every other token replays are forgiven, so that all come to an unrevoked grant.
    fn redeem(&self, token: usize, thread: usize) -> Redeem {
        let mut attempt = [0; Attempt::BYTES];
        attempt[..8].copy_from_slice(&token.to_be_bytes());
        attempt[8..16].copy_from_slice(&thread.to_be_bytes());
        Redeem {
            id: self.id(token),
            secret: secret(token),
            tenant: self.terms.tenant.clone(),
            client: self.terms.client.clone(),
            identity: self.identity.clone(),
            resolved: true,
            attempt: Attempt::from_bytes(attempt),
            mint: self.mint.clone(),
            on_replay: if token.is_multiple_of(2) { OnReplay::Refuse } else { OnReplay::Revoke },
        }
    }

    fn id(&self, token: usize) -> GrantId {
        let mut bytes = [0; GrantId::BYTES];
        let locator = Locator::of(&self.terms.tenant, &self.terms.credential);
        bytes[..Locator::BYTES].copy_from_slice(locator.as_bytes());
        bytes[16..].copy_from_slice(&token.to_be_bytes());
        GrantId::from_bytes(bytes)
    }
}

fn secret(token: usize) -> SecretDigest {
    SecretDigest::of(&token.to_be_bytes())
}
