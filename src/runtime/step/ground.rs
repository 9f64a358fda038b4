//! What steps see of a record beyond what every record of its page sees. Owned, so that it can wait for an answer.

use crate::value::context::{Context, Root, Slot};
use crate::value::json::Json;
use crate::value::record::Record;

/// A record on its way. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Ground {
    /// As it is now.
    pub record: Record,
    /// The record it is a part of, under `many`.
    pub parent: Option<Record>,
    /// Which part it is, from 0.
    pub index: Option<u32>,
    /// What was looked up for it and not merged.
    pub lookups: Lookups,
}

/// Answers of lookups, by the name of their step. What came later under a name stands for it.
#[derive(Debug, Clone, Default)]
pub struct Lookups(Vec<(String, Json)>);

impl Ground {
    /// A record without anything.
    pub fn new(record: Record) -> Self {
        Self { record, parent: None, index: None, lookups: Lookups::default() }
    }

    /// A part of its record, or what was found for it.
    #[must_use]
    pub fn inside(&self, record: Record) -> Self {
        Self { record, parent: Some(self.record.clone()), index: self.index, lookups: self.lookups.clone() }
    }

    /// Offers all of it.
    pub fn offer<'a>(&'a self, ctx: Context<'a>) -> Context<'a> {
        let ctx = self.lookups.offer(ctx.with(Root::Record, Slot::Record(&self.record)));
        let ctx = self.index.map_or(ctx, |index| ctx.with(Root::Index, Slot::Number(index.into())));
        match &self.parent {
            Some(parent) => ctx.with(Root::Parent, Slot::Record(parent)),
            None => ctx,
        }
    }
}

impl Lookups {
    /// Adds an answer.
    pub fn add(&mut self, name: &str, answer: Json) {
        self.0.retain(|(known, _)| known != name);
        self.0.push((name.to_owned(), answer));
    }

    /// Offers them, if there are any.
    pub fn offer<'a>(&'a self, ctx: Context<'a>) -> Context<'a> {
        if self.0.is_empty() { ctx } else { ctx.with(Root::Lookup, Slot::Named(&self.0)) }
    }
}
