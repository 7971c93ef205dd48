//! The operations on what a Bearer names.

use mintage::{
    GrantId, Locator,
    grant::{Bearer, Context, Elevate, Open, Redemption, Refusal, Touch, Verdict},
};
use sqlx::{Arguments as _, error::BoxDynError, postgres::PgArguments};

use super::{Batch, Operation, Outcome, Row, Way, clock, redemption, verdict, window};
use crate::{
    record::{self, ALWAYS, Unreadable},
    statements::{Statement, Statements},
};

impl Operation for Open {
    type Answer = Redemption;

    fn statement(statements: &Statements, _: Way) -> &Statement {
        &statements.open
    }

    /// The child, on the shard of its login: there it is made.
    fn subject(&self) -> GrantId {
        let mut bytes = *self.id.as_bytes();
        bytes[..Locator::BYTES].copy_from_slice(record::locator(&self.login.id));
        GrantId::from_bytes(bytes)
    }

    fn writes(&self, _: Way) -> [Option<GrantId>; 2] {
        [Some(self.login.id), Some(self.subject())]
    }

    fn bind(batch: &Batch<'_, Self>) -> Result<PgArguments, BoxDynError> {
        bind!(
            batch,
            |event, cx| event.login,
            [
                record::tail(&event.id),
                record::identity(&event.identity),
                event.attempt.as_bytes().as_slice(),
                cx.now.after(event.mint.idle).as_millis(),
                cx.now.after(event.mint.absolute).as_millis(),
                event.mint.scope.as_ref().map(mintage::Scope::as_str),
                record::packed(&event.mint),
                cx.now.after(event.slide.idle).as_millis(),
                event.slide.granularity.as_millis(),
                cx.now.as_millis(),
                clock(cx),
                window(cx),
                cx.epoch.0.as_millis(),
            ]
        )
    }

    fn conclude(
        &self,
        _: &Context,
        row: Option<Row<'_>>,
    ) -> Result<Outcome<Redemption>, Unreadable> {
        let Some(row) = row else {
            return Ok(Outcome::Answer(Redemption::BearerRefused(Refusal::Unknown)));
        };
        if row.verdict == "opened" {
            // Its id was taken since the statement began.
            return Ok(Outcome::Again(Way::Usual));
        }
        redemption(&row).map(Outcome::Answer)
    }
}

impl Operation for Elevate {
    type Answer = Verdict;

    fn statement(statements: &Statements, _: Way) -> &Statement {
        &statements.elevate
    }

    fn subject(&self) -> GrantId {
        self.bearer.id
    }

    fn writes(&self, _: Way) -> [Option<GrantId>; 2] {
        [Some(self.bearer.id), None]
    }

    fn bind(batch: &Batch<'_, Self>) -> Result<PgArguments, BoxDynError> {
        bind!(
            batch,
            |event, cx| event.bearer,
            [
                event.until.map_or(ALWAYS, mintage::Timestamp::as_millis),
                cx.now.as_millis(),
                clock(cx),
                cx.epoch.0.as_millis(),
            ]
        )
    }

    fn conclude(&self, _: &Context, row: Option<Row<'_>>) -> Result<Outcome<Verdict>, Unreadable> {
        verdict(row).map(Outcome::Answer)
    }
}

impl Operation for Touch {
    type Answer = Verdict;

    fn statement(statements: &Statements, _: Way) -> &Statement {
        &statements.touch
    }

    fn subject(&self) -> GrantId {
        self.bearer.id
    }

    fn writes(&self, _: Way) -> [Option<GrantId>; 2] {
        [Some(self.bearer.id), None]
    }

    fn bind(batch: &Batch<'_, Self>) -> Result<PgArguments, BoxDynError> {
        bind!(
            batch,
            |event, cx| event.bearer,
            [
                cx.now.after(event.slide.idle).as_millis(),
                event.slide.granularity.as_millis(),
                cx.now.as_millis(),
                clock(cx),
                cx.epoch.0.as_millis(),
            ]
        )
    }

    fn conclude(&self, _: &Context, row: Option<Row<'_>>) -> Result<Outcome<Verdict>, Unreadable> {
        verdict(row).map(Outcome::Answer)
    }
}

/// [`Read::Bearer`](mintage::grant::Read::Bearer).
#[derive(Debug)]
pub(crate) struct ReadBearer(pub(crate) Bearer);

impl Operation for ReadBearer {
    type Answer = Verdict;

    fn statement(statements: &Statements, _: Way) -> &Statement {
        &statements.read_bearer
    }

    fn subject(&self) -> GrantId {
        self.0.id
    }

    fn writes(&self, _: Way) -> [Option<GrantId>; 2] {
        [None, None]
    }

    fn bind(batch: &Batch<'_, Self>) -> Result<PgArguments, BoxDynError> {
        bind!(batch, |event, cx| event.0, [cx.now.as_millis(), clock(cx), cx.epoch.0.as_millis(),])
    }

    fn conclude(&self, _: &Context, row: Option<Row<'_>>) -> Result<Outcome<Verdict>, Unreadable> {
        verdict(row).map(Outcome::Answer)
    }
}
