//! Header fields a request may carry: names that are ours to write are refused, values cannot smuggle lines, and
//! those made of secrets are marked so that they stay on the origin and out of sight.

use crate::value::issue::EvalError;
use crate::value::secret::MASK;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

/// Longest value sent.
const MAX_VALUE: usize = 64 * 1024;

/// Written by the transport alone: with a say in these, data could change where a request ends or goes.
const OURS: [&str; 8] =
    ["host", "content-length", "transfer-encoding", "connection", "keep-alive", "te", "trailer", "upgrade"];

/// Checks a configured header name; the error names the remedy.
pub fn check_name(name: &str) -> Result<HeaderName, String> {
    let parsed = HeaderName::from_bytes(name.as_bytes()).map_err(|_| format!("`{name}` is no header name"))?;
    if OURS.contains(&parsed.as_str()) {
        return Err(format!("the header `{parsed}` is written by flowgate itself and cannot be set"));
    }
    Ok(parsed)
}

/// A checked name and value. The error never repeats the value.
pub(super) fn field(name: &str, value: &str, secret: bool) -> Result<(HeaderName, HeaderValue), EvalError> {
    let name = check_name(name).map_err(EvalError::Refused)?;
    if value.len() > MAX_VALUE {
        return Err(EvalError::Limit(format!("header `{name}`: the value is longer than {MAX_VALUE} bytes")));
    }
    let mut value = HeaderValue::from_str(value).map_err(|_| {
        EvalError::Refused(format!("header `{name}`: the value holds a line break or another control character"))
    })?;
    value.set_sensitive(secret);
    Ok((name, value))
}

/// Takes away what must not leave for another origin.
pub(super) fn drop_secret(headers: &mut HeaderMap) {
    let secret: Vec<HeaderName> =
        headers.iter().filter(|(_, value)| value.is_sensitive()).map(|(name, _)| name.clone()).collect();
    for name in secret {
        headers.remove(name);
    }
}

/// Names in lower case with their values, secret ones too: for signing.
pub(super) fn pairs(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect()
}

/// Names in lower case with their values; secret ones masked.
pub(super) fn shown(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |value: &HeaderValue| {
        if value.is_sensitive() { MASK.to_owned() } else { String::from_utf8_lossy(value.as_bytes()).into_owned() }
    };
    headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_breaks_are_refused_without_repeating_the_value() {
        for bad in ["a\r\nX-Evil: 1", "a\nb", "a\0b", "a\rb"] {
            let error = field("X-Note", bad, false).unwrap_err();
            assert!(matches!(error, EvalError::Refused(_)), "{bad:?}");
            assert!(!error.to_string().contains("Evil"), "{error}");
        }
        assert!(field("X-Note", "tab\tand naïve", false).is_ok());
    }

    #[test]
    fn framing_headers_are_refused_in_any_case() {
        for name in ["Host", "content-length", "TRANSFER-ENCODING", "Connection", "Upgrade"] {
            assert!(field(name, "x", false).is_err(), "{name}");
        }
        assert!(field("bad name", "x", false).is_err());
        assert!(field("X", &"v".repeat(MAX_VALUE + 1), false).is_err());
    }

    #[test]
    fn secret_values_are_masked_and_can_be_taken_away() {
        let mut headers: HeaderMap =
            [field("X-Key", "hunter2", true).unwrap(), field("X-Note", "hi", false).unwrap()].into_iter().collect();
        assert_eq!(shown(&headers), [("x-key".into(), MASK.into()), ("x-note".into(), "hi".into())]);
        drop_secret(&mut headers);
        assert_eq!(headers.len(), 1);
    }
}
