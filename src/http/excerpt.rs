//! Texts of servers made fit for people: control characters shown, not obeyed, and cut to a readable length.

/// At most so many bytes of a body are looked at for a message.
pub(super) const READ: usize = 8 * 1024;
/// At most so many characters of it are shown.
const SHOWN: usize = 500;

/// Cuts and escapes a text that has been redacted before: cutting first could leave half a secret unrecognised.
pub(super) fn fit(text: &str) -> String {
    let mut out = String::with_capacity(text.len().min(SHOWN + 8));
    for (n, c) in text.chars().enumerate() {
        if n == SHOWN {
            out.push('…');
            break;
        }
        if is_unsafe(c) { out.extend(c.escape_default()) } else { out.push(c) }
    }
    out
}

/// Characters that act instead of being shown: controls, and marks that turn the direction of text.
fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_shown_and_not_obeyed() {
        assert_eq!(fit("a\n2026 INFO fake\u{1b}[31m"), "a\\n2026 INFO fake\\u{1b}[31m");
        assert_eq!(fit("\u{202e}evil"), "\\u{202e}evil");
        assert_eq!(fit("naïve ☃ \"quoted\" \\"), "naïve ☃ \"quoted\" \\");
    }

    #[test]
    fn long_texts_are_cut() {
        assert_eq!(fit(&"é".repeat(500)).chars().count(), 500);
        let cut = fit(&"é".repeat(501));
        assert_eq!(cut.chars().count(), 501);
        assert!(cut.ends_with('…'));
    }
}
