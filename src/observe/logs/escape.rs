//! What may not reach a terminal or forge a second line, made visible.

use std::fmt::Write as _;

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
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\\' => out.push_str("\\\\"),
            c if plain(c) => out.push(c),
            c => {
                let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
            }
        }
    }
}

/// Appends a field's value, in quotes where it would not read as one word.
pub(super) fn value_onto(out: &mut String, text: &str) {
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
    fn a_cut_never_splits_a_character() {
        let text = cut("é".repeat(LONGEST));
        assert!(text.ends_with("é…") && text.len() <= LONGEST + '…'.len_utf8());
        assert_eq!(cut("short".to_owned()), "short");
    }
}
