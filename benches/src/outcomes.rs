//! Whether what was timed went well.

use crate::Failure;

/// How many operations were timed, and how many of them went wrong.
///
/// To note one takes less than a nanosecond, so it can be done while the time runs: an operation
/// that fails sooner than it succeeds would otherwise pass for a fast one.
#[derive(Debug, Default, Clone, Copy)]
pub struct Outcomes {
    made: u64,
    wrong: u64,
}

impl Outcomes {
    /// One more operation.
    pub fn note(&mut self, is_right: bool) {
        self.made += 1;
        self.wrong += u64::from(!is_right);
    }

    /// What these and those came to.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self { made: self.made + other.made, wrong: self.wrong + other.wrong }
    }

    /// Makes sure that something was done, and that nothing went wrong.
    ///
    /// # Errors
    /// When it is not so: then what was timed is something else.
    pub fn check(&self, what: &str) -> Result<(), Failure> {
        match self {
            Self { made: 0, .. } => Err(format!("{what}: nothing was done").into()),
            Self { wrong: 0, .. } => Ok(()),
            Self { made, wrong } => Err(format!("{what}: {wrong} of {made} went wrong").into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_failure_among_many_is_noticed() {
        let mut outcomes = Outcomes::default();
        outcomes.note(true);
        outcomes.check("it").unwrap();
        outcomes.note(false);
        let failure = outcomes.and(outcomes).check("it").unwrap_err().to_string();
        assert_eq!(failure, "it: 2 of 4 went wrong");
    }

    #[test]
    fn what_was_never_done_is_not_right() {
        Outcomes::default().check("it").unwrap_err();
    }
}
