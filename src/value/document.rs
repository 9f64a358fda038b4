//! An answer's body as paths, rules and templates see it. Everything but XML is JSON by then: a path into it finds
//! slices of the text. What a path finds in XML is written as JSON first.

use super::issue::{EvalError, Issue};
use super::json::{Json, JsonRef};
use super::path::{Path, Selection};
use super::xml::{XPath, Xml};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::sync::Arc;

/// A body that has been read.
#[derive(Debug, Clone)]
pub enum Document {
    /// JSON, or what was made into JSON: CSV, forms, text.
    Json(Json),
    /// XML.
    Xml(Xml),
}

/// What a stored document has to be read as again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// JSON.
    #[default]
    Json,
    /// XML.
    Xml,
}

impl Kind {
    /// Whether it is what documents usually are.
    pub fn is_json(&self) -> bool {
        *self == Self::Json
    }
}

/// What a path found in a document.
#[derive(Debug)]
pub enum Found<'a> {
    /// Slices of a JSON text.
    Slices(&'a Json, Selection<'a>),
    /// Values made for it.
    Made(Made),
}

/// What a path found, as JSON of its own.
#[derive(Debug, PartialEq, Eq)]
pub enum Made {
    /// Its longest singular prefix is absent.
    Missing,
    /// A singular path's value.
    One(Json),
    /// Any other path's values: one list.
    Many(Json),
}

impl Document {
    /// What templates and expressions see.
    pub fn view(&self) -> JsonRef<'_> {
        match self {
            Self::Json(json) => json.as_ref(),
            Self::Xml(xml) => xml.view(),
        }
    }

    /// The text: what is stored, and what it has to be read from again. JSON as it was received; of other media types
    /// what was made of them.
    pub fn text(&self) -> &str {
        match self {
            Self::Json(json) => json.text(),
            Self::Xml(xml) => xml.text(),
        }
    }

    /// The text as bytes to be stored, shared where that can be.
    pub fn bytes(&self) -> Bytes {
        match self {
            Self::Json(json) => json.bytes(),
            Self::Xml(xml) => Bytes::copy_from_slice(xml.text().as_bytes()),
        }
    }

    /// What its text has to be read as again.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Json(_) => Kind::Json,
            Self::Xml(_) => Kind::Xml,
        }
    }

    /// The whole, as a path `$` would find it.
    pub fn whole(&self) -> Found<'_> {
        match self {
            Self::Json(json) => Found::Slices(json, Selection::One(json.as_ref())),
            Self::Xml(xml) => Found::Made(Made::One(Json::trusted(xml.view().text()))),
        }
    }

    /// What a path finds. A path that cannot be read in this kind of document is missing in it.
    pub fn select(&self, path: &BodyPath) -> Result<Found<'_>, EvalError> {
        match self {
            Self::Json(json) => match &path.json {
                Some(path) => Ok(Found::Slices(json, path.select(json.as_ref())?)),
                None => Err(EvalError::Missing(format!("`{}` is an XPath, and the body is JSON", path.source))),
            },
            Self::Xml(xml) => match &path.xml {
                Some(path) => Ok(Found::Made(xml.select(path)?)),
                None => Err(EvalError::Missing(format!("`{}` is no XPath, and the body is XML", path.source))),
            },
        }
    }
}

impl From<Json> for Document {
    fn from(json: Json) -> Self {
        Self::Json(json)
    }
}

impl Found<'_> {
    /// The selection.
    pub fn selection(&self) -> Cow<'_, Selection<'_>> {
        match self {
            Self::Slices(_, selection) => Cow::Borrowed(selection),
            Self::Made(Made::Missing) => Cow::Owned(Selection::Missing),
            Self::Made(Made::One(json)) => Cow::Owned(Selection::One(json.as_ref())),
            Self::Made(Made::Many(list)) => Cow::Owned(Selection::Many(list.as_ref().items().collect())),
        }
    }

    /// A value of the selection as one of its own that shares the buffer.
    pub fn share(&self, part: JsonRef<'_>) -> Json {
        match self {
            Self::Slices(json, _) => json.share(part),
            Self::Made(Made::One(json) | Made::Many(json)) => json.share(part),
            Self::Made(Made::Missing) => Json::trusted(part.text()),
        }
    }
}

/// A path into a body whose media type only the answer may know: as far as its text allows, it holds a reading for
/// each.
#[derive(Debug, Clone)]
pub struct BodyPath {
    source: Arc<str>,
    json: Option<Path>,
    xml: Option<XPath>,
}

impl BodyPath {
    /// Compiles every reading the text has. Where it has none the complaint is about the one it looks like.
    pub fn compile(text: &str) -> Result<Self, Vec<Issue>> {
        let (json, xml) = (Path::compile(text), XPath::compile(text));
        match (json, xml) {
            (Err(_), Err(issues)) if text.starts_with('/') => Err(issues),
            (Err(issues), Err(_)) => Err(issues),
            (json, xml) => Ok(Self { source: text.into(), json: json.ok(), xml: xml.ok() }),
        }
    }

    /// As written.
    pub fn source(&self) -> &str {
        &self.source
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_into_json_finds_slices_that_can_be_shared() {
        let document = Document::from(Json::parse(r#"{"a":[{"n":1.0}]}"#).unwrap());
        let path = BodyPath::compile("$.a[*]").unwrap();
        let found = document.select(&path).unwrap();
        let Selection::Many(values) = found.selection().into_owned() else { panic!() };
        assert_eq!(found.share(values[0]).text(), r#"{"n":1.0}"#);
        assert!(document.text().as_bytes().as_ptr_range().contains(&values[0].text().as_ptr()));
        assert_eq!((path.source(), document.kind()), ("$.a[*]", Kind::Json));
    }

    #[test]
    fn what_was_made_reads_as_a_selection() {
        let json = |text: &str| Json::parse(text).unwrap();
        assert_eq!(*Found::Made(Made::Missing).selection(), Selection::Missing);
        let one = Found::Made(Made::One(json("{\"a\":1}")));
        assert_eq!(one.selection().first().unwrap().text(), "{\"a\":1}");
        let many = Found::Made(Made::Many(json("[1, [2]]")));
        let texts: Vec<_> =
            many.selection().into_owned().spread().iter().map(|value| value.text().to_owned()).collect();
        assert_eq!(texts, ["1", "[2]"]);
    }
}
