//! `text`: a value's text as it is, and back as one JSON string.

use super::{Encoded, MediaType};
use crate::value::document::Document;
use crate::value::json::{Json, JsonRef, Kind, write_string};

/// Text bare, a list a line for each item, anything else as JSON writes it.
pub(super) fn write(value: JsonRef<'_>) -> Encoded {
    let text = match value.kind() {
        Kind::Array => value.items().map(JsonRef::compare_text).collect::<Vec<_>>().join("\n"),
        Kind::Null => String::new(),
        _ => value.compare_text().into_owned(),
    };
    Encoded::new(text, MediaType::Text.content_type())
}

pub(super) fn read(text: &str) -> Document {
    let mut out = Vec::with_capacity(text.len() + 2);
    write_string(&mut out, text);
    Document::from(Json::trusted(out))
}
