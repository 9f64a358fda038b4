//! Splits a template into text and tags and settles white space: `~`, and block tags alone on their line.

use super::tag::{Cursor, Head};
use crate::value::issue::Issue;
use std::ops::Range;

/// A piece of the template.
#[derive(Debug)]
pub(super) enum Piece {
    Text(String),
    Tag(Tag),
}

/// One tag.
#[derive(Debug)]
pub(super) struct Tag {
    pub(super) kind: Kind,
    pub(super) head: Head,
    pub(super) at: Range<usize>,
    trim: (bool, bool),
}

/// What a tag does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// `{{x}}`, or `{{{x}}}` and `{{&x}}` (raw).
    Value { raw: bool },
    /// `{{#x}}`, or `{{^x}}` (inverse).
    Open { inverse: bool },
    /// `{{else}}`, `{{else if x}}`, `{{^}}`
    Else,
    /// `{{/x}}`
    Close,
    /// `{{! … }}`
    Comment,
}

/// All pieces in order, texts already trimmed, comments left out.
pub(super) fn pieces(source: &str) -> Result<Vec<Piece>, Issue> {
    let mut pieces = Vec::new();
    let mut text = String::new();
    let mut at = 0;
    while let Some(found) = memchr::memmem::find(&source.as_bytes()[at..], b"{{") {
        let open = at + found;
        let before = &source[at..open];
        let slashes = before.len() - before.trim_end_matches('\\').len();
        if slashes == 1 {
            // Escaped: the braces are text.
            text.push_str(&before[..before.len() - 1]);
            text.push_str("{{");
            at = open + 2;
            continue;
        }
        // Of several backslashes one goes, and the tag is live.
        text.push_str(&before[..before.len() - usize::from(slashes > 1)]);
        if source[open..].starts_with("{{{{") {
            at = raw_block(source, open, &mut text)?;
            continue;
        }
        let tag = tag(source, open)?;
        at = tag.at.end;
        pieces.push(Piece::Text(std::mem::take(&mut text)));
        pieces.push(Piece::Tag(tag));
    }
    text.push_str(&source[at..]);
    pieces.push(Piece::Text(text));
    settle(&mut pieces);
    pieces.retain(|piece| !matches!(piece, Piece::Tag(Tag { kind: Kind::Comment, .. })));
    Ok(pieces)
}

/// `{{{{raw}}}} … {{{{/raw}}}}`: everything between is text.
fn raw_block(source: &str, open: usize, text: &mut String) -> Result<usize, Issue> {
    let (start, end) = ("{{{{raw}}}}", "{{{{/raw}}}}");
    let rest = &source[open..];
    let Some(inner) = rest.strip_prefix(start) else {
        return Err(
            Issue::new(open..open + 4, "four braces open a raw block").help("write `{{{{raw}}}}` or fewer braces")
        );
    };
    let Some((inner, _)) = inner.split_once(end) else {
        return Err(Issue::new(open..open + start.len(), "the raw block is not closed").help("add `{{{{/raw}}}}`"));
    };
    text.push_str(inner);
    Ok(open + start.len() + inner.len() + end.len())
}

fn tag(source: &str, open: usize) -> Result<Tag, Issue> {
    let mut cursor = Cursor::new(source, open + 2);
    let mut trim = (cursor.eat("~"), false);
    if cursor.eat("!") {
        return comment(source, open, &cursor, trim.0);
    }
    cursor.space();
    if cursor.rest().starts_with(['>', '*']) || cursor.rest().starts_with("#>") || cursor.rest().starts_with("#*") {
        return Err(Issue::new(open..cursor.at + 1, "partials and decorators are not allowed in templates")
            .help("write the text out, or build the value in a transform step"));
    }
    let triple = cursor.eat("{");
    let kind = match () {
        () if triple || cursor.eat("&") => Kind::Value { raw: true },
        () if cursor.eat("#") => Kind::Open { inverse: false },
        () if cursor.eat("/") => Kind::Close,
        () if cursor.eat("^") => {
            cursor.space();
            if cursor.rest().starts_with(['}', '~']) { Kind::Else } else { Kind::Open { inverse: true } }
        }
        () if is_else(cursor.rest()) => {
            cursor.at += "else".len();
            Kind::Else
        }
        () => Kind::Value { raw: false },
    };
    trim.0 |= triple && cursor.eat("~");
    let head = cursor.head()?;
    trim.1 = cursor.eat("~");
    let closed = (!triple || cursor.eat("}")) && {
        trim.1 |= cursor.eat("~");
        cursor.eat("}}")
    };
    if !closed {
        let wanted = if triple { "}}}" } else { "}}" };
        return Err(Issue::new(open..cursor.at, "the tag is not closed").help(format!("add `{wanted}`")));
    }
    let at = open..cursor.at;
    if matches!(kind, Kind::Value { .. } | Kind::Open { .. } | Kind::Close) && head.operands.is_empty() {
        return Err(Issue::new(at, "the tag names nothing"));
    }
    Ok(Tag { kind, head, at, trim })
}

