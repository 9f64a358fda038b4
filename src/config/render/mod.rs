//! Findings as people and machines read them. No decision is taken here.

mod github;
mod json;
mod sarif;
mod text;

pub use github::github;
pub use json::json;
pub use sarif::sarif;
pub use text::text;

use super::diagnostic::{Counts, Diagnostic};

/// `2 errors, 1 warning`.
pub fn summary(findings: &[Diagnostic]) -> String {
    let Counts { errors, warnings } = Counts::of(findings);
    let count = |n: usize, word: &str| if n == 1 { format!("1 {word}") } else { format!("{n} {word}s") };
    match (errors, warnings) {
        (0, 0) => "no findings".to_owned(),
        (_, 0) => count(errors, "error"),
        (0, _) => count(warnings, "warning"),
        _ => format!("{}, {}", count(errors, "error"), count(warnings, "warning")),
    }
}

/// A path with forward slashes on every system.
fn file_name(finding: &Diagnostic) -> String {
    finding.file.to_string_lossy().replace('\\', "/")
}

/// Whether a character would move the cursor, colour the terminal or turn the text around.
fn is_hostile(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// Escapes what a terminal would obey.
fn safe(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        push_safe(&mut out, c);
    }
    out
}

/// One character, a tab as one blank; gives the width in characters.
fn push_safe(out: &mut String, c: char) -> usize {
    if c == '\t' {
        out.push(' ');
        return 1;
    }
    if !is_hostile(c) {
        out.push(c);
        return 1;
    }
    let escaped = c.escape_unicode();
    let width = escaped.len();
    out.extend(escaped);
    width
}
