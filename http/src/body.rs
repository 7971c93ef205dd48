//! Reading a body: of the right type, not too long, not too slow.

use std::{fmt, num::NonZeroU32, time::Duration};

use axum::{
    extract::Request,
    http::{
        HeaderMap, StatusCode,
        header::{CONTENT_ENCODING, CONTENT_TYPE},
    },
};
use http_body::Body as _;
use http_body_util::BodyExt as _;

use crate::wire::WireError;

/// How many bytes of a body are read at most: 1 to 1,000,000, by default 64 KiB. A longer one is
/// answered with 413.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BodyLimit(u32);

/// A body limit was zero or more than [`BodyLimit::MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidBodyLimit;

impl fmt::Display for InvalidBodyLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a body limit must be at most {} bytes", BodyLimit::MAX.0)
    }
}

impl std::error::Error for InvalidBodyLimit {}

impl BodyLimit {
    /// 1,000,000 bytes.
    pub const MAX: Self = Self(1_000_000);

    /// So many bytes.
    ///
    /// # Errors
    /// [`InvalidBodyLimit`] when it is more than [`MAX`](Self::MAX).
    pub fn from_bytes(bytes: NonZeroU32) -> Result<Self, InvalidBodyLimit> {
        let limit = Self(bytes.get());
        if limit <= Self::MAX { Ok(limit) } else { Err(InvalidBodyLimit) }
    }

    /// The same in bytes.
    #[must_use]
    pub fn as_bytes(self) -> usize {
        // No platform that we run on has a `usize` of 16 bits.
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl Default for BodyLimit {
    /// 64 KiB.
    fn default() -> Self {
        Self(64 * 1024)
    }
}

/// A body that takes longer than this to arrive is given up.
const DEADLINE: Duration = Duration::from_secs(30);

/// The whole body of a request that must be JSON.
///
/// # Errors
/// 413 when it is too long, whether it says so or not; 415 when it is not declared as JSON; 408 when
/// it does not arrive in time; 400 when it breaks off.
pub(crate) async fn read_json(request: Request, limit: BodyLimit) -> Result<Vec<u8>, WireError> {
    let announced = request.body().size_hint().lower();
    if announced > u64::from(limit.0) {
        return Err(StatusCode::PAYLOAD_TOO_LARGE.into());
    }
    if !is_json(request.headers()) {
        return Err(StatusCode::UNSUPPORTED_MEDIA_TYPE.into());
    }
    let reading = collect(request, limit.as_bytes());
    tokio::time::timeout(DEADLINE, reading)
        .await
        .unwrap_or_else(|_| Err(StatusCode::REQUEST_TIMEOUT.into()))
}

async fn collect(request: Request, limit: usize) -> Result<Vec<u8>, WireError> {
    let mut body = request.into_body();
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame
            .map_err(|_| WireError::Malformed("The body broke off: send all of it.".into()))?;
        // What is no data is trailers: they say nothing to us.
        let Ok(data) = frame.into_data() else {
            continue;
        };
        if data.len() > limit - bytes.len() {
            return Err(StatusCode::PAYLOAD_TOO_LARGE.into());
        }
        bytes.extend_from_slice(&data);
    }
    Ok(bytes)
}

/// Whether there is one content type, it is `application/json`, with whatever parameters (RFC 8259
/// §11 defines none, and many clients send `charset`), and the body is not compressed.
fn is_json(headers: &HeaderMap) -> bool {
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    let (Some(content_type), None) = (types.next(), types.next()) else {
        return false;
    };
    let Ok(content_type) = content_type.to_str() else {
        return false;
    };
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json")
        && headers
            .get_all(CONTENT_ENCODING)
            .iter()
            .all(|coding| coding.as_bytes().eq_ignore_ascii_case(b"identity"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_json_is_json() {
        let is = |headers: &[(&'static str, &'static str)]| {
            let mut map = HeaderMap::new();
            for (name, value) in headers {
                map.append(*name, value.parse().unwrap());
            }
            is_json(&map)
        };
        assert!(is(&[("content-type", "application/json")]));
        assert!(is(&[("content-type", "Application/JSON ; charset=UTF-8")]));
        assert!(is(&[("content-type", "application/json"), ("content-encoding", "identity")]));
        assert!(!is(&[]));
        assert!(!is(&[("content-type", "text/plain")]));
        assert!(!is(&[("content-type", "application/jsonp")]));
        assert!(!is(&[("content-type", "application/json, text/plain")]));
        assert!(!is(&[("content-type", "application/json"), ("content-type", "text/plain")]));
        assert!(!is(&[("content-type", "application/json"), ("content-encoding", "gzip")]));
    }

    #[test]
    fn a_limit_above_a_megabyte_is_refused() {
        let limit = |bytes| BodyLimit::from_bytes(NonZeroU32::new(bytes).unwrap());
        assert_eq!(limit(1_000_000), Ok(BodyLimit::MAX));
        assert_eq!(limit(1_000_001), Err(InvalidBodyLimit));
        assert_eq!(BodyLimit::default().as_bytes(), 65_536);
    }
}
