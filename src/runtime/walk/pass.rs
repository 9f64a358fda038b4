//! One pass over one step and the steps inside it, with the answers that are there. What is missing is collected.

use super::StepError;
use super::found::Found;
use crate::http::exchange::Failure;
use crate::model::step::{Action, Lookup, OnError, Route, Step};
use crate::runtime::import::class_name;
use crate::runtime::step::{self, Children, Ground};
use crate::value::context::Context;
use crate::value::issue::EvalError;
use crate::value::record::Record;
use std::collections::HashMap;
use std::sync::Arc;

/// Something that is to be asked for a record.
pub struct Need<'f> {
    /// Which step of the record it is for, and which item of `many`.
    pub place: String,
    /// That step.
    pub step: &'f Step,
    /// What is asked.
    pub lookup: &'f Lookup,
    /// For what.
    pub ground: Ground,
}

/// What came of it.
#[derive(Clone)]
pub enum Reply {
    /// An answer.
    Found(Arc<Found>),
    /// None.
    Failed(Trouble),
}

/// What is wrong with a record.
#[derive(Debug, Clone)]
pub struct Trouble {
    /// Which kind.
    pub class: &'static str,
    /// What.
    pub text: String,
    /// The request that failed, when there was one.
    pub failure: Option<Arc<Failure>>,
}

/// An error that its step goes on after.
#[derive(Debug)]
pub struct Note {
    /// Which step.
    pub step: String,
    /// What went wrong.
    pub text: String,
}

impl Trouble {
    /// The record could not be shaped, or a request not rendered.
    pub fn eval(error: &EvalError) -> Self {
        Self { class: "record", text: error.to_string(), failure: None }
    }

    /// A request failed.
    pub fn request(failure: Failure) -> Self {
        Self { class: class_name(failure.class), text: failure.message.clone(), failure: Some(Arc::new(failure)) }
    }
}

/// What was asked on behalf of one step.
#[derive(Default)]
pub(super) struct Memo<'f> {
    asked: HashMap<String, Asked>,
    flow: std::marker::PhantomData<&'f ()>,
}

struct Asked {
    /// As it was then.
    ground: Ground,
    reply: Option<Reply>,
}

impl Memo<'_> {
    pub(super) fn ask(&mut self, needs: &[Need<'_>]) {
        for need in needs {
            self.asked.insert(need.place.clone(), Asked { ground: need.ground.clone(), reply: None });
        }
    }

    /// False when nobody waits for it.
    pub(super) fn reply(&mut self, place: &str, reply: Reply) -> bool {
        let Some(asked) = self.asked.get_mut(place).filter(|asked| asked.reply.is_none()) else { return false };
        asked.reply = Some(reply);
        true
    }

    pub(super) fn clear(&mut self) {
        self.asked.clear();
    }
}

/// Where a record went.
pub(super) enum Went<'f> {
    /// On, perhaps changed.
    On,
    /// Out, by a rule.
    Left,
    /// Nowhere yet.
    Waits(Vec<Need<'f>>),
}

impl Went<'_> {
    fn waiting() -> Self {
        Went::Waits(Vec::new())
    }
}

type Gone<'f> = Result<Went<'f>, Box<StepError>>;

pub(super) struct Pass<'p, 'f> {
    memo: &'p Memo<'f>,
    /// The step inside where it failed before.
    from: Option<&'p str>,
    pub(super) needs: Vec<Need<'f>>,
    pub(super) notes: Vec<Note>,
}

impl<'p, 'f> Pass<'p, 'f> {
    pub(super) fn new(memo: &'p Memo<'f>, from: Option<&'p str>) -> Self {
        Self { memo, from, needs: Vec::new(), notes: Vec::new() }
    }

