//! `"%05.2f €" | format(x)`: the percent fields of C and Python, on a budget.

use super::Evaluated;
use super::apply::Call;
use crate::value::expression::number;
use crate::value::expression::value::Value;
use crate::value::issue::EvalError;
use crate::value::json::Kind;
use std::borrow::Cow;

/// Widest field, most digits.
const MOST: usize = 1_000;

/// `%-08.2f`
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is one flag of the notation")]
struct Field {
    left: bool,
    plus: bool,
    space: bool,
    zeros: bool,
    alternate: bool,
    width: usize,
    precision: Option<usize>,
    kind: char,
}

impl<'a> Call<'_, '_, 'a> {
    pub(super) fn format(&self) -> Evaluated<'a> {
        let text = match self.present()?.decoded() {
            Value::Text(text) => text,
            other => return Err(self.refuses(&other)),
        };
        let mut values = (0..self.arguments.len()).map(|n| self.argument(n));
        let mut out = String::new();
        let mut rest = &*text;
        while let Some(at) = rest.find('%') {
            self.e.spend(1)?;
            self.e.produce(at)?;
            out.push_str(&rest[..at]);
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix('%') {
                out.push('%');
                rest = after;
                continue;
            }
            let named = rest.strip_prefix('(').and_then(|name| name.split_once(')'));
            if let Some((_, after)) = named {
                rest = after;
            }
            let (field, after) = field(rest).map_err(|why| self.wrong(why))?;
            rest = after;
            let value = match named {
                Some((name, _)) => self.member(name)?,
                None => {
                    values.next().transpose()?.flatten().ok_or_else(|| self.wrong("has fewer values than fields"))?
                }
            };
            self.e.produce(field.width.max(field.precision.unwrap_or(0)) + 64)?;
            let written = field
                .write(&value)
                .ok_or_else(|| self.wrong(&format!("cannot write {} as `%{}`", value.type_name(), field.kind)))?;
            self.e.produce(written.len())?;
            out.push_str(&written);
        }
        if !text.contains("%(") && values.next().is_some() {
            return Err(self.wrong("has more values than fields"));
        }
        self.e.produce(rest.len())?;
        out.push_str(rest);
        Ok(Value::Text(Cow::Owned(out)))
    }

    /// `%(name)s`: a member of the one argument.
    fn member(&self, name: &str) -> Result<Value<'a>, EvalError> {
        let found = match self.argument(0)? {
            Some(Value::Map(members)) => members.into_iter().find(|(key, _)| key == name).map(|(_, value)| value),
            Some(Value::Json(json)) => json.get(name).map(Value::Json),
            _ => None,
        };
        let found = found.map(Value::decoded);
        found.ok_or_else(|| EvalError::Missing(self.wrong(&format!("has no value `{name}`")).to_string()))
    }
}

/// A field behind its percent sign, and what follows it.
fn field(text: &str) -> Result<(Field, &str), &'static str> {
    let mut field = Field::default();
    let mut rest = text;
    loop {
        let flag = match rest.as_bytes().first() {
            Some(b'-') => &mut field.left,
            Some(b'+') => &mut field.plus,
            Some(b' ') => &mut field.space,
            Some(b'0') => &mut field.zeros,
            Some(b'#') => &mut field.alternate,
            _ => break,
        };
        *flag = true;
        rest = &rest[1..];
    }
    (field.width, rest) = digits(rest)?;
    if let Some(after) = rest.strip_prefix('.') {
        let (precision, after) = digits(after)?;
        field.precision = Some(precision);
        rest = after;
    }
    let kind = rest.chars().next().filter(|kind| "sdiueEfFgGxXoc".contains(*kind));
    field.kind = kind.ok_or("knows the fields `%s %d %i %u %f %e %g %x %o %c` and `%%`")?;
    Ok((field, &rest[1..]))
}

fn digits(text: &str) -> Result<(usize, &str), &'static str> {
    let end = text.bytes().take_while(u8::is_ascii_digit).count();
    let number = if end == 0 { 0 } else { text[..end].parse().unwrap_or(usize::MAX) };
    if number > MOST {
        return Err("takes widths and precisions up to 1000");
    }
    Ok((number, &text[end..]))
}

