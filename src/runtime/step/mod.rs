//! What one step does to one record, where that asks nobody: transforms and filters. Which steps a record takes is
//! [`walk`](super::walk)'s business.

mod children;
mod ground;
mod merge;

pub use children::Children;
pub use ground::{Ground, Lookups};
pub use merge::merge;

use crate::model::step::Transform;
use crate::value::context::{Context, Root, Slot};
use crate::value::expression::Expression;
use crate::value::issue::EvalError;
use crate::value::json::Json;
use crate::value::record::Record;
use crate::value::tree::{Tree, Written};

/// The context with `record`.
pub fn with_record<'a>(ctx: &Context<'a>, record: &'a Record) -> Context<'a> {
    ctx.with(Root::Record, Slot::Record(record))
}

/// Whether a step is to be done at all.
pub fn applies(when: Option<&Expression>, ctx: &Context<'_>) -> Result<bool, EvalError> {
    when.map_or(Ok(true), |when| when.test(ctx).map_err(|error| error.at("when")))
}

/// The record as a transform makes it. `ctx` offers everything, the record too.
pub fn transform(transform: &Transform, record: &Record, ctx: &Context<'_>) -> Result<Record, EvalError> {
    match transform {
        Transform::Create(tree) => created(tree, record, ctx),
        Transform::Modify(modify) => modify.apply(record, ctx).map(Record::new),
    }
}

fn created(tree: &Tree, record: &Record, ctx: &Context<'_>) -> Result<Record, EvalError> {
    let mut out = Vec::with_capacity(record.json().text().len());
    match tree.write(ctx, &mut out)? {
        Written::Value => Ok(Record::new(Json::trusted(out))),
        Written::Absent => Err(EvalError::Missing("the transform gave no value".to_owned())),
    }
}
