//! Pieces that all HTTP in this crate shares: bounded bodies and the reason of a failed connection.

use std::error::Error;

use bytes::Bytes;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::Incoming;

use crate::UpstreamError;

/// Longest reason kept, in characters.
const REASON_CHARS_MAX: usize = 200;
/// Links of a chain of causes that are followed.
const CAUSES_MAX: usize = 16;

/// The whole body, if it is at most `max` bytes.
pub(crate) async fn collect(body: Incoming, max: usize, target: &str) -> Result<Bytes, UpstreamError> {
    match Limited::new(body, max).collect().await {
        Ok(all) => Ok(all.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => {
            Err(UpstreamError::TooLarge { target: target.to_owned(), max: max as u64 })
        }
        Err(error) => Err(unreachable(target, error.as_ref())),
    }
}

/// A failed connection, with the innermost cause as reason: "connection refused" says more than "connect error".
pub(crate) fn unreachable(target: &str, error: &(dyn Error + 'static)) -> UpstreamError {
    let mut cause = error;
    for _ in 0..CAUSES_MAX {
        let Some(inner) = cause.source() else { break };
        cause = inner;
    }
    let reason = cause.to_string();
    let reason = reason.chars().filter(|c| !c.is_control()).take(REASON_CHARS_MAX).collect::<String>();
    UpstreamError::Unreachable { target: target.to_owned(), reason: reason.to_lowercase() }
}
