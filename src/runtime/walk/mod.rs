//! One record on its way through the steps of its flow. Pure: it knows no request, clock or task. Where an answer is
//! needed it says what is to be asked, and goes on when it is told what came back.
//!
//! It goes from step to step and remembers where it stands. A step that cannot be finished, because an answer inside
//! it is missing, is gone through again once all that it asked is answered; what was asked before is remembered by
//! place, so nothing is asked twice, and with it the record as it was then, so that it cannot have become another.

pub mod cache;
pub mod found;
pub mod lookup;
mod pass;
#[cfg(test)]
pub(in crate::runtime) mod tests;

pub use pass::{Ask, Need, Note, Remembered, Reply, Sent, Together, Trouble};

use crate::model::export::Export;
use crate::model::flow::Flow;
use crate::model::step::Step;
use crate::runtime::step::{self, Ground};
use crate::value::context::Context;
use crate::value::issue::EvalError;
use crate::value::json::Json;
use crate::value::record::Record;
use pass::{Memo, Pass, Went};
use std::collections::HashMap;

/// What came of going on.
pub enum Advance<'f> {
    /// It has passed all steps.
    Arrived,
    /// A rule let it go.
    Left,
    /// These are to be asked. It goes on when each has its reply.
    Waits(Vec<Need<'f>>),
    /// A step failed.
    Failed(Box<StepError>),
}

/// A step that failed, by name.
#[derive(Debug)]
pub struct StepError {
    /// `transform`, `keep` or the step's name.
    pub step: String,
    /// The record as it reached the step.
    pub record: Record,
    /// What is wrong.
    pub trouble: Trouble,
}

/// Where records go along: the flow's steps, after what its export does itself.
#[derive(Clone, Copy)]
pub struct Way<'f, 'e> {
    /// The flow.
    pub flow: &'f Flow,
    /// The export the record came from.
    pub export: &'e Export,
    /// Nothing is written.
    pub dry_run: bool,
}

/// What one thing that is done made of a record.
pub enum Passed {
    /// It goes on as this.
    As(Json),
    /// A rule let it go.
    Left,
    /// It failed.
    Failed(String),
}

impl Passed {
    /// None while it waits.
    fn of(went: &Result<Went<'_>, Box<StepError>>, ground: &Ground) -> Option<Self> {
        match went {
            Ok(Went::Waits(_)) => None,
            Ok(Went::Left) => Some(Self::Left),
            Ok(Went::On) => Some(Self::As(ground.record.json().clone())),
            Err(error) => Some(Self::Failed(error.trouble.text.clone())),
        }
    }
}

/// A record on its way.
pub struct Walk {
    /// As it is.
    pub ground: Ground,
    /// The next thing to be done: the export's transform, its keep, then each step.
    at: usize,
    memo: Memo,
    /// Replies that are still to come.
    open: usize,
    /// The step where it failed before: those before it are passed by.
    from: Option<Box<str>>,
    /// Errors that its steps go on after.
    notes: Vec<Note>,
    /// Whether an import took it on the way.
    pub taken: bool,
    /// What became of it at each step, where somebody looks on.
    trail: Option<Vec<(String, Passed)>>,
}

/// The export's own two acts come before the steps.
const OWN: usize = 2;

impl Walk {
    /// A record as it was exported; one that failed before goes on `from` the step where it did. A step that is not
    /// there any more counts as not passed, so that nothing is left out.
    pub fn new(record: Record, from: Option<&str>) -> Self {
        Self {
            ground: Ground::new(record),
            at: 0,
            memo: Memo::default(),
            open: 0,
            from: from.map(Into::into),
            notes: Vec::new(),
            taken: false,
            trail: None,
        }
    }

    /// What its export does itself is behind it.
    #[must_use]
    pub fn behind_its_export(mut self) -> Self {
        self.at = OWN;
        self
    }

    /// Remembers what became of it at each step.
    #[must_use]
    pub fn watched(mut self, yes: bool) -> Self {
        self.trail = yes.then(Vec::new);
        self
    }

    /// What became of it since this was last asked.
    pub fn take_trail(&mut self) -> Vec<(String, Passed)> {
        self.trail.as_mut().map(std::mem::take).unwrap_or_default()
    }

    fn leave(&mut self, way: Way<'_, '_>, passed: Passed) {
        let name = match self.at {
            0 => way.export.transform.as_ref().map(|_| "transform"),
            1 => way.export.keep.as_ref().map(|_| "keep"),
            at => way.flow.steps.get(at - OWN).map(|step| step.name.as_str()),
        };
        if let (Some(trail), Some(name)) = (&mut self.trail, name) {
            trail.push((name.to_owned(), passed));
        }
    }

    /// With what is known of its writes from before: what was taken is not sent again.
    #[must_use]
    pub fn remembering(mut self, kept: HashMap<String, Remembered>) -> Self {
        self.taken = kept.values().any(|kept| matches!(kept, Remembered::Taken(_)));
        self.memo.kept = kept;
        self
    }

