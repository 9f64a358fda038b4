//! Steps with several ways through them: the branches of a route, and the items of `many`.

use super::{Gone, Pass, Trouble, Went, failed};
use crate::model::step::{Route, Step};
use crate::runtime::step::{self, Children, Ground};
use crate::value::context::{Context, Purse};
use crate::value::record::Record;

impl<'f> Pass<'_, 'f> {
    /// The first branch that fits takes the record.
    pub(super) fn first(
        &mut self,
        step: &'f Step,
        route: &'f Route,
        ground: &mut Ground,
        item: &str,
        ctx: &Context<'_>,
    ) -> Gone<'f> {
        for branch in &route.branches {
            let entered = self.from.map(|from| branch.steps.iter().any(|inner| inner.holds(from)));
            let fits = if let Some(entered) = entered.filter(|_| self.from != Some(step.name.as_str())) {
                entered
            } else {
                let fits = step::applies(branch.when.as_ref(), &ground.offer(*ctx));
                fits.map_err(|error| failed(step, ground, Trouble::eval(&error)))?
            };
            if fits {
                return match self.steps(&branch.steps, ground, item, ctx)? {
                    Went::On if branch.end => Ok(Went::Left),
                    went => Ok(went),
                };
            }
        }
        Ok(Went::On)
    }

    /// Every branch that fits takes a copy. What becomes of all of them is known together: one that fails stops the
    /// record here, and none is left half done.
    pub(super) fn all(
        &mut self,
        step: &'f Step,
        route: &'f Route,
        ground: &mut Ground,
        item: &str,
        ctx: &Context<'_>,
    ) -> Gone<'f> {
        let (mut waits, mut ends) = (false, false);
        let mut faults = Faults::default();
        for branch in &route.branches {
            let fits = step::applies(branch.when.as_ref(), &ground.offer(*ctx));
            if !fits.map_err(|error| failed(step, ground, Trouble::eval(&error)))? {
                continue;
            }
            let mut copy = ground.clone();
            match self.steps(&branch.steps, &mut copy, item, ctx) {
                Ok(Went::Waits(_)) => waits = true,
                Ok(Went::On | Went::Left) => ends |= branch.end,
                Err(error) => faults.add(format!("{}: ", error.step), error.trouble),
            }
        }
        match faults.first {
            _ if waits => Ok(Went::waiting()),
            Some(_) => Err(failed(step, ground, faults.whole("branches"))),
            None if ends => Ok(Went::Left),
            None => Ok(Went::On),
        }
    }

    /// The step for each part of the record.
    pub(super) fn many(&mut self, step: &'f Step, ground: &mut Ground, item: &str, ctx: &Context<'_>) -> Gone<'f> {
        let Some(path) = &step.many else { return Ok(Went::On) };
        let record = ground.record.clone();
        let children = Children::of(&record, path).map_err(|error| failed(step, ground, Trouble::eval(&error)))?;
        let pure = step.is_pure();
        let purse = Purse::default();
        let ctx = &ctx.with_purse(&purse);
        let mut waits = false;
        let mut faults = Faults::default();
        let mut new: Vec<Option<Record>> = Vec::new();
        for (index, child) in children.records().enumerate() {
            let mut inner = Ground { index: u32::try_from(index).ok(), ..ground.inside(child) };
            let place = if pure { String::new() } else { format!("{item}[{index}]") };
            match self.once(step, &mut inner, &place, ctx) {
                Ok(Went::On) => new.push(Some(inner.record)),
                Ok(Went::Left) => new.push(None),
                Ok(Went::Waits(_)) => waits = true,
                Err(error) => {
                    let inner = if error.step == step.name { String::new() } else { format!("{}: ", error.step) };
                    faults.add(format!("item {} of `many`: {inner}", index + 1), error.trouble);
                }
            }
        }
        if waits {
            return Ok(Went::waiting());
        }
        if faults.first.is_some() {
            return Err(failed(step, ground, faults.whole("items")));
        }
        ground.record = children.replaced(&new).map_err(|error| failed(step, ground, Trouble::eval(&error)))?;
        Ok(Went::On)
    }
}

/// What failed of several: one error record tells the first, and how many more there are.
#[derive(Default)]
struct Faults {
    first: Option<Trouble>,
    more: usize,
}

impl Faults {
    fn add(&mut self, place: String, trouble: Trouble) {
        // What may have arrived is told before anything else: it is nothing that is tried again by itself.
        let tells = |first: &Trouble| first.class == "unknown" || trouble.class != "unknown";
        self.more += usize::from(self.first.is_some());
        if !self.first.as_ref().is_some_and(tells) {
            self.first = Some(Trouble { text: place + &trouble.text, ..trouble });
        }
    }

    fn whole(self, what: &str) -> Trouble {
        let first = self.first.unwrap_or(Trouble { class: "record", text: String::new(), failure: None, key: None });
        let more = if self.more > 0 { format!(" ({} more {what} failed)", self.more) } else { String::new() };
        Trouble { text: first.text + &more, ..first }
    }
}
