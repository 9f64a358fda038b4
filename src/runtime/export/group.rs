//! `group_by`: records one after the other whose keys are equal become one, `{ rows = […] }`.

use super::Reader;
use super::page::Page;
use crate::model::export::Export;
use crate::runtime::step::{self, with_record};
use crate::value::context::Context;
use crate::value::issue::EvalError;
use crate::value::json::{Json, JsonRef, Kind, write_string};
use crate::value::path::Path;
use crate::value::record::Record;

/// Most bytes of the keys of one record.
const MOST_KEY: usize = 4 << 10;

/// What a record has in common with the others of its group: a JSON list. With `lenient`, what is missing is null.
pub fn key(paths: &[Path], record: &Record, lenient: bool) -> Result<String, EvalError> {
    let mut out = b"[".to_vec();
    for path in paths {
        if out.len() > 1 {
            out.push(b',');
        }
        let found = path.select_record(record)?;
        let value = match found.first() {
            Some(value) => value,
            None if lenient => JsonRef::NULL,
            None => {
                let text = format!("the key `{}` is missing; leave such records out with `keep`", path.source());
                return Err(EvalError::Missing(text));
            }
        };
        match value.kind() {
            // However it is escaped.
            Kind::Text => write_string(&mut out, &value.as_str().unwrap_or_default()),
            Kind::Number | Kind::Bool | Kind::Null => out.extend_from_slice(value.text().as_bytes()),
            kind @ (Kind::Array | Kind::Object) => {
                let text = format!("the key `{}` is {}: name a text or a number in it", path.source(), kind.name());
                return Err(EvalError::Type(text));
            }
        }
        if out.len() > MOST_KEY {
            return Err(EvalError::Limit(format!("the keys are longer than {MOST_KEY} bytes")));
        }
    }
    out.push(b']');
    String::from_utf8(out).map_err(|_| EvalError::Type("a key is no text".to_owned()))
}

/// A record as it comes into its group, and what it has in common with that; none when it is not kept. An error comes
/// with the step's name.
pub fn shaped(
    export: &Export,
    record: &Record,
    ctx: &Context<'_>,
) -> Result<Option<(Record, String)>, (&'static str, EvalError)> {
    let record = match &export.transform {
        Some(transform) => {
            step::transform(transform, record, &with_record(ctx, record)).map_err(|e| ("transform", e))?
        }
        None => record.clone(),
    };
    if let Some(keep) = &export.keep
        && !keep.test(&with_record(ctx, &record)).map_err(|e| ("keep", e))?
    {
        return Ok(None);
    }
    let key = key(&export.group_by, &record, ctx.missing_is_empty()).map_err(|e| ("group_by", e))?;
    Ok(Some((record, key)))
}

impl Reader<'_> {
    /// Notes whether a page goes on with the group that the one before it ended with. It is stored with the page: after
    /// a restart the pages between two that are left may be gone.
    pub(super) fn join(&mut self, page: &mut Page) {
        let super::Course { scope, lane, export, beside, .. } = &self.course;
        if export.group_by.is_empty() || beside.is_some() {
            return;
        }
        let now = scope.now();
        let ctx = lane.client.context(scope.context(&now, &page.origin));
        let key = |record: &Record| Some(shaped(export, record, &ctx).ok()??.1);
        let Some(first) = page.records.iter().find_map(key) else { return };
        let last = page.records.iter().rev().find_map(key);
        page.joins = self.group.as_ref() == Some(&first);
        self.group = last;
    }
}

/// A group under construction.
#[derive(Debug)]
pub struct Rows {
    text: Vec<u8>,
}

const OPENING: &[u8] = b"{\"rows\":[";

impl Default for Rows {
    fn default() -> Self {
        Self { text: OPENING.to_vec() }
    }
}

impl Rows {
    /// Adds one.
    pub fn push(&mut self, record: &Record) {
        if self.text.len() > OPENING.len() {
            self.text.push(b',');
        }
        self.text.extend_from_slice(record.json().text().as_bytes());
    }

