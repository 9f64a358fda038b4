//! What happens to a record between its page and its import: transforms and filters, in order.

mod merge;

pub use merge::merge;

use crate::model::export::Export;
use crate::model::flow::Flow;
use crate::model::step::Action;
use crate::value::context::{Context, Root, Slot};
use crate::value::expression::Expression;
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
    /// The record as it reached the step.
    pub record: Record,
}

/// One thing that is done to a record on its way.
enum Act<'f> {
    Create(&'f Tree),
    Keep(&'f Expression),
}

/// Sends one record through the export's shape and the flow's steps. `ctx` offers everything but the record. A record
/// that failed before goes on `from` the step where it did; a step that is not there any more counts as passed.
pub fn shape(
    flow: &Flow,
    export: &Export,
    record: Record,
    ctx: &Context<'_>,
    from: Option<&str>,
) -> Result<Shaped, StepError> {
    let mut record = record;
    let is_import = |name: &str| name == "import" || flow.import.as_ref().is_some_and(|import| import.name == name);
    let mut skipping = from.filter(|from| acts(flow, export).any(|(name, ..)| name == *from) || is_import(from));
    for (name, when, act) in acts(flow, export) {
        if skipping.is_some_and(|from| from != name) {
            continue;
        }
        skipping = None;
        let done = pass(&record, when, &act, ctx);
        match done {
            Ok(Passed::As(next)) => record = next,
            Ok(Passed::Unchanged) => {}
            Ok(Passed::Filtered) => return Ok(Shaped::Filtered),
            Err(error) => return Err(StepError { step: name.to_owned(), error, record }),
        }
    }
    Ok(Shaped::Kept(record))
}

/// Everything that is done to a record, in order, by name.
fn acts<'f>(flow: &'f Flow, export: &'f Export) -> impl Iterator<Item = (&'f str, Option<&'f Expression>, Act<'f>)> {
    let create = export.create.iter().map(|tree| ("transform", None, Act::Create(tree)));
    let keep = export.keep.iter().map(|keep| ("keep", None, Act::Keep(keep)));
    let steps = flow.steps.iter().map(|step| {
        let act = match &step.action {
            Action::Create(tree) => Act::Create(tree),
            Action::Keep(keep) => Act::Keep(keep),
        };
        (step.name.as_str(), step.when.as_ref(), act)
    });
    create.chain(keep).chain(steps)
}

enum Passed {
    As(Record),
    Unchanged,
    Filtered,
}

fn pass(record: &Record, when: Option<&Expression>, act: &Act<'_>, ctx: &Context<'_>) -> Result<Passed, EvalError> {
    let ctx = &with_record(ctx, record);
    if let Some(when) = when
        && !when.test(ctx)?
    {
        return Ok(Passed::Unchanged);
    }
    match act {
        Act::Create(tree) => create_record(tree, record, ctx).map(Passed::As),
        Act::Keep(keep) => Ok(if keep.test(ctx)? { Passed::Unchanged } else { Passed::Filtered }),
    }
}

/// The context with `record`.
pub fn with_record<'a>(ctx: &Context<'a>, record: &'a Record) -> Context<'a> {
    ctx.with(Root::Record, Slot::Record(record))
}

/// A record as a tree makes it.
pub fn create_record(tree: &Tree, record: &Record, ctx: &Context<'_>) -> Result<Record, EvalError> {
    let mut out = Vec::with_capacity(record.json().text().len());
    match tree.write(ctx, &mut out)? {
        Written::Value => Ok(Record::new(Json::trusted(out))),
        Written::Absent => Err(EvalError::Missing("the transform gave no value".to_owned())),
    }
}
