//! Findings as one JSON document with a format version.

use super::file_name;
use crate::config::diagnostic::{Counts, Diagnostic};
use serde_json::{Value, json};

/// `{"format": 1, "errors": …, "warnings": …, "findings": […]}`, with a final newline.
pub fn json(findings: &[Diagnostic]) -> String {
    let Counts { errors, warnings } = Counts::of(findings);
    let list: Vec<Value> = findings
        .iter()
        .map(|finding| {
            json!({
                "severity": finding.severity.name(),
                "code": finding.code,
                "file": file_name(finding),
                "line": finding.line,
                "column": finding.column,
                "length": finding.length,
                "key": finding.key,
                "message": finding.message,
                "help": finding.help,
            })
        })
        .collect();
    let document = json!({"format": 1, "errors": errors, "warnings": warnings, "findings": list});
    format!("{document:#}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_carries_its_format() {
        let document: Value = serde_json::from_str(&json(&[])).unwrap();
        assert_eq!(document, json!({"format": 1, "errors": 0, "warnings": 0, "findings": []}));
    }
}
