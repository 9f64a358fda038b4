//! `transform.modify`: a record that stays what it is but for what is named. Compiled at load, bounded at run time.
//!
//! The steps come in one order, whatever the order in the file: `lift`, `flatten`, `rename_case`, `rename`, `drop`,
//! `set`. First the record gets its form, then its names, so that `rename`, `drop` and `set` speak of the names that
//! are there in the end; `set` comes last, so that nothing undoes it. What `set` reads is the record before `drop`:
//! what is only needed to compute something can be dropped in the same step.

mod case;
mod draft;
mod flatten;
mod rename;
mod route;
#[cfg(test)]
mod tests;

pub use case::Case;
pub use rename::Rename;
pub use route::Route;

use super::context::{Context, Reference, Root, Slot};
use super::issue::EvalError;
use super::json::{Json, Kind, MAX_DEPTH};
use super::record::Record;
use super::tree::{MAX_OUTPUT, Tree};
use draft::Draft;

/// `transform.modify`
#[derive(Debug, Clone, Default)]
pub struct Modify {
    /// `lift`: the members of these objects move to the top.
    pub lift: Vec<Route>,
    /// `flatten`: nested objects become members whose names are joined by this.
    pub flatten: Option<String>,
    /// `rename_case`
    pub case: Option<Case>,
    /// `rename`
    pub rename: Vec<Rename>,
    /// `drop`
    pub drop: Vec<Route>,
    /// `set`: where, and what.
    pub set: Vec<(Vec<String>, Tree)>,
}

impl Modify {
    /// The record, changed. `ctx` offers everything but the record.
    pub fn apply(&self, record: &Record, ctx: &Context<'_>) -> Result<Json, EvalError> {
        let mut draft = Draft::of(record.json().as_ref());
        if draft.kind() != Kind::Object {
            let message = format!("`modify` changes an object; this record is {}", draft.kind().name());
            return Err(EvalError::Type(message));
        }
        let budget = Budget::new(record.json().text().len());
        let values = self.values_over(record, ctx, &mut draft, &budget)?;
        for route in &self.drop {
            draft.remove(route.segments());
        }
        for ((place, _), value) in self.set.iter().zip(&values) {
            if let Some(value) = value {
                draft.put(place, Draft::of(value.as_ref()));
            }
        }
        let mut out = Vec::with_capacity(record.json().text().len());
        draft.write(&mut out, &budget)?;
        // What was put together may nest deeper than either part.
        Json::parse(out).map_err(|_| EvalError::Limit(format!("the record nests deeper than {MAX_DEPTH} levels")))
    }

    /// Gives the record its form and its names; then what `set` sets, none where it is absent.
    fn values_over(
        &self,
        record: &Record,
        ctx: &Context<'_>,
        draft: &mut Draft<'_>,
        budget: &Budget,
    ) -> Result<Vec<Option<Json>>, EvalError> {
        for route in &self.lift {
            draft.lift(route, ctx.missing_is_empty()).map_err(|error| error.at("lift"))?;
        }
        if let Some(between) = &self.flatten {
            draft.flatten(between, budget).map_err(|error| error.at("flatten"))?;
        }
        if let Some(case) = self.case {
            draft.recase(case, budget).map_err(|error| error.at("rename_case"))?;
        }
        draft.rename(&self.rename).map_err(|error| error.at("rename"))?;
        if self.set.is_empty() {
            return Ok(Vec::new());
        }
        if self.lift.is_empty() && self.flatten.is_none() && self.case.is_none() && self.rename.is_empty() {
            return self.values(&ctx.with(Root::Record, Slot::Record(record)));
        }
        let mut out = Vec::new();
        draft.write(&mut out, budget)?;
        let named = Record::new(Json::trusted(out));
        self.values(&ctx.with(Root::Record, Slot::Record(&named)))
    }

    fn values(&self, ctx: &Context<'_>) -> Result<Vec<Option<Json>>, EvalError> {
        let mut values = Vec::with_capacity(self.set.len());
        let mut written = 0;
        for (place, tree) in &self.set {
            let value = tree.json(ctx).map_err(|error| error.at(&format!("set.{}", place.join("."))))?;
            written += value.as_ref().map_or(0, |value| value.text().len());
            if written > MAX_OUTPUT {
                return Err(EvalError::Limit(format!("`set` gives more than {} MiB", MAX_OUTPUT >> 20)));
            }
            values.push(value);
        }
        Ok(values)
    }

    /// Every name it reads.
    pub fn references(&self) -> Vec<&Reference> {
        self.set.iter().flat_map(|(_, tree)| tree.references()).collect()
    }
}

/// How much longer than the record its names may make it.
struct Budget {
    most: usize,
    spent: std::cell::Cell<usize>,
}

impl Budget {
    fn new(record: usize) -> Self {
        Self { most: record + 2 * MAX_OUTPUT, spent: std::cell::Cell::new(0) }
    }

    /// Announces a name about to be made.
    fn name(&self, length: usize) -> Result<(), EvalError> {
        let spent = self.spent.get() + length;
        self.spent.set(spent);
        if spent > MAX_OUTPUT {
            return Err(EvalError::Limit(format!("the new names take more than {} MiB", MAX_OUTPUT >> 20)));
        }
        Ok(())
    }

    /// Looks at what is written so far.
    fn written(&self, length: usize) -> Result<(), EvalError> {
        if length > self.most {
            let most = MAX_OUTPUT >> 20;
            return Err(EvalError::Limit(format!("the record grows by more than {} MiB", 2 * most)));
        }
        Ok(())
    }
}

/// At most some characters of a name that comes from data.
fn shown(name: &str) -> String {
    const MOST: usize = 60;
    let plain: String = name.chars().take(MOST).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if name.chars().count() > MOST { plain + "…" } else { plain }
}
