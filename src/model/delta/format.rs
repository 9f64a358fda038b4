//! How an API writes instants, and how they are read where records carry them.

use crate::value::json::{JsonRef, Kind};
use chrono::format::{Item, Parsed, StrftimeItems, parse};
use chrono::{DateTime, NaiveDate, NaiveDateTime, SecondsFormat, Utc};

/// Longest text that is read as an instant.
const LONGEST: usize = 100;

/// A form of writing instants.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Format {
    /// `2026-01-31T08:00:00Z`
    #[default]
    Rfc3339,
    /// Seconds since 1970.
    EpochSeconds,
    /// Milliseconds since 1970.
    EpochMillis,
    /// As strftime says, in UTC.
    Text(Box<str>),
}

impl Format {
    /// A word, or strftime text that holds at least one field.
    pub fn named(text: &str) -> Result<Self, String> {
        match text {
            "rfc3339" => return Ok(Self::Rfc3339),
            "epoch_s" => return Ok(Self::EpochSeconds),
            "epoch_ms" => return Ok(Self::EpochMillis),
            _ => {}
        }
        let mut items = StrftimeItems::new(text).peekable();
        if text.len() > LONGEST {
            return Err(format!("`{}…` is too long for a date", &text[..text.floor_char_boundary(20)]));
        }
        if items.any(|item| matches!(item, Item::Error)) {
            return Err(format!("`{text}` holds a `%` that strftime does not know"));
        }
        let fields = StrftimeItems::new(text).any(|item| matches!(item, Item::Numeric(..) | Item::Fixed(_)));
        if !fields {
            return Err(format!("`{text}` writes no part of a date"));
        }
        Ok(Self::Text(text.into()))
    }

    /// As it is sent. Smaller parts than the format has are cut off, never rounded up.
    pub fn write(&self, at: DateTime<Utc>) -> String {
        match self {
            Self::Rfc3339 => at.to_rfc3339_opts(SecondsFormat::AutoSi, true),
            Self::EpochSeconds => at.timestamp().to_string(),
            Self::EpochMillis => at.timestamp_millis().to_string(),
            Self::Text(format) => at.format(format).to_string(),
        }
    }

    /// The number it is sent as, where it is one.
    pub fn number(&self, at: DateTime<Utc>) -> Option<i64> {
        match self {
            Self::EpochSeconds => Some(at.timestamp()),
            Self::EpochMillis => Some(at.timestamp_millis()),
            Self::Rfc3339 | Self::Text(_) => None,
        }
    }

    /// Reads a value of a record; none when it has another form.
    pub fn read(&self, value: JsonRef<'_>) -> Option<DateTime<Utc>> {
        match (self, value.kind()) {
            (Self::EpochSeconds, Kind::Number) => seconds(value.text()),
            (Self::EpochMillis, Kind::Number) => millis(value.text()),
            (_, Kind::Text) => self.read_text(value.as_str()?.trim()),
            // A year or a day written as a number: `20260131`.
            (Self::Text(_), Kind::Number) => self.read_text(value.text()),
            _ => None,
        }
    }

    /// Reads text.
    pub fn read_text(&self, text: &str) -> Option<DateTime<Utc>> {
        if text.len() > LONGEST {
            return None;
        }
        match self {
            Self::Rfc3339 => usual(text),
            Self::EpochSeconds => seconds(text),
            Self::EpochMillis => millis(text),
            Self::Text(format) => {
                let mut parsed = Parsed::new();
                parse(&mut parsed, text, StrftimeItems::new(format)).ok()?;
                if let Ok(at) = parsed.to_datetime() {
                    return Some(at.to_utc());
                }
                if let Ok(at) = parsed.to_naive_datetime_with_offset(0) {
                    return Some(at.and_utc());
                }
                if parsed.day().is_none() && parsed.ordinal().is_none() {
                    parsed.set_day(1).ok()?;
                }
                Some(parsed.to_naive_date().ok()?.and_hms_opt(0, 0, 0)?.and_utc())
            }
        }
    }
}

/// What APIs write that say ISO 8601; without an offset it is UTC.
pub fn usual(text: &str) -> Option<DateTime<Utc>> {
    if let Ok(at) = DateTime::parse_from_rfc3339(text) {
        return Some(at.to_utc());
    }
    for format in ["%Y-%m-%dT%H:%M:%S%.f%#z", "%Y-%m-%d %H:%M:%S%.f%#z", "%Y-%m-%dT%H:%M%#z"] {
        let zulu = text.strip_suffix('Z').map(|text| format!("{text}+0000"));
        if let Ok(at) = DateTime::parse_from_str(zulu.as_deref().unwrap_or(text), format) {
            return Some(at.to_utc());
        }
    }
    for format in ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M"] {
        if let Ok(at) = NaiveDateTime::parse_from_str(text, format) {
            return Some(at.and_utc());
        }
    }
    Some(NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?.and_hms_opt(0, 0, 0)?.and_utc())
}