fn is_else(rest: &str) -> bool {
    rest.strip_prefix("else").is_some_and(|after| after.starts_with(|c: char| c.is_whitespace() || "}~".contains(c)))
}

/// `{{! … }}`, or `{{!-- … --}}`, which may hold braces.
fn comment(source: &str, open: usize, cursor: &Cursor<'_>, trim_before: bool) -> Result<Tag, Issue> {
    let long = cursor.rest().starts_with("--");
    let mut from = cursor.at + if long { 2 } else { 0 };
    let needle = if long { "--" } else { "}}" };
    while let Some(found) = source[from..].find(needle) {
        let mut end = Cursor::new(source, from + found + if long { 2 } else { 0 });
        let trim_after = end.eat("~") || !long && source[..end.at].ends_with('~');
        if end.eat("}}") {
            let head = Head { operands: Vec::new(), named: Vec::new(), params: Vec::new() };
            return Ok(Tag { kind: Kind::Comment, head, at: open..end.at, trim: (trim_before, trim_after) });
        }
        from += found + 1;
    }
    let wanted = if long { "--}}" } else { "}}" };
    Err(Issue::new(open..cursor.at, "the comment is not closed").help(format!("add `{wanted}`")))
}

/// Removes white space: beside `~`, and around block tags and comments that stand alone on their line.
fn settle(pieces: &mut [Piece]) {
    let last = pieces.len().saturating_sub(1);
    // Decided on the texts as written, then cut: one text may lie between two such tags.
    let mut cuts: Vec<(usize, usize)> = pieces.iter().map(|piece| (0, length(piece))).collect();
    for n in 0..pieces.len() {
        let Piece::Tag(tag) = &pieces[n] else { continue };
        let (Piece::Text(before), Piece::Text(after)) = (&pieces[n - 1], &pieces[n + 1]) else { continue };
        if !matches!(tag.kind, Kind::Value { .. }) {
            let line = blank_after_newline(before, n - 1 == 0);
            if let (Some(start), Some(end)) = (line, blank_to_newline(after, n + 1 == last)) {
                cuts[n - 1].1 = cuts[n - 1].1.min(start);
                cuts[n + 1].0 = cuts[n + 1].0.max(end);
            }
        }
        if tag.trim.0 {
            cuts[n - 1].1 = cuts[n - 1].1.min(before.trim_end().len());
        }
        if tag.trim.1 {
            cuts[n + 1].0 = cuts[n + 1].0.max(after.len() - after.trim_start().len());
        }
    }
    for (piece, (start, end)) in pieces.iter_mut().zip(cuts) {
        if let Piece::Text(text) = piece {
            *text = text.get(start..end).unwrap_or_default().to_owned();
        }
    }
}

fn length(piece: &Piece) -> usize {
    match piece {
        Piece::Text(text) => text.len(),
        Piece::Tag(_) => 0,
    }
}

/// Where the last line begins, when it is blank; the first line of the template needs no newline before it.
fn blank_after_newline(text: &str, first: bool) -> Option<usize> {
    let start = match text.rfind('\n') {
        Some(newline) => newline + 1,
        None if first => 0,
        None => return None,
    };
    text[start..].trim().is_empty().then_some(start)
}

/// Where the second line begins, when the first is blank; the last line needs no newline after it.
fn blank_to_newline(text: &str, last: bool) -> Option<usize> {
    let end = match text.find('\n') {
        Some(newline) => newline + 1,
        None if last => text.len(),
        None => return None,
    };
    text[..end].trim().is_empty().then_some(end)
}
