//! The truth table of leaves: what stands in the field, times `default`, `optional`, `when` and `as`.

use super::*;
use crate::value::context::{Root, Slot};
use crate::value::expression::Expression;
use crate::value::record::Record;

/// What a leaf comes to.
#[derive(Debug, PartialEq, Eq)]
enum Told {
    Absent,
    Value(String),
    Missing,
    WrongType,
}

/// What the format says it comes to, told in its own words: `when` first; then the default in place of missing and null;
/// `optional` for what is missing still; then `as`.
fn expected(field: Option<&str>, default: bool, optional: bool, when: Option<bool>, as_: Option<&str>) -> Told {
    if when == Some(false) {
        return Told::Absent;
    }
    let value = match field {
        None | Some("null") if default => "\"9\"",
        Some(value) => value,
        None if optional => return Told::Absent,
        None => return Told::Missing,
    };
    let inner = value.trim_matches('"');
    let is_text = value.starts_with('"');
    let fits = match as_ {
        None => true,
        Some("string") => !matches!(value, "null" | "[1]" | "{}"),
        Some("boolean") => value == "true",
        Some("json") => is_text && !inner.is_empty(),
        Some("integer") => !inner.is_empty() && inner.bytes().all(|b| b.is_ascii_digit()),
        Some(_) => !inner.is_empty() && inner.bytes().all(|b| b.is_ascii_digit() || b == b'.'),
    };
    match as_ {
        _ if !fits => Told::WrongType,
        Some("string") if !is_text => Told::Value(format!("\"{value}\"")),
        None | Some("string") => Told::Value(value.to_owned()),
        Some(_) => Told::Value(inner.to_owned()),
    }
}

#[test]
fn a_leaf_comes_to_what_its_keys_say_in_their_order() {
    let conversions = [
        (None, None),
        (Some("string"), Some(Convert::String)),
        (Some("number"), Some(Convert::Number)),
        (Some("integer"), Some(Convert::Integer)),
        (Some("boolean"), Some(Convert::Boolean)),
        (Some("json"), Some(Convert::Json)),
    ];
    let fields = [
        None,
        Some("null"),
        Some("\"5\""),
        Some("\"\""),
        Some("5"),
        Some("2.50"),
        Some("true"),
        Some("[1]"),
        Some("{}"),
    ];
    let (mut seen, mut wrong) = (0, Vec::new());
    for field in fields {
        let record = field.map_or("{}".to_owned(), |value| format!("{{\"x\":{value}}}"));
        let record = Record::new(Json::parse(record).unwrap());
        let ctx = Context::new().with(Root::Record, Slot::Record(&record));
        for (default, optional) in [(false, false), (true, false), (false, true), (true, true)] {
            for when in [None, Some(true), Some(false)] {
                for (as_, convert) in conversions {
                    let leaf = Tree::Pick(Box::new(Pick {
                        pick: Tree::leaf("$.x").unwrap(),
                        default: default.then(|| Tree::leaf("9").unwrap()),
                        optional,
                        table: None,
                        convert,
                        date: None,
                        when: when.map(|holds| Expression::compile(if holds { "true" } else { "false" }).unwrap()),
                    }));
                    let told = match Tree::Object(vec![("out".to_owned(), leaf)]).json(&ctx) {
                        Ok(Some(json)) => {
                            json.as_ref().get("out").map_or(Told::Absent, |out| Told::Value(out.text().to_owned()))
                        }
                        Ok(None) => Told::Absent,
                        Err(EvalError::Missing(_)) => Told::Missing,
                        Err(_) => Told::WrongType,
                    };
                    let wanted = expected(field, default, optional, when, as_);
                    if told != wanted {
                        wrong.push(format!("{field:?} default {default} optional {optional} when {when:?} as {as_:?}: {told:?}, not {wanted:?}"));
                    }
                    seen += 1;
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(seen, 9 * 4 * 3 * 6);
}
