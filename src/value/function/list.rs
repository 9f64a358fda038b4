//! Lists: taking apart, picking, sorting; and finding values by a path or in a table.

use super::{Call, Function, Outcome, numeral};
use crate::value::context::Root;
use crate::value::expression::{Place, Step, Value, follow, number, step_into};
use crate::value::issue::EvalError;
use crate::value::json::JsonRef;
use std::cmp::Ordering;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("after", "list: list, n: whole", |call| {
        let (mut items, n) = (call.list(0)?, call.count(1)?);
        items.drain(..n.min(items.len()));
        Ok(Value::List(items))
    })
    .says("the items behind the first `n`")
    .example(r#"[["a","b","c","d"],2]"#, "c,d"),
    Function::new("before", "list: list, n: whole", |call| {
        let (mut items, n) = (call.list(0)?, call.count(1)?);
        items.truncate(items.len().saturating_sub(n));
        Ok(Value::List(items))
    })
    .says("all items but the last `n`")
    .example(r#"[["a","b","c","d"],1]"#, "a,b,c"),
    Function::new("first", "list: list, n?: whole", |call| end(call, true))
        .says("the first item, or a list of the first `n`")
        .example(r#"[["a","b","c"]]"#, "a"),
    Function::new("last", "list: list, n?: whole", |call| end(call, false))
        .says("the last item, or a list of the last `n`")
        .example(r#"[["a","b","c"]]"#, "c"),
    Function::new("arrayify", "v: any", |call| {
        let value = call.value(0);
        Ok(match value.type_name() {
            "undefined" | "null" => Value::List(Vec::new()),
            "a list" => value,
            _ => Value::List(vec![value]),
        })
    })
    .tolerant()
    .says("a list: itself, of this one value, or empty for null and missing")
    .example(r#"["a"]"#, "a"),
    Function::new("pluck", "list: list, path: text", pluck)
        .says("of each item what stands at the dotted path; null where there is nothing")
        .example(r#"[[{"a":{"b":1}},{"a":{"b":2}}],"a.b"]"#, "1,2"),
    Function::new("sort", "list: list", sort)
        .named(&["number", "reverse"])
        .says("sorted as text, with `number=\"true\"` as numbers, with `reverse=\"true\"` the other way round")
        .example(r#"[["2","1","4"]]"#, "1,2,4"),
    Function::new("unique", "list: list", unique)
        .says("each value once, where it first stands")
        .example(r#"[["a","b","a"]]"#, "a,b"),
    Function::new("reverse", "v: any", reverse).says("text or a list backwards").example(r#"["abcde"]"#, "edcba"),
    Function::new("filter", "list: any, v: any, path?: text", filter)
        .tolerant()
        .says("the items that equal the value, or have it at the dotted path; nothing of what is no list; as a block once for each of them")
        .example(r#"[[{"t":"a","n":1},{"t":"b","n":2},{"t":"a","n":3}],"b","t"]"#, r#"{"t":"b","n":2}"#),
    Function::new("getValue", "path: text, default?: any", get_value)
        .says("what stands at the path that the text names, such as `\"record.a.b\"`; else the default")
        .tolerant()
        .example(r#"["record.nothing.here","x"]"#, "x"),
    Function::new("lookup", "name: any, value: any", lookup)
        .says("what the flow's `[tables.<name>]` has for the value, else the table's `default`; of a list or map its member")
        .example(r#"[{"California":"CA"},"California"]"#, "CA"),
];

fn end<'a>(call: &Call<'_, 'a>, first: bool) -> Outcome<'a> {
    let mut items = call.list(0)?;
    if call.given(1) {
        let n = call.count(1)?.min(items.len());
        return Ok(Value::List(if first { items.drain(..n).collect() } else { items.split_off(items.len() - n) }));
    }
    match if first { items.drain(..).next() } else { items.pop() } {
        Some(item) => Ok(item),
        None => call.nothing("finds an empty list"),
    }
}

/// `a.b[0].c`, as steps.
fn steps(path: &str) -> Vec<Step> {
    path.split(['.', '[', ']'])
        .filter(|name| !name.is_empty())
        .map(|name| match name.parse::<i64>() {
            Ok(n) if n >= 0 => Step::Either(name.into(), n),
            _ => Step::Member(name.into()),
        })
        .collect()
}

fn pluck<'a>(call: &Call<'_, 'a>) -> Outcome<'a> {
    let steps = steps(&call.text(1)?);
    let items = call.list(0)?;
    call.budget.spend(items.len().saturating_mul(steps.len()))?;
    let found = items.into_iter().map(|item| steps.iter().try_fold(item, step_into).unwrap_or(Value::Null)).collect();
    Ok(Value::List(found))
}

fn sort<'a>(call: &Call<'_, 'a>) -> Outcome<'a> {
    let mut items = call.list(0)?;
    call.budget.spend(items.len() * 4)?;
    if call.flag("number") {
        let mut keyed = Vec::with_capacity(items.len());
        for item in items {
            let key = call.as_number(&item).and_then(|n| number::as_float(&n));
            keyed.push((key.ok_or_else(|| call.wrong(0, "a list of numbers", &item))?, item));
        }
        keyed.sort_by(|a, b| a.0.partial_cmp(&b.0).unwrap_or(Ordering::Equal));
        items = keyed.into_iter().map(|(_, item)| item).collect();
    } else {
        items.sort_by_cached_key(|item| item.text().into_owned());
    }
    if call.flag("reverse") {
        items.reverse();
    }
    Ok(Value::List(items))
}

fn unique<'a>(call: &Call<'_, 'a>) -> Outcome<'a> {
    let mut seen = std::collections::HashSet::new();
    let mut kept = Vec::new();
    for item in call.list(0)? {
        let mut key = Vec::new();
        item.clone().decoded().write(&mut key)?;
        call.budget.produce(key.len())?;
        if seen.insert(key) {
            kept.push(item);
        }
    }
    Ok(Value::List(kept))
}

fn reverse<'a>(call: &Call<'_, 'a>) -> Outcome<'a> {
    if call.value(0).items().is_some() {
        let mut items = call.list(0)?;
        items.reverse();
        return Ok(Value::List(items));
    }
    let text = call.text(0)?;
    call.made(text.chars().rev().collect())
}

fn get_value<'a>(call: &Call<'_, 'a>) -> Outcome<'a> {
    let path = call.text(0)?;
    let steps = steps(&path);
    if steps.len() > 64 {
        return Err(EvalError::Limit("helper `getValue` takes at most 64 steps".to_owned()));
    }
    let root = match steps.first() {
        Some(Step::Member(name) | Step::Either(name, _)) => Root::by_name(name),
        _ => None,
    };
    let Some(root) = root else {
        return Err(call.refused("its path begins with a known name, such as `record`"));
    };
    let found = follow(call.ctx, root, &steps[1..]).map_or(Value::Undefined, Place::value);
    match found {
        found if !matches!(found, Value::Undefined) && !found.is_null() => Ok(found),
        _ if call.given(1) => Ok(call.value(1)),
        found if found.is_null() => Ok(found),
        _ => call.nothing("finds nothing there, and has no default"),
    }
}

fn filter<'a>(call: &Call<'_, 'a>) -> Outcome<'a> {
    let (list, wanted) = (call.value(0), call.value(1));
    let Some(items) = list.items() else { return Ok(Value::List(Vec::new())) };
    call.budget.spend(items.len())?;
    let path = if call.given(2) { Some(steps(&call.text(2)?)) } else { None };
    let mut kept = Vec::new();
    for item in items {
        let looked = match &path {
            None => Some(item.clone()),
            Some(steps) => steps.iter().try_fold(item.clone(), step_into),
        };
        if looked.is_some_and(|looked| super::logic::loosely_equal(&looked, &wanted)) {
            kept.push(item);
        }
    }
    Ok(Value::List(kept))
}

fn lookup<'a>(call: &Call<'_, 'a>) -> Outcome<'a> {
    let (name, value) = (call.value(0), call.value(1));
    if let "a list" | "a map" = name.type_name() {
        let key = super::plain(&value);
        let step = match numeral(&key) {
            Some(Value::Int(n)) => Step::Either(key.into(), i64::try_from(n).unwrap_or(i64::MAX)),
            _ => Step::Member(key.into()),
        };
        return step_into(name, &step).map_or_else(|| call.nothing("finds no such member"), Ok);
    }
    let name = call.text(0)?;
    let Some(table) = call.ctx.table(&name) else {
        return Err(call.refused(&format!("the flow has no `[tables.{name}]`")));
    };
    match table.get(&call.text(1)?) {
        Some(found) => Ok(Value::Json(JsonRef::trusted(found.text()))),
        None => call.nothing(&format!("finds no such row in `[tables.{name}]`, which has no `default`")),
    }
}
