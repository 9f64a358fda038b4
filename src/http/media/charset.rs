//! Bytes to text: a byte order mark decides, then the charset that was named, then UTF-8.

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};

/// The encoding a name stands for, as browsers read it: `latin1` is windows-1252.
pub(super) fn named(label: &str) -> Result<&'static Encoding, String> {
    Encoding::for_label(label.as_bytes()).ok_or_else(|| format!("the charset {label:?} is not known"))
}

/// The text, without its byte order mark; or why it is none, and the bytes.
pub(super) fn decode(body: Vec<u8>, named: Option<&'static Encoding>) -> Result<String, (String, Vec<u8>)> {
    let (encoding, mark) = match Encoding::for_bom(&body) {
        Some((encoding, length)) => (encoding, length),
        None => (named.unwrap_or(UTF_8), 0),
    };
    if encoding == UTF_8 {
        return utf8(body, mark);
    }
    let Some(text) = encoding.decode_without_bom_handling_and_without_replacement(&body[mark..]) else {
        return Err((format!("the text is not {}, as it was said to be", encoding.name()), body));
    };
    Ok(text.into_owned())
}

/// Whether it begins with the mark of UTF-16, which no JSON does.
pub(super) fn is_utf16(body: &[u8]) -> bool {
    matches!(Encoding::for_bom(body), Some((encoding, _)) if encoding == UTF_16LE || encoding == UTF_16BE)
}

fn utf8(mut body: Vec<u8>, mark: usize) -> Result<String, (String, Vec<u8>)> {
    body.drain(..mark);
    String::from_utf8(body).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let line = 1 + memchr::memchr_iter(b'\n', &error.as_bytes()[..at]).count();
        (format!("the text is not UTF-8 at byte {} (line {line})", at + mark + 1), error.into_bytes())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(body: &[u8], label: Option<&str>) -> Result<String, String> {
        decode(body.to_vec(), label.map(|label| named(label).unwrap())).map_err(|(why, _)| why)
    }

    #[test]
    fn a_mark_decides_over_what_was_named() {
        assert_eq!(text(b"\xef\xbb\xbfa", Some("utf-16")).unwrap(), "a");
        assert_eq!(text(b"\xff\xfea\0\xe9\0", Some("utf-8")).unwrap(), "aé");
        assert_eq!(text(b"\xfe\xff\0a\0\xe9", None).unwrap(), "aé");
    }

    #[test]
    fn latin_1_is_windows_1252() {
        for label in ["iso-8859-1", "Latin1", "windows-1252", "cp1252"] {
            assert_eq!(text(b"\xe9\x80", Some(label)).unwrap(), "é€", "{label}");
        }
        assert!(named("klingon").unwrap_err().contains("klingon"));
    }

    #[test]
    fn what_is_no_text_comes_back_with_its_place() {
        assert_eq!(text(b"a\nb\xff", None).unwrap_err(), "the text is not UTF-8 at byte 4 (line 2)");
        assert!(text(b"\xff\xfea\0\0\xd8", None).unwrap_err().contains("UTF-16LE"));
        assert_eq!(decode(b"\xff".to_vec(), None).unwrap_err().1, b"\xff");
    }
}
