//! Query parameters of a URL: percent-encoded, whatever is there already is kept as it stands.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use url::Url;

/// RFC 3986's unreserved characters stay, everything else is encoded: no value can begin another parameter.
const VALUE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Adds a parameter behind the others.
pub(super) fn add(url: &mut Url, name: &str, value: &str) {
    let mut query = url.query().unwrap_or_default().to_owned();
    push(&mut query, name, value);
    url.set_query(Some(&query));
}

/// Adds several parameters behind the others.
pub(super) fn extend<'a>(url: &mut Url, pairs: impl IntoIterator<Item = (&'a str, &'a str)>) {
    let mut query = url.query().unwrap_or_default().to_owned();
    let before = query.len();
    for (name, value) in pairs {
        push(&mut query, name, value);
    }
    if query.len() != before {
        url.set_query(Some(&query));
    }
}

/// Adds a parameter unless one of that name is there.
pub(super) fn add_if_absent(url: &mut Url, name: &str, value: &str) {
    if !has(url, name) {
        add(url, name, value);
    }
}

/// Adds the parameters whose names are not there; several of one name stay together.
pub(super) fn extend_absent(url: &mut Url, pairs: &[(String, String)]) {
    if pairs.is_empty() {
        return;
    }
    let before = url.clone();
    extend(url, pairs.iter().filter(|(n, _)| !has(&before, n)).map(|(n, v)| (n.as_str(), v.as_str())));
}

/// Puts one parameter in place of all of that name; the rest keeps its bytes and its order.
pub(super) fn set(url: &mut Url, name: &str, value: &str) {
    let mut query = without(url, name);
    push(&mut query, name, value);
    url.set_query(Some(&query));
}

/// Takes all parameters of a name away.
pub(super) fn remove(url: &mut Url, name: &str) {
    if has(url, name) {
        let query = without(url, name);
        url.set_query((!query.is_empty()).then_some(&query));
    }
}

/// Whether a parameter of that name is there.
pub(super) fn has(url: &Url, name: &str) -> bool {
    pieces(url).any(|piece| is_named(piece, name))
}

fn without(url: &Url, name: &str) -> String {
    pieces(url).filter(|piece| !is_named(piece, name)).collect::<Vec<_>>().join("&")
}

fn pieces(url: &Url) -> impl Iterator<Item = &str> {
    url.query().unwrap_or_default().split('&').filter(|piece| !piece.is_empty())
}

fn is_named(piece: &str, name: &str) -> bool {
    let written = piece.split_once('=').map_or(piece, |(name, _)| name).replace('+', " ");
    percent_decode_str(&written).decode_utf8_lossy() == name
}

fn push(query: &mut String, name: &str, value: &str) {
    if !query.is_empty() && !query.ends_with('&') {
        query.push('&');
    }
    query.extend(utf8_percent_encode(name, VALUE));
    query.push('=');
    query.extend(utf8_percent_encode(value, VALUE));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn what_is_there_keeps_its_bytes() {
        let mut url = url("https://a.example/x?a=%2f&b=1+2&&c");
        add(&mut url, "d", "e");
        assert_eq!(url.as_str(), "https://a.example/x?a=%2f&b=1+2&&c&d=e");
    }

    #[test]
    fn no_value_can_begin_another_parameter_or_a_fragment() {
        let mut url = url("https://a.example/x");
        add(&mut url, "a b", "1&admin=true#f?/é+%41\r\n");
        assert_eq!(url.query(), Some("a%20b=1%26admin%3Dtrue%23f%3F%2F%C3%A9%2B%2541%0D%0A"));
        assert_eq!(url.fragment(), None);
        assert_eq!(url.query_pairs().count(), 1);
    }

    #[test]
    fn setting_replaces_every_parameter_of_the_name_however_it_is_spelled() {
        let mut url = url("https://a.example/x?pa%67e=1&size=10&page=2");
        set(&mut url, "page", "3");
        assert_eq!(url.query(), Some("size=10&page=3"));
        assert!(has(&url, "size"));
        remove(&mut url, "size");
        remove(&mut url, "page");
        assert_eq!(url.as_str(), "https://a.example/x");
    }

    #[test]
    fn an_absent_parameter_is_added_and_a_present_one_kept() {
        let mut url = url("https://a.example/x?key=theirs");
        add_if_absent(&mut url, "key", "ours");
        add_if_absent(&mut url, "other", "1");
        let pairs = [("key", "2"), ("tag", "a"), ("tag", "b")].map(|(n, v)| (n.to_owned(), v.to_owned()));
        extend_absent(&mut url, &pairs);
        assert_eq!(url.query(), Some("key=theirs&other=1&tag=a&tag=b"));
    }
}
