//! A record: raw JSON text plus an index of its top-level members, built at the first lookup.

use super::json::{Json, JsonRef, RawMembers, unescape};
use std::sync::OnceLock;

/// One exported record. Cheap to clone: the text is shared with the page it came from.
#[derive(Clone)]
pub struct Record {
    json: Json,
    index: OnceLock<Vec<Entry>>,
}

/// Byte ranges of one member inside the record's text, the key without its quotes.
#[derive(Clone, Copy)]
struct Entry {
    key: (u32, u32),
    value: (u32, u32),
    escaped: bool,
}

impl std::fmt::Debug for Record {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Record({:?})", self.json)
    }
}

impl Record {
    /// Takes any JSON value; records are usually objects.
    pub fn new(json: Json) -> Self {
        Self { json, index: OnceLock::new() }
    }

    /// The whole value.
    pub fn json(&self) -> &Json {
        &self.json
    }

    /// A top-level member, through the index; the last one when a key repeats.
    pub fn get(&self, key: &str) -> Option<JsonRef<'_>> {
        let text = self.json.text();
        if u32::try_from(text.len()).is_err() {
            return self.json.as_ref().get(key);
        }
        let index = self.index.get_or_init(|| index(text));
        let entry = index.iter().rev().find(|entry| entry.is(text, key))?;
        part(text, entry.value).map(JsonRef::trusted)
    }
}

impl From<Json> for Record {
    fn from(json: Json) -> Self {
        Self::new(json)
    }
}

impl Entry {
    fn is(&self, text: &str, key: &str) -> bool {
        if self.escaped {
            return part(text, self.key).is_some_and(|raw| unescape(raw) == key);
        }
        let (start, end) = self.key;
        (end - start) as usize == key.len() && text.as_bytes().get(start as usize..end as usize) == Some(key.as_bytes())
    }
}

fn part(text: &str, (start, end): (u32, u32)) -> Option<&str> {
    text.get(start as usize..end as usize)
}

fn index(text: &str) -> Vec<Entry> {
    // Lengths fit: the caller looked at the whole text's.
    let range = |inner: &str| {
        let start = inner.as_ptr().addr() - text.as_ptr().addr();
        (u32::try_from(start).unwrap_or(0), u32::try_from(start + inner.len()).unwrap_or(0))
    };
    let mut entries = Vec::with_capacity(16);
    for member in RawMembers::of(text) {
        entries.push(Entry { key: range(member.raw_key), value: range(member.value.text()), escaped: member.escaped });
    }
    entries
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(text: &str) -> Record {
        Record::new(Json::parse(text).unwrap())
    }

    #[test]
    fn members_are_found_with_escapes_and_the_last_duplicate_wins() {
        let record = record(r#" {"a":1, "b c" : [2], "\u0061b":"x", "a":3} "#);
        assert_eq!(record.get("a").map(JsonRef::text), Some("3"));
        assert_eq!(record.get("b c").map(JsonRef::text), Some("[2]"));
        assert_eq!(record.get("ab").map(JsonRef::text), Some("\"x\""));
        assert_eq!(record.get("").map(JsonRef::text), None);
        assert_eq!(record.clone().get("a").map(JsonRef::text), Some("3"));
    }

    #[test]
    fn a_record_that_is_no_object_has_no_members() {
        for text in ["[1]", "1", "\"a\"", "null", "{}", "[]"] {
            assert!(record(text).get("a").is_none(), "{text}");
        }
    }

    #[test]
    fn debug_output_shows_no_data() {
        assert_eq!(format!("{:?}", record(r#"{"a":"secret"}"#)), "Record(Json(14 bytes))");
    }
}