fn seconds(text: &str) -> Option<DateTime<Utc>> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    if !part.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let nanos: u32 = format!("{:0<9}", part.get(..part.len().min(9))?).parse().ok()?;
    in_reach(DateTime::from_timestamp(whole.parse().ok()?, nanos)?)
}

fn millis(text: &str) -> Option<DateTime<Utc>> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    if !part.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    in_reach(DateTime::from_timestamp_millis(whole.parse().ok()?)?)
}

/// Milliseconds taken for seconds lie beyond the year 9999.
fn in_reach(at: DateTime<Utc>) -> Option<DateTime<Utc>> {
    (at <= super::step::LAST).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::json::Json;
    use proptest::prelude::*;

    fn at(text: &str) -> DateTime<Utc> {
        usual(text).unwrap()
    }

    fn read(format: &str, value: &str) -> Option<DateTime<Utc>> {
        Format::named(format).unwrap().read(Json::parse(value.to_owned()).unwrap().as_ref())
    }

    #[test]
    fn every_form_is_written_and_read() {
        let instant = at("2026-01-31T08:15:30.5Z");
        for (format, written) in [
            ("rfc3339", "2026-01-31T08:15:30.500Z"),
            ("epoch_s", "1769847330"),
            ("epoch_ms", "1769847330500"),
            ("%d.%m.%Y %H:%M", "31.01.2026 08:15"),
            ("%Y-%m-%dT%H:%M:%S%z", "2026-01-31T08:15:30+0000"),
            ("%s", "1769847330"),
        ] {
            let format = Format::named(format).unwrap();
            assert_eq!(format.write(instant), written);
            let back = format.read(Json::parse(format!("\"{written}\"")).unwrap().as_ref()).unwrap();
            assert!(back <= instant && instant - back < chrono::TimeDelta::minutes(1), "{format:?}: {back}");
        }
        assert_eq!(Format::EpochMillis.number(instant), Some(1_769_847_330_500));
    }

    #[test]
    fn values_are_read_where_they_have_the_form_and_nowhere_else() {
        assert_eq!(read("rfc3339", "\"2026-01-31T09:00:00+01:00\""), Some(at("2026-01-31T08:00:00Z")));
        assert_eq!(read("rfc3339", "\"2026-01-31 08:00\""), Some(at("2026-01-31T08:00:00Z")));
        assert_eq!(read("rfc3339", "\"2026-01-31\""), Some(at("2026-01-31T00:00:00Z")));
        assert_eq!(read("epoch_s", "1769847330.25"), Some(at("2026-01-31T08:15:30.25Z")));
        assert_eq!(read("epoch_s", "\"1769847330\""), Some(at("2026-01-31T08:15:30Z")));
        assert_eq!(read("%Y%m%d", "20260131"), Some(at("2026-01-31")));
        assert_eq!(read("%Y-%m", "\"2026-02\""), Some(at("2026-02-01")));
        for (format, value) in [
            ("rfc3339", "1769847330"),
            ("rfc3339", "\"soon\""),
            ("rfc3339", "null"),
            ("rfc3339", "\"2026-02-30T00:00:00Z\""),
            ("epoch_s", "1769847330500"),
            ("epoch_s", "1e99"),
            ("epoch_s", "\"1.x\""),
            ("epoch_ms", "true"),
            ("%Y-%m-%d", "\"2026-01-31T00:00:00Z\""),
        ] {
            assert_eq!(read(format, value), None, "{format} {value}");
        }
        assert_eq!(read("rfc3339", &format!("\"{}\"", "9".repeat(1 << 16))), None);
    }

    #[test]
    fn a_format_that_writes_no_date_is_refused() {
        for text in ["", "date", "%Q", "%", "rfc3340"] {
            assert!(Format::named(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again_and_never_later(seconds in 0i64..253_402_300_799, nanos in 0u32..1_000_000_000) {
            let instant = DateTime::from_timestamp(seconds, nanos).unwrap();
            for format in [Format::Rfc3339, Format::EpochSeconds, Format::EpochMillis] {
                let text = Json::from_value(&serde_json::Value::from(format.write(instant)));
                let back = format.read(text.as_ref()).unwrap();
                prop_assert!(back <= instant && instant - back < chrono::TimeDelta::seconds(1));
                if format == Format::Rfc3339 {
                    prop_assert_eq!(back, instant);
                }
            }
        }

        #[test]
        fn no_text_makes_it_panic(format in "[%a-zA-Z0-9:. -]{0,20}", value in any::<String>()) {
            if let Ok(format) = Format::named(&format) {
                let _ = format.read(Json::from_value(&serde_json::Value::from(value)).as_ref());
                let _ = format.write(DateTime::UNIX_EPOCH);
            }
        }
    }
}
