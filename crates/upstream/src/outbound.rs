//! What else leaves this machine: alerts to webhooks, and the download of published files (in `download.rs`).

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, Uri, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use crate::config::is_loopback;
use crate::error::{Detail, is_overload};
use crate::tls::{Versions, connector};
use crate::wire::{collect, unreachable};
use crate::{Secret, UpstreamError};

/// Most tries of one delivery: at the longest pauses ten tries span four minutes, after which a person has to look.
pub const TRIES_MAX: u32 = 10;
/// Longest pause between two tries, in milliseconds.
const PAUSE_MS_MAX: u64 = 30_000;
/// Bytes read of a webhook's answer, which nobody needs.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// Time to open a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Idle connections kept for each host.
const IDLE_PER_HOST_MAX: usize = 2;

/// How hard to try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delivery {
    /// Time for one try, in milliseconds.
    pub timeout_ms: u64,
    /// Tries in all, 1 to [`TRIES_MAX`]; more count as [`TRIES_MAX`], 0 as 1.
    pub tries: u32,
    /// Pause after the first try, in milliseconds; doubles up to 30 s.
    pub pause_ms: u64,
}

impl Default for Delivery {
    /// Five tries over about eight seconds.
    fn default() -> Self {
        Self { timeout_ms: 5_000, tries: 5, pause_ms: 500 }
    }
}

/// A client for webhooks and downloads.
pub struct Outbound {
    pub(crate) client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

impl Outbound {
    /// A client that trusts the public certificate authorities, or those of `ca_pem` instead.
    ///
    /// # Errors
    /// [`UpstreamError::Settings`] for authorities that are no certificates.
    pub fn new(ca_pem: Option<&[u8]>) -> Result<Self, UpstreamError> {
        let connector = connector(ca_pem, CONNECT_TIMEOUT, Versions::One)?;
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_max_idle_per_host(IDLE_PER_HOST_MAX)
            .build(connector);
        Ok(Self { client })
    }

    /// Posts a JSON document, and again after a pause while the receiver cannot be reached or is in trouble.
    ///
    /// # Errors
    /// That of the last try. [`UpstreamError::Settings`] for an address that is none, or a token in the clear.
    pub async fn post_json(
        &self,
        url: &str,
        body: impl Into<Bytes>,
        bearer: Option<&Secret>,
        delivery: Delivery,
    ) -> Result<(), UpstreamError> {
        let (uri, target) = address(url)?;
        let bearer = match bearer {
            None => None,
            Some(_) if uri.scheme_str() != Some("https") && !is_loopback(&uri) => {
                let why = format!("a bearer token would go to {target} in the clear: use https");
                return Err(UpstreamError::Settings(why));
            }
            Some(secret) => secret.bearer(),
        };
        let body = body.into();
        let tries = delivery.tries.clamp(1, TRIES_MAX);
        let mut pause_ms = delivery.pause_ms.min(PAUSE_MS_MAX);
        let mut tried = 0;
        loop {
            tried += 1;
            let error = match self.post_once(&uri, &target, &body, bearer.as_ref(), delivery.timeout_ms).await
            {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            let again = match &error {
                UpstreamError::Unreachable { .. } | UpstreamError::Timeout { .. } => true,
                UpstreamError::Refused { status, .. } => is_overload(status),
                _ => false,
            };
            tracing::warn!(%target, code = error.code(), tried, "webhook not delivered");
            if !again || tried >= tries {
                return Err(error);
            }
            tokio::time::sleep(Duration::from_millis(pause_ms)).await;
            pause_ms = pause_ms.saturating_mul(2).min(PAUSE_MS_MAX);
        }
    }

    async fn post_once(
        &self,
        uri: &Uri,
        target: &str,
        body: &Bytes,
        bearer: Option<&HeaderValue>,
        timeout_ms: u64,
    ) -> Result<(), UpstreamError> {
        let mut request = Request::new(Full::new(body.clone()));
        *request.method_mut() = http::Method::POST;
        *request.uri_mut() = uri.clone();
        request.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(bearer) = bearer {
            request.headers_mut().insert(header::AUTHORIZATION, bearer.clone());
        }
        let sent = async {
            let response = self.client.request(request).await.map_err(|e| unreachable(target, &e))?;
            let status = response.status();
            // Read to the end so that the connection can be used again; what it says does not matter.
            let _: Result<Bytes, _> = collect(response.into_body(), ANSWER_BYTES_MAX, target).await;
            if status.is_success() {
                return Ok(());
            }
            let status = format!("HTTP {}", status.as_u16());
            Err(UpstreamError::Refused {
                target: target.to_owned(),
                status,
                detail: Detail::new(String::new()),
            })
        };
        within(timeout_ms, target, sent).await
    }

    /// One GET, without following redirects.
    pub(crate) async fn get(
        &self,
        uri: &Uri,
        target: &str,
        timeout_ms: u64,
    ) -> Result<http::Response<Incoming>, UpstreamError> {
        let mut request = Request::new(Full::new(Bytes::new()));
        *request.uri_mut() = uri.clone();
        let agent = HeaderValue::from_static(concat!("asepsis/", env!("CARGO_PKG_VERSION")));
        request.headers_mut().insert(header::USER_AGENT, agent);
        let sent = async { self.client.request(request).await.map_err(|e| unreachable(target, &e)) };
        within(timeout_ms, target, sent).await
    }
}

/// `future`, or a timeout.
pub(crate) async fn within<T>(
    timeout_ms: u64,
    target: &str,
    future: impl Future<Output = Result<T, UpstreamError>>,
) -> Result<T, UpstreamError> {
    let limited = tokio::time::timeout(Duration::from_millis(timeout_ms), future);
    let late = || UpstreamError::Timeout { target: target.to_owned(), after_ms: timeout_ms };
    limited.await.unwrap_or_else(|_| Err(late()))
}

/// An address and what may be shown of it: scheme, host and port. Paths and queries of webhooks are often secrets.
pub(crate) fn address(url: &str) -> Result<(Uri, String), UpstreamError> {
    let wrong = || UpstreamError::Settings("an address is not one: write https://host/path".to_owned());
    let uri: Uri = url.parse().map_err(|_| wrong())?;
    let (Some("http" | "https"), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return Err(wrong());
    };
    if authority.as_str().contains('@') {
        let why = "leave user and password out of the address and use a bearer token".to_owned();
        return Err(UpstreamError::Settings(why));
    }
    let target = format!("{}://{authority}", uri.scheme_str().unwrap_or_default());
    Ok((uri, target))
}
