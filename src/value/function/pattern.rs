//! Regular expressions as JavaScript writes them, run by an engine that never backtracks. What would need that
//! (looking around, references to groups) is refused with a remedy.

use super::{Call, Function, Outcome};
use crate::value::expression::Value;
use crate::value::issue::EvalError;
use regex::{Captures, Regex, RegexBuilder};
use std::borrow::Cow;

/// Longest pattern, in bytes.
const MAX_PATTERN: usize = 1024;
/// Largest compiled pattern, in bytes; its cache may grow to twice that.
const MAX_COMPILED: usize = 256 * 1024;
/// What compiling a pattern at run time costs, in steps.
const COMPILING: usize = 1_000;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("regexMatch", "s: text, pattern: text, index?: whole, flags?: text", regex_match)
        .says("the match with this number, counted from 0; *missing* when there is none")
        .example(r#"["IDs: 12345 and 67890","[0-9]{5}",1]"#, "67890"),
    Function::new("regexReplace", "s: text, replacement: text, pattern: text, flags?: text", regex_replace)
        .says("the first match replaced, with the flag `g` all; in the replacement `$1`, `$<name>`, `$&` and `$$`")
        .example(r#"["2025-03-26","$3/$2/$1","(\\d+)-(\\d+)-(\\d+)"]"#, "26/03/2025"),
    Function::new("regexSearch", "s: text, pattern: text, flags?: text", regex_search)
        .says("where the first match begins, counted in characters from 0; else -1")
        .example(r#"["order 123","[0-9]"]"#, "6"),
];

/// A pattern that was compiled at load.
#[derive(Debug, Clone)]
pub(in crate::value) struct Pattern(Regex, usize);

impl Pattern {
    /// Which arguments of a helper are pattern and flags.
    pub(in crate::value) fn places(helper: &str) -> Option<(usize, usize)> {
        match helper {
            "regexMatch" => Some((1, 3)),
            "regexReplace" => Some((2, 3)),
            "regexSearch" => Some((1, 2)),
            _ => None,
        }
    }

    /// Compiles; the error says what to do.
    pub(in crate::value) fn compile(pattern: &str, flags: &str) -> Result<Self, String> {
        if pattern.len() > MAX_PATTERN {
            return Err(format!("the pattern is longer than {MAX_PATTERN} bytes"));
        }
        if let Some(bad) = flags.chars().find(|c| !"gimsuy".contains(*c)) {
            return Err(format!("`{}` is no flag; known are g, i, m, s and u", bad.escape_debug()));
        }
        if ["(?=", "(?!", "(?<=", "(?<!"].iter().any(|look| pattern.contains(look)) {
            return Err("looking ahead or behind is not supported; match more, and take a group with \
                        `regexReplace`"
                .to_owned());
        }
        let mut builder = RegexBuilder::new(&ascii(pattern));
        builder.dfa_size_limit(2 * MAX_COMPILED).nest_limit(64);
        builder.case_insensitive(flags.contains('i')).multi_line(flags.contains('m'));
        builder.dot_matches_new_line(flags.contains('s'));
        // What a byte of text costs grows with the pattern.
        for (limit, weight) in [(MAX_COMPILED / 16, 1), (MAX_COMPILED / 4, 4)] {
            if let Ok(regex) = builder.size_limit(limit).build() {
                return Ok(Self(regex, weight));
            }
        }
        match builder.size_limit(MAX_COMPILED).build() {
            Ok(regex) => Ok(Self(regex, 16)),
            Err(regex::Error::CompiledTooBig(_)) => Err("the pattern becomes too large; repeat less".to_owned()),
            Err(error) => {
                let text = error.to_string();
                let last = text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
                Err(format!("this is no regular expression: {last}"))
            }
        }
    }
}

/// A bound on what matching may take, in steps.
fn spend(call: &Call<'_, '_>, pattern: &Pattern, text: &str) -> Result<(), EvalError> {
    call.budget.spend((text.len() / 4).saturating_mul(pattern.1))
}

/// JavaScript's `\d`, `\w` and `\b` know ASCII only, its `$` no line break at the end, and `[` may stand in a class.
fn ascii(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len() * 2);
    let mut class = false;
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        match (c, class) {
            ('\\', _) => match (chars.next(), class) {
                (Some('d'), true) => out.push_str("0-9"),
                (Some('w'), true) => out.push_str("A-Za-z0-9_"),
                (Some('d'), false) => out.push_str("[0-9]"),
                (Some('D'), _) => out.push_str("[^0-9]"),
                (Some('w'), false) => out.push_str("[A-Za-z0-9_]"),
                (Some('W'), _) => out.push_str("[^A-Za-z0-9_]"),
                (Some('b'), true) => out.push_str("\\x08"),
                (Some('b'), false) => out.push_str("(?-u:\\b)"),
                (Some('B'), false) => out.push_str("(?:\\B)"),
                (Some(other @ ('<' | '>')), _) => out.push(other),
                (Some(other), _) => out.extend(['\\', other]),
                (None, _) => out.push('\\'),
            },
            ('[', true) => out.push_str("\\["),
            ('&' | '~', true) => out.extend(['\\', c]),
            ('[', false) => {
                class = true;
                out.push(c);
            }
            (']', true) => {
                class = false;
                out.push(c);
            }
            _ => out.push(c),
        }
    }
    out
}

