//! Where all exports of a run are, as it is stored with every page: enough to go on with each of them exactly there.
//!
//! A flow with one export that is read once stores that one's [`Cursor`] alone: format 1. Everything else is format 2.

use super::cursor::Cursor;
use super::delta::Mark;
use super::origin::Kin;
use crate::model::flow::Flow;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Version of the stored form.
const FORMAT: u32 = 2;
/// Most bytes of parents that are stored with a place; of more, their page is asked for again.
const MOST_PARENTS: usize = 8 << 10;

/// The places of all exports of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Places {
    format: u32,
    /// Records that the run may still take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left: Option<u64>,
    /// One for each export.
    pub exports: Vec<TrackPlace>,
    /// Marks of delta exports that are over.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub marks: BTreeMap<String, Mark>,
}

/// Where one export is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TrackPlace {
    /// Its name.
    pub export: String,
    /// Records that it may still take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left: Option<u64>,
    /// Where it is among its parents: a level for each block that is open, the outermost first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub levels: Vec<LevelPlace>,
    /// What was taken last of each level but the innermost.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub chosen: Vec<Entry>,
    /// What is being read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub open: Vec<OpenPlace>,
}

/// Where a list of parents is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LevelPlace {
    /// What leads to the page that is being worked on; none where the keys are a list of the configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<Cursor>,
    /// How many of its parents were taken.
    pub at: u64,
    /// The key of the last of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<String>,
    /// Those left of it, when they are few enough to be kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rest: Option<Rest>,
}

/// The parents left of a page.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Rest {
    /// They.
    pub entries: Vec<Entry>,
    /// What leads to the page after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Cursor>,
}

/// A parent: JSON texts.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Entry {
    /// Its key; a list of keys in a batch.
    pub key: String,
    /// Its record, where anything reads it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<String>,
}

/// Something that is being read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenPlace {
    /// For which of the `each`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kin: Option<Kin>,
    /// Where it is.
    pub cursor: Cursor,
}

impl Entry {
    /// Bytes it takes.
    pub fn weight(&self) -> usize {
        self.key.len() + self.record.as_ref().map_or(0, String::len)
    }
}

/// Those left of a page of parents as they are stored; none when they are too many.
pub fn rest<'e>(entries: impl Iterator<Item = &'e Entry> + Clone, next: Option<&Cursor>) -> Option<Rest> {
    let mut bytes = 0;
    let few = entries.clone().all(|entry| {
        bytes += entry.weight();
        bytes <= MOST_PARENTS
    });
    few.then(|| Rest { entries: entries.cloned().collect(), next: next.cloned() })
}

impl Places {
    /// Of these exports.
    pub fn of(exports: Vec<TrackPlace>, left: Option<u64>) -> Self {
        Self { format: FORMAT, left, exports, marks: BTreeMap::new() }
    }

    /// What is stored.
    pub fn text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Reads what was stored, in either format.
    pub fn read(text: &str, flow: &Flow) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Version {
            format: u32,
        }
        let wrong = |error| format!("the stored cursor: {error}");
        if serde_json::from_str::<Version>(text).map_err(wrong)?.format == FORMAT {
            return serde_json::from_str(text).map_err(wrong);
        }
        let cursor = Cursor::read(text)?;
        let Some(export) = flow.exports.first().filter(|_| is_plain(flow)) else {
            return Err(
                "the stored cursor is of a flow with one export that is read once, which this is not".to_owned()
            );
        };
        let left = cursor.left;
        let open = if cursor.is_over() { Vec::new() } else { vec![OpenPlace { kin: None, cursor }] };
        let place = TrackPlace { export: export.name.clone(), left, open, ..TrackPlace::default() };
        Ok(Self::of(vec![place], None))
    }
}

/// Whether a flow has one export that is read once.
pub fn is_plain(flow: &Flow) -> bool {
    flow.exports.len() == 1 && flow.exports.iter().all(|export| export.each.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(key: &str) -> Entry {
        Entry { key: key.to_owned(), record: None }
    }

    #[test]
    fn many_parents_are_not_stored_with_every_page() {
        let few = vec![entry("1"); 100];
        assert_eq!(rest(few.iter(), None).map(|rest| rest.entries.len()), Some(100));
        let long = vec![entry(&"1".repeat(1000)); 100];
        assert_eq!(rest(long.iter(), None), None);
        assert_eq!(rest([entry(&"1".repeat(MOST_PARENTS))].iter(), None).map(|rest| rest.entries.len()), Some(1));
    }

    #[test]
    fn places_read_as_they_were_written() {
        let level = LevelPlace {
            page: Some(Cursor::at(None, 1, None)),
            at: 3,
            last: Some("\"c\"".to_owned()),
            rest: rest([entry("4")].iter(), Some(&Cursor::at(None, 2, None))),
        };
        let kin = Some(Kin { each: "{\"id\":9007199254740993}".to_owned(), parent: None });
        let open = vec![OpenPlace { kin, cursor: Cursor::at(None, 0, None) }];
        let place = TrackPlace {
            export: "orders".to_owned(),
            left: Some(4),
            levels: vec![level],
            chosen: vec![entry("1")],
            open,
        };
        let places = Places::of(vec![place], Some(7));
        assert_eq!(serde_json::from_str::<Places>(&places.text()).unwrap(), places);
    }
}
