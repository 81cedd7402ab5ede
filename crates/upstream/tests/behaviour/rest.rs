//! The REST half.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use oip::{Answer, Limits, Params, rest};
use upstream::{CircuitState, Config, Remote, Secret, UpstreamError};

use crate::serve::{self, input, output};

const HEADER_LENGTH: &str = "inference-header-content-length";

/// What came to the server, for the test to look at.
#[derive(Default)]
struct Seen {
    binary: AtomicUsize,
    json: AtomicUsize,
    calls: AtomicUsize,
}

/// A sound model server; it speaks binary tensors if it announces them.
async fn infer(State(seen): State<Arc<Seen>>, headers: HeaderMap, body: Bytes) -> Response {
    let header_len = headers.get(HEADER_LENGTH).map(|v| v.to_str().unwrap().parse().unwrap());
    let counter = if header_len.is_some() { &seen.binary } else { &seen.json };
    counter.fetch_add(1, Ordering::SeqCst);
    let call = rest::parse_request(&body, header_len, &Limits::default()).ok().unwrap();
    assert!(call.inputs == [input()]);
    let answer = Answer {
        model_name: "m".into(),
        model_version: None,
        id: call.id.clone(),
        parameters: Params::new(),
        outputs: vec![output()],
    };
    let written = rest::write_response(&answer, &call.wants()).unwrap();
    let mut response = written.body.into_response();
    if let Some(length) = written.header_len {
        response.headers_mut().insert(HEADER_LENGTH, length.into());
    }
    response
}

