//! Redirects: GET and HEAD only, on the same origin only, a few at most. A credential never follows a server's
//! wish to another place.

use super::request::Method;
use crate::value::uri::same_origin;
use reqwest::header::{HeaderMap, LOCATION};
use url::Url;

/// Most redirects followed for one attempt.
pub(super) const MOST: u32 = 5;

/// Where an answer leads.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Redirect {
    /// It is no redirect.
    None,
    /// To a place on the same origin.
    Follow(Url),
    /// To a place we do not go, and why.
    Refuse(String),
}

/// Reads where an answer to a request for `from` leads.
pub(super) fn read(method: Method, from: &Url, status: u16, headers: &HeaderMap, follow: bool) -> Redirect {
    if !matches!(status, 301 | 302 | 303 | 307 | 308) {
        return Redirect::None;
    }
    let Some(location) = headers.get(LOCATION) else { return Redirect::None };
    let to = location.to_str().ok().and_then(|text| from.join(text).ok());
    let Some(mut to) = to else {
        return Redirect::Refuse("the server redirects to something that is no URL".to_owned());
    };
    to.set_fragment(None);
    let refuse = |why: &str| Redirect::Refuse(format!("the server redirects to {}, {why}", place(&to)));
    if !follow {
        return refuse("and redirects are off");
    }
    if !matches!(method, Method::Get | Method::Head) {
        return refuse("and only GET and HEAD are redirected");
    }
    if !same_origin(&to, from) {
        return refuse("which is another origin");
    }
    if !to.username().is_empty() || to.password().is_some() {
        return refuse("with a user name of its own");
    }
    Redirect::Follow(to)
}

/// Scheme, host, port and path: the part of a URL that may be shown.
pub(super) fn place(url: &Url) -> String {
    format!("{}{}", url.origin().ascii_serialization(), url.path())
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::HeaderValue;

    fn lead(method: Method, location: &'static str) -> Redirect {
        let headers = [(LOCATION, HeaderValue::from_static(location))].into_iter().collect();
        read(method, &Url::parse("https://api.example/v1/a?key=1").unwrap(), 307, &headers, true)
    }

    #[test]
    fn the_same_origin_is_followed_for_get_and_head() {
        let there = Redirect::Follow(Url::parse("https://api.example/v2").unwrap());
        assert_eq!(lead(Method::Get, "/v2#x"), there);
        assert_eq!(lead(Method::Head, "https://api.example:443/v2"), there);
    }

    #[test]
    fn everything_else_is_refused_and_shows_no_query() {
        for location in [
            "https://evil.example/?t=1",
            "http://api.example/v2",
            "https://api.example:8443/v2",
            "//evil.example/",
            "https://api.example@evil.example/",
            "https://user@api.example/",
            "javascript:alert(1)",
            "http://[",
        ] {
            let Redirect::Refuse(why) = lead(Method::Get, location) else { panic!("{location} was followed") };
            assert!(!why.contains("t=1"), "{why}");
        }
        for method in [Method::Post, Method::Put, Method::Patch, Method::Delete] {
            assert!(matches!(lead(method, "/v2"), Redirect::Refuse(_)));
        }
    }

    #[test]
    fn without_a_location_or_with_redirects_off_nothing_is_followed() {
        let url = Url::parse("https://api.example/").unwrap();
        assert_eq!(read(Method::Get, &url, 302, &HeaderMap::new(), true), Redirect::None);
        let headers = [(LOCATION, HeaderValue::from_static("/x"))].into_iter().collect();
        assert_eq!(read(Method::Get, &url, 200, &headers, true), Redirect::None);
        assert_eq!(read(Method::Get, &url, 304, &headers, true), Redirect::None);
        assert!(matches!(read(Method::Get, &url, 302, &headers, false), Redirect::Refuse(_)));
    }
}
