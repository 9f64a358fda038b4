//! Cutting an answer into records (FORMAT.md: a path result that is one array is spread, an object is one
//! record). Records stay text that shares the page's buffer.

use crate::value::issue::EvalError;
use crate::value::json::{Json, JsonRef, Kind};
use crate::value::path::{Path, Selection};
use crate::value::record::Record;

/// Most bytes of an answer that are made fit to be shown.
const LOOKED_AT: usize = 4096;

/// The records of a body. An absent path is an error unless `optional`: an API that changes its envelope must
/// not look like an API without news. `clean` masks secrets: the error shows how the answer begins.
pub fn split(
    body: Option<&Json>,
    path: Option<&Path>,
    optional: bool,
    clean: impl Fn(&str) -> String,
) -> Result<Vec<Record>, EvalError> {
    let Some(body) = body else {
        return match path {
            Some(path) if !optional => Err(EvalError::Missing(format!(
                "records: the answer has no body, so `{}` is missing (`records_optional = true` takes it as no records)",
                path.source()
            ))),
            _ => Ok(Vec::new()),
        };
    };
    let Some(path) = path else { return Ok(spread(body, body.as_ref())) };
    match path.select(body.as_ref())? {
        Selection::Missing if optional => Ok(Vec::new()),
        Selection::Missing => Err(EvalError::Missing(format!(
            "records: `{}` is not in the answer, which begins {} (`records_optional = true` takes it as no records)",
            path.source(),
            opening(body.text(), clean),
        ))),
        Selection::One(value) => Ok(spread(body, value)),
        Selection::Many(values) => match values.as_slice() {
            [one] if one.kind() == Kind::Array => Ok(spread(body, *one)),
            all => Ok(all.iter().map(|value| Record::new(body.share(*value))).collect()),
        },
    }
}

fn spread(body: &Json, value: JsonRef<'_>) -> Vec<Record> {
    match value.kind() {
        Kind::Array => value.items().map(|item| Record::new(body.share(item))).collect(),
        Kind::Null => Vec::new(),
        _ => vec![Record::new(body.share(value))],
    }
}

/// Masked before it is cut: half a secret would not be recognised.
fn opening(text: &str, clean: impl Fn(&str) -> String) -> String {
    let clean = clean(&text[..text.floor_char_boundary(LOOKED_AT)]);
    let cut: String = clean.chars().take(80).collect();
    if cut.len() < clean.len() { format!("`{cut}…`") } else { format!("`{cut}`") }
}
