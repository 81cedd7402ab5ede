//! The REST half: JSON, or binary tensors where the server announces them.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, StatusCode, header};
use http_body_util::Full;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use oip::{Answer, Ask, BINARY_EXTENSION, Encoding, Limits, ModelMetadata, ServerMetadata, rest};
use tokio::sync::OnceCell;

use crate::error::Detail;
use crate::tls::{Versions, connector};
use crate::wire::{collect, unreachable};
use crate::{Config, UpstreamError};

/// How long an idle connection is kept. Shorter than the 75 s after which common servers close theirs, so that a
/// request rarely meets a connection that is just being closed.
const IDLE: Duration = Duration::from_secs(60);
const HEADER_LENGTH: HeaderName = HeaderName::from_static("inference-header-content-length");

/// A pooled client of one server.
pub(crate) struct RestClient {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    target: String,
    server_url: String,
    live_url: String,
    model_url: String,
    infer_url: http::Uri,
    bearer: Option<HeaderValue>,
    limits: Limits,
    encoding: OnceCell<Encoding>,
}

/// A body with its header length.
struct Reply {
    status: StatusCode,
    /// `Retry-After` in seconds; its form as a date is not read.
    retry_after_s: Option<u64>,
    header_len: Option<usize>,
    body: Bytes,
}

impl RestClient {
    pub(crate) fn new(config: &Config, bearer: Option<HeaderValue>) -> Result<Self, UpstreamError> {
        let connect_timeout = Duration::from_millis(config.connect_timeout_ms);
        let connector = connector(config.ca_pem.as_deref(), connect_timeout, Versions::One)?;
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(config.connections_max)
            .build(connector);
        let base = &config.target.base;
        let mut model_url = format!("{base}/v2/models/{}", segment(&config.model));
        if let Some(version) = &config.version {
            model_url = format!("{model_url}/versions/{}", segment(version));
        }
        let infer_url = format!("{model_url}/infer").parse();
        let infer_url =
            infer_url.map_err(|_| UpstreamError::Settings("the model's address is too long".into()))?;
        Ok(Self {
            client,
            target: config.target.to_string(),
            server_url: format!("{base}/v2"),
            live_url: format!("{base}/v2/health/live"),
            model_url,
            infer_url,
            bearer,
            limits: config.limits,
            encoding: OnceCell::new(),
        })
    }

    pub(crate) async fn infer(&self, ask: &Ask<'_>) -> Result<Answer, UpstreamError> {
        let written = rest::write_request(ask, self.encoding().await)?;
        let mut request = Request::new(Full::new(Bytes::from(written.body)));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.infer_url.clone();
        let content_type = match written.header_len {
            Some(length) => {
                request.headers_mut().insert(HEADER_LENGTH, HeaderValue::from(length));
                "application/octet-stream"
            }
            None => "application/json",
        };
        request.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        let reply = self.send(request).await?;
        if reply.status != StatusCode::OK {
            return Err(self.refused(&reply));
        }
        rest::parse_response(&reply.body, reply.header_len, &self.limits)
            .map_err(|e| UpstreamError::BadReply { target: self.target.clone(), reason: e.to_string() })
    }

    pub(crate) async fn server(&self) -> Result<ServerMetadata, UpstreamError> {
        let reply = self.get(&self.server_url).await?;
        rest::parse_server_metadata(&reply.body, &self.limits)
            .map_err(|e| UpstreamError::BadReply { target: self.target.clone(), reason: e.to_string() })
    }

    pub(crate) async fn model(&self) -> Result<ModelMetadata, UpstreamError> {
        let reply = self.get(&self.model_url).await?;
        rest::parse_model_metadata(&reply.body, &self.limits)
            .map_err(|e| UpstreamError::BadReply { target: self.target.clone(), reason: e.to_string() })
    }

