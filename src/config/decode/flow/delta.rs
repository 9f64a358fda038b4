//! `[export.delta]`: what changed since the last export.

use crate::config::decode::file::Finding;
use crate::config::decode::scope::Scope;
use crate::config::decode::table::Table;
use crate::config::decode::value::Value;
use crate::model::delta::format::Format;
use crate::model::delta::step::Step;
use crate::model::delta::{Bound, Delta, from_words};
use crate::value::context::{Reference, Root};
use crate::value::path::Path;
use chrono::DateTime;
use toml::de::DeValue;

const SCOPES: &[(&str, bool)] = &[("value", true), ("flow", false)];

/// Whether an export has a delta: its own, or its connection's unless it says `delta = "none"`.
pub(super) fn applies(export: &Table<'_>, default: Option<&Delta>) -> bool {
    export.peek("delta").map_or(default.is_some(), |value| value.raw_str().is_none())
}

/// What an export says itself: perhaps that it has none.
pub(super) struct Own(pub(super) Option<Delta>);

/// `delta` of an export; `"none"` switches its connection's off.
pub(super) fn own(value: &Value<'_>, scope: &Scope<'_>) -> Option<Own> {
    if value.raw_str().is_some() {
        return value.word(&[("none", ())], &[]).map(|()| Own(None));
    }
    decode(value, scope).map(|delta| Own(Some(delta)))
}

pub(super) fn decode(value: &Value<'_>, scope: &Scope<'_>) -> Option<Delta> {
    let table = value.table()?;
    let field = table.given("field", Value::singular_path);
    let format = table.given("format", Value::time_format);
    let read = table.given("read", |value| {
        value.one_or_many().iter().map(Value::time_format).collect::<Vec<_>>().into_iter().collect::<Option<Vec<_>>>()
    });
    let start = table.given("start", |value| value.bound(scope));
    let end = table.given("end", |value| value.bound(scope));
    let lookback = table.given("lookback", Value::calendar_step);
    let lag = table.given("lag", Value::calendar_step);
    let step = table.given("step", Value::calendar_step);
    let granularity = table.given("granularity", Value::calendar_step);
    let client = table.given("filter", |value| value.word(&[("client", ())], &[]));
    let stop_at_old = table.given("stop_at_old", Value::boolean);
    let per_value = table.given("scope", |value| value.word(SCOPES, &[]));
    table.finish();
    let delta = Delta {
        field: field.ok()?,
        format: format.ok()?.unwrap_or_default(),
        read: read.ok()?.unwrap_or_default(),
        start: start.ok()?,
        end: end.ok()?,
        lookback: lookback.ok()?.unwrap_or_default(),
        lag: lag.ok()?.unwrap_or_default(),
        step: step.ok()?,
        granularity: granularity.ok()?.unwrap_or_default(),
        client: client.ok()?.is_some(),
        stop_at_old: stop_at_old.ok()?.unwrap_or(false),
        per_value: per_value.ok()?.unwrap_or(true),
    };
    report_clashes(&table, &delta);
    Some(delta)
}

/// Keys that need another one, or say nothing beside it.
fn report_clashes(table: &Table<'_>, delta: &Delta) {
    let tell = |name: &str, finding: Finding| {
        if let Some(value) = table.peek(name) {
            value.report_key(finding);
        }
    };
    if delta.field.is_none() {
        let needs =
            |name: &str| Finding::error("missing-key", format!("`{name}` compares by `field`, which is not given"));
        let help = "add `field`, the path of the record's time of change, as in `field = \"$.updated_at\"`";
        if delta.client {
            tell("filter", needs("filter").help(help));
        }
        if delta.stop_at_old {
            tell("stop_at_old", needs("stop_at_old").help(help));
        }
        let idle = Finding::warning("no-effect", "`read` has no effect without `field`");
        tell("read", idle.help("it says how records write `field`"));
    } else {
        let idle = Finding::warning("no-effect", "`lag` has no effect beside `field`");
        tell("lag", idle.help("the mark is the newest `field` seen; to read some of it again, use `lookback`"));
    }
    match delta.step {
        None => {
            let idle = Finding::warning("no-effect", "`granularity` has no effect without `step`");
            tell(
                "granularity",
                idle.help("it is what lies between the end of one window and the next one's beginning"),
            );
        }
        Some(step) if step.is_zero() => {
            tell(
                "step",
                Finding::error("out-of-range", "`step` is no time at all").help("give a step such as \"1mo\""),
            );
        }
        Some(step) if !delta.granularity.is_shorter_than(step) => {
            let finding = Finding::error("out-of-range", "`granularity` is not shorter than `step`");
            tell(
                "granularity",
                finding.help(
                    "a window ends one granularity before the next begins: give the smallest \
                                               unit the API tells apart, as in `granularity = \"1d\"`",
                ),
            );
        }
        Some(_) => {}
    }
}

