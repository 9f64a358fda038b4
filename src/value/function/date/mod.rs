//! Dates: read in many forms, moved by milliseconds or calendar steps, written with moment's tokens in any zone.

mod moment;
mod read;

pub(in crate::value) use read::{in_zone, known_in};

use super::{Call, Function, Outcome};
use crate::value::context::{Root, Slot};
use crate::value::issue::EvalError;
use chrono::{DateTime, Days, Months, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;

/// ISO 8601 with milliseconds.
const ISO: &str = "YYYY-MM-DDTHH:mm:ss.SSS[Z]";
const ISO_OFFSET: &str = "YYYY-MM-DDTHH:mm:ss.SSSZ";
/// Longest format or date.
const MAX_TEXT: usize = 256;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("dateFormat", "format: text, date: any, read?: text, zone?: text", date_format)
        .checked(check_zone_at::<3>)
        .says("the date in moment's tokens; `read` gives the tokens the date is written in (else ISO 8601, RFC 2822 or milliseconds), `zone` an IANA zone (else UTC)")
        .example(r#"["MM-DD-YYYY hh:mm A","2025-03-26T12:34:56Z"]"#, "03-26-2025 12:34 PM"),
    Function::new("dateAdd", "date: any, step?: any, zone?: text", date_add)
        .checked(check_zone_at::<2>)
        .says("later by milliseconds, or by a step such as `\"-1mo\"`, `\"1y\"`, `\"2w\"`, `\"36h\"`; with a zone the steps `d` and longer keep its wall clock and the result shows its offset")
        .example(r#"["2025-03-26T12:34:56Z","86400000"]"#, "2025-03-27T12:34:56.000Z"),
    Function::new("timestamp", "format?: text, zone?: text", timestamp)
        .timed()
        .checked(check_zone_at::<1>)
        .says("now, in moment's tokens (else ISO 8601), in a zone (else UTC); here at 2025-03-26T12:34:56.789Z")
        .example(r#"["YYYY-MM-DD HH:mm","Asia/Tokyo"]"#, "2025-03-26 21:34"),
];

fn check_zone_at<const AT: usize>(n: usize, text: &str) -> Result<(), String> {
    if n == AT && !text.is_empty() && text.parse::<Tz>().is_err() {
        return Err("this is no IANA time zone, such as `Europe/Berlin`".to_owned());
    }
    Ok(())
}

/// The zone of an argument; none when it is not given.
fn zone(call: &Call<'_, '_>, n: usize) -> Result<Option<Tz>, EvalError> {
    if !call.given(n) {
        return Ok(None);
    }
    match &*call.text(n)? {
        "" => Ok(None),
        name => match name.parse() {
            Ok(zone) => Ok(Some(zone)),
            Err(_) => Err(call.refused("its zone is no IANA time zone, such as `Europe/Berlin`")),
        },
    }
}

fn short<'a>(call: &Call<'_, 'a>, n: usize) -> Result<std::borrow::Cow<'a, str>, EvalError> {
    let text = call.text_or(n, "")?;
    if text.len() > MAX_TEXT {
        return Err(EvalError::Limit(format!(
            "helper `{}` reads texts of at most {MAX_TEXT} bytes",
            call.function.name
        )));
    }
    call.budget.spend(8)?;
    Ok(text)
}

/// The instant an argument names: text in ISO 8601 or RFC 2822, or milliseconds since 1970.
fn instant(call: &Call<'_, '_>, n: usize, format: &str) -> Result<DateTime<Utc>, EvalError> {
    let value = call.value(n);
    let wrong = || call.wrong(n, "a date", &value);
    match value.type_name() {
        "a number" if format.is_empty() || matches!(format, "x" | "X") => {
            let count = call.whole(n)?;
            let found = if format == "X" { Utc.timestamp_opt(count, 0) } else { Utc.timestamp_millis_opt(count) };
            found.single().ok_or_else(|| call.refused("this date is out of range"))
        }
        "text" | "a number" => {
            let text = short(call, n)?;
            let found = if format.is_empty() { read::known(&text) } else { read::with(&text, format) };
            found.map_err(|why| call.refused(&why))
        }
        _ => Err(wrong()),
    }
}

fn written<'a>(call: &Call<'_, 'a>, at: DateTime<Utc>, zone: Option<Tz>, format: &str) -> Outcome<'a> {
    call.made(moment::format(&at.with_timezone(&zone.unwrap_or(Tz::UTC)), format))
}

fn date_format<'a>(call: &Call<'_, 'a>) -> Outcome<'a> {
    let (format, read) = (short(call, 0)?, short(call, 2)?);
    let at = instant(call, 1, &read)?;
    written(call, at, zone(call, 3)?, &format)
}

fn date_add<'a>(call: &Call<'_, 'a>) -> Outcome<'a> {
    let zone = zone(call, 2)?;
    let at = instant(call, 0, "")?;
    let moved = match call.value(1) {
        step if call.given(1) && call.as_number(&step).is_none() => {
            let text = short(call, 1)?;
            let (count, unit) = step_of(&text).ok_or_else(|| {
                call.refused(
                    "its step is a count of milliseconds, or a number with `ms`, `s`, `m`, `h`, `d`, `w`, `mo` or `y`",
                )
            })?;
            moved(at, count, unit, zone.unwrap_or(Tz::UTC))
        }
        _ if call.given(1) => TimeDelta::try_milliseconds(call.whole(1)?).and_then(|by| at.checked_add_signed(by)),
        _ => Some(at),
    };
    let moved = moved.ok_or_else(|| call.refused("the result is no date, or out of range"))?;
    written(call, moved, zone, if zone.is_some() { ISO_OFFSET } else { ISO })
}

/// `-1mo` as a count and a unit.
fn step_of(text: &str) -> Option<(i64, &str)> {
    let text = text.trim();
    let at = text.find(|c: char| c.is_ascii_alphabetic())?;
    let (count, unit) = text.split_at(at);
    matches!(unit, "ms" | "s" | "m" | "h" | "d" | "w" | "mo" | "y").then_some(())?;
    Some((count.strip_prefix('+').unwrap_or(count).parse().ok()?, unit))
}

/// Later by a step. Days and longer keep the wall clock of the zone.
fn moved(at: DateTime<Utc>, count: i64, unit: &str, zone: Tz) -> Option<DateTime<Utc>> {
    let millis = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return stepped(at, count, unit, zone),
    };
    at.checked_add_signed(TimeDelta::try_milliseconds(count.checked_mul(millis)?)?)
}

fn stepped(at: DateTime<Utc>, count: i64, unit: &str, zone: Tz) -> Option<DateTime<Utc>> {
    let local = at.with_timezone(&zone).naive_local();
    let size = count.unsigned_abs();
    let moved = match unit {
        "d" | "w" => {
            let days = Days::new(size.checked_mul(if unit == "w" { 7 } else { 1 })?);
            if count < 0 { local.checked_sub_days(days) } else { local.checked_add_days(days) }
        }
        _ => {
            let months = Months::new(u32::try_from(size.checked_mul(if unit == "y" { 12 } else { 1 })?).ok()?);
            if count < 0 { local.checked_sub_months(months) } else { local.checked_add_months(months) }
        }
    }?;
    read::in_zone(moved, zone)
}

fn timestamp<'a>(call: &Call<'_, 'a>) -> Outcome<'a> {
    let Slot::Text(now) = call.ctx.get(Root::Now) else {
        return Err(EvalError::Missing("`now` is not available here".to_owned()));
    };
    let now = DateTime::parse_from_rfc3339(now).map_err(|_| call.refused("`now` is no time"))?.to_utc();
    let (format, zone) = (short(call, 0)?, zone(call, 1)?);
    let format = match (&*format, zone) {
        ("", None) => ISO,
        ("", Some(_)) => ISO_OFFSET,
        (format, _) => format,
    };
    written(call, now, zone, format)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        read::known(text).unwrap()
    }

    #[test]
    fn every_token_is_written() {
        let time = at("2025-01-05T03:04:09.087Z").with_timezone(&Tz::America__New_York);
        for (token, wanted) in [
            ("M Mo MM MMM MMMM", "1 1st 01 Jan January"),
            ("Q Qo D Do DD DDD DDDo DDDD", "1 1st 4 4th 04 4 4th 004"),
            ("d do dd ddd dddd e E", "6 6th Sa Sat Saturday 6 6"),
            ("w wo ww W Wo WW", "1 1st 01 1 1st 01"),
            ("YY YYYY gg gggg GG GGGG", "25 2025 25 2025 25 2025"),
            ("A a H HH h hh k kk m mm s ss", "PM pm 22 22 10 10 22 22 4 04 9 09"),
            ("S SS SSS SSSS Z ZZ X x", "0 08 087 0870 -05:00 -0500 1736046249 1736046249087"),
            ("L|LL|LLL|LLLL", "01/04/2025|January 4, 2025|January 4, 2025 10:04 PM|Saturday, January 4, 2025 10:04 PM"),
            (
                "LT|LTS|l|ll|lll|llll",
                "10:04 PM|10:04:09 PM|1/4/2025|Jan 4, 2025|Jan 4, 2025 10:04 PM|Sat, Jan 4, 2025 10:04 PM",
            ),
            ("[MM] \\D é-YYYY[", "MM D é-2025["),
        ] {
            assert_eq!(moment::format(&time, token), wanted, "{token}");
        }
        assert_eq!(
            moment::format(&at("2024-12-30T00:00:00Z").with_timezone(&Tz::UTC), "w gggg W GGGG"),
            "1 2025 1 2025"
        );
        assert_eq!(
            moment::format(&at("2027-01-01T00:00:00Z").with_timezone(&Tz::UTC), "w gggg W GGGG"),
            "1 2027 53 2026"
        );
    }

    #[test]
    fn dates_are_read_in_usual_and_in_given_forms() {
        let wanted = "2025-03-26T12:34:56+00:00";
        for text in [
            "2025-03-26T12:34:56Z",
            "2025-03-26 12:34:56",
            "2025-03-26T14:34:56+02:00",
            "2025-03-26T08:34:56-0400",
            "20250326T123456Z",
            "Wed, 26 Mar 2025 12:34:56 GMT",
        ] {
            assert_eq!(read::known(text).map(|at| at.to_rfc3339()).as_deref(), Ok(wanted), "{text}");
        }
        assert_eq!(at("2025-03-26").to_rfc3339(), "2025-03-26T00:00:00+00:00");
        for (text, format, wanted) in [
            ("26/03/2025", "DD/MM/YYYY", "2025-03-26T00:00:00+00:00"),
            ("3-6-25 1:05 pm", "M-D-YY h:mm a", "2025-03-06T13:05:00+00:00"),
            ("March 6th, 2025", "MMMM Do, YYYY", "2025-03-06T00:00:00+00:00"),
            ("2025 Mar 06 at 12:00 AM +01:00", "YYYY MMM DD [at] hh:mm A Z", "2025-03-05T23:00:00+00:00"),
            ("1736046249", "X", "2025-01-05T03:04:09+00:00"),
            ("1736046249087", "x", "2025-01-05T03:04:09.087+00:00"),
            ("2025-060", "YYYY-DDDD", "2025-03-01T00:00:00+00:00"),
            ("Wednesday 26.03.2025 7:05:09.5", "dddd DD.MM.YYYY H:mm:ss.S", "2025-03-26T07:05:09.500+00:00"),
        ] {
            assert_eq!(read::with(text, format).map(|at| at.to_rfc3339()).as_deref(), Ok(wanted), "{text} {format}");
        }
        for (text, format) in
            [("31/02/2025", "DD/MM/YYYY"), ("x", "YYYY"), ("2025", "YYYY-MM"), ("2025-13", "YYYY-MM"), ("1é", "DD")]
        {
            assert!(read::with(text, format).is_err(), "{text} {format}");
        }
        for text in ["", "yesterday", "2025-13-01", "2025-02-30", "12:00", "é", "2025-03-26T25:00:00Z"] {
            assert!(read::known(text).is_err(), "{text}");
        }
    }

    #[test]
    fn calendar_steps_keep_the_wall_clock_and_the_end_of_a_month() {
        for (from, step, zone, wanted) in [
            ("2025-03-31T10:00:00Z", "-1mo", Tz::UTC, "2025-02-28T10:00:00+00:00"),
            ("2024-02-29T10:00:00Z", "1y", Tz::UTC, "2025-02-28T10:00:00+00:00"),
            ("2025-03-29T12:00:00Z", "1d", Tz::Europe__Berlin, "2025-03-30T11:00:00+00:00"),
            ("2025-03-29T12:00:00Z", "24h", Tz::Europe__Berlin, "2025-03-30T12:00:00+00:00"),
            // The hour that is skipped begins with the next one.
            ("2025-03-29T01:30:00Z", "1d", Tz::Europe__Berlin, "2025-03-30T01:30:00+00:00"),
        ] {
            let (count, unit) = step_of(step).unwrap();
            assert_eq!(moved(at(from), count, unit, zone).unwrap().to_rfc3339(), wanted, "{from} {step}");
        }
        assert!(moved(at("2025-01-01"), i64::MAX, "y", Tz::UTC).is_none());
        assert!(moved(at("2025-01-01"), i64::MIN, "d", Tz::UTC).is_none());
        assert!(moved(at("2025-01-01"), i64::MAX, "h", Tz::UTC).is_none());
        assert!(step_of("1 month").is_none() && step_of("x").is_none());
    }
}
