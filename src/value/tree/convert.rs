//! `as = …`: strict conversions of one JSON value. What is not meant is an error that names both sides.

use super::Convert;
use crate::value::issue::EvalError;
use crate::value::json::{Json, JsonRef, Kind, write_string};

pub(super) fn convert(value: JsonRef<'_>, to: Convert, out: &mut Vec<u8>) -> Result<(), EvalError> {
    match (to, value.kind()) {
        (Convert::String, Kind::Text) | (Convert::Number, Kind::Number) | (Convert::Boolean, Kind::Bool) => {
            out.extend_from_slice(value.text().as_bytes());
        }
        (Convert::String, Kind::Number | Kind::Bool) => write_string(out, value.text()),
        (Convert::Number, Kind::Text) => out.extend_from_slice(number(&value.compare_text(), to)?.as_bytes()),
        (Convert::Integer, Kind::Number) => whole(value.text(), out)?,
        (Convert::Integer, Kind::Text) => whole(&number(&value.compare_text(), to)?, out)?,
        (Convert::Boolean, Kind::Text) => match value.compare_text().as_ref() {
            word @ ("true" | "false") => out.extend_from_slice(word.as_bytes()),
            _ => return Err(EvalError::Type("text other than `true` and `false` is no boolean".to_owned())),
        },
        (Convert::Json, Kind::Text) => {
            let parsed = Json::parse(value.compare_text().into_owned())
                .map_err(|error| EvalError::Type(format!("this text is no json: {error}")))?;
            out.extend_from_slice(parsed.text().as_bytes());
        }
        (to, kind) => return Err(refused(kind, to)),
    }
    Ok(())
}

fn refused(kind: Kind, to: Convert) -> EvalError {
    let (what, to) = (kind.name(), to.name());
    let remedy = if kind == Kind::Null { "; give a `default`" } else { "" };
    EvalError::Type(format!("{what} cannot be taken `as = \"{to}\"`{remedy}"))
}

/// Text that is a number in JSON's notation; zeros in front are dropped.
fn number(text: &str, to: Convert) -> Result<String, EvalError> {
    let (sign, digits) = text.strip_prefix('-').map_or(("", text), |digits| ("-", digits));
    let mut kept = digits.trim_start_matches('0');
    if !kept.starts_with(|c: char| c.is_ascii_digit()) && kept.len() < digits.len() {
        kept = &digits[digits.len() - kept.len() - 1..];
    }
    let written = format!("{sign}{kept}");
    let is_number = Json::parse(written.as_str())
        .is_ok_and(|json| json.as_ref().kind() == Kind::Number && json.text().len() == written.len());
    if is_number {
        return Ok(written);
    }
    Err(EvalError::Type(format!("text that is no number cannot be taken `as = \"{}\"`", to.name())))
}

/// Writes a number without its fraction, which must be zero.
fn whole(number: &str, out: &mut Vec<u8>) -> Result<(), EvalError> {
    let refused = || EvalError::Type("a number with a fraction cannot be taken `as = \"integer\"`".to_owned());
    if !number.contains(['e', 'E']) {
        let (integer, fraction) = number.split_once('.').unwrap_or((number, ""));
        if fraction.bytes().any(|digit| digit != b'0') {
            return Err(refused());
        }
        out.extend_from_slice(if integer == "-0" { b"0" } else { integer.as_bytes() });
        return Ok(());
    }
    // Beyond 2^53 a power of ten is no longer exact.
    match number.parse::<f64>() {
        Ok(value) if value.fract() == 0.0 && value.abs() <= 9_007_199_254_740_992.0 => {
            // Adding zero takes the sign from a negative zero.
            out.extend_from_slice(format!("{:.0}", value + 0.0).as_bytes());
            Ok(())
        }
        _ => Err(refused()),
    }
}