    /// Bytes it takes.
    pub fn bytes(&self) -> usize {
        self.text.len()
    }

    /// The group.
    pub fn close(mut self) -> Record {
        self.text.extend_from_slice(b"]}");
        Record::new(Json::trusted(self.text))
    }
}

/// A whole list in groups.
pub fn all(paths: &[Path], records: &[Record], lenient: bool) -> Result<Vec<Record>, EvalError> {
    let (mut groups, mut open): (Vec<Record>, Option<(String, Rows)>) = (Vec::new(), None);
    for (at, record) in records.iter().enumerate() {
        let key = key(paths, record, lenient).map_err(|error| error.at(&format!("group_by: data[{at}]")))?;
        match &mut open {
            Some((known, rows)) if *known == key => rows.push(record),
            _ => {
                let mut rows = Rows::default();
                rows.push(record);
                groups.extend(open.replace((key, rows)).map(|(_, rows)| rows.close()));
            }
        }
    }
    groups.extend(open.map(|(_, rows)| rows.close()));
    Ok(groups)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(text: &str) -> Record {
        Record::new(Json::parse(text).unwrap())
    }

    fn paths(of: &[&str]) -> Vec<Path> {
        of.iter().map(|path| Path::compile(path).unwrap()).collect()
    }

    fn grouped(of: &[&str], records: &[&str]) -> Result<Vec<String>, String> {
        let records: Vec<Record> = records.iter().map(|text| record(text)).collect();
        let groups = all(&paths(of), &records, false).map_err(|error| error.to_string())?;
        Ok(groups.iter().map(|group| group.json().text().to_owned()).collect())
    }

    #[test]
    fn what_stands_together_and_is_equal_is_one_group() {
        let records = ["{\"c\":1,\"n\":1}", "{\"c\":1,\"n\":2}", "{\"c\":2}", "{\"c\":1}"];
        let groups =
            ["{\"rows\":[{\"c\":1,\"n\":1},{\"c\":1,\"n\":2}]}", "{\"rows\":[{\"c\":2}]}", "{\"rows\":[{\"c\":1}]}"];
        assert_eq!(grouped(&["$.c"], &records).unwrap(), groups);
        assert_eq!(grouped(&["$.c", "$.n"], &records[..2]).unwrap().len(), 2);
        assert!(grouped(&["$.c"], &[]).unwrap().is_empty());
    }

    #[test]
    fn keys_are_texts_and_numbers_and_have_to_be_there() {
        let one = |of: &str, text: &str| key(&paths(&[of]), &record(text), false).map_err(|error| error.to_string());
        assert_eq!(one("$.c", "{\"c\":\"\\u0061\"}"), one("$.c", "{\"c\":\"a\"}"));
        assert_ne!(one("$.c", "{\"c\":\"1\"}"), one("$.c", "{\"c\":1}"));
        assert_ne!(one("$.c", "{\"c\":9007199254740993}"), one("$.c", "{\"c\":9007199254740992}"));
        assert_eq!(one("$.c", "{\"c\":null}").unwrap(), "[null]");
        assert!(one("$.c", "{}").unwrap_err().contains("`$.c` is missing"));
        assert!(one("$.c", "{\"c\":[]}").unwrap_err().contains("a list"));
        assert!(one("$.c", &format!("{{\"c\":\"{}\"}}", "x".repeat(MOST_KEY))).unwrap_err().contains("longer"));
        assert_eq!(key(&paths(&["$.c"]), &record("{}"), true).unwrap(), "[null]");
        // No two lists of keys are alike.
        let two = |text: &str| key(&paths(&["$.a", "$.b"]), &record(text), false).unwrap();
        assert_ne!(two("{\"a\":\"x,\\\"y\",\"b\":\"z\"}"), two("{\"a\":\"x\",\"b\":\"y,z\"}"));
    }
}
