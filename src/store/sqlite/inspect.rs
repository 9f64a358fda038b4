//! What commands ask of a state: whether it is sound, and to be repaired.

use super::open::{OpenError, look};
use super::quarantine;
use super::segments::{self, Segments};
use super::verify::{Finding, Kind, known, walk};
use super::{DATABASE, PAGES_DIR, database_bytes, files, open, repair, schema, witness};
use crate::store::api::{Damage, Usage};
use crate::store::state_dir::StateDir;
use chrono::{DateTime, Utc};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// What a check found.
#[derive(Debug, Clone)]
pub struct Checked {
    /// Version of the tables.
    pub schema: u64,
    /// Sound rows of each table.
    pub rows: BTreeMap<&'static str, u64>,
    /// What it takes up.
    pub usage: Usage,
    /// What is not right.
    pub damage: Vec<Damage>,
    /// What is worth knowing, but harms nothing.
    pub notes: Vec<String>,
}

/// Looks at everything and changes nothing, whoever owns the directory.
pub fn check_state(dir: &Path) -> Result<Checked, OpenError> {
    let dir = dir.canonicalize().map_err(|_| OpenError::Absent(dir.to_path_buf()))?;
    let (path, pages) = (dir.join(DATABASE), dir.join(PAGES_DIR));
    if !open::is_private(&path)? {
        return Err(OpenError::Absent(dir));
    }
    let connection = look(&path)?;
    // One transaction: what a running owner writes meanwhile is not seen half.
    connection.execute_batch("BEGIN").map_err(|error| OpenError::of(&path)(error.into()))?;
    let mut found = known(&connection).map_err(OpenError::of(&path))?;
    if let Some(why) = open::unsound(&connection, true).map_err(OpenError::of(&path))? {
        found.push(Finding::of(Kind::File, None, format!("`{DATABASE}` is damaged: {why}")));
    }
    let seen = witness::peek(&dir);
    let verdict = walk(&connection, &pages).map_err(OpenError::of(&path))?;
    let applied = schema::book(&connection).ok().flatten().map(|book| book.applied);
    if let (Some(seen), Some(applied)) = (seen, applied)
        && seen > applied
    {
        let text = format!("`{DATABASE}` lacks the last {} transactions", seen - applied);
        found.push(Finding::of(Kind::Lost, None, text));
    }
    found.extend(verdict.findings);
    let parts = segments::list(&pages).map_err(OpenError::system(&pages))?;
    let usage = Usage { database: database_bytes(&dir), pages: parts.values().sum() };
    let schema = schema::version(&connection).map_err(OpenError::of(&path))?;
    Ok(Checked { schema, rows: verdict.counts, usage, damage: told(found), notes: asides(&dir) })
}

/// Findings as they are shown, each once.
pub(super) fn told(found: Vec<Finding>) -> Vec<Damage> {
    let mut damage: Vec<Damage> = Vec::new();
    for finding in found {
        let told = Damage { flow: finding.flow, text: finding.text };
        if !damage.contains(&told) {
            damage.push(told);
        }
    }
    damage
}

fn asides(dir: &Path) -> Vec<String> {
    let names =
        std::fs::read_dir(dir).into_iter().flatten().filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut names: Vec<_> = names.filter(|name| name.starts_with(&format!("{DATABASE}.damaged-"))).collect();
    names.sort();
    names
        .into_iter()
        .map(|name| format!("`{name}` was set aside earlier; delete it when nothing in it is needed"))
        .collect()
}

/// Puts right what can be put right safely, and says what was done; nothing when nothing was wrong.
pub fn repair_state(state: &StateDir, at: DateTime<Utc>) -> Result<Vec<String>, OpenError> {
    let dir = state.path().canonicalize().map_err(OpenError::system(state.path()))?;
    let (path, pages) = (dir.join(DATABASE), dir.join(PAGES_DIR));
    let (mut connection, mut book, damage) = open::take(&dir, &path)?;
    if damage.is_empty() {
        return Ok(Vec::new());
    }
    let live = open::parts(&connection).map_err(OpenError::of(&path))?;
    let mut segments = Segments::open(Arc::new(files::Disk), pages.clone(), &live).map_err(OpenError::of(&pages))?;
    let transaction = connection.transaction().map_err(|error| OpenError::of(&path)(error.into()))?;
    let told = repair::mend(&transaction, &mut segments, &mut book, &pages, at).map_err(OpenError::of(&path))?;
    quarantine::write(&transaction, book).map_err(OpenError::of(&path))?;
    transaction.commit().map_err(|error| OpenError::of(&path)(error.into()))?;
    segments.settle();
    Ok(told)
}
