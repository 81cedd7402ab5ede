//! Refusals on the wire: HTTP status and problem details (RFC 9457), gRPC code and trailing metadata. The protocol's own
//! member `error` is in the body as well, so that its clients show the message.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use gateway::{Refusal, Refused};
use http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use serde::Serialize;
use tonic::Code;

use crate::receipt::{ADVICE_HEADER, RECEIPT_HEADER, Verdicts, summary};

/// Media type of problem details.
pub const PROBLEM_JSON: &str = "application/problem+json";

/// The HTTP status of a refusal.
pub const fn status(refusal: &Refusal) -> StatusCode {
    match refusal {
        Refusal::Malformed { .. } | Refusal::UpstreamDeclined { .. } => StatusCode::BAD_REQUEST,
        Refusal::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
        Refusal::UnsupportedMediaType { .. } => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Refusal::UnknownSystem { .. } | Refusal::UnknownVersion { .. } | Refusal::NoSuchAddress => {
            StatusCode::NOT_FOUND
        }
        Refusal::NoKey | Refusal::BadKey | Refusal::ExpiredKey => StatusCode::UNAUTHORIZED,
        Refusal::NotAllowed { .. } | Refusal::Quarantined { .. } => StatusCode::FORBIDDEN,
        Refusal::RateLimited { .. } | Refusal::BudgetUsedUp { .. } | Refusal::TokensUsedUp { .. } => {
            StatusCode::TOO_MANY_REQUESTS
        }
        Refusal::Blocked { .. } | Refusal::Withheld { .. } => StatusCode::UNPROCESSABLE_ENTITY,
        Refusal::ModelFailed { .. } => StatusCode::INTERNAL_SERVER_ERROR,
        Refusal::UpstreamUnreachable { .. } | Refusal::UpstreamBadReply { .. } => StatusCode::BAD_GATEWAY,
        Refusal::UpstreamTimeout { .. } | Refusal::TimedOut { .. } => StatusCode::GATEWAY_TIMEOUT,
        Refusal::GateShut { .. }
        | Refusal::Suspended { .. }
        | Refusal::CircuitOpen { .. }
        | Refusal::Busy { .. }
        | Refusal::LedgerUnavailable
        | Refusal::CallerGone => StatusCode::SERVICE_UNAVAILABLE,
        Refusal::MethodNotAllowed { .. } => StatusCode::METHOD_NOT_ALLOWED,
        Refusal::TooSlow { .. } => StatusCode::REQUEST_TIMEOUT,
    }
}

/// The gRPC code of a refusal.
pub const fn grpc_code(refusal: &Refusal) -> Code {
    match refusal {
        Refusal::Malformed { .. }
        | Refusal::UnsupportedMediaType { .. }
        | Refusal::UpstreamDeclined { .. } => Code::InvalidArgument,
        Refusal::UnknownSystem { .. } | Refusal::UnknownVersion { .. } => Code::NotFound,
        Refusal::NoSuchAddress | Refusal::MethodNotAllowed { .. } => Code::Unimplemented,
        Refusal::NoKey | Refusal::BadKey | Refusal::ExpiredKey => Code::Unauthenticated,
        Refusal::NotAllowed { .. } | Refusal::Quarantined { .. } => Code::PermissionDenied,
        Refusal::TooLarge { .. }
        | Refusal::RateLimited { .. }
        | Refusal::BudgetUsedUp { .. }
        | Refusal::TokensUsedUp { .. } => Code::ResourceExhausted,
        Refusal::GateShut { .. }
        | Refusal::Suspended { .. }
        | Refusal::Blocked { .. }
        | Refusal::Withheld { .. } => Code::FailedPrecondition,
        Refusal::ModelFailed { .. } | Refusal::UpstreamBadReply { .. } => Code::Internal,
        Refusal::UpstreamUnreachable { .. }
        | Refusal::CircuitOpen { .. }
        | Refusal::Busy { .. }
        | Refusal::LedgerUnavailable => Code::Unavailable,
        Refusal::UpstreamTimeout { .. } | Refusal::TimedOut { .. } | Refusal::TooSlow { .. } => {
            Code::DeadlineExceeded
        }
        Refusal::CallerGone => Code::Cancelled,
    }
}

/// The body of a refusal.
#[derive(Serialize)]
struct Problem<'a> {
    #[serde(rename = "type")]
    kind: String,
    title: String,
    status: u16,
    detail: &'a str,
    code: &'static str,
    what_to_do: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    receipt: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verdicts: Option<Verdicts<'a>>,
    error: String,
}

