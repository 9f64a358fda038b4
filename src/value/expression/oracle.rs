//! minijinja judges: where both give a value, it is the same value; what we refuse, it may allow.

use super::*;
use crate::value::context::{Root, Slot};
use crate::value::json::Json;
use crate::value::record::Record;
use serde_json::Value as Plain;

const RECORD: &str = r#"{"i":7,"n":-3,"z":0,"f":2.5,"g":-0.75,"s":"abc","t":"10","u":"","b":true,"c":false,"null":null,
    "l":[1,2.5,"abc",null,[7]],"e":[],"m":{"k":1,"abc":"x"},"w":" Über Straße "}"#;

/// Grows an expression from a stream of choices.
struct Grower<'c> {
    choices: &'c mut dyn FnMut(usize) -> usize,
}

impl Grower<'_> {
    fn of(&mut self, options: &[&str]) -> String {
        options[(self.choices)(options.len())].to_owned()
    }

    fn leaf(&mut self) -> String {
        self.of(&[
            "1",
            "2",
            "0",
            "-4",
            "3.5",
            "1e3",
            "0x10",
            "1_000",
            "'abc'",
            "\"b\\n\\u00e9\"",
            "''",
            "true",
            "false",
            "none",
            "record.i",
            "record.n",
            "record.z",
            "record.f",
            "record.g",
            "record.s",
            "record.t",
            "record.u",
            "record.b",
            "record.c",
            "record.null",
            "record.l",
            "record.e",
            "record.m",
            "record.w",
            "record.l[0]",
            "record.l[-1]",
            "record.l.1",
            "record['s']",
            "record.m.k",
            "record.m['abc']",
            "record.absent",
            "[1, 'abc', record.i]",
            "{'k': 1, 'j': record.f}",
            "record.m[record.s]",
            "record.l[record.z]",
            "(1 if record.b else 2)",
        ])
    }

    /// Text and numbers: what both print and compare alike.
    fn scalar(&mut self) -> String {
        self.of(&[
            "1",
            "-4",
            "3.5",
            "'abc'",
            "'a,b c'",
            "\"b\\n\\u00e9\"",
            "''",
            "record.i",
            "record.n",
            "record.f",
            "record.s",
            "record.t",
            "record.u",
            "record.w",
            "record.l[2]",
            "record['s']",
            "record.m['abc']",
            "record.m.k",
        ])
    }

    fn text(&mut self) -> String {
        self.of(&[
            "'abc'",
            "'a,b c'",
            "' x '",
            "''",
            "record.s",
            "record.t",
            "record.w",
            "record.m['abc']",
            "'<a href=\"/x\">it\\'s &amp;</a>'",
            "'it\\'s\\n\\t\\\\'",
        ])
    }

    fn plain(&mut self) -> String {
        self.of(&[
            "1",
            "2.0",
            "'abc'",
            "none",
            "record.i",
            "record.f",
            "record.s",
            "record.null",
            "record.l",
            "record.m",
            "[7]",
            "record.l[-1]",
            "[1, 2.5, 'abc', none, [7.0]]",
            "{'abc': 'x', 'k': 1.0}",
            "record.z",
            "'b'",
            "{}",
            "record.e",
        ])
    }

    #[expect(clippy::too_many_lines, reason = "a table of what is grown")]
    fn grow(&mut self, depth: usize) -> String {
        if depth == 0 {
            return self.leaf();
        }
        let deeper = depth - 1;
        match (self.choices)(14) {
            0..=3 => {
                let operator = self.of(&["+", "-", "*", "/", "//", "%", "**", "+", "*", "-"]);
                format!("{} {operator} {}", self.grow(deeper), self.grow(deeper))
            }
            4 => format!("({} {} {})", self.grow(deeper), self.of(&["<", "<=", ">", ">="]), self.grow(deeper)),
            5 => format!("{} {} {}", self.grow(deeper), self.of(&["and", "or"]), self.grow(deeper)),
            6 => format!("({} if {} else {})", self.grow(deeper), self.grow(deeper), self.grow(deeper)),
            7 => format!("({})", self.grow(deeper)),
            8 => format!("({}{})", self.of(&["-", "not "]), self.grow(deeper)),
            9 => {
                let filter = self.of(&[
                    "float",
                    "int",
                    "length",
                    "round",
                    "round(1)",
                    "abs",
                    "join('-')",
                    "default('d')",
                    "default(1, true)",
                    "sum",
                    "float(default=9)",
                    "int(5)",
                    "batch(2)",
                    "slice(2, 0)",
                    "map('string')",
                    "select",
                    "reject('none')",
                    "select('number')",
                    "zip([1, 2])",
                    "pprint",
                    "pprint",
                ]);
                format!("({}) | {filter}", self.grow(deeper))
            }
            10 => {
                let filter = self.of(&[
                    "lower",
                    "upper",
                    "trim",
                    "trim('a')",
                    "first",
                    "last",
                    "replace('b', 'xy')",
                    "split(',')",
                    "split",
                    "string",
                    "length",
                    "replace('', '-')",
                    "escape",
                    "e",
                    "safe",
                    "safe | escape",
                    "escape | escape",
                    "pprint",
                    "escape | upper | escape",
                    "safe | trim | escape",
                ]);
                format!("{} | {filter}", self.text())
            }
            11 => {
                let operator = self.of(&["==", "!=", "in", "not in"]);
                format!("({} {operator} {})", self.plain(), self.plain())
            }
            12 => format!("({} ~ {})", self.scalar(), self.scalar()),
            _ => {
                let test = self.of(&[
                    "defined",
                    "undefined",
                    "none",
                    "number",
                    "integer",
                    "float",
                    "string",
                    "boolean",
                    "sequence",
                    "mapping",
                    "true",
                    "false",
                    "odd",
                    "even",
                    "divisibleby 2",
                    "startingwith 'a'",
                    "endingwith('c')",
                ]);
                format!("({} is {}{test})", self.leaf(), self.of(&["", "not "]))
            }
        }
    }
}

