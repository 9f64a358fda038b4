//! The table of keys against the decoder, both ways: over every project of the tests, what the decoder asks for in a table is
//! what the schema offers there.

use super::super::decode::table::witness::{self, Choice, Seen};
use super::*;
use crate::config::{self, Env};
use regex::Regex;
use std::path::{Path, PathBuf};

struct Anything;
impl Env for Anything {
    fn var(&self, _: &str) -> Option<String> {
        Some("1".to_owned())
    }
}

fn projects(folder: &Path, found: &mut Vec<PathBuf>) {
    if ["connections", "flows", "flowgate.toml"].iter().any(|name| folder.join(name).exists()) {
        found.push(folder.to_owned());
        return;
    }
    for entry in std::fs::read_dir(folder).unwrap().flatten().filter(|entry| entry.path().is_dir()) {
        projects(&entry.path(), found);
    }
}

/// Everything the decoder asks for in the projects of the repository.
fn asked() -> (Vec<Seen>, Vec<Choice>) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    projects(&root.join("tests/config"), &mut found);
    projects(&root.join("examples"), &mut found);
    assert!(found.len() > 200, "only {} projects", found.len());
    drop(witness::take());
    for project in &found {
        drop(config::load_dir(project, &Anything));
    }
    // An agent's file belongs to no project.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("agent.toml");
    std::fs::write(&file, "server = \"https://flows.example\"\n").unwrap();
    drop(config::agent::load(&file, &Anything));
    witness::take()
}

/// The kind of file, and the key without positions in lists.
fn place(file: &Path, key: &str) -> (Kind, Vec<String>) {
    let kind = match file.components().next().unwrap().as_os_str().to_str().unwrap() {
        "connections" => Kind::Connection,
        "flows" => Kind::Flow,
        "flowgate.toml" => Kind::Settings,
        _ => Kind::Agent,
    };
    let plain = Regex::new(r"\[\d+\]").unwrap().replace_all(key, "").into_owned();
    let parts = plain.split('.').filter(|part| !part.is_empty()).map(str::to_owned);
    (kind, parts.collect())
}

/// Keys that the decoder asks for only to refuse them with a reason: no schema offers them.
const REFUSED: &[(&str, &[&str])] = &[("lookup", &["delta", "each", "name", "once", "trace_key"])];

/// What may stand at a key.
fn whats(kind: Kind, parts: &[String]) -> Vec<What> {
    let keys = |shape: &Shape, name: &str| keys_of(shape).get(name).map(|key| key.1);
    let Some((first, rest)) = parts.split_first() else { return Vec::new() };
    let mut open: Vec<What> = keys(kind.shape(), first).into_iter().collect();
    for name in rest {
        open = flat(&open)
            .into_iter()
            .filter_map(|what| match what {
                What::Part(part) => keys(super::part(part).unwrap(), name),
                What::Free(inner) => Some(*inner),
                What::Any => Some(What::Any),
                _ => None,
            })
            .collect();
    }
    flat(&open)
}

fn flat(open: &[What]) -> Vec<What> {
    let mut found = Vec::new();
    for what in open {
        match what {
            What::Either(choices) => found.extend(flat(choices)),
            What::List(inner) => found.extend(flat(&[**inner])),
            other => found.push(*other),
        }
    }
    found
}

