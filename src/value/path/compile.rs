//! From a path's text to its segments, with every mistake placed and answered.

use super::engine::{self, Query};
use super::{MAX_LENGTH, Path, Rest, Segment};
use crate::value::issue::Issue;
use jsonpath_rust::parser::errors::JsonPathError;
use jsonpath_rust::parser::model::{Segment as JpSegment, Selector};
use jsonpath_rust::parser::parse_json_path;
use std::sync::Arc;

/// Whether a text has the look of a JSONPath rather than of a dotted path.
pub(crate) fn looks_like_json_path(text: &str) -> bool {
    text == "$" || text.starts_with("$.") || text.starts_with("$[")
}

pub(super) fn compile(text: &str) -> Result<Path, Issue> {
    let whole = 0..text.len();
    if text.is_empty() {
        return Err(Issue::new(whole, "the path is empty").help("write `$` for the whole value"));
    }
    if text.len() > MAX_LENGTH {
        return Err(Issue::new(whole, format!("the path is longer than {MAX_LENGTH} bytes")));
    }
    if text.starts_with('/') {
        return Err(Issue::new(whole, "this is an XPath, and what it reads is JSON")
            .help("write a dotted path such as `data.items`, or JSONPath such as `$.data.items`"));
    }
    if looks_like_json_path(text) { json_path(text) } else { dotted(text) }
}

fn path(text: &str, segments: Vec<Segment>, query: Option<Query>) -> Path {
    let singular = segments.iter().position(|s| *s == Segment::Wildcard).unwrap_or(segments.len());
    let mut prefix = segments;
    let walk = prefix.split_off(singular);
    let rest = match query {
        Some(query) => Rest::Query(Arc::new(query)),
        None if walk.is_empty() => Rest::Nothing,
        None => Rest::Walk(walk.into()),
    };
    Path { source: text.into(), prefix: prefix.into(), rest }
}

fn json_path(text: &str) -> Result<Path, Issue> {
    let query = parse_json_path(text).map_err(|error| syntax(text, &error))?;
    if let Some(segments) = query.segments.iter().map(plain).collect::<Option<Vec<_>>>() {
        return Ok(path(text, segments, None));
    }
    engine::survey(text, &query)?;
    let singular = query.segments.iter().map(plain).take_while(|s| matches!(s, Some(s) if *s != Segment::Wildcard));
    let prefix: Vec<Segment> = singular.flatten().collect();
    let query = Query::new(query, prefix.len());
    Ok(path(text, prefix, Some(query)))
}

fn plain(segment: &JpSegment) -> Option<Segment> {
    let selector = match segment {
        JpSegment::Selector(selector) => selector,
        JpSegment::Selectors(selectors) => match selectors.as_slice() {
            [one] => one,
            _ => return None,
        },
        JpSegment::Descendant(_) => return None,
    };
    match selector {
        Selector::Name(name) => Some(Segment::Name(name.clone())),
        Selector::Index(index) => Some(Segment::Index(*index)),
        Selector::Wildcard => Some(Segment::Wildcard),
        Selector::Slice(..) | Selector::Filter(_) => None,
    }
}

fn syntax(text: &str, error: &JsonPathError) -> Issue {
    let at = match error {
        // The engine's parser is not a dependency of ours, so its position is only reachable as text.
        JsonPathError::PestError(error) => position(&format!("{:?}", error.location)).unwrap_or(0),
        JsonPathError::MaxNestingDepthExceeded(_) => {
            return Issue::new(0..text.len(), "the path nests too many brackets");
        }
        _ => return Issue::new(0..text.len(), "this is no JSONPath").help(HELP),
    };
    let at = (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    let found = text[at..].chars().next();
    let end = at + found.map_or(0, char::len_utf8);
    let message = match found {
        Some(found) => format!("`{found}` is not expected here in a JSONPath"),
        None => "the JSONPath ends too early".to_owned(),
    };
    let help = match found {
        Some(c) if c == '-' || c.is_ascii_digit() => "write such a name in brackets: `$['first-name']`",
        _ => HELP,
    };
    Issue::new(at..end, message).help(help)
}

const HELP: &str = "JSONPath looks like `$.data.items[0].id`, `$.items[*].id` or `$.items[?@.type == 'a']`";

fn position(location: &str) -> Option<usize> {
    let digits = location.trim_start_matches(|c: char| !c.is_ascii_digit());
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    digits[..end].parse().ok()
}

/// `a.b[0]["c.d"]`
fn dotted(text: &str) -> Result<Path, Issue> {
    if text.trim() != text {
        return Err(Issue::new(0..text.len(), "the path begins or ends with white space"));
    }
    let mut segments = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let (segment, end) = if text[at..].starts_with('[') { bracket(text, at)? } else { name(text, at)? };
        segments.push(segment);
        at = match text.as_bytes().get(end) {
            Some(b'.') if end + 1 == text.len() => {
                return Err(Issue::new(end..text.len(), "the path ends with a dot"));
            }
            Some(b'.') if text.as_bytes()[end + 1] == b'[' => {
                return Err(Issue::new(end..end + 1, "no dot stands before `[`").help("write `items[0]`"));
            }
            Some(b'.') => end + 1,
            Some(b'[') | None => end,
            Some(_) => {
                let length = text[end..].chars().next().map_or(1, char::len_utf8);
                return Err(Issue::new(end..end + length, "expected `.` or `[` after `]`"));
            }
        };
    }
    Ok(path(text, segments, None))
}

