//! Types and conditions. Those that answer yes or no also open blocks: `{{#compare a "==" b}} … {{/compare}}`.

use super::{Call, Function, Outcome, plain};
use crate::value::expression::{Value, number, same_number};
use crate::value::issue::EvalError;
use std::borrow::Cow;
use std::cmp::Ordering;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("default", "v: any, fallback: any", |call| {
        Ok(call.value(usize::from(!call.given(0))))
    })
    .tolerant()
    .says("the value; the fallback where it is missing or null")
    .example(r#"[null,"x"]"#, "x"),
    Function::new("eq", "a: any, b: any", |call| yes(call, |a, b| Ok(loosely_equal(a, b))))
        .tolerant()
        .says("whether both are equal; a number equals its text, null equals missing")
        .example(r#"[5,"5"]"#, "true"),
    Function::new("typeOf", "v: any", |call| {
        Ok(Value::Text(Cow::Borrowed(match call.value(0).type_name() {
            "undefined" => "undefined",
            "a truth value" => "boolean",
            "a number" => "number",
            "text" => "string",
            "a list" => "array",
            _ => "object",
        })))
    })
    .tolerant()
    .says("`string`, `number`, `boolean`, `array`, `object` (null too) or `undefined`")
    .example("[[1]]", "array"),
    Function::new("isTruthy", "v: any", |call| Ok(Value::Bool(js_truthy(&call.value(0)))))
        .block()
        .says("no for missing, null, false, 0 and `\"\"`, else yes")
        .example(r#"["a"]"#, "true"),
    Function::new("isFalsey", "v: any", |call| Ok(Value::Bool(!js_truthy(&call.value(0)))))
        .block()
        .says("the opposite")
        .example(r#"[""]"#, "true"),
    Function::new("hasOwn", "map: any, key: text", |call| {
        let step = crate::value::expression::Step::Member(call.text(1)?.as_ref().into());
        Ok(Value::Bool(crate::value::expression::step_into(call.value(0), &step).is_some()))
    })
    .block()
    .says("whether the map has a member of this name")
    .example(r#"[{"a":null},"a"]"#, "true"),
    Function::new("hasNoItems", "collection: any", |call| Ok(Value::Bool(is_empty(&call.value(0)))))
        .block()
        .says("whether a list, map or text is empty; what is none of them counts as empty")
        .example("[[]]", "true"),
    Function::new("isEmpty", "collection: any", |call| Ok(Value::Bool(is_empty(&call.value(0)))))
        .block()
        .says("as `hasNoItems`")
        .example("[[1]]", "false"),
    Function::new("compare", "a: any, operator: text, b: any", compare)
        .block()
        .checked(check_operator)
        .says("`==`, `!=` (a number equals its text), `===`, `!==`, `<`, `>`, `<=`, `>=`; two texts are ordered as text")
        .example(r#"["50",">","100"]"#, "true"),
    Function::new("contains", "collection: any, v: any", |call| yes_with(call, contains))
        .block()
        .says("whether a text has this part, or a list this item")
        .example(r#"[["a","b"],"b"]"#, "true"),
    Function::new("inArray", "list: any, v: any", |call| {
        let is_list = call.value(0).type_name() == "a list";
        yes_with(call, |call, a, b| Ok(is_list && contains(call, a, b)?))
    })
    .block()
    .says("whether the list has this item; no for what is no list")
    .example(r#"["ab","a"]"#, "false"),
    Function::new("and", "a: any, b: any", |call| yes(call, |a, b| Ok(js_truthy(a) && js_truthy(b))))
        .block()
        .says("whether both are true; `[]` is")
        .example(r#"[1,"a"]"#, "true"),
    Function::new("or", "a: any, b: any", |call| yes(call, |a, b| Ok(js_truthy(a) || js_truthy(b))))
        .block()
        .says("whether either is true")
        .example(r#"[0,"a"]"#, "true"),
    Function::new("neither", "a: any, b: any", |call| yes(call, |a, b| Ok(!js_truthy(a) && !js_truthy(b))))
        .block()
        .says("whether neither is true")
        .example(r#"[0,""]"#, "true"),
    Function::new("not", "v: any", |call| Ok(Value::Bool(!js_truthy(&call.value(0)))))
        .block()
        .says("whether it is not true")
        .example("[false]", "true"),
    Function::new("ifEven", "n: number", |call| Ok(Value::Bool(call.given(0) && call.float(0)? % 2.0 == 0.0)))
        .block()
        .says("whether the number is even")
        .example("[4]", "true"),
    Function::new("some", "list: any, test: text", some)
        .block()
        .checked(check_test)
        .says("whether an item passes `isTruthy`, `isFalsy`, `isArray`, `isString`, `isObject`, `isNumber` or `isBoolean`")
        .example(r#"[[1,"a"],"isString"]"#, "true"),
    Function::new("startsWith", "prefix: text, s: text", |call| {
        Ok(Value::Bool(call.given(1) && call.text(1)?.starts_with(&*call.text(0)?)))
    })
    .block()
    .says("whether the text begins with the prefix, which comes first")
    .example(r#"["ab","abc"]"#, "true"),
];

/// JavaScript's truth: all but missing, null, false, 0 and "".
fn js_truthy(value: &Value<'_>) -> bool {
    value.type_name() == "a list" || value.type_name() == "a map" || value.is_true()
}

fn yes<'a>(call: &Call<'_, 'a>, test: fn(&Value<'a>, &Value<'a>) -> Result<bool, EvalError>) -> Outcome<'a> {
    test(&call.value(0), &call.value(1)).map(Value::Bool)
}

fn yes_with<'a>(
    call: &Call<'_, 'a>,
    test: impl Fn(&Call<'_, 'a>, &Value<'a>, &Value<'a>) -> Result<bool, EvalError>,
) -> Outcome<'a> {
    test(call, &call.value(0), &call.value(1)).map(Value::Bool)
}

fn is_empty(value: &Value<'_>) -> bool {
    match value.type_name() {
        "a list" | "a map" | "text" => !value.is_true(),
        _ => true,
    }
}

/// `5` equals `"5"`, null equals missing; lists and maps by their parts.
pub(super) fn loosely_equal(a: &Value<'_>, b: &Value<'_>) -> bool {
    match (a.type_name(), b.type_name()) {
        ("undefined" | "null", "undefined" | "null") => true,
        ("text" | "a number", "a number") | ("a number", "text") => same_number(&a.text(), &b.text()),
        (left, right) if left != right => false,
        ("a list" | "a map", _) => a.text() == b.text() || same_parts(a, b),
        _ => a.text() == b.text(),
    }
}

fn same_parts(a: &Value<'_>, b: &Value<'_>) -> bool {
    let (Ok(a), Ok(b)) = (serde_json::from_str(&a.text()), serde_json::from_str::<serde_json::Value>(&b.text())) else {
        return false;
    };
    let (a, b): (serde_json::Value, _) = (a, b);
    a == b
}

fn check_operator(n: usize, text: &str) -> Result<(), String> {
    let known = matches!(text, "==" | "!=" | "===" | "!==" | "<" | ">" | "<=" | ">=");
    if n == 1 && !known {
        return Err("the operator is `==`, `!=`, `===`, `!==`, `<`, `>`, `<=` or `>=`".to_owned());
    }
    Ok(())
}

fn compare<'a>(call: &Call<'_, 'a>) -> Outcome<'a> {
    let (a, operator, b) = (call.value(0), call.text(1)?, call.value(2));
    let (left, right) = (a.type_name(), b.type_name());
    let strictly = || left == right && loosely_equal(&a, &b);
    let holds = match &*operator {
        "==" => loosely_equal(&a, &b),
        "!=" => !loosely_equal(&a, &b),
        "===" => strictly(),
        "!==" => !strictly(),
        other => {
            check_operator(1, other).map_err(|why| call.refused(&why))?;
            let order = order(call, &a, &b)?;
            match other {
                "<" => order.is_lt(),
                ">" => order.is_gt(),
                "<=" => order.is_le(),
                _ => order.is_ge(),
            }
        }
    };
    Ok(Value::Bool(holds))
}

/// Texts as text, else both as numbers.
fn order<'a>(call: &Call<'_, 'a>, a: &Value<'a>, b: &Value<'a>) -> Result<Ordering, EvalError> {
    if matches!((a.type_name(), b.type_name()), ("undefined", _) | (_, "undefined")) && !call.ctx.missing_is_empty() {
        return Err(EvalError::Missing("helper `compare`: there is no order with what is missing".to_owned()));
    }
    if (a.type_name(), b.type_name()) == ("text", "text") {
        return Ok(a.text().as_ref().cmp(b.text().as_ref()));
    }
    let numbers = call.as_number(a).zip(call.as_number(b));
    let order = match &numbers {
        Some((Value::Int(a), Value::Int(b))) => Some(a.cmp(b)),
        Some((a, b)) => number::as_float(a).zip(number::as_float(b)).and_then(|(a, b)| a.partial_cmp(&b)),
        None => None,
    };
    order
        .ok_or_else(|| call.refused(&format!("there is no order between {} and {} here", a.type_name(), b.type_name())))
}

fn contains<'a>(call: &Call<'_, 'a>, collection: &Value<'a>, wanted: &Value<'a>) -> Result<bool, EvalError> {
    if let Some(items) = collection.items() {
        call.budget.spend(items.len())?;
        return Ok(items.iter().any(|item| loosely_equal(item, wanted)));
    }
    match (collection.type_name(), wanted.type_name()) {
        ("text" | "a number", "text" | "a number" | "a truth value") => Ok(plain(collection).contains(&*plain(wanted))),
        _ => Ok(false),
    }
}

const TESTS: &[&str] = &["isFalsy", "isTruthy", "isArray", "isString", "isObject", "isNumber", "isBoolean"];

fn check_test(n: usize, text: &str) -> Result<(), String> {
    if n == 1 && !TESTS.contains(&text) { Err(format!("the test is one of {}", TESTS.join(", "))) } else { Ok(()) }
}

fn some<'a>(call: &Call<'_, 'a>) -> Outcome<'a> {
    let test = call.text(1)?;
    check_test(1, &test).map_err(|why| call.refused(&why))?;
    let items = call.value(0).items().unwrap_or_default();
    call.budget.spend(items.len())?;
    let passes = |item: &Value<'a>| match (&*test, item.type_name()) {
        ("isTruthy", _) => js_truthy(item),
        ("isFalsy", _) => !js_truthy(item),
        ("isNumber", "a number")
        | ("isArray", "a list")
        | ("isString", "text")
        | ("isObject", "a map")
        | ("isBoolean", "a truth value") => true,
        _ => false,
    };
    Ok(Value::Bool(items.iter().any(passes)))
}
