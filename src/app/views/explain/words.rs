//! Reasons in words, and as programs read them.

use crate::app::status;
use crate::http::client::OfflineView;
use crate::queue::Block;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use std::time::Duration;

/// Why something waits.
#[derive(Debug, Clone)]
pub(super) struct Reason {
    /// Which rule: `level`, `wait`, `pause` …
    pub(super) rule: &'static str,
    pub(super) text: String,
    /// When it is over, where that is known.
    until: Option<String>,
    /// Since when it holds, where that is known.
    since: Option<String>,
}

impl Reason {
    pub(super) fn plain(rule: &'static str, text: impl Into<String>) -> Self {
        Self { rule, text: text.into(), until: None, since: None }
    }

    pub(super) fn until(mut self, at: Option<String>) -> Self {
        self.until = at;
        self
    }

    pub(super) fn since(mut self, at: DateTime<Utc>) -> Self {
        self.since = Some(status::time(at));
        self
    }

    pub(super) fn document(&self) -> Value {
        json!({ "rule": self.rule, "text": self.text, "since": self.since, "until": self.until })
    }
}

/// What the queue says.
pub(super) fn block(block: &Block, now: DateTime<Utc>) -> Reason {
    let at = |left: &Duration| after(now, *left);
    match block {
        Block::Aside => Reason::plain("aside", "its connection cannot be used now: credentials or agent"),
        Block::BackOff { left } => {
            let text = format!("its last attempt failed, the next one comes in {}", seconds(*left));
            Reason::plain("back_off", text).until(at(left))
        }
        Block::LinePause { left } => {
            let text = format!("the API told this connection to wait {} more", seconds(*left));
            Reason::plain("pause", text).until(at(left))
        }
        Block::Level { level, in_flight, lender: None } => {
            Reason::plain("level", format!("all permits are out: {in_flight} in flight, level {level}"))
        }
        Block::Level { level, in_flight, lender: Some(lender) } => Reason::plain(
            "borrowed_level",
            format!("all permits of `{lender}`, which lends its level, are out: {in_flight} in flight, level {level}"),
        ),
        Block::Pause { left } => {
            let text = format!("the API told the whole pool to wait {} more", seconds(*left));
            Reason::plain("pause", text).until(at(left))
        }
        Block::Wait { left } => {
            Reason::plain("wait", format!("`wait_time` lasts {} more", seconds(*left))).until(at(left))
        }
        Block::Rate { window, left } => {
            let text = format!(
                "`rate` allows {} in {}: the next one in {}",
                window.count,
                seconds(window.per),
                seconds(*left)
            );
            Reason::plain("rate", text).until(at(left))
        }
        Block::Order { ahead } => Reason::plain("order", format!("{ahead} stand before it")),
    }
}

pub(super) fn offline(connection: &str, view: &OfflineView) -> Reason {
    let remedy = if view.login { "; `flowgate auth login` may help" } else { "" };
    Reason::plain("offline", format!("connection `{connection}` is offline: {}{remedy}", view.reason)).since(view.since)
}

pub(super) fn summary(state: &str, reasons: &[Reason], otherwise: &str) -> String {
    let texts: Vec<&str> = reasons.iter().map(|reason| reason.text.as_str()).collect();
    match (state, texts.is_empty()) {
        ("idle", true) => "nothing is in flight and nothing waits".to_owned(),
        ("working", true) => "requests are in flight and nothing waits".to_owned(),
        (_, true) => otherwise.to_owned(),
        (_, false) => texts.join("; "),
    }
}

/// The instant so far ahead, where the calendar reaches.
pub(super) fn after(now: DateTime<Utc>, left: Duration) -> Option<String> {
    now.checked_add_signed(TimeDelta::from_std(left).ok()?).map(status::time)
}

fn seconds(left: Duration) -> String {
    match left.as_secs_f64() {
        short if short < 10.0 => format!("{:.1} s", (short * 10.0).ceil() / 10.0),
        long if long < 120.0 => format!("{long:.0} s"),
        long if long < 7_200.0 => format!("{:.0} min", long / 60.0),
        long => format!("{:.1} h", long / 3_600.0),
    }
}
