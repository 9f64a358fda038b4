//! House rules that the compiler does not know: layers, sizes, words, and a few bans.
//!
//! Each rule is a function over one file and carries violations planted for it, so that a rule that stopped seeing
//! anything fails its own test. Rules read text, not syntax: they are meant to catch slips, not malice.

#![expect(clippy::unwrap_used, reason = "a test program: an unexpected None is a failed test")]

use regex::Regex;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// One Rust file.
struct Source<'a> {
    /// Relative to the project, with `/`.
    path: &'a str,
    text: &'a str,
    /// Test code as a whole: below `tests/`, or a module behind `#[cfg(test)]`.
    test: bool,
}

struct Rule {
    name: &'static str,
    find: fn(&Source) -> Vec<String>,
    /// Violations: path and text.
    bad: &'static [(&'static str, &'static str)],
    /// Near misses.
    good: &'static [(&'static str, &'static str)],
}

const RULES: &[Rule] = &[
    Rule {
        name: "a layer uses only the layers below it",
        find: layers,
        bad: &[
            ("src/value/path.rs", "use crate::config::load;"),
            ("src/queue/state.rs", "use crate::{observe::meters, http::client};"),
            ("src/runtime/run.rs", "fn f() { crate::config::load(); }"),
            ("src/http/client.rs", "use crate::queue::QueueState;"),
            ("src/http/client.rs", "use crate::{queue::{Permit, QueueState}};"),
            ("src/model/flow.rs", "use crate::runtime::supervisor::Supervisor;"),
            ("src/queue/task.rs", "use super::super::http::client;"),
            ("src/queue/mod.rs", "use super::http::client;"),
            ("src/runtime/export/paging/mod.rs", "use crate::model::flow::Flow;"),
            ("src/app.rs", "use crate::cli::exit;"),
            ("src/server/mod.rs", "use crate::store::Store;\nuse crate::http::client;"),
            ("src/newlayer/mod.rs", "use crate::value::id;"),
            ("src/bin/torture/judge.rs", "use flowgate::observe::names;"),
            ("src/bin/torture/sim.rs", "use flowgate::runtime::{run, schedule};"),
            ("src/bin/other/a.rs", "use crate::b;"),
            ("src/http/client.rs", "use crate::fuzz::TARGETS;"),
        ],
        good: &[
            ("src/http/client.rs", "use crate::queue::{Permit, limits::Limits};\nuse super::body;"),
            ("src/model/flow.rs", "use super::export::Export;\nuse crate::runtime::export::paging::Paging;"),
            ("src/value/path.rs", "// as crate::config does\nuse super::id;\nuse crate::value::json;"),
            ("src/value/path.rs", "#[cfg(test)]\nmod tests {\n    use crate::playground::ledger;\n}"),
            ("src/lib.rs", "pub use crate::config::load;"),
            ("src/bin/torture/judge.rs", "use crate::shape::Shape;\nuse flowgate::playground::Watched;"),
            ("src/bin/torture/sim.rs", "use flowgate::runtime::schedule::simulation::{Plan, simulate};"),
        ],
    },
    Rule {
        name: "files stay small, or say why not",
        find: size,
        bad: &[("src/a.rs", LONG), ("src/b.rs", TOO_LONG), ("src/c.rs", TOO_LONG_WITH_REASON)],
        good: &[("src/a.rs", LONG_WITH_REASON), ("src/b.rs", LONG_IN_TESTS), ("src/c.rs", "//! short\n")],
    },
    Rule {
        name: "every file opens by saying what it is for",
        find: opening,
        bad: &[("src/a.rs", "use std::fs;\n//! late"), ("tests/it/a.rs", ""), ("src/b.rs", "//!\nuse std::fs;")],
        good: &[("src/a.rs", "//! What it is for.")],
    },
    Rule {
        name: "names avoid the words that mean nothing or mean something else here",
        find: words,
        bad: &[
            ("src/util/mod.rs", ""),
            ("src/queue/worker.rs", ""),
            ("src/a.rs", "pub struct RunManager {"),
            ("src/a.rs", "pub(crate) fn helpers() {"),
            ("src/a.rs", "    async fn start_job(&self) {"),
            ("src/a.rs", "mod common;"),
            ("src/a.rs", "enum PipelineStep {"),
            ("src/a.rs", "trait Worker {"),
            ("src/a.rs", "type Dlq = ();"),
        ],
        good: &[
            ("src/value/template/helpers.rs", "fn helpers() {"),
            ("src/a.rs", "struct Utility;\nfn commonly() {}\n// a worker\nlet job = 1;"),
            ("src/runtime/export/job.rs", "struct Job;"),
        ],
    },
    Rule {
        name: "no test is switched off, no lint is silenced without a reason",
        find: switches,
        bad: &[
            ("src/a.rs", "#[ignore]\nfn f() {}"),
            ("tests/it/a.rs", "    #[ignore = \"slow\"]"),
            ("src/a.rs", "#[allow(dead_code)]"),
            ("src/lib.rs", "#![allow(clippy::pedantic)]"),
            ("src/a.rs", "#[cfg_attr(test, allow(unused))]"),
            ("src/a.rs", "#[expect(dead_code)]"),
        ],
        good: &[
            (
                "src/a.rs",
                "#[expect(clippy::disallowed_methods, reason = \"the one place\")]\n// #[ignore] no\nlet allow = 1;",
            ),
            ("src/a.rs", "#[expect(\n    dead_code,\n    reason = \"kept\"\n)]"),
        ],
    },
    Rule {
        name: "configuration is not decoded by serde attributes that lose positions",
        find: serde_attributes,
        bad: &[
            ("src/config/raw.rs", "#[serde(flatten)]"),
            ("src/model/flow.rs", "    #[serde(untagged)]"),
            ("src/model/flow.rs", "#[serde(rename_all = \"snake_case\", tag = \"type\")]"),
            ("src/model/flow.rs", "#[serde(\n    untagged\n)]"),
        ],
        good: &[("src/config/raw.rs", "#[serde(rename = \"tag\")]"), ("src/server/api.rs", "#[serde(flatten)]")],
    },
    Rule {
        name: "nothing sleeps but the clock",
        find: sleeps,
        bad: &[
            ("tests/it/a.rs", "std::thread::sleep(d);"),
            ("src/runtime/a.rs", "tokio::time::sleep(d).await;"),
            ("src/runtime/a.rs", "use tokio::time::{self, sleep};"),
            ("src/runtime/a.rs", "use std::thread::{sleep, spawn};"),
            ("src/runtime/a.rs", "#[cfg(test)]\nmod tests {\n    fn f() { time::sleep_until(t).await }\n}"),
        ],
        good: &[
            ("src/value/time.rs", "tokio::time::sleep_until(at)"),
            ("src/runtime/a.rs", "clock.sleep_until(at).await"),
        ],
    },
];

