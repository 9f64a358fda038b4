//! `xml`: values become elements, documents stay XML for paths to walk.

use super::{Encoded, MediaType};
use crate::value::document::Document;
use crate::value::issue::EvalError;
use crate::value::json::JsonRef;
use crate::value::xml::Xml;
use crate::value::xml::body::XmlBody;
use crate::value::xml::record::ArrayPaths;
use crate::value::xml::write::{self, Style};

/// `[xml]`
#[derive(Debug, Clone, Default)]
pub struct XmlSettings {
    /// `namespaces`: prefix and namespace.
    pub namespaces: Vec<(String, String)>,
    /// `array_paths`
    pub arrays: ArrayPaths,
    /// `root`: the element around a body that names none itself.
    pub root: Option<String>,
}

pub(in crate::http) fn write(value: JsonRef<'_>, settings: &XmlSettings) -> Result<Encoded, EvalError> {
    let style = Style { namespaces: &settings.namespaces, root: settings.root.as_deref() };
    Ok(Encoded::new(write::write(value, &style)?, MediaType::Xml.content_type()))
}

/// Whether a record can be part of a body: every name and character.
pub(super) fn admits(value: JsonRef<'_>) -> Result<(), EvalError> {
    write::admits(value)
}

/// What was rendered must be a document.
pub(in crate::http) fn write_text(rendered: String) -> Result<Encoded, EvalError> {
    Xml::check(&rendered).map_err(|error| EvalError::Refused(format!("the rendered text is not XML: {error}")))?;
    Ok(Encoded::new(rendered, MediaType::Xml.content_type()))
}

/// The bytes become the document, or come back. They say themselves how they are encoded where `charset`, of the
/// answer's head, does not.
pub(super) fn read(
    body: Vec<u8>,
    charset: Option<&str>,
    settings: &XmlSettings,
) -> Result<Document, (String, Vec<u8>)> {
    match XmlBody::parse(body, charset, &settings.arrays) {
        Ok(body) => Ok(Document::Xml(body)),
        Err((error, body)) => Err((error.to_string(), body)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::json::Json;

    #[test]
    fn values_and_texts_become_documents() {
        let settings = XmlSettings { root: Some("orders".to_owned()), ..XmlSettings::default() };
        let value = Json::parse(r#"{"order":[{"id":1},{"id":2}]}"#).unwrap();
        let written = write(value.as_ref(), &settings).unwrap();
        assert_eq!(written.content_type, "application/xml");
        let text = String::from_utf8(written.bytes.to_vec()).unwrap();
        assert!(text.ends_with("<orders><order><id>1</id></order><order><id>2</id></order></orders>"), "{text}");
        assert!(write_text("<a>R&amp;D</a>".to_owned()).is_ok());
        let error = write_text("<a>R&D</a>".to_owned()).map(|_| ()).unwrap_err();
        assert!(error.to_string().contains("the rendered text is not XML: `&` begins no reference"), "{error}");
    }

    #[test]
    fn a_record_that_cannot_be_an_element_is_told_apart() {
        let admits = |text: &str| admits(Json::parse(text).unwrap().as_ref());
        assert!(admits(r#"{"p:a":1,"b":[{"@c":"x"}]}"#).is_ok());
        assert!(admits(r#"{"a b":1}"#).is_err() && admits(r#"{"a":"\u0001"}"#).is_err());
    }

    #[test]
    fn what_is_no_xml_comes_back() {
        let Err((why, body)) = read(b"<a><b></a>".to_vec(), None, &XmlSettings::default()) else { panic!() };
        assert!(why.contains("at line 1 column 7"), "{why}");
        assert_eq!(body, b"<a><b></a>");
    }
}
