//! Filters of lists and maps, and of words.

use super::Evaluated;
use super::apply::Call;
use crate::value::expression::ast::Step;
use crate::value::expression::eval::Evaluation;
use crate::value::expression::value::Value;
use crate::value::expression::walk::step_into;
use crate::value::issue::EvalError;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use std::borrow::Cow;
use std::cmp::Ordering;

/// All but the unreserved characters (`~` aside) and `/`.
const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'.').remove(b'-').remove(b'_');

impl<'a> Call<'_, '_, 'a> {
    pub(super) fn list_of(&self) -> Evaluated<'a> {
        let value = self.present()?.decoded();
        match &value {
            Value::Text(text) => {
                self.e.spend(text.len())?;
                Ok(Value::List(text.chars().map(|c| Value::Text(Cow::Owned(c.to_string()))).collect()))
            }
            value if value.type_name() == "a map" => {
                Ok(Value::List(self.members()?.into_iter().map(|(key, _)| Value::Text(key)).collect()))
            }
            _ => self.list().map(Value::List),
        }
    }

    pub(super) fn members(&self) -> Result<Vec<(Cow<'a, str>, Value<'a>)>, EvalError> {
        let members = match self.present()? {
            Value::Map(members) => members,
            Value::Json(json) if json.members().next().is_some() || json.text().starts_with('{') => {
                json.members().map(|(key, value)| (key, Value::Json(value))).collect()
            }
            other => return Err(self.refuses(&other)),
        };
        self.e.spend(members.len())?;
        Ok(members)
    }

    pub(super) fn items(&self) -> Evaluated<'a> {
        let pair = |(key, value)| Value::List(vec![Value::Text(key), value]);
        Ok(Value::List(self.members()?.into_iter().map(pair).collect()))
    }

    pub(super) fn lines(&self) -> Evaluated<'a> {
        let text = self.scalar()?;
        self.e.spend(text.lines().count())?;
        Ok(Value::List(text.lines().map(|line| Value::Text(Cow::Owned(line.to_owned()))).collect()))
    }

    pub(super) fn reverse(&self) -> Evaluated<'a> {
        let value = self.present()?.decoded();
        if let Value::Text(text) = &value {
            self.e.produce(text.len())?;
            return Ok(Value::Text(Cow::Owned(text.chars().rev().collect())));
        }
        let mut items = self.list()?;
        items.reverse();
        Ok(Value::List(items))
    }

    /// The key an item is ordered and told apart by.
    pub(super) fn key(item: &Value<'a>, attribute: Option<&str>, exact: bool) -> Value<'a> {
        let names = attribute.into_iter().flat_map(|path| path.split('.'));
        let mut steps = names.map(|name| match name.parse() {
            Ok(n) => Step::Either(name.into(), n),
            Err(_) => Step::Member(name.into()),
        });
        let found = steps.try_fold(item.clone(), |value, step| step_into(value, &step));
        match found.unwrap_or(Value::Undefined).decoded() {
            Value::Text(text) if !exact => Value::Text(Cow::Owned(text.to_lowercase())),
            other => other,
        }
    }

    /// The items, or of each what stands at the attribute that this argument names.
    pub(super) fn attributed(&self, attribute: usize) -> Result<Vec<Value<'a>>, EvalError> {
        let Some(path) = self.text_argument(attribute)? else { return self.list() };
        let mut found = Vec::new();
        for item in self.list()? {
            match Self::key(&item, Some(&path), true) {
                Value::Undefined => return Err(self.without_attribute()),
                value => found.push(value),
            }
        }
        Ok(found)
    }

    pub(super) fn without_attribute(&self) -> EvalError {
        EvalError::Missing(self.wrong("finds an item without that attribute").to_string())
    }

    pub(super) fn keyed(
        &self,
        attribute: usize,
        exact: Option<usize>,
    ) -> Result<Vec<(Value<'a>, Value<'a>)>, EvalError> {
        let attribute = self.text_argument(attribute)?;
        let exact = match exact {
            Some(n) => self.argument(n)?.is_some_and(|value| value.is_true()),
            None => true,
        };
        let items = self.list()?;
        self.e.spend(items.len() * 4)?;
        Ok(items.into_iter().map(|item| (Self::key(&item, attribute.as_deref(), exact), item)).collect())
    }

    pub(super) fn sort(&self) -> Evaluated<'a> {
        let mut keyed = self.keyed(2, Some(1))?;
        let reverse = self.argument(0)?.is_some_and(|value| value.is_true());
        self.arrange(&mut keyed, reverse)?;
        Ok(Value::List(keyed.into_iter().map(|(_, item)| item).collect()))
    }

    /// Sorts by the keys; those of one rank keep their order.
    pub(super) fn arrange<T>(&self, keyed: &mut [(Value<'a>, T)], reverse: bool) -> Result<(), EvalError> {
        self.e.spend(keyed.len() * 4)?;
        let mut failed = None;
        keyed.sort_by(|(a, _), (b, _)| {
            let order = if reverse { self.ordered(b, a) } else { self.ordered(a, b) };
            order.unwrap_or_else(|error| {
                failed = Some(error);
                Ordering::Equal
            })
        });
        failed.map_or(Ok(()), Err)
    }

    pub(super) fn unique(&self) -> Evaluated<'a> {
        let mut seen = std::collections::HashSet::new();
        let mut kept = Vec::new();
        for (key, item) in self.keyed(1, Some(0))? {
            let mut written = Vec::new();
            if !matches!(key, Value::Undefined) {
                key.write(&mut written)?;
            }
            self.e.produce(written.len())?;
            if seen.insert(written) {
                kept.push(item);
            }
        }
        Ok(Value::List(kept))
    }

    pub(super) fn extreme(&self, wanted: Ordering) -> Evaluated<'a> {
        let mut best: Option<(Value<'a>, Value<'a>)> = None;
        for (key, item) in self.keyed(1, Some(0))? {
            let better = match &best {
                None => true,
                Some((best, _)) => self.ordered(&key, best)? == wanted,
            };
            if better {
                best = Some((key, item));
            }
        }
        Ok(best.map_or(Value::Undefined, |(_, item)| item))
    }

    /// The order of two keys.
    pub(super) fn ordered(&self, a: &Value<'a>, b: &Value<'a>) -> Result<Ordering, EvalError> {
        let unlike = || self.wrong(&format!("finds no order between {} and {}", a.type_name(), b.type_name()));
        Evaluation::order(a, b).ok_or_else(unlike)
    }

    /// `map(attribute="a.b")`: of each item what stands there; the default where nothing does.
    pub(super) fn map(&self) -> Evaluated<'a> {
        let Some(attribute) = self.text_argument(0)? else {
            return Err(self.wrong("lacks its argument `attribute`"));
        };
        let default = self.argument(1)?;
        let mut found = Vec::new();
        for item in self.list()? {
            match Self::key(&item, Some(&attribute), true) {
                Value::Undefined => match &default {
                    Some(default) => found.push(default.clone()),
                    None => return Err(self.without_attribute()),
                },
                value => found.push(value),
            }
        }
        Ok(Value::List(found))
    }

    pub(super) fn urlencode(&self) -> Evaluated<'a> {
        let text = self.scalar()?;
        self.e.produce(text.len() * 3)?;
        Ok(Value::Text(Cow::Owned(utf8_percent_encode(&text, PATH).to_string())))
    }

    pub(super) fn tojson(&self) -> Evaluated<'a> {
        let mut out = Vec::new();
        self.present()?.write(&mut out)?;
        self.e.produce(out.len())?;
        Ok(Value::Text(Cow::Owned(String::from_utf8(out).unwrap_or_default())))
    }
}

/// The first letter as a capital, the others small.
pub(super) fn capitalize(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|c| c.to_uppercase().collect::<String>() + &chars.as_str().to_lowercase()).unwrap_or_default()
}

/// As `capitalize`, for each word.
pub(super) fn title(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut begins = true;
    for c in text.chars() {
        if c.is_whitespace() || "-({[<".contains(c) {
            out.push(c);
            begins = true;
        } else if begins {
            out.extend(c.to_uppercase());
            begins = false;
        } else {
            out.extend(c.to_lowercase());
        }
    }
    out
}
