//! Refusals in the form that clients of language models read: an object `error`, as a body or as an event of a stream that has
//! begun. The code in it is ours, and stable.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use gateway::{Refusal, Refused};
use http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use openai::{Endpoint, write_event};
use serde::Serialize;

use crate::problem::status;
use crate::receipt::{ADVICE_HEADER, RECEIPT_HEADER};
use crate::talk_receipt;

#[derive(Serialize)]
struct Fault<'a> {
    message: String,
    #[serde(rename = "type")]
    kind: &'static str,
    param: Option<&'a str>,
    code: &'static str,
    asepsis: talk_receipt::Refused<'a>,
}

impl<'a> Fault<'a> {
    fn of(refused: &'a Refused) -> Self {
        Self {
            message: refused.refusal.to_string(),
            kind: kind(status(&refused.refusal)),
            param: None,
            code: refused.refusal.code(),
            asepsis: talk_receipt::Refused::of(refused),
        }
    }
}

#[derive(Serialize)]
struct Whole<'a> {
    error: Fault<'a>,
}

/// The last event of a response's stream that failed.
#[derive(Serialize)]
struct ErrorEvent<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    code: &'static str,
    message: String,
    param: Option<&'a str>,
    sequence_number: u32,
    error: Fault<'a>,
}

/// The protocol's words for whose fault it is.
const fn kind(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 => "authentication_error",
        403 => "permission_error",
        404 => "not_found_error",
        429 => "rate_limit_error",
        400..=499 => "invalid_request_error",
        _ => "server_error",
    }
}

/// A refusal as a response.
pub(crate) struct TalkRefused(pub(crate) Box<Refused>);

impl From<Refusal> for TalkRefused {
    fn from(refusal: Refusal) -> Self {
        Self(refusal.into())
    }
}

impl From<Box<Refused>> for TalkRefused {
    fn from(refused: Box<Refused>) -> Self {
        Self(refused)
    }
}

impl IntoResponse for TalkRefused {
    fn into_response(self) -> Response {
        let refused = &*self.0;
        let body = serde_json::to_vec(&Whole { error: Fault::of(refused) }).unwrap_or_default();
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = status(&refused.refusal);
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(seconds) = refused.refusal.retry_after_s() {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if status(&refused.refusal) == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(index) = refused.ledger_index {
            headers.insert(RECEIPT_HEADER, HeaderValue::from(index));
            headers.insert(ADVICE_HEADER, HeaderValue::from_static("do not use"));
        }
        response
    }
}

/// A refusal as the last event of a stream: clients make an exception of it. No mark of a good end follows.
pub(crate) fn event(endpoint: Endpoint, refused: &Refused) -> Vec<u8> {
    let mut out = Vec::new();
    match endpoint {
        Endpoint::Responses => {
            let event = ErrorEvent {
                kind: "error",
                code: refused.refusal.code(),
                message: refused.refusal.to_string(),
                param: None,
                sequence_number: 0,
                error: Fault::of(refused),
            };
            write_event("error", &serde_json::to_vec(&event).unwrap_or_default(), &mut out);
        }
        _ => {
            let body = Whole { error: Fault::of(refused) };
            write_event("", &serde_json::to_vec(&body).unwrap_or_default(), &mut out);
        }
    }
    out
}