    /// Goes as far as possible. `ctx` offers everything but the record.
    pub fn advance<'f>(&mut self, way: Way<'f, '_>, ctx: &Context<'_>) -> Advance<'f> {
        let target = self.target(way);
        loop {
            let went = match self.at {
                0 | 1 if target > self.at => Ok(Went::On),
                0 => self.own("transform", way, ctx),
                1 => self.own("keep", way, ctx),
                at => match way.flow.steps.get(at - OWN) {
                    None => return Advance::Arrived,
                    Some(step) => match self.step(step, at < target, way, ctx) {
                        Ok(Went::Waits(needs)) => return Advance::Waits(needs),
                        went => went,
                    },
                },
            };
            if self.trail.is_some()
                && let Some(passed) = Passed::of(&went, &self.ground)
            {
                self.leave(way, passed);
            }
            match went {
                Ok(Went::Left) => return Advance::Left,
                Ok(_) => self.at += 1,
                Err(error) => return Advance::Failed(error),
            }
        }
    }

    /// The place it stands at: the export's transform, its keep, each step, and what lies behind them.
    pub fn place(&self) -> u16 {
        u16::try_from(self.at).unwrap_or(u16::MAX)
    }

    /// A reply to what it asked. True when it can go on.
    pub fn reply(&mut self, place: &str, reply: Reply) -> bool {
        if self.memo.reply(place, reply) {
            self.open = self.open.saturating_sub(1);
        }
        self.open == 0
    }

    /// As one that waits for so many replies.
    #[cfg(test)]
    pub fn wait(&mut self, open: usize) {
        self.open = open;
    }

    /// How many replies are still to come.
    pub fn open(&self) -> usize {
        self.open
    }

    /// Errors that steps with `on_error = "proceed"` went on after, since this was last asked.
    pub fn take_notes(&mut self) -> Vec<Note> {
        std::mem::take(&mut self.notes)
    }

    /// The place of the first thing that is to be done: later than the beginning for a record that is tried again.
    fn target(&self, way: Way<'_, '_>) -> usize {
        let Some(from) = self.from.as_deref() else { return 0 };
        let end = OWN + way.flow.steps.len();
        let step = || way.flow.steps.iter().position(|step| step.holds(from));
        match from {
            "keep" => 1,
            _ if way.flow.import.as_ref().is_some_and(|import| import.name == from) => end,
            "import" => step().map_or(end, |at| at + OWN),
            _ => step().map_or(0, |at| at + OWN),
        }
    }

    fn own<'f>(&mut self, name: &str, way: Way<'f, '_>, ctx: &Context<'_>) -> Result<Went<'f>, Box<StepError>> {
        let done = match name {
            "transform" => match &way.export.transform {
                Some(transform) => {
                    let made = step::transform(transform, &self.ground.record, &self.ground.offer(*ctx));
                    made.map(|record| {
                        self.ground.record = record;
                        Went::On
                    })
                }
                None => Ok(Went::On),
            },
            _ => kept(way.export, &self.ground, ctx),
        };
        done.map_err(|error| {
            let record = self.ground.record.clone();
            Box::new(StepError { step: name.to_owned(), record, trouble: Trouble::eval(&error) })
        })
    }

    fn step<'f>(
        &mut self,
        step: &'f Step,
        recalls: bool,
        way: Way<'_, '_>,
        ctx: &Context<'_>,
    ) -> Result<Went<'f>, Box<StepError>> {
        let from = self.from.as_deref().filter(|from| step.holds(from));
        let mut pass = Pass::new(&self.memo, from, way.dry_run, self.trail.is_some());
        let before = self.ground.clone();
        let went =
            if recalls { pass.recall(step, &mut self.ground, ctx) } else { pass.step(step, &mut self.ground, "", ctx) };
        let (needs, notes, taken, inner) = (pass.needs, pass.notes, pass.taken, pass.trail);
        if let Ok(Went::Waits(_)) = went {
            self.ground = before;
            self.memo.ask(&needs);
            self.open = needs.len();
            return Ok(Went::Waits(needs));
        }
        self.notes.extend(notes);
        self.taken |= taken;
        if let (Some(trail), Some(inner)) = (&mut self.trail, inner) {
            trail.extend(inner);
        }
        self.memo.clear();
        // What is left to do lies behind: none of it is passed by.
        if self.from.as_deref().is_some_and(|from| step.holds(from)) {
            self.from = None;
        }
        went.map_err(|mut error| {
            if recalls && let Some(from) = &self.from {
                error.step = from.to_string();
                error.record = before.record;
            }
            error
        })
    }
}

fn kept<'f>(export: &Export, ground: &Ground, ctx: &Context<'_>) -> Result<Went<'f>, EvalError> {
    match &export.keep {
        Some(keep) if !keep.test(&ground.offer(*ctx))? => Ok(Went::Left),
        _ => Ok(Went::On),
    }
}
