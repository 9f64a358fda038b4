//! Which members a line of `drop`, `rename` or `lift` means: a dotted path in which `*` stands for any name or item.

use crate::value::issue::Issue;
use crate::value::json::MAX_DEPTH;
use std::sync::Arc;

/// Longest path accepted, in bytes.
const MAX_LENGTH: usize = 1024;

/// A compiled path to members.
#[derive(Debug, Clone)]
pub struct Route {
    source: Arc<str>,
    segments: Arc<[Segment]>,
}

/// One step of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Segment {
    /// The member of this name.
    Name(String),
    /// The members whose names have this form; `*` stands for any characters.
    Like(String),
    /// The item, negative from the end.
    Index(i64),
    /// Every member or item.
    Any,
}

impl Segment {
    /// Whether a member's name is meant.
    pub(super) fn names(&self, name: &str) -> bool {
        match self {
            Self::Name(wanted) => wanted == name,
            Self::Like(form) => like(form, name),
            Self::Any => true,
            Self::Index(_) => false,
        }
    }

    /// Whether the item at this place of so many is meant.
    pub(super) fn counts(&self, at: usize, of: usize) -> bool {
        match self {
            Self::Any => true,
            Self::Index(index) => {
                let back = usize::try_from(index.unsigned_abs()).ok();
                let wanted = if *index < 0 { back.and_then(|back| of.checked_sub(back)) } else { back };
                wanted == Some(at)
            }
            Self::Name(_) | Self::Like(_) => false,
        }
    }
}

impl Route {
    /// Compiles `a.b`, `["a.b"].c`, `links.*`, `lines[*].note`, `custom_*`; `$.` before it is passed over.
    pub fn compile(text: &str) -> Result<Self, Vec<Issue>> {
        compile(text).map_err(|issue| vec![issue])
    }

    /// As written.
    pub fn source(&self) -> &str {
        &self.source
    }

    pub(super) fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// The names, where it is nothing but names.
    pub fn plain(&self) -> Option<Vec<String>> {
        let name = |segment: &Segment| match segment {
            Segment::Name(name) => Some(name.clone()),
            _ => None,
        };
        self.segments.iter().map(name).collect()
    }

    /// Where the last step must be a name: everything before it, and that name.
    pub(super) fn split_last(&self) -> Option<(&[Segment], &str)> {
        match self.segments.split_last() {
            Some((Segment::Name(name), before)) => Some((before, name)),
            _ => None,
        }
    }
}

/// Whether a name has a form with `*` in it. Time is bounded by the product of the lengths.
fn like(form: &str, name: &str) -> bool {
    let mut parts = form.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else { return false };
    let mut last = None;
    for part in parts {
        if let Some(middle) = last.replace(part) {
            let Some(at) = rest.find(middle) else { return false };
            rest = &rest[at + middle.len()..];
        }
    }
    last.is_none_or(|last: &str| rest.ends_with(last))
}

fn compile(text: &str) -> Result<Route, Issue> {
    let whole = 0..text.len();
    let help = "name members such as `internal`, `customer.note`, `links.*` or `lines[*].note`";
    if text.len() > MAX_LENGTH {
        return Err(Issue::new(whole, format!("the path is longer than {MAX_LENGTH} bytes")));
    }
    let mut at = if text.starts_with("$.") { 2 } else { usize::from(text.starts_with("$[")) };
    if text.is_empty() || text == "$" || at == text.len() {
        return Err(Issue::new(whole, "the path names no member").help(help));
    }
    if text.trim() != text {
        return Err(Issue::new(whole, "the path begins or ends with white space"));
    }
    let mut segments = Vec::new();
    while at < text.len() {
        let (segment, end) = if text[at..].starts_with('[') { bracket(text, at)? } else { name(text, at)? };
        segments.push(segment);
        at = match text[end..].chars().next() {
            Some('.') if end + 1 < text.len() && !text[end + 1..].starts_with('[') => end + 1,
            Some('[') | None => end,
            Some(found) => {
                return Err(
                    Issue::new(end..end + found.len_utf8(), format!("`{found}` is not expected here")).help(help)
                );
            }
        };
    }
    if segments.len() > MAX_DEPTH {
        return Err(Issue::new(whole, format!("the path has more than {MAX_DEPTH} steps")));
    }
    Ok(Route { source: text.into(), segments: segments.into() })
}

