//! Pages of parents: their records are shaped and kept like an export's, and their keys picked out.

use super::Trouble;
use crate::model::export::{Each, EachFrom, Export};
use crate::runtime::export::places::Entry;
use crate::runtime::export::shelf::Parents;
use crate::runtime::export::{Course, ReadError, Reader};
use crate::runtime::step::{self, with_record};
use crate::value::context::Context;
use crate::value::issue::EvalError;
use crate::value::json::{Json, JsonRef, Kind};
use crate::value::path::Path;
use crate::value::record::Record;
use crate::value::tree::Tree;
use std::sync::Arc;

/// Most bytes of a parent that is kept whole.
const MOST_RECORD: usize = 256 << 10;
/// Most bytes of a key.
const MOST_KEY: usize = 4 << 10;

/// Who read it, as far as that goes on, and what came.
type Read<'r> = (Option<Box<Reader<'r>>>, Result<Arc<Parents>, Trouble>);

/// Reads the next page of parents.
pub(super) async fn read<'r>(
    course: Course<'r>,
    mut reader: Box<Reader<'r>>,
    block: &'r Each,
    key: Option<&'r Path>,
    place: String,
) -> Read<'r> {
    let number = reader.page();
    let arrived = match reader.next().await {
        Ok(Some(arrived)) => arrived,
        Ok(None) => return (None, Ok(Arc::new(Parents { entries: Vec::new(), wrong: None, next: None }))),
        Err(error) => return (None, Err(Trouble { place: format!("{place} page {number}"), error })),
    };
    let now = course.scope.now();
    let ctx = arrived.page.origin.offer(course.context(&now));
    let (mut singles, mut wrong) = (Vec::new(), None);
    let judged = &arrived.judged;
    for (at, record) in arrived.page.records.iter().enumerate() {
        // What did not change since is left out; what cannot be said when it changed must not be.
        if judged.old.iter().any(|old| usize::try_from(*old) == Ok(at)) {
            continue;
        }
        if let Some((_, text)) = judged.faults.iter().find(|(index, _)| usize::try_from(*index) == Ok(at)) {
            wrong = Some(format!("page {number}, record {}: {text}", at + 1));
            break;
        }
        match entry(course.export, key, block.whole, record, &ctx) {
            Ok(Some(entry)) => singles.push(entry),
            Ok(None) => {}
            Err(error) => {
                wrong = Some(format!("page {number}, record {}: {error}", at + 1));
                break;
            }
        }
    }
    let entries = batched(singles, block);
    let next = Some(arrived.cursor).filter(|cursor| !cursor.is_over());
    let reader = next.is_some().then_some(reader);
    (reader, Ok(Arc::new(Parents { entries, wrong, next })))
}

/// The keys of a list of the configuration.
pub(super) fn listed(course: &Course<'_>, block: &Each) -> Result<Arc<Parents>, ReadError> {
    let computed;
    let values: Vec<JsonRef<'_>> = match &block.from {
        EachFrom::Values(values) => values.iter().map(Json::as_ref).collect(),
        EachFrom::Computed(expression) => {
            let now = course.scope.now();
            let json = Tree::Expression(expression.clone()).json(&course.context(&now)).map_err(|e| e.at("values"))?;
            computed = json.unwrap_or_else(|| Json::trusted("null"));
            if computed.as_ref().kind() != Kind::Array {
                let kind = computed.as_ref().kind().name();
                return Err(EvalError::Type(format!("values: the expression gives {kind}, not a list")).into());
            }
            computed.as_ref().items().collect()
        }
        EachFrom::Request { .. } => Vec::new(),
    };
    let (mut singles, mut wrong) = (Vec::new(), None);
    for (at, value) in values.into_iter().enumerate() {
        match fit(value) {
            Ok(key) => singles.push(Entry { record: block.whole.then(|| key.clone()), key }),
            Err(why) => {
                wrong = Some(format!("value {} {why}", at + 1));
                break;
            }
        }
    }
    Ok(Arc::new(Parents { entries: batched(singles, block), wrong, next: None }))
}

/// A parent record with its key; none when it is not kept.
fn entry(
    parent: &Export,
    key: Option<&Path>,
    whole: bool,
    record: &Record,
    ctx: &Context<'_>,
) -> Result<Option<Entry>, EvalError> {
    let shaped = match &parent.transform {
        Some(transform) => {
            step::transform(transform, record, &with_record(ctx, record)).map_err(|e| e.at("transform"))?
        }
        None => record.clone(),
    };
    if let Some(keep) = &parent.keep
        && !keep.test(&with_record(ctx, &shaped)).map_err(|e| e.at("keep"))?
    {
        return Ok(None);
    }
    let (found, source) = match key {
        Some(path) => (path.select_record(&shaped)?.first(), path.source()),
        None if shaped.json().as_ref().kind() == Kind::Object => (shaped.get("id"), "$.id"),
        None => (Some(shaped.json().as_ref()), "$"),
    };
    let remedy = "; nothing is asked for it: say where the key is with `key`, or leave such parents out with `keep`";
    let Some(found) = found else {
        return Err(EvalError::Missing(format!("the key `{source}` is missing{remedy}")));
    };
    let key = fit(found).map_err(|why| EvalError::Refused(format!("the key `{source}` {why}{remedy}")))?;
    let text = shaped.json().text();
    if whole && text.len() > MOST_RECORD {
        return Err(EvalError::Limit(format!(
            "the parent has {} bytes where {MOST_RECORD} can be carried along: name what is needed of it in \
             `transform.create`",
            text.len()
        )));
    }
    Ok(Some(Entry { key, record: whole.then(|| text.to_owned()) }))
}

/// A key as it is written, or what is wrong with it: what is no key must not become part of a request.
fn fit(value: JsonRef<'_>) -> Result<String, String> {
    match value.kind() {
        Kind::Text if value.text() == "\"\"" => Err("is an empty text".to_owned()),
        Kind::Text if value.text().len() > MOST_KEY => Err(format!("is longer than {MOST_KEY} bytes")),
        Kind::Number | Kind::Text => Ok(value.text().to_owned()),
        kind => Err(format!("is {}", kind.name())),
    }
}

/// Identical ones once, so many at a time.
fn batched(singles: Vec<Entry>, block: &Each) -> Vec<Entry> {
    let mut seen = std::collections::HashSet::new();
    let once: Vec<Entry> = singles.into_iter().filter(|entry| seen.insert(entry.clone())).collect();
    let Some(size) = block.batch else { return once };
    let list = |texts: Vec<&str>| format!("[{}]", texts.join(","));
    let chunks = once.chunks(size.get() as usize);
    let batch = |chunk: &[Entry]| Entry {
        key: list(chunk.iter().map(|entry| entry.key.as_str()).collect()),
        record: block.whole.then(|| list(chunk.iter().filter_map(|entry| entry.record.as_deref()).collect())),
    };
    chunks.map(batch).collect()
}
