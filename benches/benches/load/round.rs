//! Exchanges that were made, each of them looked at once the time is over.

use std::{thread, time::Duration};

use mintage::{OneTimeToken, Unavailable};
use mintage_benches::{Failure, figures::Run, world::World};

use super::{
    calls::Call,
    site::{Answer, Pace, Site},
};

/// What came of one run.
#[derive(Debug)]
pub(crate) struct Round {
    /// The exchanges that were made: how long each took from when it was due, and how many came in a
    /// second, up to the last answer.
    pub(crate) run: Run,
    /// How late the calls were sent.
    pub(crate) late: Run,
    /// How many the store refused because it could not keep up. They are not in the run.
    pub(crate) refused: u32,
}

impl Round {
    /// Issues so many tokens and exchanges them at that pace.
    ///
    /// # Errors
    /// Unless each was exchanged for a good token, or was refused for want of time or room.
    pub(crate) async fn of(site: &Site, count: u32, pace: Pace) -> Result<Self, Failure> {
        let tokens = site.issue(count).await?;
        let calls = site.exchange(tokens.clone(), pace).await?;
        Self::checked(&site.world, &tokens, &calls)
    }

    /// Makes sure that every answer is right: that its token passes and is the grant's whose one-time
    /// token was exchanged, and that none had been exchanged before.
    pub(crate) fn checked(
        world: &World,
        tokens: &[OneTimeToken],
        calls: &[Call<Answer>],
    ) -> Result<Self, Failure> {
        if calls.len() != tokens.len() {
            return Err(format!("{} tokens, and {} answers", tokens.len(), calls.len()).into());
        }
        // A verification takes as long as an exchange: by two threads it takes half of that.
        let half = calls.len().div_ceil(2).max(1);
        let check = |calls: &[Call<Answer>]| {
            calls.iter().try_fold(0, |refused, call| {
                Ok::<u32, Failure>(refused + u32::from(is_refused(world, tokens, call)?))
            })
        };
        let refused = thread::scope(|scope| {
            let halves: Vec<_> =
                calls.chunks(half).map(|half| scope.spawn(|| check(half))).collect();
            halves.into_iter().try_fold(0, |refused, half| {
                Ok::<_, Failure>(refused + half.join().map_err(|_| "a check panicked")??)
            })
        })?;
        let made = || calls.iter().filter(|call| call.answer.is_ok());
        let last = calls.iter().map(|call| call.answered).max().unwrap_or_default();
        let count = u32::try_from(made().count())?;
        let rate = f64::from(count) / last.as_secs_f64();
        let of =
            |time: fn(&Call<Answer>) -> Duration| Run::new(count, rate, made().map(time).collect());
        Ok(Self { run: of(|call| call.latency), late: of(|call| call.late), refused })
    }
}

/// Whether the store could not keep up.
///
/// # Errors
/// When the answer is wrong.
fn is_refused(
    world: &World,
    tokens: &[OneTimeToken],
    call: &Call<Answer>,
) -> Result<bool, Failure> {
    match &call.answer {
        Ok(exchanged) if exchanged.retried => Err("it was exchanged before".into()),
        Ok(exchanged) => {
            let token = tokens.get(call.nth).ok_or("an answer to nothing")?;
            world.check(exchanged.token.expose(), token.id())?;
            Ok(false)
        }
        Err(failure) => match failure.downcast_ref() {
            Some(mintage::Error::Unavailable(Unavailable::Store(_))) => Ok(true),
            _ => Err(failure.to_string().into()),
        },
    }
}
