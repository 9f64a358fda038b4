//! Writes a time with moment's tokens, in English.

use super::super::text::ordinal;
use chrono::{DateTime, Datelike, NaiveDate, Offset, TimeZone, Timelike};
use std::fmt::{Display, Write as _};

/// Longer tokens stand before those they begin with.
pub(super) const TOKENS: &[&str] = &[
    "SSSSSSSSS",
    "SSSSSSSS",
    "SSSSSSS",
    "SSSSSS",
    "SSSSS",
    "SSSS",
    "SSS",
    "SS",
    "S",
    "Hmmss",
    "Hmm",
    "hmmss",
    "hmm",
    "Mo",
    "MMMM",
    "MMM",
    "MM",
    "M",
    "Do",
    "DDDo",
    "DDDD",
    "DDD",
    "DD",
    "D",
    "dddd",
    "ddd",
    "dd",
    "do",
    "d",
    "Qo",
    "Q",
    "YYYY",
    "YY",
    "gggg",
    "gg",
    "GGGG",
    "GG",
    "e",
    "E",
    "a",
    "A",
    "hh",
    "h",
    "HH",
    "H",
    "kk",
    "k",
    "mm",
    "m",
    "ss",
    "s",
    "wo",
    "ww",
    "w",
    "Wo",
    "WW",
    "W",
    "x",
    "X",
    "zz",
    "z",
    "ZZ",
    "Z",
    "LTS",
    "LT",
    "LLLL",
    "LLL",
    "LL",
    "L",
    "llll",
    "lll",
    "ll",
    "l",
];

pub(super) const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
pub(super) const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// A piece of a format.
pub(super) enum Piece<'f> {
    Token(&'static str),
    Text(&'f str),
}

/// Splits a format into tokens and text; `[…]` and `\` keep letters as they are.
pub(super) fn pieces(format: &str) -> Vec<Piece<'_>> {
    let mut rest = format;
    let mut found = Vec::new();
    while let Some(c) = rest.chars().next() {
        if let Some((inner, after)) = rest.strip_prefix('[').and_then(|inner| inner.split_once(']')) {
            found.push(Piece::Text(inner));
            rest = after;
            continue;
        }
        if let Some(token) = TOKENS.iter().find(|token| rest.starts_with(**token)) {
            found.push(Piece::Token(token));
            rest = &rest[token.len()..];
            continue;
        }
        let skip = usize::from(c == '\\' && rest.len() > 1);
        let end = skip + rest[skip..].chars().next().map_or(0, char::len_utf8);
        found.push(Piece::Text(&rest[skip..end]));
        rest = &rest[end..];
    }
    found
}

/// The time in this format.
pub(super) fn format<T: TimeZone>(time: &DateTime<T>, format: &str) -> String
where
    T::Offset: Display,
{
    let mut out = String::with_capacity(format.len() * 2);
    for piece in pieces(format) {
        match piece {
            Piece::Text(text) => out.push_str(text),
            Piece::Token(token) => token_of(time, token, &mut out),
        }
    }
    out
}

fn token_of<T: TimeZone>(time: &DateTime<T>, token: &str, out: &mut String)
where
    T::Offset: Display,
{
    if let Some(long) = long(token) {
        out.push_str(&format(time, long));
        return;
    }
    match token.as_bytes().first() {
        Some(b'M' | b'Q' | b'D' | b'd' | b'e' | b'E' | b'w' | b'W' | b'Y' | b'g' | b'G') => day(time, token, out),
        _ => clock(time, token, out),
    }
}

fn long(token: &str) -> Option<&'static str> {
    Some(match token {
        "LT" => "h:mm A",
        "LTS" => "h:mm:ss A",
        "L" => "MM/DD/YYYY",
        "LL" => "MMMM D, YYYY",
        "LLL" => "MMMM D, YYYY h:mm A",
        "LLLL" => "dddd, MMMM D, YYYY h:mm A",
        "l" => "M/D/YYYY",
        "ll" => "MMM D, YYYY",
        "lll" => "MMM D, YYYY h:mm A",
        "llll" => "ddd, MMM D, YYYY h:mm A",
        "Hmm" => "H[]mm",
        "Hmmss" => "H[]mm[]ss",
        "hmm" => "h[]mm",
        "hmmss" => "h[]mm[]ss",
        _ => return None,
    })
}

