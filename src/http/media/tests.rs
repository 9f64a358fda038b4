//! Tests of reading: which media type an answer is read as, and what is said when it is none.

use super::*;
use reqwest::header::{CONTENT_TYPE, HeaderMap};

fn read_as(types: MediaTypes, kind: &str, body: &[u8]) -> Result<String, String> {
    let mut headers = HeaderMap::new();
    if !kind.is_empty() {
        headers.insert(CONTENT_TYPE, kind.parse().unwrap());
    }
    let settings = MediaSettings::default();
    let lens = Lens { types, decode: None, settings: &settings, max: 1 << 20 };
    lens.read(true, &headers, body.to_vec())
        .map(|(document, _)| document.text().to_owned())
        .map_err(|unread| unread.why)
}

fn read(kind: &str, body: &[u8]) -> Result<String, String> {
    read_as(MediaTypes::default(), kind, body)
}

#[test]
fn the_content_type_decides_when_nothing_is_said() {
    for (kind, body, expected) in [
        ("application/json", "{\"a\":1e400}", "{\"a\":1e400}"),
        ("application/problem+json; charset=utf-8", "{}", "{}"),
        ("", "[1]", "[1]"),
        ("text/plain", "[1]", "[1]"),
        ("text/html", "[1]", "[1]"),
        ("application/octet-stream", "[1]", "[1]"),
        ("text/csv; header=present", "a\n1\n", "[{\"a\":\"1\"}]"),
        ("text/tab-separated-values", "a\tb\n1\t2,\n", "[{\"a\":\"1\",\"b\":\"2,\"}]"),
        ("application/x-ndjson", "1\n2\n", "[1,2]"),
        ("Application/X-WWW-Form-Urlencoded", "a=1", "{\"a\":\"1\"}"),
    ] {
        assert_eq!(read(kind, body.as_bytes()).as_deref(), Ok(expected), "{kind}");
    }
}

#[test]
fn what_is_said_holds_over_the_content_type() {
    let success = |media| MediaTypes { success: Some(media), ..MediaTypes::default() };
    assert_eq!(read_as(success(MediaType::Csv), "application/json", b"a\n1\n").unwrap(), "[{\"a\":\"1\"}]");
    assert_eq!(read_as(success(MediaType::Text), "text/plain", b"1E9").unwrap(), "\"1E9\"");
    assert_eq!(read_as(success(MediaType::Json), "text/csv", b"{}").unwrap(), "{}");
    let request = |media| MediaTypes { request: Some(media), ..MediaTypes::default() };
    assert_eq!(read_as(request(MediaType::Csv), "text/plain", b"a\n1\n").unwrap(), "[{\"a\":\"1\"}]");
    assert_eq!(read_as(request(MediaType::Form), "", b"{}").unwrap(), "{}");
    let headers = HeaderMap::new();
    let settings = MediaSettings::default();
    let error = MediaTypes { error: Some(MediaType::Form), ..success(MediaType::Csv) };
    let lens = Lens { types: error, decode: None, settings: &settings, max: 100 };
    let (document, _) = lens.read(false, &headers, b"error=x".to_vec()).ok().unwrap();
    assert_eq!(document.text(), "{\"error\":\"x\"}");
}

#[test]
fn charsets_are_heard_and_json_is_utf_8_when_it_can_be() {
    assert_eq!(read("text/csv; charset=\"iso-8859-1\"", b"a\n\xe9\n").unwrap(), "[{\"a\":\"é\"}]");
    assert_eq!(read("text/csv", b"\xff\xfea\0\n\0\xe9\0").unwrap(), "[{\"a\":\"é\"}]");
    assert_eq!(read("application/json; charset=iso-8859-1", "\"é\"".as_bytes()).unwrap(), "\"é\"");
    assert_eq!(read("application/json; charset=iso-8859-1", b"\"\xe9\"").unwrap(), "\"é\"");
    assert_eq!(read("application/json", b"\xff\xfe\"\0\xe9\0\"\0").unwrap(), "\"é\"");
    assert_eq!(read("application/json", b"\xef\xbb\xbf{}").unwrap(), "{}");
    assert!(read("text/csv; charset=klingon", b"a").unwrap_err().contains("klingon"));
    assert!(read("text/csv", b"a\n\xe9\n").unwrap_err().contains("not UTF-8 at byte 3 (line 2)"));
    assert!(read("application/json", b"\"\xe9\"").unwrap_err().contains("not UTF-8"));
}

#[test]
fn what_came_instead_is_named() {
    let page = b"<!DOCTYPE html><title>502 Bad Gateway</title>";
    let error = read("text/html", page).unwrap_err();
    assert!(error.starts_with("the answer is not JSON but an HTML page (text/html): "), "{error}");
    let error = read("application/json", b"\x1f\x8b\x08\0").unwrap_err();
    assert!(error.contains("but gzip (`decode = [\"gzip\"]`"), "{error}");
    let error = read("", b"oops").unwrap_err();
    assert!(error.starts_with("the answer is not JSON (no content type): "), "{error}");
    let error = read("application/xml", b"a").unwrap_err();
    assert!(error.starts_with("the answer is not XML (application/xml): "), "{error}");
}

#[test]
fn json_is_the_buffer_that_came() {
    let body = b"{\"a\": [1, 2]}".to_vec();
    let place = body.as_ptr();
    let (settings, headers) = (MediaSettings::default(), HeaderMap::new());
    let lens = Lens { types: MediaTypes::default(), decode: None, settings: &settings, max: 1 << 20 };
    let (document, rest) = lens.read(true, &headers, body).ok().unwrap();
    assert_eq!(document.text().as_ptr(), place);
    assert!(rest.is_none());
}

#[test]
fn deep_json_is_refused_and_doubled_keys_and_half_characters_are_not() {
    assert!(read("", "[".repeat(50_000).as_bytes()).unwrap_err().contains("128 levels"));
    let text = r#"{"a":1,"a":"\ud800"}"#;
    assert_eq!(read("", text.as_bytes()).unwrap(), text);
}

#[test]
fn what_is_packed_is_unpacked_when_the_answer_is_good() {
    use unpack::{Decode, Layer};
    let decode = Decode { layers: vec![Layer::Base64], media: Some(MediaType::Csv) };
    let (settings, headers) = (MediaSettings::default(), HeaderMap::new());
    let lens = Lens { types: MediaTypes::default(), decode: Some(&decode), settings: &settings, max: 1 << 20 };
    let (document, _) = lens.read(true, &headers, b"aWQKMDA3Cg==".to_vec()).ok().unwrap();
    assert_eq!(document.text(), "[{\"id\":\"007\"}]");
    let (document, _) = lens.read(false, &headers, b"{\"error\":1}".to_vec()).ok().unwrap();
    assert_eq!(document.text(), "{\"error\":1}");
    let unread = lens.read(true, &headers, b"<html>".to_vec()).err().unwrap();
    assert!(unread.why.starts_with("`decode`: base64: ") && unread.body == b"<html>", "{}", unread.why);
}
