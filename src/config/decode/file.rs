//! One file being decoded: its text, its findings, and what of it must not be shown.

use crate::config::diagnostic::{Diagnostic, Severity};
use crate::config::remedy;
use crate::config::text::Lines;
use std::cell::{Cell, RefCell};
use std::ops::Range;
use std::path::{Path, PathBuf};

/// More findings than this in one file are only counted.
const MOST_FINDINGS: usize = 5_000;
/// Longest part of a source line that is kept, in characters.
const SHOWN_WIDTH: usize = 160;

/// A finding before its place is worked out.
#[derive(Debug, Clone)]
pub(in crate::config) struct Finding {
    severity: Severity,
    code: &'static str,
    at: Option<Range<usize>>,
    /// Line and column of a file whose text is not there.
    spot: Option<(usize, usize)>,
    key: String,
    message: String,
    help: Option<String>,
}

impl Finding {
    pub(in crate::config) fn error(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            code,
            at: None,
            spot: None,
            key: String::new(),
            message: message.into(),
            help: None,
        }
    }
    pub(in crate::config) fn warning(code: &'static str, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, message) }
    }
    pub(in crate::config) fn at(mut self, at: Range<usize>) -> Self {
        self.at = Some(at);
        self
    }
    pub(in crate::config) fn spot(mut self, spot: Option<(usize, usize)>) -> Self {
        self.spot = spot;
        self
    }
    pub(in crate::config) fn key(mut self, key: impl Into<String>) -> Self {
        self.key = key.into();
        self
    }
    pub(in crate::config) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
    pub(in crate::config) fn help_if(mut self, help: Option<String>) -> Self {
        self.help = help.or(self.help);
        self
    }
}

/// A file's text and everything found in it so far.
pub(in crate::config) struct File<'t> {
    path: PathBuf,
    text: &'t str,
    lines: Lines<'t>,
    /// The top-level keys of this kind of file.
    top: &'static [&'static str],
    masked: RefCell<Vec<Range<usize>>>,
    findings: RefCell<Vec<Finding>>,
    untold: Cell<usize>,
}

impl<'t> File<'t> {
    pub(in crate::config) fn new(path: &Path, text: &'t str, top: &'static [&'static str]) -> Self {
        Self {
            path: path.to_owned(),
            text,
            lines: Lines::new(text),
            top,
            masked: RefCell::default(),
            findings: RefCell::default(),
            untold: Cell::new(0),
        }
    }

    pub(in crate::config) fn text(&self) -> &'t str {
        self.text
    }
    /// Whether it describes a connection, and so may hold secrets under names.
    pub(in crate::config) fn is_connection(&self) -> bool {
        self.path().starts_with("connections")
    }

    pub(in crate::config) fn path(&self) -> &Path {
        &self.path
    }
    pub(in crate::config) fn top(&self) -> &'static [&'static str] {
        self.top
    }
    pub(in crate::config) fn lines(&self) -> &Lines<'t> {
        &self.lines
    }

    pub(in crate::config) fn report(&self, finding: Finding) {
        let mut findings = self.findings.borrow_mut();
        if findings.len() < MOST_FINDINGS {
            findings.push(finding);
        } else {
            self.untold.set(self.untold.get() + 1);
        }
    }

    /// Whether further findings are only counted.
    pub(in crate::config) fn is_full(&self) -> bool {
        self.findings.borrow().len() >= MOST_FINDINGS
    }

    /// Hides a part of the file in every source line shown from now on and before.
    pub(in crate::config) fn mask(&self, at: Range<usize>) {
        self.masked.borrow_mut().push(at);
    }

    /// How many errors so far.
    pub(in crate::config) fn error_count(&self) -> usize {
        let kept = self.findings.borrow().iter().filter(|finding| finding.severity == Severity::Error).count();
        kept + self.untold.get()
    }

    pub(in crate::config) fn has_errors(&self) -> bool {
        self.findings.borrow().iter().any(|finding| finding.severity == Severity::Error)
    }

    /// The findings in the order of the text.
    pub(in crate::config) fn finish(self) -> Vec<Diagnostic> {
        let Self { path, lines, masked, findings, untold, .. } = self;
        let (mut findings, mut masked) = (findings.into_inner(), masked.into_inner());
        masked.sort_by_key(|range| (range.start, range.end));
        findings.sort_by_key(|finding| finding.at.as_ref().map_or(0, |at| at.start));
        if untold.get() > 0 {
            findings.push(Finding::error("too-many-findings", format!("{} more findings in this file", untold.get())));
        }
        findings.into_iter().map(|finding| place(finding, &path, &lines, &masked)).collect()
    }
}

