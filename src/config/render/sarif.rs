//! Findings as SARIF 2.1.0, which code hosts show beside the lines.

use super::file_name;
use crate::config::diagnostic::{Diagnostic, Severity};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

/// What a path keeps in a URI reference. A colon would make its first segment a scheme.
const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// One run with a rule per code and a result per finding, with a final newline.
pub fn sarif(findings: &[Diagnostic]) -> String {
    let mut codes: Vec<&str> = findings.iter().map(|finding| finding.code).collect();
    codes.sort_unstable();
    codes.dedup();
    let results: Vec<Value> = findings.iter().map(|finding| result(finding, &codes)).collect();
    let rules: Vec<Value> = codes.iter().map(|code| rule(code)).collect();
    let driver = json!({ "name": "flowgate", "version": env!("CARGO_PKG_VERSION"), "rules": rules });
    let run = json!({ "tool": { "driver": driver }, "columnKind": "unicodeCodePoints", "results": results });
    let document = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [run],
    });
    format!("{document:#}\n")
}

fn rule(code: &str) -> Value {
    let words = code.replace('-', " ");
    json!({
        "id": code,
        "shortDescription": { "text": words },
        "help": { "text": "each finding says what is wrong there and what to do about it" },
    })
}

fn result(finding: &Diagnostic, codes: &[&str]) -> Value {
    let level = match finding.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    let help = finding.help.as_ref().map(|help| format!("\nhelp: {help}")).unwrap_or_default();
    let mut region = json!({ "startLine": finding.line });
    if finding.source_line.is_some() {
        region["startColumn"] = json!(finding.column);
        region["endColumn"] = json!(finding.column + finding.length.max(1));
    }
    let uri = utf8_percent_encode(&file_name(finding), PATH).to_string();
    let mut location = json!({ "physicalLocation": { "artifactLocation": { "uri": uri }, "region": region } });
    if !finding.key.is_empty() {
        location["logicalLocations"] = json!([{ "fullyQualifiedName": finding.key }]);
    }
    json!({
        "ruleId": finding.code,
        "ruleIndex": codes.binary_search(&finding.code).unwrap_or_default(),
        "level": level,
        "message": { "text": format!("{}{help}", finding.message) },
        "locations": [location],
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn finding(code: &'static str, severity: Severity, line: Option<&str>) -> Diagnostic {
        Diagnostic {
            severity,
            code,
            file: PathBuf::from("flows/a b.toml"),
            line: 3,
            column: 7,
            length: 4,
            key: "secrets.token".to_owned(),
            message: "100% wrong".to_owned(),
            help: Some("right it".to_owned()),
            source_line: line.map(str::to_owned),
            caret: 0..0,
        }
    }

    #[test]
    fn a_result_has_its_rule_its_region_and_what_to_do() {
        let found = [
            finding("unknown-key", Severity::Error, Some("token = 1")),
            finding("bad-value", Severity::Warning, None),
            finding("unknown-key", Severity::Error, Some("token = 1")),
        ];
        let document: Value = serde_json::from_str(&sarif(&found)).unwrap();
        let run = &document["runs"][0];
        let rules: Vec<&str> = run["tool"]["driver"]["rules"]
            .as_array()
            .unwrap()
            .iter()
            .map(|rule| rule["id"].as_str().unwrap())
            .collect();
        assert_eq!((&document["version"], rules), (&json!("2.1.0"), vec!["bad-value", "unknown-key"]));
        let first = &run["results"][0];
        assert_eq!((&first["ruleIndex"], &first["level"]), (&json!(1), &json!("error")));
        assert_eq!(first["message"]["text"], "100% wrong\nhelp: right it");
        assert_eq!(
            first["locations"][0],
            json!({
                "physicalLocation": {
                    "artifactLocation": { "uri": "flows/a%20b.toml" },
                    "region": { "startLine": 3, "startColumn": 7, "endColumn": 11 },
                },
                "logicalLocations": [{ "fullyQualifiedName": "secrets.token" }],
            })
        );
        let second = &run["results"][1];
        assert_eq!((&second["ruleIndex"], &second["level"]), (&json!(0), &json!("warning")));
        assert_eq!(second["locations"][0]["physicalLocation"]["region"], json!({ "startLine": 3 }));
    }

    #[test]
    fn nothing_found_is_a_run_without_results() {
        let document: Value = serde_json::from_str(&sarif(&[])).unwrap();
        assert_eq!(document["runs"][0]["results"], json!([]));
    }
}
