//! From a path's text to tokens, with the recommendation's rule for `*` and the words that are operators after an
//! operand and names elsewhere.

use crate::value::issue::Issue;
use crate::value::xml::{is_name_char, is_name_start, is_space};
use std::ops::Range;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    Number(f64),
    Text(String),
    /// Prefix and local name.
    Name(Option<String>, String),
    /// `*` as a name.
    Star,
    /// `p:*`
    Namespace(String),
    /// `*:name`
    Local(String),
    /// Everything else: operators, brackets, punctuation.
    Sign(&'static str),
}

/// Signs, longer ones first.
const SIGNS: &[&str] =
    &["::", "//", "..", "!=", "<=", ">=", "(", ")", "[", "]", ".", "@", ",", "/", "|", "+", "-", "=", "<", ">", "*"];
/// Names that are operators after an operand.
const WORDS: &[&str] = &["and", "or", "div", "mod"];

pub(super) fn tokens(text: &str) -> Result<Vec<(Token, Range<usize>)>, Issue> {
    let mut found: Vec<(Token, Range<usize>)> = Vec::new();
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        if is_space(c) {
            at += 1;
            continue;
        }
        let operand = found.last().is_some_and(|(token, _)| ends_operand(token));
        let (token, end) = token(text, at, c, operand)?;
        found.push((token, at..end));
        at = end;
    }
    Ok(found)
}

/// Whether an operator may follow.
fn ends_operand(token: &Token) -> bool {
    match token {
        Token::Sign(sign) => matches!(*sign, ")" | "]" | "." | ".."),
        _ => true,
    }
}

fn token(text: &str, at: usize, c: char, operand: bool) -> Result<(Token, usize), Issue> {
    let rest = &text[at..];
    if c.is_ascii_digit() || (c == '.' && rest[1..].starts_with(|next: char| next.is_ascii_digit())) {
        return Ok(number(rest, at));
    }
    if c == '"' || c == '\'' {
        let Some(length) = rest[1..].find(c) else {
            return Err(Issue::new(at..text.len(), "a text without its closing quote"));
        };
        return Ok((Token::Text(rest[1..=length].to_owned()), at + length + 2));
    }
    if is_name_start(c) {
        return Ok(name(rest, at, operand));
    }
    if c == '*' && !operand {
        let local = rest.strip_prefix("*:").map(name_length).filter(|length| *length > 0);
        return Ok(match local {
            Some(length) => (Token::Local(rest[2..2 + length].to_owned()), at + 2 + length),
            None => (Token::Star, at + 1),
        });
    }
    if let Some(sign) = SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
        return Ok((Token::Sign(sign), at + sign.len()));
    }
    let place = at..at + c.len_utf8();
    Err(match c {
        '$' => Issue::new(place, "variables and JSONPath are not supported in an XPath, and this path reads XML")
            .help("write `/data/items/item` or `//item[@id = '7']`"),
        _ => Issue::new(place, format!("`{c}` is not expected in an XPath")),
    })
}

fn number(rest: &str, at: usize) -> (Token, usize) {
    let digits = |from: usize| rest[from..].bytes().take_while(u8::is_ascii_digit).count();
    let mut length = digits(0);
    if rest[length..].starts_with('.') {
        length += 1 + digits(length + 1);
    }
    let text = &rest[..length];
    // Digits with at most one point are a number to Rust too.
    (Token::Number(text.parse().unwrap_or(f64::NAN)), at + length)
}

fn name_length(text: &str) -> usize {
    if !text.starts_with(is_name_start) {
        return 0;
    }
    text.find(|c| !is_name_char(c)).unwrap_or(text.len())
}

fn name(rest: &str, at: usize, operand: bool) -> (Token, usize) {
    let length = name_length(rest);
    let (first, after) = rest.split_at(length);
    if operand && let Some(word) = WORDS.iter().find(|word| **word == first) {
        return (Token::Sign(word), at + length);
    }
    let Some(local) = after.strip_prefix(':').filter(|local| !local.starts_with(':')) else {
        return (Token::Name(None, first.to_owned()), at + length);
    };
    if local.starts_with('*') {
        return (Token::Namespace(first.to_owned()), at + length + 2);
    }
    match name_length(local) {
        0 => (Token::Name(None, first.to_owned()), at + length),
        end => (Token::Name(Some(first.to_owned()), local[..end].to_owned()), at + length + 1 + end),
    }
}
