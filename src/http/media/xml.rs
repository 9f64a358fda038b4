//! `xml`: not built yet. Configuration refuses the word, and an answer that is XML is said to be.

use super::{Encoded, MediaType};
use crate::value::document::Document;
use crate::value::issue::EvalError;
use crate::value::json::JsonRef;

/// `[xml]`
#[derive(Debug, Clone, Default)]
pub struct XmlSettings {}

pub(super) fn write(_value: JsonRef<'_>, _settings: &XmlSettings) -> Result<Encoded, EvalError> {
    Err(EvalError::Refused("xml is written as text so far".to_owned()))
}

/// Taken as it was rendered.
pub(super) fn write_text(rendered: String) -> Encoded {
    Encoded::new(rendered, MediaType::Xml.content_type())
}

/// The bytes become the document, or come back. They say themselves how they are encoded where `charset`, of the
/// answer's head, does not.
pub(super) fn read(
    body: Vec<u8>,
    _charset: Option<&str>,
    _settings: &XmlSettings,
) -> Result<Document, (String, Vec<u8>)> {
    Err(("reading XML is not supported yet".to_owned(), body))
}
