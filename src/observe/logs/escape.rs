//! What may not reach a terminal or forge a second line, made visible.

use std::fmt::Write as _;

/// [`onto`] or [`visibly_onto`].
pub(super) type Onto = fn(&mut String, &str);

/// Most bytes of one value in a line.
pub(super) const LONGEST: usize = 8 * 1024;

/// Whether a character stands for itself: printable, and neither control, format nor bidirectional mark.
fn plain(c: char) -> bool {
    !(c.is_control()
        || matches!(c,
            '\u{00ad}' | '\u{061c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'))
}

/// Appends the text on one line: `\n`, `\r`, `\t` by name, other such characters by number, backslashes doubled.
pub(super) fn onto(out: &mut String, text: &str) {
    for c in text.chars() {
        if c == '\\' { out.push_str("\\\\") } else { shown(out, c) }
    }
}

/// As [`onto`], for people: backslashes stay, so that JSON and what was escaped before is read as it is.
pub(super) fn visibly_onto(out: &mut String, text: &str) {
    text.chars().for_each(|c| shown(out, c));
}

fn shown(out: &mut String, c: char) {
    match c {
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        c if plain(c) => out.push(c),
        c => {
            let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
        }
    }
}

/// Appends a field's value, in quotes where it would not read as one word.
pub(super) fn value_onto(out: &mut String, text: &str, onto: Onto) {
    let word =
        !text.is_empty() && text.chars().all(|c| plain(c) && !c.is_whitespace() && !matches!(c, '"' | '=' | '\\'));
    if word {
        out.push_str(text);
        return;
    }
    let mut escaped = String::with_capacity(text.len() + 2);
    onto(&mut escaped, text);
    out.push('"');
    out.push_str(&escaped.replace('"', "\\\""));
    out.push('"');
}

/// The text, cut at [`LONGEST`] with a mark.
pub(super) fn cut(mut text: String) -> String {
    if text.len() > LONGEST {
        let end = (0..=LONGEST).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_read_json_and_what_was_escaped_before_as_it_is() {
        let mut out = String::new();
        visibly_onto(&mut out, "{\"id\": \"a\\\"b\\\\c\\n\"}\n\u{1b}[31m");
        assert_eq!(out, "{\"id\": \"a\\\"b\\\\c\\n\"}\\n\\u{1b}[31m");
        let mut line = String::new();
        onto(&mut line, "a\\nb\n");
        assert_eq!(line, "a\\\\nb\\n");
        let kept = serde_json::json!({"time": "t", "level": "warn", "message": "m", "why": "a \\u{1b}[31m\u{1b}"});
        assert_eq!(super::super::shown(&kept, false), "t WARN  m why=\"a \\u{1b}[31m\\u{1b}\"\n");
    }

    #[test]
    fn a_cut_never_splits_a_character() {
        let text = cut("é".repeat(LONGEST));
        assert!(text.ends_with("é…") && text.len() <= LONGEST + '…'.len_utf8());
        assert_eq!(cut("short".to_owned()), "short");
    }
}