fn place(finding: Finding, path: &Path, lines: &Lines<'_>, masked: &[Range<usize>]) -> Diagnostic {
    let Finding { severity, code, at, spot, key, message, help } = finding;
    let help = help.or_else(|| remedy::of(code, &message).map(str::to_owned));
    let (message, help) = (brief(message), help.map(brief));
    let file = path.to_owned();
    let Some(at) = at else {
        let (line, column) = spot.unwrap_or((1, 1));
        let length = 1;
        return Diagnostic {
            severity,
            code,
            file,
            line,
            column,
            length,
            key,
            message,
            help,
            source_line: None,
            caret: 0..0,
        };
    };
    let spot = lines.spot(&at);
    let shown = lines.shown(&at, masked);
    let (source_line, caret) = clip(&shown.text, &shown.caret);
    Diagnostic {
        severity,
        code,
        file,
        line: spot.line,
        column: spot.column,
        length: spot.length,
        key,
        message,
        help,
        source_line: Some(source_line),
        caret,
    }
}

/// Texts quoted in messages can be as long as the file.
fn brief(mut text: String) -> String {
    const LONGEST: usize = 600;
    if let Some((end, _)) = text.char_indices().nth(LONGEST) {
        text.truncate(end);
        text.push('…');
    }
    text
}

/// Keeps the part of a long line around the caret.
fn clip(line: &str, caret: &Range<usize>) -> (String, Range<usize>) {
    if line.len() <= SHOWN_WIDTH {
        return (line.to_owned(), caret.clone());
    }
    let count = line.chars().count();
    if count <= SHOWN_WIDTH {
        return (line.to_owned(), caret.clone());
    }
    let first = caret.start.saturating_sub(SHOWN_WIDTH / 2).min(count - SHOWN_WIDTH);
    let cut_left = usize::from(first > 0);
    let mut shown = String::from(if first > 0 { "…" } else { "" });
    shown.extend(line.chars().skip(first).take(SHOWN_WIDTH));
    if first + SHOWN_WIDTH < count {
        shown.push('…');
    }
    let start = caret.start - first + cut_left;
    let end = (caret.end - first).min(SHOWN_WIDTH) + cut_left;
    (shown, start..end.max(start + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_is_clipped_around_the_caret() {
        let line = format!("{}XYZ{}", "a".repeat(1000), "b".repeat(1000));
        let (shown, caret) = clip(&line, &(1000..1003));
        assert_eq!(shown.chars().skip(caret.start).take(caret.len()).collect::<String>(), "XYZ");
        assert!(shown.chars().count() <= SHOWN_WIDTH + 2);
        assert!(shown.starts_with('…') && shown.ends_with('…'));
        let (shown, caret) = clip(&line, &(2003..2004));
        assert_eq!(caret.start, shown.chars().count());
    }

    #[test]
    fn a_flood_of_findings_is_counted_not_kept() {
        let file = File::new(Path::new("a.toml"), "x", &[]);
        for _ in 0..MOST_FINDINGS + 7 {
            file.report(Finding::error("unknown-key", "x").at(0..1));
        }
        let findings = file.finish();
        assert_eq!(findings.len(), MOST_FINDINGS + 1);
        assert_eq!(findings[MOST_FINDINGS].message, "7 more findings in this file");
    }
}
