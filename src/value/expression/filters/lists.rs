//! Filters that put lists and maps together, take them apart or group them.

use super::Evaluated;
use super::apply::Call;
use crate::value::expression::value::Value;
use crate::value::issue::EvalError;
use crate::value::json::Kind;
use std::borrow::Cow;
use std::cmp::Ordering;

/// The members of a map.
type Members<'a> = Vec<(Cow<'a, str>, Value<'a>)>;

impl<'a> Call<'_, '_, 'a> {
    /// How many an argument says, at least one.
    fn count(&self, n: usize) -> Result<usize, EvalError> {
        match self.argument(n)? {
            Some(Value::Int(count)) if count > 0 => Ok(usize::try_from(count).unwrap_or(usize::MAX)),
            Some(Value::Int(_)) => Err(self.wrong("wants a count of at least 1")),
            other => {
                let what = other.map_or("nothing", |other| other.type_name());
                Err(self.wrong(&format!("wants a whole number as its count, not {what}")))
            }
        }
    }

    fn says(&self, n: usize) -> Result<bool, EvalError> {
        Ok(self.argument(n)?.is_some_and(|value| value.is_true()))
    }

    /// Lists of so many items each; the last one is filled up where there is something to fill it with.
    pub(super) fn batch(&self) -> Evaluated<'a> {
        let (count, fill) = (self.count(0)?, self.argument(1)?);
        let items = self.list()?;
        let mut batches: Vec<Value<'a>> = Vec::new();
        let mut items = items.into_iter().peekable();
        while items.peek().is_some() {
            let mut batch: Vec<Value<'a>> = items.by_ref().take(count).collect();
            if let Some(fill) = &fill {
                let short = count - batch.len();
                self.e.spend(short)?;
                batch.extend(std::iter::repeat_n(fill, short).cloned());
            }
            batches.push(Value::List(batch));
        }
        Ok(Value::List(batches))
    }

    /// So many lists of about the same length; the longer ones come first, the others are filled up by one.
    pub(super) fn slice(&self) -> Evaluated<'a> {
        let (count, fill) = (self.count(0)?, self.argument(1)?);
        let items = self.list()?;
        self.e.spend(count)?;
        let (each, longer) = (items.len() / count, items.len() % count);
        let mut items = items.into_iter();
        let mut slices = Vec::with_capacity(count);
        for n in 0..count {
            let mut slice: Vec<Value<'a>> = items.by_ref().take(each + usize::from(n < longer)).collect();
            if n >= longer {
                slice.extend(fill.clone());
            }
            slices.push(Value::List(slice));
        }
        Ok(Value::List(slices))
    }

    /// The input and all arguments.
    fn all(&self) -> Result<Vec<Value<'a>>, EvalError> {
        let mut all = vec![self.present()?];
        for n in 0..self.arguments.len() {
            all.extend(self.argument(n)?);
        }
        Ok(all)
    }

    /// Lists one behind the other, or maps as one: of a repeated key the last one counts.
    pub(super) fn chain(&self) -> Evaluated<'a> {
        let all = self.all()?;
        if all.iter().all(|value| value.type_name() == "a map") {
            let mut merged: Members<'a> = Vec::new();
            for map in all {
                for (key, value) in members(map) {
                    self.e.spend(1 + merged.len() / 8)?;
                    match merged.iter_mut().find(|(known, _)| *known == key) {
                        Some(member) => member.1 = value,
                        None => merged.push((key, value)),
                    }
                }
            }
            return Ok(Value::Map(merged));
        }
        let mut joined = Vec::new();
        for list in all {
            let items = list.items().ok_or_else(|| {
                self.wrong(&format!("joins lists with lists and maps with maps, not {}", list.type_name()))
            })?;
            self.e.spend(items.len())?;
            joined.extend(items);
        }
        Ok(Value::List(joined))
    }

    /// Lists of the first items, the second ones and so on, as long as each list has one.
    pub(super) fn zip(&self) -> Evaluated<'a> {
        let mut lists = Vec::new();
        for list in self.all()? {
            let items = list.items().ok_or_else(|| self.wrong(&format!("takes lists, not {}", list.type_name())))?;
            self.e.spend(items.len())?;
            lists.push(items.into_iter());
        }
        let mut rows = Vec::new();
        while let Some(row) = lists.iter_mut().map(Iterator::next).collect::<Option<Vec<_>>>() {
            rows.push(Value::List(row));
        }
        Ok(Value::List(rows))
    }

    /// The members of a map as pairs, by key or value.
    pub(super) fn dictsort(&self) -> Evaluated<'a> {
        let by_value = match self.text_argument(1)?.as_deref() {
            None | Some("key") => false,
            Some("value") => true,
            Some(_) => return Err(self.wrong("sorts `by` \"key\" or \"value\"")),
        };
        let (exact, reverse) = (self.says(0)?, self.says(2)?);
        let mut keyed: Vec<_> = members(Value::Map(self.members()?))
            .into_iter()
            .map(|(key, value)| {
                let by = if by_value { value.clone() } else { Value::Text(key.clone()) };
                (folded(by, exact), Value::List(vec![Value::Text(key), value]))
            })
            .collect();
        self.arrange(&mut keyed, reverse)?;
        Ok(Value::List(keyed.into_iter().map(|(_, pair)| pair).collect()))
    }

    /// Pairs of what stands at the attribute and the items that have it there, sorted by it.
    pub(super) fn groupby(&self) -> Evaluated<'a> {
        let attribute = self.text_argument(0)?.unwrap_or_default();
        let (default, exact) = (self.argument(1)?, self.says(2)?);
        let mut keyed = Vec::new();
        for item in self.list()? {
            let key = match Self::key(&item, Some(&attribute), true) {
                Value::Undefined => default.clone().ok_or_else(|| self.without_attribute())?,
                key => key,
            };
            keyed.push((folded(key.clone(), exact), (key, item)));
        }
        self.arrange(&mut keyed, false)?;
        let mut groups: Vec<(Value<'a>, Value<'a>, Vec<Value<'a>>)> = Vec::new();
        for (key, (shown, item)) in keyed {
            match groups.last_mut() {
                Some((last, _, items)) if self.ordered(last, &key)? == Ordering::Equal => items.push(item),
                _ => groups.push((key, shown, vec![item])),
            }
        }
        Ok(Value::List(
            groups.into_iter().map(|(_, shown, items)| Value::List(vec![shown, Value::List(items)])).collect(),
        ))
    }

    /// Every line but the first behind so many spaces; empty lines stay empty.
    pub(super) fn indent(&self) -> Evaluated<'a> {
        let text = self.scalar()?;
        let width = match self.argument(0)? {
            None => 4,
            Some(Value::Int(width)) if width >= 0 => usize::try_from(width).unwrap_or(usize::MAX),
            Some(other) => return Err(self.wrong(&format!("wants a width, not {}", other.type_name()))),
        };
        let (first, blank) = (self.says(1)?, self.says(2)?);
        let ended = text.strip_suffix('\n').unwrap_or(&text);
        let lines = ended.strip_suffix('\r').unwrap_or(ended).split('\n');
        self.e.produce(lines.clone().count().saturating_mul(width).saturating_add(text.len()))?;
        let before = " ".repeat(width);
        let mut out = String::with_capacity(text.len());
        for (n, line) in lines.enumerate() {
            let empty = line.is_empty() || line == "\r";
            if n > 0 {
                out.push('\n');
            }
            if (n > 0 || first) && (!empty || blank) {
                out.push_str(&before);
            }
            out.push_str(line);
        }
        Ok(Value::Text(Cow::Owned(out)))
    }
}

/// The members of a map, raw or computed.
fn members(map: Value<'_>) -> Members<'_> {
    match map {
        Value::Map(members) => members,
        Value::Json(json) if json.kind() == Kind::Object => {
            json.members().map(|(key, value)| (key, Value::Json(value))).collect()
        }
        _ => Vec::new(),
    }
}

fn folded(key: Value<'_>, exact: bool) -> Value<'_> {
    match key.decoded() {
        Value::Text(text) if !exact => Value::Text(Cow::Owned(text.to_lowercase())),
        other => other,
    }
}
