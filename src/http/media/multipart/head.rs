//! Heads of parts: lines with a name, values with parameters (`form-data; name="a"; filename*=UTF-8''b`).

use crate::http::media::charset;
use std::borrow::Cow;

/// Most bytes of one part's head.
const LONGEST: usize = 16 * 1024;
/// Most lines of it.
const MOST_LINES: usize = 64;

/// The lines above a part, names in lower case.
#[derive(Debug, Default)]
pub(super) struct Head(Vec<(String, String)>);

impl Head {
    /// Head and content. A part may consist of its head alone.
    pub(super) fn split(part: &[u8]) -> Result<(Self, &[u8]), String> {
        let mut head = Self::default();
        let mut rest = part;
        loop {
            let within = &rest[..rest.len().min(LONGEST.saturating_sub(part.len() - rest.len()))];
            let Some(end) = memchr::memchr(b'\n', within) else {
                if within.len() < rest.len() {
                    return Err(format!("its head is longer than {LONGEST} bytes"));
                }
                head.line(rest)?;
                return Ok((head, b""));
            };
            let line = within[..end].strip_suffix(b"\r").unwrap_or(&within[..end]);
            rest = &rest[end + 1..];
            if line.is_empty() {
                return Ok((head, rest));
            }
            head.line(line)?;
        }
    }

    fn line(&mut self, line: &[u8]) -> Result<(), String> {
        if line.is_empty() {
            return Ok(());
        }
        let line = std::str::from_utf8(line).map_err(|_| "its head is not UTF-8".to_owned())?;
        if line.contains(['\r', '\0']) {
            return Err("its head holds a bare carriage return or NUL".to_owned());
        }
        match (line.starts_with([' ', '\t']), self.0.last_mut()) {
            // A long line may go on in the next one.
            (true, Some((_, value))) => {
                value.push(' ');
                value.push_str(line.trim());
                return Ok(());
            }
            (true, None) => return Err("its head begins with the rest of a line".to_owned()),
            (false, _) => {}
        }
        let (name, value) = line.split_once(':').ok_or_else(|| "a line of its head has no `:`".to_owned())?;
        if self.0.len() == MOST_LINES {
            return Err(format!("its head has more than {MOST_LINES} lines"));
        }
        self.0.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
        Ok(())
    }

    /// The first line of this name, taken apart.
    pub(super) fn get(&self, name: &str) -> Option<Value<'_>> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| Value::of(value))
    }
}

/// A value and its parameters.
#[derive(Debug, Default)]
pub(super) struct Value<'a> {
    /// As it was written, without parameters.
    pub(super) essence: &'a str,
    parameters: Vec<(String, Cow<'a, str>)>,
}

impl<'a> Value<'a> {
    pub(super) fn of(text: &'a str) -> Self {
        let (essence, mut rest) = text.split_once(';').unwrap_or((text, ""));
        let mut parameters = Vec::new();
        while !rest.trim().is_empty() {
            let Some((name, after)) = rest.split_once('=') else { break };
            let (value, after) = value(after.trim_start());
            // `a; b=c`: what has no value is passed over.
            let name = name.rsplit(';').next().unwrap_or_default().trim().to_ascii_lowercase();
            parameters.push((name, value));
            rest = after.trim_start().strip_prefix(';').unwrap_or_else(|| after.trim_start());
        }
        Self { essence: essence.trim(), parameters }
    }

    /// The first parameter of this name; one with a charset (`name*=`) goes before.
    pub(super) fn parameter(&self, name: &str) -> Option<Cow<'a, str>> {
        let find = |name: &str| self.parameters.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
        find(&format!("{name}*")).and_then(|value| extended(&value)).map(Cow::Owned).or_else(|| find(name))
    }
}

