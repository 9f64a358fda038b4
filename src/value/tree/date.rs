//! `date = { parse, zone_in, format, zone }`: a time in one form becomes the same time in another.
//!
//! A wall clock that is shown twice where clocks go back is the earlier of the two; one that is skipped where they go
//! forward is what the clock would have shown without the change.

use crate::value::function::{date_known, wall_clock};
use crate::value::issue::{EvalError, Issue};
use crate::value::json::{JsonRef, Kind, write_string};
use chrono::format::{Item, Parsed, StrftimeItems};
use chrono::{DateTime, NaiveDateTime, NaiveTime, SecondsFormat, TimeZone, Utc};
use chrono_tz::Tz;
use std::fmt::Write as _;
use std::sync::Arc;

/// Longest strftime text and longest date that is read.
const MAX_TEXT: usize = 256;

/// `date = { … }`
#[derive(Debug, Clone)]
pub struct Date {
    /// `parse`: the form of the value; none = ISO 8601 or RFC 2822 in any usual form.
    pub parse: Option<Form>,
    /// `zone_in`: where its clock hangs when the value does not say.
    pub zone_in: Tz,
    /// `format`: the form wanted.
    pub format: Form,
    /// `zone`: whose clock is shown.
    pub zone: Tz,
}

/// How a time is written.
#[derive(Debug, Clone)]
pub enum Form {
    /// `rfc3339`
    Rfc3339,
    /// `epoch_s`
    EpochSeconds,
    /// `epoch_ms`
    EpochMillis,
    /// strftime text
    Text(Arc<str>),
}

impl Form {
    /// From a word or a strftime text.
    pub fn compile(text: &str) -> Result<Self, Issue> {
        let form = match text {
            "rfc3339" => Self::Rfc3339,
            "epoch_s" => Self::EpochSeconds,
            "epoch_ms" => Self::EpochMillis,
            text => {
                let whole = || 0..text.len();
                if text.len() > MAX_TEXT {
                    return Err(Issue::new(whole(), format!("the form is longer than {MAX_TEXT} bytes")));
                }
                if !text.contains('%') {
                    return Err(Issue::new(whole(), "a form of dates is strftime text")
                        .help("write `%Y-%m-%d`, or one of `rfc3339`, `epoch_s`, `epoch_ms`"));
                }
                if StrftimeItems::new(text).any(|item| matches!(item, Item::Error)) {
                    return Err(Issue::new(whole(), "this strftime text has a field that does not exist")
                        .help("a percent sign itself is written `%%`"));
                }
                Self::Text(text.into())
            }
        };
        Ok(form)
    }
}

impl Date {
    /// Writes the value in the form wanted. null stays null: there is no date.
    pub(super) fn write(&self, value: JsonRef<'_>, out: &mut Vec<u8>) -> Result<(), EvalError> {
        if value.kind() == Kind::Null {
            out.extend_from_slice(b"null");
            return Ok(());
        }
        let at = self.read(value).map_err(|message| EvalError::Type(message).at("date"))?;
        let local = at.with_timezone(&self.zone);
        match &self.format {
            Form::EpochSeconds => out.extend_from_slice(at.timestamp().to_string().as_bytes()),
            Form::EpochMillis => out.extend_from_slice(at.timestamp_millis().to_string().as_bytes()),
            Form::Rfc3339 => write_string(out, &local.to_rfc3339_opts(SecondsFormat::AutoSi, true)),
            Form::Text(text) => {
                let mut written = String::new();
                write!(written, "{}", local.format(text))
                    .map_err(|_| EvalError::Type(format!("date: `{text}` cannot show this date")))?;
                write_string(out, &written);
            }
        }
        Ok(())
    }

    fn read(&self, value: JsonRef<'_>) -> Result<DateTime<Utc>, String> {
        let kind = value.kind();
        if !matches!(kind, Kind::Text | Kind::Number) {
            return Err(format!("{} is no date", kind.name()));
        }
        let text = value.compare_text();
        let text = text.trim();
        if text.len() > MAX_TEXT {
            return Err(format!("a text of more than {MAX_TEXT} bytes is no date"));
        }
        match &self.parse {
            Some(Form::EpochSeconds) => epoch(text, 1_000_000_000),
            Some(Form::EpochMillis) => epoch(text, 1_000_000),
            Some(Form::Rfc3339) => DateTime::parse_from_rfc3339(text)
                .map(|at| at.to_utc())
                .map_err(|_| "this is no date and time in RFC 3339".to_owned()),
            Some(Form::Text(form)) => self.parsed(text, form),
            None if kind == Kind::Number => {
                Err("a number is no date by itself; say `parse = \"epoch_s\"` or `\"epoch_ms\"`".to_owned())
            }
            None => date_known(text, self.zone_in)
                .map_err(|_| "this text is no date in ISO 8601; say its form with `parse`".to_owned()),
        }
    }

