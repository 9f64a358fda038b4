//! A value without the members that say nothing: `null`, `""`, `[]` and `{}`, at any depth. Items of lists keep their
//! places.

use super::scan::RawMembers;
use super::{JsonRef, Kind};
use std::collections::HashSet;

/// Writes a value after `out`, its empty members left out, from the inside: an object that nothing is left of is empty
/// too. Everything else stays byte for byte.
pub fn write_lean(value: JsonRef<'_>, out: &mut Vec<u8>) {
    match value.kind() {
        Kind::Object => object(value, out),
        Kind::Array => {
            out.push(b'[');
            for (at, item) in value.items().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                write_lean(item, out);
            }
            out.push(b']');
        }
        _ => out.extend_from_slice(value.text().as_bytes()),
    }
}

fn object(value: JsonRef<'_>, out: &mut Vec<u8>) {
    let mut members: Vec<_> = RawMembers::of(value.text()).collect();
    // Of a repeated key the last one counts: an empty one must not bring an earlier one back.
    let mut seen = HashSet::with_capacity(members.len());
    members.reverse();
    members.retain(|member| seen.insert(member.key()));
    out.push(b'{');
    let first = out.len();
    for member in members.iter().rev() {
        let mark = out.len();
        if mark > first {
            out.push(b',');
        }
        out.push(b'"');
        out.extend_from_slice(member.raw_key.as_bytes());
        out.extend_from_slice(b"\":");
        let start = out.len();
        write_lean(member.value, out);
        if matches!(out.get(start..), Some(b"null" | b"\"\"" | b"[]" | b"{}")) {
            out.truncate(mark);
        }
    }
    out.push(b'}');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::json::Json;
    use proptest::prelude::*;
    use serde_json::Value;

    fn lean(text: &str) -> String {
        let mut out = Vec::new();
        write_lean(Json::parse(text).unwrap().as_ref(), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn empty_members_are_left_out_at_any_depth_and_items_keep_their_places() {
        for (given, left) in [
            (r#"{"a":null,"b":"","c":[],"d":{},"e":0,"f":false,"g":" "}"#, r#"{"e":0,"f":false,"g":" "}"#),
            (r#"{"a":{"b":{"c":[ ]}},"d":1.50}"#, r#"{"d":1.50}"#),
            (r#"{"l":[null,"",{"x":null},[{"y":""}]]}"#, r#"{"l":[null,"",{},[{}]]}"#),
            (r#"[{"a":null},{"b":"\ud800"}]"#, r#"[{},{"b":"\ud800"}]"#),
            (r#"{"a":null}"#, "{}"),
            ("null", "null"),
            (r#"{"a":1,"\u0061":null,"b":null,"b":2}"#, r#"{"b":2}"#),
            (r#"{"n":9007199254740993,"x":1e400}"#, r#"{"n":9007199254740993,"x":1e400}"#),
        ] {
            assert_eq!(lean(given), left, "{given}");
        }
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            Just(Value::from("")),
            any::<bool>().prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            "[ -~é☃]{0,4}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 40, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::btree_map("[a-c\"\\\\]{0,2}", inner, 0..5)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    /// The same, the slow way.
    fn oracle(value: Value) -> Value {
        match value {
            Value::Object(members) => {
                let is_empty = |value: &Value| match value {
                    Value::Null => true,
                    Value::String(text) => text.is_empty(),
                    Value::Array(items) => items.is_empty(),
                    Value::Object(members) => members.is_empty(),
                    _ => false,
                };
                let members = members.into_iter().map(|(key, value)| (key, oracle(value)));
                Value::Object(members.filter(|(_, value)| !is_empty(value)).collect())
            }
            Value::Array(items) => items.into_iter().map(oracle).collect(),
            other => other,
        }
    }

    proptest! {
        #[test]
        fn what_is_left_is_what_a_slow_way_leaves(value in value()) {
            let left: Value = serde_json::from_str(&lean(&value.to_string())).unwrap();
            prop_assert_eq!(left, oracle(value));
        }
    }
}
