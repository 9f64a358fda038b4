//! The dashboard: a page, its style and its modules, all of them part of the program.
//!
//! What is served here is the same for everybody and knows nothing: data comes from `/api/`, with whatever that asks for.
//! So it is open to who can reach the address by a known name, and the place where a token can be typed in.

use super::App;
use axum::Router;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use sha2::{Digest, Sha256};
use std::sync::LazyLock;

/// Its own files only, nothing inline, nothing framed, and no text that becomes markup.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
);
/// Kept by a browser, and asked for anew each time: another version of the program is another page.
const KEPT: HeaderValue = HeaderValue::from_static("no-cache");

/// One file of the page.
struct Asset {
    path: &'static str,
    media: &'static str,
    text: &'static str,
}

macro_rules! assets {
    ($($path:literal $media:ident $file:literal)*) => {
        &[$(Asset { path: $path, media: $media, text: include_str!($file) }),*]
    };
}

const HTML: &str = "text/html; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const IMAGE: &str = "image/svg+xml";

const ASSETS: &[Asset] = assets! {
    "/" HTML "index.html"
    "/ui/app.css" STYLE "app.css"
    "/ui/icon.svg" IMAGE "icon.svg"
    "/ui/app.js" SCRIPT "app.js"
    "/ui/api.js" SCRIPT "api.js"
    "/ui/act.js" SCRIPT "act.js"
    "/ui/dom.js" SCRIPT "dom.js"
    "/ui/words.js" SCRIPT "words.js"
    "/ui/charts.js" SCRIPT "charts.js"
    "/ui/diagram.js" SCRIPT "diagram.js"
    "/ui/parts.js" SCRIPT "parts.js"
    "/ui/overview.js" SCRIPT "overview.js"
    "/ui/flow.js" SCRIPT "flow.js"
    "/ui/run.js" SCRIPT "run.js"
    "/ui/connection.js" SCRIPT "connection.js"
    "/ui/errors.js" SCRIPT "errors.js"
    "/ui/reloads.js" SCRIPT "reloads.js"
};

/// Whether a request asks for a file of the page: open to everybody, as it tells nothing.
pub(super) fn is_asset(method: &Method, path: &str) -> bool {
    matches!(*method, Method::GET | Method::HEAD) && ASSETS.iter().any(|asset| asset.path == path)
}

pub(super) fn router() -> Router<App> {
    ASSETS.iter().enumerate().fold(Router::new(), |router, (at, asset)| {
        router.route(asset.path, get(move |headers: HeaderMap| async move { answer(at, &headers) }))
    })
}

/// The file, or that the browser's own is still the same.
fn answer(at: usize, headers: &HeaderMap) -> Response {
    let (asset, tag) = (&ASSETS[at], &TAGS[at]);
    let known = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let same = known.flat_map(|list| list.split(',')).any(|one| one.trim().trim_start_matches("W/") == tag);
    let mut response = if same {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        ([(header::CONTENT_TYPE, HeaderValue::from_static(asset.media))], asset.text).into_response()
    };
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, POLICY);
    headers.insert(header::CACHE_CONTROL, KEPT);
    if let Ok(tag) = HeaderValue::from_str(tag) {
        headers.insert(header::ETAG, tag);
    }
    response
}

/// Strong tags, of the bytes.
static TAGS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let tag = |asset: &Asset| {
        let digest = Sha256::digest(asset.text.as_bytes());
        let short = digest.first_chunk().copied().map(u128::from_be_bytes).unwrap_or_default();
        format!("\"{short:032x}\"")
    };
    ASSETS.iter().map(tag).collect()
});

#[cfg(test)]
mod tests;
