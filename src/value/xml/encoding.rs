//! From bytes to text: which encoding a document is in, and that it keeps to it.

use super::XmlError;
use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};
use std::borrow::Cow;

/// Most bytes of a document as UTF-8.
const MAX_TEXT: usize = 256 * 1024 * 1024;
/// How far into a document its declaration may reach.
const DECLARATION: usize = 512;

/// The text of a document without its byte order mark.
pub(super) fn decode<'a>(bytes: &'a [u8], charset: Option<&str>) -> Result<Cow<'a, str>, XmlError> {
    decode_within(bytes, charset, MAX_TEXT)
}

fn decode_within<'a>(bytes: &'a [u8], charset: Option<&str>, most: usize) -> Result<Cow<'a, str>, XmlError> {
    if bytes.len() > most {
        return Err(plain(format!("a document of {} bytes, at most {most} are read", bytes.len())));
    }
    let (encoding, bytes) = told(bytes, charset)?;
    if encoding == UTF_8 {
        return std::str::from_utf8(bytes).map(Cow::Borrowed).map_err(|error| {
            let good = bytes.get(..error.valid_up_to()).unwrap_or_default();
            let good = std::str::from_utf8(good).unwrap_or_default();
            XmlError::at(good, good.len(), "the text is not UTF-8, and nothing says what else it is")
        });
    }
    let text = encoding
        .decode_without_bom_handling_and_without_replacement(bytes)
        .ok_or_else(|| plain(format!("the text is not {}, though it says so", encoding.name())))?;
    if text.len() > most {
        return Err(plain(format!("a document of more than {most} bytes as UTF-8")));
    }
    Ok(text)
}

fn plain(message: String) -> XmlError {
    XmlError { message, line: 1, column: 1 }
}

/// The encoding, and what follows the byte order mark.
fn told<'a>(bytes: &'a [u8], charset: Option<&str>) -> Result<(&'static Encoding, &'a [u8]), XmlError> {
    if matches!(bytes, [0xFF, 0xFE, 0, 0, ..] | [0, 0, 0xFE, 0xFF, ..] | [0, 0, 0, b'<', ..] | [b'<', 0, 0, 0, ..]) {
        return Err(plain("the text is UTF-32, which is not read; ask for UTF-8".to_owned()));
    }
    if let Some((encoding, length)) = Encoding::for_bom(bytes) {
        return Ok((encoding, &bytes[length..]));
    }
    // Two bytes a character, whatever anybody says.
    match bytes {
        [b'<', 0, ..] => return Ok((UTF_16LE, bytes)),
        [0, b'<', ..] => return Ok((UTF_16BE, bytes)),
        _ => {}
    }
    let known = |label: &str| {
        let found = Encoding::for_label(label.as_bytes());
        found.ok_or_else(|| plain(format!("the text says it is in {label:?}, an encoding nobody here knows")))
    };
    let encoding = match (charset, declared(bytes)) {
        (Some(label), _) => known(label)?,
        (None, Some(label)) => known(&label)?,
        (None, None) => UTF_8,
    };
    // Who can be read as bytes is not UTF-16.
    let wide = encoding == UTF_16LE || encoding == UTF_16BE;
    Ok((if wide { UTF_8 } else { encoding }, bytes))
}

/// `<?xml … encoding="…"`
fn declared(bytes: &[u8]) -> Option<String> {
    let rest = bytes.strip_prefix(b"<?xml")?;
    let head = &rest[..rest.len().min(DECLARATION)];
    let head = &head[..memchr::memmem::find(head, b"?>")?];
    let at = memchr::memmem::find(head, b"encoding")?;
    let value = head[at + b"encoding".len()..].trim_ascii_start().strip_prefix(b"=")?.trim_ascii_start();
    let quote = *value.first().filter(|quote| matches!(quote, b'"' | b'\''))?;
    let value = &value[1..];
    let label = &value[..memchr::memchr(quote, value)?];
    String::from_utf8(label.to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn size_is_bounded_before_and_after_decoding() {
        assert!(decode_within(b"<a/>", None, 4).is_ok());
        assert!(decode_within(b"<a/>", None, 3).unwrap_err().message.contains("at most 3"));
        // Two bytes become three.
        let wide: Vec<u8> = "\u{feff}\u{20ac}\u{20ac}\u{20ac}".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert!(decode_within(&wide, None, 9).is_ok());
        assert!(decode_within(&wide, None, 8).unwrap_err().message.contains("more than 8 bytes as UTF-8"));
    }
}
