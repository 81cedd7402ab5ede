//! Reading parts of a published file without fetching all of it: HTTP range requests (RFC 9110, 14).

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Full};

use crate::error::Detail;
use crate::outbound::address;
use crate::wire::unreachable;
use crate::{Outbound, UpstreamError, download};

/// Largest stretch of one request, bytes.
pub const STRETCH_BYTES_MAX: u64 = 16 << 20;
/// Time for one stretch, milliseconds.
const STRETCH_MS: u64 = 60_000;
/// Redirects followed to the file.
const REDIRECTS_MAX: usize = crate::REDIRECTS_MAX;

/// Makes the headers that a request to a storage service must carry (a signature over method, address and time).
pub type Signer = dyn Fn(&Method, &Uri) -> Result<HeaderMap, UpstreamError> + Send + Sync;

/// A published file whose parts can be read.
pub struct Ranged {
    uri: Uri,
    target: String,
    length: u64,
    /// What the server calls this content; a change of it during the reading is an error.
    validator: Option<HeaderValue>,
    signer: Option<Box<Signer>>,
}

impl Outbound {
    /// Opens `url` for reading by ranges; `None` when the server does not offer them, then it must be fetched whole.
    /// Only https, save from this machine itself.
    ///
    /// # Errors
    /// [`UpstreamError`].
    pub async fn ranged(
        &self,
        url: &str,
        signer: Option<Box<Signer>>,
    ) -> Result<Option<Ranged>, UpstreamError> {
        let (mut uri, mut target) = address(url)?;
        for _ in 0..=REDIRECTS_MAX {
            download::allowed(&uri, &target)?;
            let response = self.range_request(&uri, &target, signer.as_deref(), "bytes=0-0").await?;
            let status = response.status();
            if status == StatusCode::PARTIAL_CONTENT {
                let headers = response.headers();
                let Some(length) = headers.get(header::CONTENT_RANGE).and_then(whole_length) else {
                    return Ok(None);
                };
                let validator =
                    headers.get(header::ETAG).or_else(|| headers.get(header::LAST_MODIFIED)).cloned();
                return Ok(Some(Ranged { uri, target, length, validator, signer }));
            }
            if status.is_success() || status == StatusCode::RANGE_NOT_SATISFIABLE {
                return Ok(None);
            }
            let refused = || refused(&target, status);
            if !status.is_redirection() || signer.is_some() {
                return Err(refused());
            }
            let location = response.headers().get(header::LOCATION).and_then(|l| l.to_str().ok());
            let next = location.and_then(|l| download::resolve(&uri, l)).ok_or_else(refused)?;
            (uri, target) = address(&next.to_string())?;
        }
        Err(UpstreamError::BadReply { target, reason: format!("more than {REDIRECTS_MAX} redirects") })
    }

    /// `length` bytes of the file from byte `at` on; fewer only at its end.
    ///
    /// # Errors
    /// [`UpstreamError`], also when the file has changed since it was opened.
    pub async fn stretch(&self, file: &Ranged, at: u64, length: u64) -> Result<Bytes, UpstreamError> {
        let length = length.min(STRETCH_BYTES_MAX).min(file.length.saturating_sub(at));
        if length == 0 {
            return Ok(Bytes::new());
        }
        let range = format!("bytes={at}-{}", at + length - 1);
        let response = self.range_request(&file.uri, &file.target, file.signer.as_deref(), &range).await?;
        if response.status() != StatusCode::PARTIAL_CONTENT {
            return Err(refused(&file.target, response.status()));
        }
        let headers = response.headers();
        let validator = headers.get(header::ETAG).or_else(|| headers.get(header::LAST_MODIFIED)).cloned();
        let changed = || UpstreamError::BadReply {
            target: file.target.clone(),
            reason: "the file changed while it was read; start again".to_owned(),
        };
        if validator != file.validator
            || headers.get(header::CONTENT_RANGE).and_then(whole_length) != Some(file.length)
        {
            return Err(changed());
        }
        let limit = usize::try_from(length).unwrap_or(usize::MAX);
        let body = http_body_util::Limited::new(response.into_body(), limit);
        let whole = tokio::time::timeout(Duration::from_millis(STRETCH_MS), body.collect()).await;
        let bytes = match whole {
            Err(_) => {
                return Err(UpstreamError::Timeout { target: file.target.clone(), after_ms: STRETCH_MS });
            }
            Ok(Err(e)) => {
                return Err(UpstreamError::BadReply { target: file.target.clone(), reason: e.to_string() });
            }
            Ok(Ok(collected)) => collected.to_bytes(),
        };
        if bytes.len() as u64 != length { Err(changed()) } else { Ok(bytes) }
    }

    async fn range_request(
        &self,
        uri: &Uri,
        target: &str,
        signer: Option<&Signer>,
        range: &str,
    ) -> Result<http::Response<hyper::body::Incoming>, UpstreamError> {
        let mut request = Request::new(Full::new(Bytes::new()));
        *request.uri_mut() = uri.clone();
        if let Some(signer) = signer {
            request.headers_mut().extend(signer(&Method::GET, uri)?);
        }
        let range = HeaderValue::from_str(range).map_err(|e| UpstreamError::Settings(e.to_string()))?;
        request.headers_mut().insert(header::RANGE, range);
        // A compressed answer has no use for ranges of the file itself.
        let plain: (HeaderName, HeaderValue) =
            (header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        request.headers_mut().insert(plain.0, plain.1);
        let sent =
            tokio::time::timeout(Duration::from_millis(STRETCH_MS), self.client.request(request)).await;
        match sent {
            Err(_) => Err(UpstreamError::Timeout { target: target.to_owned(), after_ms: STRETCH_MS }),
            Ok(answer) => answer.map_err(|e| unreachable(target, &e)),
        }
    }
}

impl Ranged {
    /// Length of the file, bytes.
    pub fn length(&self) -> u64 {
        self.length
    }
}

/// The length of the whole from `bytes 0-0/1234`.
fn whole_length(value: &HeaderValue) -> Option<u64> {
    value.to_str().ok()?.strip_prefix("bytes ")?.split_once('/')?.1.parse().ok()
}

fn refused(target: &str, status: StatusCode) -> UpstreamError {
    UpstreamError::Refused {
        target: target.to_owned(),
        status: format!("HTTP {}", status.as_u16()),
        detail: Detail::new(String::new()),
    }
}
