//! Where log lines go: text on a terminal, one JSON object a line otherwise. Always stderr, one event one line.
//!
//! Written by our own formatter because ready-made ones let control characters through in text and nest fields in JSON.

mod escape;
mod filter;
pub mod kept;
mod line;

pub use filter::{BadLevel, check_level};

use crate::value::time::SharedClock;
use line::Lines;
use std::io::{self, IsTerminal, Write};
use std::sync::{OnceLock, PoisonError, RwLock};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Layer as _, SubscriberExt};
use tracing_subscriber::{Registry, reload};

/// How a line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Text,
    /// For machines.
    Json,
}

/// `[log] format`, `--log-level` and what is known about stderr.
#[derive(Debug, Clone)]
pub struct Options {
    /// `None` = auto: text on a terminal, JSON otherwise.
    pub format: Option<Format>,
    /// `error | warn | info | debug | trace | off`, or directives such as `info,flowgate::queue=trace`.
    pub level: String,
    /// Whether text may be coloured (a terminal, no `NO_COLOR`, no `--no-color`).
    pub colour: bool,
}

/// Changes the level while running.
#[derive(Clone)]
pub struct LevelHandle {
    filter: reload::Handle<filter::Levels, Registry>,
}

impl LevelHandle {
    /// Puts another level in force.
    pub fn set(&self, level: &str) -> Result<(), BadLevel> {
        let filter = filter::parse(level)?;
        // The subscriber lives as long as the process: reloading cannot fail.
        let _ = self.filter.reload(filter);
        Ok(())
    }
}

static INSTALLED: OnceLock<LevelHandle> = OnceLock::new();

/// Installs the log for this process and turns panics into log lines; later calls only set the level.
pub fn install(options: &Options, clock: SharedClock) -> Result<LevelHandle, BadLevel> {
    let filter = filter::parse(&options.level)?;
    if let Some(installed) = INSTALLED.get() {
        installed.set(&options.level)?;
        return Ok(installed.clone());
    }
    let format = options.format.unwrap_or_else(|| if io::stderr().is_terminal() { Format::Text } else { Format::Json });
    let (filter, handle) = reload::Layer::new(filter);
    let lines = Lines::new(format, options.colour, clock.clone(), write).with_filter(filter);
    let ours = Targets::new().with_target("flowgate", tracing::Level::INFO);
    let keeper = kept::Keeper::new(clock).with_filter(ours);
    // A subscriber that is already there (a test's) keeps what it collects.
    let _ = tracing::subscriber::set_global_default(Registry::default().with(lines).with(keeper));
    panics_become_lines();
    Ok(INSTALLED.get_or_init(|| LevelHandle { filter: handle }).clone())
}

/// Text from outside as it may be shown on a terminal: on one line, nothing in it that a terminal would obey.
pub fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    escape::visibly_onto(&mut out, text);
    out
}

/// A line of the JSON log as it is shown to people, with its line feed.
pub fn shown(line: &serde_json::Value, colour: bool) -> String {
    line::shown(line, colour)
}

/// Writes one whole line somewhere.
type WriteLine = Box<dyn Fn(&str) + Send + Sync>;

/// Who writes lines instead of us while bars are drawn on the terminal.
static DETOUR: RwLock<Option<WriteLine>> = RwLock::new(None);

/// Puts another level in force, once the log is installed.
pub fn set_level(level: &str) -> Result<(), BadLevel> {
    INSTALLED.get().map_or(Ok(()), |installed| installed.set(level))
}

/// Sends lines through `write` (which must end up at [`write_stderr`]) until called with `None`.
pub fn detour(write: Option<WriteLine>) {
    *DETOUR.write().unwrap_or_else(PoisonError::into_inner) = write;
}

/// One write per line, so that lines of several threads never mix. A closed stderr is nobody's error.
pub fn write_stderr(line: &str) {
    let _ = io::stderr().lock().write_all(line.as_bytes());
}

fn write(line: &str) {
    match &*DETOUR.read().unwrap_or_else(PoisonError::into_inner) {
        Some(write) => write(line),
        None => write_stderr(line),
    }
}