impl Field {
    /// None when the value is none of the field's kind.
    fn write(&self, value: &Value<'_>) -> Option<String> {
        match self.kind {
            's' => {
                let text = value.text();
                let end = self.precision.and_then(|most| text.char_indices().nth(most)).map(|(end, _)| end);
                Some(self.padded(String::new(), &text[..end.unwrap_or(text.len())], false))
            }
            'c' => {
                let one = match value {
                    Value::Int(code) => char::from_u32(u32::try_from(*code).ok()?)?.to_string(),
                    Value::Text(text) if text.chars().count() == 1 => text.to_string(),
                    _ => return None,
                };
                Some(self.padded(String::new(), &one, false))
            }
            'd' | 'i' | 'u' => {
                let whole = match value {
                    Value::Int(whole) => *whole,
                    Value::Float(n) => number::whole(n.trunc())?,
                    _ => return None,
                };
                Some(self.whole(whole, whole.unsigned_abs().to_string(), ""))
            }
            'x' | 'X' | 'o' => {
                let Value::Int(whole) = value else { return None };
                let size = whole.unsigned_abs();
                let (digits, mark) = match self.kind {
                    'x' => (format!("{size:x}"), "0x"),
                    'X' => (format!("{size:X}"), "0X"),
                    _ => (format!("{size:o}"), "0o"),
                };
                Some(self.whole(*whole, digits, if self.alternate { mark } else { "" }))
            }
            _ => self.decimal(match value {
                Value::Json(json) if json.kind() == Kind::Number => number::float(json.text())?,
                other => number::as_float(other)?,
            }),
        }
    }

    fn whole(&self, value: i128, mut digits: String, mark: &str) -> String {
        if let Some(least) = self.precision {
            digits.insert_str(0, &"0".repeat(least.saturating_sub(digits.len())));
        }
        self.padded(self.sign(value < 0) + mark, &digits, true)
    }

    fn decimal(&self, value: f64) -> Option<String> {
        let (size, precision) = (value.abs(), self.precision.unwrap_or(6));
        let written = match self.kind {
            'f' | 'F' => format!("{size:.precision$}"),
            'e' | 'E' => exponential(size, precision)?,
            _ => self.general(size, precision.max(1))?,
        };
        let point = self.alternate && !written.contains('.') && matches!(self.kind, 'f' | 'F');
        let written = if point { written + "." } else { written };
        let written = if self.kind.is_ascii_uppercase() { written.to_uppercase() } else { written };
        Some(self.padded(self.sign(value.is_sign_negative()), &written, true))
    }

    /// The shorter of both forms, without zeros at its end.
    fn general(&self, size: f64, precision: usize) -> Option<String> {
        let scientific = exponential(size, precision - 1)?;
        let exponent: i64 = scientific.split_once('e')?.1.parse().ok()?;
        let fixed = i64::try_from(precision).ok()? - 1 - exponent;
        let plain = exponent >= -4 && fixed >= 0;
        let written = if plain { format!("{size:.*}", usize::try_from(fixed).ok()?) } else { scientific };
        if self.alternate {
            return Some(written);
        }
        let (digits, power) =
            written.split_once('e').map_or((&*written, None), |(digits, power)| (digits, Some(power)));
        let short = if digits.contains('.') { digits.trim_end_matches('0').trim_end_matches('.') } else { digits };
        Some(power.map_or_else(|| short.to_owned(), |power| format!("{short}e{power}")))
    }

    fn sign(&self, negative: bool) -> String {
        let sign = match (negative, self.plus, self.space) {
            (true, ..) => "-",
            (_, true, _) => "+",
            (.., true) => " ",
            _ => "",
        };
        sign.to_owned()
    }

    fn padded(&self, before: String, text: &str, number: bool) -> String {
        let room = self.width.saturating_sub(before.chars().count() + text.chars().count());
        if self.left {
            return before + text + &" ".repeat(room);
        }
        if self.zeros && number {
            return before + &"0".repeat(room) + text;
        }
        " ".repeat(room) + &before + text
    }
}

/// `1.50e+03`
fn exponential(size: f64, precision: usize) -> Option<String> {
    let written = format!("{size:.precision$e}");
    let (digits, exponent) = written.split_once('e')?;
    let exponent: i32 = exponent.parse().ok()?;
    Some(format!("{digits}e{exponent:+03}"))
}
