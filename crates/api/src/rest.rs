//! Open Inference Protocol v2 over REST, with the binary tensor extension, and the addresses that operators watch.

use std::sync::Arc;

use access::Action;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use domain::SystemId;
use gateway::{Answer, Arrival, Gateway, Refusal, ServingState, Version};
use http::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use oip::{HEADER_LENGTH, ModelMetadata, ServerMetadata, Wants};
use serde::Serialize;

use crate::body::BodyError;
use crate::problem::Wire;
use crate::receipt::{ADVICE_HEADER, RECEIPT_HEADER, parameters_json};
use crate::serve::Peer;

/// How the routes behave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Settings {
    /// Lets a peer on the loopback interface read `/metrics` without a key, as a local Prometheus does.
    pub open_metrics_on_loopback: bool,
}

#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) gateway: Arc<Gateway>,
    settings: Settings,
}

/// All REST routes of the data plane.
pub fn router(gateway: Arc<Gateway>, settings: Settings) -> Router {
    Router::new()
        .route("/v2", get(server_metadata))
        .route("/v2/", get(server_metadata))
        .route("/v2/health/live", get(live))
        .route("/v2/health/ready", get(ready))
        .route("/v2/models/{system}", get(model_metadata))
        .route("/v2/models/{system}/versions/{version}", get(model_metadata))
        .route("/v2/models/{system}/ready", get(model_ready))
        .route("/v2/models/{system}/versions/{version}/ready", get(model_ready))
        .route("/v2/models/{system}/infer", post(infer))
        .route("/v2/models/{system}/versions/{version}/infer", post(infer))
        .route("/metrics", get(metrics))
        .route("/healthz", get(live))
        .route("/readyz", get(readyz))
        .route("/openapi.json", get(document))
        .merge(crate::talk::routes())
        .fallback(no_such_address)
        .method_not_allowed_fallback(method_not_allowed)
        .with_state(Shared { gateway, settings })
}

/// The system and perhaps the version in an address.
#[derive(serde::Deserialize)]
struct Address {
    system: String,
    version: Option<String>,
}

/// The key in `Authorization: Bearer`, `X-API-Key` or, as clients of Azure send it, `api-key`; the first wins.
pub(crate) fn credential(headers: &HeaderMap) -> Option<&str> {
    let bearer = headers.get(AUTHORIZATION).and_then(|v| v.to_str().ok()).and_then(|v| {
        let (scheme, key) = v.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
    });
    let named = |name: &str| headers.get(name)?.to_str().ok();
    bearer.or_else(|| named("x-api-key")).or_else(|| named("api-key"))
}

/// What the server says of itself. Shared with gRPC.
pub(crate) fn server_description() -> ServerMetadata {
    ServerMetadata {
        name: "asepsis".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        extensions: vec![oip::BINARY_EXTENSION.to_owned()],
    }
}

async fn server_metadata() -> Response {
    json(&server_description())
}

async fn live() -> Response {
    json(&serde_json::json!({ "live": true }))
}

async fn ready(State(shared): State<Shared>) -> Response {
    let ready = shared.gateway.is_ready();
    let mut response = json(&serde_json::json!({ "ready": ready }));
    if !ready {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    }
    response
}

/// What keeps the gateway from being ready, for operators: names of systems and codes, nothing else.
async fn readyz(State(shared): State<Shared>) -> Response {
    let snapshot = shared.gateway.snapshot();
    let ledger = if shared.gateway.ledger_is_healthy() { "ok" } else { "failing" };
    let systems: std::collections::BTreeMap<_, _> =
        snapshot.systems.values().map(|s| (s.id.as_str(), state_word(&s.state))).collect();
    let ready = shared.gateway.is_ready();
    let mut response = json(&serde_json::json!({ "ready": ready, "ledger": ledger, "systems": systems }));
    if !ready {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    }
    response
}

const fn state_word(state: &ServingState) -> &'static str {
    match state {
        ServingState::Open { fallback: false, .. } => "open",
        ServingState::Open { fallback: true, .. } => "open, on the last admitted version",
        ServingState::Shut { .. } => "shut",
        ServingState::Suspended { .. } => "suspended",
    }
}

async fn model_metadata(
    State(shared): State<Shared>,
    Path(address): Path<Address>,
    headers: HeaderMap,
) -> Result<Response, Wire> {
    let version =
        described(&shared.gateway, &address.system, address.version.as_deref(), credential(&headers))?;
    Ok(json(&metadata_of(&address.system, &version)))
}

