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
            let (parameters, after) = split_value(&rest[start + length + 1..]);
            rest = after;
            for relation in relations(parameters) {
                found.push((relation, target.trim().to_owned()));
            }
        }
    }
    found
}

/// Splits at the comma that ends this link value; commas inside quotes do not.
fn split_value(text: &str) -> (&str, &str) {
    let (mut quoted, mut escaped) = (false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            ',' if !quoted => return (&text[..at], &text[at + 1..]),
            _ => {}
        }
    }
    (text, "")
}

/// The words of the first `rel` parameter, in lower case.
fn relations(parameters: &str) -> Vec<String> {
    for parameter in parameters.split(';') {
        let Some((name, value)) = parameter.split_once('=') else { continue };
        if name.trim().eq_ignore_ascii_case("rel") {
            return value.trim().trim_matches('"').split_ascii_whitespace().map(str::to_ascii_lowercase).collect();
        }
    }
    Vec::new()
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
    fn malformed_headers_give_nothing() {
        for bad in ["", "<", "<a", "a>; rel=next", "<a>; rel", "<a>", &"<".repeat(70_000)] {
            assert_eq!(all(bad), []);
        }
    }
}
