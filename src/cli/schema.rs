//! `flowgate schema`: JSON Schemas of the files, for editors that complete and check while somebody types.

use super::args::SchemaArgs;
use super::{Exit, Globals};
use crate::config::schema::{self, Kind};
use serde_json::{Map, Value, json};
use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// The folder `init` writes them to.
pub const FOLDER: &str = "schema";

/// Prints one, or all in one document; or writes them to a folder.
pub fn schema(globals: &Globals, args: &SchemaArgs) -> Exit {
    if let Some(folder) = &args.write {
        let folder = globals.root.join(folder);
        return match write(&folder) {
            Ok(()) => told(globals, &folder),
            Err(error) => {
                globals.complain(&format!("cannot write into `{}`: {error}", folder.display()));
                Exit::Input
            }
        };
    }
    match args.kind {
        Some(kind) if !globals.json() => globals.say(&pretty(kind.kind())),
        one => {
            let kinds = Kind::ALL.into_iter().filter(|kind| one.is_none_or(|one| one.kind() == *kind));
            let all: Map<String, Value> = kinds.map(|kind| (kind.name().to_owned(), schema::document(kind))).collect();
            let document = json!({ "format": 1, "schemas": all });
            globals.say(&if globals.json() { document.to_string() } else { format!("{document:#}") });
        }
    }
    Exit::Done
}

fn told(globals: &Globals, folder: &Path) -> Exit {
    if globals.json() {
        let names = Kind::ALL.map(Kind::file);
        globals.say(&json!({ "format": 1, "written": names }).to_string());
    } else {
        for kind in Kind::ALL {
            globals.say(&format!("wrote {}", folder.join(kind.file()).display()));
        }
    }
    Exit::Done
}

/// Writes them all; those of an older flowgate are replaced.
fn write(folder: &Path) -> io::Result<()> {
    std::fs::create_dir_all(folder)?;
    Kind::ALL.into_iter().try_for_each(|kind| std::fs::write(folder.join(kind.file()), pretty(kind) + "\n"))
}

/// Writes those that are not there; what is written, and what is there and reads otherwise.
pub fn write_new(folder: &Path) -> io::Result<(Vec<PathBuf>, Vec<PathBuf>)> {
    std::fs::create_dir_all(folder)?;
    let (mut written, mut kept) = (Vec::new(), Vec::new());
    for kind in Kind::ALL {
        let (path, text) = (folder.join(kind.file()), pretty(kind) + "\n");
        match OpenOptions::new().write(true).create_new(true).open(&path) {
            Ok(mut file) => file.write_all(text.as_bytes()).map(|()| written.push(path))?,
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            Err(_) if reads(&path, &text) => {}
            Err(_) => kept.push(path),
        }
    }
    Ok((written, kept))
}

/// Whether a file has this text, without reading one that never ends.
fn reads(path: &Path, text: &str) -> bool {
    let same_size = path.metadata().is_ok_and(|found| found.is_file() && found.len() == text.len() as u64);
    same_size && std::fs::read(path).is_ok_and(|found| found == text.as_bytes())
}

fn pretty(kind: Kind) -> String {
    format!("{:#}", schema::document(kind))
}

/// The line by which an editor finds the schema of a file at `path` in the project.
pub fn line(path: &str) -> String {
    let kind = match path.split('/').next() {
        Some("connections") => Kind::Connection,
        Some("flows") => Kind::Flow,
        _ => Kind::Settings,
    };
    let up = "../".repeat(path.matches('/').count());
    format!("#:schema {}{FOLDER}/{}\n", if up.is_empty() { "./" } else { &up }, kind.file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_leads_from_the_file_to_its_schema() {
        assert_eq!(line("flowgate.toml"), "#:schema ./schema/flowgate.json\n");
        assert_eq!(line("flows/orders.toml"), "#:schema ../schema/flow.json\n");
        assert_eq!(line("connections/eu/shop.toml"), "#:schema ../../schema/connection.json\n");
    }
}
