//! Places in the text of a file that no parser tells: where it cannot be read, and what is compared over files.

use std::ops::Range;

/// The key path that stands at an offset of a file with mistakes: the table it is below, and the key of its line. As far
/// as lines tell: what lies in a text over several lines may be taken for one.
pub(super) fn key_at(text: &str, offset: usize) -> String {
    let mut offset = offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    let start = text[..offset].rfind('\n').map_or(0, |at| at + 1);
    let line = text[start..].lines().next().unwrap_or_default();
    if let Some(header) = header(line) {
        return named(text, start + line.len(), &header);
    }
    let above = text[..start].lines().rev().find_map(header);
    let table = above.map(|header| named(text, start, &header)).unwrap_or_default();
    let (key, rest) = line.split_once('=').unwrap_or_default();
    // What is no key of the format is left out: it may be half of a secret.
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '.');
    let key = key.trim();
    let key = if key.len() <= LONGEST_KEY && key.chars().all(plain) && !rest.starts_with('=') { key } else { "" };
    match (table.is_empty(), key.is_empty()) {
        (true, _) => key.to_owned(),
        (false, true) => table,
        (false, false) => format!("{table}.{key}"),
    }
}

const LONGEST: usize = 200;
const LONGEST_KEY: usize = 60;

/// A `[table]` or `[[list]]`.
#[derive(PartialEq, Eq)]
struct Header {
    name: String,
    listed: bool,
}

fn header(line: &str) -> Option<Header> {
    let line = line.trim();
    let (inner, listed) = match line.strip_prefix("[[") {
        Some(inner) => (inner.split_once("]]")?.0, true),
        None => (line.strip_prefix('[')?.split_once(']')?.0, false),
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '"' | ' ');
    let fits = !inner.is_empty() && inner.len() <= LONGEST && inner.chars().all(plain);
    fits.then(|| Header { name: inner.trim().to_owned(), listed })
}

/// Its key path: tables of a list have their number.
fn named(text: &str, upto: usize, header: &Header) -> String {
    if !header.listed {
        return header.name.clone();
    }
    let before = text.get(..upto).unwrap_or_default();
    let same = before.lines().filter_map(self::header).filter(|one| one == header).count();
    format!("{}[{}]", header.name, same.saturating_sub(1))
}

/// Where a key has a text as its value, looked for by line.
pub(super) fn of_value(text: &str, key: &str, value: &str) -> Option<Range<usize>> {
    text.match_indices(key).find_map(|(at, _)| {
        let line = text[at..].lines().next()?;
        let rest = line.get(key.len()..)?;
        let given = rest.trim_start().strip_prefix('=')?.trim_start();
        let quote = given.chars().next().filter(|c| matches!(c, '"' | '\''))?;
        let inner = given[1..].split(quote).next()?;
        let begin = at + line.len() - given.len();
        let same = inner == value || inner.strip_suffix(value).is_some_and(|before| before.ends_with('/'));
        same.then(|| begin..begin + inner.len() + 2)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_of_a_broken_line_is_told_with_its_table() {
        let text = "title = \"a\nenabled = yes\n[[step]]\nname = \"x\"\n[[step]]\nwhen = \"\n[export.paging]\nmax_pages = x\n{ é";
        let at = |needle: &str| key_at(text, text.find(needle).unwrap());
        assert_eq!(at("\"a"), "title");
        assert_eq!(at("yes"), "enabled");
        assert_eq!(at("when"), "step[1].when");
        assert_eq!(at("x\n{"), "export.paging.max_pages");
        assert_eq!(at("é"), "export.paging");
        assert_eq!(key_at(text, usize::MAX), "export.paging");
        assert_eq!(key_at("[a]\n[a]\n", 5), "a");
        assert_eq!(key_at("", 0), "");
        assert_eq!(key_at("[secrets]\nMIIEvQ==", 12), "secrets");
        assert_eq!(key_at("hunter==", 3), "");
    }

    #[test]
    fn a_value_is_found_by_its_key() {
        let text = "path_x = \"in\"\n[webhook]\npath = \"/in\"\n";
        assert_eq!(of_value(text, "path", "in").map(|at| &text[at]), Some("\"/in\""));
        assert_eq!(of_value(text, "path", "out"), None);
    }
}
