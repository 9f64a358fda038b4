//! Byte offsets of a file to lines, columns and shown source lines; offsets inside a TOML string to the file.

use crate::value::secret::MASK;
use std::ops::Range;

/// How many bytes on either side of a place are ever shown.
const NEAR: usize = 1024;

/// Where each line of a text begins.
pub(super) struct Lines<'t> {
    text: &'t str,
    starts: Vec<usize>,
}

/// A place as people count.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Spot {
    pub(super) line: usize,
    pub(super) column: usize,
    pub(super) length: usize,
}

/// A source line made safe to show.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Shown {
    pub(super) text: String,
    pub(super) caret: Range<usize>,
}

impl<'t> Lines<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        let starts = std::iter::once(0).chain(memchr::memchr_iter(b'\n', text.as_bytes()).map(|at| at + 1)).collect();
        Self { text, starts }
    }

    /// The line that holds `offset`, 0-based.
    fn index(&self, offset: usize) -> usize {
        self.starts.partition_point(|start| *start <= offset).saturating_sub(1)
    }

    /// The bytes of a line without its end.
    fn range(&self, index: usize) -> Range<usize> {
        let start = self.starts[index];
        let end = self.starts.get(index + 1).map_or(self.text.len(), |next| next - 1);
        let end = if end > start && self.text.as_bytes()[end - 1] == b'\r' { end - 1 } else { end };
        start..end
    }

    /// Cuts a range to character boundaries inside the text.
    fn tame(&self, at: &Range<usize>) -> Range<usize> {
        let floor = |offset: usize| {
            let mut offset = offset.min(self.text.len());
            while !self.text.is_char_boundary(offset) {
                offset -= 1;
            }
            offset
        };
        let start = floor(at.start);
        start..floor(at.end).max(start)
    }

    /// Line, column and marked length.
    pub(super) fn spot(&self, at: &Range<usize>) -> Spot {
        let at = self.tame(at);
        let index = self.index(at.start);
        let line = self.range(index);
        let end = at.end.min(line.end).max(at.start);
        let column = self.text[line.start..at.start].chars().count() + 1;
        Spot { line: index + 1, column, length: self.text[at.start..end].chars().count().max(1) }
    }

    /// The 0-based line number of an offset, to compare places.
    pub(super) fn line_of(&self, offset: usize) -> usize {
        self.index(offset.min(self.text.len()))
    }

    /// The line of `at`, every masked range replaced, with the marked part in characters of what is shown.
    pub(super) fn shown(&self, at: &Range<usize>, masked: &[Range<usize>]) -> Shown {
        let at = self.tame(at);
        let whole = self.range(self.index(at.start));
        // A line can be a whole megabyte, and there can be a finding at each of its words.
        let near = self.tame(&(at.start.saturating_sub(NEAR)..at.start.saturating_add(NEAR)));
        let line = whole.start.max(near.start)..whole.end.min(near.end).max(near.start);
        let mut text = String::new();
        let mut count = 0;
        if line.start > whole.start {
            text.push('…');
            count = 1;
        }
        let mut caret = None::<usize>;
        let mut caret_end = 0;
        let mut from = line.start;
        let mut hidden: Vec<_> =
            masked.iter().map(|m| self.tame(m)).filter(|m| m.start < line.end && m.end > line.start).collect();
        hidden.sort_by_key(|range| range.start);
        let mut take = |piece: Range<usize>, replacement: Option<&str>| {
            let shown = replacement.unwrap_or(&self.text[piece.clone()]);
            let width = shown.chars().count();
            if caret.is_none() && (at.start < piece.end || piece.end == line.end) {
                let before = at.start.saturating_sub(piece.start).min(piece.len());
                let inside = if replacement.is_some() { 0 } else { self.text[piece.start..][..before].chars().count() };
                caret = Some(count + inside);
            }
            if at.end > piece.start {
                let upto = at.end.min(piece.end) - piece.start;
                let inside =
                    if replacement.is_some() { width } else { self.text[piece.start..][..upto].chars().count() };
                caret_end = count + inside;
            }
            text.push_str(shown);
            count += width;
        };
        for range in hidden {
            let range = range.start.max(from)..range.end.min(line.end);
            if range.start >= range.end {
                continue;
            }
            take(from..range.start, None);
            take(range.clone(), Some(MASK));
            from = range.end;
        }
        take(from..line.end, None);
        let start = caret.unwrap_or(count);
        if line.end < whole.end {
            text.push('…');
        }
        Shown { text, caret: start..caret_end.max(start + 1) }
    }
}

/// Maps byte offsets of a decoded TOML string to the file. `raw` is the string as written, quotes included, and
/// begins at `base`. None when the text is not what the walk expects.
pub(super) struct StringMap {
    /// For each decoded byte, and for the end, its offset in the file.
    offsets: Vec<usize>,
}

