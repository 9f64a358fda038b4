//! Evaluation. Every node looked at and every stretch of text made costs fuel.

use super::ast::{Expr, Operator, Path, Start, Step};
use super::axes;
use super::functions;
use super::value::{Value, compare, same};
use crate::value::issue::EvalError;
use crate::value::xml::{DOCUMENT, Node, Xml};
use std::cell::Cell;

/// Steps of work allowed however small the document is.
const FUEL: usize = 1_000_000;
/// Steps allowed for each node: paths linear in the document always fit.
const FUEL_PER_NODE: usize = 4;
/// How much text is one step of work.
const TEXT_STEP: usize = 16;

/// One evaluation over one document.
pub(super) struct Evaluation<'x> {
    pub xml: &'x Xml,
    fuel: Cell<usize>,
}

/// Where an expression stands.
#[derive(Clone, Copy)]
pub(super) struct Focus {
    pub node: Node,
    pub position: usize,
    pub size: usize,
}

impl<'x> Evaluation<'x> {
    pub(super) fn of(xml: &'x Xml) -> Self {
        let fuel = FUEL.max(FUEL_PER_NODE * (xml.nodes.len() + xml.attributes.len()) + xml.text.len() / TEXT_STEP);
        Self { xml, fuel: Cell::new(fuel) }
    }

    pub(super) fn spend(&self, steps: usize) -> Result<(), EvalError> {
        match self.fuel.get().checked_sub(steps) {
            Some(left) => {
                self.fuel.set(left);
                Ok(())
            }
            None => Err(EvalError::Limit("the XPath looks at too many nodes".to_owned())),
        }
    }

    /// Pays for text that was made.
    pub(super) fn paid(&self, text: String) -> Result<String, EvalError> {
        self.spend(1 + text.len() / TEXT_STEP)?;
        Ok(text)
    }

    /// The string-value of a node.
    pub(super) fn text(&self, node: Node) -> Result<String, EvalError> {
        // Before it is made: the walk over what is below is work too.
        self.spend(1 + self.xml.below(node).len() / 4)?;
        let mut text = String::new();
        self.xml.write_text(node, &mut text);
        self.paid(text)
    }

    pub(super) fn value(&self, expr: &Expr, node: Node) -> Result<Value, EvalError> {
        self.eval(expr, Focus { node, position: 1, size: 1 })
    }

    pub(super) fn eval(&self, expr: &Expr, focus: Focus) -> Result<Value, EvalError> {
        self.spend(1)?;
        Ok(match expr {
            Expr::Or(left, right) => Value::Bool(self.eval(left, focus)?.bool() || self.eval(right, focus)?.bool()),
            Expr::And(left, right) => Value::Bool(self.eval(left, focus)?.bool() && self.eval(right, focus)?.bool()),
            Expr::Compare(comparison, left, right) => {
                let (left, right) = (self.eval(left, focus)?, self.eval(right, focus)?);
                Value::Bool(compare(self, *comparison, &left, &right)?)
            }
            Expr::Arithmetic(operator, left, right) => {
                let left = self.eval(left, focus)?.number(self)?;
                let right = self.eval(right, focus)?.number(self)?;
                Value::Number(match operator {
                    Operator::Add => left + right,
                    Operator::Subtract => left - right,
                    Operator::Multiply => left * right,
                    Operator::Divide => left / right,
                    Operator::Modulo => left % right,
                })
            }
            Expr::Negate(inner) => Value::Number(-self.eval(inner, focus)?.number(self)?),
            Expr::Union(left, right) => {
                let mut nodes = self.nodes(left, focus)?;
                nodes.extend(self.nodes(right, focus)?);
                Value::Nodes(in_order(nodes))
            }
            Expr::Text(text) => Value::Text(text.clone()),
            Expr::Number(number) => Value::Number(*number),
            Expr::Call(function, arguments) => functions::call(self, *function, arguments, focus)?,
            Expr::Path(path) => self.path(path, focus)?,
        })
    }

    /// What must be nodes: the parser saw to that.
    pub(super) fn nodes(&self, expr: &Expr, focus: Focus) -> Result<Vec<Node>, EvalError> {
        match self.eval(expr, focus)? {
            Value::Nodes(nodes) => Ok(nodes),
            _ => Ok(Vec::new()),
        }
    }

    fn path(&self, path: &Path, focus: Focus) -> Result<Value, EvalError> {
        let start = match &path.start {
            Start::Root => vec![DOCUMENT],
            Start::Context => vec![focus.node],
            Start::Filter(inner, predicates) => self.filter(self.nodes(inner, focus)?, predicates)?,
        };
        Ok(Value::Nodes(self.steps(start, &path.steps)?))
    }

    /// Walks steps from nodes in document order to nodes in document order.
    pub(super) fn steps(&self, mut nodes: Vec<Node>, steps: &[Step]) -> Result<Vec<Node>, EvalError> {
        for step in steps {
            let several = nodes.len() > 1;
            let mut found = Vec::new();
            for node in nodes {
                let of_one = self.filter(self.axis(node, step)?, &step.predicates)?;
                found.extend(of_one);
            }
            nodes = if several || step.axis.is_reverse() { in_order(found) } else { found };
        }
        Ok(nodes)
    }

    /// The nodes of a step's axis that pass its test, in the axis' own order.
    fn axis(&self, node: Node, step: &Step) -> Result<Vec<Node>, EvalError> {
        let (mut found, mut paid) = (Vec::new(), Ok(()));
        let axis = step.axis;
        axes::walk(self.xml, node, axis, &mut |node| {
            paid = self.spend(1);
            if paid.is_ok() && step.test.passes(self.xml, node, axis) {
                found.push(node);
            }
            paid.is_ok()
        });
        paid.map(|()| found)
    }

    /// Keeps what each predicate holds for; positions count in the order given.
    fn filter(&self, mut nodes: Vec<Node>, predicates: &[Expr]) -> Result<Vec<Node>, EvalError> {
        for predicate in predicates {
            let size = nodes.len();
            let mut kept = Vec::new();
            for (index, node) in nodes.into_iter().enumerate() {
                let focus = Focus { node, position: index + 1, size };
                let holds = match self.eval(predicate, focus)? {
                    Value::Number(number) => same(number, position(index + 1)),
                    other => other.bool(),
                };
                if holds {
                    kept.push(node);
                }
            }
            nodes = kept;
        }
        Ok(nodes)
    }
}

/// As a number of XPath.
pub(super) fn position(count: usize) -> f64 {
    // Counts of nodes are far below what would not be exact.
    u32::try_from(count).map_or(f64::INFINITY, f64::from)
}

/// Document order, each once.
fn in_order(mut nodes: Vec<Node>) -> Vec<Node> {
    if !nodes.is_sorted_by(|a, b| a < b) {
        nodes.sort_unstable();
        nodes.dedup();
    }
    nodes
}
