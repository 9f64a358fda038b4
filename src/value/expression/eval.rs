//! Evaluates a compiled expression against a context, strictly typed and on a budget.

use super::ast::{Choice, Comparison, Math, Node, Step, What};
use super::filters::Input;
use super::number::{self, NoResult};
use super::value::Value;
use super::walk;
use crate::value::context::Context;
use crate::value::issue::EvalError;
use std::borrow::Cow;
use std::cell::Cell;
use std::cmp::Ordering;

/// Most parts evaluated, items visited and the like.
const FUEL: usize = 100_000;
/// Most bytes of text produced on the way, intermediate results included.
const MAX_PRODUCED: usize = 16 * 1024 * 1024;
/// How much of the source an error quotes.
const QUOTE: usize = 80;

/// One evaluation under way.
pub(super) struct Evaluation<'c, 'a> {
    source: &'a str,
    ctx: &'c Context<'a>,
    fuel: Cell<usize>,
    produced: Cell<usize>,
    /// The part that last came out undefined.
    undefined: Cell<Option<&'a Node>>,
}

type Evaluated<'a> = Result<Value<'a>, EvalError>;

impl<'c, 'a> Evaluation<'c, 'a> {
    pub(super) fn new(source: &'a str, ctx: &'c Context<'a>) -> Self {
        Self { source, ctx, fuel: Cell::new(FUEL), produced: Cell::new(0), undefined: Cell::new(None) }
    }

