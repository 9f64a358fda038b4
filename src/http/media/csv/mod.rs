//! `csv` (RFC 4180): rows of texts. Read, each row is an object named by the header; numbers stay the text they are.

mod rows;
mod write;

pub(super) use write::{admits, write};

use crate::value::document::Document;
use crate::value::json::{Json, write_string};
use encoding_rs::Encoding;
use rows::Rows;

/// Most columns.
const MOST_COLUMNS: usize = 16_384;

/// `[csv]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Csv {
    /// `delimiter`
    pub delimiter: u8,
    /// `header`: the first row names the columns; without one they are `column_1`, `column_2` …
    pub header: bool,
    /// `quoting`
    pub quoting: Quoting,
    /// `charset`, of answers that say none.
    pub charset: Option<&'static Encoding>,
}

/// `quoting`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Quoting {
    /// Fields that need quotes are written with them.
    #[default]
    Needed,
    /// All fields are.
    All,
    /// None: a quote is a character like any other, also when read.
    None,
}

impl Default for Csv {
    fn default() -> Self {
        Self { delimiter: b',', header: true, quoting: Quoting::Needed, charset: None }
    }
}

/// Reads a whole text into a list of objects, of at most `most` bytes: names repeat in every row.
pub(super) fn read(text: &str, csv: &Csv, most: usize) -> Result<Document, String> {
    let mut rows = Rows::new(text, csv);
    let mut fields = Vec::new();
    let mut names = Vec::new();
    let mut out = vec![b'['];
    if csv.header && rows.next(&mut fields)?.is_some() {
        names = header(&fields)?;
    }
    while let Some(line) = rows.next(&mut fields)? {
        if names.is_empty() {
            names = (1..=fields.len()).map(|n| key(&format!("column_{n}"))).collect();
        }
        if fields.len() != names.len() {
            let like = if csv.header { "the header" } else { "the first row" };
            return Err(format!("line {line} has {} fields where {like} has {}", fields.len(), names.len()));
        }
        out.extend_from_slice(if out.len() > 1 { b",{" } else { b"{" });
        for (n, (name, field)) in names.iter().zip(&fields).enumerate() {
            out.extend_from_slice(&name[usize::from(n == 0)..]);
            write_string(&mut out, field);
        }
        out.push(b'}');
        if out.len() > most {
            return Err(format!(
                "line {line}: the rows make more than {most} bytes as records; ask for less at once, or raise \
                 `max_response`"
            ));
        }
    }
    out.push(b']');
    Ok(Document::from(Json::trusted(out)))
}

/// The names, ready to be written. Columns without one are named by their place.
fn header(fields: &[std::borrow::Cow<'_, str>]) -> Result<Vec<Vec<u8>>, String> {
    let mut seen = std::collections::HashMap::new();
    let mut names = Vec::with_capacity(fields.len());
    for (n, field) in fields.iter().enumerate() {
        let place = n + 1;
        let name = if field.is_empty() { format!("column_{place}") } else { field.to_string() };
        if let Some(first) = seen.insert(name.clone(), place) {
            return Err(format!(
                "the header names {name:?} twice, in columns {first} and {place}; `[csv] header = false` takes columns \
                 by place"
            ));
        }
        names.push(key(&name));
    }
    Ok(names)
}

/// `,"name":`
fn key(name: &str) -> Vec<u8> {
    let mut key = vec![b','];
    write_string(&mut key, name);
    key.push(b':');
    key
}

#[cfg(test)]
mod tests;
