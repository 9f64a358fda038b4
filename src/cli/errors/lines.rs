//! Lists of error records, for people.

use super::super::style::Tone;
use super::super::table::{Align, Cell, Table};
use crate::app::errors::{Group, Groups};
use crate::app::status::time;
use crate::store::{ErrorRow, ErrorState};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use std::fmt::Write as _;

/// Most characters of a message in a line.
const MESSAGE: usize = 80;

/// What they have in common, the newest first.
pub fn groups(found: &Groups, limit: u32, now: DateTime<Utc>, colour: bool) -> String {
    if found.groups.is_empty() {
        return "no open error records\n".to_owned();
    }
    let mut table = Table::new(&[
        ("count", Align::Right),
        ("flow", Align::Left),
        ("step", Align::Left),
        ("class", Align::Left),
        ("status", Align::Right),
        ("newest", Align::Right),
        ("oldest", Align::Right),
        ("example", Align::Right),
        ("fingerprint", Align::Left),
        ("message", Align::Left),
    ]);
    let shown = found.groups.iter().take(limit as usize);
    for group in shown.clone() {
        table.row(vec![
            Cell::toned(group.count.to_string(), if group.open > 0 { Tone::Bad } else { Tone::Dim }),
            group.flow.as_str().into(),
            (&group.step).into(),
            (&group.class).into(),
            status(group.status).into(),
            age(group.newest, now).into(),
            age(group.oldest, now).into(),
            group.newest_id.to_string().into(),
            (&group.fingerprint).into(),
            cut(&group.message).into(),
        ]);
    }
    let mut out = table.render(colour);
    let rest: u64 = found.groups.iter().skip(limit as usize).map(|group| group.count).sum::<u64>() + found.more;
    if rest > 0 {
        let _ = writeln!(out, "and {} of further groups", count(rest, "error record"));
    }
    let _ = writeln!(
        out,
        "\n`flowgate errors show <example>` tells everything of one, `flowgate errors retry --fingerprint <fingerprint>` \
         tries a group again"
    );
    out
}

/// The same for programs.
pub fn groups_document(found: &Groups, limit: u32) -> Value {
    let group = |group: &Group| {
        json!({
            "fingerprint": group.fingerprint,
            "flow": group.flow,
            "step": group.step,
            "class": group.class,
            "status": group.status,
            "message": group.message,
            "count": group.count,
            "open": group.open,
            "newest_id": group.newest_id,
            "newest": time(group.newest),
            "oldest": time(group.oldest),
        })
    };
    let groups: Vec<Value> = found.groups.iter().take(limit as usize).map(group).collect();
    let more = found.groups.iter().skip(limit as usize).map(|group| group.count).sum::<u64>() + found.more;
    json!({ "format": 1, "groups": groups, "errors_of_further_groups": more })
}

/// One line each.
pub fn each(rows: &[ErrorRow], now: DateTime<Utc>, colour: bool) -> String {
    let mut table = Table::new(&[
        ("id", Align::Right),
        ("flow", Align::Left),
        ("step", Align::Left),
        ("class", Align::Left),
        ("status", Align::Right),
        ("age", Align::Right),
        ("retries", Align::Right),
        ("state", Align::Left),
        ("fingerprint", Align::Left),
        ("message", Align::Left),
    ]);
    for row in rows {
        table.row(vec![
            row.id.to_string().into(),
            row.flow.as_str().into(),
            (&row.step).into(),
            (&row.class).into(),
            status(row.status).into(),
            age(row.opened, now).into(),
            row.retries.to_string().into(),
            state(row.state),
            (&row.fingerprint).into(),
            cut(&row.message).into(),
        ]);
    }
    if table.is_empty() { "no error records\n".to_owned() } else { table.render(colour) }
}

/// Where it stands, in a word.
pub fn state_name(state: ErrorState) -> &'static str {
    match state {
        ErrorState::Open => "open",
        ErrorState::Redelivered => "delivered later",
        ErrorState::Refiltered => "filtered later",
        ErrorState::Dismissed => "dismissed",
    }
}

fn state(state: ErrorState) -> Cell {
    Cell::toned(state_name(state), if state == ErrorState::Open { Tone::Bad } else { Tone::Dim })
}

fn status(status: Option<u16>) -> String {
    status.map(|status| status.to_string()).unwrap_or_default()
}

fn cut(text: &str) -> String {
    let mut out: String = text.chars().take(MESSAGE).collect();
    if out.len() < text.len() {
        out.push('…');
    }
    out
}

/// How long ago.
pub fn age(since: DateTime<Utc>, now: DateTime<Utc>) -> String {
    age_of((now - since).num_seconds())
}

/// `12s`, `5m`, `3h 20m`, `2d 4h`.
pub fn age_of(seconds: i64) -> String {
    let seconds = seconds.max(0);
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..86400 => format!("{}h {:02}m", seconds / 3600, seconds / 60 % 60),
        _ => format!("{}d {}h", seconds / 86400, seconds / 3600 % 24),
    }
}

/// `1 error record`, `2 error records`.
pub fn count(number: u64, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// `1 was`, `2 were`.
pub fn were(number: u64) -> String {
    format!("{number} {}", if number == 1 { "was" } else { "were" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::id::FlowId;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
    }

    fn group(fingerprint: &str, count: u64) -> Group {
        Group {
            fingerprint: fingerprint.to_owned(),
            flow: FlowId::parse("orders").unwrap(),
            step: "import".to_owned(),
            class: "rejected".to_owned(),
            status: Some(422),
            message: "no such\u{1b}[2J sku".to_owned(),
            newest_id: 12,
            count,
            open: count,
            newest: at(-90),
            oldest: at(-180_000),
        }
    }

    #[test]
    fn a_group_is_a_line_with_its_size_and_its_ages() {
        let found = Groups { groups: vec![group("ab12", 40), group("cd34", 2)], more: 5 };
        let shown = groups(&found, 1, at(0), false);
        assert!(
            shown.starts_with(
                "count  flow    step    class     status  newest  oldest  example  fingerprint  message\n   \
                 40  orders  import  rejected     422      1m   2d 2h       12  ab12         no such\\u{1b}[2J sku\n\
                 and 7 error records of further groups\n"
            ),
            "{shown}"
        );
        assert_eq!(groups(&Groups::default(), 1, at(0), false), "no open error records\n");
        let document = groups_document(&found, 1);
        assert_eq!((&document["format"], &document["groups"][0]["count"]), (&json!(1), &json!(40)));
        assert_eq!(document["errors_of_further_groups"], 7);
    }

    #[test]
    fn ages_are_short() {
        assert_eq!([-3, 59, 61, 7500, 180_000].map(age_of), ["0s", "59s", "1m", "2h 05m", "2d 2h"]);
    }
}
