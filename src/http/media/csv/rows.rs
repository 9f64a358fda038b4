//! CSV text to rows of fields, strictly: a quote that is never closed is an error, not the rest of the text.

use super::{Csv, MOST_COLUMNS, Quoting};
use memchr::{memchr, memchr3};
use std::borrow::Cow;

/// The rows of a text. Blank lines are no rows.
pub(super) struct Rows<'t> {
    text: &'t str,
    at: usize,
    line: usize,
    delimiter: u8,
    quotes: bool,
}

impl<'t> Rows<'t> {
    pub(super) fn new(text: &'t str, csv: &Csv) -> Self {
        let at = if text.starts_with('\u{feff}') { 3 } else { 0 };
        Self { text, at, line: 1, delimiter: csv.delimiter, quotes: csv.quoting != Quoting::None }
    }

    /// The next row's fields, and the line it begins on.
    pub(super) fn next(&mut self, fields: &mut Vec<Cow<'t, str>>) -> Result<Option<usize>, String> {
        while self.end_of_line() {}
        if self.at >= self.text.len() {
            return Ok(None);
        }
        let line = self.line;
        fields.clear();
        loop {
            if fields.len() == MOST_COLUMNS {
                return Err(format!("line {line} has more than {MOST_COLUMNS} fields"));
            }
            fields.push(self.field()?);
            if self.byte() == Some(self.delimiter) {
                self.at += 1;
                continue;
            }
            self.end_of_line();
            return Ok(Some(line));
        }
    }

    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Passes one line end, if it stands here: `\r\n`, `\n` or `\r`.
    fn end_of_line(&mut self) -> bool {
        let length = match self.text.as_bytes().get(self.at..).unwrap_or_default() {
            [b'\r', b'\n', ..] => 2,
            [b'\r' | b'\n', ..] => 1,
            _ => return false,
        };
        self.at += length;
        self.line += 1;
        true
    }

    fn field(&mut self) -> Result<Cow<'t, str>, String> {
        if self.quotes && self.byte() == Some(b'"') {
            return self.quoted();
        }
        let rest = &self.text.as_bytes()[self.at..];
        let end = memchr3(self.delimiter, b'\n', b'\r', rest).unwrap_or(rest.len());
        let field = &self.text[self.at..self.at + end];
        self.at += end;
        Ok(Cow::Borrowed(field))
    }

    fn quoted(&mut self) -> Result<Cow<'t, str>, String> {
        let opened = self.line;
        let mut field = Cow::Borrowed("");
        self.at += 1;
        loop {
            let Some(length) = memchr(b'"', &self.text.as_bytes()[self.at..]) else {
                return Err(format!("line {opened}: a quote is opened and never closed"));
            };
            let part = &self.text[self.at..self.at + length];
            self.line += line_ends(part);
            self.at += length + 1;
            if field.is_empty() {
                field = Cow::Borrowed(part);
            } else {
                field.to_mut().push_str(part);
            }
            match self.byte() {
                Some(b'"') => {
                    field.to_mut().push('"');
                    self.at += 1;
                }
                None | Some(b'\n' | b'\r') => return Ok(field),
                Some(byte) if byte == self.delimiter => return Ok(field),
                Some(_) => return Err(format!("line {}: text stands after a closing quote", self.line)),
            }
        }
    }
}

fn line_ends(text: &str) -> usize {
    let bytes = text.as_bytes();
    let alone = |(at, _): &(usize, &u8)| bytes[*at] == b'\n' || bytes.get(at + 1) != Some(&b'\n');
    bytes.iter().enumerate().filter(|(_, byte)| matches!(byte, b'\n' | b'\r')).filter(alone).count()
}
