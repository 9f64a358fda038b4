//! From JSON to XML, the way back of [`super::record`]: members are elements, `@name` attributes, `#text` text, lists
//! repeat their element, null and "" are empty elements. The order is that of the JSON, the text always the same.

use super::is_ncname;
use crate::value::issue::EvalError;
use crate::value::json::{JsonRef, Kind};
use std::collections::BTreeSet;

/// Most bytes written.
const MAX_OUT: usize = 64 * 1024 * 1024;

/// How a document is written.
#[derive(Debug, Clone, Copy, Default)]
pub struct Style<'a> {
    /// `[xml.namespaces]`: prefixes that names may use. The prefix "" is that of names without one.
    pub namespaces: &'a [(String, String)],
    /// The root element around the value; without one the value has one member, which is it.
    pub root: Option<&'a str>,
}

/// A whole document in UTF-8, declaration included.
pub fn write(value: JsonRef<'_>, style: &Style<'_>) -> Result<String, EvalError> {
    write_within(value, style, MAX_OUT)
}

fn write_within(value: JsonRef<'_>, style: &Style<'_>, most: usize) -> Result<String, EvalError> {
    let mut writing =
        Writing { out: String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"), wanted: BTreeSet::new(), most };
    let (name, content) = root(value, style)?;
    let start = writing.out.len() + 1 + name.len();
    writing.element(&name, content, &mut Vec::new())?;
    let mut declared = String::new();
    for prefix in &writing.wanted {
        match style.namespaces.iter().find(|(bound, _)| bound == prefix) {
            Some((_, uri)) if prefix.is_empty() => attribute("xmlns", uri, &mut declared)?,
            Some((_, uri)) => attribute(&format!("xmlns:{prefix}"), uri, &mut declared)?,
            None if prefix.is_empty() => {}
            None => {
                return Err(EvalError::Refused(format!(
                    "the prefix `{prefix}` is not bound; name its namespace in `[xml] namespaces`, or write `@xmlns:{prefix}`"
                )));
            }
        }
    }
    writing.out.insert_str(start, &declared);
    Ok(writing.out)
}

/// Whether a value can be the content of an element; prefixes are another matter.
pub fn admits(value: JsonRef<'_>) -> Result<(), EvalError> {
    let mut writing = Writing { out: String::new(), wanted: BTreeSet::new(), most: MAX_OUT };
    writing.inside("record", value, &mut Vec::new())
}

/// Writes text so that it is the same when read, inside an element or a value in double quotes.
pub fn escape(text: &str, quoted: bool, out: &mut String) -> Result<(), EvalError> {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' if quoted => out.push_str("&quot;"),
            // Readers turn these into line feeds and spaces unless they are written as numbers.
            '\r' => out.push_str("&#13;"),
            '\n' if quoted => out.push_str("&#10;"),
            '\t' if quoted => out.push_str("&#9;"),
            '\t' | '\n' => out.push(c),
            '\0'..'\u{20}' | '\u{FFFE}' | '\u{FFFF}' => {
                return Err(EvalError::Refused(format!("the character U+{:04X}, which XML cannot hold", u32::from(c))));
            }
            _ => out.push(c),
        }
    }
    Ok(())
}

/// Name and content of the root element.
fn root<'a>(value: JsonRef<'a>, style: &Style<'_>) -> Result<(String, JsonRef<'a>), EvalError> {
    const HELP: &str = "name the root element with `[xml] root`, or build a body with one";
    if let Some(root) = style.root {
        if value.kind() == Kind::Array {
            return Err(EvalError::Refused(format!(
                "a list has no element names: name those inside `<{root}>` with `wrap`"
            )));
        }
        return Ok((root.to_owned(), value));
    }
    let mut members = value.members();
    match (members.next(), members.next()) {
        (Some((name, content)), None) if content.kind() != Kind::Array && !name.starts_with(['@', '#']) => {
            Ok((name.into_owned(), content))
        }
        (Some((name, _)), None) => Err(EvalError::Refused(format!("`{name}` cannot be the root element; {HELP}"))),
        _ => Err(EvalError::Refused(format!("an XML body has one root element, and this value none; {HELP}"))),
    }
}

struct Writing {
    out: String,
    /// Prefixes of names that nothing around them declares.
    wanted: BTreeSet<String>,
    /// Most bytes written.
    most: usize,
}

impl Writing {
    /// One element; `bound` are the prefixes declared around it.
    fn element(&mut self, name: &str, content: JsonRef<'_>, bound: &mut Vec<String>) -> Result<(), EvalError> {
        self.inside(name, content, bound).map_err(|error| error.at(name))
    }

