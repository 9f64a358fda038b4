//! What stands in a body where paging looks: a token, a link, a number, or nothing.

use super::pager::PagingError;
use crate::value::document::{BodyPath, Document, Found};
use crate::value::json::{JsonRef, Kind};
use crate::value::path::Selection;

/// The text at a path; absent, null, empty and false are none.
pub(super) fn text_at(path: &BodyPath, body: Option<&Document>) -> Result<Option<String>, PagingError> {
    let Some(found) = found_at(path, body)? else { return Ok(None) };
    match &*found.selection() {
        Selection::Missing => Ok(None),
        Selection::One(value) => scalar(*value, path.source()),
        Selection::Many(values) => values.first().map_or(Ok(None), |value| scalar(*value, path.source())),
    }
}

/// A token or link; null, empty and false are none.
pub(super) fn scalar(value: JsonRef<'_>, place: &str) -> Result<Option<String>, PagingError> {
    let no_token = |found| Err(PagingError::NoToken { place: place.to_owned(), found });
    match value.kind() {
        Kind::Null => Ok(None),
        Kind::Bool if !value.is_truthy() => Ok(None),
        Kind::Bool => no_token("true"),
        Kind::Number => Ok(Some(value.text().to_owned())),
        Kind::Text => Ok(value.as_str().filter(|text| !text.is_empty()).map(std::borrow::Cow::into_owned)),
        Kind::Array if value.items().next().is_none() => Ok(None),
        Kind::Array => no_token("a list"),
        Kind::Object => no_token("an object"),
    }
}

/// A path that cannot be read in this body finds nothing.
fn found_at<'a>(path: &BodyPath, body: Option<&'a Document>) -> Result<Option<Found<'a>>, PagingError> {
    match body.map(|body| body.select(path)).transpose() {
        Err(error) if error.is_missing() => Ok(None),
        found => Ok(found?),
    }
}

/// The number at a path, where there is one.
pub(super) fn number_at(path: &BodyPath, body: Option<&Document>) -> Result<Option<u64>, PagingError> {
    let Some(found) = found_at(path, body)? else { return Ok(None) };
    Ok(match &*found.selection() {
        Selection::One(value) => value.compare_text().trim().parse().ok(),
        Selection::Many(values) => values.first().and_then(|value| value.compare_text().trim().parse().ok()),
        Selection::Missing => None,
    })
}
