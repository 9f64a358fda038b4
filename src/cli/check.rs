//! `flowgate check`: judges the whole project.

use super::args::Format;
use super::{Exit, Globals};
use crate::config::diagnostic::Severity;
use crate::config::{ProcessEnv, load_dir, render};
use std::path::Path;

/// Prints every finding of every file; with errors the project could not be applied.
pub fn check(globals: &Globals, root: &Path, deny_warnings: bool) -> Exit {
    let loaded = match load_dir(root, &ProcessEnv) {
        Ok(loaded) => loaded,
        Err(error) => {
            globals.complain(&format!("{}: {error}", root.display()));
            return Exit::Config;
        }
    };
    let found = &loaded.diagnostics;
    match globals.format {
        Format::Json => globals.say(&render::json(found)),
        Format::Github => globals.say(render::github(found).trim_end()),
        Format::Text => {
            if !found.is_empty() {
                globals.say(&render::text(found, globals.colours));
            }
            if let Some(snapshot) = &loaded.snapshot {
                let (connections, flows) = (snapshot.connections.len(), snapshot.flows.len());
                globals.note(&format!("{connections} connections, {flows} flows: ok"));
            }
        }
    }
    let bad = loaded.snapshot.is_none() || (deny_warnings && found.iter().any(|one| one.severity == Severity::Warning));
    if bad { Exit::Config } else { Exit::Done }
}
