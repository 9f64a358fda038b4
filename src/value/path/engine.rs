//! The JSONPath engine over raw text: only the parts a query visits are looked at, results are slices of the
//! original text, and a budget ends queries that would visit too much.

use crate::value::issue::{EvalError, Issue};
use crate::value::json::{JsonRef, Kind};
use jsonpath_rust::parser::model::{
    Comparable, Comparison, Filter, FilterAtom, FnArg, JpQuery, Segment, Selector, SingularQuery, Test, TestFunction,
};
use jsonpath_rust::query::js_path_process;
use jsonpath_rust::query::queryable::Queryable;
use std::borrow::Cow;
use std::cell::{Cell, OnceCell};
use std::rc::Rc;

/// Visits allowed per evaluation, however small the document is. Queries linear in the document always fit:
/// the budget grows with its length.
const BUDGET: usize = 1_000_000;

/// A query that needs the engine.
#[derive(Debug)]
pub(super) struct Query {
    query: JpQuery,
    from_root: bool,
}

impl Query {
    /// Keeps what follows the first `prefix` segments, which the caller walks itself; unless a filter looks at
    /// `$`, then the engine must start there too.
    pub(super) fn new(mut query: JpQuery, prefix: usize) -> Self {
        let mut survey = Survey::default();
        survey.segments(&query.segments);
        if !survey.root {
            query.segments.drain(..prefix);
        }
        Self { query, from_root: survey.root }
    }

    pub(super) fn select<'a>(&self, value: JsonRef<'a>, root: JsonRef<'a>) -> Result<Vec<JsonRef<'a>>, EvalError> {
        let start = if self.from_root { root } else { value };
        let budget = Rc::new(Cell::new(BUDGET.max(start.text().len())));
        let node = Node::of(start, Some(Rc::clone(&budget)));
        let found = js_path_process(&self.query, &node);
        if budget.get() == 0 {
            return Err(EvalError::Limit("the path visits too many values".to_owned()));
        }
        match found {
            Ok(found) => Ok(found.into_iter().filter_map(|result| result.val.json()).collect()),
            Err(_) => Err(EvalError::Type("the path gives no value of the record".to_owned())),
        }
    }
}

/// Refuses at load what could not be bounded at run time.
pub(super) fn survey(text: &str, query: &JpQuery) -> Result<(), Issue> {
    let mut survey = Survey::default();
    survey.segments(&query.segments);
    let place = |needle: &str| text.rfind(needle).map_or(0..text.len(), |at| at..at + needle.len());
    if survey.descendants > 1 {
        return Err(Issue::new(place(".."), "more than one `..` in a path").help("name the members on the way"));
    }
    if let Some(name) = survey.refused {
        return Err(Issue::new(place(&name), format!("the function `{name}` is not supported in paths"))
            .help("compare with `==`, or filter with an expression in `keep` or `when`"));
    }
    Ok(())
}

/// What a query holds that matters for its cost.
#[derive(Default)]
struct Survey {
    descendants: usize,
    root: bool,
    refused: Option<String>,
}

impl Survey {
    fn segments(&mut self, segments: &[Segment]) {
        for segment in segments {
            self.segment(segment);
        }
    }

    fn segment(&mut self, segment: &Segment) {
        match segment {
            Segment::Descendant(inner) => {
                self.descendants += 1;
                self.segment(inner);
            }
            Segment::Selector(selector) => self.selector(selector),
            Segment::Selectors(selectors) => selectors.iter().for_each(|selector| self.selector(selector)),
        }
    }

    fn selector(&mut self, selector: &Selector) {
        if let Selector::Filter(filter) = selector {
            self.filter(filter);
        }
    }

    fn filter(&mut self, filter: &Filter) {
        match filter {
            Filter::Or(parts) | Filter::And(parts) => parts.iter().for_each(|part| self.filter(part)),
            Filter::Atom(FilterAtom::Filter { expr, .. }) => self.filter(expr),
            Filter::Atom(FilterAtom::Test { expr, .. }) => self.test(expr),
            Filter::Atom(FilterAtom::Comparison(comparison)) => self.comparison(comparison),
        }
    }

    fn comparison(&mut self, comparison: &Comparison) {
        let (left, right) = comparison.vals();
        for side in [left, right] {
            match side {
                Comparable::Literal(_) | Comparable::SingularQuery(SingularQuery::Current(_)) => {}
                Comparable::SingularQuery(SingularQuery::Root(_)) => self.root = true,
                Comparable::Function(function) => self.function(function),
            }
        }
    }

    fn test(&mut self, test: &Test) {
        match test {
            Test::RelQuery(segments) => self.segments(segments),
            Test::AbsQuery(query) => {
                self.root = true;
                self.segments(&query.segments);
            }
            Test::Function(function) => self.function(function),
        }
    }

    fn function(&mut self, function: &TestFunction) {
        match function {
            TestFunction::Length(argument) => self.argument(argument),
            TestFunction::Value(argument) | TestFunction::Count(argument) => self.argument(argument),
            TestFunction::Custom(name, _) => self.refused = Some(name.clone()),
            TestFunction::Search(..) => self.refused = Some("search".to_owned()),
            TestFunction::Match(..) => self.refused = Some("match".to_owned()),
        }
    }

    fn argument(&mut self, argument: &FnArg) {
        match argument {
            FnArg::Literal(_) => {}
            FnArg::Test(test) => self.test(test),
            FnArg::Filter(filter) => self.filter(filter),
        }
    }
}

/// A value as the engine sees it.
#[derive(Clone, Default)]
struct Node<'a> {
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
    fn of(json: JsonRef<'a>, budget: Option<Rc<Cell<usize>>>) -> Self {
        Self { what: What::Json(json), budget, parts: OnceCell::new() }
    }

    fn owned(what: What<'a>) -> Self {
        Self { what, ..Self::default() }
    }

    fn json(&self) -> Option<JsonRef<'a>> {
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
        let items = match (&self.what, self.parts()) {
            (What::List(items), _) | (_, Parts::List(items)) => items,
            _ => return None,
        };
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
