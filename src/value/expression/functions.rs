//! Calls of functions: template helpers under the same names and in the same order of arguments.

use super::ast::{Node, What};
use super::eval::Evaluation;
use super::parse::Argument;
use super::value::Value;
use crate::value::function::{self, Budget, Call, Function, Pattern};
use crate::value::issue::{EvalError, Issue};
use crate::value::template::names;
use std::ops::Range;

/// A function with what is known of its arguments at load.
#[derive(Debug)]
pub(super) struct Bound {
    pub(super) function: &'static Function,
    pub(super) arguments: Vec<Node>,
    pub(super) named: Vec<(String, Node)>,
    pattern: Option<Pattern>,
}

impl Bound {
    /// Finds a function and checks its arguments.
    pub(super) fn new(name: &str, at: Range<usize>, span: Range<usize>, given: Vec<Argument>) -> Result<Self, Issue> {
        let Some(function) = function::by_name(name) else {
            return Err(names::unknown_helper(name, at));
        };
        let (mut arguments, mut named) = (Vec::new(), Vec::new());
        for (parameter, node) in given {
            match parameter {
                None => arguments.push(node),
                Some((parameter, _)) if function.named.contains(&&*parameter) => named.push((parameter, node)),
                Some((parameter, at)) => {
                    let issue = Issue::new(at, format!("helper `{name}` has no argument `{parameter}`"));
                    return Err(names::did_you_mean(issue, &parameter, function.named.iter().copied()));
                }
            }
        }
        if let Some(message) = function.refuses_count(arguments.len()) {
            return Err(Issue::new(span, message));
        }
        for (n, argument) in arguments.iter().enumerate() {
            if let What::Text(text) = &argument.what {
                let at = argument.at.clone();
                function.check_constant(n, text).map_err(|why| Issue::new(at, format!("helper `{name}`: {why}")))?;
            }
        }
        let pattern = pattern(function, &arguments)?;
        Ok(Self { function, arguments, named, pattern })
    }

    /// Calls it.
    pub(super) fn call<'a>(&'a self, e: &Evaluation<'_, 'a>) -> Result<Value<'a>, EvalError> {
        if let ("default", [value, fallback]) = (self.function.name, &self.arguments[..]) {
            // As in trees: the fallback stands for what is missing, and for null.
            let value = e.value(value)?;
            return if matches!(value, Value::Undefined) || value.is_null() { e.value(fallback) } else { Ok(value) };
        }
        let tolerant = self.function.tolerant || e.ctx().missing_is_empty();
        let argument = |node| if tolerant { e.value(node) } else { e.present(node) };
        let values = self.arguments.iter().map(argument).collect::<Result<Vec<_>, _>>()?;
        let named = self.named.iter().map(|(name, node)| Ok((name.as_str(), argument(node)?)));
        let named = named.collect::<Result<Vec<_>, EvalError>>()?;
        let pattern = self.pattern.as_ref();
        Call { function: self.function, values, named, pattern, budget: e, ctx: e.ctx() }.run()
    }
}

/// The pattern, compiled, where it is a constant.
fn pattern(function: &Function, arguments: &[Node]) -> Result<Option<Pattern>, Issue> {
    let Some((at, flags)) = Pattern::places(function.name) else { return Ok(None) };
    let constant = |n: usize| match arguments.get(n).map(|node| &node.what) {
        Some(What::Text(text)) => Some(&**text),
        Some(_) => None,
        None => Some(""),
    };
    let (Some(pattern), Some(flags)) = (constant(at), constant(flags)) else { return Ok(None) };
    let place = arguments.get(at).map_or(0..0, |node| node.at.clone());
    Pattern::compile(pattern, flags)
        .map(Some)
        .map_err(|why| Issue::new(place, format!("helper `{}`: {why}", function.name)))
}

impl Budget for Evaluation<'_, '_> {
    fn spend(&self, steps: usize) -> Result<(), EvalError> {
        Evaluation::spend(self, steps)
    }
    fn produce(&self, bytes: usize) -> Result<(), EvalError> {
        Evaluation::produce(self, bytes)
    }
}
