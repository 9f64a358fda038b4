//! Findings as workflow commands that annotate a pull request.

use super::{file_name, push_safe};
use crate::config::diagnostic::Diagnostic;
use std::fmt::Write;

/// One `::error …::…` or `::warning …::…` line per finding.
pub fn github(findings: &[Diagnostic]) -> String {
    let mut out = String::new();
    for finding in findings {
        let mut message = format!("{}: {}", finding.code, finding.message);
        if !finding.key.is_empty() {
            let _infallible = write!(message, " ({})", finding.key);
        }
        if let Some(help) = &finding.help {
            let _infallible = write!(message, "\nhelp: {help}");
        }
        let _infallible = writeln!(
            out,
            "::{} file={},line={},col={},title={}::{}",
            finding.severity.name(),
            property(&file_name(finding)),
            finding.line,
            finding.column,
            property(finding.code),
            data(&message),
        );
    }
    out
}

/// Escapes a message: percent signs, line ends, and what a terminal would obey: lines are read there too.
fn data(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '%' => out.push_str("%25"),
            '\r' => out.push_str("%0D"),
            '\n' => out.push_str("%0A"),
            c => {
                push_safe(&mut out, c);
            }
        }
    }
    out
}

/// Escapes a property: a message's, and the separators.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::diagnostic::Severity;
    use std::path::PathBuf;

    #[test]
    fn separators_and_line_ends_cannot_break_out() {
        let finding = Diagnostic {
            severity: Severity::Warning,
            code: "unresolved-source",
            file: PathBuf::from("flows/a,b:c.toml"),
            line: 3,
            column: 7,
            length: 1,
            key: "secrets.token".to_owned(),
            message: "100% wrong\n::error::x\t\u{1b}[2J".to_owned(),
            help: None,
            source_line: None,
            caret: 0..0,
        };
        assert_eq!(
            github(&[finding]),
            "::warning file=flows/a%2Cb%3Ac.toml,line=3,col=7,title=unresolved-source::unresolved-source: \
             100%25 wrong%0A::error::x \\u{1b}[2J (secrets.token)\n"
        );
    }
}
