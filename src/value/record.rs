//! A record: raw JSON text plus an index of its top-level members, built at the first lookup.

use super::json::{Json, JsonRef};

/// One exported record. Cheap to clone: the text is shared with the page it came from.
#[derive(Clone)]
pub struct Record {
    json: Json,
}

impl Record {
    /// Takes any JSON value; records are usually objects.
    pub fn new(json: Json) -> Self {
        Self { json }
    }
    /// The whole value.
    pub fn json(&self) -> &Json {
        &self.json
    }
    /// A top-level member, through the index.
    pub fn get(&self, _key: &str) -> Option<JsonRef<'_>> {
        todo!()
    }
}
