//! An XML body: the text as it was received, the tree that paths walk, and the record that templates see.

use super::record::{ArrayPaths, record, write_record};
use super::xpath::{Found, Value, XPath, number_text};
use super::{Node, Xml, XmlError, encoding, read};
use crate::value::document::Made;
use crate::value::issue::EvalError;
use crate::value::json::{Json, JsonRef, write_string};
use std::sync::{Arc, OnceLock};

/// What a path makes of a document may be this much larger than its text: elements inside elements repeat it.
const GROWTH: usize = 8;
/// Bytes that a path may make in any case.
const MADE: usize = 1024 * 1024;

/// A body that is XML. Clones share it.
#[derive(Debug, Clone)]
pub struct XmlBody(Arc<Held>);

struct Held {
    xml: Xml,
    text: String,
    arrays: ArrayPaths,
    view: OnceLock<Json>,
}

impl std::fmt::Debug for Held {
    /// Says how large it is, never what it holds.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.xml.fmt(f)
    }
}

impl XmlBody {
    /// Reads a body; one that cannot be read comes back.
    pub fn parse(body: Vec<u8>, charset: Option<&str>, arrays: &ArrayPaths) -> Result<Self, (XmlError, Vec<u8>)> {
        let text = match encoding::decode(&body, charset) {
            Ok(text) => text.into_owned(),
            Err(error) => return Err((error, body)),
        };
        drop(body);
        match read::read(&text) {
            Ok(xml) => Ok(Self(Arc::new(Held { xml, text, arrays: arrays.clone(), view: OnceLock::new() }))),
            Err(error) => Err((error, text.into_bytes())),
        }
    }

    /// As received, in UTF-8: what is stored, hashed and searched for text.
    pub fn text(&self) -> &str {
        &self.0.text
    }

    /// The record that the root element is: what templates and expressions see, and what it is without `records`. A
    /// document that nests too deep for a record is null to them.
    pub fn view(&self) -> JsonRef<'_> {
        let Held { xml, arrays, view, .. } = &*self.0;
        view.get_or_init(|| record(xml, xml.root(), arrays).unwrap_or_else(|_| Json::trusted("null"))).as_ref()
    }

    /// Evaluates a path; what it finds is written as JSON.
    pub fn select(&self, path: &XPath) -> Result<Made, EvalError> {
        let nodes = match path.select(&self.0.xml)? {
            Found::Missing => return Ok(Made::Missing),
            Found::Value(value) => return Ok(Made::One(plain(&value))),
            Found::Nodes(nodes) => nodes,
        };
        if let (true, [one]) = (path.is_singular(), &nodes[..]) {
            return Ok(Made::One(record(&self.0.xml, *one, &self.0.arrays)?));
        }
        self.list(&nodes).map(Made::Many).map_err(|error| error.at(path.source()))
    }

    fn list(&self, nodes: &[Node]) -> Result<Json, EvalError> {
        let most = MADE.max(GROWTH.saturating_mul(self.0.text.len()));
        let mut out = vec![b'['];
        for (number, node) in nodes.iter().enumerate() {
            if number > 0 {
                out.push(b',');
            }
            write_record(&self.0.xml, *node, &self.0.arrays, &mut out)?;
            if out.len() > most {
                return Err(EvalError::Limit("the path finds the same elements again and again".to_owned()));
            }
        }
        out.push(b']');
        Ok(Json::trusted(out))
    }
}

/// What is no number is null: JSON has no other word for it.
fn plain(value: &Value) -> Json {
    match value {
        Value::Bool(bool) => Json::trusted(bool.to_string()),
        Value::Number(number) if number.is_finite() => Json::trusted(number_text(*number)),
        Value::Number(_) | Value::Nodes(_) => Json::trusted("null"),
        Value::Text(text) => {
            let mut out = Vec::new();
            write_string(&mut out, text);
            Json::trusted(out)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(document: &str, path: &str) -> Result<Made, EvalError> {
        let body = XmlBody::parse(document.into(), None, &ArrayPaths::default()).unwrap();
        body.select(&XPath::compile(path, &[]).unwrap())
    }

    fn one(text: &str) -> Made {
        Made::One(Json::parse(text).unwrap())
    }

    fn many(text: &str) -> Made {
        Made::Many(Json::parse(text).unwrap())
    }

    #[test]
    fn what_a_path_finds_is_json() {
        let text = "<r><a id='1'>x</a><b><c>1</c></b><b><c>2</c></b><n>2.50</n></r>";
        for (path, expected) in [
            ("/r/a", one(r##"{"@id":"1","#text":"x"}"##)),
            ("r/a/@id", one("\"1\"")),
            ("/r/b", many(r#"[{"c":"1"},{"c":"2"}]"#)),
            ("/r/b[1]", many(r#"[{"c":"1"}]"#)),
            ("//c", many(r#"["1","2"]"#)),
            ("/r/none", many("[]")),
            ("/s/none", Made::Missing),
            ("string(/r/n)", one("\"2.50\"")),
            ("number(/r/n)", one("2.5")),
            ("number(/r/a)", one("null")),
            ("count(//c) = 2", one("true")),
            ("/r/n", one("\"2.50\"")),
        ] {
            assert_eq!(made(text, path).unwrap(), expected, "{path}");
        }
    }

    #[test]
    fn templates_see_the_record_of_the_root_element() {
        let arrays = ArrayPaths::default();
        let body = XmlBody::parse(b"\xff\xfe<\0a\0>\0\xfc\0<\0/\0a\0>\0".to_vec(), None, &arrays).unwrap();
        assert_eq!((body.text(), body.clone().view().text()), ("<a>ü</a>", "\"ü\""));
        let again = XmlBody::parse(body.text().into(), Some("utf-8"), &arrays).unwrap();
        assert_eq!(again.view().text(), body.view().text());
        let (error, back) = XmlBody::parse(b"<a>".to_vec(), None, &arrays).unwrap_err();
        assert_eq!((back, error.line), (b"<a>".to_vec(), 1));
        assert_eq!(format!("{body:?}"), "XmlBody(Xml(3 nodes))");
    }

    #[test]
    fn elements_found_inside_one_another_are_bounded() {
        let deep = format!("{}{}{}", "<a>".repeat(100), "x".repeat(200_000), "</a>".repeat(100));
        assert!(matches!(made(&deep, "//a"), Err(EvalError::Limit(_))));
        assert!(made(&deep, "//a[not(a)]").is_ok());
    }
}