/// The layer table: a top folder and what it may name, by prefix of the path after `crate::`.
const LAYERS: &[(&str, &[&str])] = &[
    ("value", &[]),
    ("observe", &["value"]),
    ("queue", &["value", "observe"]),
    ("store", &["value", "observe"]),
    ("agent", &["value", "observe"]),
    ("http", &["value", "observe", "agent", "queue::Permit", "queue::permit", "queue::limits"]),
    ("model", SETTINGS),
    (
        "config",
        &[
            "value",
            "observe",
            "model",
            HTTP[0],
            HTTP[1],
            HTTP[2],
            HTTP[3],
            HTTP[4],
            HTTP[5],
            HTTP[6],
            "queue::limits",
            PAGING,
        ],
    ),
    ("runtime", &["value", "observe", "agent", "queue", "http", "store", "model"]),
    ("server", &["value", "observe", "agent", "store", "model", "runtime"]),
    ("playground", &["value", "model"]),
    ("convert", &["value", "model"]),
    (
        "app",
        &[
            "value",
            "observe",
            "agent",
            "queue",
            "store",
            "http",
            "model",
            "config",
            "runtime",
            "server",
            "playground",
            "convert",
        ],
    ),
    ("fuzz", &["value", "config", "http", "model", "store", "runtime::export"]),
    ("cli", &["app", "config", "model", "store", "observe", "value", "convert", "playground"]),
];