/// The pattern of a call: compiled at load where it is constant.
fn pattern<'c>(call: &'c Call<'_, '_>) -> Result<Cow<'c, Pattern>, EvalError> {
    if let Some(pattern) = call.pattern {
        return Ok(Cow::Borrowed(pattern));
    }
    let (at, flags) = Pattern::places(call.function.name).unwrap_or_default();
    call.budget.spend(COMPILING)?;
    let compiled = Pattern::compile(&call.text(at)?, &call.text_or(flags, "")?);
    compiled.map(Cow::Owned).map_err(|why| call.refused(&why))
}

fn regex_match<'a>(call: &Call<'_, 'a>) -> Outcome<'a> {
    let pattern = pattern(call)?;
    let (text, index) = (call.text(0)?, if call.given(2) { call.count(2)? } else { 0 });
    spend(call, &pattern, &text)?;
    let mut matches = pattern.0.find_iter(&text);
    for _ in 0..index {
        call.budget.spend(1)?;
        if matches.next().is_none() {
            break;
        }
    }
    match matches.next() {
        Some(found) => call.made(found.as_str().to_owned()),
        None => call.nothing("finds no match"),
    }
}

fn regex_search<'a>(call: &Call<'_, 'a>) -> Outcome<'a> {
    let (pattern, text) = (pattern(call)?, call.text(0)?);
    spend(call, &pattern, &text)?;
    let at = pattern.0.find(&text).map(|found| text[..found.start()].encode_utf16().count());
    Ok(Value::Int(at.and_then(|at| i128::try_from(at).ok()).unwrap_or(-1)))
}

fn regex_replace<'a>(call: &Call<'_, 'a>) -> Outcome<'a> {
    let (pattern, text, replacement) = (pattern(call)?, call.text(0)?, call.text(1)?);
    let all = call.text_or(3, "")?.contains('g');
    spend(call, &pattern, &text)?;
    let mut out = String::new();
    let mut from = 0;
    for captures in pattern.0.captures_iter(&text).take(if all { usize::MAX } else { 1 }) {
        let Some(whole) = captures.get(0) else { continue };
        let before = out.len();
        out.push_str(&text[from..whole.start()]);
        expand(&replacement, &captures, &pattern.0, &mut out);
        call.budget.spend(1)?;
        call.budget.produce(out.len() - before)?;
        from = whole.end();
    }
    out.push_str(&text[from..]);
    call.budget.produce(text.len() - from)?;
    Ok(Value::Text(Cow::Owned(out)))
}

/// `$1`, `$12`, `$<name>`, `$&`, `$$`; anything else stands as it is.
fn expand(replacement: &str, captures: &Captures<'_>, regex: &Regex, out: &mut String) {
    let group = |n: usize| captures.get(n).map_or("", |found| found.as_str());
    let mut rest = replacement;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let number = |length: usize| {
            let digits = rest.get(..length).filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()))?;
            digits.parse().ok().filter(|n| (1..captures.len()).contains(n)).map(|n: usize| (n, length))
        };
        if let Some(after) = rest.strip_prefix('$') {
            out.push('$');
            rest = after;
        } else if let Some(after) = rest.strip_prefix('&') {
            out.push_str(group(0));
            rest = after;
        } else if let Some((n, length)) = number(2).or_else(|| number(1)) {
            out.push_str(group(n));
            rest = &rest[length..];
        } else if let Some((name, after)) = rest.strip_prefix('<').and_then(|name| name.split_once('>'))
            && regex.capture_names().flatten().next().is_some()
        {
            out.push_str(captures.name(name).map_or("", |found| found.as_str()));
            rest = after;
        } else {
            out.push('$');
        }
    }
    out.push_str(rest);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_bounded_and_what_backtracks_is_refused() {
        for (pattern, flags, wanted) in [
            ("a(?=b)", "", "looking ahead"),
            ("(?<!a)b", "", "looking ahead or behind"),
            ("(a)\\1", "", "no regular expression"),
            ("(", "", "no regular expression"),
            ("a{1000}{1000}", "", "too large"),
            ("a", "q", "`q` is no flag"),
        ] {
            let error = Pattern::compile(pattern, flags).unwrap_err();
            assert!(error.contains(wanted), "{pattern}: {error}");
        }
        assert!(Pattern::compile(&"a".repeat(2000), "").is_err());
        assert!(Pattern::compile(&"(".repeat(1000), "").is_err());
    }

    #[test]
    fn classes_are_those_of_javascript() {
        for (pattern, text, wanted) in [
            (r"\d+", "٣ 4", Some("4")),
            (r"[\d.]+", "v1.2", Some("1.2")),
            (r"\w+", "é_a1", Some("_a1")),
            (r"[^\w]", "aé", Some("é")),
            (r"\bb", "éb", Some("b")),
            (r"[[]a", "[a", Some("[a")),
            (r"a\/b\-c", "a/b-c", Some("a/b-c")),
            (r"[a&&b]+", "&&", Some("&&")),
            (r"\$\{", "x${", Some("${")),
        ] {
            let pattern = Pattern::compile(pattern, "").unwrap_or_else(|error| panic!("{pattern}: {error}"));
            assert_eq!(pattern.0.find(text).map(|found| found.as_str()), wanted, "{text}");
        }
    }
}
