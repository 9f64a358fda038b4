//! Log lines of runs under way, kept until the run ends and is stored with them: what a person asks about a run is there
//! after a restart, whatever became of the log. Ours only, from `info` up, whatever level the log has.
//!
//! A run's beginning and end are not kept here: its row tells them. A run without other lines leaves none.

use super::line::{Fields, Take, json, level_name};
use crate::value::time::SharedClock;
use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use std::collections::{HashMap, VecDeque};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::LookupSpan;

/// Lines kept from the beginning of a run, and from its end.
const FIRST: usize = 100;
const LAST: usize = 300;
/// Bytes of one line; of a longer one only its message stays.
const LONGEST: usize = 2_048;
/// Told by the run's row.
const OF_THE_ROW: [&str; 2] = ["run started", "run finished"];

static RUNS: LazyLock<Mutex<HashMap<String, Kept>>> = LazyLock::new(Mutex::default);

fn runs() -> MutexGuard<'static, HashMap<String, Kept>> {
    RUNS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The lines of one run: JSON objects.
#[derive(Default)]
struct Kept {
    first: Vec<String>,
    last: VecDeque<String>,
    left_out: u64,
}

impl Kept {
    fn add(&mut self, line: String) {
        if self.first.len() < FIRST {
            self.first.push(line);
            return;
        }
        if self.last.len() == LAST {
            self.last.pop_front();
            self.left_out += 1;
        }
        self.last.push_back(line);
    }

    fn text(&self) -> Option<String> {
        let gap =
            (self.left_out > 0).then(|| format!("{{\"message\":\"lines left out\",\"count\":{}}}", self.left_out));
        let lines = self.first.iter().chain(&gap).chain(&self.last);
        let lines: Vec<&str> = lines.map(String::as_str).collect();
        (!lines.is_empty()).then(|| format!("[{}]", lines.join(",")))
    }
}

/// From here on the lines of a run are kept; `before` is what [`text`] gave when it was held.
pub fn begin(run: &str, before: Option<&str>) {
    let mut kept = Kept::default();
    let lines: Vec<Box<RawValue>> = before.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    for line in &lines {
        kept.add(line.get().to_owned());
    }
    runs().insert(run.to_owned(), kept);
}

/// What is kept of a run so far, as a JSON array; none when nothing is.
pub fn text(run: &str) -> Option<String> {
    runs().get(run)?.text()
}

/// Lets the lines of a run go.
pub fn end(run: &str) {
    runs().remove(run);
}

/// Adds a line that is about the run only, and is not logged.
pub fn note(run: &str, at: DateTime<Utc>, level: Level, message: &str, cause: Option<&str>) {
    let mut fields = Fields::default();
    if let Some(cause) = cause {
        fields.add("cause", cause.into());
    }
    if let Some(kept) = runs().get_mut(run) {
        kept.add(bounded(at, level, message, fields));
    }
}

fn bounded(at: DateTime<Utc>, level: Level, message: &str, fields: Fields) -> String {
    let time = at.to_rfc3339_opts(SecondsFormat::Millis, true);
    let mut line = json(&time, level, message, fields);
    if line.len() > LONGEST {
        let mut short = Map::new();
        short.insert("time".to_owned(), time.into());
        short.insert("level".to_owned(), level_name(level).into());
        short.insert("message".to_owned(), Value::String(message.chars().take(LONGEST / 8).collect()));
        line = Value::Object(short).to_string();
    }
    line.truncate(line.trim_end().len());
    line
}

/// The layer that keeps.
pub(super) struct Keeper {
    clock: SharedClock,
}

impl Keeper {
    pub(super) fn new(clock: SharedClock) -> Self {
        Self { clock }
    }
}

/// The run a span is about.
struct RunOf(String);

/// Finds the field `run`.
#[derive(Default)]
struct FindRun(Option<String>);

impl Visit for FindRun {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "run" {
            self.0 = Some(value.to_owned());
        }
    }
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "run" {
            self.0 = Some(format!("{value:?}"));
        }
    }
}

