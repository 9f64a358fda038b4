//! Spanned TOML to the model: one cursor, typed readings, one module per kind of file.

pub(super) mod agent;
pub(super) mod connection;
mod credential;
pub(super) mod file;
pub(super) mod flow;
pub(super) mod kin;
mod leaf;
mod notify;
mod on;
mod request;
mod rule;
pub(super) mod scope;
pub(super) mod settings;
pub(super) mod source;
pub(super) mod table;
mod tree;
mod value;

use crate::config::place;
use file::{File, Finding};
use toml::de::DeTable;

/// Parses a file. Syntax errors are reported, at most one a line, and then nothing is given: what a broken file
/// means is anyone's guess.
pub(super) fn parse<'f>(file: &File<'_>, text: &'f str) -> Option<DeTable<'f>> {
    let (table, errors) = DeTable::parse_recoverable(text);
    let table = table.into_inner();
    credential::mask(file, &table);
    if errors.is_empty() {
        return Some(table);
    }
    credential::mask_lines(file);
    let mut seen = std::collections::HashSet::new();
    for error in errors {
        let at = error.span();
        if !seen.insert(file.lines().line_of(at.as_ref().map_or(0, |at| at.start))) {
            continue;
        }
        let finding = syntax(error.message());
        file.report(match at {
            Some(at) => finding.key(place::key_at(text, at.start)).at(at),
            None => finding,
        });
    }
    None
}

/// A parser's message with a stable code.
fn syntax(message: &str) -> Finding {
    let first = message.lines().next().unwrap_or_default();
    if first.contains("recurs") {
        return Finding::error("too-deep", "this is nested too deeply").help("at most 80 levels are read");
    }
    if first.contains("duplicate key") {
        return Finding::error("duplicate-key", "this key stands here twice").help("keep one of the two");
    }
    Finding::error("syntax", first)
}
