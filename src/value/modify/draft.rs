//! A record while it is changed: taken apart only where a change leads, everything else stays the text it was.

use super::route::{Route, Segment};
use super::{Budget, shown};
use crate::value::issue::EvalError;
use crate::value::json::{JsonRef, Kind, RawMembers, unescape, write_string};
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

/// A value under change.
#[derive(Debug, Clone)]
pub(super) enum Draft<'a> {
    /// Not taken apart.
    Raw(JsonRef<'a>),
    /// An object taken apart.
    Object(Vec<Member<'a>>),
    /// A list taken apart.
    List(Vec<Draft<'a>>),
}

/// One member of an object taken apart.
#[derive(Debug, Clone)]
pub(super) struct Member<'a> {
    pub(super) key: Key<'a>,
    pub(super) value: Draft<'a>,
    /// Named by the `rename` under way: its other lines do not mean it.
    pub(super) fresh: bool,
}

/// A name: as it stands in the record, or a new one.
#[derive(Debug, Clone)]
pub(super) enum Key<'a> {
    /// Without its quotes, and whether it holds escapes.
    Raw(&'a str, bool),
    New(String),
}

impl Key<'_> {
    pub(super) fn name(&self) -> Cow<'_, str> {
        match self {
            Self::Raw(raw, true) => unescape(raw),
            Self::Raw(raw, false) => Cow::Borrowed(raw),
            Self::New(name) => Cow::Borrowed(name),
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Raw(raw, _) => {
                out.push(b'"');
                out.extend_from_slice(raw.as_bytes());
                out.push(b'"');
            }
            Self::New(name) => write_string(out, name),
        }
    }
}

