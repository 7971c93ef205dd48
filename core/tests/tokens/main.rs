//! What is promised of every token, key and assertion as text: what is written is read back, what
//! was changed is refused and for the right reason, nothing makes a parser panic, and no secret is
//! shown.

#![expect(clippy::panic, clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod bent;
mod made;
mod panics;
mod refusals;
#[cfg(feature = "cache")]
mod remembering;
mod round_trips;
mod secrets;
