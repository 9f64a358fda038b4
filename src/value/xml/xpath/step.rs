//! Steps of a location path: axis, node test, predicates.

use super::ast::{Axis, Expr, Step, Test};
use super::lex::Token;
use super::parse::{Parsed, Parser};
use crate::value::issue::Issue;
use std::ops::Range;

impl Parser<'_> {
    pub(super) fn step(&mut self, steps: &mut Vec<Step>) -> Parsed<()> {
        let short = match self.sign() {
            Some(".") => Some(Axis::Own),
            Some("..") => Some(Axis::Parent),
            _ => None,
        };
        if let Some(axis) = short {
            self.at += 1;
            steps.push(Step { axis, test: Test::Node, predicates: Vec::new() });
            return Ok(());
        }
        let axis = self.axis()?;
        let test = self.test(axis)?;
        let predicates = self.predicates()?;
        // `//name` is one walk instead of two, where no position is counted among siblings.
        if axis == Axis::Child
            && !predicates.iter().any(Expr::is_positional)
            && steps.last().is_some_and(is_anything_below)
        {
            steps.pop();
            steps.push(Step { axis: Axis::Descendant, test, predicates });
            return Ok(());
        }
        steps.push(Step { axis, test, predicates });
        Ok(())
    }

    fn axis(&mut self) -> Parsed<Axis> {
        if self.accept("@") {
            return Ok(Axis::Attribute);
        }
        let Some(Token::Name(None, name)) = self.peek() else { return Ok(Axis::Child) };
        if self.sign_at(self.at + 1) != Some("::") {
            return Ok(Axis::Child);
        }
        let Some((_, axis)) = Axis::ALL.iter().find(|(axis, _)| axis == name) else {
            let names: Vec<_> = Axis::ALL.iter().map(|(name, _)| *name).collect();
            return Err(Issue::new(self.place(), format!("the axis `{name}` is not supported"))
                .help(format!("there are {}", names.join(", "))));
        };
        self.at += 2;
        Ok(*axis)
    }

    fn test(&mut self, axis: Axis) -> Parsed<Test> {
        let Some((token, place)) = self.tokens.get(self.at).cloned() else { return Err(self.nothing()) };
        self.at += 1;
        match token {
            Token::Star => Ok(Test::Star),
            Token::Local(name) => Ok(Test::Local(name)),
            Token::Namespace(prefix) => Ok(Test::Namespace(self.namespace(&prefix, place)?)),
            Token::Name(None, name) if self.sign() == Some("(") => self.node_type(&name, place),
            Token::Name(Some(prefix), name) => Ok(Test::Name(Some(self.namespace(&prefix, place)?), name)),
            Token::Name(None, name) => {
                let unprefixed = self.namespaces.iter().find(|(prefix, _)| prefix.is_empty());
                let uri = unprefixed.filter(|_| axis != Axis::Attribute).map(|(_, uri)| uri.clone());
                Ok(Test::Name(uri, name))
            }
            _ => Err(Issue::new(place, "expected a name, `*`, `@`, `.` or a function")),
        }
    }

    fn node_type(&mut self, name: &str, place: Range<usize>) -> Parsed<Test> {
        self.expect("(")?;
        let test = match name {
            "node" => Test::Node,
            "text" => Test::Text,
            "comment" => Test::Comment,
            "processing-instruction" => {
                let target = match self.peek() {
                    Some(Token::Text(target)) => Some(target.clone()),
                    _ => None,
                };
                self.at += usize::from(target.is_some());
                Test::Instruction(target)
            }
            _ => {
                return Err(Issue::new(place, format!("`{name}(…)` cannot stand as a step"))
                    .help("put the path inside: `string(/data/id)`"));
            }
        };
        self.expect(")")?;
        Ok(test)
    }

    fn namespace(&self, prefix: &str, place: Range<usize>) -> Parsed<String> {
        if prefix == "xml" {
            return Ok("http://www.w3.org/XML/1998/namespace".to_owned());
        }
        self.namespaces.iter().find(|(bound, _)| bound == prefix).map(|(_, uri)| uri.clone()).ok_or_else(|| {
            Issue::new(place, format!("the prefix `{prefix}` is not bound to a namespace"))
                .help(format!("add `{prefix} = \"…\"` to `[xml.namespaces]`, or write `*:name`"))
        })
    }
}

/// `//` between steps.
pub(super) fn anything_below() -> Step {
    Step { axis: Axis::DescendantOrSelf, test: Test::Node, predicates: Vec::new() }
}

fn is_anything_below(step: &Step) -> bool {
    step.axis == Axis::DescendantOrSelf && step.test == Test::Node && step.predicates.is_empty()
}
