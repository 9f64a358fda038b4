//! Records to CSV. The first record names the columns; what begins like a formula is data and left alone.

use super::{Csv, Quoting};
use crate::http::media::{Encoded, MediaType};
use crate::value::issue::EvalError;
use crate::value::json::{JsonRef, Kind};
use std::borrow::Cow;
use std::collections::HashMap;

/// Whether a record can be a row: an object or a list of plain values.
pub(in crate::http::media) fn admits(value: JsonRef<'_>) -> Result<(), EvalError> {
    let check = |name: &str, value: JsonRef<'_>| match value.kind() {
        Kind::Array | Kind::Object => Err(EvalError::Type(format!(
            "`{name}` is {}, which no CSV field can hold; name its parts, or write it as text",
            value.kind().name()
        ))),
        _ => Ok(()),
    };
    match value.kind() {
        Kind::Object => value.members().try_for_each(|(name, value)| check(&name, value)),
        Kind::Array => value.items().enumerate().try_for_each(|(n, value)| check(&format!("[{n}]"), value)),
        kind => Err(EvalError::Type(format!("a row is made of a table, not of {}", kind.name()))),
    }
}

/// A list is its rows; one object is one row.
pub(in crate::http::media) fn write(value: JsonRef<'_>, csv: &Csv) -> Result<Encoded, EvalError> {
    let rows: Vec<JsonRef<'_>> = if value.kind() == Kind::Array { value.items().collect() } else { vec![value] };
    let mut out = String::with_capacity(value.text().len());
    let named = rows.first().is_some_and(|first| first.kind() == Kind::Object);
    let mut columns = HashMap::new();
    if let Some(first) = rows.first().filter(|_| named) {
        for (name, _) in first.members() {
            let place = columns.len();
            columns.entry(name.into_owned()).or_insert(place);
        }
        if csv.header {
            let mut names: Vec<_> = columns.iter().collect();
            names.sort_by_key(|(_, place)| **place);
            row(names.iter().map(|(name, _)| Cow::Borrowed(name.as_str())), csv, &mut out)?;
        }
    }
    for (n, value) in rows.into_iter().enumerate() {
        let written = if named { of_object(value, &columns, csv, &mut out) } else { of_list(value, csv, &mut out) };
        written.map_err(|error| error.at(&format!("row {}", n + 1)))?;
    }
    Ok(Encoded::new(out, MediaType::Csv.content_type()))
}

fn of_object(
    value: JsonRef<'_>,
    columns: &HashMap<String, usize>,
    csv: &Csv,
    out: &mut String,
) -> Result<(), EvalError> {
    admits(value)?;
    let mut fields = vec![Cow::Borrowed(""); columns.len()];
    for (name, value) in value.members() {
        let Some(place) = columns.get(name.as_ref()) else {
            return Err(EvalError::Refused(format!("`{name}` is no column: the first record of the request has none")));
        };
        fields[*place] = text(value);
    }
    row(fields.into_iter(), csv, out)
}

fn of_list(value: JsonRef<'_>, csv: &Csv, out: &mut String) -> Result<(), EvalError> {
    admits(value)?;
    row(value.items().map(text), csv, out)
}

fn text(value: JsonRef<'_>) -> Cow<'_, str> {
    if value.is_null() { Cow::Borrowed("") } else { value.compare_text() }
}

fn row<'a>(fields: impl Iterator<Item = Cow<'a, str>>, csv: &Csv, out: &mut String) -> Result<(), EvalError> {
    let begun = out.len();
    for (n, field) in fields.enumerate() {
        if n > 0 {
            out.push(char::from(csv.delimiter));
        }
        write_field(&field, csv, out)?;
    }
    if out.len() == begun && csv.quoting != Quoting::None {
        // An empty line would be no row.
        out.push_str("\"\"");
    }
    out.push_str("\r\n");
    Ok(())
}

fn write_field(field: &str, csv: &Csv, out: &mut String) -> Result<(), EvalError> {
    let special = field.bytes().any(|byte| matches!(byte, b'\r' | b'\n') || byte == csv.delimiter);
    let quoted = match csv.quoting {
        Quoting::All => true,
        Quoting::Needed => special || field.contains('"') || field.starts_with('\u{feff}'),
        Quoting::None if special => {
            return Err(EvalError::Refused(
                "a field holds a delimiter or a line end, and `quoting` is none".to_owned(),
            ));
        }
        Quoting::None => false,
    };
    if !quoted {
        out.push_str(field);
        return Ok(());
    }
    out.push('"');
    for (n, part) in field.split('"').enumerate() {
        if n > 0 {
            out.push_str("\"\"");
        }
        out.push_str(part);
    }
    out.push('"');
    Ok(())
}