/// Programs beside `flowgate`, and what of the crate each may name: what judges the runner knows nothing of it.
const PROGRAMS: &[(&str, &[&str])] = &[("bin/torture/", &["playground", "value", "runtime::schedule::simulation"])];

/// Settings types live with the behaviour they set.
const HTTP: &[&str] =
    &["http::auth", "http::client", "http::media", "http::on", "http::request", "http::retry", "http::verdict"];
const PAGING: &str = "runtime::export::paging";
const SETTINGS: &[&str] =
    &["value", HTTP[0], HTTP[1], HTTP[2], HTTP[3], HTTP[4], HTTP[5], HTTP[6], "queue::limits", PAGING];

fn layers(source: &Source) -> Vec<String> {
    let Some(inside) = source.path.strip_prefix("src/") else { return Vec::new() };
    let layer = inside.split(['/', '.']).next().unwrap_or_default();
    if source.test || ["lib", "main"].contains(&layer) {
        return Vec::new();
    }
    if layer == "bin" {
        return program(source, inside);
    }
    let Some((_, allowed)) = LAYERS.iter().find(|(name, _)| *name == layer) else {
        return vec![format!("`{layer}` is not in the layer table")];
    };
    let mut found = Vec::new();
    for (line, text) in code(source) {
        for path in crate_paths(&text, inside) {
            let under = |prefix: &str| path == prefix || path.starts_with(&format!("{prefix}::"));
            let leaf = inside.starts_with("runtime/export/paging/") && under("model");
            // The table speaks of modules; `queue` alone is what `use crate::queue;` names.
            if leaf || !(under(layer) || allowed.iter().any(|prefix| under(prefix))) {
                found.push(format!("{line}: {layer} may not use {path}"));
            }
        }
    }
    found
}

/// A program beside `flowgate` uses its own modules, and of the crate what the table names.
fn program(source: &Source, inside: &str) -> Vec<String> {
    static USED: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\bflowgate::([\w:]+)").unwrap());
    let Some((program, allowed)) = PROGRAMS.iter().find(|(program, _)| inside.starts_with(program)) else {
        return vec![format!("`{inside}` is not in the table of programs")];
    };
    let mut found = Vec::new();
    for (line, text) in code(source) {
        let used = USED.captures_iter(&text).map(|used| used[1].trim_end_matches(':').to_owned());
        let known =
            |path: &str| allowed.iter().any(|prefix| path == *prefix || path.starts_with(&format!("{prefix}::")));
        found.extend(used.filter(|path| !known(path)).map(|path| format!("{line}: {program} may not use {path}")));
    }
    found
}

/// The paths after `crate::` on a statement, with groups spelled out and `super` resolved.
fn crate_paths(text: &str, file: &str) -> Vec<String> {
    static START: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\b(crate|(?:super::)*super)::").unwrap());
    let mut paths = Vec::new();
    for start in START.captures_iter(text) {
        let whole = start.get(0).unwrap();
        let mut prefix = Vec::new();
        if !start[1].starts_with("crate") {
            let module = file.trim_end_matches(".rs").trim_end_matches("/mod");
            prefix = module.split('/').map(str::to_owned).collect::<Vec<_>>();
            let up = start[1].split("::").count();
            prefix.truncate(prefix.len().saturating_sub(up));
        }
        spell_out(&text[whole.end()..], &prefix, &mut paths);
    }
    paths.retain(|path| !path.is_empty());
    paths
}

/// `a::{b, c::{d}}` gives `a::b` and `a::c::d`.
fn spell_out(text: &str, prefix: &[String], paths: &mut Vec<String>) -> usize {
    let mut here = prefix.to_vec();
    let mut at = 0;
    loop {
        let rest = &text[at..];
        let word = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
        if rest.starts_with('{') {
            at += 1;
            loop {
                at += text[at..].len() - text[at..].trim_start().len();
                if text[at..].is_empty() || text[at..].starts_with('}') {
                    return at + 1;
                }
                at = (at + spell_out(&text[at..], &here, paths)).min(text.len());
                at += text[at..].find(['}', ',']).unwrap_or(text.len() - at);
                at += usize::from(text[at..].starts_with(','));
            }
        }
        if word > 0 && &rest[..word] != "self" {
            here.push(rest[..word].to_owned());
        }
        at += word;
        if text[at..].starts_with("::") {
            at += 2;
        } else {
            paths.push(here.join("::"));
            return at;
        }
    }
}

