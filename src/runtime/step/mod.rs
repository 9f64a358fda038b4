//! What happens to a record between its page and its import: transforms and filters, in order.

use crate::model::flow::Flow;
use crate::model::step::Action;
use crate::value::context::{Context, Root, Slot};
use crate::value::issue::EvalError;
use crate::value::json::Json;
use crate::value::record::Record;
use crate::value::tree::{Tree, Written};

/// What became of a record on its way.
pub enum Shaped {
    /// It goes on, perhaps changed.
    Kept(Record),
    /// A rule let it go.
    Filtered,
}

/// A step that failed, by name.
#[derive(Debug)]
pub struct StepError {
    /// `transform`, `keep` or the step's name.
    pub step: String,
    /// What is wrong.
    pub error: EvalError,
}

/// Sends one record through the export's shape and the flow's steps. `ctx` offers everything but the record.
pub fn shape(flow: &Flow, record: Record, ctx: &Context<'_>) -> Result<Shaped, StepError> {
    let failed = |step: &str| {
        let step = step.to_owned();
        move |error| StepError { step, error }
    };
    let mut record = record;
    if let Some(create) = &flow.export.create {
        record = create_record(create, &record, ctx).map_err(failed("transform"))?;
    }
    if let Some(keep) = &flow.export.keep
        && !keep.test(&with_record(ctx, &record)).map_err(failed("keep"))?
    {
        return Ok(Shaped::Filtered);
    }
    for step in &flow.steps {
        if let Some(when) = &step.when
            && !when.test(&with_record(ctx, &record)).map_err(failed(&step.name))?
        {
            continue;
        }
        match &step.action {
            Action::Create(tree) => record = create_record(tree, &record, ctx).map_err(failed(&step.name))?,
            Action::Keep(keep) => {
                if !keep.test(&with_record(ctx, &record)).map_err(failed(&step.name))? {
                    return Ok(Shaped::Filtered);
                }
            }
        }
    }
    Ok(Shaped::Kept(record))
}

/// The context with `record`.
pub fn with_record<'a>(ctx: &Context<'a>, record: &'a Record) -> Context<'a> {
    ctx.with(Root::Record, Slot::Record(record))
}

fn create_record(tree: &Tree, record: &Record, ctx: &Context<'_>) -> Result<Record, EvalError> {
    let mut out = Vec::with_capacity(record.json().text().len());
    match tree.write(&with_record(ctx, record), &mut out)? {
        Written::Value => Ok(Record::new(Json::trusted(out))),
        Written::Absent => Err(EvalError::Missing("the transform gave no value".to_owned())),
    }
}
