//! `rename`: members get other names, or move to another place.

use super::draft::{Draft, Key, unlike};
use super::route::{Route, Segment};
use super::shown;
use crate::value::issue::{EvalError, Issue};

/// One line of `rename`.
#[derive(Debug, Clone)]
pub struct Rename {
    old: Route,
    target: Route,
    new: New,
}

/// What becomes of a member.
#[derive(Debug, Clone)]
enum New {
    /// It stays where it is and gets this name.
    Name(String),
    /// It moves here.
    Place(Vec<String>),
}

impl Rename {
    /// From what is written on either side. Mistakes belong to the left side (`Err(Ok)`) or the right (`Err(Err)`).
    pub fn compile(old: &str, new: &str) -> Result<Self, Result<Vec<Issue>, Vec<Issue>>> {
        let old = Route::compile(old).map_err(Ok)?;
        let target = Route::compile(new).map_err(Err)?;
        let Some((before, _)) = old.split_last() else {
            let issue = Issue::new(0..old.source().len(), "what is renamed is a member: the path ends with its name");
            return Err(Ok(vec![issue]));
        };
        let Some((beside, called)) = target.split_last() else {
            return Err(Err(vec![Issue::new(0..new.len(), "this names no member").help("write the new name")]));
        };
        let new = if before == beside {
            New::Name(called.to_owned())
        } else if let (Some(_), Some(place)) = (old.plain(), target.plain()) {
            New::Place(place)
        } else {
            let issue = Issue::new(0..new.len(), "members found with `*` or an index keep their places");
            return Err(Err(vec![
                issue.help("repeat the path up to the name, as in `\"lines[*].sku\" = \"lines[*].code\"`"),
            ]));
        };
        Ok(Self { old, target, new })
    }

    /// The old path as written.
    pub fn old(&self) -> &str {
        self.old.source()
    }

    /// Whether another line leads to the same name.
    pub fn collides(&self, other: &Self) -> bool {
        self.target.segments() == other.target.segments()
    }
}

impl<'a> Draft<'a> {
    /// All lines together: each means the names as they are before, so that two can change places.
    pub(super) fn rename(&mut self, lines: &[Rename]) -> Result<(), EvalError> {
        let mut order: Vec<(usize, &Rename)> = lines.iter().enumerate().collect();
        // What stands deeper is found by the old names of what it stands in.
        order.sort_by_key(|(_, line)| std::cmp::Reverse(line.old.segments().len()));
        let mut moved: Vec<(usize, &Rename, &[String], Draft<'a>)> = Vec::new();
        for (n, line) in order {
            match (&line.new, line.old.plain()) {
                (New::Place(place), Some(old)) => {
                    moved.extend(self.take(&old).map(|value| (n, line, &place[..], value)));
                }
                (New::Name(name), _) => {
                    if let Some((before, old)) = line.old.split_last() {
                        self.name(before, old, name);
                    }
                }
                (New::Place(_), None) => {}
            }
        }
        moved.sort_by_key(|(n, ..)| *n);
        for (_, line, place, value) in moved {
            if self.has(place) {
                return Err(taken(line.old(), &place.join(".")));
            }
            self.put(place, value);
        }
        if lines.is_empty() { Ok(()) } else { self.settle(lines) }
    }

    /// Names the member `old` of everything the route means.
    fn name(&mut self, route: &[Segment], old: &str, new: &str) {
        self.open();
        match (self, route.split_first()) {
            (Self::Object(members), None) => {
                for member in members.iter_mut().filter(|member| !member.fresh && member.key.name() == old) {
                    member.key = Key::New(new.to_owned());
                    member.fresh = true;
                }
            }
            (Self::Object(members), Some((segment, rest))) => {
                let meant = members.iter_mut().filter(|member| !member.fresh && segment.names(&member.key.name()));
                meant.for_each(|member| member.value.name(rest, old, new));
            }
            (Self::List(items), Some((segment, rest))) => {
                let of = items.len();
                for (at, item) in items.iter_mut().enumerate() {
                    if segment.counts(at, of) {
                        item.name(rest, old, new);
                    }
                }
            }
            (Self::List(_), None) | (Self::Raw(_), _) => {}
        }
    }

    /// Refuses names that are taken twice now. Only what was taken apart can have changed.
    fn settle(&mut self, lines: &[Rename]) -> Result<(), EvalError> {
        match self {
            Self::Raw(_) => Ok(()),
            Self::List(items) => items.iter_mut().try_for_each(|item| item.settle(lines)),
            Self::Object(members) => {
                if unlike(members).is_err() {
                    let twice = members
                        .iter()
                        .filter(|member| member.fresh)
                        .find(|one| members.iter().filter(|other| other.key.name() == one.key.name()).count() > 1);
                    let name = twice.map(|member| member.key.name().into_owned()).unwrap_or_default();
                    let called = |line: &&Rename| matches!(&line.new, New::Name(new) if *new == name);
                    return Err(taken(lines.iter().find(called).map_or("", Rename::old), &name));
                }
                members.iter_mut().try_for_each(|member| {
                    member.fresh = false;
                    member.value.settle(lines)
                })
            }
        }
    }
}

fn taken(old: &str, new: &str) -> EvalError {
    EvalError::Type(format!(
        "`{}` cannot become `{}`: the record has that too; drop or rename it in a step before",
        shown(old),
        shown(new)
    ))
}