    /// The result, which must not be undefined.
    pub(super) fn whole(&self, node: &'a Node) -> Evaluated<'a> {
        self.present(node)
    }

    /// A value that must be there.
    pub(super) fn present(&self, node: &'a Node) -> Evaluated<'a> {
        match self.value(node)? {
            Value::Undefined if self.ctx.missing_is_empty() => Ok(Value::Null),
            Value::Undefined => Err(EvalError::Missing(self.missing(node))),
            value => Ok(value),
        }
    }

    /// A value that may be undefined.
    #[inline]
    pub(super) fn value(&self, node: &'a Node) -> Evaluated<'a> {
        self.spend(1)?;
        let value = match &node.what {
            What::Path(root, steps) => {
                walk::follow(self.ctx, *root, steps).map_or(Value::Undefined, walk::Place::value)
            }
            What::Int(n) => Value::Int(*n),
            What::Text(text) => Value::Text(Cow::Borrowed(text)),
            What::Null => Value::Null,
            What::Bool(b) => Value::Bool(*b),
            What::Float(n) => Value::Float(*n),
            _ => return self.computed(node),
        };
        if matches!(value, Value::Undefined) {
            self.undefined.set(Some(node));
        }
        Ok(value)
    }

    fn computed(&self, node: &'a Node) -> Evaluated<'a> {
        match &node.what {
            What::Math(math, left, right) => self.math(node, *math, left, right),
            What::Concat(operands) => self.concat(operands),
            What::Compare(first, rest) => self.compare(node, first, rest),
            What::If(choice) => self.choose(node, choice),
            What::Not(inner) => Ok(Value::Bool(!self.value(inner)?.is_true())),
            What::And(left, right) => {
                let value = self.value(left)?;
                if value.is_true() { self.value(right) } else { Ok(value) }
            }
            What::Or(left, right) => {
                let value = self.value(left)?;
                if value.is_true() { Ok(value) } else { self.value(right) }
            }
            What::Negate(inner) => self.negate(node, inner),
            What::Step(inner, step) => {
                let value = self.value(inner)?;
                Ok(self.noting(node, walk::step_into(value, step)))
            }
            What::Index(inner, index) => self.index(node, inner, index),
            What::List(items) => items.iter().map(|item| self.present(item)).collect::<Result<_, _>>().map(Value::List),
            What::Map(members) => self.map(members),
            What::Filter(filter, input, arguments) => filter.apply(self, node, Input::Node(input), arguments),
            What::Each(input, each) => each.apply(self, node, input),
            What::Slice(inner, bounds) => self.slice(node, inner, bounds),
            What::Is(predicate, input, arguments) => {
                predicate.holds(self, node, &Input::Node(input), arguments).map(Value::Bool)
            }
            What::Call(bound) => bound.call(self),
            What::Unknown(name) => Err(EvalError::Type(format!("`{name}` is not a known name"))),
            What::Path(..) | What::Int(_) | What::Text(_) | What::Null | What::Bool(_) | What::Float(_) => {
                self.value(node)
            }
        }
    }

    fn math(&self, node: &'a Node, math: Math, left: &'a Node, right: &'a Node) -> Evaluated<'a> {
        let (a, b) = (self.value(left)?.decoded(), self.value(right)?.decoded());
        match number::math(math, &a, &b) {
            Some(Ok(result)) => return Ok(result),
            Some(Err(NoResult::ByZero)) => {
                return Err(EvalError::Type(format!("division by zero in `{}`", self.quote(node))));
            }
            Some(Err(NoResult::OutOfRange)) => return Err(self.too_large(node)),
            None => {}
        }
        if math == Math::Add {
            match (&a, &b) {
                (Value::Text(a), Value::Text(b)) => return self.joined(a, b),
                _ => {
                    if let (Some(mut a), Some(b)) = (a.items(), b.items()) {
                        self.spend(a.len() + b.len())?;
                        a.extend(b);
                        return Ok(Value::List(a));
                    }
                }
            }
        }
        if a.type_name() == "a number" && b.type_name() == "a number" {
            return Err(self.too_large(node));
        }
        Err(self.mismatch(node, math.verb(), (&a, left), (&b, right)))
    }

    fn concat(&self, operands: &'a [Node]) -> Evaluated<'a> {
        // Room for most names and keys without growing.
        let mut out = String::with_capacity(64);
        for operand in operands {
            let value = self.present(operand)?;
            let text = value.text();
            self.produce(text.len())?;
            out.push_str(&text);
        }
        Ok(Value::Text(Cow::Owned(out)))
    }

    fn joined(&self, a: &str, b: &str) -> Evaluated<'a> {
        self.produce(a.len() + b.len())?;
        Ok(Value::Text(Cow::Owned([a, b].concat())))
    }

    fn compare(&self, node: &'a Node, first: &'a Node, rest: &'a [(Comparison, Node)]) -> Evaluated<'a> {
        let mut left = (self.value(first)?, first);
        for (comparison, operand) in rest {
            if let (Comparison::In | Comparison::NotIn, What::List(items)) = (comparison, &operand.what) {
                let found = self.is_among(&left.0, items)?;
                if found != (*comparison == Comparison::In) {
                    return Ok(Value::Bool(false));
                }
                if rest.len() == 1 {
                    return Ok(Value::Bool(true));
                }
            }
            let right = (self.value(operand)?, operand);
            if !self.holds(node, *comparison, (&left.0, left.1), (&right.0, right.1))? {
                return Ok(Value::Bool(false));
            }
            left = right;
        }
        Ok(Value::Bool(true))
    }

    /// `x in ['a', 'b']` without building the list.
    fn is_among(&self, needle: &Value<'a>, items: &'a [Node]) -> Result<bool, EvalError> {
        let mut found = false;
        for item in items {
            let item = self.present(item)?;
            found = found || self.equal(&item, needle)?;
        }
        Ok(found)
    }

    fn holds(
        &self,
        node: &'a Node,
        comparison: Comparison,
        left: (&Value<'a>, &'a Node),
        right: (&Value<'a>, &'a Node),
    ) -> Result<bool, EvalError> {
        let order =
            || Self::order(left.0, right.0).ok_or_else(|| self.mismatch(node, "compare the order of", left, right));
        let member =
            || self.contains(right.0, left.0)?.ok_or_else(|| self.mismatch(node, "use `in` with", left, right));
        match comparison {
            Comparison::Equal => self.equal(left.0, right.0),
            Comparison::NotEqual => self.equal(left.0, right.0).map(|equal| !equal),
            Comparison::Less => order().map(Ordering::is_lt),
            Comparison::LessOrEqual => order().map(Ordering::is_le),
            Comparison::Greater => order().map(Ordering::is_gt),
            Comparison::GreaterOrEqual => order().map(Ordering::is_ge),
            Comparison::In => member(),
            Comparison::NotIn => member().map(|found| !found),
        }
    }

    fn choose(&self, node: &'a Node, choice: &'a Choice) -> Evaluated<'a> {
        if self.value(&choice.test)?.is_true() {
            return self.value(&choice.then);
        }
        match &choice.otherwise {
            Some(otherwise) => self.value(otherwise),
            None => Ok(self.noting(node, None)),
        }
    }

    fn negate(&self, node: &'a Node, inner: &'a Node) -> Evaluated<'a> {
        match self.value(inner)?.decoded() {
            Value::Int(n) => n.checked_neg().map(Value::Int).ok_or_else(|| self.too_large(node)),
            Value::Float(n) => Ok(Value::Float(-n)),
            other => Err(EvalError::Type(format!(
                "cannot negate {} in `{}`",
                self.describe(&other, inner),
                self.quote(node)
            ))),
        }
    }

    fn index(&self, node: &'a Node, inner: &'a Node, index: &'a Node) -> Evaluated<'a> {
        let value = self.value(inner)?;
        let step = match self.value(index)?.decoded() {
            Value::Text(name) => Step::Member(name.into()),
            Value::Int(n) => Step::Index(i64::try_from(n).unwrap_or(i64::MAX)),
            other => {
                return Err(EvalError::Type(format!(
                    "an index is a whole number or text, not {} in `{}`",
                    self.describe(&other, index),
                    self.quote(node)
                )));
            }
        };
        Ok(self.noting(node, walk::step_into(value, &step)))
    }

    fn map(&self, members: &'a [(Node, Node)]) -> Evaluated<'a> {
        let mut out: Vec<(Cow<'a, str>, Value<'a>)> = Vec::with_capacity(members.len());
        for (key_node, value) in members {
            let key = match self.present(key_node)?.decoded() {
                Value::Text(key) => key,
                other => {
                    let what = self.describe(&other, key_node);
                    return Err(EvalError::Type(format!("the key of a map is text, not {what}")));
                }
            };
            let value = self.present(value)?;
            match out.iter_mut().find(|(k, _)| *k == key) {
                Some(member) => member.1 = value,
                None => out.push((key, value)),
            }
        }
        Ok(Value::Map(out))
    }

    fn noting(&self, node: &'a Node, value: Option<Value<'a>>) -> Value<'a> {
        value.unwrap_or_else(|| {
            self.undefined.set(Some(node));
            Value::Undefined
        })
    }

    pub(super) fn ctx(&self) -> &'c Context<'a> {
        self.ctx
    }

    // Budget.

    /// Uses up fuel.
    #[inline]
    pub(super) fn spend(&self, amount: usize) -> Result<(), EvalError> {
        match self.fuel.get().checked_sub(amount) {
            Some(left) => {
                self.fuel.set(left);
                Ok(())
            }
            None => Err(EvalError::Limit(format!("`{}` takes more than {FUEL} steps", clip(self.source)))),
        }
    }

    /// Takes what was used up from what all evaluations of a value have together.
    pub(super) fn pay(&self) -> Result<(), EvalError> {
        self.ctx.pay(FUEL - self.fuel.get())
    }

    /// Accounts for text about to be produced.
    pub(super) fn produce(&self, bytes: usize) -> Result<(), EvalError> {
        let produced = self.produced.get().saturating_add(bytes);
        self.produced.set(produced);
        if produced > MAX_PRODUCED {
            return Err(EvalError::Limit(format!("`{}` produces more than 16 MiB of text", clip(self.source))));
        }
        Ok(())
    }

    // Words for errors. They name types and the source, never data.

    pub(super) fn quote(&self, node: &Node) -> &'a str {
        clip(self.source.get(node.at.clone()).unwrap_or(self.source))
    }

    /// "text (`record.qty`)"
    pub(super) fn describe(&self, value: &Value<'_>, node: &Node) -> String {
        format!("{} (`{}`)", value.type_name(), self.quote(node))
    }

    /// Says what is missing where an undefined value is not allowed.
    pub(super) fn missing(&self, node: &'a Node) -> String {
        let node = self.undefined.get().unwrap_or(node);
        match &node.what {
            What::Path(root, steps) => walk::missing_name(self.ctx, *root, steps),
            What::If(_) => format!("`{}` has no `else`, and its condition is false", self.quote(node)),
            _ => format!("`{}` is undefined", self.quote(node)),
        }
    }

    fn too_large(&self, node: &Node) -> EvalError {
        EvalError::Limit(format!("the result of `{}` is too large for a number", self.quote(node)))
    }

    fn mismatch(&self, node: &Node, verb: &str, left: (&Value<'a>, &Node), right: (&Value<'a>, &Node)) -> EvalError {
        let (a, b) = (self.describe(left.0, left.1), self.describe(right.0, right.1));
        let types = [left.0.type_name(), right.0.type_name()];
        let remedy = if types.contains(&"undefined") {
            "; give it a `default(…)` or test `is defined` first"
        } else if types.contains(&"text") && types.contains(&"a number") {
            "; convert with `| float`, `| int` or `| string`, or join with `~`"
        } else {
            ""
        };
        EvalError::Type(format!("cannot {verb} {a} and {b} in `{}`{remedy}", self.quote(node)))
    }
}

impl Math {
    fn verb(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Subtract => "subtract",
            Self::Multiply => "multiply",
            Self::Divide | Self::FloorDivide => "divide",
            Self::Remainder => "take the remainder of",
            Self::Power => "take the power of",
        }
    }
}

/// At most some characters of a text.
fn clip(text: &str) -> &str {
    match text.char_indices().nth(QUOTE) {
        Some((end, _)) => &text[..end],
        None => text,
    }
}
