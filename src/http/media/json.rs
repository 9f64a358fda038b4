//! `json`: the text as it is.

use super::{Encoded, MediaType};
use crate::value::document::Document;
use crate::value::issue::EvalError;
use crate::value::json::{Json, JsonError};

pub(super) fn write(value: &Json) -> Encoded {
    Encoded::new(value.bytes(), MediaType::Json.content_type())
}

pub(super) fn write_text(rendered: String) -> Result<Encoded, EvalError> {
    let json =
        Json::parse(rendered).map_err(|error| EvalError::Refused(format!("the rendered text is not JSON: {error}")))?;
    Ok(write(&json))
}

/// The bytes become the document, or come back.
pub(super) fn read(body: Vec<u8>) -> Result<Document, (JsonError, Vec<u8>)> {
    Json::parse_or_return(body).map(Document::from)
}