fn name(text: &str, at: usize) -> Result<(Segment, usize), Issue> {
    let end = text[at..].find(['.', '[']).map_or(text.len(), |length| at + length);
    let name = &text[at..end];
    if name.is_empty() {
        return Err(Issue::new(at.saturating_sub(1)..at + 1, "a name is missing here")
            .help("each level is named: `*` stands for any name of one level"));
    }
    if let Some(found) = name.find(|c: char| c.is_control() || "]\"'(){}".contains(c)) {
        let length = name[found..].chars().next().map_or(1, char::len_utf8);
        return Err(Issue::new(at + found..at + found + length, "this character cannot stand in a plain name")
            .help("write the name in brackets and quotes: `[\"a(b)\"]`"));
    }
    let segment = match name {
        "*" => Segment::Any,
        name if name.contains('*') => Segment::Like(name.to_owned()),
        name => Segment::Name(name.to_owned()),
    };
    Ok((segment, end))
}

fn bracket(text: &str, at: usize) -> Result<(Segment, usize), Issue> {
    let inner = &text[at + 1..];
    if let Some(quote @ ('"' | '\'')) = inner.chars().next() {
        return quoted(text, at + 2, quote);
    }
    let Some(length) = inner.find(']') else {
        return Err(Issue::new(at..text.len(), "`[` without its `]`"));
    };
    let end = at + length + 2;
    match &inner[..length] {
        "*" => Ok((Segment::Any, end)),
        content => match content.parse() {
            Ok(index) => Ok((Segment::Index(index), end)),
            Err(_) => Err(Issue::new(at + 1..at + 1 + length, "expected `*`, an index or a name in quotes")),
        },
    }
}

/// A name in quotes, from the byte after the opening quote; `\` keeps the character after it.
fn quoted(text: &str, start: usize, quote: char) -> Result<(Segment, usize), Issue> {
    let mut name = String::new();
    let mut chars = text[start..].char_indices();
    while let Some((offset, found)) = chars.next() {
        if found == '\\' {
            name.extend(chars.next().map(|(_, kept)| kept));
        } else if found != quote {
            name.push(found);
        } else if text[start + offset + 1..].starts_with(']') {
            return Ok((Segment::Name(name), start + offset + 2));
        } else {
            return Err(Issue::new(start + offset..text.len(), "expected `]` after the name in quotes"));
        }
    }
    Err(Issue::new(start - 1..text.len(), "a name without its closing quote"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn any() -> Segment {
        Segment::Any
    }

    fn n(name: &str) -> Segment {
        Segment::Name(name.to_owned())
    }

    #[test]
    fn paths_name_members_items_and_forms() {
        for (text, wanted) in [
            ("a", vec![n("a")]),
            ("$.a.b", vec![n("a"), n("b")]),
            ("$['a']", vec![n("a")]),
            ("links.*", vec![n("links"), any()]),
            ("lines[*].note", vec![n("lines"), any(), n("note")]),
            ("[\"a.b\"].c[-1]", vec![n("a.b"), n("c"), Segment::Index(-1)]),
            ("x_*.é", vec![Segment::Like("x_*".to_owned()), n("é")]),
            ("['it\\'s']", vec![n("it's")]),
        ] {
            assert_eq!(Route::compile(text).unwrap().segments(), wanted, "{text}");
        }
    }

    #[test]
    fn mistakes_are_placed() {
        for text in
            ["", "$", "$.", "a.", ".a", "a..b", "a.[0]", "[", "[\"a", "[\"a\"x", "[x]", "a b\u{7}", " a", "a(b)"]
        {
            let issues = Route::compile(text).expect_err(text);
            assert!(issues[0].at.end <= text.len().max(1), "{text}: {issues:?}");
        }
        assert!(
            Route::compile(&"a.".repeat(600)).is_err() && Route::compile(&format!("a{}", ".a".repeat(200))).is_err()
        );
    }

    #[test]
    fn a_star_inside_a_name_stands_for_any_characters() {
        for (form, name, wanted) in [
            ("x_*", "x_1", true),
            ("x_*", "x_", true),
            ("x_*", "y_1", false),
            ("*_at", "created_at", true),
            ("*_at", "created_at_", false),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "acb", false),
            ("a*a", "a", false),
            ("**", "", true),
        ] {
            assert_eq!(like(form, name), wanted, "{form} {name}");
        }
    }
}
