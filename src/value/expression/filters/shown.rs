//! `escape`, `safe`, `pprint`: text for people. Nothing here makes a value fit for the place it will stand in; places
//! do that themselves.

use super::apply::{Call, Input};
use super::{Evaluated, Filter};
use crate::value::expression::ast::{Node, What};
use crate::value::expression::value::Value;
use crate::value::issue::EvalError;
use std::borrow::Cow;
use std::fmt::Write as _;

/// Levels `pprint` follows; JSON has no more.
const DEEPEST: usize = 256;

impl<'a> Call<'_, '_, 'a> {
    /// As entities of HTML and XML. What was escaped or called safe before is left alone.
    pub(super) fn escape(&self) -> Evaluated<'a> {
        let text = self.scalar()?;
        if matches!(&self.input, Input::Node(node) if is_safe(node)) {
            return Ok(Value::Text(text));
        }
        self.e.produce(text.len())?;
        let mut out = String::with_capacity(text.len());
        for c in text.chars() {
            match c {
                '<' => out.push_str("&lt;"),
                '>' => out.push_str("&gt;"),
                '&' => out.push_str("&amp;"),
                '"' => out.push_str("&quot;"),
                '\'' => out.push_str("&#x27;"),
                '/' => out.push_str("&#x2f;"),
                c => out.push(c),
            }
        }
        self.e.produce(out.len() - text.len())?;
        Ok(Value::Text(Cow::Owned(out)))
    }

    /// Text as it stands.
    pub(super) fn safe(&self) -> Evaluated<'a> {
        self.scalar().map(Value::Text)
    }

    /// Lists and maps over several lines, names as Python has them.
    pub(super) fn pprint(&self) -> Evaluated<'a> {
        let mut out = String::new();
        self.pretty(&self.present()?, 0, &mut out)?;
        Ok(Value::Text(Cow::Owned(out)))
    }

    fn pretty(&self, value: &Value<'a>, depth: usize, out: &mut String) -> Result<(), EvalError> {
        self.e.spend(1)?;
        let before = out.len();
        if depth > DEEPEST {
            return Err(EvalError::Limit(self.wrong("meets more than 256 levels").to_string()));
        }
        let margin = "    ".repeat(depth + 1);
        if let Some(items) = value.items() {
            out.push('[');
            for item in &items {
                self.e.produce(margin.len() + 2)?;
                let _ = write!(out, "\n{margin}");
                self.pretty(item, depth + 1, out)?;
                out.push(',');
            }
            return self.closed(']', items.is_empty(), depth, out);
        }
        let members = match value {
            Value::Map(members) => members.clone(),
            Value::Json(json) if value.type_name() == "a map" => {
                json.members().map(|(key, value)| (key, Value::Json(value))).collect()
            }
            _ => {
                plain(value, out);
                return self.e.produce(out.len() - before);
            }
        };
        out.push('{');
        for (key, member) in &members {
            self.e.produce(margin.len() + key.len() + 6)?;
            let _ = write!(out, "\n{margin}");
            quoted(key, out);
            out.push_str(": ");
            self.pretty(member, depth + 1, out)?;
            out.push(',');
        }
        self.closed('}', members.is_empty(), depth, out)
    }

    fn closed(&self, bracket: char, empty: bool, depth: usize, out: &mut String) -> Result<(), EvalError> {
        if !empty {
            let _ = write!(out, "\n{}", "    ".repeat(depth));
        }
        out.push(bracket);
        self.e.produce(4 * depth + 2)
    }
}

/// Whether text was escaped or called safe, and has changed its letters or its length at most since.
fn is_safe(node: &Node) -> bool {
    match &node.what {
        What::Filter(Filter::Escape | Filter::Safe, ..) => true,
        What::Filter(Filter::Upper | Filter::Lower | Filter::Capitalize | Filter::Trim, inner, _) => is_safe(inner),
        _ => false,
    }
}

fn plain(value: &Value<'_>, out: &mut String) {
    match value.clone().decoded() {
        Value::Undefined | Value::Null => out.push_str("None"),
        Value::Bool(true) => out.push_str("True"),
        Value::Bool(false) => out.push_str("False"),
        Value::Text(text) => quoted(&text, out),
        other => out.push_str(&other.text()),
    }
}

/// In single quotes, unless only double ones need no backslash.
fn quoted(text: &str, out: &mut String) {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    out.push(quote);
    for c in text.chars() {
        let _ = match c {
            '\\' => out.write_str("\\\\"),
            '\n' => out.write_str("\\n"),
            '\r' => out.write_str("\\r"),
            '\t' => out.write_str("\\t"),
            c if c == quote => write!(out, "\\{c}"),
            c if c.is_control() => write!(out, "\\x{:02x}", u32::from(c)),
            c => out.write_char(c),
        };
    }
    out.push(quote);
}
