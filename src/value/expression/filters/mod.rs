//! The filters of expressions, `x | name(…)`: minijinja's names and arguments, strict about types.

mod apply;
mod format;
mod lists;
mod more;
mod shown;

use super::ast::Node;
use super::eval::Evaluation;
use super::parse::Argument;
use super::value::Value;
use crate::value::issue::{EvalError, Issue};
use crate::value::template::names;
pub(super) use apply::Input;

use apply::Call;
use std::cmp::Ordering;
use std::ops::Range;

/// A known filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Filter {
    Abs,
    Attribute,
    Batch,
    Bool,
    Capitalize,
    Chain,
    Default,
    DictSort,
    Escape,
    First,
    Float,
    Format,
    GroupBy,
    Indent,
    Int,
    Items,
    Join,
    Last,
    Length,
    Lines,
    List,
    Lower,
    Map,
    Max,
    Min,
    PrettyPrint,
    Replace,
    Reverse,
    Round,
    Safe,
    Slice,
    Sort,
    Split,
    Str,
    Sum,
    Title,
    ToJson,
    Trim,
    Unique,
    Upper,
    UrlEncode,
    Zip,
}

/// Name, filter, parameters (`…` before the last one: any number of them), how many of them are required.
const KNOWN: &[(&str, Filter, &[&str], usize)] = &[
    ("abs", Filter::Abs, &[], 0),
    ("attr", Filter::Attribute, &["key"], 1),
    ("batch", Filter::Batch, &["count", "fill_with"], 1),
    ("chain", Filter::Chain, &["…others"], 0),
    ("default", Filter::Default, &["default_value", "boolean"], 0),
    ("d", Filter::Default, &["default_value", "boolean"], 0),
    ("dictsort", Filter::DictSort, &["case_sensitive", "by", "reverse"], 0),
    ("escape", Filter::Escape, &[], 0),
    ("e", Filter::Escape, &[], 0),
    ("first", Filter::First, &[], 0),
    ("float", Filter::Float, &["default"], 0),
    ("format", Filter::Format, &["…values"], 0),
    ("groupby", Filter::GroupBy, &["attribute", "default", "case_sensitive"], 1),
    ("indent", Filter::Indent, &["width", "first", "blank"], 0),
    ("int", Filter::Int, &["default"], 0),
    ("join", Filter::Join, &["d", "attribute"], 0),
    ("last", Filter::Last, &[], 0),
    ("length", Filter::Length, &[], 0),
    ("count", Filter::Length, &[], 0),
    ("lower", Filter::Lower, &[], 0),
    ("pprint", Filter::PrettyPrint, &[], 0),
    ("replace", Filter::Replace, &["old", "new"], 2),
    ("round", Filter::Round, &["precision"], 0),
    ("safe", Filter::Safe, &[], 0),
    ("slice", Filter::Slice, &["count", "fill_with"], 1),
    ("split", Filter::Split, &["sep"], 0),
    ("string", Filter::Str, &[], 0),
    ("sum", Filter::Sum, &["attribute", "start"], 0),
    ("trim", Filter::Trim, &["chars"], 0),
    ("upper", Filter::Upper, &[], 0),
    ("bool", Filter::Bool, &[], 0),
    ("capitalize", Filter::Capitalize, &[], 0),
    ("items", Filter::Items, &[], 0),
    ("lines", Filter::Lines, &[], 0),
    ("list", Filter::List, &[], 0),
    ("map", Filter::Map, &["attribute", "default"], 1),
    ("max", Filter::Max, &["case_sensitive", "attribute"], 0),
    ("min", Filter::Min, &["case_sensitive", "attribute"], 0),
    ("reverse", Filter::Reverse, &[], 0),
    ("sort", Filter::Sort, &["reverse", "case_sensitive", "attribute"], 0),
    ("title", Filter::Title, &[], 0),
    ("tojson", Filter::ToJson, &[], 0),
    ("unique", Filter::Unique, &["case_sensitive", "attribute"], 0),
    ("urlencode", Filter::UrlEncode, &[], 0),
    ("zip", Filter::Zip, &["…others"], 0),
];

/// Filters that take the name of a test.
const TESTING: &[&str] = &["select", "reject", "selectattr", "rejectattr"];

/// Most decimals `round` takes.
const MAX_PRECISION: i128 = 300;

type Evaluated<'a> = Result<Value<'a>, EvalError>;

impl Filter {
    /// How the help begins where no filter has a name like the one written.
    pub(super) const ALL: &str = "the filters are ";

