//! How media types are written and read on this connection: `[csv]`, `[form]`.

use crate::config::decode::file::Finding;
use crate::config::decode::table::Table;
use crate::config::decode::value::Value;
use crate::http::media::csv::{Csv, Quoting};
use crate::http::media::form::{Form, Lists};
use crate::http::media::xml::XmlSettings;
use crate::http::media::{MediaSettings, MediaTypes};

const LISTS: &[(&str, Lists)] = &[("repeat", Lists::Repeat), ("brackets", Lists::Brackets), ("index", Lists::Index)];
const QUOTING: &[(&str, Quoting)] = &[("needed", Quoting::Needed), ("all", Quoting::All), ("none", Quoting::None)];

pub(super) fn decode(root: &Table<'_>, types: MediaTypes) -> MediaSettings {
    MediaSettings { types, csv: csv(root).unwrap_or_default(), form: form(root).unwrap_or_default(), xml: xml(root) }
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

fn xml(root: &Table<'_>) -> XmlSettings {
    root.not_yet(&["xml"]);
    XmlSettings::default()
}

impl Value<'_> {
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
