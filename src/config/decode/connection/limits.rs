//! Level, borrowing, wait time, rate windows and order: what one file says by itself.

use super::Named;
use crate::config::decode::file::Finding;
use crate::config::decode::scope::Scope;
use crate::config::decode::table::Table;
use crate::config::decode::value::Value;
use crate::queue::limits::{Order, RateWindow};
use crate::value::id::ConnectionId;
use crate::value::time::parse_duration;
use std::num::NonZeroU32;
use std::time::Duration;

const ORDERS: &[(&str, Order)] = &[("fifo", Order::Fifo), ("fair", Order::Fair)];
/// Highest level anyone may ask for.
const MOST: u64 = 10_000;

pub(super) struct Own {
    pub(super) borrow: Option<Named<ConnectionId>>,
    pub(super) level: Option<NonZeroU32>,
    /// `level` is the most it may become.
    pub(super) adaptive: bool,
    /// `concurrency_level` is there, readable or not.
    pub(super) level_given: bool,
    pub(super) wait_time: Duration,
    pub(super) rate: Vec<RateWindow>,
    pub(super) order: Order,
}

pub(super) fn decode(root: &Table<'_>, scope: &Scope<'_>) -> Own {
    let borrow = root.take("borrow_concurrency_from");
    let own = ["concurrency_level", "wait_time", "rate", "order"].map(|name| root.take(name));
    if let Some(lender) = &borrow {
        for value in own.iter().flatten() {
            let message = format!("`{}` cannot be set on a connection that borrows", value.key);
            let lender = lender.raw_str().unwrap_or("the lender");
            value.report_key(
                Finding::error("borrower-limits", message).help(format!("set it on the lender, `{lender}`")),
            );
        }
    }
    let [level, wait, rate, order] = own;
    let borrow = borrow.and_then(|value| value.id(ConnectionId::parse));
    let given = level.as_ref().map(|value| value.level(scope));
    let adaptive = level.as_ref().is_some_and(Value::is_table);
    if let Some(wait) = wait.as_ref().filter(|_| borrow.is_none()) {
        check_wait(wait, level.as_ref(), given.flatten());
    }
    Own {
        borrow,
        level: given.flatten(),
        adaptive,
        level_given: level.is_some(),
        wait_time: wait.and_then(|value| value.duration()).unwrap_or_default(),
        rate: rate.map(|value| value.rate_windows()).unwrap_or_default(),
        order: order.and_then(|value| value.word(ORDERS, &[])).unwrap_or_default(),
    }
}

/// A wait between requests means nothing while several are in flight.
fn check_wait(wait: &Value<'_>, level: Option<&Value<'_>>, given: Option<NonZeroU32>) {
    let adaptive = level.is_some_and(Value::is_table);
    let one = given == NonZeroU32::new(1) && !adaptive;
    // A level that could not be read was reported; it may be 1.
    let unreadable = level.is_some() && given.is_none() && !adaptive;
    if one || unreadable {
        return;
    }
    let why = match given {
        _ if adaptive => "`concurrency_level` is adaptive".to_owned(),
        Some(level) => format!("`concurrency_level` is {level}"),
        None => "`concurrency_level` is not set".to_owned(),
    };
    let finding =
        Finding::error("wait-without-level-1", format!("`wait_time` holds between single requests, but {why}"));
    wait.report_key(finding.help("set `concurrency_level = 1`, or use `rate` to space requests out"));
}

impl Value<'_> {
    fn level(&self, scope: &Scope<'_>) -> Option<NonZeroU32> {
        if self.is_table() {
            return self.adaptive_level(scope);
        }
        let level = self.number(1..=MOST, scope)?;
        u32::try_from(level).ok().and_then(NonZeroU32::new)
    }

    /// `{ max = 20, adaptive = true }`
    fn adaptive_level(&self, scope: &Scope<'_>) -> Option<NonZeroU32> {
        let table = self.table()?;
        let max = table.need("max").and_then(|value| value.number(1..=MOST, scope));
        let adaptive = table.need("adaptive");
        table.finish();
        let adaptive = adaptive?;
        if !adaptive.boolean()? {
            let finding = Finding::error("conflicting-keys", "a level that is not adaptive has no `max`");
            adaptive.report(finding.help("write the number alone: `concurrency_level = 20`"));
            return None;
        }
        max.and_then(|most| u32::try_from(most).ok()).and_then(NonZeroU32::new)
    }

    /// `["10/1s", "150/1m"]`, or one window alone.
    fn rate_windows(&self) -> Vec<RateWindow> {
        self.one_or_many().iter().filter_map(Value::rate_window).collect()
    }

    fn rate_window(&self) -> Option<RateWindow> {
        let text = self.string()?;
        let window = text.split_once('/').and_then(|(count, per)| {
            let count = count.trim().parse::<u32>().ok().and_then(NonZeroU32::new)?;
            let per = parse_duration(per.trim()).ok().filter(|per| !per.is_zero())?;
            Some(RateWindow { count, per })
        });
        if window.is_none() {
            let finding = Finding::error("bad-rate", format!("{text:?} is no rate"));
            self.report(finding.help("write requests per time, as in \"10/1s\" or \"150/1m\""));
        }
        window
    }
}