    /// Finds a filter and puts its arguments in order.
    pub(super) fn bind(
        name: &str,
        at: Range<usize>,
        span: Range<usize>,
        arguments: Vec<Argument>,
    ) -> Result<(Self, Vec<Option<Node>>), Issue> {
        let Some((_, filter, parameters, required)) = KNOWN.iter().find(|known| known.0 == name) else {
            let known = KNOWN.iter().map(|known| known.0).chain(TESTING.iter().copied());
            let issue = Issue::new(at, format!("unknown filter `{name}`"));
            let all = || format!("{}{}", Self::ALL, known.clone().collect::<Vec<_>>().join(", "));
            let issue = names::did_you_mean(issue, name, known.clone());
            return Err(if issue.help.is_none() { issue.help(all()) } else { issue });
        };
        let slots = bind(name, span, arguments, parameters, *required)?;
        Ok((*filter, slots))
    }

    /// Applies the filter.
    pub(super) fn apply<'a>(
        self,
        e: &Evaluation<'_, 'a>,
        node: &'a Node,
        input: Input<'a>,
        arguments: &'a [Option<Node>],
    ) -> Evaluated<'a> {
        let call = Call { e, filter: self, node, input, arguments };
        match self {
            Self::Default => call.default(),
            Self::Length => call.length(),
            Self::Float => call.float(),
            Self::Int => call.int(),
            Self::Abs => call.abs(),
            Self::Round => call.round(),
            Self::Str => call.string(),
            Self::Lower => call.recased(str::to_lowercase),
            Self::Upper => call.recased(str::to_uppercase),
            Self::Trim => call.trim(),
            Self::Replace => call.replace(),
            Self::Split => call.split(),
            Self::Join => call.join(),
            Self::First => call.end(true),
            Self::Last => call.end(false),
            Self::Sum => call.sum(),
            Self::Bool => call.truth(),
            Self::Attribute => call.attribute(),
            Self::Batch => call.batch(),
            Self::Chain => call.chain(),
            Self::DictSort => call.dictsort(),
            Self::Escape => call.escape(),
            Self::PrettyPrint => call.pprint(),
            Self::Safe => call.safe(),
            Self::Format => call.format(),
            Self::GroupBy => call.groupby(),
            Self::Indent => call.indent(),
            Self::Slice => call.slice(),
            Self::Zip => call.zip(),
            Self::Capitalize => call.recased(more::capitalize),
            Self::Items => call.items(),
            Self::Lines => call.lines(),
            Self::List => call.list_of(),
            Self::Map => call.map(),
            Self::Max => call.extreme(Ordering::Greater),
            Self::Min => call.extreme(Ordering::Less),
            Self::Reverse => call.reverse(),
            Self::Sort => call.sort(),
            Self::Title => call.recased(more::title),
            Self::ToJson => call.tojson(),
            Self::Unique => call.unique(),
            Self::UrlEncode => call.urlencode(),
        }
    }
}

/// Puts named and unnamed arguments into the order of the parameters.
fn bind(
    name: &str,
    span: Range<usize>,
    arguments: Vec<Argument>,
    parameters: &[&str],
    required: usize,
) -> Result<Vec<Option<Node>>, Issue> {
    let many = parameters.last().is_some_and(|last| last.starts_with('…'));
    let mut slots: Vec<Option<Node>> = parameters.iter().filter(|p| !p.starts_with('…')).map(|_| None).collect();
    for (n, (named, node)) in arguments.into_iter().enumerate() {
        let slot = match named {
            None => n,
            Some((parameter, at)) => parameters.iter().position(|p| *p == parameter).ok_or_else(|| {
                let issue = Issue::new(at, format!("filter `{name}` has no argument `{parameter}`"));
                names::did_you_mean(issue, &parameter, parameters.iter().copied().filter(|p| !p.starts_with('…')))
            })?,
        };
        let at = node.at.clone();
        match slots.get_mut(slot) {
            Some(empty @ None) => *empty = Some(node),
            Some(Some(_)) => return Err(Issue::new(at, format!("this argument of filter `{name}` is given twice"))),
            None if many => slots.push(Some(node)),
            None => {
                return Err(Issue::new(at, format!("filter `{name}` takes at most {} arguments", parameters.len())));
            }
        }
    }
    match slots.iter().take(required).position(Option::is_none) {
        Some(n) => Err(Issue::new(span, format!("filter `{name}` lacks its argument `{}`", parameters[n]))),
        None => Ok(slots),
    }
}