/// What is the same in both: numbers by value, all else exactly.
fn same(ours: &Plain, theirs: &Plain) -> bool {
    match (ours, theirs) {
        (Plain::Number(a), Plain::Number(b)) => {
            // Reading floats back loses up to one unit in the last place.
            let (x, y) = (a.as_f64().unwrap(), b.as_f64().unwrap());
            a.is_f64() == b.is_f64() && (x - y).abs() <= x.abs() * 1e-15
        }
        (Plain::Array(a), Plain::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Plain::Object(a), Plain::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(k, v)| b.get(k).is_some_and(|w| same(v, w)))
        }
        _ => ours == theirs,
    }
}

/// Where we differ on purpose: a truth value is no number, undefined is no list, null is empty text in a list, maps keep
/// their order.
fn on_purpose(text: &str) -> bool {
    ["record.b is", "record.c is", "true is", "false is"]
        .iter()
        .any(|head| text.contains(&format!("{head} number")) || text.contains(&format!("{head} not number")))
        || text.contains("| pprint") && (text.contains("record.m") || text.contains("{'k'"))
        || text.contains("record.absent is sequence")
        || text.contains("record.absent is not sequence")
        || text.contains("record.l") && (text.contains("| join") || text.contains("| map('string')"))
}

#[test]
fn minijinja_gives_the_same_value() {
    let plain: Plain = serde_json::from_str(RECORD).unwrap();
    let environment = minijinja::Environment::new();
    let record = Record::new(Json::parse(RECORD).unwrap());
    let ctx = Context::new().with(Root::Record, Slot::Record(&record));
    let mut rng = fastrand::Rng::with_seed(20_250_101);
    let (mut agreed, mut refused, mut differ) = (0, 0, Vec::new());
    for n in 0..12_000 {
        let mut choices = |options: usize| rng.usize(..options);
        let text = Grower { choices: &mut choices }.grow(1 + n % 3);
        let (expression, judge) = match (Expression::compile(&text), environment.compile_expression(&text)) {
            (Ok(expression), Ok(judge)) => (expression, judge),
            (Err(_), Err(_)) => continue,
            (ours, theirs) => {
                differ.push(format!("{text}: compiles {} against {}", ours.is_ok(), theirs.is_ok()));
                continue;
            }
        };
        let Ok(ours) = expression.eval(&ctx) else {
            refused += 1;
            continue;
        };
        let mut out = Vec::new();
        ours.write(&mut out).unwrap();
        let ours: Plain = serde_json::from_slice(&out).unwrap();
        let Ok(theirs) = judge.eval(minijinja::context! { record => minijinja::value::Serde(&plain) }) else {
            differ.push(format!("{text}: {ours} against an error"));
            continue;
        };
        let theirs = serde_json::to_value(&theirs).unwrap_or(Plain::Null);
        if same(&ours, &theirs) {
            agreed += 1;
        } else if !on_purpose(&text) {
            differ.push(format!("{text}: {ours} against {theirs}"));
        }
    }
    assert!(differ.is_empty(), "{agreed} agree, {refused} are refused, {} differ: {differ:#?}", differ.len());
    assert!(agreed > 3000, "{agreed}");
}
