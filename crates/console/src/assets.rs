//! Style sheet, script and mark, embedded in the binary. Their names carry a digest of their content, so browsers may keep them for
//! ever and still see a new version at once.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};

/// One embedded file.
pub(crate) struct Asset {
    path: String,
    etag: String,
    content_type: &'static str,
    body: &'static str,
}

impl Asset {
    fn new(stem: &str, extension: &str, content_type: &'static str, body: &'static str) -> Self {
        let digest = domain::Digest::of(body.as_bytes()).short();
        let path = format!("/assets/{stem}-{digest}.{extension}");
        Self { path, etag: format!("\"{digest}\""), content_type, body }
    }

    /// The address that pages link to.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }
}

/// The style sheet.
pub(crate) static STYLE: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new("console", "css", "text/css; charset=utf-8", include_str!("../assets/console.css"))
});
/// The module that keeps live parts live.
pub(crate) static SCRIPT: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new("live", "js", "text/javascript; charset=utf-8", include_str!("../assets/live.js"))
});
/// The mark in the browser's tab.
pub(crate) static MARK: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("mark", "svg", "image/svg+xml", include_str!("../assets/mark.svg")));

/// `GET /assets/{name}`
pub(crate) async fn serve(Path(name): Path<String>, headers: HeaderMap) -> Response {
    let Some(asset) =
        [&*STYLE, &*SCRIPT, &*MARK].into_iter().find(|a| a.path.strip_prefix("/assets/") == Some(&*name))
    else {
        return (StatusCode::NOT_FOUND, "there is no such file: reload the page").into_response();
    };
    let known = headers
        .get(header::IF_NONE_MATCH)
        .and_then(|v| v.to_str().ok())
        .is_some_and(|v| v.contains(&asset.etag));
    let mut response =
        if known { StatusCode::NOT_MODIFIED.into_response() } else { asset.body.into_response() };
    let out = response.headers_mut();
    out.insert(header::CONTENT_TYPE, HeaderValue::from_static(asset.content_type));
    out.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable"));
    if let Ok(etag) = HeaderValue::from_str(&asset.etag) {
        out.insert(header::ETAG, etag);
    }
    response
}