impl<'a> Draft<'a> {
    pub(super) fn of(json: JsonRef<'a>) -> Self {
        Self::Raw(json)
    }

    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::Raw(json) => json.kind(),
            Self::Object(_) => Kind::Object,
            Self::List(_) => Kind::Array,
        }
    }

    /// Takes an object or list apart, one level.
    pub(super) fn open(&mut self) {
        let Self::Raw(json) = *self else { return };
        match json.kind() {
            Kind::Object => *self = Self::Object(members(json)),
            Kind::Array => *self = Self::List(json.items().map(Self::Raw).collect()),
            _ => {}
        }
    }

    /// The members of an object, taken apart; none for other kinds.
    pub(super) fn members(&mut self) -> Option<&mut Vec<Member<'a>>> {
        self.open();
        match self {
            Self::Object(members) => Some(members),
            _ => None,
        }
    }

    /// Removes what a route means. What is not there is no mistake: it is not there afterwards either.
    pub(super) fn remove(&mut self, route: &[Segment]) {
        let Some((segment, rest)) = route.split_first() else { return };
        self.open();
        match self {
            Self::Object(members) if rest.is_empty() => members.retain(|member| !segment.names(&member.key.name())),
            Self::Object(members) => {
                let meant = members.iter_mut().filter(|member| segment.names(&member.key.name()));
                meant.for_each(|member| member.value.remove(rest));
            }
            Self::List(items) => {
                let (mut at, of) = (0, items.len());
                items.retain_mut(|item| {
                    at += 1;
                    let meant = segment.counts(at - 1, of);
                    if meant && !rest.is_empty() {
                        item.remove(rest);
                    }
                    !(meant && rest.is_empty())
                });
            }
            Self::Raw(_) => {}
        }
    }

    /// Puts a value at a place; objects on the way are made where something else stands or nothing.
    pub(super) fn put(&mut self, place: &[String], value: Self) {
        let Some((name, rest)) = place.split_first() else {
            *self = value;
            return;
        };
        if self.kind() != Kind::Object {
            *self = Self::Object(Vec::new());
        }
        let Some(members) = self.members() else { return };
        if let Some(member) = members.iter_mut().find(|member| member.key.name() == name.as_str()) {
            return member.value.put(rest, value);
        }
        let mut new = Self::Object(Vec::new());
        new.put(rest, value);
        members.push(Member { key: Key::New(name.clone()), value: new, fresh: false });
    }

    /// Takes the member at a place of plain names out.
    pub(super) fn take(&mut self, place: &[String]) -> Option<Self> {
        let (name, rest) = place.split_first()?;
        let members = self.members()?;
        let at = members.iter().position(|member| !member.fresh && member.key.name() == name.as_str())?;
        if rest.is_empty() { Some(members.remove(at).value) } else { members.get_mut(at)?.value.take(rest) }
    }

    /// Whether something stands at a place of plain names.
    pub(super) fn has(&mut self, place: &[String]) -> bool {
        let Some((name, rest)) = place.split_first() else { return true };
        let Some(members) = self.members() else { return false };
        members.iter_mut().any(|member| member.key.name() == name.as_str() && member.value.has(rest))
    }

    /// Moves the members of the object at a place to the top, where the object stood if it stood there.
    pub(super) fn lift(&mut self, route: &Route, missing_is_empty: bool) -> Result<(), EvalError> {
        let place = route.plain().unwrap_or_default();
        let top = place.first().cloned().unwrap_or_default();
        let at = self.members().and_then(|members| members.iter().position(|member| member.key.name() == top.as_str()));
        let Some(mut found) = self.take(&place) else {
            let message = || format!("`{}` is missing", route.source());
            return if missing_is_empty { Ok(()) } else { Err(EvalError::Missing(message())) };
        };
        let lifted = match (found.kind(), found.members()) {
            (_, Some(members)) => std::mem::take(members),
            (Kind::Null, _) => Vec::new(),
            (kind, _) => {
                let message = format!("`{}` is {}; the members of objects are lifted", route.source(), kind.name());
                return Err(EvalError::Type(message));
            }
        };
        let Some(members) = self.members() else { return Ok(()) };
        let at = at.filter(|_| place.len() == 1).unwrap_or(members.len());
        members.splice(at..at, lifted);
        unlike(members)
    }

    /// Writes it. Names and values that were not changed are written byte for byte.
    pub(super) fn write(&self, out: &mut Vec<u8>, budget: &Budget) -> Result<(), EvalError> {
        match self {
            Self::Raw(json) => out.extend_from_slice(json.text().as_bytes()),
            Self::Object(members) => {
                out.push(b'{');
                for (n, member) in members.iter().enumerate() {
                    if n > 0 {
                        out.push(b',');
                    }
                    member.key.write(out);
                    out.push(b':');
                    member.value.write(out, budget)?;
                }
                out.push(b'}');
            }
            Self::List(items) => {
                out.push(b'[');
                for (n, item) in items.iter().enumerate() {
                    if n > 0 {
                        out.push(b',');
                    }
                    item.write(out, budget)?;
                }
                out.push(b']');
            }
        }
        budget.written(out.len())
    }
}

/// The members of an object in order; of a name that repeats the last one counts.
fn members(json: JsonRef<'_>) -> Vec<Member<'_>> {
    let mut found: Vec<Option<Member<'_>>> = Vec::new();
    let mut places: HashMap<Cow<'_, str>, usize> = HashMap::new();
    for raw in RawMembers::of(json.text()) {
        if let Some(before) = places.insert(raw.key(), found.len())
            && let Some(before) = found.get_mut(before)
        {
            *before = None;
        }
        let key = Key::Raw(raw.raw_key, raw.escaped);
        found.push(Some(Member { key, value: Draft::Raw(raw.value), fresh: false }));
    }
    found.into_iter().flatten().collect()
}

/// Refuses members of one name.
pub(super) fn unlike(members: &[Member<'_>]) -> Result<(), EvalError> {
    let mut seen = HashSet::with_capacity(members.len());
    for member in members {
        if !seen.insert(member.key.name()) {
            let name = member.key.name();
            return Err(EvalError::Type(format!("two members would be named `{}`", shown(&name))));
        }
    }
    Ok(())
}
