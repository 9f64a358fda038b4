//! `list[1:3]`, `text[::-1]`: parts of lists and texts, as Python counts.

use super::ast::Node;
use super::eval::Evaluation;
use super::value::Value;
use crate::value::issue::EvalError;
use std::borrow::Cow;

/// From, to, step; each may be left out.
pub(super) type Bounds = [Option<Node>; 3];

impl<'a> Evaluation<'_, 'a> {
    pub(super) fn slice(&self, node: &'a Node, inner: &'a Node, bounds: &'a Bounds) -> Result<Value<'a>, EvalError> {
        let value = self.value(inner)?.decoded();
        let [from, to, step] = bounds;
        let (from, to) = (self.bound(node, from.as_ref())?, self.bound(node, to.as_ref())?);
        let step = self.bound(node, step.as_ref())?.unwrap_or(1);
        if step == 0 {
            return Err(EvalError::Type(format!("the step of a slice is not 0, in `{}`", self.quote(node))));
        }
        match value {
            Value::Undefined => Ok(Value::Undefined),
            Value::Text(text) => {
                self.spend(text.len() / 16)?;
                self.produce(text.len())?;
                let chars: Vec<char> = text.chars().collect();
                let part = places(chars.len(), from, to, step).filter_map(|at| chars.get(at)).collect::<String>();
                Ok(Value::Text(Cow::Owned(part)))
            }
            value => {
                let items = value.items().ok_or_else(|| {
                    let what = self.describe(&value, inner);
                    EvalError::Type(format!("lists and texts have slices, not {what} in `{}`", self.quote(node)))
                })?;
                self.spend(items.len())?;
                Ok(Value::List(places(items.len(), from, to, step).filter_map(|at| items.get(at).cloned()).collect()))
            }
        }
    }

    /// A bound; null is one that is left out.
    fn bound(&self, node: &'a Node, bound: Option<&'a Node>) -> Result<Option<i128>, EvalError> {
        let Some(bound) = bound else { return Ok(None) };
        match self.present(bound)?.decoded() {
            Value::Int(n) => Ok(Some(n)),
            Value::Null => Ok(None),
            other => Err(EvalError::Type(format!(
                "the bounds of a slice are whole numbers, not {} in `{}`",
                self.describe(&other, bound),
                self.quote(node)
            ))),
        }
    }
}

/// The places a slice means, in its order. Bounds beyond the ends are the ends.
fn places(length: usize, from: Option<i128>, to: Option<i128>, step: i128) -> impl Iterator<Item = usize> {
    let length = i128::try_from(length).unwrap_or(i128::MAX);
    let (lowest, highest) = if step > 0 { (0, length) } else { (-1, length - 1) };
    let clamp = |bound: i128| (if bound < 0 { bound.saturating_add(length) } else { bound }).clamp(lowest, highest);
    let (first, end) = if step > 0 { (0, length) } else { (length - 1, -1) };
    let (from, to) = (from.map_or(first, clamp), to.map_or(end, clamp));
    let goes = move |at: &i128| if step > 0 { *at < to } else { *at > to };
    std::iter::successors(Some(from), move |at| at.checked_add(step))
        .take_while(goes)
        .filter_map(|at| usize::try_from(at).ok())
}
