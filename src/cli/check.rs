//! `flowgate check`: judges the project and tells everything at once.

use super::args::Format;
use super::{Exit, Globals};
use crate::config::diagnostic::{Counts, Diagnostic};
use crate::config::{self, Env, Loaded, WithoutCommands, render};
use crate::model::snapshot::Snapshot;
use std::fmt::Write as _;
use std::sync::Arc;

/// Prints the findings; 78 when the project cannot be applied.
pub fn check(globals: &Globals, env: &dyn Env, deny_warnings: bool) -> Exit {
    let loaded = match config::load_dir(&globals.root, &WithoutCommands(env)) {
        Ok(loaded) => loaded,
        Err(error) => return no_directory(globals, &error),
    };
    globals.data(&shown(globals, &loaded));
    judge(&loaded, deny_warnings)
}

/// The snapshot of a project that is about to be used: errors are told on stderr and end the command, warnings are
/// told and do not.
pub fn accept(globals: &Globals, loaded: Loaded) -> Result<Arc<Snapshot>, Exit> {
    if !loaded.diagnostics.is_empty() {
        globals.note(render::text(&loaded.diagnostics, globals.style.stderr).trim_end());
    }
    if loaded.snapshot.is_none() {
        globals.blame(render::text(&loaded.diagnostics, false).trim_end());
    }
    loaded.snapshot.map(Arc::new).ok_or(Exit::Config)
}

/// The project directory cannot be looked at.
pub fn no_directory(globals: &Globals, error: &std::io::Error) -> Exit {
    globals.complain(&format!("cannot look at the project directory `{}`: {error}", globals.root.display()));
    Exit::Config
}

fn judge(loaded: &Loaded, deny_warnings: bool) -> Exit {
    let Counts { errors, warnings } = Counts::of(&loaded.diagnostics);
    if errors > 0 || loaded.snapshot.is_none() || (deny_warnings && warnings > 0) { Exit::Config } else { Exit::Done }
}

fn shown(globals: &Globals, loaded: &Loaded) -> String {
    match globals.format {
        Format::Json => render::json(&loaded.diagnostics),
        Format::Github => render::github(&loaded.diagnostics),
        Format::Sarif => render::sarif(&loaded.diagnostics),
        _ => text(&loaded.diagnostics, loaded.snapshot.as_ref(), globals.style.stdout),
    }
}

fn text(findings: &[Diagnostic], snapshot: Option<&Snapshot>, colour: bool) -> String {
    let mut out = if findings.is_empty() { String::new() } else { render::text(findings, colour) };
    if let Some(snapshot) = snapshot {
        let (connections, flows) = (snapshot.connections.len(), snapshot.flows.len());
        let _ = writeln!(out, "{}, {}: ok", count(connections, "connection"), count(flows, "flow"));
        if connections + flows == 0 {
            out.push_str("(nothing under connections/ and flows/ here; `flowgate init` writes a first project)\n");
        }
    }
    out
}

fn count(number: usize, word: &str) -> String {
    format!("{number} {word}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::super::globals::tests::at;
    use super::*;
    use std::path::Path;

    struct Empty;
    impl Env for Empty {
        fn var(&self, _: &str) -> Option<String> {
            None
        }
    }

    fn put(root: &Path, path: &str, text: &str) {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    #[test]
    fn a_good_project_is_counted_and_ok() {
        let root = tempfile::tempdir().unwrap();
        put(root.path(), "connections/shop.toml", "base_uri = \"https://shop.example\"\n");
        let loaded = config::load_dir(root.path(), &Empty).unwrap();
        assert_eq!(shown(&at(root.path()), &loaded), "1 connection, 0 flows: ok\n");
        assert_eq!(check(&at(root.path()), &Empty, true), Exit::Done);
    }

    #[test]
    fn errors_end_with_78_in_every_format() {
        let root = tempfile::tempdir().unwrap();
        put(root.path(), "connections/shop.toml", "base_uri = \"https://shop.example\"\nconcurency_level = 4\n");
        let loaded = config::load_dir(root.path(), &Empty).unwrap();
        for (format, mark) in [
            (Format::Text, "did you mean `concurrency_level`"),
            (Format::Json, "\"format\":1"),
            (Format::Github, "::error file=connections/shop.toml"),
            (Format::Sarif, "\"version\":\"2.1.0\""),
        ] {
            let mut globals = at(root.path());
            globals.format = format;
            let shown = shown(&globals, &loaded);
            assert!(shown.replace("\": ", "\":").contains(mark) && !shown.contains(": ok"), "{shown}");
            assert_eq!(check(&globals, &Empty, false), Exit::Config);
        }
        assert_eq!(accept(&at(root.path()), loaded).err(), Some(Exit::Config));
    }

    #[test]
    fn warnings_fail_only_when_denied() {
        let root = tempfile::tempdir().unwrap();
        let shop = "base_uri = \"https://shop.example\"\n[secrets]\nt = { env = \"NOT_SET\" }\n[auth.token]\ntoken = \"{{connection.secrets.t}}\"\n";
        put(root.path(), "connections/shop.toml", shop);
        assert_eq!(check(&at(root.path()), &Empty, false), Exit::Done);
        assert_eq!(check(&at(root.path()), &Empty, true), Exit::Config);
    }

    #[test]
    fn a_missing_directory_is_said_so() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(check(&at(&root.path().join("none")), &Empty, false), Exit::Config);
    }
}
