//! Filters of expressions against Jinja2 itself: where both give a value, it is the same one. What is refused here (types
//! that do not match) may be allowed there.

use crate::peer;
use flowgate::value::context::{Context, Root, Slot};
use flowgate::value::expression::Expression;
use flowgate::value::json::Json;
use flowgate::value::record::Record;
use serde_json::{Value, json};
use std::io::Write as _;
use std::process::{Command, Stdio};

const RECORD: &str = r#"{"i":7,"n":-3,"z":0,"f":2.5,"g":-0.75,"t":"10","u":"","b":true,"null":null,"s":"it's <b>\"A & B\"</b> ok",
    "w":" über straße\n\tend\\ ","l":[3,1,2],"m":{"b":"x","a":"y"},"d":["b","A","a","b"],"o":[{"k":1,"v":"x"},{"k":2,"v":"y"}],
    "e":[]}"#;

const INPUTS: &[&str] =
    &["i", "n", "z", "f", "g", "t", "u", "b", "null", "s", "w", "l", "m", "d", "o", "e", "m.b", "l[0]", "o[1].v"];

const FILTERS: &[&str] = &[
    "escape",
    "e",
    "safe",
    "escape | escape",
    "safe | escape",
    "escape | upper | escape",
    "pprint",
    "escape | length",
    "abs",
    "capitalize",
    "default('d')",
    "default('d', true)",
    "dictsort",
    "first",
    "last",
    "float",
    "int",
    "join(',')",
    "join('-', attribute='v')",
    "length",
    "lower",
    "upper",
    "list",
    "map(attribute='k') | list",
    "max",
    "min",
    "replace('b', 'x')",
    "reverse | list",
    "select | list",
    "reject | list",
    "selectattr('k', 'eq', 2) | list",
    "sort",
    "sort(reverse=true)",
    "string",
    "sum",
    "sum(attribute='k')",
    "title",
    "trim",
    "unique | list",
    "batch(2) | list",
    "slice(2) | list",
    "urlencode",
    "items | list",
    "groupby('k') | length",
    "format(1)",
];

const OTHERS: &[&str] = &[
    "record.i + record.f",
    "record.i // 2",
    "record.n // 2",
    "record.n % 5",
    "record.f ** 2",
    "record.i / 2",
    "record.t ~ record.i",
    "record.i in record.l",
    "3 in record.l",
    "'a' in record.m",
    "'b' in record.s",
    "record.i > 3 and record.f < 3",
    "record.u or 'else'",
    "record.z and 1",
    "not record.e",
    "1 < 2 < 3",
    "'yes' if record.b else 'no'",
    "record.l[1:]",
    "record.l[::-1]",
    "record.w[2:5]",
    "record.gone is defined",
    "record.null is none",
    "record.i is odd",
    "record.i is divisibleby 7",
    "record.l is sequence",
    "record.m is mapping",
    "record.t is string",
    "record.f is number",
    "[1, 2] + record.l",
    "{'a': record.i}",
    "-record.i",
    "record.o[0].k == 1",
];

fn ours(expression: &str) -> Result<Value, String> {
    let record = Record::new(Json::parse(RECORD).unwrap());
    let ctx = Context::new().with(Root::Record, Slot::Record(&record));
    let compiled = Expression::compile(expression).map_err(|issues| format!("{issues:?}"))?;
    let mut out = Vec::new();
    let value = compiled.eval(&ctx).map_err(|error| error.to_string())?;
    value.write(&mut out).map_err(|error| error.to_string())?;
    Ok(serde_json::from_slice(&out).unwrap())
}

/// Where we follow the engine the format names, or keep what the record has.
fn on_purpose(expression: &str) -> bool {
    let on = |names: &[&str]| names.iter().any(|name| expression.starts_with(&format!("record.{name} |")));
    let by = |filters: &[&str]| filters.iter().any(|filter| expression.ends_with(filter));
    // The slash is escaped too.
    on(&["s", "w"]) && (expression.contains("escape") || by(&["| e"]))
        // Lists and maps are printed over several lines, and are JSON as text; so are `true` and null.
        || on(&["l", "m", "d", "o", "e"]) && by(&["| pprint", "| string", "| join(',')"])
        || on(&["b", "null"]) && !by(&["| pprint"])
}

fn same(ours: &Value, theirs: &Value) -> bool {
    match (ours, theirs) {
        (Value::Number(a), Value::Number(b)) => (a.as_f64().unwrap() - b.as_f64().unwrap()).abs() < 1e-12,
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        _ => ours == theirs,
    }
}

#[test]
fn expressions_give_what_jinja_gives() {
    let Some(python) = peer::python() else { return };
    let filtered = INPUTS.iter().flat_map(|input| FILTERS.iter().map(move |f| format!("record.{input} | {f}")));
    let all: Vec<String> = filtered.chain(OTHERS.iter().map(|text| (*text).to_owned())).collect();
    let record: Value = serde_json::from_str(RECORD).unwrap();
    let asked: Vec<Value> = all.iter().map(|text| json!({ "expression": text, "record": record })).collect();
    let mut child = Command::new(python)
        .arg(peer::script("jinja.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let body = serde_json::to_vec(&asked).unwrap();
    let writes = std::thread::spawn(move || stdin.write_all(&body));
    let output = child.wait_with_output().unwrap();
    writes.join().unwrap().unwrap();
    let answers: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answers.len(), all.len());
    let (mut agree, mut differ) = (0, Vec::new());
    for (text, answer) in all.iter().zip(&answers) {
        match (ours(text), answer.get("value")) {
            (Ok(ours), Some(theirs)) if same(&ours, theirs) => agree += 1,
            (Ok(ours), Some(theirs)) if !on_purpose(text) => {
                differ.push(format!("{text}: {ours} against {theirs:?} {answer}"));
            }
            _ => {}
        }
    }
    assert!(differ.is_empty(), "{agree} agree, {} differ:\n{}", differ.len(), differ.join("\n"));
    assert!(agree > 250, "{agree}");
    // The slash aside, text is escaped as there.
    let escaped = ours("record.s | escape").unwrap();
    assert_eq!(escaped, json!("it&#x27;s &lt;b&gt;&quot;A &amp; B&quot;&lt;&#x2f;b&gt; ok"));
}
