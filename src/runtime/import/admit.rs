//! What an import makes of a record before it joins a batch: whether it is written at all, how, and its keys. Each is
//! rendered once.

use super::{Item, Road};
use crate::model::import::Way;
use crate::value::context::Context;
use crate::value::issue::EvalError;
use crate::value::json::{JsonRef, Kind};
use crate::value::template::Template;
use crate::value::tree::Tree;

impl Road<'_> {
    /// Whether the import has anything to do with a record (`when`).
    pub fn concerns(&self, item: &Item, ctx: &Context<'_>) -> Result<bool, EvalError> {
        let Some(when) = &self.import.when else { return Ok(true) };
        let ctx = self.lane.client.context(*ctx);
        when.test(&item.offer(&ctx)).map_err(|error| error.at("when"))
    }

    /// Finds out how a record is written, and renders its keys. An error belongs to this record alone.
    pub fn admit(&self, item: &mut Item, ctx: &Context<'_>) -> Result<(), EvalError> {
        let import = self.import;
        let ctx = self.lane.client.context(*ctx);
        let ctx = item.offer(&ctx);
        let key = match (&item.key, &import.idempotency_key) {
            (None, Some(template)) => Some(key(template, &ctx)?),
            _ => None,
        };
        let lock = import.lock_key.as_ref().map(|template| lock(template, &ctx)).transpose()?.flatten();
        let there = import.upsert.as_ref().map(|upsert| is_there(&upsert.exists, &ctx)).transpose()?;
        if key.is_some() {
            item.key = key;
        }
        item.lock = lock.map(Into::into);
        item.way = if there == Some(true) { Way::Update } else { Way::Create };
        Ok(())
    }
}

fn key(template: &Template, ctx: &Context<'_>) -> Result<Box<str>, EvalError> {
    let mut key = String::new();
    template.render(ctx, &mut key).map_err(|error| error.at("idempotency_key"))?;
    if key.trim().is_empty() {
        return Err(EvalError::Refused("idempotency_key: the key is empty".to_owned()));
    }
    Ok(key.into_boxed_str())
}

/// An empty key locks nothing: records without a customer do not wait for each other.
fn lock(template: &Template, ctx: &Context<'_>) -> Result<Option<String>, EvalError> {
    let mut key = String::new();
    template.render(ctx, &mut key).map_err(|error| error.at("lock_key"))?;
    Ok(Some(key).filter(|key| !key.is_empty()))
}

/// `upsert.exists`: present and not empty.
fn is_there(exists: &Tree, ctx: &Context<'_>) -> Result<bool, EvalError> {
    match exists.json(ctx) {
        Ok(Some(value)) => Ok(!is_empty(value.as_ref())),
        Ok(None) => Ok(false),
        Err(error) if error.is_missing() => Ok(false),
        Err(error) => Err(error.at("upsert.exists")),
    }
}

/// null, `""`, `[]` and `{}`; 0 and false say something.
fn is_empty(value: JsonRef<'_>) -> bool {
    match value.kind() {
        Kind::Null => true,
        Kind::Text => value.as_str().is_none_or(|text| text.is_empty()),
        Kind::Array => value.items().next().is_none(),
        Kind::Object => value.members().next().is_none(),
        Kind::Bool | Kind::Number => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::context::{Root, Slot};
    use crate::value::json::Json;
    use crate::value::record::Record;
    use crate::value::template::Place;

    fn there(exists: &str, record: &str) -> Result<bool, EvalError> {
        let record = Record::new(Json::parse(record).unwrap());
        is_there(&Tree::leaf(exists).unwrap(), &Context::new().with(Root::Record, Slot::Record(&record)))
    }

    #[test]
    fn present_and_not_empty_is_there() {
        for (record, expected) in [
            (r#"{"erp_id":"E1"}"#, true),
            (r#"{"erp_id":0}"#, true),
            (r#"{"erp_id":false}"#, true),
            (r#"{"erp_id":{"a":null}}"#, true),
            (r#"{"erp_id":" "}"#, true),
            (r#"{"erp_id":""}"#, false),
            (r#"{"erp_id":null}"#, false),
            (r#"{"erp_id":[]}"#, false),
            (r#"{"erp_id":{ }}"#, false),
            ("{}", false),
            ("[1]", false),
        ] {
            assert_eq!(there("$.erp_id", record), Ok(expected), "{record}");
        }
        assert_eq!(there("= record.a.b.c", "{}"), Ok(false));
        assert_eq!(there("= record.n > 1", r#"{"n":2}"#), Ok(true));
        assert!(there("= record.n > 1", r#"{"n":"2"}"#).is_err());
    }

    #[test]
    fn an_empty_lock_key_locks_nothing() {
        let template = Template::compile("{{record.c}}", Place::Plain).unwrap();
        let lock = |record: &str| {
            let record = Record::new(Json::parse(record).unwrap());
            lock(&template, &Context::new().with(Root::Record, Slot::Record(&record)))
        };
        assert_eq!(lock(r#"{"c":7}"#).unwrap().as_deref(), Some("7"));
        assert_eq!(lock(r#"{"c":null}"#), Ok(None));
        assert!(lock("{}").unwrap_err().to_string().starts_with("lock_key: "));
    }
}