#[test]
fn every_key_the_decoder_asks_for_is_in_the_schema_and_every_key_of_the_schema_is_asked_for() {
    let (seen, _) = asked();
    let mut used: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    let mut faults = BTreeSet::new();
    for Seen { file, key, known, later } in seen {
        let (kind, parts) = place(&file, &key);
        let shapes: Vec<(String, &Shape)> = if parts.is_empty() {
            vec![(format!("the {} file", kind.name()), kind.shape())]
        } else {
            let whats = whats(kind, &parts);
            if whats.iter().any(|what| matches!(what, What::Any))
                && !whats.iter().any(|what| matches!(what, What::Part(_)))
            {
                continue;
            }
            let named = whats.iter().filter_map(|what| match what {
                What::Part(name) => Some(((*name).to_owned(), super::part(name).unwrap())),
                _ => None,
            });
            named.collect()
        };
        let fits = |shape: &Shape| known.iter().filter(|name| keys_of(shape).contains_key(*name)).count();
        let Some((name, shape)) = shapes.into_iter().max_by_key(|(_, shape)| fits(shape)) else {
            faults.insert(format!("{} {}: no table there in the schema", kind.name(), parts.join(".")));
            continue;
        };
        let refused = REFUSED.iter().find(|(part, _)| *part == name).map_or(&[][..], |(_, keys)| *keys);
        for key in known.iter().filter(|key| !refused.contains(key)) {
            if !keys_of(shape).contains_key(key) {
                faults.insert(format!("{} {}: `{key}` is not in `{name}`", kind.name(), parts.join(".")));
            }
        }
        // What is about to be built may be in the schema already.
        used.entry(name).or_default().extend(known.into_iter().chain(later));
    }
    let files = Kind::ALL.map(|kind| (format!("the {} file", kind.name()), kind.shape()));
    for (name, shape) in files.into_iter().chain(shapes().map(|shape| (shape.name.to_owned(), shape))) {
        let Some(asked) = used.get(&name) else {
            faults.insert(format!("`{name}` is in no project of the tests"));
            continue;
        };
        for key in keys_of(shape).keys().filter(|key| !asked.contains(*key)) {
            faults.insert(format!("`{name}`: nobody asks for `{key}`"));
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn words_are_those_of_the_decoder() {
    let (_, choices) = asked();
    let mut faults = BTreeSet::new();
    let mut seen = BTreeSet::new();
    for Choice { file, key, words } in choices {
        let (kind, parts) = place(&file, &key);
        let whats = whats(kind, &parts);
        if whats.is_empty() || whats.iter().any(|what| matches!(what, What::Any)) {
            continue;
        }
        let known = whats.iter().filter_map(|what| match what {
            What::Word(known) => Some(*known),
            _ => None,
        });
        let known: BTreeSet<&str> = known.flatten().copied().collect();
        let words: BTreeSet<&str> = words.iter().map(String::as_str).collect();
        // One table has several words at one place: `decode` names layers and media types.
        if known != words && !whats.iter().any(|what| matches!(what, What::Text)) {
            faults.insert(format!(
                "{} {}: {known:?} in the schema, {words:?} in the decoder",
                kind.name(),
                parts.join(".")
            ));
        }
        seen.insert(parts.join("."));
    }
    assert!(faults.is_empty(), "{faults:#?}");
    assert!(seen.len() > 30, "{seen:?}");
}

#[test]
fn every_part_that_is_named_is_there_and_names_are_told_apart() {
    for kind in Kind::ALL {
        let mut needed = BTreeSet::new();
        gather(kind.shape(), &mut needed);
        for name in needed {
            assert!(part(name).is_some(), "there is no part `{name}`");
        }
    }
    let names: BTreeSet<&str> = shapes().map(|shape| shape.name).collect();
    assert_eq!(names.len(), shapes().count());
    for shape in shapes().chain(Kind::ALL.map(Kind::shape)) {
        let keys = keys_of(shape);
        assert!(shape.needs.iter().all(|need| keys.contains_key(need)), "{}", shape.name);
    }
}

#[test]
fn no_key_stands_twice_in_a_table() {
    for shape in shapes().chain(Kind::ALL.map(Kind::shape)) {
        // A later group may say more of a key of one before.
        for group in shape.groups {
            let mut seen = BTreeSet::new();
            let twice: Vec<_> = group.iter().map(|key| key.0).filter(|key| !seen.insert(*key)).collect();
            assert!(twice.is_empty(), "{}: {twice:?}", shape.name);
        }
    }
}