/// A refusal as an HTTP response.
pub(crate) struct Wire(pub(crate) Box<Refused>);

impl From<Refusal> for Wire {
    fn from(refusal: Refusal) -> Self {
        Self(refusal.into())
    }
}

impl From<Box<Refused>> for Wire {
    fn from(refused: Box<Refused>) -> Self {
        Self(refused)
    }
}

impl IntoResponse for Wire {
    fn into_response(self) -> Response {
        let Refused { refusal, ledger_index, verdicts, .. } = &*self.0;
        let (status, detail) = (status(refusal), refusal.to_string());
        let problem = Problem {
            kind: format!("urn:asepsis:refusal:{}", refusal.code()),
            title: refusal.name().replace('-', " "),
            status: status.as_u16(),
            detail: &detail,
            code: refusal.code(),
            what_to_do: refusal.what_to_do(),
            receipt: ledger_index.map(|i| i.to_string()),
            verdicts: (!verdicts.is_empty()).then_some(Verdicts(verdicts)),
            error: one_line(self.0.as_ref()),
        };
        let mut response = Response::new(Body::from(serde_json::to_vec(&problem).unwrap_or_default()));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        if let Some(seconds) = refusal.retry_after_s() {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(index) = ledger_index {
            headers.insert(RECEIPT_HEADER, HeaderValue::from(*index));
            headers.insert(ADVICE_HEADER, HeaderValue::from_static("do not use"));
        }
        response
    }
}

/// Code, message and, where guards spoke, what they said: for clients that show one line.
fn one_line(refused: &Refused) -> String {
    let mut line = format!("{}: {}", refused.refusal.code(), refused.refusal);
    for verdict in &refused.verdicts {
        let said = summary(&verdict.outcome);
        if let (Some(message), Some(remedy)) = (&said.message, &said.remedy) {
            line.push_str(&format!("; {}: {message} ({remedy})", verdict.instance));
        }
    }
    line
}

/// A refusal as a gRPC status; code and receipt are in the trailing metadata.
pub(crate) fn grpc_status(refused: &Refused) -> tonic::Status {
    let mut status = tonic::Status::new(grpc_code(&refused.refusal), one_line(refused));
    let metadata = status.metadata_mut();
    metadata.insert("asepsis-code", tonic::metadata::MetadataValue::from_static(refused.refusal.code()));
    if let Some(index) = refused.ledger_index {
        metadata.insert("asepsis-receipt", index.into());
    }
    status
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{Finding, GuardMode, GuardVerdict, Location, OnInconclusive, Outcome, Severity};
    use http_body_util::BodyExt as _;

    #[tokio::test]
    async fn a_refusal_says_code_place_remedy_and_receipt() {
        let finding = Finding {
            check: "G002".into(),
            severity: Severity::High,
            location: Location::row(0, Some("age")),
            message: "outside what a patient can have".into(),
            technique: None,
            remedy: "check the unit".into(),
        };
        let refused = Refused {
            refusal: Refusal::Blocked { guards: vec!["clinical-range".into()] },
            ledger_index: Some(7),
            model: None,
            verdicts: vec![GuardVerdict {
                instance: "clinical-range".into(),
                check: "G002".into(),
                mode: GuardMode::Block,
                on_inconclusive: OnInconclusive::Flag,
                outcome: Outcome::from_findings(vec![finding]),
                took_us: 3,
            }],
        };
        assert_eq!(grpc_status(&refused).code(), Code::FailedPrecondition);
        let response = Wire(Box::new(refused)).into_response();
        assert_eq!(response.status(), 422);
        assert_eq!(response.headers()["asepsis-receipt"], "7");
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body["type"], "urn:asepsis:refusal:E014");
        assert_eq!(body["receipt"], "7");
        assert_eq!(body["verdicts"]["clinical-range"]["remedy"], "check the unit");
        assert!(body["error"].as_str().unwrap().contains("`age` in row 0"));
    }

    #[test]
    fn waiting_helps_only_where_it_is_said() {
        let response = Wire::from(Refusal::RateLimited { retry_after_s: 3 }).into_response();
        assert_eq!(
            (response.status().as_u16(), &response.headers()[RETRY_AFTER]),
            (429, &HeaderValue::from(3))
        );
        let response = Wire::from(Refusal::NoKey).into_response();
        assert_eq!(response.headers()[WWW_AUTHENTICATE], "Bearer");
    }
}
