//! `GET /identities`: on whose behalf a person may act, page by page.

use axum::{
    http::{StatusCode, Uri},
    response::Response,
};
use mintage::{Error, FieldRule, Identity, IdentityPage, InvalidField, Page};
use serde::Serialize;

use crate::{
    extract::{ApiClient, BearerToken},
    gateway::Own,
    wire::{WireError, json},
};

/// Lists the identities that the credential behind an auth token may act for.
pub(crate) async fn list(
    Own(gateway): Own,
    ApiClient(client): ApiClient,
    BearerToken(bearer): BearerToken,
    uri: Uri,
) -> Result<Response, WireError> {
    let page = page(uri.query().unwrap_or_default())?;
    let IdentityPage { identities, count } =
        gateway.engine.identities(&client, &bearer, page).await?;
    let response_count = identities.len();
    Ok(json(StatusCode::OK, &Listed { identities, count, response_count }))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    identities: Vec<Identity>,
    /// How many there are.
    count: u64,
    /// How many are in this answer.
    response_count: usize,
}

/// Reads the query: `offset` from 0 on, by default 0; `limit` from 1 to 100, by default 20. Other
/// names are ignored.
///
/// # Errors
/// 400 naming each that is no such number (`RANGE`), or is given twice (`AT_MOST`).
fn page(query: &str) -> Result<Page, WireError> {
    let mut invalid = Vec::new();
    let offset = number(query, "offset", ["0", "4294967295"], 0, &mut invalid);
    let limit = number(query, "limit", ["1", "100"], 20, &mut invalid);
    if invalid.is_empty() {
        Ok(Page { offset, limit })
    } else {
        Err(Error::Invalid(invalid).into())
    }
}

fn number(
    query: &str,
    field: &'static str,
    bounds: [&'static str; 2],
    default: u32,
    invalid: &mut Vec<InvalidField>,
) -> u32 {
    let mut values = query
        .split('&')
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .filter(|p| p.0 == field);
    let (rule, params) = match (values.next(), values.next()) {
        (None, _) => return default,
        (Some((_, value)), None) => match digits(value) {
            Some(number) if is_within(number, bounds) => return number,
            _ => (FieldRule::Range, bounds.to_vec()),
        },
        (Some(_), Some(_)) => (FieldRule::AtMost, vec!["1", field]),
    };
    invalid.push(InvalidField { field, rule, params });
    default
}

fn digits(text: &str) -> Option<u32> {
    text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()))
}

fn is_within(number: u32, bounds: [&str; 2]) -> bool {
    let [low, high] = bounds.map(digits);
    low.is_some_and(|low| low <= number) && high.is_some_and(|high| number <= high)
}
