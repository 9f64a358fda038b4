//! How media types are written and read on this connection: `[csv]`, `[form]`, `[xml]`.

use crate::config::decode::file::Finding;
use crate::config::decode::scope::Facts;
use crate::config::decode::table::Table;
use crate::config::decode::value::Value;
use crate::http::media::MediaSettings;
use crate::http::media::csv::{Csv, Quoting};
use crate::http::media::form::{Form, Lists};
use crate::http::media::xml::XmlSettings;
use crate::value::xml::is_ncname;

const LISTS: &[(&str, Lists)] = &[("repeat", Lists::Repeat), ("brackets", Lists::Brackets), ("index", Lists::Index)];
const QUOTING: &[(&str, Quoting)] = &[("needed", Quoting::Needed), ("all", Quoting::All), ("none", Quoting::None)];

pub(super) fn decode(root: &Table<'_>, facts: &Facts) -> MediaSettings {
    MediaSettings {
        types: facts.types,
        csv: csv(root).unwrap_or_default(),
        form: form(root).unwrap_or_default(),
        xml: facts.xml.clone(),
    }
}

fn csv(root: &Table<'_>) -> Option<Csv> {
    let table = root.take("csv").and_then(|value| value.table())?;
    let mut csv = Csv::default();
    if let Some(delimiter) = table.take("delimiter").and_then(|value| value.delimiter()) {
        csv.delimiter = delimiter;
    }
    csv.header = table.take("header").and_then(|value| value.boolean()).unwrap_or(csv.header);
    csv.quoting = table.take("quoting").and_then(|value| value.word(QUOTING, &[])).unwrap_or_default();
    csv.charset = table.take("charset").and_then(|value| value.charset());
    table.finish();
    Some(csv)
}

fn form(root: &Table<'_>) -> Option<Form> {
    let table = root.take("form").and_then(|value| value.table())?;
    let lists = table.take("lists").and_then(|value| value.word(LISTS, &[])).unwrap_or_default();
    table.finish();
    Some(Form { lists })
}

/// `[xml]`, read before everything that may hold an XPath.
pub(super) fn xml(root: &Table<'_>) -> XmlSettings {
    let mut xml = XmlSettings::default();
    let Some(table) = root.take("xml").and_then(|value| value.table()) else { return xml };
    if let Some(bound) = table.take("namespaces").and_then(|value| value.table()) {
        let found = bound.members().into_iter().filter_map(|(prefix, value)| value.namespace(prefix));
        xml.namespaces = found.collect();
    }
    for value in table.take("array_paths").and_then(|value| value.list()).unwrap_or_default() {
        let Some(text) = value.string() else { continue };
        if let Err(issue) = xml.arrays.add(text) {
            value.report_issues("bad-path", 0, vec![issue]);
        }
    }
    xml.root = table.take("root").and_then(|value| value.element());
    table.finish();
    xml
}

impl Value<'_> {
    /// A prefix and the namespace it stands for; the prefix "" is that of names without one.
    fn namespace(&self, prefix: &str) -> Option<(String, String)> {
        let uri = self.string()?;
        let complain = |message: String, help: &str| {
            self.report(Finding::error("bad-namespace", message).help(help.to_owned()));
            None
        };
        if !prefix.is_empty() && !is_ncname(prefix) {
            return complain(
                format!("`{prefix}` is no prefix"),
                "write letters, digits, `-`, `_` and `.`, a letter first",
            );
        }
        if prefix.starts_with("xml") {
            return complain(format!("the prefix `{prefix}` is taken by XML itself"), "choose another");
        }
        if uri.is_empty() {
            return complain(format!("`{}` names no namespace", self.key), "write the URI that the documents declare");
        }
        Some((prefix.to_owned(), uri.to_owned()))
    }

    /// The name of an element, perhaps with a prefix.
    fn element(&self) -> Option<String> {
        let name = self.string()?;
        if name.split(':').count() > 2 || !name.split(':').all(is_ncname) {
            self.report(Finding::error("bad-name", format!("`{name}` is no name of an element")));
            return None;
        }
        Some(name.to_owned())
    }

    fn delimiter(&self) -> Option<u8> {
        match self.string()?.as_bytes() {
            [byte] if byte.is_ascii() && !matches!(byte, b'"' | b'\r' | b'\n' | 0) => Some(*byte),
            _ => {
                let finding = Finding::error("bad-delimiter", format!("`{}` is one ASCII character", self.key));
                self.report(finding.help("write \",\", \";\", \"|\" or \"\\t\""));
                None
            }
        }
    }

    fn charset(&self) -> Option<&'static encoding_rs::Encoding> {
        let label = self.string()?;
        let encoding = encoding_rs::Encoding::for_label(label.as_bytes());
        if encoding.is_none() {
            let finding = Finding::error("unknown-word", format!("`{}` does not know {label:?}", self.key));
            self.report(finding.help("write a name such as \"utf-8\", \"windows-1252\" or \"utf-16\""));
        }
        encoding
    }
}