    fn inside(&mut self, name: &str, content: JsonRef<'_>, bound: &mut Vec<String>) -> Result<(), EvalError> {
        if self.out.len() > self.most {
            return Err(EvalError::Limit(format!("the body grows beyond {} bytes", self.most)));
        }
        let around = bound.len();
        self.out.push('<');
        self.out.push_str(name);
        if content.kind() == Kind::Object {
            for (key, value) in content.members() {
                let Some(declared) = key.strip_prefix("@xmlns") else { continue };
                let prefix = declared.strip_prefix(':').unwrap_or(declared);
                if value.kind() == Kind::Text && (declared.is_empty() || declared.starts_with(':')) {
                    bound.push(prefix.to_owned());
                }
            }
        }
        self.uses(name, false, bound)?;
        let mut empty = true;
        if content.kind() == Kind::Object {
            for (key, value) in content.members() {
                let Some(key) = key.strip_prefix('@') else { continue };
                self.uses(key, true, bound)?;
                match value.kind() {
                    Kind::Null => {}
                    Kind::Array | Kind::Object => return Err(no_text(&format!("@{key}"), value)),
                    _ => attribute(key, &value.compare_text(), &mut self.out)
                        .map_err(|error| error.at(&format!("@{key}")))?,
                }
            }
            for (key, value) in content.members() {
                if !key.starts_with('@') {
                    self.child(&key, value, bound, &mut empty)?;
                }
            }
        } else {
            self.child("#text", content, bound, &mut empty)?;
        }
        bound.truncate(around);
        if empty {
            self.out.push_str("/>");
        } else {
            self.out.push_str("</");
            self.out.push_str(name);
            self.out.push('>');
        }
        Ok(())
    }

    /// A member's elements or text. `empty` says that the start tag is still open.
    fn child(
        &mut self,
        key: &str,
        value: JsonRef<'_>,
        bound: &mut Vec<String>,
        empty: &mut bool,
    ) -> Result<(), EvalError> {
        if key == "#text" {
            let text = match value.kind() {
                Kind::Null => return Ok(()),
                Kind::Array | Kind::Object => return Err(no_text(key, value)),
                _ => value.compare_text(),
            };
            if !text.is_empty() {
                self.open(empty);
                escape(&text, false, &mut self.out)?;
            }
            return Ok(());
        }
        let one = [value];
        let items: &mut dyn Iterator<Item = JsonRef<'_>> =
            if value.kind() == Kind::Array { &mut value.items() } else { &mut one.iter().copied() };
        for item in items {
            if item.kind() == Kind::Array {
                return Err(EvalError::Refused(format!("{key}: a list directly inside a list has no XML")));
            }
            self.open(empty);
            self.element(key, item, bound)?;
        }
        Ok(())
    }

    fn open(&mut self, empty: &mut bool) {
        if std::mem::take(empty) {
            self.out.push('>');
        }
    }

    /// Checks a name and notes its prefix.
    fn uses(&mut self, name: &str, attribute: bool, bound: &[String]) -> Result<(), EvalError> {
        let (prefix, local) = name.split_once(':').map_or((None, name), |(prefix, local)| (Some(prefix), local));
        if !is_ncname(local) || !prefix.is_none_or(is_ncname) {
            return Err(EvalError::Refused(format!("`{name}` is no name of XML; rename the member")));
        }
        let prefix = prefix.unwrap_or_default();
        let declaration = attribute && (prefix == "xmlns" || name == "xmlns");
        let free = declaration || prefix == "xml" || (attribute && prefix.is_empty());
        if !free && !bound.iter().any(|known| known == prefix) {
            self.wanted.insert(prefix.to_owned());
        }
        Ok(())
    }
}

fn attribute(name: &str, value: &str, out: &mut String) -> Result<(), EvalError> {
    out.push(' ');
    out.push_str(name);
    out.push_str("=\"");
    escape(value, true, out)?;
    out.push('"');
    Ok(())
}

fn no_text(key: &str, value: JsonRef<'_>) -> EvalError {
    EvalError::Type(format!("{key}: {} cannot be written as text", value.kind().name()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::json::Json;

    #[test]
    fn what_is_written_is_bounded() {
        let list = Json::trusted(format!("{{\"a\":{{\"b\":[{}1]}}}}", "1,".repeat(100)));
        let within = |most| write_within(list.as_ref(), &Style::default(), most);
        assert!(within(2000).is_ok() && matches!(within(200), Err(EvalError::Limit(_))));
    }
}
