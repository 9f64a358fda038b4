//! `schedule`: a cron line, or a table with zone, overlap and what becomes of missed occurrences.

use crate::config::decode::file::Finding;
use crate::config::decode::scope::Scope;
use crate::config::decode::table::Table;
use crate::config::decode::value::Value;
use crate::config::suggest;
use crate::model::schedule::{MakeUp, Missed, Overlap, Schedule};
use crate::value::time::show_duration;
use chrono::{DateTime, Utc};
use std::ops::RangeInclusive;
use std::time::Duration;

/// From where a line is asked whether it ever fires. Fixed, so that a project is judged the same on every day.
const FROM: DateTime<Utc> = match DateTime::from_timestamp(1_704_067_200, 0) {
    Some(instant) => instant,
    None => DateTime::UNIX_EPOCH,
};

const OVERLAPS: &[(&str, Overlap)] = &[("skip", Overlap::Skip), ("queue", Overlap::Queue)];
const MAKE_UPS: &[(&str, MakeUp)] = &[("none", MakeUp::None), ("one", MakeUp::One), ("all", MakeUp::All)];

/// Shorter ones hold nothing: an occurrence up to a minute late is not a missed one.
const WINDOWS: RangeInclusive<Duration> = Duration::from_mins(1)..=Duration::from_hours(366 * 24);
const JITTERS: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_hours(24);
const MAXES: RangeInclusive<u64> = 1..=10_000;

pub(super) fn decode(value: &Value<'_>, scope: &Scope<'_>) -> Option<Schedule> {
    if !value.is_table() {
        return line(value, chrono_tz::Tz::UTC, Overlap::default());
    }
    let table = value.table()?;
    let cron = table.need("cron");
    let zone = table.given("timezone", Value::zone);
    let overlap = table.given("overlap", |value| value.word(OVERLAPS, &[]));
    let missed = table.given("missed", |value| missed(value, scope));
    table.finish();
    // A zone or an overlap that is wrong does not hide what is wrong with the line.
    let (known_zone, known_overlap) = (zone.unwrap_or_default(), overlap.unwrap_or_default());
    let parsed = line(&cron?, known_zone.unwrap_or(chrono_tz::Tz::UTC), known_overlap.unwrap_or_default());
    let mut schedule = parsed.filter(|_| zone.is_ok() && overlap.is_ok())?;
    schedule.missed = missed.ok()?.unwrap_or_default();
    Some(schedule)
}

/// A word, or a table whose `run` is that word.
fn missed(value: &Value<'_>, scope: &Scope<'_>) -> Option<Missed> {
    if value.raw_str().is_some() {
        return value.word(MAKE_UPS, &[]).map(|run| Missed { run, ..Missed::default() });
    }
    if !value.is_table() {
        value.wrong_type("a word or a table");
        return None;
    }
    let table = value.table()?;
    let run = table.given("run", |value| value.word(MAKE_UPS, &[]));
    let window = table.given("window", |value| value.duration_in(&WINDOWS));
    let jitter = table.given("jitter", |value| value.duration_in(&JITTERS));
    let max = table.given("max", |value| u32::try_from(value.number(MAXES, scope)?).ok());
    table.finish();
    if let Ok(run) = run {
        report_idle(&table, run.unwrap_or_default());
    }
    let known = Missed::default();
    Some(Missed {
        run: run.ok()?.unwrap_or(known.run),
        window: window.ok()?.unwrap_or(known.window),
        jitter: jitter.ok()?.unwrap_or(known.jitter),
        max: max.ok()?.unwrap_or(known.max),
    })
}

/// Keys that say nothing beside this `run` are kept, so that it can be switched off for a while, but told.
fn report_idle(table: &Table<'_>, run: MakeUp) {
    let idle: &[&str] = match run {
        MakeUp::None => &["window", "jitter", "max"],
        MakeUp::One => &["max"],
        MakeUp::All => &[],
    };
    let word = MAKE_UPS.iter().find(|(_, meaning)| *meaning == run).map_or("", |(word, _)| word);
    for name in idle {
        let Some(value) = table.peek(name) else { continue };
        let message = format!("`{name}` has no effect with `run = \"{word}\"`");
        let help = if *name == "max" { "`max` bounds `run = \"all\"`" } else { "nothing that was missed is run" };
        value.report_key(Finding::warning("no-effect", message).help(help));
    }
}

fn line(value: &Value<'_>, zone: chrono_tz::Tz, overlap: Overlap) -> Option<Schedule> {
    let text = value.string()?;
    match Schedule::parse(text, zone, overlap, FROM) {
        Ok(schedule) => Some(schedule),
        Err(issue) => {
            let code = if issue.message.contains("never") { "never-fires" } else { "bad-cron" };
            value.report_issues(code, 0, vec![issue]);
            None
        }
    }
}

impl Value<'_> {
    pub(super) fn duration_in(&self, range: &RangeInclusive<Duration>) -> Option<Duration> {
        let duration = self.duration()?;
        if range.contains(&duration) {
            return Some(duration);
        }
        let bounds = format!("{} to {}", show_duration(*range.start()), show_duration(*range.end()));
        let message = format!("`{}` is {}, outside {bounds}", self.key, show_duration(duration));
        self.report(Finding::error("out-of-range", message).help(format!("give a duration from {bounds}")));
        None
    }

    pub(in crate::config) fn zone(&self) -> Option<chrono_tz::Tz> {
        let text = self.string()?;
        if let Ok(zone) = text.parse() {
            return Some(zone);
        }
        let names = chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name());
        let help = suggest::nearest(text, names).map_or_else(
            || "use a name of the IANA database, such as `Europe/Berlin` or `UTC`".to_owned(),
            |name| format!("did you mean `{name}`?"),
        );
        self.report(Finding::error("unknown-timezone", format!("there is no time zone {text:?}")).help(help));
        None
    }
}
