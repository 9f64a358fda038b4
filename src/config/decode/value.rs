//! One TOML value with its place and key path, and the typed readings that need nothing but the value.

use super::file::{File, Finding};
use super::table::Table;
use crate::config::text::StringMap;
use crate::config::{remedy, suggest};
use crate::value::issue::Issue;
use crate::value::time::{parse_duration, parse_size};
use std::ops::Range;
use std::time::Duration;
use toml::Spanned;
use toml::de::DeValue;

/// A value being decoded. Every reading reports what is wrong and then gives nothing.
#[derive(Clone)]
pub(in crate::config) struct Value<'f> {
    pub(super) file: &'f File<'f>,
    pub(in crate::config) key: String,
    key_at: Range<usize>,
    node: &'f Spanned<DeValue<'f>>,
}

impl<'f> Value<'f> {
    pub(super) fn member(
        file: &'f File<'f>,
        key: String,
        key_at: Range<usize>,
        node: &'f Spanned<DeValue<'f>>,
    ) -> Self {
        Self { file, key, key_at, node }
    }

    /// The value's place; its key's where the parser knows none.
    pub(in crate::config) fn at(&self) -> Range<usize> {
        let at = self.node.span();
        if at.is_empty() { self.key_at() } else { at }
    }
    /// The key's place; the value's for items of lists.
    pub(in crate::config) fn key_at(&self) -> Range<usize> {
        self.key_at.clone()
    }
    pub(super) fn node(&self) -> &'f DeValue<'f> {
        self.node.get_ref()
    }
    pub(in crate::config) fn is_table(&self) -> bool {
        matches!(self.node(), DeValue::Table(_))
    }
    /// The text of a string, whatever it means.
    pub(in crate::config) fn raw_str(&self) -> Option<&'f str> {
        match self.node() {
            DeValue::String(text) => Some(text),
            _ => None,
        }
    }

    /// Reports at the value.
    pub(in crate::config) fn report(&self, finding: Finding) {
        self.file.report(finding.at(self.at()).key(&self.key));
    }
    /// Reports at the key.
    pub(in crate::config) fn report_key(&self, finding: Finding) {
        self.file.report(finding.at(self.key_at()).key(&self.key));
    }
    /// Reports at a part of the string, counted in bytes of what it means.
    pub(in crate::config) fn report_part(&self, part: &Range<usize>, finding: Finding) {
        let at = self.at();
        let decoded = self.raw_str().unwrap_or_default();
        let exact = StringMap::new(&self.file.text()[at.clone()], at.start, decoded).map(|map| map.map(part));
        self.file.report(finding.at(exact.unwrap_or(at)).key(&self.key));
    }
    /// Reports what a compiler of `value` found; `shift` is where its text begins inside the string.
    pub(in crate::config) fn report_issues(&self, code: &'static str, shift: usize, issues: Vec<Issue>) {
        for issue in issues {
            let part = issue.at.start.saturating_add(shift)..issue.at.end.saturating_add(shift);
            // The compilers say in words what has a code of its own here.
            let code = match issue.message.as_str() {
                message if message.ends_with("is not supported yet") => "not-supported-yet",
                message if message.starts_with("unknown helper") => "unknown-helper",
                _ => code,
            };
            self.report_part(&part, Finding::error(code, issue.message).help_if(issue.help));
        }
    }

    /// A key or value of the format that is not built yet.
    pub(in crate::config) fn not_yet(&self) {
        let finding = Finding::error("not-supported-yet", format!("`{}` is not supported yet", self.key));
        self.report_key(finding.help("it is part of the format but not built; remove it for now"));
    }

    pub(in crate::config) fn wrong_type(&self, wanted: &str) {
        let message = format!("`{}` takes {wanted}, not {}", self.key, name_of(self.node()));
        let help = remedy::right_form(&self.key, wanted, self.node());
        self.report(Finding::error("wrong-type", message).help(help));
    }

    pub(in crate::config) fn string(&self) -> Option<&'f str> {
        if self.raw_str().is_none() {
            self.wrong_type("a string");
        }
        self.raw_str()
    }

    pub(in crate::config) fn boolean(&self) -> Option<bool> {
        if let DeValue::Boolean(value) = self.node() {
            return Some(*value);
        }
        self.wrong_type("true or false");
        None
    }

    /// A whole number as written.
    pub(super) fn integer(&self) -> Option<i128> {
        match self.node() {
            DeValue::Integer(number) => i128::from_str_radix(number.as_str(), number.radix()).ok(),
            _ => None,
        }
    }

    pub(in crate::config) fn duration(&self) -> Option<Duration> {
        match self.node() {
            DeValue::String(text) => match parse_duration(text) {
                Ok(duration) => return Some(duration),
                Err(message) => self.report(Finding::error("bad-duration", message).help(DURATIONS)),
            },
            DeValue::Integer(number) => {
                let message =
                    format!("`{}` needs a unit: a bare number says neither seconds nor milliseconds", self.key);
                let help = format!("write `\"{}s\"` or `\"{}ms\"`", number.as_str(), number.as_str());
                self.report(Finding::error("bad-duration", message).help(help));
            }
            _ => self.wrong_type("a duration such as \"30s\""),
        }
        None
    }

    pub(in crate::config) fn size(&self) -> Option<u64> {
        match self.node() {
            DeValue::String(text) => match parse_size(text) {
                Ok(size) => return Some(size),
                Err(message) => {
                    self.report(
                        Finding::error("bad-size", message).help("write a size such as \"64MiB\" or \"512KiB\""),
                    );
                }
            },
            DeValue::Integer(_) => {
                let message = format!("`{}` needs a unit", self.key);
                self.report(Finding::error("bad-size", message).help("write a size such as \"64MiB\" or \"512KiB\""));
            }
            _ => self.wrong_type("a size such as \"64MiB\""),
        }
        None
    }

    /// One of the words; others that belong to the format but are not built yet are refused by name.
    pub(in crate::config) fn word<T: Copy>(&self, words: &[(&str, T)], not_yet: &[&str]) -> Option<T> {
        #[cfg(test)]
        super::table::witness::note_choice(self.file.path(), &self.key, words.iter().map(|(word, _)| *word));
        let text = self.string()?;
        if let Some((_, meaning)) = words.iter().find(|(word, _)| *word == text) {
            return Some(*meaning);
        }
        if not_yet.contains(&text) {
            let message = format!("`{} = \"{text}\"` is not supported yet", self.key);
            self.report(Finding::error("not-supported-yet", message));
            return None;
        }
        let names: Vec<_> = words.iter().map(|(word, _)| *word).collect();
        let message = format!("`{}` does not know {text:?}", self.key);
        self.report(Finding::error("unknown-word", message).help_if(suggest::help(text, &names)));
        None
    }

    pub(in crate::config) fn table(&self) -> Option<Table<'f>> {
        if let DeValue::Table(inner) = self.node() {
            return Some(Table::inside(self, inner));
        }
        self.wrong_type("a table");
        None
    }

    /// The items of a list.
    pub(in crate::config) fn list(&self) -> Option<Vec<Value<'f>>> {
        let items = self.items();
        if items.is_none() {
            self.wrong_type("a list");
        }
        items
    }

    pub(super) fn items(&self) -> Option<Vec<Value<'f>>> {
        let DeValue::Array(items) = self.node() else { return None };
        let item = |(index, node): (usize, &'f Spanned<DeValue<'f>>)| {
            let at = if node.span().is_empty() { self.key_at() } else { node.span() };
            Value { file: self.file, key: format!("{}[{index}]", self.key), key_at: at, node }
        };
        Some(items.iter().enumerate().map(item).collect())
    }

    /// A list, or one item that stands for a list of one.
    pub(in crate::config) fn one_or_many(&self) -> Vec<Value<'f>> {
        self.items().unwrap_or_else(|| vec![self.clone()])
    }

    /// A list of strings.
    pub(in crate::config) fn strings(&self) -> Option<Vec<String>> {
        let items = self.list()?;
        items.iter().map(|item| item.string().map(str::to_owned)).collect::<Vec<_>>().into_iter().collect()
    }
}

const DURATIONS: &str = "write a duration such as \"500ms\", \"30s\", \"15m\", \"1h\" or \"1d\"";

/// What a value is, in words.
fn name_of(node: &DeValue<'_>) -> &'static str {
    match node {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a decimal number",
        DeValue::Boolean(_) => "a truth value",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
