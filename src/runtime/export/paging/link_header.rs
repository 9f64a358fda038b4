//! The `Link` response header (RFC 8288): targets by relation.

/// Most header text looked at.
const MAX_HEADER: usize = 64 * 1024;

/// Every `rel` with its target, in order; a relation list counts once per word. Malformed parts are skipped.
pub fn links<'h>(headers: impl Iterator<Item = &'h str>) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for header in headers.filter(|header| header.len() <= MAX_HEADER) {
        let mut rest = header;
        while let Some(start) = rest.find('<') {
            let Some(length) = rest[start..].find('>') else { break };
            let target = &rest[start + 1..start + length];
            let (parameters, after) = split_at(&rest[start + length + 1..], ',');
            rest = after;
            for relation in relations(parameters) {
                found.push((relation, target.trim().to_owned()));
            }
        }
    }
    found
}

/// Splits at a separator that stands outside quotes, where a backslash takes the next character as it is.
fn split_at(text: &str, separator: char) -> (&str, &str) {
    let (mut quoted, mut escaped) = (false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ if c == separator && !quoted => return (&text[..at], &text[at + 1..]),
            _ => {}
        }
    }
    (text, "")
}

/// The words of the first `rel` parameter, in lower case; of `rel*` where there is none. A later one does not count.
fn relations(parameters: &str) -> Vec<String> {
    let mut extended = None;
    let mut rest = parameters;
    while !rest.is_empty() {
        let (parameter, after) = split_at(rest, ';');
        rest = after;
        let Some((name, value)) = parameter.split_once('=') else { continue };
        let name = name.trim();
        if name.eq_ignore_ascii_case("rel") {
            return words(&unquoted(value.trim()));
        }
        if name.eq_ignore_ascii_case("rel*") && extended.is_none() {
            extended = Some(decoded(&unquoted(value.trim())));
        }
    }
    extended.map(|text| words(&text)).unwrap_or_default()
}

fn words(text: &str) -> Vec<String> {
    text.split_ascii_whitespace().map(str::to_ascii_lowercase).collect()
}

/// The text of a quoted string, or of a token.
fn unquoted(value: &str) -> String {
    let Some(inner) = value.strip_prefix('"') else { return value.to_owned() };
    let (mut text, mut escaped) = (String::new(), false);
    for c in inner.chars() {
        match c {
            '\\' if !escaped => escaped = true,
            '"' if !escaped => break,
            _ => {
                text.push(c);
                escaped = false;
            }
        }
    }
    text
}

/// An extended value (RFC 8187): `UTF-8'language'percent-encoded`.
fn decoded(value: &str) -> String {
    let text = value.splitn(3, '\'').nth(2).unwrap_or(value);
    percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(header: &str) -> Vec<(String, String)> {
        links(std::iter::once(header))
    }

    fn pair(rel: &str, target: &str) -> (String, String) {
        (rel.to_owned(), target.to_owned())
    }

    #[test]
    fn reads_several_links_of_one_header() {
        let header = r#"<https://a.test/p?page=2>; rel="next", <https://a.test/p?page=9>; rel=last"#;
        assert_eq!(all(header), [pair("next", "https://a.test/p?page=2"), pair("last", "https://a.test/p?page=9")]);
    }

    #[test]
    fn commas_and_semicolons_in_targets_and_quotes_do_not_split() {
        let header = r#"</p?ids=1,2;3>; title="a, \"b\", c"; rel="prev NEXT""#;
        assert_eq!(all(header), [pair("prev", "/p?ids=1,2;3"), pair("next", "/p?ids=1,2;3")]);
    }

    #[test]
    fn what_is_quoted_is_no_parameter() {
        for parameters in [
            r#"title="a; rel=foo"; rel="next""#,
            r#"title="a \"; rel=foo; \""; rel=next"#,
            r#"title="a, </y>; rel=prev"; REL = "next""#,
            r#"rel="n\ext"; title="x; rel=prev""#,
            r"title*=UTF-8'de'a%3B; rel=next; rel=prev",
            "rel*=UTF-8'en'ne%78t",
            r#"title; rel="  next  ""#,
        ] {
            assert_eq!(all(&format!("</x>; {parameters}")), [pair("next", "/x")], "{parameters}");
        }
        let two = r#"</x>; title="a; rel=foo"; rel="next last", </y>; rel=Prev"#;
        assert_eq!(all(two), [pair("next", "/x"), pair("last", "/x"), pair("prev", "/y")]);
    }

    #[test]
    fn malformed_headers_give_nothing() {
        for bad in ["", "<", "<a", "a>; rel=next", "<a>; rel", "<a>", &"<".repeat(70_000)] {
            assert_eq!(all(bad), []);
        }
    }
}
