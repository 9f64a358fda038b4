//! Walking names, indexes and wildcards over text.

use super::Segment;
use crate::value::json::{JsonRef, Kind};

/// The one value a walk without wildcards leads to.
pub(super) fn singular<'a>(mut json: JsonRef<'a>, segments: &[Segment]) -> Option<JsonRef<'a>> {
    for segment in segments {
        json = match segment {
            Segment::Name(name) => json.get(name)?,
            Segment::Index(index) => item(json, *index)?,
            Segment::Wildcard => return None,
        };
    }
    Some(json)
}

/// Negative indexes count from the end.
fn item(json: JsonRef<'_>, index: i64) -> Option<JsonRef<'_>> {
    if let Ok(index) = usize::try_from(index) {
        return json.at(index);
    }
    let back = usize::try_from(index.unsigned_abs()).ok()?;
    json.at(json.items().count().checked_sub(back)?)
}

/// All values a walk leads to, in the order of the text.
pub(super) fn plural<'a>(json: JsonRef<'a>, segments: &[Segment]) -> Vec<JsonRef<'a>> {
    let mut found = vec![json];
    for segment in segments {
        found = match segment {
            Segment::Name(name) => found.into_iter().filter_map(|value| value.get(name)).collect(),
            Segment::Index(index) => found.into_iter().filter_map(|value| item(value, *index)).collect(),
            Segment::Wildcard => {
                let mut children = Vec::new();
                for value in found {
                    match value.kind() {
                        Kind::Array => children.extend(value.items()),
                        Kind::Object => children.extend(value.members().map(|(_, member)| member)),
                        _ => {}
                    }
                }
                children
            }
        };
    }
    found
}