    /// Servers answer with 200 or not; some add a body, which is not read for meaning.
    pub(crate) async fn ready(&self) -> Result<bool, UpstreamError> {
        self.get(&self.live_url).await?;
        match self.get(&format!("{}/ready", self.model_url)).await {
            Ok(_) => Ok(true),
            Err(UpstreamError::Refused { .. } | UpstreamError::AskedToWait { .. }) => Ok(false),
            Err(other) => Err(other),
        }
    }

    /// Binary tensors if the server announces them; asked once, and again only while nobody answers.
    async fn encoding(&self) -> Encoding {
        let asked = self.encoding.get_or_try_init(|| async {
            let metadata = match self.server().await {
                Ok(metadata) => metadata,
                // It answers inferences but says nothing of itself: plain JSON is what every server reads.
                Err(UpstreamError::Refused { .. } | UpstreamError::BadReply { .. }) => {
                    return Ok(Encoding::Json);
                }
                Err(other) => return Err(other),
            };
            let binary = metadata.extensions.iter().any(|e| e == BINARY_EXTENSION);
            Ok(if binary { Encoding::Binary } else { Encoding::Json })
        });
        asked.await.copied().unwrap_or(Encoding::Json)
    }

    async fn get(&self, url: &str) -> Result<Reply, UpstreamError> {
        let request = Request::get(url).body(Full::new(Bytes::new()));
        let request = request.map_err(|e| UpstreamError::Settings(e.to_string()))?;
        let reply = self.send(request).await?;
        if reply.status.is_success() { Ok(reply) } else { Err(self.refused(&reply)) }
    }

    async fn send(&self, mut request: Request<Full<Bytes>>) -> Result<Reply, UpstreamError> {
        if let Some(bearer) = &self.bearer {
            request.headers_mut().insert(header::AUTHORIZATION, bearer.clone());
        }
        let response = self.client.request(request).await.map_err(|e| unreachable(&self.target, &e))?;
        let (head, body) = response.into_parts();
        let header_len =
            head.headers.get(HEADER_LENGTH).map(|v| v.to_str().ok().and_then(|t| t.parse().ok()));
        let header_len = match header_len {
            Some(None) => {
                let reason = "its header `inference-header-content-length` is not a number".to_owned();
                return Err(UpstreamError::BadReply { target: self.target.clone(), reason });
            }
            Some(length) => length,
            None => None,
        };
        let retry_after = head.headers.get(header::RETRY_AFTER);
        let retry_after_s = retry_after.and_then(|v| v.to_str().ok()?.trim().parse().ok());
        let body = collect(body, self.limits.body_bytes, &self.target).await?;
        Ok(Reply { status: head.status, retry_after_s, header_len, body })
    }

    fn refused(&self, reply: &Reply) -> UpstreamError {
        let detail = Detail::new(rest::parse_error(&reply.body).unwrap_or_default());
        let status = format!("HTTP {}", reply.status.as_u16());
        let busy = matches!(reply.status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
        if let Some(seconds) = reply.retry_after_s.filter(|_| busy) {
            let retry_after_ms = seconds.saturating_mul(1_000);
            return UpstreamError::AskedToWait { target: self.target.clone(), status, retry_after_ms };
        }
        UpstreamError::Refused { target: self.target.clone(), status, detail }
    }
}

/// A name as one segment of a path (RFC 3986, 3.3): everything but unreserved characters is percent-encoded, so that
/// a name cannot lead to another address.
pub(crate) fn segment(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric()
            || matches!(byte, b'-' | b'_' | b'~')
            || (byte == b'.' && name.len() > 2)
        {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::segment;

    #[test]
    fn a_name_stays_one_segment() {
        assert_eq!(segment("wdbc_mlp-1.0"), "wdbc_mlp-1.0");
        assert_eq!(segment("a/../b?c#d e"), "a%2F..%2Fb%3Fc%23d%20e");
        assert_eq!(segment(".."), "%2E%2E");
        assert_eq!(segment("é"), "%C3%A9");
    }
}