/// The version whose metadata is asked for, if the caller may read it. Shared with gRPC.
pub(crate) fn described(
    gateway: &Gateway,
    system: &str,
    version: Option<&str>,
    credential: Option<&str>,
) -> Result<Arc<Version>, Refusal> {
    let snapshot = gateway.snapshot();
    let served = snapshot.systems.get(system);
    let id: Option<&SystemId> = served.map(|s| &s.id);
    gateway.allow(credential, Action::ReadModel, id)?;
    gateway.version_of(system, version).inspect_err(|refusal| gateway.count_refusal(refusal))
}

/// The protocol's metadata of a version.
pub(crate) fn metadata_of(system: &str, version: &Version) -> ModelMetadata {
    ModelMetadata {
        name: system.to_owned(),
        versions: vec![version.name().to_owned()],
        platform: "onnx_onnxv1".to_owned(),
        inputs: version.inputs.clone(),
        outputs: version.outputs.clone(),
    }
}

async fn model_ready(State(shared): State<Shared>, Path(address): Path<Address>) -> Result<Response, Wire> {
    let _ = shared.gateway.version_of(&address.system, address.version.as_deref())?;
    Ok(json(&serde_json::json!({ "name": address.system, "ready": true })))
}

async fn infer(
    State(shared): State<Shared>,
    Path(address): Path<Address>,
    request: Request,
) -> Result<Response, Wire> {
    let gateway = &*shared.gateway;
    let (head, body) = request.into_parts();
    let key = credential(&head.headers).map(str::to_owned);
    let arrival =
        Arrival { credential: key.as_deref(), system: &address.system, version: address.version.as_deref() };
    gateway.check_key(&arrival)?;
    let counted = |refusal: Refusal| {
        gateway.count_refusal(&refusal);
        Wire::from(refusal)
    };
    let bytes_max = gateway.wire_limits().body_bytes;
    let header_len = check_head(&head.headers, bytes_max).map_err(counted)?;
    // Nothing that is not needed any more is kept over the wait for the disk.
    drop(head);
    let body = read(body, bytes_max).await.map_err(counted)?;
    let parse = move |limits: &oip::Limits| oip::rest::parse_request(&body, header_len, limits);
    gateway.infer_as(arrival, parse, write).await?.map_err(counted)
}

/// Looks at what the headers say of the body; returns the length of its JSON part.
pub(crate) fn check_head(headers: &HeaderMap, bytes_max: usize) -> Result<Option<usize>, Refusal> {
    let text = |name: &http::HeaderName| headers.get(name).and_then(|v| v.to_str().ok());
    if let Some(encoding) = text(&CONTENT_ENCODING)
        && encoding != "identity"
    {
        return Err(Refusal::UnsupportedMediaType {
            media_type: format!("{} (compressed)", short(encoding)),
        });
    }
    if let Some(declared) = text(&CONTENT_TYPE) {
        let media_type = declared.split(';').next().unwrap_or_default().trim();
        let known = ["application/json", "application/octet-stream"];
        if !known.iter().any(|k| media_type.eq_ignore_ascii_case(k)) {
            let media_type = short(&media_type.to_ascii_lowercase());
            return Err(Refusal::UnsupportedMediaType { media_type });
        }
    }
    let length: Option<usize> = text(&CONTENT_LENGTH).and_then(|v| v.parse().ok());
    if length.is_some_and(|n| n > bytes_max) {
        return Err(too_large(bytes_max));
    }
    headers.get(HEADER_LENGTH).map_or(Ok(None), |value| {
        let parsed = value.to_str().ok().and_then(|v| v.trim().parse().ok()).map(Some);
        parsed.ok_or_else(|| Refusal::Malformed { detail: format!("`{HEADER_LENGTH}` is not a length") })
    })
}

pub(crate) fn short(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(80).collect()
}

fn too_large(bytes_max: usize) -> Refusal {
    Refusal::TooLarge { detail: format!("the body is above {bytes_max} bytes; split the batch") }
}

