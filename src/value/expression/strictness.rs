//! Every operator over every pair of types: which are computed, which are refused.

use super::*;
use crate::value::context::{Root, Slot};
use crate::value::json::Json;
use crate::value::record::Record;

const TYPES: &[(&str, &str)] = &[
    ("int", "3"),
    ("float", "1.5"),
    ("text", "\"t\""),
    ("bool", "true"),
    ("null", "null"),
    ("list", "[1]"),
    ("map", "{\"k\":1}"),
    ("undefined", ""),
];

fn eval(left: &str, operator: &str, right: &str) -> Result<String, EvalError> {
    let members: Vec<String> =
        TYPES.iter().filter(|(_, json)| !json.is_empty()).map(|(name, json)| format!("\"{name}\":{json}")).collect();
    let record = Record::new(Json::parse(format!("{{{}}}", members.join(","))).unwrap());
    let ctx = Context::new().with(Root::Record, Slot::Record(&record));
    let expression = Expression::compile(&format!("record.{left} {operator} record.{right}")).unwrap();
    let mut out = Vec::new();
    expression.eval(&ctx)?.write(&mut out)?;
    Ok(String::from_utf8(out).unwrap())
}

/// What is allowed, by operator; every other pair is a type error that names both sides.
fn allowed(operator: &str, left: &str, right: &str) -> bool {
    let number = |t: &str| matches!(t, "int" | "float");
    match operator {
        "+" => number(left) && number(right) || left == right && matches!(left, "text" | "list"),
        "-" | "*" | "/" | "//" | "%" | "**" => number(left) && number(right),
        "<" | "<=" | ">" | ">=" => number(left) && number(right) || left == "text" && right == "text",
        "in" | "not in" => match right {
            "list" | "undefined" | "map" => true,
            "text" => matches!(left, "text" | "undefined"),
            _ => false,
        },
        "==" | "!=" | "and" | "or" => true,
        "~" => left != "undefined" && right != "undefined",
        _ => unreachable!(),
    }
}

#[test]
fn only_matching_types_are_computed() {
    let operators =
        ["+", "-", "*", "/", "//", "%", "**", "<", "<=", ">", ">=", "==", "!=", "in", "not in", "~", "and", "or"];
    let mut seen = 0;
    for operator in operators {
        for (left, _) in TYPES {
            for (right, _) in TYPES {
                seen += 1;
                let result = eval(left, operator, right);
                let case = format!("{left} {operator} {right}: {result:?}");
                match &result {
                    _ if matches!(operator, "and" | "or") => {
                        assert!(matches!(result, Ok(_) | Err(EvalError::Missing(_))), "{case}");
                    }
                    Ok(_) => assert!(allowed(operator, left, right), "{case}"),
                    Err(EvalError::Missing(_)) if operator == "~" => {
                        assert!(!allowed(operator, left, right), "{case}");
                    }
                    Err(EvalError::Type(message)) => {
                        assert!(!allowed(operator, left, right), "{case}");
                        assert!(message.contains(&format!("`record.{left}`")), "{case}");
                        assert!(message.contains(&format!("`record.{right}`")), "{case}");
                    }
                    Err(EvalError::Missing(_) | EvalError::Limit(_) | EvalError::Refused(_)) => panic!("{case}"),
                }
            }
        }
    }
    assert_eq!(seen, 18 * 64);
}

/// What takes one value, over every type: a value, or an error that names what it was given.
#[test]
fn only_matching_types_are_taken_by_signs_steps_tests_and_filters() {
    const SCALARS: &[&str] = &["int", "float", "text", "bool"];
    const ALL: &[&str] = &["int", "float", "text", "bool", "null", "list", "map"];
    let cases: &[(&str, &[&str])] = &[
        ("-x", &["int", "float"]),
        ("not x", ALL),
        ("x[0:1]", &["text", "list"]),
        ("[1, 2][x]", &["int", "text"]),
        ("[1, 2][x:]", &["int", "null"]),
        ("[1][::x]", &["int", "null"]),
        ("x is odd", &["int", "float"]),
        ("x is divisibleby 2", &["int"]),
        ("6 is divisibleby x", &["int"]),
        ("x is startingwith 't'", &["text"]),
        ("'t' is endingwith x", &["text"]),
        ("x is lower", ALL),
        ("x is lt 2", &["int", "float"]),
        ("'t' is ge x", &["text"]),
        ("x is in [1]", ALL),
        ("x | abs", &["int", "float"]),
        ("x | round", &["int", "float"]),
        ("x | upper", SCALARS),
        ("x | trim", SCALARS),
        ("x | replace('t', 'u')", SCALARS),
        ("x | split('t')", SCALARS),
        ("x | urlencode", SCALARS),
        ("x | indent", SCALARS),
        ("x | length", &["text", "list", "map"]),
        ("x | list", &["text", "list", "map"]),
        ("x | reverse", &["text", "list"]),
        ("x | join", &["list"]),
        ("x | sum", &["list"]),
        ("x | sort", &["list"]),
        ("x | unique", &["list"]),
        ("x | max", &["list"]),
        ("x | batch(2)", &["list"]),
        ("x | slice(2)", &["list"]),
        ("x | zip([1])", &["list"]),
        ("x | chain", &["list", "map"]),
        ("x | map('string')", &["list"]),
        ("x | select", &["list"]),
        ("x | rejectattr('k')", &["list"]),
        ("x | groupby('k', 0)", &["list"]),
        ("x | items", &["map"]),
        ("x | dictsort", &["map"]),
        ("x | format", &["text"]),
        ("x | string", ALL),
        ("x | tojson", ALL),
        ("x | bool", ALL),
        ("x | default(1)", ALL),
        ("[1] | join(x)", &["text"]),
        ("'t' | trim(x)", &["text"]),
        ("1.5 | round(x)", &["int"]),
        ("[1] | batch(x)", &["int"]),
    ];
    let mut seen = 0;
    for (text, takes) in cases {
        for (name, json) in TYPES {
            let record = if json.is_empty() { "{}".to_owned() } else { format!("{{\"x\":{json}}}") };
            let record = Record::new(Json::parse(record).unwrap());
            let ctx = Context::new().with(Root::Record, Slot::Record(&record));
            let text = text.replace('x', "record.x").replace("marecord.x", "max");
            let expression = Expression::compile(&text).unwrap_or_else(|issues| panic!("{text}: {issues:?}"));
            let result = expression.eval(&ctx).map(|value| value.type_name());
            let case = format!("{text} of {name}: {result:?}");
            match result {
                Ok(_) => assert!(takes.contains(name) || *name == "undefined", "{case}"),
                Err(EvalError::Missing(_)) => assert!(*name == "undefined" || text.contains("][record"), "{case}"),
                Err(EvalError::Type(message)) => {
                    assert!(!takes.contains(name), "{case}");
                    let wanted = ["text", "number", "truth value", "null", "list", "map", "undefined", "precision"];
                    assert!(wanted.iter().any(|wanted| message.contains(wanted)), "{case}");
                }
                Err(EvalError::Limit(_) | EvalError::Refused(_)) => panic!("{case}"),
            }
            seen += 1;
        }
    }
    assert_eq!(seen, cases.len() * TYPES.len());
}

#[test]
fn values_of_different_types_are_never_equal() {
    for (left, _) in TYPES {
        for (right, _) in TYPES {
            let equal = (left == right).to_string();
            assert_eq!(eval(left, "==", right), Ok(equal), "{left} == {right}");
        }
    }
}
