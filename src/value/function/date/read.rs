//! Reads dates: in the forms that APIs use, or with moment's tokens.

use super::moment::{DAYS, MONTHS, Piece, pieces};
use chrono::{DateTime, FixedOffset, LocalResult, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;

/// ISO 8601, with or without a time and an offset (else UTC), or RFC 2822.
pub(super) fn known(text: &str) -> Result<DateTime<Utc>, String> {
    known_in(text, Tz::UTC)
}

/// The same, with the zone of clocks without an offset.
pub(in crate::value) fn known_in(text: &str, zone: Tz) -> Result<DateTime<Utc>, String> {
    let text = text.trim();
    let unknown = || "this text is no date in ISO 8601; give its tokens as `read`".to_owned();
    if let Ok(at) = DateTime::parse_from_rfc3339(text).or_else(|_| DateTime::parse_from_rfc2822(text)) {
        return Ok(at.to_utc());
    }
    for format in ["%Y-%m-%dT%H:%M:%S%.f%#z", "%Y-%m-%d %H:%M:%S%.f%#z", "%Y%m%dT%H%M%S%.f%#z", "%Y-%m-%dT%H:%M%#z"] {
        let zulu = text.strip_suffix('Z').map(|text| format!("{text}+0000"));
        if let Ok(at) = DateTime::parse_from_str(zulu.as_deref().unwrap_or(text), format) {
            return Ok(at.to_utc());
        }
    }
    for format in ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M", "%Y%m%dT%H%M%S"]
    {
        if let Ok(at) = NaiveDateTime::parse_from_str(text, format) {
            return in_zone(at, zone).ok_or_else(unknown);
        }
    }
    for format in ["%Y-%m-%d", "%Y%m%d"] {
        if let Ok(date) = NaiveDate::parse_from_str(text, format) {
            return in_zone(date.and_time(NaiveTime::MIN), zone).ok_or_else(unknown);
        }
    }
    Err(unknown())
}

/// A wall clock in a zone: the earlier of two, and behind a gap what the clock would have shown without it.
pub(in crate::value) fn in_zone(local: NaiveDateTime, zone: Tz) -> Option<DateTime<Utc>> {
    match zone.from_local_datetime(&local) {
        LocalResult::Single(at) | LocalResult::Ambiguous(at, _) => Some(at.to_utc()),
        LocalResult::None => {
            let before = local.checked_sub_signed(TimeDelta::hours(3))?;
            let before = zone.from_local_datetime(&before).earliest()?;
            before.checked_add_signed(TimeDelta::hours(3)).map(|at| at.to_utc())
        }
    }
}

/// What tokens have told so far.
#[derive(Default)]
struct Parts {
    year: Option<i32>,
    month: Option<u32>,
    day: Option<u32>,
    ordinal: Option<u32>,
    hour: Option<u32>,
    minute: u32,
    second: u32,
    nanos: u32,
    afternoon: Option<bool>,
    offset: Option<FixedOffset>,
    instant: Option<DateTime<Utc>>,
}

/// With moment's tokens. Text between them has to stand there; white space may be longer or shorter.
pub(super) fn with(text: &str, format: &str) -> Result<DateTime<Utc>, String> {
    let mut rest = text.trim();
    let mut parts = Parts::default();
    for piece in pieces(format) {
        match piece {
            Piece::Token(token) => {
                rest = token_in(token, rest.trim_start(), &mut parts)
                    .ok_or_else(|| format!("this date does not fit its format at `{token}`"))?;
            }
            Piece::Text(wanted) if wanted.trim().is_empty() => rest = rest.trim_start(),
            Piece::Text(wanted) => {
                let wanted = wanted.trim();
                rest = rest
                    .trim_start()
                    .strip_prefix(wanted)
                    .ok_or_else(|| format!("this date does not fit its format at `{wanted}`"))?;
            }
        }
    }
    if !rest.trim().is_empty() {
        return Err("this date is longer than its format".to_owned());
    }
    parts.instant().ok_or_else(|| "this is no day or time of the calendar".to_owned())
}

impl Parts {
    fn instant(&self) -> Option<DateTime<Utc>> {
        if let Some(at) = self.instant {
            return Some(at);
        }
        let year = self.year?;
        let date = match self.ordinal {
            Some(ordinal) => NaiveDate::from_yo_opt(year, ordinal),
            None => NaiveDate::from_ymd_opt(year, self.month.unwrap_or(1), self.day.unwrap_or(1)),
        }?;
        let hour = match (self.hour.unwrap_or(0), self.afternoon) {
            (hour, None) => hour,
            (hour @ 1..=12, Some(pm)) => hour % 12 + if pm { 12 } else { 0 },
            _ => return None,
        };
        let local = date.and_time(NaiveTime::from_hms_nano_opt(hour, self.minute, self.second, self.nanos)?);
        match self.offset {
            Some(offset) => offset.from_local_datetime(&local).single().map(|at| at.to_utc()),
            None => Some(local.and_utc()),
        }
    }
}

/// So many digits at most.
fn digits(text: &str, most: usize) -> Option<(i64, usize, &str)> {
    let end = text.bytes().take(most).take_while(u8::is_ascii_digit).count();
    Some((text.get(..end)?.parse().ok()?, end, &text[end..]))
}

fn small(text: &str, most: usize) -> Option<(u32, &str)> {
    let (n, _, rest) = digits(text, most)?;
    Some((u32::try_from(n).ok()?, rest))
}

/// One of some names, whole or its first letters.
fn named<'t>(text: &'t str, names: &[&str], length: Option<usize>) -> Option<(u32, &'t str)> {
    for (n, name) in names.iter().enumerate() {
        let wanted = &name[..length.unwrap_or(name.len())];
        if text.get(..wanted.len()).is_some_and(|start| start.eq_ignore_ascii_case(wanted)) {
            return Some((u32::try_from(n).ok()?, &text[wanted.len()..]));
        }
    }
    None
}

