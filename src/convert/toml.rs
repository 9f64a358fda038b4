//! Writes TOML as people would: only what is needed in quotes, one line a value.

use crate::value::json::{JsonRef, Kind};
use std::fmt::Write as _;

/// Names that make a table of a tree a leaf.
const LEAVES: [&str; 4] = ["pick", "each", "literal", "concat"];

/// A text in quotes.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => {
                let _ = write!(out, "\\u{:04X}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// A key, in quotes where it needs them.
pub(super) fn key(name: &str) -> String {
    let bare = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    if bare { name.to_owned() } else { quoted(name) }
}

/// A key of a tree: names of leaves are escaped.
pub(super) fn tree_key(name: &str) -> String {
    if LEAVES.contains(&name) || name.starts_with('\\') { key(&format!("\\{name}")) } else { key(name) }
}

/// A text that means nothing but itself in a tree.
pub(super) fn constant(text: &str) -> String {
    let looks =
        text.starts_with('=') || text == "$" || text.starts_with("$.") || text.starts_with("$[") || text.contains("{{");
    if looks { format!("{{ literal = {} }}", quoted(text)) } else { quoted(text) }
}

/// A JSON value as a tree on one line; `text` writes a string, given the way to it.
pub(super) fn tree(value: JsonRef<'_>, text: &mut impl FnMut(&[String], &str) -> String) -> String {
    written(value, &mut Vec::new(), text)
}

fn written(value: JsonRef<'_>, way: &mut Vec<String>, text: &mut impl FnMut(&[String], &str) -> String) -> String {
    match value.kind() {
        // TOML has no null; an expression has.
        Kind::Null => quoted("= none"),
        Kind::Bool => value.text().to_owned(),
        Kind::Number if value.text().parse::<i64>().is_ok() => value.text().to_owned(),
        Kind::Number => match value.text().parse::<f64>() {
            Ok(number) if number.is_finite() && value.text().contains(['.', 'e', 'E']) => format!("{number:?}"),
            _ => quoted(&format!("= {}", value.text())),
        },
        Kind::Text => text(way, &value.compare_text()),
        Kind::Array => {
            let items: Vec<String> = value.items().map(|item| written(item, way, text)).collect();
            format!("[{}]", items.join(", "))
        }
        Kind::Object => {
            let mut members = Vec::new();
            for (name, member) in value.members() {
                way.push(name.into_owned());
                let inner = written(member, way, text);
                let name = way.pop().unwrap_or_default();
                members.push(format!("{} = {inner}", tree_key(&name)));
            }
            if members.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", members.join(", ")) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::json::Json;

    #[test]
    fn what_is_written_means_itself() {
        for (json, wanted) in [
            (r#"{"a":1,"b c":[true,null,1.5,"x"]}"#, r#"{ a = 1, "b c" = [true, "= none", 1.5, "x"] }"#),
            (r#"{"pick":"$.x","\\y":"= 1"}"#, r#"{ "\\pick" = { literal = "$.x" }, "\\\\y" = { literal = "= 1" } }"#),
            ("[123456789012345678901234567890,1e3,{}]", r#"["= 123456789012345678901234567890", 1000.0, {}]"#),
            (r#""{{x}} \u0001\n\"""#, r#"{ literal = "{{x}} \u0001\n\"" }"#),
        ] {
            let json = Json::parse(json).unwrap();
            assert_eq!(tree(json.as_ref(), &mut |_, text| constant(text)), wanted);
        }
    }
}
