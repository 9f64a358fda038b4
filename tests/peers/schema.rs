//! `flowgate schema`, judged by Python's jsonschema: the schemas are schemas, every valid project of the repository keeps to
//! them, and what `check` refuses as an unknown key or word they refuse too.

use crate::peer;
use serde_json::Value;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A file of a project, and which schema is for it.
fn files(folder: &Path, found: &mut Vec<(&'static str, PathBuf)>) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            files(&path, found);
            continue;
        }
        if path.extension().is_none_or(|ending| ending != "toml") {
            continue;
        }
        let below =
            |name: &str| path.parent().is_some_and(|parent| parent.components().any(|part| part.as_os_str() == name));
        if below("connections") {
            found.push(("connection", path));
        } else if below("flows") {
            found.push(("flow", path));
        } else if path.file_name().is_some_and(|name| name == "flowgate.toml") {
            found.push(("flowgate", path));
        }
    }
}

/// What is wrong with each file.
fn judged(python: &Path, schemas: &Path, files: &[(&str, PathBuf)]) -> Vec<(PathBuf, Vec<String>)> {
    let mut child = Command::new(python)
        .arg(peer::script("schema.py"))
        .arg(schemas)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines: Vec<String> = files.iter().map(|(kind, path)| format!("{kind} {}\n", path.display())).collect();
    child.stdin.take().unwrap().write_all(lines.concat().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "the judge failed");
    let found: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    let wrong =
        |one: &Value| one["wrong"].as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect();
    found.iter().map(|one| (PathBuf::from(one["file"].as_str().unwrap()), wrong(one))).collect()
}

fn flowgate(arguments: &[&str]) {
    let output = Command::new(env!("CARGO_BIN_EXE_flowgate")).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn valid_projects_keep_to_the_schemas_and_unknown_keys_and_words_do_not() {
    let Some(python) = peer::python() else { return };
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let scratch = tempfile::tempdir().unwrap();
    let project = scratch.path().join("first");
    flowgate(&["-C", project.to_str().unwrap(), "init"]);
    let schemas = project.join("schema");

    let mut valid = Vec::new();
    for folder in ["tests/config/valid", "examples"] {
        files(&root.join(folder), &mut valid);
    }
    files(&project, &mut valid);
    files(&root.join("connections"), &mut valid);
    files(&root.join("flows"), &mut valid);
    assert!(valid.len() > 100, "only {} files", valid.len());
    let refused: Vec<_> =
        judged(&python, &schemas, &valid).into_iter().filter(|(_, wrong)| !wrong.is_empty()).collect();
    assert!(refused.is_empty(), "{refused:#?}");

    let mut invalid = Vec::new();
    files(&root.join("tests/config/invalid"), &mut invalid);
    let names = |path: &Path| {
        let text = String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned();
        ["# expect: unknown-key ", "# expect: unknown-word "].iter().any(|code| text.contains(code))
    };
    invalid.retain(|(_, path)| names(path));
    assert!(invalid.len() > 40, "only {} files", invalid.len());
    let passed: Vec<_> = judged(&python, &schemas, &invalid)
        .into_iter()
        .filter(|(_, wrong)| wrong.is_empty())
        .map(|(file, _)| file.strip_prefix(root.join("tests/config/invalid")).unwrap().display().to_string())
        .collect();
    // Inside trees, where a schema takes anything.
    let in_trees = ["bad-conversion", "date-leaf", "key-beside-pick", "pick-beside-each"];
    let others: Vec<_> = passed.iter().filter(|file| !in_trees.iter().any(|case| file.starts_with(case))).collect();
    assert!(others.is_empty(), "the schema says nothing about {others:?}");
}
