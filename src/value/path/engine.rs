//! Queries that need the JSONPath engine: what is refused at load, and the budget that ends at run time what
//! would visit too much. Results are slices of the original text.

use super::node::Node;
use crate::value::issue::{EvalError, Issue};
use crate::value::json::JsonRef;
use jsonpath_rust::parser::model::{
    Comparable, Comparison, Filter, FilterAtom, FnArg, JpQuery, Segment, Selector, SingularQuery, Test, TestFunction,
};
use jsonpath_rust::query::js_path_process;
use std::cell::Cell;
use std::rc::Rc;

/// Visits allowed per evaluation, however small the document is. Queries linear in the document always fit:
/// the budget grows with its length.
const BUDGET: usize = 1_000_000;

/// Most selectors in all unions of a path: the engine copies what it has found once for each.
const MAX_UNION: usize = 32;

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
    if survey.union > MAX_UNION {
        return Err(Issue::new(
            0..text.len(),
            format!("more than {MAX_UNION} parts in the unions (`[a, b]`) of a path"),
        ));
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
    union: usize,
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
            Segment::Selectors(selectors) => {
                self.union += selectors.len();
                for selector in selectors {
                    self.selector(selector);
                }
            }
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