impl StringMap {
    pub(super) fn new(raw: &str, base: usize, decoded: &str) -> Option<Self> {
        let (quote, multi) = match raw.as_bytes() {
            [b'"', b'"', b'"', ..] => (b'"', true),
            [b'\'', b'\'', b'\'', ..] => (b'\'', true),
            [q @ (b'"' | b'\''), ..] => (*q, false),
            _ => return None,
        };
        let width = if multi { 3 } else { 1 };
        let end = raw.len().checked_sub(width).filter(|end| *end >= width)?;
        let mut at = width;
        if multi {
            at += if raw[at..].starts_with("\r\n") { 2 } else { usize::from(raw[at..].starts_with('\n')) };
        }
        let mut offsets = Vec::with_capacity(decoded.len() + 1);
        while at < end {
            let rest = &raw[at..end];
            let (taken, gives) = if quote == b'"' && rest.starts_with('\\') { escape(rest)? } else { plain(rest)? };
            offsets.extend(std::iter::repeat_n(base + at, gives));
            at += taken;
        }
        offsets.push(base + end);
        (offsets.len() == decoded.len() + 1).then_some(Self { offsets })
    }

    pub(super) fn map(&self, at: &Range<usize>) -> Range<usize> {
        let last = self.offsets.len() - 1;
        let start = self.offsets[at.start.min(last)];
        start..self.offsets[at.end.min(last)].max(start)
    }
}

/// One plain character: bytes read, bytes given.
fn plain(rest: &str) -> Option<(usize, usize)> {
    let c = rest.chars().next()?;
    Some((c.len_utf8(), c.len_utf8()))
}

/// One escape of a basic string: bytes read, bytes given.
fn escape(rest: &str) -> Option<(usize, usize)> {
    let kind = *rest.as_bytes().get(1)?;
    let hex = |digits: usize| {
        let code = u32::from_str_radix(rest.get(2..2 + digits)?, 16).ok()?;
        Some((2 + digits, char::from_u32(code)?.len_utf8()))
    };
    match kind {
        b'b' | b't' | b'n' | b'f' | b'r' | b'e' | b'"' | b'\\' => Some((2, 1)),
        b'x' => hex(2),
        b'u' => hex(4),
        b'U' => hex(8),
        b' ' | b'\t' | b'\r' | b'\n' => {
            let blank = rest[1..].len() - rest[1..].trim_start_matches([' ', '\t', '\r', '\n']).len();
            Some((1 + blank, 0))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters_not_bytes() {
        let lines = Lines::new("a = 1\r\nb = \"äöü\" # x\n");
        assert_eq!(lines.spot(&(11..19)), Spot { line: 2, column: 5, length: 5 });
        assert_eq!(lines.spot(&(20..21)), Spot { line: 2, column: 11, length: 1 });
        assert_eq!(lines.spot(&(900..901)), Spot { line: 3, column: 1, length: 1 });
    }

    #[test]
    fn a_masked_value_never_shows_and_the_caret_follows() {
        let text = "password = \"hunter2\", zz = 1";
        let lines = Lines::new(text);
        let masked = 11..20;
        let shown = lines.shown(&masked, std::slice::from_ref(&masked));
        assert_eq!(shown, Shown { text: "password = [secret], zz = 1".to_owned(), caret: 11..19 });
        let later = lines.shown(&(22..24), std::slice::from_ref(&masked));
        assert_eq!(later.caret, 21..23);
        let all = 0..text.len();
        let whole = lines.shown(&(0..8), std::slice::from_ref(&all));
        assert_eq!(whole, Shown { text: "[secret]".to_owned(), caret: 0..8 });
    }

    #[test]
    fn the_end_of_a_line_can_be_marked() {
        let lines = Lines::new("abc\n");
        assert_eq!(lines.shown(&(3..3), &[]).caret, 3..4);
        assert_eq!(Lines::new("").shown(&(0..0), &[]).caret, 0..1);
    }

    #[test]
    fn offsets_in_strings_are_exact_through_escapes() {
        let map = |raw: &str, decoded: &str, at| StringMap::new(raw, 10, decoded).map(|m| m.map(&at));
        assert_eq!(map(r#""abc""#, "abc", 1..2), Some(12..13));
        assert_eq!(map(r#""a\"bc""#, "a\"bc", 2..3), Some(14..15));
        assert_eq!(map(r#""\u00e4x""#, "äx", 2..3), Some(17..18));
        assert_eq!(map(r"'a\b'", r"a\b", 2..3), Some(13..14));
        assert_eq!(map("\"\"\"\n  x\\\n   y\"\"\"", "  xy", 3..4), Some(22..23));
        assert_eq!(map("42", "42", 0..1), None);
    }
}
