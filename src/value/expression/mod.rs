//! Expressions: the Jinja expression grammar with strict types, bounded by fuel.
//!
//! Compiled once at load. Evaluation borrows from the context: raw JSON passes through undecoded, text without
//! escapes is compared in place. Not a template dialect: there are no statements, loops or output blocks.

mod ast;
mod compare;
mod each;
mod eval;
mod filters;
mod functions;
mod lex;
pub(in crate::value) mod number;
#[cfg(test)]
mod oracle;
mod parse;
mod predicate;
mod references;
mod slice;
#[cfg(test)]
mod strictness;
mod value;
mod walk;

pub(in crate::value) use ast::{Math, Step};
pub use value::Value;
pub(in crate::value) use value::same_number;
pub(in crate::value) use walk::{Place, follow, length_of, missing_name, step_into};

use super::context::{Context, Reference, Root};
use super::issue::{EvalError, Issue};
use super::json::{Json, Kind};
use std::sync::Arc;

/// A compiled expression. Clones share it.
#[derive(Debug, Clone)]
pub struct Expression(Arc<Compiled>);

#[derive(Debug)]
struct Compiled {
    source: String,
    root: ast::Node,
    references: Vec<Reference>,
}

impl Expression {
    /// Compiles the text after `=` (or a bare condition). All mistakes come at once where the grammar allows it.
    pub fn compile(text: &str) -> Result<Self, Vec<Issue>> {
        let root = parse::parse(text)?;
        let references = references::collect(&root);
        Ok(Self(Arc::new(Compiled { source: text.to_owned(), root, references })))
    }

    /// As written.
    pub fn source(&self) -> &str {
        &self.0.source
    }

    /// Names it reads, unknown ones included.
    pub fn references(&self) -> &[Reference] {
        &self.0.references
    }

    /// Its value. An undefined result is `Missing` and names what is undefined.
    pub fn eval<'a>(&'a self, ctx: &Context<'a>) -> Result<Value<'a>, EvalError> {
        let evaluation = eval::Evaluation::new(&self.0.source, ctx);
        let value = evaluation.whole(&self.0.root);
        evaluation.pay()?;
        let value = value?;
        refuse_torn(&value, ctx)?;
        Ok(value)
    }

    /// As a condition: undefined is false, and so are null, false, 0, "", [] and {}.
    pub fn test(&self, ctx: &Context<'_>) -> Result<bool, EvalError> {
        let evaluation = eval::Evaluation::new(&self.0.source, ctx);
        let value = evaluation.value(&self.0.root);
        evaluation.pay()?;
        Ok(value?.is_true())
    }
}

/// Texts that were made here are whole, however deep they stand.
fn refuse_torn(value: &Value<'_>, ctx: &Context<'_>) -> Result<(), EvalError> {
    match value {
        Value::Text(text) => ctx.refuse_torn(text),
        Value::List(items) => items.iter().try_for_each(|item| refuse_torn(item, ctx)),
        Value::Map(members) => {
            members.iter().try_for_each(|(key, member)| ctx.refuse_torn(key).and_then(|()| refuse_torn(member, ctx)))
        }
        _ => Ok(()),
    }
}

/// What a root holds, as JSON of its own; none where it is not on offer.
pub fn kept(ctx: &Context<'_>, root: Root) -> Option<Json> {
    let mut out = Vec::new();
    follow(ctx, root, &[])?.value().write(&mut out).ok()?;
    Some(Json::trusted(out))
}

/// Whether what a text reads is there and says something: null, false and empty values do not.
pub fn is_given(ctx: &Context<'_>, read: &Reference) -> bool {
    let Some(root) = Root::by_name(&read.root) else { return false };
    let steps: Vec<Step> = read
        .members
        .iter()
        .map(|member| {
            let name = member.as_str().into();
            member.parse().map_or_else(|_| Step::Member(member.as_str().into()), |n| Step::Either(name, n))
        })
        .collect();
    let found = follow(ctx, root, &steps).map(Place::value);
    match found.or_else(|| length_of(&steps, |before| follow(ctx, root, before).map(Place::value))) {
        None | Some(Value::Undefined | Value::Null | Value::Bool(false)) => false,
        Some(Value::Text(text)) => !text.is_empty(),
        Some(Value::List(items)) => !items.is_empty(),
        Some(Value::Map(members)) => !members.is_empty(),
        Some(Value::Int(_) | Value::Float(_) | Value::Bool(true)) => true,
        Some(Value::Json(json)) => match json.kind() {
            // 0 is a place like any other.
            Kind::Number => true,
            Kind::Object => json.members().next().is_some(),
            _ => json.is_truthy(),
        },
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod truth;
