//! What a body looks like, whatever it was said to be: for the message when it is not what was expected.

/// The beginning that is looked at.
const LOOKED_AT: usize = 512;

/// What came, in words; none when it looks like nothing in particular.
pub(super) fn looks_like(body: &[u8]) -> Option<&'static str> {
    let binary: &[(&[u8], &str)] = &[
        (&[0x1f, 0x8b], "gzip (`decode = [\"gzip\"]` unpacks it)"),
        (b"PK\x03\x04", "a zip archive (`decode = [\"zip\"]` unpacks it)"),
        (b"%PDF-", "a PDF"),
        (&[0xff, 0xfe], "UTF-16"),
        (&[0xfe, 0xff], "UTF-16"),
    ];
    if let Some((_, name)) = binary.iter().find(|(magic, _)| body.starts_with(magic)) {
        return Some(name);
    }
    let start = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body).trim_ascii_start();
    let start = start[..start.len().min(LOOKED_AT)].to_ascii_lowercase();
    let begins = |words: &[&str]| words.iter().any(|word| start.starts_with(word.as_bytes()));
    if begins(&["<!doctype html", "<html", "<head", "<body", "<!--"]) {
        return Some("an HTML page");
    }
    if begins(&["<"]) {
        return Some("XML");
    }
    begins(&["{", "["]).then_some("JSON, or nearly")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_is_named() {
        for (body, name) in [
            (&b"\n <!DOCTYPE html><title>502</title>"[..], Some("an HTML page")),
            (b"<HTML>", Some("an HTML page")),
            (b"\xef\xbb\xbf<?xml version='1.0'?>", Some("XML")),
            (b"<soap:Envelope", Some("XML")),
            (b"\x1f\x8b\x08", Some("gzip (`decode = [\"gzip\"]` unpacks it)")),
            (b"%PDF-1.7", Some("a PDF")),
            (b"{", Some("JSON, or nearly")),
            (b"id,name\n", None),
            (b"", None),
        ] {
            assert_eq!(looks_like(body), name, "{}", String::from_utf8_lossy(body));
        }
    }
}
