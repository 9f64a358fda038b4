//! What happens to a record between export and import: a tree of steps, each of which does one thing.

use super::export::Export;
use super::import::Import;
use crate::value::context::Reference;
use crate::value::expression::Expression;
use crate::value::id::ConnectionId;
use crate::value::modify::Modify;
use crate::value::path::Path;
use crate::value::tree::Tree;
use std::sync::Arc;
use std::time::Duration;

/// `[[step]]`
#[derive(Debug, Clone)]
pub struct Step {
    /// `name`, or its position; the branches it stands in come before it, as in `by-region/eu/vat`.
    pub name: String,
    /// `when`: false skips the step.
    pub when: Option<Expression>,
    /// `on_error`
    pub on_error: OnError,
    /// `many`: the step works on each of these.
    pub many: Option<Path>,
    /// What it does.
    pub action: Action,
}

/// What an error of a step means for its record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnError {
    /// It has an error record and goes no further.
    #[default]
    Stop,
    /// It goes on as it was before the step.
    Proceed,
}

/// The one thing a step does.
#[derive(Debug, Clone)]
pub enum Action {
    /// `transform`
    Transform(Transform),
    /// `keep`: records for which it is false leave the flow.
    Keep(Expression),
    /// `[step.lookup]`
    Lookup(Box<Lookup>),
    /// `[step.import]`
    Import(Box<Import>),
    /// `route`
    Route(Route),
}

/// `[step.lookup]`: asks, and goes on with what came back.
#[derive(Debug, Clone)]
pub struct Lookup {
    /// What is asked, and how the answer is read.
    pub export: Arc<Export>,
    /// `cache`
    pub cache: Option<CacheSettings>,
    /// `merge`: members of the record, from the answer. Without it the answer is `lookup.<name>` from here on.
    pub merge: Option<Tree>,
    /// That name.
    pub name: String,
}

/// `cache = { ttl, size }`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheSettings {
    /// For so long an answer holds.
    pub ttl: Duration,
    /// So many answers are kept.
    pub size: usize,
}

/// `route`, and its `[[step.branch]]`
#[derive(Debug, Clone)]
pub struct Route {
    /// `all`: each branch that fits takes a copy. Else the first one takes the record.
    pub all: bool,
    /// In order.
    pub branches: Vec<Branch>,
}

/// `[[step.branch]]`
#[derive(Debug, Clone)]
pub struct Branch {
    /// `when`; none = always.
    pub when: Option<Expression>,
    /// `end`: records that took it go no further.
    pub end: bool,
    /// Its steps.
    pub steps: Vec<Step>,
}

impl Step {
    /// Calls `see` with this step and every one inside it, in order.
    pub fn each<'s>(&'s self, see: &mut impl FnMut(&'s Step)) {
        see(self);
        if let Action::Route(route) = &self.action {
            for step in route.branches.iter().flat_map(|branch| &branch.steps) {
                step.each(see);
            }
        }
    }

    /// Whether a step of this name is this one, or stands inside.
    pub fn holds(&self, name: &str) -> bool {
        let mut found = false;
        self.each(&mut |step| found |= step.name == name);
        found
    }

    /// Whether it can be gone through at once: it asks nobody.
    pub fn is_pure(&self) -> bool {
        let mut pure = true;
        self.each(&mut |step| pure &= !matches!(step.action, Action::Lookup(_) | Action::Import(_)));
        pure
    }

    /// Whatever its imports' keys read, it may be another after a restart.
    pub fn keys_do_not_last(&mut self) {
        match &mut self.action {
            Action::Import(import) => import.key_is_lasting = false,
            Action::Route(route) => {
                route.branches.iter_mut().flat_map(|branch| &mut branch.steps).for_each(Self::keys_do_not_last);
            }
            Action::Transform(_) | Action::Keep(_) | Action::Lookup(_) => {}
        }
    }

    /// The imports in it.
    pub fn imports(&self) -> Vec<&Import> {
        let mut found = Vec::new();
        self.each(&mut |step| {
            if let Action::Import(import) = &step.action {
                found.push(&**import);
            }
        });
        found
    }

    /// The connections it uses, those inside included.
    pub fn connections(&self) -> Vec<&ConnectionId> {
        let mut found = Vec::new();
        self.each(&mut |step| match &step.action {
            Action::Lookup(lookup) => found.push(&lookup.export.connection),
            Action::Import(import) => {
                found.push(&import.connection);
                found.extend(import.check().map(|check| &check.connection));
            }
            Action::Transform(_) | Action::Keep(_) | Action::Route(_) => {}
        });
        found
    }
}

/// `transform`, of an export or a step.
#[derive(Debug, Clone)]
pub enum Transform {
    /// `create`: only what is named.
    Create(Tree),
    /// `modify`: all but what is named.
    Modify(Modify),
}

impl Transform {
    /// Every name it reads.
    pub fn references(&self) -> Vec<&Reference> {
        match self {
            Self::Create(tree) => tree.references(),
            Self::Modify(modify) => modify.references(),
        }
    }
}
