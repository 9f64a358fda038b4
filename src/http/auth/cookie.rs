//! `[auth.cookie]`: a login whose answer sets cookies, which travel with every request after it.
//!
//! Cookies are the host's own: a `Domain` that would widen them is passed over, and they never leave the origin they
//! came from.

use super::errand::Errand;
use crate::http::transport::WireRequest;
use crate::value::rule::StatusRange;
use crate::value::secret::Secret;
use chrono::{DateTime, Utc};
use reqwest::header::{COOKIE, HeaderMap, HeaderValue, SET_COOKIE};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use url::Url;

/// Most cookies kept.
const MOST: usize = 50;
/// Longest name and value kept.
const LONGEST: usize = 4096;

/// `[auth.cookie]`
#[derive(Debug, Clone)]
pub struct Cookie {
    /// `login`
    pub login: Login,
}

/// `[auth.cookie.login]`
#[derive(Debug, Clone)]
pub struct Login {
    /// The request.
    pub errand: Errand,
    /// `success_status`; empty: 2xx, or a redirect that sets a cookie.
    pub success_status: Vec<StatusRange>,
}

impl Login {
    /// Whether a status is a login that went well.
    pub(in crate::http) fn accepts(&self, status: u16) -> bool {
        match &self.success_status[..] {
            [] => matches!(status, 200..=299 | 302 | 303),
            listed => listed.iter().any(|range| range.contains(status)),
        }
    }
}

struct Kept {
    name: String,
    value: Secret,
    path: String,
    secure: bool,
    ends: Option<DateTime<Utc>>,
}

/// The cookies of one login.
#[derive(Default)]
pub(in crate::http) struct Jar(Mutex<Vec<Kept>>);

impl Jar {
    /// Takes in what an answer sets. True when it set anything.
    pub(in crate::http) fn take_in(&self, headers: &HeaderMap, url: &Url, now: DateTime<Utc>) -> bool {
        let mut cookies = self.lock();
        let mut any = false;
        for value in headers.get_all(SET_COOKIE) {
            let Some(cookie) = parse(value, url, now) else { continue };
            any = true;
            cookies.retain(|other| other.name != cookie.name || other.path != cookie.path);
            if cookie.ends.is_none_or(|ends| ends > now) && cookies.len() < MOST {
                cookies.push(cookie);
            }
        }
        any
    }

    /// Whether it holds nothing.
    pub(in crate::http) fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// The values, none of which may be shown.
    pub(in crate::http) fn secrets(&self) -> Vec<Secret> {
        self.lock().iter().map(|cookie| cookie.value.clone()).collect()
    }

    /// Adds those that belong to the request's place, behind a configured header. Gives the values that are new to
    /// nobody but the caller's redactor.
    pub(super) fn apply(&self, request: &mut WireRequest, now: DateTime<Utc>) -> Result<Vec<Secret>, String> {
        let mut cookies = self.lock();
        cookies.retain(|cookie| cookie.ends.is_none_or(|ends| ends > now));
        let mut here: Vec<&Kept> = cookies.iter().filter(|cookie| cookie.goes_to(&request.url)).collect();
        if here.is_empty() {
            return Ok(Vec::new());
        }
        // Longer paths first (RFC 6265 5.4).
        here.sort_by_key(|cookie| std::cmp::Reverse(cookie.path.len()));
        let own = request.headers.get(COOKIE).and_then(|value| value.to_str().ok().map(str::to_owned));
        let pairs = here.iter().map(|cookie| format!("{}={}", cookie.name, cookie.value.reveal()));
        let text = own.into_iter().chain(pairs).collect::<Vec<_>>().join("; ");
        let mut value = HeaderValue::from_str(&text).map_err(|_| "a cookie of the login cannot be sent".to_owned())?;
        value.set_sensitive(true);
        request.headers.insert(COOKIE, value);
        Ok(here.iter().map(|cookie| cookie.value.clone()).collect())
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Kept>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn goes_to(&self, url: &Url) -> bool {
        let path = url.path();
        let below = path.strip_prefix(self.path.as_str());
        let within = below.is_some_and(|rest| rest.is_empty() || self.path.ends_with('/') || rest.starts_with('/'));
        within && (!self.secure || is_secure(url))
    }
}

/// https, or the machine itself.
fn is_secure(url: &Url) -> bool {
    let local = match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    };
    url.scheme() == "https" || local
}

