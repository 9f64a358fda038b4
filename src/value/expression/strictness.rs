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

#[test]
fn values_of_different_types_are_never_equal() {
    for (left, _) in TYPES {
        for (right, _) in TYPES {
            let equal = (left == right).to_string();
            assert_eq!(eval(left, "==", right), Ok(equal), "{left} == {right}");
        }
    }
}
