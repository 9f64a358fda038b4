//! Resolves paths: block parameters first, then the item of the block, else a root of the context.

use super::{Builder, Built};
use crate::value::context::{Reference, Root};
use crate::value::expression::Step;
use crate::value::issue::Issue;
use crate::value::json::MAX_DEPTH;
use crate::value::template::ast::{Base, Told, What};
use crate::value::template::names;
use crate::value::template::tag::PathSyntax;
use std::ops::Range;

impl Builder {
    pub(super) fn path(&mut self, path: PathSyntax, at: &Range<usize>, tolerant: bool) -> Built<What> {
        if path.segments.len() > MAX_DEPTH {
            return Err(Issue::new(at.clone(), format!("the path has more than {MAX_DEPTH} steps")));
        }
        if path.up > self.scopes.len() {
            return Err(Issue::new(at.clone(), "`../` leads out of the template")
                .help("only `each` and `with` blocks open a level"));
        }
        let mut segments = path.segments.into_iter();
        if path.data {
            return self.data(path.up, segments, at, tolerant);
        }
        if !path.this
            && path.up == 0
            && let Some((first, false)) = segments.as_slice().first()
            && let Some(base) = self.param(first)
        {
            segments.next();
            return Ok(What::Path(base, segments.map(step).collect()));
        }
        if self.scopes.iter().any(|scope| scope.section) && path.up <= self.scopes.len() {
            return Ok(What::Path(Base::Up(path.up), segments.map(step).collect()));
        }
        if path.up < self.scopes.len() {
            return Ok(What::Path(Base::Item(path.up), segments.map(step).collect()));
        }
        self.rooted(segments, at, tolerant)
    }

    /// A block parameter, of the innermost block that has it.
    fn param(&self, name: &str) -> Option<Base> {
        self.scopes.iter().rev().enumerate().find_map(|(up, scope)| {
            match scope.params.iter().position(|param| param == name)? {
                0 => Some(Base::Item(up)),
                _ => Some(Base::Key(up)),
            }
        })
    }

    fn data(
        &mut self,
        up: usize,
        mut segments: std::vec::IntoIter<(String, bool)>,
        at: &Range<usize>,
        tolerant: bool,
    ) -> Built<What> {
        let name = segments.next().map(|(name, _)| name).unwrap_or_default();
        if name == "root" {
            return self.rooted(segments, at, tolerant);
        }
        let told = match name.as_str() {
            "index" => Told::Index,
            "key" => Told::Key,
            "first" => Told::First,
            "last" => Told::Last,
            _ => {
                let issue = Issue::new(at.clone(), format!("`@{name}` is not known"));
                return Err(names::did_you_mean(issue, &name, ["index", "key", "first", "last", "root"].into_iter()));
            }
        };
        if up >= self.scopes.iter().filter(|scope| scope.loops).count() {
            return Err(Issue::new(at.clone(), format!("`@{name}` has a meaning inside `{{{{#each}}}}` only")));
        }
        Ok(What::Path(Base::Loop(told, up), segments.map(step).collect()))
    }

    fn rooted(
        &mut self,
        mut segments: std::vec::IntoIter<(String, bool)>,
        at: &Range<usize>,
        tolerant: bool,
    ) -> Built<What> {
        let Some((root, _)) = segments.next() else {
            return Err(Issue::new(at.clone(), "`this` has a meaning inside `{{#each}}` and `{{#with}}` only")
                .help("name the value, such as `record`"));
        };
        let members: Vec<String> = segments.as_slice().iter().map(|(name, _)| name.clone()).collect();
        self.references.push(Reference { root: root.clone(), members, at: at.clone(), tolerant });
        let base = match Root::by_name(&root) {
            Some(root) => Base::Root(root),
            None => Base::Unknown(root.into()),
        };
        Ok(What::Path(base, segments.map(step).collect()))
    }
}

fn step((name, _): (String, bool)) -> Step {
    match name.parse::<i64>() {
        Ok(index) if name.bytes().all(|b| b.is_ascii_digit()) => Step::Either(name.into(), index),
        _ => Step::Member(name.into()),
    }
}
