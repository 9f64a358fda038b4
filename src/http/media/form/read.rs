//! A form to nested JSON. Values stay the texts they are.

use super::DEEPEST;
use crate::value::document::Document;
use crate::value::json::Json;
use serde_json::{Map, Value};
use url::form_urlencoded::parse;

/// Most pairs.
const MOST: usize = 1_000_000;

/// A value under construction. Lists are told apart from tables at the end only: by then every name is known.
enum Node {
    Text(String),
    /// Texts of one name, or under `[]`.
    List(Vec<Node>),
    Table(Map<String, Value>, Vec<Node>),
}

impl Node {
    fn table() -> Self {
        Self::Table(Map::new(), Vec::new())
    }

    /// Puts a text at the end of a path of names; none stands for `[]`.
    fn put(&mut self, path: &[Option<&str>], text: String) -> Result<(), ()> {
        let Some((name, rest)) = path.split_first() else {
            return match self {
                Self::List(items) => {
                    items.push(Self::Text(text));
                    Ok(())
                }
                Self::Text(first) => {
                    let first = Self::Text(std::mem::take(first));
                    *self = Self::List(vec![first, Self::Text(text)]);
                    Ok(())
                }
                Self::Table(..) => Err(()),
            };
        };
        if name.is_none() && rest.is_empty() {
            return match self {
                Self::List(items) => {
                    items.push(Self::Text(text));
                    Ok(())
                }
                _ => Err(()),
            };
        }
        let Self::Table(places, nodes) = self else { return Err(()) };
        let name = name.unwrap_or_default();
        if let Some(place) = places.get(name).and_then(Value::as_u64).and_then(|place| usize::try_from(place).ok()) {
            return nodes.get_mut(place).ok_or(())?.put(rest, text);
        }
        places.insert(name.to_owned(), nodes.len().into());
        let mut node = match rest {
            [] => {
                nodes.push(Self::Text(text));
                return Ok(());
            }
            [None] => Self::List(Vec::new()),
            _ => Self::table(),
        };
        node.put(rest, text)?;
        nodes.push(node);
        Ok(())
    }

    /// A table whose names are 0, 1, 2 … in order is a list.
    fn value(self, is_top: bool) -> Value {
        match self {
            Self::Text(text) => Value::String(text),
            Self::List(items) => items.into_iter().map(|item| item.value(false)).collect(),
            Self::Table(places, nodes) => {
                let values = nodes.into_iter().map(|node| node.value(false));
                let is_list = !is_top && places.keys().enumerate().all(|(n, name)| *name == n.to_string());
                if is_list {
                    return values.collect();
                }
                Value::Object(places.into_iter().map(|(name, _)| name).zip(values).collect())
            }
        }
    }
}

pub(in crate::http::media) fn read(body: &[u8]) -> Result<Document, String> {
    let mut top = Node::table();
    for (n, (name, text)) in parse(body.trim_ascii_end()).enumerate() {
        if n == MOST {
            return Err(format!("the form has more than {MOST} fields"));
        }
        let path = path(&name).ok_or_else(|| format!("field {}: a form nests at most {DEEPEST} levels", n + 1))?;
        top.put(&path, text.into_owned())
            .map_err(|()| format!("field {}: `{name}` is a plain value and a table at once", n + 1))?;
    }
    Ok(Document::from(Json::from_value(&top.value(true))))
}

/// `a[b][]` as `a`, `b`, none. What is not written like this is one name as it stands.
fn path(name: &str) -> Option<Vec<Option<&str>>> {
    let Some((first, rest)) = name.split_once('[').filter(|(first, _)| !first.is_empty()) else {
        return Some(vec![Some(name)]);
    };
    let Some(rest) = rest.strip_suffix(']') else { return Some(vec![Some(name)]) };
    let mut path = vec![Some(first)];
    for part in rest.split("][") {
        if part.contains(['[', ']']) {
            return Some(vec![Some(name)]);
        }
        path.push(Some(part).filter(|part| !part.is_empty()));
    }
    (path.len() <= DEEPEST + 1).then_some(path)
}