impl<S> Layer<S> for Keeper
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut found = FindRun::default();
        attributes.record(&mut found);
        if let (Some(run), Some(span)) = (found.0, context.span(id)) {
            span.extensions_mut().replace(RunOf(run));
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut found = FindRun::default();
        event.record(&mut found);
        let around = || {
            let mut spans = context.event_scope(event).into_iter().flatten();
            spans.find_map(|span| span.extensions().get::<RunOf>().map(|run| run.0.clone()))
        };
        let Some(run) = found.0.or_else(around) else { return };
        if !runs().contains_key(&run) {
            return;
        }
        let mut fields = Fields::default();
        let mut take = Take { fields: &mut fields, message: String::new() };
        event.record(&mut take);
        let message = take.message;
        if OF_THE_ROW.contains(&message.as_str()) {
            return;
        }
        // Every line of a run would say the same.
        fields.drop(&["run", "flow"]);
        let line = bounded(self.clock.utc(), *event.metadata().level(), &message, fields);
        if let Some(kept) = runs().get_mut(&run) {
            kept.add(line);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::time::SystemClock;
    use tracing_subscriber::Registry;
    use tracing_subscriber::layer::SubscriberExt;

    fn kept(run: &str, act: impl FnOnce()) -> Vec<Value> {
        begin(run, None);
        let keeper = Keeper::new(SystemClock::start());
        tracing::subscriber::with_default(Registry::default().with(keeper), act);
        let text = text(run);
        end(run);
        text.map(|text| serde_json::from_str(&text).unwrap()).unwrap_or_default()
    }

    #[test]
    fn lines_of_a_run_are_those_that_name_it_and_those_of_its_task() {
        let lines = kept("kept-1", || {
            let task = tracing::error_span!("task", task = "run", run = "kept-1");
            tracing::info!(run = "kept-1", flow = "a", "named");
            tracing::info!(run = "kept-other", "of another");
            tracing::info!("of none");
            task.in_scope(|| {
                tracing::info!(run = "kept-1", "run started");
                tracing::warn!(connection = "shop", "request retried");
                tracing::info!(run = "kept-other", "of another, told in this task");
                tracing::info!(run = "kept-1", "run finished");
            });
        });
        let messages: Vec<&str> = lines.iter().filter_map(|line| line["message"].as_str()).collect();
        assert_eq!(messages, ["named", "request retried"]);
        assert_eq!((&lines[1]["connection"], &lines[1]["level"]), (&"shop".into(), &"warn".into()));
        assert!(lines[0].get("run").is_none() && lines[0].get("flow").is_none(), "{:?}", lines[0]);
    }

    #[test]
    fn lines_are_bounded_in_number_and_length_and_what_is_left_out_is_said() {
        let lines = kept("kept-2", || {
            for number in 0..(FIRST + LAST + 50) {
                tracing::info!(run = "kept-2", number, "line");
            }
            tracing::info!(run = "kept-2", cause = "x".repeat(LONGEST), "long");
        });
        assert_eq!(lines.len(), FIRST + LAST + 1);
        assert_eq!((&lines[FIRST - 1]["number"], &lines[FIRST]["count"]), (&99.into(), &51.into()));
        let last = lines.last().unwrap();
        assert_eq!((&last["message"], last.get("cause")), (&"long".into(), None));
    }

    #[test]
    fn a_run_that_goes_on_keeps_what_it_had() {
        begin("kept-3", Some("[{\"message\":\"a\"}]"));
        note("kept-3", DateTime::UNIX_EPOCH, Level::WARN, "run held", Some("cancelled"));
        let text = text("kept-3").unwrap();
        assert_eq!(
            text,
            "[{\"message\":\"a\"},{\"time\":\"1970-01-01T00:00:00.000Z\",\"level\":\"warn\",\"message\":\"run held\",\
             \"cause\":\"cancelled\"}]"
        );
        end("kept-3");
        assert_eq!(super::text("kept-3"), None);
        note("kept-3", DateTime::UNIX_EPOCH, Level::WARN, "nobody keeps this", None);
        assert_eq!(super::text("kept-3"), None);
    }
}
