//! Findings for people: code, place, source line with caret, key path, remedy.

use super::{file_name, push_safe, safe, summary};
use crate::config::diagnostic::{Diagnostic, Severity};
use std::fmt::Write;

/// More findings are counted, not printed.
const MOST_PRINTED: usize = 5_000;

/// All findings and a closing count. Colours only when asked for.
pub fn text(findings: &[Diagnostic], colours: bool) -> String {
    let mut out = String::new();
    for finding in findings.iter().take(MOST_PRINTED) {
        one(&mut out, finding, colours);
        out.push('\n');
    }
    if findings.len() > MOST_PRINTED {
        let _infallible = writeln!(out, "… and {} more findings\n", findings.len() - MOST_PRINTED);
    }
    out.push_str(&summary(findings));
    out.push('\n');
    out
}

/// Escape sequences, empty without colours.
struct Paint {
    severity: &'static str,
    frame: &'static str,
    bold: &'static str,
    off: &'static str,
}

impl Paint {
    fn of(severity: Severity, colours: bool) -> Self {
        match (colours, severity) {
            (false, _) => Self { severity: "", frame: "", bold: "", off: "" },
            (true, Severity::Error) => {
                Self { severity: "\x1b[1;31m", frame: "\x1b[34m", bold: "\x1b[1m", off: "\x1b[0m" }
            }
            (true, Severity::Warning) => {
                Self { severity: "\x1b[1;33m", frame: "\x1b[34m", bold: "\x1b[1m", off: "\x1b[0m" }
            }
        }
    }
}

fn one(out: &mut String, finding: &Diagnostic, colours: bool) {
    let Paint { severity, frame, bold, off } = Paint::of(finding.severity, colours);
    let name = finding.severity.name();
    let (message, file) = (safe(&finding.message), safe(&file_name(finding)));
    let gutter = if finding.source_line.is_some() { finding.line.to_string().len() } else { 1 };
    let pad = " ".repeat(gutter);
    let mut put = |line: String| {
        out.push_str(line.trim_end());
        out.push('\n');
    };
    put(format!("{severity}{name}[{}]{off}{bold}: {message}{off}", finding.code));
    put(format!("{pad}{frame}-->{off} {file}:{}:{}", finding.line, finding.column));
    if let Some(line) = &finding.source_line {
        let (shown, start, width) = source(line, finding);
        put(format!("{pad} {frame}|{off}"));
        put(format!("{frame}{} |{off} {shown}", finding.line));
        put(format!("{pad} {frame}|{off} {}{severity}{}{off}", " ".repeat(start), "^".repeat(width)));
    }
    if !finding.key.is_empty() {
        put(format!("{pad} {frame}={off} key: {}", safe(&finding.key)));
    }
    if let Some(help) = &finding.help {
        put(format!("{pad} {frame}={off} help: {}", safe(help)));
    }
}

/// The source line escaped, with the caret's start and width in what is shown.
fn source(line: &str, finding: &Diagnostic) -> (String, usize, usize) {
    let mut shown = String::new();
    let (mut start, mut end, mut width) = (None, None, 0);
    for (index, c) in line.chars().enumerate() {
        if index == finding.caret.start {
            start = Some(width);
        }
        if index == finding.caret.end {
            end = Some(width);
        }
        width += push_safe(&mut shown, c);
    }
    let start = start.unwrap_or(width);
    (shown, start, end.unwrap_or(width).saturating_sub(start).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn finding() -> Diagnostic {
        Diagnostic {
            severity: Severity::Error,
            code: "unknown-key",
            file: PathBuf::from("connections/shop.toml"),
            line: 12,
            column: 1,
            length: 3,
            key: "abc".to_owned(),
            message: "unknown key `abc`".to_owned(),
            help: Some("did you mean `abcd`?".to_owned()),
            source_line: Some("abc = \u{1b}[31m1".to_owned()),
            caret: 0..3,
        }
    }

    #[test]
    fn a_finding_shows_place_line_caret_key_and_remedy() {
        let expected = "\
error[unknown-key]: unknown key `abc`
  --> connections/shop.toml:12:1
   |
12 | abc = \\u{1b}[31m1
   | ^^^
   = key: abc
   = help: did you mean `abcd`?

1 error
";
        assert_eq!(text(&[finding()], false), expected);
    }

    #[test]
    fn nothing_a_terminal_obeys_gets_through() {
        let mut hostile = finding();
        hostile.message = "a\x1b]0;x\x07\u{202e}\n".to_owned();
        hostile.key = "k\r".to_owned();
        hostile.file = PathBuf::from("connections/\x1b.toml");
        let printed = text(&[hostile], false);
        assert!(printed.chars().all(|c| c == '\n' || !super::super::is_hostile(c)), "{printed:?}");
        assert!(text(&[finding()], true).contains("\x1b[1;31merror"));
    }

    #[test]
    fn thousands_of_findings_are_capped_with_a_count() {
        let printed = text(&vec![finding(); MOST_PRINTED + 3], false);
        assert!(printed.contains("… and 3 more findings"));
        assert_eq!(printed.matches("error[").count(), MOST_PRINTED);
        assert!(printed.ends_with("5003 errors\n"));
    }
}
