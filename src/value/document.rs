//! An answer's body as paths, rules and templates see it. Everything but XML is JSON by then: a path into it finds
//! slices of the text. What a path finds in XML is written as JSON first.

use super::issue::{EvalError, Issue};
use super::json::{Json, JsonRef};
use super::path::{Path, Selection, looks_like_json_path};
use super::xml::body::XmlBody;
use super::xml::xpath::{Namespaces, XPath};
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
    Xml(XmlBody),
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
                Ok(path) => Ok(Found::Made(xml.select(path)?)),
                Err(why) => {
                    let message = format!("`{}` is no XPath, and the body is XML: {why}", path.source);
                    Err(EvalError::Missing(message))
                }
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
    /// Or why it is none.
    xml: Result<XPath, Arc<str>>,
}

/// What is known at load of the bodies that a path will meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// Nothing.
    Any,
    /// Some are XML.
    PerhapsXml,
    /// All are XML.
    Xml,
}

impl BodyPath {
    /// Compiles every reading the text has. Where it has none the complaint is about the one it looks like.
    pub fn compile(text: &str) -> Result<Self, Vec<Issue>> {
        Self::compile_for(text, &[], Reading::Any)
    }

    /// As `compile`, with prefixes for XPath. A text must be an XPath where it will meet XML, unless it is JSONPath by
    /// its look and meets other bodies too.
    pub fn compile_for(text: &str, namespaces: &Namespaces, reading: Reading) -> Result<Self, Vec<Issue>> {
        let (json, xml) = (Path::compile(text), XPath::compile(text, namespaces));
        let wanted = match reading {
            Reading::Any => text.starts_with('/') && json.is_err(),
            Reading::PerhapsXml => json.is_err() || !looks_like_json_path(text),
            Reading::Xml => true,
        };
        match (json, xml) {
            (_, Err(issues)) if wanted => Err(issues),
            (Err(issues), Err(_)) => Err(issues),
            // `items[*]` and `a..b` are XPath too, but nobody means that where XML is not spoken of.
            (Err(issues), Ok(_)) if reading == Reading::Any && !text.contains('/') => Err(issues),
            (json, xml) => {
                let why = |issues: Vec<Issue>| issues.first().map_or("", |issue| &issue.message).into();
                Ok(Self { source: text.into(), json: json.ok(), xml: xml.map_err(why) })
            }
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
    fn a_text_must_be_an_xpath_where_it_will_meet_xml() {
        let bound = [("s".to_owned(), "urn:s".to_owned())];
        let compiles = |text, reading| BodyPath::compile_for(text, &bound, reading).is_ok();
        for (text, any, perhaps, xml) in [
            ("a.b", true, true, true),
            ("/a/b", true, true, true),
            ("s:a/s:b", true, true, true),
            ("t:a/t:b", true, false, false),
            ("$.a", true, true, false),
            ("items[0].id", true, false, false),
            ("items[*]", false, true, true),
            ("data..items", false, true, true),
            ("//item[@id]", true, true, true),
            ("/a[", false, false, false),
            ("count(", false, false, false),
        ] {
            let found = [Reading::Any, Reading::PerhapsXml, Reading::Xml].map(|reading| compiles(text, reading));
            assert_eq!(found, [any, perhaps, xml], "{text}");
        }
    }

    #[test]
    fn a_path_meets_the_kind_of_body_it_reads() {
        use crate::value::xml::record::ArrayPaths;
        let body = XmlBody::parse(b"<a><b>1</b></a>".to_vec(), None, &ArrayPaths::default()).unwrap();
        let (xml, json) = (Document::Xml(body), Document::from(Json::parse(r#"{"a":{"b":1}}"#).unwrap()));
        let found = |document: &Document, path: &str| {
            let path = BodyPath::compile(path).unwrap();
            let found = document.select(&path)?;
            Ok::<_, EvalError>(found.selection().first().map(|value| value.text().to_owned()))
        };
        assert_eq!(found(&xml, "/a/b").unwrap().as_deref(), Some("\"1\""));
        assert_eq!(found(&json, "a.b").unwrap().as_deref(), Some("1"));
        assert_eq!(found(&json, "a/b").unwrap(), None);
        let why = found(&xml, "$.a").unwrap_err();
        assert!(why.is_missing() && why.to_string().contains("is no XPath, and the body is XML: variables"), "{why}");
        assert!(found(&json, "/a/b").unwrap_err().is_missing());
        assert_eq!((xml.kind(), xml.view().text()), (Kind::Xml, r#"{"b":"1"}"#));
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