    /// By strftime text. Without a day it is the first, without a time midnight.
    fn parsed(&self, text: &str, form: &str) -> Result<DateTime<Utc>, String> {
        let unlike = || format!("this text has not the form `{form}`");
        let mut parsed = Parsed::new();
        chrono::format::parse(&mut parsed, text, StrftimeItems::new(form)).map_err(|_| unlike())?;
        if let Some(seconds) = parsed.timestamp() {
            let nanos = parsed.nanosecond().unwrap_or(0);
            return DateTime::from_timestamp(seconds, nanos).ok_or_else(unlike);
        }
        let date = parsed.to_naive_date().or_else(|_| {
            parsed.set_day(1)?;
            parsed.to_naive_date()
        });
        let clocked = parsed.hour_div_12().or(parsed.hour_mod_12()).or(parsed.minute()).is_some();
        if clocked && parsed.minute().is_none() {
            let _ = parsed.set_minute(0);
        }
        let time = if clocked { parsed.to_naive_time().map_err(|_| unlike())? } else { NaiveTime::MIN };
        let local = NaiveDateTime::new(date.map_err(|_| unlike())?, time);
        let found = match parsed.offset() {
            Some(offset) => chrono::FixedOffset::east_opt(offset)
                .and_then(|offset| offset.from_local_datetime(&local).single())
                .map(|at| at.to_utc()),
            None => wall_clock(local, self.zone_in),
        };
        found.ok_or_else(unlike)
    }
}

