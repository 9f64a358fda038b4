//! The configuration corpus: every case is a project directory that `check -C` can be pointed at.
//!
//! What a case must find stands in its files: `# expect: <code> <line>:<column> <key path>`, one line a finding.
//! `expected.txt` beside them is the whole text output; `FLOWGATE_BLESS=1` writes it anew.

#![expect(clippy::unwrap_used, reason = "a test that cannot read its corpus has failed")]

use flowgate::config::diagnostic::{Diagnostic, Severity};
use flowgate::config::{self, Env, Loaded, render};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

struct CorpusEnv;

impl Env for CorpusEnv {
    fn var(&self, name: &str) -> Option<String> {
        (name == "SHOP_TOKEN").then(|| "s3cr3t".to_owned())
    }
}

fn corpus(kind: &str) -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config").join(kind);
    let mut cases: Vec<_> = fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    cases
}

fn load(case: &Path) -> Loaded {
    config::load_dir(case, &CorpusEnv).unwrap()
}

/// A finding as the expectations write it.
type Expected = (PathBuf, String, String, String);

fn expected(case: &Path) -> BTreeSet<Expected> {
    let mut found = BTreeSet::new();
    let mut folders = vec![case.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
            for line in text.lines().filter_map(|line| line.strip_prefix("# expect: ")) {
                let mut words = line.splitn(3, ' ').map(str::to_owned);
                let (code, place) = (words.next().unwrap(), words.next().unwrap());
                let file = path.strip_prefix(case).unwrap().to_owned();
                found.insert((file, place, code, words.next().unwrap_or_default()));
            }
        }
    }
    found
}

fn actual(findings: &[Diagnostic]) -> BTreeSet<Expected> {
    findings
        .iter()
        .map(|one| (one.file.clone(), format!("{}:{}", one.line, one.column), one.code.to_owned(), one.key.clone()))
        .collect()
}

/// Compares with `expected.txt`, or writes it.
fn compare(case: &Path, printed: &str, problems: &mut Vec<String>) {
    let file = case.join("expected.txt");
    #[expect(clippy::disallowed_methods, reason = "a switch for people who change messages on purpose")]
    let bless = std::env::var("FLOWGATE_BLESS").is_ok();
    if bless {
        fs::write(&file, printed).unwrap();
    }
    let wanted = fs::read_to_string(&file).unwrap_or_default();
    if wanted != printed {
        problems.push(format!("{}: output differs from expected.txt:\n{printed}", case.display()));
    }
}

fn judge(case: &Path, loaded: &Loaded, problems: &mut Vec<String>) {
    let (expected, actual) = (expected(case), actual(&loaded.diagnostics));
    if expected != actual {
        let missing: Vec<_> = expected.difference(&actual).collect();
        let extra: Vec<_> = actual.difference(&expected).collect();
        problems.push(format!("{}:\n  missing {missing:#?}\n  extra {extra:#?}", case.display()));
    }
    assert_eq!(actual.len(), loaded.diagnostics.len(), "{}: a finding is reported twice", case.display());
}

#[test]
fn every_invalid_case_finds_what_it_names_and_nothing_else() {
    let cases = corpus("invalid");
    assert!(cases.len() >= 60, "only {} invalid cases seen", cases.len());
    let mut problems = Vec::new();
    for case in &cases {
        let loaded = load(case);
        judge(case, &loaded, &mut problems);
        let errors = loaded.diagnostics.iter().any(|one| one.severity == Severity::Error);
        assert!(errors, "{} has no error", case.display());
        assert!(loaded.snapshot.is_none(), "{} gives a snapshot", case.display());
        compare(case, &render::text(&loaded.diagnostics, false), &mut problems);
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn every_finding_has_a_place_a_key_and_a_remedy() {
    // What is said of a file as a whole, and of text that is no TOML where no key stands.
    const OF_FILES: &[&str] = &["syntax", "duplicate-key", "too-deep", "not-utf8", "file-name"];
    let mut problems = Vec::new();
    for case in corpus("invalid").iter().chain(&corpus("valid")) {
        for one in load(case).diagnostics {
            let what = |lacks: &str| format!("{}: {lacks}: {}: {}", case.display(), one.code, one.message);
            if one.line == 0 || one.column == 0 {
                problems.push(what("no place"));
            }
            if one.key.is_empty() && !OF_FILES.contains(&one.code) {
                problems.push(what("no key"));
            }
            if one.help.as_ref().is_none_or(|help| help.trim().is_empty()) {
                problems.push(what("no remedy"));
            }
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn every_valid_case_gives_a_snapshot_and_at_most_its_warnings() {
    let cases = corpus("valid");
    assert!(cases.len() >= 8, "only {} valid cases seen", cases.len());
    let mut problems = Vec::new();
    for case in &cases {
        let loaded = load(case);
        judge(case, &loaded, &mut problems);
        if loaded.snapshot.is_none() {
            problems.push(format!("{}: no snapshot", case.display()));
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn the_samples_of_the_format_hold_nothing_but_what_is_not_built_yet() {
    let case = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config/format_samples");
    let loaded = load(&case);
    let allowed = |one: &&Diagnostic| !matches!(one.code, "not-supported-yet" | "unresolved-source");
    let others: Vec<_> = loaded.diagnostics.iter().filter(allowed).cloned().collect();
    assert!(others.is_empty(), "{}", render::text(&others, false));
    for file in ["connections/zendesk.toml", "flowgate.toml"] {
        assert!(loaded.diagnostics.iter().any(|one| one.file == Path::new(file)), "{file} was not read");
    }
    assert!(
        !loaded.diagnostics.iter().any(|one| one.file == Path::new("flows/orders.toml")),
        "all of the flow is built"
    );
}

#[test]
fn no_output_shows_a_credential() {
    for case in corpus("invalid") {
        let findings = load(&case).diagnostics;
        for output in [
            render::text(&findings, true),
            render::json(&findings),
            render::github(&findings),
            render::sarif(&findings),
        ] {
            assert!(!output.contains("hunter2"), "{}", case.display());
        }
    }
}

#[test]
fn machine_formats_hold_every_finding() {
    for case in corpus("invalid") {
        let findings = load(&case).diagnostics;
        let document: serde_json::Value = serde_json::from_str(&render::json(&findings)).unwrap();
        assert_eq!(document["format"], 1);
        assert_eq!(document["findings"].as_array().map(Vec::len), Some(findings.len()));
        let sarif: serde_json::Value = serde_json::from_str(&render::sarif(&findings)).unwrap();
        let results = sarif["runs"][0]["results"].as_array().unwrap();
        assert_eq!(results.len(), findings.len());
        for (result, finding) in results.iter().zip(&findings) {
            let place = &result["locations"][0]["physicalLocation"];
            assert_eq!(
                (&result["ruleId"], &place["region"]["startLine"]),
                (&finding.code.into(), &finding.line.into())
            );
            let rule = result["ruleIndex"].as_u64().unwrap();
            assert_eq!(
                sarif["runs"][0]["tool"]["driver"]["rules"][usize::try_from(rule).unwrap()]["id"],
                result["ruleId"]
            );
        }
        let lines = render::github(&findings);
        assert_eq!(lines.lines().count(), findings.len());
        assert!(lines.lines().all(|line| line.starts_with("::error file=") || line.starts_with("::warning file=")));
    }
}
