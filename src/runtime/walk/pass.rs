//! One pass over one step and the steps inside it, with the answers that are there. What is missing is collected.

mod paths;

use super::found::Found;
use super::{Passed, StepError};
use crate::http::exchange::Failure;
use crate::model::import::Import;
use crate::model::step::{Action, Lookup, OnError, Step};
use crate::runtime::import::class_name;
use crate::runtime::step::{self, Ground};
use crate::value::context::Context;
use crate::value::issue::EvalError;
use crate::value::json::{Json, JsonRef};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::Arc;

/// Something that is to be asked for a record.
pub struct Need<'f> {
    /// Which step of the record it is for, and which item of `many`.
    pub place: String,
    /// That step.
    pub step: &'f Step,
    /// What is asked.
    pub ask: Ask<'f>,
    /// For what.
    pub ground: Ground,
    /// It may have been asked before a restart.
    pub was_sent: Option<Sent>,
}

/// What a record needs of somebody.
#[derive(Clone, Copy)]
pub enum Ask<'f> {
    /// An answer.
    Lookup(&'f Lookup),
    /// To be taken.
    Import(&'f Import),
}

/// A write that was about to leave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// Its idempotency key.
    pub key: Option<String>,
    /// With which others it shares a request, where that must be the same when it is sent again.
    pub together: Option<Together>,
}

/// A place in a request of several records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Together {
    /// Which request.
    pub batch: u64,
    /// Which of its records, from 0.
    pub at: u32,
    /// How many it has.
    pub of: u32,
}

/// What is known of a write from before.
#[derive(Debug, Clone)]
pub enum Remembered {
    /// It was about to leave.
    Sent(Sent),
    /// It was taken, with this answer.
    Taken(Option<Json>),
}

/// What came of it.
#[derive(Clone)]
pub enum Reply {
    /// An answer.
    Found(Arc<Found>),
    /// It was taken, with this answer where `merge` wants it.
    Taken(Option<Json>),
    /// A rule says that there is nothing to take, and that this is fine.
    Skipped,
    /// None of that.
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
    /// The idempotency key of the write that failed.
    pub key: Option<Box<str>>,
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
        Self { class: "record", text: error.to_string(), failure: None, key: None }
    }

    /// A request failed.
    pub fn request(failure: Failure) -> Self {
        Self {
            class: class_name(failure.class),
            text: failure.message.clone(),
            failure: Some(Arc::new(failure)),
            key: None,
        }
    }
}

/// What was asked on behalf of one step.
#[derive(Default)]
pub(super) struct Memo {
    asked: HashMap<String, Asked>,
    /// Writes from before a restart, or from before the record failed.
    pub(super) kept: HashMap<String, Remembered>,
}

struct Asked {
    /// As it was then.
    ground: Ground,
    reply: Option<Reply>,
}

impl Memo {
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
    memo: &'p Memo,
    /// The step inside where it failed before.
    from: Option<&'p str>,
    pub(super) needs: Vec<Need<'f>>,
    pub(super) notes: Vec<Note>,
    /// Whether an import took it.
    pub(super) taken: bool,
    /// Nothing is written: nobody answers that could be merged.
    dry: bool,
    /// What became of it at each step inside this one, where somebody looks on.
    pub(super) trail: Option<Vec<(String, Passed)>>,
}

impl<'p, 'f> Pass<'p, 'f> {
    pub(super) fn new(memo: &'p Memo, from: Option<&'p str>, dry: bool, watched: bool) -> Self {
        let trail = watched.then(Vec::new);
        Self { memo, from, needs: Vec::new(), notes: Vec::new(), taken: false, dry, trail }
    }

    /// A step, with what `on_error` says of it. After an error the ground is as it was.
    pub(super) fn step(&mut self, step: &'f Step, ground: &mut Ground, item: &str, ctx: &Context<'_>) -> Gone<'f> {
        if step.on_error == OnError::Stop {
            return self.tried(step, ground, item, ctx);
        }
        let before = ground.clone();
        match self.tried(step, ground, item, ctx) {
            // What may have arrived is an open error all the same: somebody has to look.
            Err(error) if error.trouble.class != "unknown" => {
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
            Action::Import(import) => self.import(step, import, ground, item, ctx),
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
            self.needs.push(Need { place, step, ask: Ask::Lookup(lookup), ground: ground.clone(), was_sent: None });
            return Ok(Went::waiting());
        };
        *ground = asked.ground.clone();
        let found = match &asked.reply {
            None | Some(Reply::Taken(_) | Reply::Skipped) => return Ok(Went::waiting()),
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

    /// What was taken before is not sent again.
    fn import(
        &mut self,
        step: &'f Step,
        import: &'f Import,
        ground: &mut Ground,
        item: &str,
        ctx: &Context<'_>,
    ) -> Gone<'f> {
        let place = format!("{}{item}", step.name);
        let was_sent = match self.memo.kept.get(&place) {
            Some(Remembered::Taken(answer)) => return self.passed(step, import, answer.as_ref(), ground, ctx),
            Some(Remembered::Sent(sent)) => Some(sent.clone()),
            None => None,
        };
        let Some(asked) = self.memo.asked.get(&place) else {
            self.needs.push(Need { place, step, ask: Ask::Import(import), ground: ground.clone(), was_sent });
            return Ok(Went::waiting());
        };
        *ground = asked.ground.clone();
        match &asked.reply {
            None | Some(Reply::Found(_)) => Ok(Went::waiting()),
            Some(Reply::Skipped) => Ok(Went::On),
            Some(Reply::Failed(trouble)) => Err(failed(step, ground, trouble.clone())),
            Some(Reply::Taken(answer)) => self.passed(step, import, answer.as_ref(), ground, ctx),
        }
    }

    /// An import has taken it: that stands, whatever becomes of `merge`.
    fn passed(
        &mut self,
        step: &'f Step,
        import: &'f Import,
        answer: Option<&Json>,
        ground: &mut Ground,
        ctx: &Context<'_>,
    ) -> Gone<'f> {
        self.taken = true;
        if let (Some(tree), false) = (&import.merge, self.dry) {
            let answer = answer.map_or(JsonRef::NULL, Json::as_ref);
            let merged = step::merge(&ground.record, answer, tree, &ground.offer(*ctx));
            ground.record = merged.map_err(|error| failed(step, ground, Trouble::eval(&error)))?;
        }
        Ok(Went::On)
    }

    fn steps(&mut self, steps: &'f [Step], ground: &mut Ground, item: &str, ctx: &Context<'_>) -> Gone<'f> {
        let target = self.from.and_then(|from| steps.iter().position(|step| step.holds(from))).unwrap_or(0);
        for (at, step) in steps.iter().enumerate() {
            let went = if at < target { self.recall(step, ground, ctx) } else { self.step(step, ground, item, ctx) };
            self.leave(step, ground, &went);
            let went = went?;
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

    /// Notes what became of the record at a step inside another, where somebody looks on.
    fn leave(&mut self, step: &Step, ground: &Ground, went: &Gone<'_>) {
        if let Some(trail) = &mut self.trail {
            trail.extend(Passed::of(went, ground).map(|passed| (step.name.clone(), passed)));
        }
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
}

fn failed(step: &Step, ground: &Ground, trouble: Trouble) -> Box<StepError> {
    Box::new(StepError { step: step.name.clone(), record: ground.record.clone(), trouble })
}
