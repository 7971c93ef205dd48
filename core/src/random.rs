//! Random bytes: the one place that asks for them.

/// The operating system gave no random bytes: nothing can be minted until it does.
#[derive(Debug)]
pub(crate) struct NoRandomness(pub(crate) getrandom::Error);

/// So many fresh random bytes from the operating system.
#[expect(clippy::disallowed_methods, reason = "this is the one place")]
pub(crate) fn bytes<const N: usize>() -> Result<[u8; N], NoRandomness> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(NoRandomness)?;
    Ok(bytes)
}
