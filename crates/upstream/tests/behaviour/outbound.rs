//! Webhooks and downloads.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path as UrlPath, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use domain::Digest;
use upstream::{Delivery, Outbound, REDIRECTS_MAX, Secret, TRIES_MAX, UpstreamError, Wanted};

use crate::serve;

const QUICK: Delivery = Delivery { timeout_ms: 5_000, tries: 3, pause_ms: 1 };
const FILE: &[u8] = b"published file";

/// Fails as often as the path says, then takes the alert.
async fn hook(
    State(calls): State<Arc<AtomicU32>>,
    UrlPath((status, failures)): UrlPath<(u16, u32)>,
    headers: HeaderMap,
    body: Bytes,
) -> StatusCode {
    assert_eq!(headers[header::CONTENT_TYPE], "application/json");
    assert_eq!(body, "{\"alarm\":1}");
    if calls.fetch_add(1, Ordering::SeqCst) < failures {
        return StatusCode::from_u16(status).unwrap();
    }
    if headers.get(header::AUTHORIZATION).is_some_and(|v| v == "Bearer token") {
        StatusCode::ACCEPTED
    } else {
        StatusCode::UNAUTHORIZED
    }
}

#[tokio::test]
async fn a_webhook_in_trouble_is_tried_again_and_a_refusal_is_final() {
    let token = Secret::new("token");
    let outbound = Outbound::new(None).unwrap();
    for (path, tries, calls_expected, good) in [
        ("503/2", 3, 3, true),
        ("429/1", 3, 2, true),
        ("503/9", 3, 3, false),
        ("400/9", 3, 1, false),
        ("503/99", u32::MAX, TRIES_MAX, false),
        ("503/9", 0, 1, false),
    ] {
        let calls = Arc::new(AtomicU32::new(0));
        let router = Router::new().route("/{status}/{failures}", post(hook)).with_state(calls.clone());
        let url = format!("http://{}/{path}", serve::plain(router).await);
        let delivery = Delivery { tries, ..QUICK };
        let sent = outbound.post_json(&url, "{\"alarm\":1}", Some(&token), delivery).await;
        assert_eq!((sent.is_ok(), calls.load(Ordering::SeqCst)), (good, calls_expected), "{path}");
    }
}

#[tokio::test]
async fn a_webhooks_path_and_token_are_kept_out_of_messages() {
    let outbound = Outbound::new(None).unwrap();
    let once = Delivery { tries: 1, ..QUICK };
    let url = format!("http://{}/services/T0KEN?key=hunter2", serve::nobody().await);
    let error = outbound.post_json(&url, "{}", None, once).await.unwrap_err().to_string();
    assert!(error.contains("connection refused"), "{error}");
    assert!(!error.contains("T0KEN") && !error.contains("hunter2"), "{error}");
    let token = Secret::new("hunter2");
    for url in ["http://alerts.hospital.example/x", "https://u:hunter2@h/", "ftp://h/", "alerts"] {
        let error = outbound.post_json(url, "{}", Some(&token), once).await.unwrap_err();
        assert!(
            matches!(error, UpstreamError::Settings(_)) && !error.to_string().contains("hunter2"),
            "{error}"
        );
    }
}

/// `/file`, `/redirect/N` with N redirects to it, and what should not be followed.
fn publisher() -> Router {
    let to = |location: String| (StatusCode::FOUND, [(header::LOCATION, location)]).into_response();
    let redirect = move |UrlPath(n): UrlPath<usize>| async move {
        if n == 0 { FILE.into_response() } else { to(format!("/redirect/{}", n - 1)) }
    };
    let away = |location: &'static str| {
        get(move || std::future::ready((StatusCode::FOUND, [(header::LOCATION, location)])))
    };
    Router::new()
        .route("/file", get(|| async { FILE }))
        .route("/redirect/{n}", get(redirect))
        .route("/insecure", away("http://publisher.example/file"))
        .route("/nowhere", away("//publisher.example/file"))
        .route("/endless", get(endless))
}

/// A body without declared length that does not end.
async fn endless() -> Response {
    axum::body::Body::new(endless::Endless(Bytes::from_static(&[0; 4096]))).into_response()
}

mod endless {
    //! A body that gives the same bytes for ever.