fn server(seen: &Arc<Seen>, extensions: &'static str) -> Router {
    let metadata = format!(r#"{{"name":"s","version":"1","extensions":{extensions}}}"#);
    Router::new()
        .route("/v2", get(move || std::future::ready(metadata.clone())))
        .route("/v2/models/m/infer", post(infer))
        .with_state(seen.clone())
}

fn config(base: &str) -> Config {
    let mut config = Config::new(base.parse().unwrap(), "m");
    config.failures_max = 2;
    config
}

/// The error of asking a server that answers every inference with `answer`.
async fn error(answer: impl IntoResponse + Clone + Send + Sync + 'static) -> UpstreamError {
    let router = Router::new().route("/v2/models/m/infer", post(move || std::future::ready(answer.clone())));
    let address = serve::plain(router).await;
    let remote = Remote::connect(config(&format!("http://{address}"))).unwrap();
    let error = remote.probe(&[input()]).await.unwrap_err();
    assert!(!format!("{error} {error:?}").contains("4711"), "{error}");
    error
}

#[tokio::test]
async fn binary_tensors_are_sent_where_they_are_announced_and_json_elsewhere() {
    for (extensions, binary, json) in [(r#"["binary_tensor_data"]"#, 2, 0), ("[]", 0, 2)] {
        let seen = Arc::new(Seen::default());
        let address = serve::plain(server(&seen, extensions)).await;
        let remote = Remote::connect(config(&format!("http://{address}"))).unwrap();
        for _ in 0..2 {
            assert_eq!(remote.probe(&[input()]).await.unwrap(), [output()]);
        }
        assert_eq!((seen.binary.load(Ordering::SeqCst), seen.json.load(Ordering::SeqCst)), (binary, json));
    }
}

#[tokio::test]
async fn answers_that_are_not_ours_are_refused() {
    let body = |head: &str, outputs: &str| format!(r#"{{{head},"outputs":[{outputs}]}}"#);
    let good = r#"{"name":"y","datatype":"FP32","shape":[1,1],"data":[0.75]}"#;
    for (answer, words) in [
        (body(r#""model_name":"m","id":"another""#, good), "another request"),
        (body(r#""model_name":"n","id":"0""#, good), "model `n` instead of `m`"),
        (body(r#""model_name":"m""#, ""), "no outputs"),
        (body(r#""model_name":"m""#, &good.replace("[1,1]", "[2,2]")), "carries 1 elements"),
        (body(r#""model_name":"m""#, &good.replace("0.75", "NaN")), "NaN"),
        ("<html>4711.25</html>".to_owned(), "an object was expected"),
        (String::new(), "an object was expected"),
    ] {
        let error = error(answer.clone()).await;
        assert!(matches!(error, UpstreamError::BadReply { .. }), "{answer}: {error}");
        assert!(error.to_string().contains(words), "{answer}: {error}");
    }
}

#[tokio::test]
async fn statuses_say_what_to_do_and_redirects_are_not_followed() {
    let patient = r#"{"error":"bad value 4711.25"}"#;
    for (status, words) in [
        (StatusCode::NOT_FOUND, "check the model's name"),
        (StatusCode::UNAUTHORIZED, "check the bearer token"),
        (StatusCode::BAD_REQUEST, "compare the request"),
        (StatusCode::SERVICE_UNAVAILABLE, "see the log of the model server"),
        (StatusCode::NO_CONTENT, "compare the request"),
    ] {
        let error = error((status, patient)).await;
        assert!(error.to_string().contains(words), "{status}: {error}");
    }
    let redirect = (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, "http://127.0.0.1:9/")]);
    assert!(error(redirect).await.to_string().contains("redirects are not followed"));
}

#[tokio::test]
async fn an_answer_beyond_the_limit_is_cut_off() {
    let max = Limits::default().body_bytes;
    let error = error(vec![b' '; max + 1]).await;
    assert!(matches!(error, UpstreamError::TooLarge { max: m, .. } if m == max as u64), "{error}");
    // At the limit it is read, and is only not an answer.
    let error = self::error(vec![b' '; max]).await;
    assert!(matches!(error, UpstreamError::BadReply { .. }), "{error}");
}

#[tokio::test]
async fn a_server_that_never_answers_times_out_and_opens_the_circuit() {
    let router = Router::new().route("/v2/models/m/infer", post(std::future::pending::<()>));
    let address = serve::plain(router).await;
    let mut config = config(&format!("http://{address}"));
    config.timeout_ms = 50;
    let remote = Remote::connect(config).unwrap();
    for _ in 0..2 {
        assert_eq!(remote.circuit(), CircuitState::Closed);
        let error = remote.probe(&[input()]).await.unwrap_err();
        assert!(matches!(error, UpstreamError::Timeout { after_ms: 50, .. }), "{error}");
    }
    assert!(matches!(remote.circuit(), CircuitState::Open { .. }));
    let error = remote.probe(&[input()]).await.unwrap_err();
    assert!(matches!(error, UpstreamError::CircuitOpen { .. }), "{error}");
}

#[tokio::test]
async fn a_server_that_is_back_is_used_again() {
    let seen = Arc::new(Seen::default());
    let flaky = |State(seen): State<Arc<Seen>>, headers: HeaderMap, body: Bytes| async move {
        if seen.calls.fetch_add(1, Ordering::SeqCst) < 2 {
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        }
        infer(State(seen), headers, body).await
    };
    let router = Router::new().route("/v2/models/m/infer", post(flaky)).with_state(seen.clone());
    let address = serve::plain(router).await;
    let mut config = config(&format!("http://{address}"));
    config.open_ms = 0;
    let remote = Remote::connect(config).unwrap();
    for _ in 0..2 {
        assert!(remote.probe(&[input()]).await.is_err());
    }
    assert_eq!(remote.circuit(), CircuitState::HalfOpen);
    assert_eq!(remote.probe(&[input()]).await.unwrap(), [output()]);
    assert_eq!(remote.circuit(), CircuitState::Closed);
}

#[tokio::test]
async fn nobody_there_says_so() {
    let address = serve::nobody().await;
    let remote = Remote::connect(config(&format!("http://{address}"))).unwrap();
    for error in [remote.probe(&[input()]).await.unwrap_err(), remote.metadata().await.unwrap_err()] {
        assert!(error.to_string().contains("connection refused"), "{error}");
    }
}

#[tokio::test]
async fn names_with_slashes_stay_in_their_place() {
    // The server says where it was asked.
    let echo = |uri: Uri| async move { (StatusCode::NOT_FOUND, rest::write_error(&uri.to_string())) };
    let address = serve::plain(Router::new().fallback(echo)).await;
    let mut config = Config::new(format!("http://{address}").parse().unwrap(), "../../admin?x#y");
    config.version = Some("1/2".into());
    let error = Remote::connect(config).unwrap().probe(&[input()]).await.unwrap_err();
    let UpstreamError::Refused { detail, .. } = &error else { panic!("{error}") };
    assert_eq!(detail.phi().expose(), "/v2/models/..%2F..%2Fadmin%3Fx%23y/versions/1%2F2/infer");
}

#[tokio::test]
async fn a_token_goes_over_tls_or_loopback_only_and_is_never_printed() {
    let mut config = Config::new("http://models.hospital.example:8000".parse().unwrap(), "m");
    config.bearer = Some(Secret::new("hunter2"));
    let error = Remote::connect(config).err().unwrap().to_string();
    assert!(error.contains("use https") && !error.contains("hunter2"), "{error}");
    let mut config = Config::new("https://models.hospital.example:8000".parse().unwrap(), "m");
    config.bearer = Some(Secret::new("hunter2\n"));
    let error = Remote::connect(config).err().unwrap().to_string();
    assert!(error.contains("no header can carry") && !error.contains("hunter2"), "{error}");
}

#[tokio::test]
async fn tls_is_spoken_with_the_hospitals_own_authority_and_refused_without() {
    let seen = Arc::new(Seen::default());
    let (port, authority) = serve::tls(server(&seen, "[]"), b"http/1.1").await;
    let mut config = config(&format!("https://localhost:{port}"));
    config.bearer = Some(Secret::new("token"));
    let stranger = Remote::connect(config.clone()).unwrap();
    let error = stranger.probe(&[input()]).await.unwrap_err();
    assert!(matches!(error, UpstreamError::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains("certificate"), "{error}");
    config.ca_pem = Some(authority.into_bytes());
    let remote = Remote::connect(config).unwrap();
    assert_eq!(remote.probe(&[input()]).await.unwrap(), [output()]);
}