/// A count since 1970, perhaps with a fraction; `unit` is one of it in nanoseconds.
fn epoch(text: &str, unit: i128) -> Result<DateTime<Utc>, String> {
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |digits| (-1, digits));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let plain = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if !plain(whole) || !plain(fraction) {
        return Err("this is no count of seconds or milliseconds since 1970".to_owned());
    }
    let nanos = || {
        let mut nanos = whole.parse::<i128>().ok()?.checked_mul(unit)?;
        let mut place = unit;
        for digit in fraction.bytes() {
            place /= 10;
            nanos += i128::from(digit - b'0') * place;
        }
        let nanos = nanos * sign;
        let seconds = i64::try_from(nanos.div_euclid(1_000_000_000)).ok()?;
        DateTime::from_timestamp(seconds, u32::try_from(nanos.rem_euclid(1_000_000_000)).ok()?)
    };
    nanos().ok_or_else(|| "this date is out of range".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(text: &str) -> Form {
        Form::compile(text).unwrap()
    }

    fn zone(name: &str) -> Tz {
        name.parse().unwrap()
    }

    fn written(date: &Date, value: &str) -> Result<String, String> {
        let mut out = Vec::new();
        date.write(JsonRef::trusted(value), &mut out).map_err(|error| error.to_string())?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn every_form_is_read_and_written() {
        for (parse, zone_in, format, zone_out, value, wanted) in [
            ("", "UTC", "%Y-%m-%d", "Europe/Berlin", r#""2025-03-26T23:30:00Z""#, r#""2025-03-27""#),
            ("", "UTC", "rfc3339", "UTC", r#""2025-03-26""#, r#""2025-03-26T00:00:00Z""#),
            ("", "Europe/Berlin", "rfc3339", "UTC", r#""2025-03-26 10:00:00""#, r#""2025-03-26T09:00:00Z""#),
            ("", "Europe/Berlin", "rfc3339", "UTC", r#""2025-03-26T10:00:00-05:00""#, r#""2025-03-26T15:00:00Z""#),
            ("epoch_s", "UTC", "rfc3339", "America/New_York", "1736046249", r#""2025-01-04T22:04:09-05:00""#),
            ("epoch_s", "UTC", "rfc3339", "UTC", "\"1736046249.087\"", r#""2025-01-05T03:04:09.087Z""#),
            ("epoch_ms", "UTC", "epoch_s", "UTC", "1736046249999", "1736046249"),
            ("epoch_s", "UTC", "epoch_ms", "UTC", "-1.5", "-1500"),
            ("rfc3339", "UTC", "epoch_ms", "UTC", r#""2025-01-05T03:04:09.087Z""#, "1736046249087"),
            ("%d.%m.%Y", "Europe/Berlin", "%Y-%m-%d", "Europe/Berlin", r#""01.03.2025""#, r#""2025-03-01""#),
            ("%d/%m/%Y %I:%M %p", "UTC", "%H:%M", "UTC", r#""26/03/2025 01:05 PM""#, r#""13:05""#),
            (
                "%Y-%m-%dT%H:%M:%S%z",
                "UTC",
                "rfc3339",
                "UTC",
                r#""2025-03-26T10:00:00+0200""#,
                r#""2025-03-26T08:00:00Z""#,
            ),
            ("%m/%Y", "UTC", "%Y-%m-%d", "UTC", r#""03/2025""#, r#""2025-03-01""#),
            ("%Y%m%d%H", "UTC", "rfc3339", "UTC", r#""2025032607""#, r#""2025-03-26T07:00:00Z""#),
            ("%s", "UTC", "%G-W%V-%u 100%%", "UTC", "1736046249", r#""2025-W01-7 100%""#),
            ("%Y%m%d", "UTC", "%B %e, %Y \"%Z\"", "Asia/Tokyo", "20250326", r#""March 26, 2025 \"JST\"""#),
            ("", "UTC", "%Y", "UTC", "null", "null"),
        ] {
            let parse = (!parse.is_empty()).then(|| form(parse));
            let date = Date { parse, zone_in: zone(zone_in), format: form(format), zone: zone(zone_out) };
            assert_eq!(written(&date, value).as_deref(), Ok(wanted), "{value} {format}");
        }
    }

    #[test]
    fn a_clock_that_changes_has_a_defined_meaning() {
        for (local, wanted) in [
            // Skipped: 02:00 to 03:00 does not exist.
            ("2025-03-30 01:59", "2025-03-30T00:59:00Z"),
            ("2025-03-30 02:30", "2025-03-30T01:30:00Z"),
            ("2025-03-30 03:00", "2025-03-30T01:00:00Z"),
            // Shown twice: the first pass.
            ("2025-10-26 02:30", "2025-10-26T00:30:00Z"),
            ("2025-10-26 03:00", "2025-10-26T02:00:00Z"),
        ] {
            for parse in [None, Some(form("%Y-%m-%d %H:%M"))] {
                let zone_in = zone("Europe/Berlin");
                let date = Date { parse, zone_in, format: form("rfc3339"), zone: Tz::UTC };
                assert_eq!(written(&date, &format!("\"{local}\"")), Ok(format!("\"{wanted}\"")), "{local}");
            }
        }
    }

    #[test]
    fn what_is_no_date_is_an_error_that_shows_no_data() {
        for (parse, value, wanted) in [
            ("", "1736046249", "say `parse = \"epoch_s\"`"),
            ("", "\"secret\"", "say its form with `parse`"),
            ("", "\"2025-02-30\"", "say its form with `parse`"),
            ("", "true", "a boolean is no date"),
            ("", "[]", "a list is no date"),
            ("rfc3339", "\"2025-03-26\"", "no date and time in RFC 3339"),
            ("epoch_s", "\"12a\"", "no count"),
            ("epoch_s", "1e10", "no count"),
            ("epoch_s", "99999999999999999999999999999999999999999", "out of range"),
            ("epoch_ms", "9999999999999999999", "out of range"),
            ("%Y-%m-%d", "\"26.03.2025\"", "has not the form `%Y-%m-%d`"),
            ("%Y-%m-%d", "\"2025-03-26 x\"", "has not the form"),
            ("%H:%M", "\"10:00\"", "has not the form"),
        ] {
            let parse = (!parse.is_empty()).then(|| form(parse));
            let date = Date { parse, zone_in: Tz::UTC, format: Form::Rfc3339, zone: Tz::UTC };
            let error = written(&date, value).unwrap_err();
            assert!(error.contains(wanted) && !error.contains("secret"), "{error}");
        }
        let long = format!("\"{}\"", "2".repeat(1000));
        let date = Date { parse: None, zone_in: Tz::UTC, format: Form::Rfc3339, zone: Tz::UTC };
        assert!(written(&date, &long).unwrap_err().contains("more than 256"));
    }

    #[test]
    fn forms_are_checked_at_load() {
        for text in ["YYYY-MM-DD", "%Q", "%", "iso"] {
            assert!(Form::compile(text).is_err(), "{text}");
        }
        assert!(Form::compile(&"%Y".repeat(200)).is_err());
    }
}
