//! Who may ask the API what, beside the names the gate knows.
//!
//! Pages of other sites may ask nothing: a browser says whose page it is (`Origin`, `Sec-Fetch-Site`), and changes need a
//! media type that no form can send. Reads need the token where there is one; changes and stored records always need one:
//! the configured one, or the key of this process.

use super::routes::ROUTES;
use super::{ROOT, is_read};
use crate::observe::meters::Refused;
use crate::server::refuse;
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, header, uri::Authority};
use axum::response::Response;

/// What a request has to bring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::server) enum Key {
    /// The token, where one is configured.
    Read,
    /// The token, or this process's key: always.
    Change,
}

/// What is needed for a request below `/api/`; none for other paths.
pub(in crate::server) fn key_of(request: &Request) -> Option<Key> {
    let path = request.uri().path();
    if !path.starts_with(ROOT) {
        return None;
    }
    let guarded = ROUTES.iter().any(|route| route.private && route.is_at(path));
    Some(if is_read(request.method()) && !guarded { Key::Read } else { Key::Change })
}

/// Refuses what another site's page asks, and changes that no program of ours would send so.
pub(in crate::server) fn refuse_foreign(request: &Request) -> Option<(Refused, Response)> {
    let headers = request.headers();
    let said = headers.get_all("sec-fetch-site").iter();
    let elsewhere = said.filter(|site| !matches!(site.as_bytes(), b"same-origin" | b"none")).count() > 0;
    if elsewhere || !is_own_origin(headers) {
        return Some((Refused::Origin, refuse(StatusCode::FORBIDDEN, "pages of other sites may not ask here")));
    }
    if !is_read(request.method()) && !is_json(headers) {
        let reason = "changes are asked for with `content-type: application/json`";
        return Some((Refused::ContentType, refuse(StatusCode::UNSUPPORTED_MEDIA_TYPE, reason)));
    }
    None
}

/// No origin, or the very host and port the request names.
fn is_own_origin(headers: &HeaderMap) -> bool {
    let mut origins = headers.get_all(header::ORIGIN).iter();
    let Some(origin) = origins.next() else { return true };
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()?.parse::<Authority>().ok());
    let there = origin.to_str().ok().and_then(|origin| {
        let (scheme, rest) = origin.split_once("://")?;
        let usual = match scheme {
            "http" => 80,
            "https" => 443,
            _ => return None,
        };
        Some((rest.parse::<Authority>().ok()?, usual))
    });
    let (Some(host), Some((there, usual)), None) = (host, there, origins.next()) else { return false };
    there.host().eq_ignore_ascii_case(host.host())
        && there.port_u16().unwrap_or(usual) == host.port_u16().unwrap_or(usual)
}

fn is_json(headers: &HeaderMap) -> bool {
    let mut types = headers.get_all(header::CONTENT_TYPE).iter();
    let (Some(first), None) = (types.next(), types.next()) else { return false };
    let essence = first.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json")
}
