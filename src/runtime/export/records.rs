//! Cutting an answer into records (FORMAT.md: a path result that is one array is spread, an object is one
//! record). Records stay text that shares the page's buffer.

use crate::value::document::{BodyPath, Document, Found};
use crate::value::issue::EvalError;
use crate::value::json::{JsonRef, Kind};
use crate::value::path::Selection;
use crate::value::record::Record;

/// Most bytes of an answer that are made fit to be shown.
const LOOKED_AT: usize = 4096;

/// Most records of one page: what is kept of each costs more than a short record's text.
const MOST_RECORDS: usize = 500_000;

/// What an absent path means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Absent {
    /// No records.
    Empty,
    /// An error: an API that changes its envelope must not look like an API without news. With what to do about it.
    Wrong(&'static str),
}

impl Absent {
    /// For records that are read (`records_optional`).
    pub fn optional(yes: bool) -> Self {
        if yes { Self::Empty } else { Self::Wrong("`records_optional = true` takes it as no records") }
    }
}

/// The records of a body. `clean` masks secrets: the error shows how the answer begins.
pub fn split(
    body: Option<&Document>,
    path: Option<&BodyPath>,
    absent: Absent,
    clean: impl Fn(&str) -> String,
) -> Result<Vec<Record>, EvalError> {
    let Some(body) = body else {
        return match (path, absent) {
            (Some(path), Absent::Wrong(remedy)) => Err(EvalError::Missing(format!(
                "records: the answer has no body, so `{}` is missing ({remedy})",
                path.source()
            ))),
            _ => Ok(Vec::new()),
        };
    };
    let found = match path {
        None => body.whole(),
        Some(path) => match body.select(path) {
            Err(error) if error.is_missing() && absent == Absent::Empty => return Ok(Vec::new()),
            found => found.map_err(|error| error.at("records"))?,
        },
    };
    match (&*found.selection(), absent) {
        (Selection::Missing, Absent::Empty) => Ok(Vec::new()),
        (Selection::Missing, Absent::Wrong(remedy)) => Err(EvalError::Missing(format!(
            "records: `{}` is not in the answer, which begins {} ({remedy})",
            path.map_or("$", BodyPath::source),
            opening(body.text(), clean),
        ))),
        (Selection::One(value), _) => spread(&found, *value),
        // A path that may match often gives its matches: a list among them is a record, alone too.
        (Selection::Many(values), _) => collect(&found, values.iter().copied()),
    }
}

fn spread(found: &Found<'_>, value: JsonRef<'_>) -> Result<Vec<Record>, EvalError> {
    match value.kind() {
        Kind::Array => collect(found, value.items()),
        Kind::Null => Ok(Vec::new()),
        _ => Ok(vec![Record::new(found.share(value))]),
    }
}

fn collect<'a>(found: &Found<'_>, values: impl Iterator<Item = JsonRef<'a>>) -> Result<Vec<Record>, EvalError> {
    let records: Vec<Record> = values.take(MOST_RECORDS + 1).map(|value| Record::new(found.share(value))).collect();
    if records.len() > MOST_RECORDS {
        return Err(EvalError::Limit(format!(
            "records: the page holds more than {MOST_RECORDS} records; ask for smaller pages (`size`)"
        )));
    }
    Ok(records)
}

/// Masked before it is cut: half a secret would not be recognised.
fn opening(text: &str, clean: impl Fn(&str) -> String) -> String {
    let clean = clean(&text[..text.floor_char_boundary(LOOKED_AT)]);
    let cut: String = clean.chars().take(80).collect();
    if cut.len() < clean.len() { format!("`{cut}…`") } else { format!("`{cut}`") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::json::Json;

    fn count(body: &str, path: Option<&str>, optional: bool) -> Result<usize, EvalError> {
        let document = Document::from(Json::parse(body.to_owned()).unwrap());
        let path = path.map(|path| BodyPath::compile(path).unwrap());
        split(Some(&document), path.as_ref(), Absent::optional(optional), str::to_owned).map(|records| records.len())
    }

    #[test]
    fn one_array_is_spread_and_one_object_is_one_record() {
        assert_eq!(count("[1,2,3]", None, false), Ok(3));
        assert_eq!(count("{\"a\":1}", None, false), Ok(1));
        assert_eq!(count("{\"d\":[1,2]}", Some("d"), false), Ok(2));
        assert_eq!(count("{\"d\":[1,2]}", Some("$.d[*]"), false), Ok(2));
        assert_eq!(count("{\"d\":[[1,2]]}", Some("$.d[0]"), false), Ok(2));
        assert_eq!(count("{\"d\":null}", Some("d"), false), Ok(0));
    }

    #[test]
    fn a_match_of_a_plural_path_is_one_record_also_when_it_is_a_list_alone() {
        assert_eq!(count("{\"d\":[[1,2]]}", Some("$.d[*]"), false), Ok(1));
        assert_eq!(count("{\"d\":[[1,2],[3]]}", Some("$.d[*]"), false), Ok(2));
        assert_eq!(count("{\"d\":{\"e\":[1,2]}}", Some("$..e"), false), Ok(1));
        assert_eq!(count("{\"d\":{\"e\":[1,2]}}", Some("$.d['e']"), false), Ok(2));
    }

    #[test]
    fn an_absent_path_is_an_error_unless_optional() {
        assert!(matches!(count("{\"x\":[]}", Some("d"), false), Err(EvalError::Missing(_))));
        assert_eq!(count("{\"x\":[]}", Some("d"), true), Ok(0));
    }

    #[test]
    fn a_page_of_too_many_records_is_refused_before_it_fills_memory() {
        let body = format!("[{}0]", "0,".repeat(MOST_RECORDS));
        assert!(matches!(count(&body, None, false), Err(EvalError::Limit(_))));
    }
}