/// A delta that no request uses reads everything each time; a step that none uses reads it once a window.
pub(super) fn unused(
    export: &Table<'_>,
    delta: &Delta,
    reads: impl Fn(&dyn Fn(&Reference) -> bool) -> bool,
) -> Option<Finding> {
    let any = |roots: &[Root]| reads(&|read| roots.iter().any(|root| root.name() == read.root));
    let (last, window) = (any(&[Root::LastExport, Root::ThisExport]), any(&[Root::Window]));
    if !last && !window && !delta.client && !delta.stop_at_old {
        let own = export.peek("delta");
        let key = own.as_ref().map_or("export_defaults.delta", |value| value.key.as_str());
        let finding = Finding::error("unused-delta", format!("nothing uses `{key}`: every run would read everything"));
        Some(finding.help(
            "ask for what is new, as in `relative_uri = \"/orders?since={{last_export}}\"` (or `this_export`, \
             `window.start`, `window.end`); where the API cannot filter, set `filter = \"client\"` or `stop_at_old = true`",
        ))
    } else if delta.step.is_some() && !window {
        let finding = Finding::error("unused-delta", "no request uses `window`: each step would read the same");
        Some(finding.help("use `{{window.start}}` and `{{window.end}}` in the request, or remove `step`"))
    } else {
        None
    }
}

/// Says so, where the delta stands, or where it is not used.
pub(super) fn report(export: &Table<'_>, finding: Finding) {
    match export.peek("delta") {
        Some(value) => value.report_key(finding),
        None => export.report(finding.key(export.key()).help(
            "the delta stands in the connection's file: use `{{last_export}}` in the request, or switch it off with \
             `delta = \"none\"`",
        )),
    }
}

impl Value<'_> {
    /// A path that can name one place only.
    pub(super) fn singular_path(&self) -> Option<Path> {
        let path = self.path()?;
        if path.is_singular() {
            return Some(path);
        }
        let finding = Finding::error("bad-path", format!("`{}` may find several values", self.key));
        self.report(finding.help("name one place, as in `$.updated_at`"));
        None
    }

    fn time_format(&self) -> Option<Format> {
        match Format::named(self.string()?) {
            Ok(format) => Some(format),
            Err(message) => {
                let help = "write `rfc3339`, `epoch_s`, `epoch_ms`, or strftime text such as `%Y-%m-%d`";
                self.report(Finding::error("bad-format", message).help(help));
                None
            }
        }
    }

    /// A duration; weeks, months and years too.
    pub(super) fn calendar_step(&self) -> Option<Step> {
        if self.raw_str().is_none() {
            self.wrong_type("a duration such as \"1d\" or \"1mo\"");
            return None;
        }
        match Step::parse(self.string()?) {
            Ok(step) => Some(step),
            Err(message) => {
                let help = "write a duration such as \"30s\", \"1h\", \"1d\", \"1w\", \"1mo\" or \"1y\"";
                self.report(Finding::error("bad-duration", message).help(help));
                None
            }
        }
    }

    /// A time, `-90d`, or a value.
    fn bound(&self, scope: &Scope<'_>) -> Option<Bound> {
        let text = match self.node() {
            DeValue::Datetime(at) => at.to_string(),
            DeValue::String(text) if text.starts_with('=') || text.contains("{{") => {
                return self.leaf(text, scope).map(|tree| Bound::Given(Box::new(tree)));
            }
            DeValue::String(text) => text.clone().into_owned(),
            _ => {
                self.wrong_type("a time such as \"2026-01-31T08:00:00Z\" or \"-90d\"");
                return None;
            }
        };
        if let Some(Ok(step)) = text.trim().strip_prefix('-').map(Step::parse) {
            return Some(Bound::Before(step));
        }
        match from_words(&text, DateTime::UNIX_EPOCH) {
            Ok(at) => Some(Bound::At(at)),
            Err(message) => {
                self.report(Finding::error("bad-time", message));
                None
            }
        }
    }
}