/// A quoted string or a word, and what follows it.
fn value(text: &str) -> (Cow<'_, str>, &str) {
    let Some(inside) = text.strip_prefix('"') else {
        let end = text.find(';').unwrap_or(text.len());
        return (Cow::Borrowed(text[..end].trim_end()), &text[end..]);
    };
    let mut escaped = false;
    let end = inside.char_indices().find(|(_, c)| {
        let ends = *c == '"' && !escaped;
        escaped = *c == '\\' && !escaped;
        ends
    });
    let end = end.map_or(inside.len(), |(at, _)| at);
    let after = inside.get(end + 1..).unwrap_or_default();
    let inside = &inside[..end];
    // Only quotes are escaped: some senders write the backslashes of a path bare.
    let inside = if inside.contains("\\\"") { Cow::Owned(inside.replace("\\\"", "\"")) } else { Cow::Borrowed(inside) };
    (inside, after)
}

/// `UTF-8'en'na%C3%AFve` of RFC 8187.
fn extended(text: &str) -> Option<String> {
    let mut parts = text.splitn(3, '\'');
    let (label, _, encoded) = (parts.next()?, parts.next()?, parts.next()?);
    let bytes = percent_encoding::percent_decode_str(encoded).collect();
    charset::decode(bytes, Some(charset::named(label).ok()?)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameter(text: &str, name: &str) -> Option<String> {
        Value::of(text).parameter(name).map(Cow::into_owned)
    }

    #[test]
    fn parameters_are_read_as_senders_write_them() {
        for (text, expected) in [
            ("form-data; name=\"a\"", Some("a")),
            ("form-data;NAME = a ; filename=b", Some("a")),
            ("form-data; filename=\"x; name=b\"; name=\"a\"", Some("a")),
            ("form-data; name=\"a;b\"", Some("a;b")),
            ("form-data; name=\"say \\\"a\\\"\"", Some("say \"a\"")),
            ("form-data; name=\"C:\\dir\\a\"", Some("C:\\dir\\a")),
            ("form-data; flag; name=a", Some("a")),
            ("form-data; name=\"never ended", Some("never ended")),
            ("form-data; name=plain; name*=UTF-8''na%C3%AFve", Some("naïve")),
            ("form-data; name=plain; name*=klingon''x", Some("plain")),
            ("form-data; name*=iso-8859-1'en'%A3", Some("£")),
            ("form-data; name=", Some("")),
            ("form-data", None),
            ("", None),
        ] {
            assert_eq!(parameter(text, "name").as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn a_head_ends_at_an_empty_line_and_is_bounded() {
        let (head, content) = Head::split(b"A: 1\r\nB:2;\r\n  x=y\r\n\r\nrest\r\n").unwrap();
        assert_eq!((head.get("a").unwrap().essence, content), ("1", &b"rest\r\n"[..]));
        assert_eq!(head.get("b").unwrap().parameter("x").as_deref(), Some("y"));
        assert_eq!(Head::split(b"\r\ncontent").unwrap().1, b"content");
        assert!(Head::split(b"").unwrap().1.is_empty() && Head::split(b"A: 1").unwrap().0.get("a").is_some());
        for (bad, why) in [
            (b"A: 1\r\nno colon\r\n\r\n".to_vec(), "no `:`"),
            (b" A: 1\r\n\r\n".to_vec(), "rest of a line"),
            (b"A: 1\rB: 2\r\n\r\n".to_vec(), "bare carriage return"),
            (b"A: \xff\r\n\r\n".to_vec(), "not UTF-8"),
            (b"A: 1\r\n".repeat(65), "more than 64 lines"),
            ([b"A: ".as_slice(), &b"x".repeat(20_000), b"\r\n\r\n"].concat(), "longer than"),
            (b"x".repeat(1 << 20), "longer than"),
            (b"A: 1\r\n b\r\n".repeat(4000), "lines"),
        ] {
            let error = Head::split(&bad).unwrap_err();
            assert!(error.contains(why), "{error} is not {why}");
        }
    }
}
