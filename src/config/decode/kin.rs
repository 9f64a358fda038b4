//! The names of `[[export.each]]` where texts may read them, and which of them are read: what nobody reads of a parent
//! need not be carried along.

use super::file::Finding;
use crate::config::suggest;
use crate::value::context::{Reference, Root};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

/// The names of `each` on offer, and a note of which are read.
#[derive(Debug, Clone, Default)]
pub(in crate::config) struct Kin {
    /// On offer.
    pub(in crate::config) names: Vec<String>,
    /// Of the same export, but not on offer here.
    pub(in crate::config) others: Vec<String>,
    /// What is read of `each`, `parent` and `export`, by root and name.
    pub(in crate::config) read: Vec<Notes>,
}

/// What was read.
pub(in crate::config) type Notes = Arc<Mutex<BTreeSet<(Root, String)>>>;

impl Kin {
    /// Keeps in mind what a text reads.
    pub(super) fn note(&self, root: Root, reference: &Reference) {
        for notes in &self.read {
            let mut notes = notes.lock().unwrap_or_else(PoisonError::into_inner);
            match reference.members.first() {
                Some(name) => drop(notes.insert((root, name.clone()))),
                // All of it.
                None => notes.extend(self.names.iter().map(|name| (root, name.clone()))),
            }
        }
    }

    /// What is wrong with a name, if anything.
    pub(super) fn judge(&self, root: Root, name: &str) -> Option<Finding> {
        if self.names.iter().any(|known| known == name) {
            return None;
        }
        let root = root.name();
        if self.others.iter().any(|known| known == name) {
            let finding = Finding::error("unknown-variable", format!("`{root}.{name}` is not there yet"));
            return Some(finding.help("a block of `each` reads those above it: put this one below"));
        }
        let names: Vec<_> = self.names.iter().map(String::as_str).collect();
        let finding = Finding::error("unknown-variable", format!("there is no `{root}.{name}`"));
        let none = || Some("add an `[[export.each]]` with this `name`".to_owned());
        Some(finding.help_if(suggest::help(name, &names).or_else(none)))
    }
}
