//! What a group (`group_by`) is made of: one item on its way, several records in the accounts.

use super::Item;
use crate::runtime::export::group::Rows;
use crate::store::ErrorRow;
use crate::value::json::JsonRef;
use crate::value::record::Record;

/// A group on its way.
#[derive(Debug, Default)]
pub struct Group {
    /// Where its records lie, in order; none of one that is tried again.
    pub members: Vec<Member>,
    /// How many they are.
    pub count: u32,
    /// Bytes of the group as it set out.
    pub bytes: usize,
    /// Its records as they were exported, where the source is to be told of them.
    pub exported: Vec<Record>,
    /// Their trace keys, where they have any.
    pub traces: Vec<String>,
}

/// A record of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member {
    /// The page it came from.
    pub page: u64,
    /// Its position there, from 0.
    pub index: u32,
    /// What tells it from another one at its place; 0 where nobody asks.
    pub hash: u64,
}

impl Group {
    /// One that is tried again.
    pub fn again(error: &ErrorRow) -> Self {
        let exported = error.as_exported().map(|json| rows(&Record::new(json))).unwrap_or_default();
        Self { count: error.members, exported, ..Self::default() }
    }
}

impl Item {
    /// Where the records it stands for lie: its own place, or those of its group.
    pub fn members(&self) -> Vec<Member> {
        match self.group.as_ref().filter(|group| !group.members.is_empty()) {
            Some(group) => group.members.clone(),
            None => vec![Member { page: self.page, index: self.index(), hash: self.hash }],
        }
    }

    /// What the source is told of: the records as they were exported.
    pub fn told_of(&self) -> Vec<Record> {
        let Some(group) = &self.group else { return vec![self.exported.as_ref().unwrap_or(&self.record).clone()] };
        if !group.exported.is_empty() {
            return group.exported.clone();
        }
        // Told again: all that is left of it is the record of the error.
        rows(&self.record)
    }

    /// As it was exported, where that is kept.
    pub fn as_exported(&self) -> Option<Record> {
        let Some(group) = &self.group else { return self.exported.clone() };
        let mut rows = Rows::default();
        group.exported.iter().for_each(|record| rows.push(record));
        (!group.exported.is_empty()).then(|| rows.close())
    }
}

/// The records of a group.
fn rows(group: &Record) -> Vec<Record> {
    let rows = group.get("rows").unwrap_or(JsonRef::NULL);
    rows.items().map(|row| Record::new(group.json().share(row))).collect()
}
