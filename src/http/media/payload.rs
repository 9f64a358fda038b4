//! From the bytes somebody sent us to a document: what they say they are decides, within what is expected.

use super::read::{Lens, Told};
use super::{MediaSettings, MediaType, MediaTypes};
use crate::value::document::Document;
use reqwest::header::HeaderMap;

/// Why a payload gives no document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unfit {
    /// It says it is something nobody expects here.
    Unsupported(String),
    /// It is not what it says.
    Unreadable(String),
}

/// Reads a payload. `expected` is the one type that is taken; none = any that is known. One that says nothing of itself
/// is taken as JSON where JSON would do.
pub fn payload(
    headers: &HeaderMap,
    expected: Option<MediaType>,
    body: Vec<u8>,
    settings: &MediaSettings,
) -> Result<Document, Unfit> {
    let told = Told::of(headers);
    let plain = told.essence.eq_ignore_ascii_case("text/plain").then_some(MediaType::Text);
    let media = match (told.media().or(plain), expected) {
        (None, _) if !told.essence.is_empty() => None,
        (None, expected) => Some(expected.unwrap_or_default()).filter(|media| *media == MediaType::Json),
        (Some(media), None) => Some(media),
        (Some(media), Some(expected)) => (media == expected).then_some(media),
    };
    let Some(media) = media else {
        let came = if told.essence.is_empty() { "nothing".to_owned() } else { format!("{:?}", told.essence) };
        let wanted = expected.map_or("a known media type", MediaType::accept);
        return Err(Unfit::Unsupported(format!("`Content-Type` says {came}, expected is {wanted}")));
    };
    if body.trim_ascii().is_empty() {
        return Err(Unfit::Unreadable("the body is empty".to_owned()));
    }
    let max = u64::try_from(body.len()).unwrap_or(u64::MAX);
    let types = MediaTypes { request: Some(media), success: Some(media), error: Some(media) };
    let read = Lens { types, decode: None, settings, max }.read_as(media, &told, body);
    read.map(|(document, _)| document)
        .map_err(|(why, _)| Unfit::Unreadable(format!("the body is not {}: {why}", media.name())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::{CONTENT_TYPE, HeaderValue};

    fn read(content_type: Option<&str>, expected: Option<MediaType>, body: &str) -> Result<String, Unfit> {
        let mut headers = HeaderMap::new();
        if let Some(text) = content_type {
            headers.insert(CONTENT_TYPE, HeaderValue::from_str(text).unwrap());
        }
        payload(&headers, expected, body.as_bytes().to_vec(), &MediaSettings::default())
            .map(|document| document.view().text().to_owned())
    }

    fn unsupported(result: &Result<String, Unfit>) -> bool {
        matches!(result, Err(Unfit::Unsupported(_)))
    }

    #[test]
    fn what_a_payload_says_of_itself_decides_within_what_is_expected() {
        let json = r#"{"n":1.0}"#;
        for said in [None, Some("application/json"), Some("application/vnd.x+json; charset=utf-8")] {
            assert_eq!(read(said, None, json).as_deref(), Ok(json), "{said:?}");
            assert_eq!(read(said, Some(MediaType::Json), json).as_deref(), Ok(json), "{said:?}");
        }
        let form = "application/x-www-form-urlencoded";
        assert_eq!(read(Some(form), None, "a=1&b=x+y").as_deref(), Ok(r#"{"a":"1","b":"x y"}"#));
        assert_eq!(read(Some("text/csv"), None, "a,b\n1,2\n").as_deref(), Ok(r#"[{"a":"1","b":"2"}]"#));
        assert_eq!(read(Some("text/plain"), Some(MediaType::Text), "hello").as_deref(), Ok("\"hello\""));
        let parts = "--B\r\nContent-Disposition: form-data; name=a\r\n\r\n1\r\n--B--\r\n";
        assert_eq!(read(Some("multipart/form-data; boundary=B"), None, parts).as_deref(), Ok(r#"{"a":"1"}"#));
        assert!(unsupported(&read(Some(form), Some(MediaType::Json), "a=1")));
        assert!(unsupported(&read(Some("image/png"), None, json)));
        assert!(unsupported(&read(Some("text/html"), Some(MediaType::Json), json)));
        assert!(unsupported(&read(None, Some(MediaType::Csv), "a\n1\n")));
    }

    #[test]
    fn what_is_not_what_it_says_is_unreadable() {
        for body in ["", " \n", "{", "{\"a\":1}}", "nonsense"] {
            let read = read(Some("application/json"), None, body);
            assert!(matches!(read, Err(Unfit::Unreadable(_))), "{body:?} {read:?}");
        }
    }
}