fn token_in<'t>(token: &str, text: &'t str, parts: &mut Parts) -> Option<&'t str> {
    let mut put = |slot: fn(&mut Parts) -> &mut Option<u32>, most| {
        let (n, rest) = small(text, most)?;
        *slot(parts) = Some(n);
        Some(rest)
    };
    Some(match token {
        "M" | "MM" => put(|p| &mut p.month, 2)?,
        "D" | "DD" => put(|p| &mut p.day, 2)?,
        "DDD" | "DDDD" => put(|p| &mut p.ordinal, 3)?,
        "H" | "HH" | "h" | "hh" => put(|p| &mut p.hour, 2)?,
        "Do" => put(|p| &mut p.day, 2)?.get(2..)?,
        "MMM" | "MMMM" => {
            let (n, rest) = named(text, &MONTHS, (token.len() == 3).then_some(3))?;
            parts.month = Some(n + 1);
            rest
        }
        "ddd" | "dddd" => named(text, &DAYS, (token.len() == 3).then_some(3))?.1,
        "YYYY" | "YY" => {
            let (n, length, rest) = digits(text, token.len())?;
            let century = match n {
                _ if length == 4 => 0,
                0..=68 => 2000,
                _ => 1900,
            };
            parts.year = (length == token.len()).then_some(i32::try_from(n + century).ok()?);
            rest
        }
        _ => return time_in(token, text, parts),
    })
}

fn time_in<'t>(token: &str, text: &'t str, parts: &mut Parts) -> Option<&'t str> {
    match token {
        "m" | "mm" | "s" | "ss" => {
            let (n, rest) = small(text, 2)?;
            *(if token.starts_with('m') { &mut parts.minute } else { &mut parts.second }) = n;
            Some(rest)
        }
        "A" | "a" => {
            let pm = text.get(..2)?.to_ascii_lowercase();
            parts.afternoon = Some(match pm.as_str() {
                "am" => false,
                "pm" => true,
                _ => return None,
            });
            text.get(2..)
        }
        "Z" | "ZZ" => {
            if let Some(rest) = text.strip_prefix('Z') {
                parts.offset = FixedOffset::east_opt(0);
                return Some(rest);
            }
            let sign = if text.starts_with('-') { -1 } else { 1 };
            let (hours, rest) = small(text.strip_prefix(['+', '-'])?, 2)?;
            let (minutes, rest) = small(rest.strip_prefix(':').unwrap_or(rest), 2)?;
            parts.offset = FixedOffset::east_opt(sign * i32::try_from(hours * 3600 + minutes * 60).ok()?);
            parts.offset.map(|_| rest)
        }
        "X" | "x" => {
            let (n, _, rest) = digits(text, 16)?;
            let found = if token == "X" { Utc.timestamp_opt(n, 0) } else { Utc.timestamp_millis_opt(n) };
            parts.instant = found.single();
            parts.instant.map(|_| rest)
        }
        _ if token.starts_with('S') => {
            let (n, length, rest) = digits(text, 9)?;
            let scale = 10_i64.pow(u32::try_from(9 - length).ok()?);
            parts.nanos = u32::try_from(n * scale).ok()?;
            Some(rest)
        }
        _ => None,
    }
}
