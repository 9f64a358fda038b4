//! Bars on a terminal while flows run, one per flow; silent anywhere else.
//!
//! Log lines go above the bars while they are drawn.

use super::Globals;
use crate::observe::{logs, task};
use crate::value::time::{Mono, SharedClock};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::task::JoinHandle;

const REDRAW_EVERY: Duration = Duration::from_millis(120);

/// A run's figures at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Figures {
    /// Records that left the export.
    pub exported: u64,
    /// Taken by an import.
    pub delivered: u64,
    /// Left by a rule.
    pub filtered: u64,
    /// With an error record.
    pub failed: u64,
    /// How many the source says there are.
    pub total: Option<u64>,
}

type Ask = Box<dyn Fn() -> Figures + Send>;

struct Watched {
    bar: ProgressBar,
    ask: Ask,
    since: Mono,
}

impl Watched {
    fn draw(&self, now: Mono) {
        let figures = (self.ask)();
        if let Some(total) = figures.total {
            self.bar.set_length(total.max(figures.exported));
        }
        self.bar.set_position(settled(figures));
        self.bar.set_message(line(figures, now.since(self.since)));
        self.bar.tick();
    }
}

/// All bars; none where stderr is no terminal or a program reads.
pub struct Bars {
    clock: SharedClock,
    shown: Option<Shown>,
}

struct Shown {
    multi: MultiProgress,
    watched: Arc<Mutex<Vec<Watched>>>,
    redraw: JoinHandle<()>,
}

impl Bars {
    /// Starts drawing.
    pub fn start(globals: &Globals, clock: SharedClock) -> Self {
        if !globals.style.terminal || globals.json() {
            return Self { clock, shown: None };
        }
        let multi = MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
        let above = multi.clone();
        logs::detour(Some(Box::new(move |line| above.suspend(|| logs::write_stderr(line)))));
        let watched: Arc<Mutex<Vec<Watched>>> = Arc::default();
        let (drawn, time) = (watched.clone(), clock.clone());
        let redraw = task::spawn("progress", async move {
            loop {
                time.sleep_until(time.mono().plus(REDRAW_EVERY)).await;
                draw(&drawn, time.mono());
            }
        });
        Self { clock, shown: Some(Shown { multi, watched, redraw }) }
    }

    /// A bar for a flow; `ask` is called some times a second.
    pub fn watch(&self, flow: &str, ask: impl Fn() -> Figures + Send + 'static) {
        let Some(shown) = &self.shown else { return };
        let bar = match ask().total {
            Some(total) => ProgressBar::new(total).with_style(style("{prefix:24.bold} [{bar:24}] {msg}")),
            None => ProgressBar::no_length().with_style(style("{prefix:24.bold} {spinner} {msg}")),
        };
        let bar = shown.multi.add(bar).with_prefix(logs::visible(flow));
        let watched = Watched { bar, ask: Box::new(ask), since: self.clock.mono() };
        shown.watched.lock().unwrap_or_else(PoisonError::into_inner).push(watched);
    }

    /// Draws the last figures and leaves them on the screen.
    pub fn finish(&self) {
        let Some(shown) = &self.shown else { return };
        shown.redraw.abort();
        draw(&shown.watched, self.clock.mono());
        for watched in shown.watched.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            watched.bar.abandon();
        }
        logs::detour(None);
    }
}

impl Drop for Bars {
    /// Also when the command is cut short: log lines must find their way again.
    fn drop(&mut self) {
        if let Some(shown) = &self.shown {
            shown.redraw.abort();
            logs::detour(None);
        }
    }
}

fn draw(watched: &Mutex<Vec<Watched>>, now: Mono) {
    watched.lock().unwrap_or_else(PoisonError::into_inner).iter().for_each(|watched| watched.draw(now));
}

fn style(template: &str) -> ProgressStyle {
    // The templates are constants; a test builds both.
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

fn settled(figures: Figures) -> u64 {
    figures.delivered + figures.filtered + figures.failed
}

#[expect(clippy::cast_precision_loss, reason = "a rate for people")]
fn line(figures: Figures, since: Duration) -> String {
    let Figures { exported, delivered, filtered, failed, .. } = figures;
    let rate = settled(figures) as f64 / since.as_secs_f64().max(0.1);
    let mut line = format!("{exported} exported, {delivered} delivered");
    for (count, word) in [(filtered, "filtered"), (failed, "failed")] {
        if count > 0 {
            line.push_str(&format!(", {count} {word}"));
        }
    }
    line.push_str(&format!(", {rate:.0}/s"));
    line
}

#[cfg(test)]
mod tests {
    use super::super::globals::tests::at;
    use super::*;
    use crate::value::time::SystemClock;
    use std::path::Path;

    #[test]
    fn the_templates_are_understood() {
        for template in ["{prefix:24.bold} [{bar:24}] {msg}", "{prefix:24.bold} {spinner} {msg}"] {
            assert!(ProgressStyle::with_template(template).is_ok());
        }
    }

    #[test]
    fn a_line_names_what_happened_and_how_fast() {
        let figures = Figures { exported: 100, delivered: 40, failed: 10, ..Figures::default() };
        assert_eq!(line(figures, Duration::from_secs(2)), "100 exported, 40 delivered, 10 failed, 25/s");
    }

    #[tokio::test]
    async fn nothing_is_asked_or_drawn_without_a_terminal() {
        let bars = Bars::start(&at(Path::new(".")), SystemClock::start());
        bars.watch("orders", || panic!("asked"));
        bars.finish();
    }
}