    /// A step, with what `on_error` says of it. After an error the ground is as it was.
    pub(super) fn step(&mut self, step: &'f Step, ground: &mut Ground, item: &str, ctx: &Context<'_>) -> Gone<'f> {
        if step.on_error == OnError::Stop {
            return self.tried(step, ground, item, ctx);
        }
        let before = ground.clone();
        match self.tried(step, ground, item, ctx) {
            Err(error) => {
                *ground = before;
                let StepError { step: inner, trouble, .. } = *error;
                let text = if inner == step.name { trouble.text } else { format!("{inner}: {}", trouble.text) };
                self.notes.push(Note { step: step.name.clone(), text });
                Ok(Went::On)
            }
            went => went,
        }
    }

    fn tried(&mut self, step: &'f Step, ground: &mut Ground, item: &str, ctx: &Context<'_>) -> Gone<'f> {
        match &step.many {
            Some(_) => self.many(step, ground, item, ctx),
            None => self.once(step, ground, item, ctx),
        }
    }

    fn once(&mut self, step: &'f Step, ground: &mut Ground, item: &str, ctx: &Context<'_>) -> Gone<'f> {
        // On the way to where it failed before, nothing is decided again.
        let enters = self.from.filter(|from| *from != step.name && step.holds(from));
        let fail = |ground: &Ground, error: &EvalError| failed(step, ground, Trouble::eval(error));
        if enters.is_none() && !step::applies(step.when.as_ref(), &ground.offer(*ctx)).map_err(|e| fail(ground, &e))? {
            return Ok(Went::On);
        }
        match &step.action {
            Action::Transform(transform) => {
                let made = step::transform(transform, &ground.record, &ground.offer(*ctx));
                ground.record = made.map_err(|error| fail(ground, &error))?;
                Ok(Went::On)
            }
            Action::Keep(keep) => match keep.test(&ground.offer(*ctx)) {
                Ok(true) => Ok(Went::On),
                Ok(false) => Ok(Went::Left),
                Err(error) => Err(fail(ground, &error)),
            },
            Action::Lookup(lookup) => self.lookup(step, lookup, ground, item, ctx),
            Action::Route(route) if route.all => self.all(step, route, ground, item, ctx),
            Action::Route(route) => self.first(step, route, ground, item, ctx),
        }
    }

    fn lookup(
        &mut self,
        step: &'f Step,
        lookup: &'f Lookup,
        ground: &mut Ground,
        item: &str,
        ctx: &Context<'_>,
    ) -> Gone<'f> {
        let place = format!("{}{item}", step.name);
        let Some(asked) = self.memo.asked.get(&place) else {
            self.needs.push(Need { place, step, lookup, ground: ground.clone() });
            return Ok(Went::waiting());
        };
        *ground = asked.ground.clone();
        let found = match &asked.reply {
            None => return Ok(Went::waiting()),
            Some(Reply::Failed(trouble)) => return Err(failed(step, ground, trouble.clone())),
            Some(Reply::Found(found)) => found,
        };
        let answer = found.shaped(&lookup.export, ground, ctx).map_err(|e| failed(step, ground, Trouble::eval(&e)))?;
        match &lookup.merge {
            None => ground.lookups.add(&lookup.name, answer),
            Some(tree) => {
                let merged = step::merge(&ground.record, answer.as_ref(), tree, &ground.offer(*ctx));
                ground.record = merged.map_err(|error| failed(step, ground, Trouble::eval(&error)))?;
            }
        }
        Ok(Went::On)
    }

    /// The first branch that fits takes the record.
    fn first(
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
    fn all(
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

    fn steps(&mut self, steps: &'f [Step], ground: &mut Ground, item: &str, ctx: &Context<'_>) -> Gone<'f> {
        let target = self.from.and_then(|from| steps.iter().position(|step| step.holds(from))).unwrap_or(0);
        for (at, step) in steps.iter().enumerate() {
            let went = if at < target { self.recall(step, ground, ctx)? } else { self.step(step, ground, item, ctx)? };
            if at == target {
                self.from = None;
            }
            match went {
                Went::On => {}
                other => return Ok(other),
            }
        }
        Ok(Went::On)
    }

    /// A step that was passed before the record failed: what it looked up and did not merge is looked up again. Where
    /// the record is not any more what it was asked for, that stays missing.
    pub(super) fn recall(&mut self, step: &'f Step, ground: &mut Ground, ctx: &Context<'_>) -> Gone<'f> {
        match &step.action {
            Action::Lookup(lookup) if lookup.merge.is_none() && step.many.is_none() => {
                let before = ground.clone();
                match self.once(step, ground, "", ctx) {
                    Err(error) if error.trouble.failure.is_none() => {
                        *ground = before;
                        Ok(Went::On)
                    }
                    went => went,
                }
            }
            _ => Ok(Went::On),
        }
    }

    /// The step for each part of the record.
    fn many(&mut self, step: &'f Step, ground: &mut Ground, item: &str, ctx: &Context<'_>) -> Gone<'f> {
        let Some(path) = &step.many else { return Ok(Went::On) };
        let record = ground.record.clone();
        let children = Children::of(&record, path).map_err(|error| failed(step, ground, Trouble::eval(&error)))?;
        let pure = step.is_pure();
        let mut waits = false;
        let mut faults = Faults::default();
        let mut new: Vec<Option<Record>> = Vec::new();
        for (index, child) in children.records().enumerate() {
            let mut inner = ground.inside(child);
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

#[expect(clippy::unnecessary_box_returns, reason = "errors of steps are boxed wherever they go")]
fn failed(step: &Step, ground: &Ground, trouble: Trouble) -> Box<StepError> {
    Box::new(StepError { step: step.name.clone(), record: ground.record.clone(), trouble })
}

/// What failed of several: one error record tells the first, and how many more there are.
#[derive(Default)]
struct Faults {
    first: Option<Trouble>,
    more: usize,
}

impl Faults {
    fn add(&mut self, place: String, trouble: Trouble) {
        if self.first.is_some() {
            self.more += 1;
        } else {
            self.first = Some(Trouble { text: place + &trouble.text, ..trouble });
        }
    }

    fn whole(self, what: &str) -> Trouble {
        let first = self.first.unwrap_or(Trouble { class: "record", text: String::new(), failure: None });
        let more = if self.more > 0 { format!(" ({} more {what} failed)", self.more) } else { String::new() };
        Trouble { text: first.text + &more, ..first }
    }
}
