//! Follows literal steps from a root. Shared with templates; finds a place in what is there, decodes nothing.

use super::ast::Step;
use super::value::Value;
use crate::value::context::{Context, Root, Slot};
use crate::value::json::{JsonRef, Kind};
use std::borrow::Cow;
use std::fmt::Write as _;

/// What stands at the end of some steps.
#[derive(Clone, Copy)]
pub(in crate::value) enum Place<'a> {
    /// Still among the slots of the context.
    Slot(Slot<'a>),
    /// Inside JSON text.
    Json(JsonRef<'a>),
}

/// What a path names; none when any step is absent.
#[inline]
pub(in crate::value) fn follow<'a>(ctx: &Context<'a>, root: Root, steps: &[Step]) -> Option<Place<'a>> {
    let mut place = Place::Slot(ctx.get(root));
    for step in steps {
        place = place.step(step)?;
    }
    if matches!(place, Place::Slot(Slot::None)) { None } else { Some(place) }
}

impl<'a> Place<'a> {
    /// One step on.
    #[inline]
    fn step(self, step: &Step) -> Option<Self> {
        match (self, step) {
            (Self::Slot(Slot::Record(record)), Step::Member(name)) => record.get(name).map(Self::Json),
            (Self::Json(json) | Self::Slot(Slot::Json(json)), step) => json_step(json, step).map(Self::Json),
            (Self::Slot(Slot::Record(record)), step) => json_step(record.json().as_ref(), step).map(Self::Json),
            (Self::Slot(Slot::Map(members)), Step::Member(name) | Step::Either(name, _)) => {
                members.iter().find(|(key, _)| *key == &**name).map(|(_, slot)| Self::Slot(*slot))
            }
            (Self::Slot(Slot::Headers(headers)), Step::Member(name) | Step::Either(name, _)) => headers
                .iter()
                .find(|(header, _)| header.eq_ignore_ascii_case(name))
                .map(|(_, value)| Self::Slot(Slot::Text(value))),
            (Self::Slot(Slot::Named(values)), Step::Member(name) | Step::Either(name, _)) => {
                values.iter().find(|(key, _)| *key == **name).map(|(_, value)| Self::Json(value.as_ref()))
            }
            (Self::Slot(Slot::Records(records)), Step::Index(n) | Step::Either(_, n)) => {
                records.get(position(*n, || records.len())?).map(|record| Self::Slot(Slot::Record(record)))
            }
            (Self::Slot(_), _) => None,
        }
    }

    /// As a value; JSON stays raw.
    pub(in crate::value) fn value(self) -> Value<'a> {
        match self {
            Self::Json(json) | Self::Slot(Slot::Json(json)) => Value::Json(json),
            Self::Slot(Slot::None) => Value::Undefined,
            Self::Slot(Slot::Record(record)) => Value::Json(record.json().as_ref()),
            Self::Slot(Slot::Records(records)) => {
                Value::List(records.iter().map(|record| Value::Json(record.json().as_ref())).collect())
            }
            Self::Slot(Slot::Headers(headers)) => Value::Map(
                headers
                    .iter()
                    .map(|(name, value)| (Cow::Borrowed(&**name), Value::Text(Cow::Borrowed(&**value))))
                    .collect(),
            ),
            Self::Slot(Slot::Named(values)) => Value::Map(
                values.iter().map(|(key, value)| (Cow::Borrowed(&**key), Value::Json(value.as_ref()))).collect(),
            ),
            Self::Slot(Slot::Text(text)) => Value::Text(Cow::Borrowed(text)),
            Self::Slot(Slot::Number(n)) => Value::Int(i128::from(n)),
            Self::Slot(Slot::Map(members)) => Value::Map(
                members
                    .iter()
                    .filter(|(_, slot)| !matches!(slot, Slot::None))
                    .map(|(key, slot)| (Cow::Borrowed(*key), Self::Slot(*slot).value()))
                    .collect(),
            ),
        }
    }
}

/// One step into a computed or raw value.
pub(in crate::value) fn step_into<'a>(value: Value<'a>, step: &Step) -> Option<Value<'a>> {
    match (value, step) {
        (Value::Json(json), step) => json_step(json, step).map(Value::Json),
        (Value::Map(members), Step::Member(name) | Step::Either(name, _)) => {
            members.into_iter().find(|(key, _)| **key == **name).map(|(_, value)| value)
        }
        (Value::List(mut items), Step::Index(n) | Step::Either(_, n)) => {
            let at = position(*n, || items.len())?;
            (at < items.len()).then(|| items.swap_remove(at))
        }
        _ => None,
    }
}

/// One literal step inside JSON.
#[inline]
pub(super) fn json_step<'a>(json: JsonRef<'a>, step: &Step) -> Option<JsonRef<'a>> {
    match step {
        Step::Member(name) => json.get(name),
        Step::Index(n) => json.at(position(*n, || json.items().count())?),
        Step::Either(name, n) => match json.kind() {
            Kind::Array => json.at(position(*n, || json.items().count())?),
            _ => json.get(name),
        },
    }
}

/// An index as written to a position; negative ones count from the end.
pub(super) fn position(index: i64, length: impl FnOnce() -> usize) -> Option<usize> {
    if index >= 0 {
        return usize::try_from(index).ok();
    }
    length().checked_sub(usize::try_from(index.unsigned_abs()).ok()?)
}

/// `x.length` of a text or list that has no such member of its own, as templates know it.
pub(in crate::value) fn length_of<'a>(
    steps: &[Step],
    walk: impl FnOnce(&[Step]) -> Option<Value<'a>>,
) -> Option<Value<'a>> {
    let (Step::Member(last), before) = steps.split_last()? else { return None };
    if &**last != "length" {
        return None;
    }
    let length = match walk(before)? {
        Value::Json(json) => match json.kind() {
            Kind::Text => json.as_str()?.encode_utf16().count(),
            Kind::Array => json.items().count(),
            _ => return None,
        },
        Value::Text(text) => text.encode_utf16().count(),
        Value::List(items) => items.len(),
        _ => return None,
    };
    i128::try_from(length).ok().map(Value::Int)
}

/// Names the first absent part of a path: "`record.customer` is missing".
pub(in crate::value) fn missing_name(ctx: &Context<'_>, root: Root, steps: &[Step]) -> String {
    let mut name = root.name().to_owned();
    let mut place = Place::Slot(ctx.get(root));
    if matches!(place, Place::Slot(Slot::None)) {
        return format!("`{name}` is not available here");
    }
    for step in steps {
        let before = name.clone();
        match step {
            Step::Member(member) | Step::Either(member, _) if is_plain(member) => {
                let _ = write!(name, ".{member}");
            }
            Step::Member(member) | Step::Either(member, _) => {
                let _ = write!(name, "[{member:?}]");
            }
            Step::Index(n) => {
                let _ = write!(name, "[{n}]");
            }
        }
        let Some(next) = place.step(step) else {
            return match place.value() {
                Value::Map(_) | Value::List(_) => format!("`{name}` is missing"),
                other => match other.type_name() {
                    "a map" | "a list" => format!("`{name}` is missing"),
                    kind => format!("`{name}` is missing: `{before}` is {kind}"),
                },
            };
        };
        place = next;
    }
    format!("`{name}` is missing")
}

fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_')
}