fn name(names: &[&'static str], n: u32) -> &'static str {
    usize::try_from(n).ok().and_then(|n| names.get(n)).copied().unwrap_or_default()
}

/// Years and days.
fn day<T: TimeZone>(time: &DateTime<T>, token: &str, out: &mut String) {
    let date = time.date_naive();
    let (month, quarter, weekday) = (date.month(), date.month0() / 3 + 1, date.weekday().num_days_from_sunday());
    let (week_year, week) = week(date);
    let iso = date.iso_week();
    let (number, width) = match token {
        "MMMM" => return out.push_str(name(&MONTHS, date.month0())),
        "MMM" => return out.push_str(&name(&MONTHS, date.month0())[..3]),
        "dddd" => return out.push_str(name(&DAYS, weekday)),
        "ddd" => return out.push_str(&name(&DAYS, weekday)[..3]),
        "dd" => return out.push_str(&name(&DAYS, weekday)[..2]),
        "M" | "MM" | "Mo" => (month, token.len()),
        "Q" | "Qo" => (quarter, 1),
        "D" | "DD" | "Do" => (date.day(), token.len()),
        "DDD" | "DDDo" => (date.ordinal(), 1),
        "DDDD" => (date.ordinal(), 3),
        "d" | "do" | "e" => (weekday, 1),
        "E" => (date.weekday().number_from_monday(), 1),
        "w" | "ww" | "wo" => (week, token.len()),
        "W" | "WW" | "Wo" => (iso.week(), token.len()),
        "YYYY" => return year(date.year(), 4, out),
        "YY" => return year(date.year() % 100, 2, out),
        "gggg" => return year(week_year, 4, out),
        "gg" => return year(week_year % 100, 2, out),
        "GGGG" => return year(iso.year(), 4, out),
        _ => return year(iso.year() % 100, 2, out),
    };
    if token.ends_with('o') {
        out.push_str(&ordinal(i64::from(number)));
    } else {
        let _ = write!(out, "{number:0width$}");
    }
}

fn year(year: i32, width: usize, out: &mut String) {
    let _ = write!(out, "{year:0width$}");
}

/// The week of the year, from Sunday; the first one holds the first of January.
fn week(date: NaiveDate) -> (i32, u32) {
    let starts = |year: i32| {
        let first = NaiveDate::from_ymd_opt(year, 1, 1)?;
        first.checked_sub_days(chrono::Days::new(u64::from(first.weekday().num_days_from_sunday())))
    };
    let year = match starts(date.year() + 1) {
        Some(next) if date >= next => date.year() + 1,
        _ => date.year(),
    };
    let days = starts(year).map_or(0, |start| date.signed_duration_since(start).num_days());
    (year, u32::try_from(days / 7 + 1).unwrap_or(1))
}

/// Hours and smaller, offsets, counts since 1970.
fn clock<T: TimeZone>(time: &DateTime<T>, token: &str, out: &mut String)
where
    T::Offset: Display,
{
    let (pm, hour) = time.hour12();
    let offset = time.offset().fix().local_minus_utc();
    let hour24 = if time.hour() == 0 { 24 } else { time.hour() };
    let (number, width) = match token {
        "A" => return out.push_str(if pm { "PM" } else { "AM" }),
        "a" => return out.push_str(if pm { "pm" } else { "am" }),
        "H" | "HH" => (time.hour(), token.len()),
        "h" | "hh" => (hour, token.len()),
        "k" | "kk" => (hour24, token.len()),
        "m" | "mm" => (time.minute(), token.len()),
        "s" | "ss" => (time.second(), token.len()),
        "Z" | "ZZ" => {
            let (sign, size) = (if offset < 0 { '-' } else { '+' }, offset.unsigned_abs() / 60);
            let colon = if token == "Z" { ":" } else { "" };
            let _ = write!(out, "{sign}{:02}{colon}{:02}", size / 60, size % 60);
            return;
        }
        "z" | "zz" => {
            let _ = write!(out, "{}", time.offset());
            return;
        }
        "X" => {
            let _ = write!(out, "{}", time.timestamp());
            return;
        }
        "x" => {
            let _ = write!(out, "{}", time.timestamp_millis());
            return;
        }
        fraction => {
            // A leap second counts as the last instant of its minute; moment knows milliseconds only.
            let nanos = format!("{:03}000000", (time.nanosecond() / 1_000_000).min(999));
            return out.push_str(nanos.get(..fraction.len()).unwrap_or_default());
        }
    };
    let _ = write!(out, "{number:0width$}");
}
