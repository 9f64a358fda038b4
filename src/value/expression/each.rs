//! Filters that do something with every item: `map("upper")`, `select("odd")`, `rejectattr("paid")`.

use super::ast::{Node, What};
use super::eval::Evaluation;
use super::filters::{Filter, Input};
use super::parse::Argument;
use super::predicate::Predicate;
use super::value::Value;
use super::walk::step_into;
use crate::value::expression::ast::Step;
use crate::value::issue::{EvalError, Issue};
use std::ops::Range;

/// Something done with every item of a list.
#[derive(Debug)]
pub(super) struct Each {
    /// The member that is looked at; none = the item itself.
    attribute: Option<Box<[Step]>>,
    act: Act,
}

#[derive(Debug)]
enum Act {
    /// What the filter makes of it.
    Map(Filter, Vec<Option<Node>>),
    /// Those for which the test holds, or does not.
    Keep(Option<(Predicate, Vec<Node>)>, bool),
}

impl Each {
    /// Whether a filter is one of these.
    pub(super) fn is(name: &str, arguments: &[Argument]) -> bool {
        match name {
            "map" => arguments.first().is_some_and(|(named, _)| named.is_none()),
            name => matches!(name, "select" | "reject" | "selectattr" | "rejectattr"),
        }
    }

    /// Finds the filter or test that an argument names.
    pub(super) fn bind(name: &str, at: Range<usize>, span: Range<usize>, given: Vec<Argument>) -> Result<Self, Issue> {
        let mut arguments = given.into_iter();
        if name == "map" {
            let (filter, at) = written(&mut arguments, name, &at, "the name of a filter")?;
            let bound = Filter::bind(&filter, at, span, arguments.collect()).map_err(|issue| match &issue.help {
                Some(help) if !help.starts_with(Filter::ALL) => issue,
                _ => issue.help(format!("for a member write `map(attribute=\"{filter}\")`")),
            });
            let (filter, arguments) = bound?;
            return Ok(Self { attribute: None, act: Act::Map(filter, arguments) });
        }
        let mut attribute = None;
        if name.ends_with("attr") {
            let (path, _) = written(&mut arguments, name, &at, "the name of a member")?;
            attribute = Some(path.split('.').map(step).collect());
        }
        let mut test = None;
        if arguments.len() > 0 {
            let (test_name, at) = written(&mut arguments, name, &at, "the name of a test")?;
            test = Some(Predicate::bind(&test_name, at, span, arguments.collect())?);
        }
        Ok(Self { attribute, act: Act::Keep(test, name.starts_with("select")) })
    }

    /// Does it.
    pub(super) fn apply<'a>(
        &'a self,
        e: &Evaluation<'_, 'a>,
        node: &'a Node,
        input: &'a Node,
    ) -> Result<Value<'a>, EvalError> {
        let list = e.present(input)?;
        let items = list.items().ok_or_else(|| {
            EvalError::Type(format!("a list is needed, not {} in `{}`", e.describe(&list, input), e.quote(node)))
        })?;
        let mut kept = Vec::new();
        for item in items {
            e.spend(1)?;
            match &self.act {
                Act::Map(filter, arguments) => match filter.apply(e, node, Input::Item(item, input), arguments)? {
                    Value::Undefined => {
                        let message = format!("an item of `{}` gives nothing in `{}`", e.quote(input), e.quote(node));
                        return Err(EvalError::Missing(message));
                    }
                    value => kept.push(value),
                },
                Act::Keep(test, wanted) => {
                    let looked = match &self.attribute {
                        None => item.clone(),
                        Some(steps) => steps
                            .iter()
                            .try_fold(item.clone(), |value, step| step_into(value, step))
                            .unwrap_or(Value::Undefined),
                    };
                    let holds = match test {
                        None => looked.is_true(),
                        Some((test, arguments)) => test.holds(e, node, &Input::Item(looked, input), arguments)?,
                    };
                    if holds == *wanted {
                        kept.push(item);
                    }
                }
            }
        }
        Ok(Value::List(kept))
    }

    /// The parts of the expression in its arguments.
    pub(super) fn nodes(&self) -> Box<dyn Iterator<Item = &Node> + '_> {
        match &self.act {
            Act::Map(_, arguments) => Box::new(arguments.iter().flatten()),
            Act::Keep(Some((_, arguments)), _) => Box::new(arguments.iter()),
            Act::Keep(None, _) => Box::new(std::iter::empty()),
        }
    }
}

/// The next argument, which is a name written out.
fn written(
    arguments: &mut std::vec::IntoIter<Argument>,
    name: &str,
    at: &Range<usize>,
    what: &str,
) -> Result<(String, Range<usize>), Issue> {
    match arguments.next() {
        Some((None, Node { what: What::Text(text), at, .. })) => Ok((text.into(), at)),
        Some((_, node)) => Err(Issue::new(node.at, format!("filter `{name}` takes {what} in quotes here"))),
        None => Err(Issue::new(at.clone(), format!("filter `{name}` lacks {what}"))),
    }
}

fn step(name: &str) -> Step {
    match name.parse() {
        Ok(n) => Step::Either(name.into(), n),
        Err(_) => Step::Member(name.into()),
    }
}
