//! Splits an expression into tokens with their byte ranges. Knows nothing of grammar.

use crate::value::issue::Issue;
use std::ops::Range;

/// One token.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    Name(String),
    Text(String),
    Int(i128),
    Float(f64),
    /// An operator or bracket, as written.
    Sign(&'static str),
}

/// A token and where it stands.
#[derive(Debug, Clone)]
pub(super) struct Lexed {
    pub(super) token: Token,
    pub(super) at: Range<usize>,
}

/// Longer signs first.
const SIGNS: &[&str] = &[
    "**", "//", "==", "!=", "<=", ">=", "+", "-", "*", "/", "%", "~", "<", ">", "=", "|", "(", ")", "[", "]", "{", "}",
    ",", ".", ":",
];

/// All tokens of the text.
pub(super) fn tokens(text: &str) -> Result<Vec<Lexed>, Issue> {
    let mut out: Vec<Lexed> = Vec::new();
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        if c.is_whitespace() {
            at += c.len_utf8();
            continue;
        }
        let after_dot = out.last().is_some_and(|l| l.token == Token::Sign(".") && l.at.end == at);
        let (token, end) = one(text, at, c, after_dot)?;
        out.push(Lexed { token, at: at..end });
        at = end;
    }
    Ok(out)
}

fn one(text: &str, at: usize, c: char, after_dot: bool) -> Result<(Token, usize), Issue> {
    if c.is_alphabetic() || c == '_' {
        let end = end_of(text, at, |c| c.is_alphanumeric() || c == '_');
        return Ok((Token::Name(text[at..end].to_owned()), end));
    }
    if c.is_ascii_digit() {
        return number(text, at, after_dot);
    }
    if c == '"' || c == '\'' {
        return quoted(text, at, c);
    }
    if let Some(sign) = SIGNS.iter().find(|sign| text[at..].starts_with(**sign)) {
        return Ok((Token::Sign(sign), at + sign.len()));
    }
    let issue = Issue::new(at..at + c.len_utf8(), format!("`{}` has no meaning in an expression", c.escape_debug()));
    Err(match c {
        '$' => issue.help("write `record.x` (or `item.x`) instead of a JSONPath"),
        '&' => issue.help("write `and`"),
        '!' => issue.help("write `not`"),
        '?' => issue.help("write `a if condition else b`"),
        _ => issue,
    })
}

fn end_of(text: &str, from: usize, wanted: impl Fn(char) -> bool) -> usize {
    text[from..].find(|c| !wanted(c)).map_or(text.len(), |n| from + n)
}

/// `12`, `1_000`, `0x1F`, `1.5`, `2e-3`. After a dot only digits: `items.0.id` are two index steps.
fn number(text: &str, at: usize, after_dot: bool) -> Result<(Token, usize), Issue> {
    let digits = |from: usize| end_of(text, from, |c| c.is_ascii_digit() || c == '_');
    let bytes = text.as_bytes();
    let mut end = digits(at);
    let whole = |text: &str, radix: u32, end: usize| {
        let issue = || Issue::new(at..end, "this whole number is too large").help("at most 38 digits are kept exactly");
        if text.ends_with('_') || text.is_empty() {
            return Err(Issue::new(at..end, "this is not a number"));
        }
        i128::from_str_radix(&text.replace('_', ""), radix).map(|n| (Token::Int(n), end)).map_err(|_| issue())
    };
    if after_dot {
        return whole(&text[at..end], 10, end);
    }
    if let Some(radix) = radix_of(&bytes[at..]) {
        let end = end_of(text, at + 2, |c| c.is_ascii_alphanumeric() || c == '_');
        return whole(&text[at + 2..end], radix, end)
            .map_err(|_| Issue::new(at..end, "this is not a whole number in that notation"));
    }
    let mut float = false;
    if bytes.get(end) == Some(&b'.') && bytes.get(end + 1).is_some_and(u8::is_ascii_digit) {
        float = true;
        end = digits(end + 1);
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
        if bytes.get(end + 1 + sign).is_some_and(u8::is_ascii_digit) {
            float = true;
            end = digits(end + 1 + sign);
        }
    }
    if !float {
        return whole(&text[at..end], 10, end);
    }
    match text[at..end].replace('_', "").parse::<f64>() {
        Ok(n) if n.is_finite() => Ok((Token::Float(n), end)),
        _ => Err(Issue::new(at..end, "this number is out of range")),
    }
}

fn radix_of(bytes: &[u8]) -> Option<u32> {
    match bytes.get(..2)? {
        b"0x" | b"0X" => Some(16),
        b"0o" | b"0O" => Some(8),
        b"0b" | b"0B" => Some(2),
        _ => None,
    }
}

fn quoted(text: &str, at: usize, quote: char) -> Result<(Token, usize), Issue> {
    let mut out = String::new();
    let mut chars = text[at + 1..].char_indices();
    while let Some((offset, c)) = chars.next() {
        let here = at + 1 + offset;
        if c == quote {
            return Ok((Token::Text(out), here + 1));
        }
        if c != '\\' {
            out.push(c);
            continue;
        }
        let Some((_, escaped)) = chars.next() else { break };
        match escaped {
            'n' => out.push('\n'),
            'r' => out.push('\r'),
            't' => out.push('\t'),
            'b' => out.push('\u{8}'),
            'f' => out.push('\u{c}'),
            '"' | '\'' | '\\' | '/' => out.push(escaped),
            'u' | 'x' => {
                let wanted = if escaped == 'u' { 4 } else { 2 };
                let code = hex(&text[here + 2..], wanted).and_then(char::from_u32).ok_or_else(|| {
                    Issue::new(
                        here..here + 2,
                        format!("`\\{escaped}` wants {wanted} hexadecimal digits of a character"),
                    )
                    .help("write the character itself")
                })?;
                out.push(code);
                for _ in 0..wanted {
                    chars.next();
                }
            }
            other => {
                out.push('\\');
                out.push(other);
            }
        }
    }
    Err(Issue::new(at..text.len(), "this text is not closed").help(format!("add the closing {quote}")))
}

fn hex(text: &str, wanted: usize) -> Option<u32> {
    let digits = text.get(..wanted)?;
    if digits.bytes().all(|b| b.is_ascii_hexdigit()) { u32::from_str_radix(digits, 16).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> Vec<Token> {
        tokens(text).unwrap().into_iter().map(|l| l.token).collect()
    }

    #[test]
    fn numbers_keep_their_kind() {
        assert_eq!(all("1_000"), [Token::Int(1000)]);
        assert_eq!(all("0xff"), [Token::Int(255)]);
        assert_eq!(all("1.5e3"), [Token::Float(1500.0)]);
        assert_eq!(
            all("x.0.1"),
            [Token::Name("x".into()), Token::Sign("."), Token::Int(0), Token::Sign("."), Token::Int(1)]
        );
        assert!(tokens("1e999").is_err());
        assert!(tokens("1_").is_err());
        assert!(tokens("0x").is_err());
    }

    #[test]
    fn text_is_unescaped() {
        assert_eq!(all(r#"'it\'s' "\u00e9\x41\d""#), [Token::Text("it's".into()), Token::Text("éA\\d".into())]);
        assert!(tokens("'open").is_err());
        assert!(tokens(r"'\u12'").is_err());
    }

    #[test]
    fn foreign_signs_come_with_a_remedy() {
        for text in ["a && b", "!a", "$.a", "a ? b : c"] {
            let issue = tokens(text).unwrap_err();
            assert!(issue.help.is_some(), "{text}");
        }
    }
}