const LONGEST: usize = 600;
const LONG_ENOUGH: usize = 350;

fn size(source: &Source) -> Vec<String> {
    if source.test || !source.path.starts_with("src/") {
        return Vec::new();
    }
    let lines = production(source.text).lines().filter(|line| !line.trim().is_empty()).count();
    let reason = source.text.lines().take(30).any(|line| line.starts_with("// size: "));
    if lines > LONGEST {
        vec![format!("{lines} production lines; split the file (at most {LONGEST})")]
    } else if lines > LONG_ENOUGH && !reason {
        vec![format!("{lines} production lines; split the file, or say why not in a line `// size: …` near the top")]
    } else {
        Vec::new()
    }
}

fn opening(source: &Source) -> Vec<String> {
    let first = source.text.lines().next().unwrap_or_default();
    let says = first.strip_prefix("//!").is_some_and(|text| !text.trim().is_empty());
    if says { Vec::new() } else { vec!["the first line is not `//! …`".to_owned()] }
}

const WORDS: &[&str] =
    &["util", "utils", "common", "helper", "helpers", "manager", "worker", "workers", "pipeline", "job", "jobs", "dlq"];

fn words(source: &Source) -> Vec<String> {
    static NAMED: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"\b(?:struct|enum|trait|type|fn|mod|union|macro_rules!)\s+([A-Za-z_]\w*)").unwrap()
    });
    let banned = |name: &str| {
        let here = |word: &&str| match *word {
            "helper" | "helpers" => source.path.contains("template"),
            // A report job is something the other side runs.
            "job" | "jobs" => source.path.contains("export"),
            _ => false,
        };
        let parts: Vec<String> = snake(name).split('_').map(str::to_owned).collect();
        WORDS.iter().find(|word| parts.iter().any(|part| part == *word) && !here(word)).copied()
    };
    let in_path = source.path.trim_end_matches(".rs").split('/').filter_map(|part| {
        let word = banned(part)?;
        Some(format!("the path says `{word}`"))
    });
    let in_code = code(source).into_iter().flat_map(|(line, text)| {
        let names: Vec<String> = NAMED.captures_iter(&text).map(|name| name[1].to_owned()).collect();
        names.into_iter().filter_map(move |name| banned(&name).map(|word| format!("{line}: `{name}` says `{word}`")))
    });
    in_path.chain(in_code).collect()
}

fn snake(name: &str) -> String {
    let mut text = String::new();
    for c in name.chars() {
        if c.is_uppercase() && !text.is_empty() && !text.ends_with('_') {
            text.push('_');
        }
        text.extend(c.to_lowercase());
    }
    text.replace('-', "_")
}

fn switches(source: &Source) -> Vec<String> {
    static OFF: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"#!?\[(?:.*\b)?(?:ignore\b|allow\s*\()").unwrap());
    static BARE: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"#!?\[expect\([^\]]*\]").unwrap());
    let everything = Source { test: true, ..*source };
    let off = statements(&everything).into_iter().filter(|(_, text)| OFF.is_match(text));
    let bare = statements(&everything)
        .into_iter()
        .filter(|(_, text)| BARE.find(text).is_some_and(|found| !found.as_str().contains("reason")));
    off.chain(bare).map(|(line, text)| format!("{line}: {}", text.trim())).collect()
}

fn serde_attributes(source: &Source) -> Vec<String> {
    static LOSSY: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"#\[serde\((?:.*[\s,(])?(?:flatten|untagged|tag\s*=)").unwrap());
    if !source.path.starts_with("src/config/") && !source.path.starts_with("src/model/") {
        return Vec::new();
    }
    let found = statements(source).into_iter().filter(|(_, text)| LOSSY.is_match(text));
    found.map(|(line, text)| format!("{line}: {}", text.trim())).collect()
}

fn sleeps(source: &Source) -> Vec<String> {
    static SLEEP: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"\b(?:thread|time)::(?:sleep|\{(?:[^}]*\W)?sleep)|\bpark_timeout\b").unwrap());
    if source.path == "src/value/time.rs" {
        return Vec::new();
    }
    let everything = Source { test: true, ..*source };
    let found = statements(&everything).into_iter().filter(|(_, text)| SLEEP.is_match(text));
    found.map(|(line, text)| format!("{line}: {}; wait for the condition, or use the clock", text.trim())).collect()
}