fn needs_json_path(text: &str, at: usize, what: &str) -> Issue {
    let wanted = if text.starts_with('$') { text.to_owned() } else { format!("$.{text}") };
    Issue::new(at..at + what.len(), format!("`{what}` has no meaning in a dotted path"))
        .help(format!("begin with `$.` to write JSONPath: `{wanted}`"))
}

fn name(text: &str, at: usize) -> Result<(Segment, usize), Issue> {
    let end = text[at..].find(['.', '[']).map_or(text.len(), |length| at + length);
    let name = &text[at..end];
    if let Some(found) = name.find(['*', '?']) {
        return Err(needs_json_path(text, at + found, &name[found..=found]));
    }
    if name.is_empty() {
        return Err(match at {
            0 => Issue::new(0..1, "the path begins with a dot").help("leave it out"),
            _ => needs_json_path(text, at - 1, ".."),
        });
    }
    if let Some(found) = name.find([']', '"', '\'', '(', ')', '{', '}']).or(name.find(char::is_control)) {
        let length = name[found..].chars().next().map_or(1, char::len_utf8);
        return Err(Issue::new(at + found..at + found + length, "this character cannot stand in a plain name")
            .help("write the name in brackets and quotes: `[\"a(b)\"].c`"));
    }
    Ok((Segment::Name(name.to_owned()), end))
}

fn bracket(text: &str, at: usize) -> Result<(Segment, usize), Issue> {
    let inner = &text[at + 1..];
    if let Some(quote @ (b'"' | b'\'')) = inner.as_bytes().first() {
        return quoted(text, at + 2, *quote);
    }
    let Some(length) = inner.find(']') else {
        return Err(Issue::new(at..text.len(), "`[` without its `]`"));
    };
    let content = &inner[..length];
    if let Some(found) = content.find(['*', '?', ':', ',']) {
        return Err(needs_json_path(text, at + 1 + found, &content[found..=found]));
    }
    let digits = content.strip_prefix('-').unwrap_or(content);
    match content.parse() {
        Ok(index) if digits.bytes().all(|b| b.is_ascii_digit()) => Ok((Segment::Index(index), at + length + 2)),
        _ => Err(Issue::new(at + 1..at + 1 + length, "expected an index or a name in quotes between `[` and `]`")
            .help("write `items[0]`, or `[\"a.b\"]` for a name")),
    }
}

/// A name in quotes, from the byte after the opening quote; `\` keeps the character after it.
fn quoted(text: &str, start: usize, quote: u8) -> Result<(Segment, usize), Issue> {
    let mut name = String::new();
    let mut chars = text[start..].char_indices();
    while let Some((offset, found)) = chars.next() {
        match found {
            '\\' => name.extend(chars.next().map(|(_, kept)| kept)),
            _ if found == char::from(quote) => {
                let end = start + offset + 1;
                if text.as_bytes().get(end) != Some(&b']') {
                    return Err(Issue::new(end.min(text.len())..text.len(), "expected `]` after the name in quotes"));
                }
                return Ok((Segment::Name(name), end + 1));
            }
            _ => name.push(found),
        }
    }
    Err(Issue::new(start - 1..text.len(), "a name without its closing quote"))
}
