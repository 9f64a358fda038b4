//! Progress on a terminal: a line per flow while it runs. Silent everywhere else.

use super::Globals;
use crate::observe::task;
use crate::runtime::run::report::Progress;
use crate::value::id::FlowId;
use crate::value::time::SharedClock;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;

const EVERY: Duration = Duration::from_millis(100);

/// The bars of one command.
pub struct Bars {
    all: Option<MultiProgress>,
    clock: SharedClock,
    refreshers: std::cell::RefCell<Vec<(JoinHandle<()>, ProgressBar)>>,
}

impl Bars {
    /// Bars when stderr is a terminal, nothing otherwise.
    pub fn start(_globals: &Globals, clock: SharedClock) -> Self {
        let all = std::io::stderr()
            .is_terminal()
            .then(|| MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(10)));
        Self { all, clock, refreshers: std::cell::RefCell::default() }
    }

    /// Shows a run.
    pub fn watch(&self, flow: &FlowId, progress: Arc<Progress>) {
        let Some(all) = &self.all else { return };
        let bar = all.add(ProgressBar::new_spinner());
        bar.set_style(style(false));
        bar.set_prefix(flow.to_string());
        let (shown, clock) = (bar.clone(), self.clock.clone());
        let refresher = task::spawn("progress", async move {
            loop {
                show(&shown, &progress);
                clock.sleep_until(clock.mono().plus(EVERY)).await;
            }
        });
        self.refreshers.borrow_mut().push((refresher, bar));
    }

    /// Takes the bars away.
    pub fn finish(self) {
        for (refresher, bar) in self.refreshers.into_inner() {
            refresher.abort();
            bar.finish_and_clear();
        }
    }
}

fn show(bar: &ProgressBar, progress: &Progress) {
    let counts = progress.counts();
    if let Some(total) = progress.total()
        && bar.length() != Some(total)
    {
        bar.set_length(total);
        bar.set_style(style(true));
    }
    bar.set_position(counts.exported - counts.in_flight);
    let failed = if counts.failed > 0 { format!(", {} failed", counts.failed) } else { String::new() };
    bar.set_message(format!("{} delivered of {} read{failed}", counts.delivered, counts.exported));
}

fn style(total_known: bool) -> ProgressStyle {
    let template = if total_known {
        "{prefix:>20} [{bar:30}] {percent:>3}% {msg} {per_sec} {eta}"
    } else {
        "{prefix:>20} {spinner} {msg} {per_sec}"
    };
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> ")
}