pub(crate) async fn read(body: Body, bytes_max: usize) -> Result<Bytes, Refusal> {
    to_bytes(body, bytes_max).await.map_err(|error| match BodyError::under(&error) {
        Some(BodyError::TooSlow { ms_max }) => Refusal::TooSlow { limit_ms: ms_max },
        Some(BodyError::Broken) => {
            Refusal::Malformed { detail: "the body broke off before its end".to_owned() }
        }
        Some(BodyError::TooLarge { bytes_max }) => too_large(bytes_max),
        None => too_large(bytes_max),
    })
}

/// Writes an answer as the caller wanted it.
fn write(mut answer: Answer) -> Result<Response, Refusal> {
    let (wanted, binary_default) = (answer.wanted.clone(), answer.binary_default);
    let (index, advice) = (answer.receipt.ledger_index, answer.receipt.advice);
    let parameters = parameters_json(&answer.receipt);
    let (id, version, system) =
        (answer.id.take(), std::mem::take(&mut answer.version), answer.system.clone());
    let outputs = answer.into_outputs();
    let reply = oip::Reply {
        model_name: system.as_str(),
        model_version: Some(&version),
        id: id.as_deref(),
        parameters: &parameters,
        outputs: &outputs,
    };
    let wants = Wants { outputs: &wanted, binary_default };
    let written = oip::rest::write_reply(&reply, &wants)
        .map_err(|error| Refusal::ModelFailed { detail: error.to_string() })?;
    let content_type = HeaderValue::from_static(written.content_type());
    let header_len = written.header_len;
    let mut response = Response::new(Body::from(written.body));
    let headers = response.headers_mut();
    // Hyper adds a length and a date.
    headers.reserve(6);
    headers.insert(CONTENT_TYPE, content_type);
    headers.insert(RECEIPT_HEADER, HeaderValue::from(index));
    headers.insert(ADVICE_HEADER, HeaderValue::from_static(advice.as_str()));
    if let Some(length) = header_len {
        headers.insert(HEADER_LENGTH, HeaderValue::from(length));
    }
    Ok(response)
}

async fn metrics(State(shared): State<Shared>, request: Request) -> Result<Response, Wire> {
    let local = request.extensions().get::<Peer>().is_some_and(|peer| peer.0.ip().is_loopback());
    if !(local && shared.settings.open_metrics_on_loopback) {
        shared.gateway.allow(credential(request.headers()), Action::ReadMetrics, None)?;
    }
    let text = shared.gateway.metrics().exposition();
    let content_type = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    Ok(([(CONTENT_TYPE, content_type)], text).into_response())
}

async fn document() -> Response {
    let content_type = HeaderValue::from_static("application/json");
    ([(CONTENT_TYPE, content_type)], crate::openapi()).into_response()
}

async fn no_such_address() -> Wire {
    Refusal::NoSuchAddress.into()
}

async fn method_not_allowed(method: Method) -> Wire {
    Refusal::MethodNotAllowed { method: short(method.as_str()) }.into()
}

fn json(value: &impl Serialize) -> Response {
    let content_type = HeaderValue::from_static("application/json");
    ([(CONTENT_TYPE, content_type)], serde_json::to_vec(value).unwrap_or_default()).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(k, v)| (http::HeaderName::from_static(k), HeaderValue::from_static(v))).collect()
    }

    #[test]
    fn a_key_is_found_in_either_header_and_the_bearer_wins() {
        for (pairs, expected) in [
            (&[("authorization", "Bearer a")][..], Some("a")),
            (&[("authorization", "bearer  a ")], Some("a")),
            (&[("x-api-key", "b")], Some("b")),
            (&[("authorization", "Bearer a"), ("x-api-key", "b")], Some("a")),
            (&[("authorization", "Basic a")], None),
            (&[], None),
        ] {
            assert_eq!(credential(&headers(pairs)), expected, "{pairs:?}");
        }
    }

    #[test]
    fn headers_are_looked_at_before_the_body() {
        for (pairs, code) in [
            (&[("content-type", "text/plain")][..], "E003"),
            (&[("content-encoding", "gzip")], "E003"),
            (&[("content-length", "11")], "E002"),
            (&[("inference-header-content-length", "x")], "E001"),
        ] {
            assert_eq!(check_head(&headers(pairs), 10).unwrap_err().code(), code, "{pairs:?}");
        }
        let fine = headers(&[
            ("content-type", "Application/JSON; charset=utf-8"),
            ("content-length", "10"),
            ("inference-header-content-length", "4"),
        ]);
        assert_eq!(check_head(&fine, 10), Ok(Some(4)));
    }
}
