//! `schedule`: a cron line, or a table with zone and overlap.

use crate::config::decode::file::Finding;
use crate::config::decode::value::Value;
use crate::config::suggest;
use crate::model::schedule::{Overlap, Schedule};
use chrono::{DateTime, Utc};

/// From where a line is asked whether it ever fires. Fixed, so that a project is judged the same on every day.
const FROM: DateTime<Utc> = match DateTime::from_timestamp(1_704_067_200, 0) {
    Some(instant) => instant,
    None => DateTime::UNIX_EPOCH,
};

const OVERLAPS: &[(&str, Overlap)] = &[("skip", Overlap::Skip), ("queue", Overlap::Queue)];

pub(super) fn decode(value: &Value<'_>) -> Option<Schedule> {
    if !value.is_table() {
        return line(value, chrono_tz::Tz::UTC, Overlap::default());
    }
    let table = value.table()?;
    let cron = table.need("cron");
    let zone = table.given("timezone", Value::zone);
    let overlap = table.given("overlap", |value| value.word(OVERLAPS, &[]));
    table.not_yet(&["missed"]);
    table.finish();
    // A zone or an overlap that is wrong does not hide what is wrong with the line.
    let (known_zone, known_overlap) = (zone.unwrap_or_default(), overlap.unwrap_or_default());
    let parsed = line(&cron?, known_zone.unwrap_or(chrono_tz::Tz::UTC), known_overlap.unwrap_or_default());
    parsed.filter(|_| zone.is_ok() && overlap.is_ok())
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
    fn zone(&self) -> Option<chrono_tz::Tz> {
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
