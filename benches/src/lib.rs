//! Measurements of mintage: `cargo bench -p mintage-benches`.
//!
//! Each stands beside the raw limit of what it does, so that the difference is what mintage adds:
//!
//! - `sign`: an access token minted and verified, beside one Ed25519 signature and its check over
//!   the same bytes.