/// Everything before the unit tests.
fn production(text: &str) -> &str {
    static TESTS: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"(?m)^#\[cfg\(test\)\]\s*\n\s*mod \w+ \{").unwrap());
    TESTS.find(text).map_or(text, |found| &text[..found.start()])
}

/// Statements with the number of their first line, without comments; of production code, or of all for test files.
fn statements(source: &Source) -> Vec<(usize, String)> {
    let text = if source.test { source.text } else { production(source.text) };
    let mut statements: Vec<(usize, String)> = Vec::new();
    let mut open = false;
    for (index, line) in text.lines().enumerate() {
        let line = line.trim_start();
        if line.starts_with("//") || line.is_empty() {
            continue;
        }
        match statements.last_mut().filter(|_| open) {
            Some((_, statement)) => {
                statement.push(' ');
                statement.push_str(line);
            }
            None => statements.push((index + 1, line.to_owned())),
        }
        // Only what the rules look at across lines: attributes and grouped imports.
        let statement = statements.last().map_or("", |(_, statement)| statement);
        let begins =
            ["#[", "#![", "use ", "pub use ", "pub(crate) use "].iter().any(|begin| statement.starts_with(begin));
        open = begins && !statement.trim_end().ends_with([';', ']']);
    }
    statements
}

/// Statements of production code only.
fn code(source: &Source) -> Vec<(usize, String)> {
    if source.test { Vec::new() } else { statements(source) }
}

