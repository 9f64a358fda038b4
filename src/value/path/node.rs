//! Raw JSON text as the JSONPath engine sees it: taken apart only where a query looks, and every look is paid
//! for out of one budget.

use crate::value::json::{JsonRef, Kind};
use jsonpath_rust::query::queryable::Queryable;
use std::borrow::Cow;
use std::cell::{Cell, OnceCell};
use std::rc::Rc;

/// A value as the engine sees it.
#[derive(Clone, Default)]
pub(super) struct Node<'a> {
    what: What<'a>,
    budget: Option<Rc<Cell<usize>>>,
    parts: OnceCell<Parts<'a>>,
}

#[derive(Clone, Default)]
enum What<'a> {
    #[default]
    Null,
    Json(JsonRef<'a>),
    Text(String),
    Bool(bool),
    Int(i64),
    Float(f64),
    List(Vec<Node<'a>>),
}

/// A value taken apart, once it is visited.
#[derive(Clone)]
enum Parts<'a> {
    Plain,
    Text(Cow<'a, str>),
    List(Vec<Node<'a>>),
    Map(Vec<(Cow<'a, str>, Node<'a>)>),
}

impl<'a> Node<'a> {
    pub(super) fn of(json: JsonRef<'a>, budget: Option<Rc<Cell<usize>>>) -> Self {
        Self { what: What::Json(json), budget, parts: OnceCell::new() }
    }

    fn owned(what: What<'a>) -> Self {
        Self { what, ..Self::default() }
    }

    pub(super) fn json(&self) -> Option<JsonRef<'a>> {
        match &self.what {
            What::Json(json) => Some(*json),
            _ => None,
        }
    }

    /// Pays for visits; once the budget is spent every value looks plain, so that the engine comes to its end.
    fn pay(&self, visits: usize) -> Option<()> {
        let Some(budget) = &self.budget else { return Some(()) };
        budget.set(budget.get().saturating_sub(visits));
        (budget.get() > 0).then_some(())
    }

    fn parts(&self) -> &Parts<'a> {
        self.parts.get_or_init(|| {
            let Some(json) = self.json() else { return Parts::Plain };
            let child = |json| Node::of(json, self.budget.clone());
            match json.kind() {
                Kind::Text => Parts::Text(json.compare_text()),
                Kind::Array => Parts::List(json.items().map(child).collect()),
                Kind::Object => Parts::Map(json.members().map(|(key, value)| (key, child(value))).collect()),
                Kind::Null | Kind::Bool | Kind::Number => Parts::Plain,
            }
        })
    }

    fn is_null(&self) -> bool {
        match &self.what {
            What::Null => true,
            What::Json(json) => json.is_null(),
            _ => false,
        }
    }
}

impl std::fmt::Debug for Node<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Node")
    }
}

impl PartialEq for Node<'_> {
    fn eq(&self, other: &Self) -> bool {
        if self.pay(1).is_none() {
            return false;
        }
        if let (Some(mine), Some(theirs)) = (self.as_f64(), other.as_f64()) {
            return match (self.as_i64(), other.as_i64()) {
                (Some(mine), Some(theirs)) => mine == theirs,
                _ => mine.total_cmp(&theirs).is_eq() || (mine == 0.0 && theirs == 0.0),
            };
        }
        if let (Some(mine), Some(theirs)) = (self.as_str(), other.as_str()) {
            return mine == theirs;
        }
        if let (Some(mine), Some(theirs)) = (self.as_bool(), other.as_bool()) {
            return mine == theirs;
        }
        if let (Some(mine), Some(theirs)) = (self.as_array(), other.as_array()) {
            return mine == theirs;
        }
        if let (Some(mine), Some(theirs)) = (self.as_object(), other.as_object()) {
            return mine.len() == theirs.len() && same_members(self, other);
        }
        self.is_null() && other.is_null()
    }
}

fn same_members<'a>(one: &Node<'a>, other: &Node<'a>) -> bool {
    let Parts::Map(members) = one.parts() else { return false };
    members.iter().all(|(key, value)| other.get(key).is_some_and(|found| found == value))
}

impl Queryable for Node<'_> {
    fn get(&self, key: &str) -> Option<&Self> {
        self.pay(1)?;
        let Parts::Map(members) = self.parts() else { return None };
        self.pay(members.len() / 16)?;
        members.iter().rev().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    fn as_array(&self) -> Option<&Vec<Self>> {
        self.pay(1)?;
        let ((What::List(items), _) | (_, Parts::List(items))) = (&self.what, self.parts()) else { return None };
        self.pay(items.len())?;
        Some(items)
    }

    fn as_object(&self) -> Option<Vec<(&str, &Self)>> {
        self.pay(1)?;
        let Parts::Map(members) = self.parts() else { return None };
        self.pay(members.len())?;
        // The engine uses the names for a path string per result only, which nobody reads: long names would
        // make it the dearest part.
        Some(members.iter().map(|(_, value)| ("", value)).collect())
    }

    fn as_str(&self) -> Option<&str> {
        match (&self.what, self.parts()) {
            (What::Text(text), _) => Some(text),
            (_, Parts::Text(text)) => Some(text),
            _ => None,
        }
    }

    fn as_i64(&self) -> Option<i64> {
        match &self.what {
            What::Int(number) => Some(*number),
            What::Json(json) if json.kind() == Kind::Number => json.text().parse().ok(),
            _ => None,
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "the engine compares numbers as f64")]
    fn as_f64(&self) -> Option<f64> {
        match &self.what {
            What::Int(number) => Some(*number as f64),
            What::Float(number) => Some(*number),
            What::Json(json) if json.kind() == Kind::Number => json.text().parse().ok(),
            _ => None,
        }
    }

    fn as_bool(&self) -> Option<bool> {
        match &self.what {
            What::Bool(truth) => Some(*truth),
            What::Json(json) if json.kind() == Kind::Bool => Some(json.text() == "true"),
            _ => None,
        }
    }

    fn null() -> Self {
        Self::default()
    }
}

impl From<&str> for Node<'_> {
    fn from(text: &str) -> Self {
        Self::owned(What::Text(text.to_owned()))
    }
}

impl From<String> for Node<'_> {
    fn from(text: String) -> Self {
        Self::owned(What::Text(text))
    }
}

impl From<bool> for Node<'_> {
    fn from(truth: bool) -> Self {
        Self::owned(What::Bool(truth))
    }
}

impl From<i64> for Node<'_> {
    fn from(number: i64) -> Self {
        Self::owned(What::Int(number))
    }
}

impl From<f64> for Node<'_> {
    fn from(number: f64) -> Self {
        Self::owned(What::Float(number))
    }
}

impl<'a> From<Vec<Node<'a>>> for Node<'a> {
    fn from(items: Vec<Node<'a>>) -> Self {
        Self::owned(What::List(items))
    }
}