    use std::convert::Infallible;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use axum::body::{Bytes, HttpBody};
    use hyper::body::Frame;

    pub struct Endless(pub Bytes);

    impl HttpBody for Endless {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            Poll::Ready(Some(Ok(Frame::data(self.0.clone()))))
        }
    }
}

fn wanted() -> Wanted {
    // As `md5sum` prints it.
    let md5 = 0x7b56d9552b86062236d6e7c23f2aef76_u128.to_be_bytes();
    Wanted { bytes_max: FILE.len() as u64, sha256: Some(Digest::of(FILE)), md5: Some(md5) }
}

async fn fetch(url: &str, wanted: &Wanted, to: &Path) -> Result<u64, UpstreamError> {
    let mut told = Vec::new();
    let size =
        Outbound::new(None).unwrap().download(url, wanted, to, |done, of| told.push((done, of))).await?;
    assert_eq!(told.first(), Some(&(0, Some(size))));
    assert_eq!(told.last(), Some(&(size, Some(size))));
    Ok(size)
}

#[tokio::test]
async fn a_file_is_kept_whole_or_not_at_all() {
    let base = format!("http://{}", serve::plain(publisher()).await);
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("data.npz");
    assert_eq!(fetch(&format!("{base}/file"), &wanted(), &to).await.unwrap(), FILE.len() as u64);
    assert_eq!(std::fs::read(&to).unwrap(), FILE);

    std::fs::write(&to, "old").unwrap();
    let small = Wanted { bytes_max: FILE.len() as u64 - 1, ..wanted() };
    let forged = Wanted { sha256: Some(Digest::of(b"other")), ..wanted() };
    let broken = Wanted { md5: Some([7; 16]), ..wanted() };
    for (path, wanted, code) in [
        ("/file", &small, "upstream-too-large"),
        ("/endless", &small, "upstream-too-large"),
        ("/file", &forged, "download-wrong-digest"),
        ("/file", &broken, "download-wrong-digest"),
        ("/missing", &wanted(), "upstream-refused"),
        ("/insecure", &wanted(), "upstream-settings"),
        ("/nowhere", &wanted(), "upstream-refused"),
    ] {
        let error = fetch(&format!("{base}{path}"), wanted, &to).await.unwrap_err();
        assert_eq!(error.code(), code, "{path}: {error}");
        assert_eq!(std::fs::read(&to).unwrap(), b"old", "{path}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "{path} leaves nothing behind");
    }
    let error =
        fetch(&format!("{base}/file"), &wanted(), &folder.path().join("no/folder")).await.unwrap_err();
    assert_eq!(error.code(), "download-file");
}

#[tokio::test]
async fn redirects_are_followed_to_the_limit_and_not_beyond() {
    let base = format!("http://{}", serve::plain(publisher()).await);
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("f");
    assert!(fetch(&format!("{base}/redirect/{REDIRECTS_MAX}"), &wanted(), &to).await.is_ok());
    let error = fetch(&format!("{base}/redirect/{}", REDIRECTS_MAX + 1), &wanted(), &to).await.unwrap_err();
    assert!(error.to_string().contains("redirects"), "{error}");
}

#[tokio::test]
async fn files_come_over_https_only_and_offline_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("f");
    let error = fetch("http://publisher.example/f", &wanted(), &to).await.unwrap_err();
    assert!(error.to_string().contains("over https only"), "{error}");
    let error = fetch(&format!("http://{}/f", serve::nobody().await), &wanted(), &to).await.unwrap_err();
    assert!(
        error.to_string().contains("cannot reach") && error.to_string().contains("connection refused"),
        "{error}"
    );

    // From https a redirect may not lead to plain http, not even on this machine.
    let (port, authority) = serve::tls(publisher(), b"http/1.1").await;
    let outbound = Outbound::new(Some(authority.as_bytes())).unwrap();
    let url = |path: &str| format!("https://localhost:{port}{path}");
    assert!(outbound.download(&url("/redirect/1"), &wanted(), &to, |_, _| ()).await.is_ok());
    let error = outbound.download(&url("/insecure"), &wanted(), &to, |_, _| ()).await.unwrap_err();
    assert!(error.to_string().contains("without https"), "{error}");
}
