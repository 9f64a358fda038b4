//! Decoding for the few places that need a value rather than its text.

use super::{JsonRef, Kind};
use serde_json::{Map, Number, Value};

/// Deeper than anything `Json::parse` accepts, with room for values this crate has wrapped since.
const DEEPEST: usize = 4 * super::MAX_DEPTH;

/// Decodes what the strict decoder refuses: half surrogate pairs and numbers beyond `f64`.
pub(super) fn lenient(json: JsonRef<'_>, depth: usize) -> Value {
    match json.kind() {
        _ if depth > DEEPEST => Value::Null,
        Kind::Null => Value::Null,
        Kind::Bool => Value::Bool(json.text() == "true"),
        Kind::Number => match json.text().parse::<Number>() {
            Ok(number) => Value::Number(number),
            Err(_) => Value::String(json.text().to_owned()),
        },
        Kind::Text => Value::String(json.compare_text().into_owned()),
        Kind::Array => Value::Array(json.items().map(|item| lenient(item, depth + 1)).collect()),
        Kind::Object => {
            let members = json.members().map(|(key, value)| (key.into_owned(), lenient(value, depth + 1)));
            Value::Object(members.collect::<Map<_, _>>())
        }
    }
}

/// Whether any digit before the exponent is not zero.
pub(super) fn is_not_zero(number: &str) -> bool {
    number.bytes().take_while(|b| !matches!(b, b'e' | b'E')).any(|b| matches!(b, b'1'..=b'9'))
}
