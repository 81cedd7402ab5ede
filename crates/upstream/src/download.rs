//! Fetching one published file: bounded, checked against the publisher's digest, and kept whole or not at all.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use domain::Digest;
use http::{StatusCode, Uri, header};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use md5::{Digest as _, Md5};

use crate::config::is_loopback;
use crate::error::Detail;
use crate::outbound::{address, within};
use crate::{Outbound, UpstreamError, wire};

/// Redirects followed for one file. Zenodo uses one, mirrors two.
pub const REDIRECTS_MAX: usize = 5;
/// Time for an answer to begin, in milliseconds.
const ANSWER_MS: u64 = 30_000;
/// Time without a single byte after which a transfer counts as dead, in milliseconds.
const STALL_MS: u64 = 30_000;

/// What a file should be. Without a digest nothing vouches for it but the server's certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Largest size accepted, in bytes.
    pub bytes_max: u64,
    /// SHA-256, if published.
    pub sha256: Option<Digest>,
    /// MD5, if that is all that is published: it finds a broken transfer, not a determined forger.
    pub md5: Option<[u8; 16]>,
}

impl Outbound {
    /// Fetches `url` into the file `to`, replacing it, and gives its size. `progress` is told bytes so far and in all,
    /// if known. Only https, also over redirects, save from this machine itself.
    ///
    /// The bytes go to a temporary file beside `to`, are flushed to disk, and are renamed only when size and digests
    /// are right, so `to` never holds half a file.
    ///
    /// # Errors
    /// [`UpstreamError`]; offline it is [`UpstreamError::Unreachable`].
    pub async fn download(
        &self,
        url: &str,
        wanted: &Wanted,
        to: &Path,
        mut progress: impl FnMut(u64, Option<u64>) + Send,
    ) -> Result<u64, UpstreamError> {
        let (target, body) = self.open(url).await?;
        let length = hyper::body::Body::size_hint(&body).exact();
        let too_large = || UpstreamError::TooLarge { target: target.clone(), max: wanted.bytes_max };
        if length.is_some_and(|l| l > wanted.bytes_max) {
            return Err(too_large());
        }
        let folder = to.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
        let mut file = tempfile::Builder::new()
            .prefix(".download-")
            .tempfile_in(folder)
            .map_err(|e| cannot_write(to, &e))?;
        let (mut sha256, mut md5) = (domain::Hasher::new(), Md5::new());
        let mut body = body;
        let mut size = 0_u64;
        progress(0, length);
        // Ends with the body, at `bytes_max`, or when nothing comes for too long.
        while let Some(chunk) = next(&mut body, &target).await? {
            size = size.saturating_add(chunk.len() as u64);
            if size > wanted.bytes_max {
                return Err(too_large());
            }
            sha256.update(&chunk);
            md5.update(&chunk);
            file.write_all(&chunk).map_err(|e| cannot_write(to, &e))?;
            progress(size, length);
        }
        let wrong = |algorithm| UpstreamError::WrongDigest { target: target.clone(), algorithm };
        if wanted.sha256.is_some_and(|d| d != sha256.finish()) {
            return Err(wrong("SHA-256"));
        }
        if wanted.md5.is_some_and(|d| d[..] != md5.finalize()[..]) {
            return Err(wrong("MD5"));
        }
        let (path, folder) = (to.to_owned(), folder.to_owned());
        // Flushing may take seconds on a busy disk; other tasks go on meanwhile.
        tokio::task::spawn_blocking(move || keep(file, &path, &folder))
            .await
            .map_err(|e| UpstreamError::File { path: to.display().to_string(), reason: e.to_string() })??;
        Ok(size)
    }

    /// Follows redirects to the body.
    async fn open(&self, url: &str) -> Result<(String, Incoming), UpstreamError> {
        let (mut uri, mut target) = address(url)?;
        for _ in 0..=REDIRECTS_MAX {
            allowed(&uri, &target)?;
            let response = self.get(&uri, &target, ANSWER_MS).await?;
            let status = response.status();
            if status == StatusCode::OK {
                return Ok((target, response.into_body()));
            }
            let refused = || UpstreamError::Refused {
                target: target.clone(),
                status: format!("HTTP {}", status.as_u16()),
                detail: Detail::new(String::new()),
            };
            if !matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308) {
                return Err(refused());
            }
            let location = response.headers().get(header::LOCATION).and_then(|l| l.to_str().ok());
            let next = location.and_then(|l| resolve(&uri, l)).ok_or_else(refused)?;
            if uri.scheme_str() == Some("https") && next.scheme_str() != Some("https") {
                let reason = "it redirects to an address without https, which is not followed".to_owned();
                return Err(UpstreamError::BadReply { target, reason });
            }
            (uri, target) = address(&next.to_string())?;
        }
        Err(UpstreamError::BadReply { target, reason: format!("more than {REDIRECTS_MAX} redirects") })
    }
}

/// https, or this machine itself.
pub(crate) fn allowed(uri: &Uri, target: &str) -> Result<(), UpstreamError> {
    if uri.scheme_str() == Some("https") || is_loopback(uri) {
        return Ok(());
    }
    Err(UpstreamError::Settings(format!("{target} is not https: files are fetched over https only")))
}

/// A redirect's target (RFC 9110, 10.2.2): absolute, or absolute path on the same host.
pub(crate) fn resolve(base: &Uri, location: &str) -> Option<Uri> {
    if location.starts_with('/') && !location.starts_with("//") {
        let parts = Uri::builder().scheme(base.scheme()?.clone()).authority(base.authority()?.clone());
        return parts.path_and_query(location).build().ok();
    }
    location.parse().ok().filter(|uri: &Uri| uri.scheme().is_some())
}

/// The next bytes of the body; `None` at its end.
async fn next(body: &mut Incoming, target: &str) -> Result<Option<Bytes>, UpstreamError> {
    let frame = within(STALL_MS, target, async {
        body.frame().await.transpose().map_err(|e| wire::unreachable(target, &e))
    });
    // Trailers are empty chunks.
    Ok(frame.await?.map(|frame| frame.into_data().unwrap_or_default()))
}

/// Flushes the file and gives it its name.
fn keep(file: tempfile::NamedTempFile, to: &PathBuf, folder: &Path) -> Result<(), UpstreamError> {
    file.as_file().sync_all().map_err(|e| cannot_write(to, &e))?;
    file.persist(to).map_err(|e| cannot_write(to, &e.error))?;
    // The new name is on disk only when its folder is.
    let folder = std::fs::File::open(folder).and_then(|f| f.sync_all());
    folder.map_err(|e| cannot_write(to, &e))
}

fn cannot_write(to: &Path, error: &std::io::Error) -> UpstreamError {
    UpstreamError::File { path: to.display().to_string(), reason: error.to_string() }
}