/// One `Set-Cookie`; nothing when it cannot be read or is too long.
fn parse(header: &HeaderValue, url: &Url, now: DateTime<Utc>) -> Option<Kept> {
    let text = header.to_str().ok()?;
    let mut parts = text.split(';').map(str::trim);
    let (name, value) = parts.next()?.split_once('=')?;
    let (name, value) = (name.trim(), value.trim());
    if name.is_empty() || name.len() + value.len() > LONGEST {
        return None;
    }
    let mut cookie =
        Kept { name: name.to_owned(), value: Secret::new(value), path: default_path(url), secure: false, ends: None };
    let mut max_age = None;
    for part in parts {
        let (key, value) = part.split_once('=').map_or((part, ""), |(key, value)| (key.trim(), value.trim()));
        match key.to_ascii_lowercase().as_str() {
            "path" if value.starts_with('/') => value.clone_into(&mut cookie.path),
            "secure" => cookie.secure = true,
            "expires" => cookie.ends = cookie.ends.or_else(|| crate::http::retry_after::instant(value)),
            "max-age" => max_age = value.parse::<i64>().ok(),
            _ => {}
        }
    }
    if let Some(seconds) = max_age {
        // `Max-Age` counts more than `Expires`; what lies too far away to be counted does not end.
        let life = u64::try_from(seconds).map(Duration::from_secs).unwrap_or_default();
        cookie.ends = chrono::TimeDelta::from_std(life).ok().and_then(|life| now.checked_add_signed(life));
    }
    Some(cookie)
}

/// The directory of the request (RFC 6265 5.1.4).
fn default_path(url: &Url) -> String {
    match url.path().rfind('/') {
        None | Some(0) => "/".to_owned(),
        Some(end) => url.path()[..end].to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::request::Method;

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(1_700_000_000, 0).unwrap()
    }

    fn jar(set: &[&str], from: &str) -> Jar {
        let jar = Jar::default();
        let headers = set.iter().map(|text| (SET_COOKIE, HeaderValue::from_str(text).unwrap())).collect();
        jar.take_in(&headers, &from.parse().unwrap(), now());
        jar
    }

    fn sent(jar: &Jar, to: &str) -> Option<String> {
        let headers = HeaderMap::new();
        let mut wire = WireRequest { method: Method::Get, url: to.parse().unwrap(), headers, body: None };
        jar.apply(&mut wire, now()).unwrap();
        wire.headers.get(COOKIE).map(|value| value.to_str().unwrap().to_owned())
    }

    #[test]
    fn cookies_travel_below_their_path_longest_first() {
        let jar = jar(&["a=1; Path=/", "b=2; path=/api", "c=3"], "https://x.example/login/now");
        assert_eq!(sent(&jar, "https://x.example/api/orders").as_deref(), Some("b=2; a=1"));
        assert_eq!(sent(&jar, "https://x.example/apis").as_deref(), Some("a=1"));
        assert_eq!(sent(&jar, "https://x.example/login").as_deref(), Some("c=3; a=1"));
    }

    #[test]
    fn a_renewed_cookie_replaces_the_old_one_and_an_ended_one_goes() {
        let jar = jar(&["s=1; Path=/; Max-Age=60"], "https://x.example/");
        let set = |text: &str| [(SET_COOKIE, HeaderValue::from_str(text).unwrap())].into_iter().collect();
        let url = "https://x.example/".parse().unwrap();
        assert!(jar.take_in(&set("s=2; Path=/; Expires=Thu, 01 Jan 2099 00:00:00 GMT"), &url, now()));
        assert_eq!(sent(&jar, "https://x.example/").as_deref(), Some("s=2"));
        jar.take_in(&set("s=; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT"), &url, now());
        assert!(jar.is_empty());
        jar.take_in(&set("s=3; Path=/; Max-Age=-5; Expires=Thu, 01 Jan 2099 00:00:00 GMT"), &url, now());
        assert!(jar.is_empty());
    }

    #[test]
    fn what_is_broken_too_long_or_too_many_is_passed_over() {
        let long = format!("l={}", "x".repeat(5000));
        let empty = jar(&["novalue", "=x", &long, ""], "https://x.example/");
        assert!(empty.is_empty());
        let many: Vec<String> = (0..200).map(|n| format!("c{n}=v")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_eq!(jar(&many, "https://x.example/").secrets().len(), MOST);
    }

    #[test]
    fn a_secure_cookie_needs_https_or_the_machine_itself() {
        let jar = jar(&["s=1; Secure; Path=/"], "https://x.example/");
        assert_eq!(sent(&jar, "http://x.example/"), None);
        assert_eq!(sent(&jar, "http://127.0.0.1:8000/").as_deref(), Some("s=1"));
    }

    #[test]
    fn cookies_stand_behind_a_configured_header() {
        let jar = jar(&["s=1; Path=/"], "https://x.example/");
        let headers = [(COOKIE, HeaderValue::from_static("lang=en"))].into_iter().collect();
        let url = "https://x.example/".parse().unwrap();
        let mut wire = WireRequest { method: Method::Get, url, headers, body: None };
        jar.apply(&mut wire, now()).unwrap();
        assert_eq!(wire.headers[COOKIE], "lang=en; s=1");
        assert!(wire.headers[COOKIE].is_sensitive());
    }
}