/// Metric names outside the table that defines them.
fn unknown_metrics(path: &str, text: &str, table: &str) -> Vec<String> {
    static NAME: LazyLock<Regex> = LazyLock::new(|| Regex::new(r#""(flowgate_[a-z0-9_]+)""#).unwrap());
    let names: BTreeSet<String> = NAME.captures_iter(production(text)).map(|name| name[1].to_owned()).collect();
    let known: BTreeSet<String> = NAME.captures_iter(table).map(|name| name[1].to_owned()).collect();
    names.difference(&known).map(|name| format!("{path}: {name} is not in src/observe/names.rs")).collect()
}

/// Corpora that a test walks over must hold something, or that test says nothing.
fn thin_corpora(count: impl Fn(&str) -> Option<usize>) -> Vec<String> {
    [("tests/config/invalid", 60), ("tests/config/valid", 5), ("examples", 1), ("docs/adr", 1), ("fuzz/corpus", 10)]
        .into_iter()
        .filter_map(|(folder, least)| {
            let found = count(folder)?;
            (found < least).then(|| format!("{folder} holds {found} entries; at least {least} are expected"))
        })
        .collect()
}

fn project() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Path and text of every Rust file.
fn rust_files() -> Vec<(String, String)> {
    let mut files = Vec::new();
    let mut folders = ["src", "tests", "benches", "fuzz"].map(|name| project().join(name)).to_vec();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                let name = path.strip_prefix(project()).unwrap().to_str().unwrap().to_owned();
                files.push((name, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    files.sort();
    files
}

/// Files that a `#[cfg(test)] mod name;` makes test code, and all below them.
fn test_modules(files: &[(String, String)]) -> BTreeSet<String> {
    static MODULE: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"(?m)^#\[cfg\(test\)\]\s*\n(?:pub\S* )?mod (\w+);").unwrap());
    let mut modules = BTreeSet::new();
    for (path, text) in files {
        let folder = match path.strip_suffix("/mod.rs").or_else(|| path.strip_suffix("/lib.rs")) {
            Some(folder) => folder,
            None => path.trim_end_matches(".rs"),
        };
        modules.extend(MODULE.captures_iter(text).map(|name| format!("{folder}/{}", &name[1])));
    }
    modules
}

#[test]
fn the_project_keeps_its_rules() {
    let files = rust_files();
    assert!(files.len() > 50, "only {} files seen", files.len());
    let modules = test_modules(&files);
    let mut found = Vec::new();
    for (path, text) in files.iter().filter(|(path, _)| path != "tests/tidy.rs") {
        let stem = path.trim_end_matches(".rs");
        let behind = |module: &String| stem == module || stem.starts_with(&format!("{module}/"));
        let test = !path.starts_with("src/") || modules.iter().any(behind);
        for rule in RULES {
            let source = Source { path, text, test };
            found.extend((rule.find)(&source).into_iter().map(|what| format!("{path}:{what}   ({})", rule.name)));
        }
    }
    assert!(found.is_empty(), "{} findings:\n{}", found.len(), found.join("\n"));
}

#[test]
fn every_metric_is_in_the_table() {
    let table = fs::read_to_string(project().join("src/observe/names.rs")).unwrap();
    let files = rust_files();
    let modules = test_modules(&files);
    let found: Vec<String> = files
        .iter()
        .filter(|(path, _)| path.starts_with("src/") && !modules.contains(path.trim_end_matches(".rs")))
        .flat_map(|(path, text)| unknown_metrics(path, text, &table))
        .collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn corpora_are_not_empty() {
    let count = |folder: &str| fs::read_dir(project().join(Path::new(folder))).ok().map(Iterator::count);
    let found = thin_corpora(count);
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn each_planted_violation_is_found_and_each_near_miss_is_not() {
    for rule in RULES {
        assert!(!rule.bad.is_empty() && !rule.good.is_empty(), "nothing planted for: {}", rule.name);
        for &(path, text) in rule.bad {
            let source = Source { path, text, test: path.starts_with("tests/") };
            assert!(!(rule.find)(&source).is_empty(), "not found: {path}: {text}   ({})", rule.name);
        }
        for &(path, text) in rule.good {
            let source = Source { path, text, test: path.starts_with("tests/") };
            assert_eq!((rule.find)(&source), Vec::<String>::new(), "{path}: {text}   ({})", rule.name);
        }
    }
}

#[test]
fn planted_metrics_and_thin_corpora_are_found() {
    let table = r#"name: "flowgate_known_total","#;
    assert!(unknown_metrics("src/a.rs", r#"f("flowgate_known_total")"#, table).is_empty());
    assert_eq!(unknown_metrics("src/a.rs", r#"f("flowgate_new_total")"#, table).len(), 1);
    assert_eq!(thin_corpora(|_| Some(0)).len(), 5);
    assert_eq!(thin_corpora(|folder| (folder == "tests/config/invalid").then_some(59)).len(), 1);
    assert!(thin_corpora(|_| None).is_empty(), "a corpus that is not there yet is no finding");
    assert!(thin_corpora(|_| Some(60)).is_empty());
}

#[test]
fn modules_behind_cfg_test_are_test_code() {
    let file = |path: &str, text: &str| (path.to_owned(), text.to_owned());
    let files =
        [file("src/a/mod.rs", "#[cfg(test)]\nmod tests;\nmod b;"), file("src/a/c.rs", "#[cfg(test)]\nmod oracle;")];
    assert_eq!(test_modules(&files), BTreeSet::from(["src/a/tests".to_owned(), "src/a/c/oracle".to_owned()]));
}

/// A hundred lines.
macro_rules! hundred {
    () => {
        concat!(hundred!(ten), hundred!(ten), hundred!(ten), hundred!(ten), hundred!(ten), hundred!(rest))
    };
    (rest) => {
        concat!(hundred!(ten), hundred!(ten), hundred!(ten), hundred!(ten), hundred!(ten))
    };
    (ten) => {
        "a;\na;\na;\na;\na;\na;\na;\na;\na;\na;\n"
    };
}
macro_rules! four_hundred {
    () => {
        concat!(hundred!(), hundred!(), hundred!(), hundred!())
    };
}

const LONG: &str = concat!("//! x\n", four_hundred!());
const LONG_WITH_REASON: &str = concat!("//! x\n// size: one table\n", four_hundred!());
const LONG_IN_TESTS: &str = concat!("//! x\n#[cfg(test)]\nmod tests {\n", four_hundred!());
const TOO_LONG: &str = concat!("//! x\n", four_hundred!(), four_hundred!());
const TOO_LONG_WITH_REASON: &str = concat!("//! x\n// size: none\n", four_hundred!(), four_hundred!());
