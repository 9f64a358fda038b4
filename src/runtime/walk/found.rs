//! What a lookup found: `{ data, status, headers }`, as templates, expressions and `merge` see it.

use crate::model::export::Export;
use crate::runtime::export::group;
use crate::runtime::step::{self, Ground};
use crate::value::context::Context;
use crate::value::issue::EvalError;
use crate::value::json::{Json, JsonRef, write_string};
use crate::value::record::Record;

/// Most bytes of one answer, all its pages together.
pub const MOST_BYTES: usize = 16 << 20;

/// An answer, shared by all records that asked the same.
#[derive(Debug)]
pub struct Found {
    records: Vec<Record>,
    status: u16,
    headers: Vec<(String, String)>,
    /// All of it, before what the lookup does to its records.
    whole: Json,
}

impl Found {
    /// The records of all pages, and status and headers of the last one.
    pub fn new(records: &[Record], status: u16, headers: Vec<(String, String)>) -> Self {
        let whole = whole(records, status, &headers);
        // Shares that text from here on: the pages are let go.
        let data = whole.as_ref().get("data").unwrap_or(JsonRef::NULL);
        let records = data.items().map(|item| Record::new(whole.share(item))).collect();
        Self { records, status, headers, whole }
    }

    /// Bytes it takes.
    pub fn bytes(&self) -> usize {
        self.whole.text().len() + self.records.len() * size_of::<Record>()
    }

    /// The answer for one record: with the lookup's own `transform` and `keep`, which may look at that record.
    pub fn shaped(&self, export: &Export, ground: &Ground, ctx: &Context<'_>) -> Result<Json, EvalError> {
        if export.transform.is_none() && export.keep.is_none() && export.group_by.is_empty() {
            return Ok(self.whole.clone());
        }
        let mut records = Vec::with_capacity(self.records.len());
        for (at, record) in self.records.iter().enumerate() {
            let record = shaped(export, ground.inside(record.clone()), ctx);
            records.extend(record.map_err(|error| error.at(&format!("data[{at}]")))?);
        }
        if !export.group_by.is_empty() {
            records = group::all(&export.group_by, &records, ctx.missing_is_empty())?;
        }
        Ok(whole(&records, self.status, &self.headers))
    }
}

fn shaped(export: &Export, mut inner: Ground, ctx: &Context<'_>) -> Result<Option<Record>, EvalError> {
    if let Some(transform) = &export.transform {
        let made = step::transform(transform, &inner.record, &inner.offer(*ctx));
        inner.record = made.map_err(|error| error.at("transform"))?;
    }
    if let Some(keep) = &export.keep
        && !keep.test(&inner.offer(*ctx)).map_err(|error| error.at("keep"))?
    {
        return Ok(None);
    }
    Ok(Some(inner.record))
}

fn whole(records: &[Record], status: u16, headers: &[(String, String)]) -> Json {
    let bytes: usize = records.iter().map(|record| record.json().text().len() + 1).sum();
    let mut out = Vec::with_capacity(bytes + 256);
    out.extend_from_slice(b"{\"data\":[");
    for (at, record) in records.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        out.extend_from_slice(record.json().text().as_bytes());
    }
    out.extend_from_slice(format!("],\"status\":{status},\"headers\":{{").as_bytes());
    for (at, (name, value)) in headers.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        write_string(&mut out, name);
        out.push(b':');
        write_string(&mut out, value);
    }
    out.extend_from_slice(b"}}");
    Json::trusted(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_data_status_and_headers() {
        let record = |text: &str| Record::new(Json::parse(text).unwrap());
        let found = Found::new(&[record("{\"id\":1}"), record("2.50")], 200, vec![("etag".into(), "\"x\"".into())]);
        assert_eq!(found.whole.text(), r#"{"data":[{"id":1},2.50],"status":200,"headers":{"etag":"\"x\""}}"#);
        assert_eq!(Found::new(&[], 404, Vec::new()).whole.text(), r#"{"data":[],"status":404,"headers":{}}"#);
    }
}
