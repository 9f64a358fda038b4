//! Bars on a terminal while flows run, one per flow; silent anywhere else.
//!
//! Log lines go above the bars while they are drawn.

use super::Globals;
use crate::app::run::{Counts, Progress};
use crate::observe::{logs, task};
use crate::value::id::FlowId;
use crate::value::time::{Mono, SharedClock};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::task::JoinHandle;

const WITH_TOTAL: &str = "{prefix:24.bold} [{bar:24}] {msg}";
const WITHOUT_TOTAL: &str = "{prefix:24.bold} {spinner} {msg}";
const REDRAW_EVERY: Duration = Duration::from_millis(120);

struct Watched {
    bar: ProgressBar,
    progress: Arc<Progress>,
    since: Mono,
}

impl Watched {
    fn draw(&self, now: Mono) {
        let counts = self.progress.counts();
        if let Some(total) = self.progress.total() {
            if self.bar.length().is_none() {
                self.bar.set_style(style(WITH_TOTAL));
            }
            self.bar.set_length(total.max(counts.exported));
        }
        self.bar.set_position(settled(counts));
        self.bar.set_message(line(counts, now.since(self.since)));
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

    /// A bar for a run.
    pub fn watch(&self, flow: &FlowId, progress: Arc<Progress>) {
        let Some(shown) = &self.shown else { return };
        let bar = ProgressBar::no_length().with_style(style(WITHOUT_TOTAL)).with_prefix(flow.to_string());
        let bar = shown.multi.add(bar);
        let watched = Watched { bar, progress, since: self.clock.mono() };
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

fn settled(counts: Counts) -> u64 {
    counts.delivered + counts.filtered + counts.failed
}

#[expect(clippy::cast_precision_loss, reason = "a rate for people")]
fn line(counts: Counts, since: Duration) -> String {
    let Counts { exported, delivered, filtered, failed, .. } = counts;
    let rate = settled(counts) as f64 / since.as_secs_f64().max(0.1);
    let mut line = format!("{exported} exported, {delivered} delivered");
    for (count, word) in [(filtered, "filtered"), (failed, "failed")] {
        if count > 0 {
            let _ = write!(line, ", {count} {word}");
        }
    }
    let _ = write!(line, ", {rate:.0}/s");
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
        for template in [WITH_TOTAL, WITHOUT_TOTAL] {
            assert!(ProgressStyle::with_template(template).is_ok());
        }
    }

    #[test]
    fn a_line_names_what_happened_and_how_fast() {
        let counts = Counts { exported: 100, delivered: 40, failed: 10, ..Counts::default() };
        assert_eq!(line(counts, Duration::from_secs(2)), "100 exported, 40 delivered, 10 failed, 25/s");
    }

    #[tokio::test]
    async fn nothing_is_drawn_without_a_terminal() {
        let bars = Bars::start(&at(Path::new(".")), SystemClock::start());
        bars.watch(&FlowId::parse("orders").unwrap(), Arc::default());
        assert!(bars.shown.is_none());
        bars.finish();
    }
}