/// The span of the task stands in the line, so one line says everything.
fn panics_become_lines() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        let cause = panic.payload_as_str().unwrap_or("no text");
        tracing::error!(place, cause, help = "please report this line", "fault inside flowgate");
    }));
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::value::time::SystemClock;
    use std::sync::{Arc, Mutex};

    /// JSON lines written while `act` runs on this thread.
    pub(crate) fn captured(level: &str, act: impl FnOnce()) -> String {
        captured_as(Format::Json, false, level, act)
    }

    pub(super) fn captured_as(format: Format, colour: bool, level: &str, act: impl FnOnce()) -> String {
        let written = Arc::new(Mutex::new(String::new()));
        let sink = written.clone();
        let lines =
            Lines::new(format, colour, SystemClock::start(), move |line: &str| sink.lock().unwrap().push_str(line));
        let subscriber = Registry::default().with(filter::parse(level).unwrap()).with(lines);
        tracing::subscriber::with_default(subscriber, act);
        written.lock().unwrap().clone()
    }

    #[test]
    fn json_lines_are_flat_with_time_level_message_and_fields() {
        let text = captured("info", || {
            let span = tracing::info_span!("task", name = "run", flow = "a");
            let _inside = span.enter();
            tracing::info!(
                flow = "b",
                count = 3_u64,
                ok = true,
                share = 0.5,
                none = Option::<u64>::None,
                "run started"
            );
        });
        let line: serde_json::Value = serde_json::from_str(&text).unwrap();
        let time = line["time"].as_str().unwrap();
        assert!(time.ends_with('Z') && chrono::DateTime::parse_from_rfc3339(time).is_ok(), "{time}");
        assert_eq!(line["level"], "info");
        assert_eq!(line["message"], "run started");
        assert_eq!(line["flow"], "b", "an event's own field wins over its span's");
        assert_eq!((&line["count"], &line["ok"], &line["share"]), (&3.into(), &true.into(), &0.5.into()));
        assert!(line.get("none").is_none());
        assert_eq!(line["name"], "run");
    }

    const FORGED: &str = "a\n2026-01-01T00:00:00.000Z INFO  fake\r\u{1b}[31mred\u{202e}rtl\u{2028}\u{0}\u{9b}x\\n";

    #[test]
    fn text_lines_escape_everything_that_could_forge_a_line_or_move_the_cursor() {
        let text = captured_as(Format::Text, false, "info", || {
            tracing::info!(cause = FORGED, "record failed");
            tracing::info!(cause = ?FORGED, "{FORGED}");
        });
        assert_eq!(text.lines().count(), 2, "{text}");
        assert!(text.chars().all(|c| c == '\n' || (' '..='~').contains(&c)), "{text:?}");
        assert!(text.contains(r#"cause="a\n2026-01-01T00:00:00.000Z INFO  fake\r\u{1b}[31mred\u{202e}rtl"#), "{text}");
    }

    #[test]
    fn json_mode_is_always_one_line_and_gives_the_text_back() {
        let text = captured("info", || tracing::info!(cause = FORGED, "{FORGED}"));
        assert_eq!(text.matches('\n').count(), 1);
        let line: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&line["cause"], &line["message"]), (&FORGED.into(), &FORGED.into()));
    }

    #[test]
    fn text_values_are_quoted_only_where_needed_and_letters_of_all_tongues_stay() {
        let text = captured_as(Format::Text, false, "info", || {
            tracing::info!(flow = "eu/orders", cause = "zu früh", empty = "", "run started");
        });
        assert!(text.ends_with("INFO  run started flow=eu/orders cause=\"zu früh\" empty=\"\"\n"), "{text}");
    }

    #[test]
    fn colour_is_only_there_when_asked_for() {
        let say = || tracing::error!("x");
        assert!(captured_as(Format::Text, true, "info", say).contains("\u{1b}[31m"));
        assert!(!captured_as(Format::Text, false, "info", say).contains('\u{1b}'));
    }

    #[test]
    fn a_field_cannot_replace_the_lines_own_keys() {
        let text = captured("info", || tracing::info!(level = "fake", time = "never", "real"));
        let line: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(line["level"], "info");
        assert_eq!(line["field.level"], "fake");
    }

    #[test]
    fn very_long_values_are_cut() {
        let text = captured("info", || tracing::info!(cause = "x".repeat(1 << 20), "long"));
        assert!(text.len() < 20_000, "{}", text.len());
    }
}
