//! Follows the files: every tree that held still is judged whole; a good one takes effect, a bad one changes
//! nothing and says so in log, metric and `status`.

use super::Host;
use super::reloads::{Reloads, Report, Verdict};
use super::status::{Rejected, SharedConfigState};
use crate::config::diagnostic::{Diagnostic, Severity};
use crate::config::files::Tree;
use crate::config::watch::{Change, Watch};
use crate::config::{self, Loaded};
use crate::model::settings::Settings;
use crate::model::snapshot::Snapshot;
use crate::observe::event::Applied;
use crate::observe::meters::ConfigMeters;
use crate::observe::{event, logs};
use crate::runtime::happening::Happening;
use crate::runtime::supervisor::Supervisor;
use crate::server::Shown;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// Errors shown in `status`; `check` shows all.
const SHOWN: usize = 5;

/// The reload loop's belongings.
pub(super) struct Reloader {
    pub(super) host: Host,
    pub(super) supervisor: Supervisor,
    pub(super) watch: Watch,
    pub(super) meters: ConfigMeters,
    pub(super) state: SharedConfigState,
    /// What becomes of each tree.
    pub(super) reloads: Reloads,
    pub(super) follow_log_level: bool,
    /// What the process started with: settings read once are those of this snapshot.
    pub(super) started: Arc<Snapshot>,
    /// The certificate the server shows.
    pub(super) shown: Option<Shown>,
}

impl Reloader {
    /// Runs until `stop`.
    pub(super) async fn follow(mut self, stop: CancellationToken) {
        loop {
            let change = tokio::select! {
                () = stop.cancelled() => return,
                change = self.watch.next_change() => change,
            };
            let requested = change.requested;
            self.take(change, requested);
            if requested {
                self.state.judged();
            }
        }
    }

    fn take(&mut self, change: Change, requested: bool) {
        match change.tree {
            Ok(mut tree) => {
                let loaded = self.load(&mut tree);
                self.judge(loaded, requested);
            }
            Err(error) => {
                self.reject(&[], vec![format!("the project directory cannot be read: {error}")]);
            }
        }
    }

    fn load(&mut self, tree: &mut Tree) -> Loaded {
        let loaded = config::load(tree, self.host.env.as_ref());
        if self.watch.name_files(tree, loaded.named_files.iter().cloned().collect()) {
            return config::load(tree, self.host.env.as_ref());
        }
        loaded
    }

    fn judge(&self, loaded: Loaded, requested: bool) {
        let Some(snapshot) = loaded.snapshot else {
            let errors: Vec<String> =
                loaded.diagnostics.iter().filter(|found| found.severity == Severity::Error).map(one_line).collect();
            return self.reject(&loaded.diagnostics, errors);
        };
        let before = self.supervisor.snapshot();
        if before.as_ref().is_some_and(|before| before.revision == snapshot.revision) {
            let reverted = self.state.get().rejected.is_some();
            if reverted {
                event::reload_reverted(&self.meters);
                self.state.update(|state| state.rejected = None);
            }
            if reverted || requested {
                self.unchanged(&snapshot);
            }
            return;
        }
        let snapshot = Arc::new(snapshot);
        match self.supervisor.apply(snapshot.clone()) {
            Ok(()) => self.applied(before.as_deref(), &snapshot),
            Err(error) => self.reject(&[], vec![error.to_string()]),
        }
    }

    /// The files are what is in force already.
    fn unchanged(&self, snapshot: &Snapshot) {
        let report = Report::new(self.host.clock.utc(), Verdict::Unchanged, &snapshot.revision);
        self.report(report.with_changes(Some(snapshot), snapshot, &[]));
    }

    fn report(&self, mut report: Report) {
        let verdict = report.verdict.word();
        report.restart_needed = self.state.get().restart_needed;
        let id = self.reloads.add(&self.host.root, report);
        self.supervisor.happenings().tell(Happening::Reloaded { report: id, verdict });
    }

    fn applied(&self, before: Option<&Snapshot>, snapshot: &Snapshot) {
        let now = self.host.clock.utc();
        event::reload_applied(&self.meters, &compare(before, snapshot), now);
        if self.follow_log_level {
            // It was checked with the rest of the file.
            let _ = logs::set_level(&snapshot.settings.log_level);
        }
        self.show(before, snapshot);
        let restart = needs_restart(&self.started, snapshot);
        if restart {
            event::restart_needed();
        }
        self.state.update(|state| {
            state.revision.clone_from(&snapshot.revision);
            state.since = Some(now);
            state.rejected = None;
            state.restart_needed = restart;
        });
        let report = Report::new(now, Verdict::Applied, &snapshot.revision);
        self.report(report.with_changes(before, snapshot, &self.supervisor.active()));
    }

    /// A renewed certificate is shown at once.
    fn show(&self, before: Option<&Snapshot>, snapshot: &Snapshot) {
        let old = before.and_then(|before| before.settings.tls.as_ref());
        let (Some(shown), Some(tls)) = (&self.shown, &snapshot.settings.tls) else { return };
        if old != Some(tls) {
            match shown.renew(tls) {
                Ok(()) => event::certificate_shown(),
                Err(cause) => event::certificate_unusable(&cause),
            }
        }
    }

    /// `found` is what the files were found to be, and `first` why they are rejected, in words.
    fn reject(&self, found: &[Diagnostic], mut first: Vec<String>) {
        let errors = first.len();
        first.truncate(SHOWN);
        event::reload_rejected(&self.meters, errors, first.first().map_or("", String::as_str));
        let at = self.host.clock.utc();
        let before = self.supervisor.snapshot();
        let revision = before.as_ref().map_or("", |before| before.revision.as_str());
        let mut report = Report::new(at, Verdict::Rejected, revision).with_findings(found, before.as_deref());
        if found.is_empty() {
            report = report.for_a_reason(first.first().map_or("", String::as_str));
        }
        self.state.update(|state| state.rejected = Some(Rejected { at, errors, first }));
        self.report(report);
    }
}

pub(super) fn one_line(found: &Diagnostic) -> String {
    let Diagnostic { file, line, column, code, message, .. } = found;
    format!("{}:{line}:{column}: {message} [{code}]", file.display())
}

/// Everything but the log level, `[limits]` and what `[server.tls]` holds is read once, at start.
fn needs_restart(started: &Snapshot, after: &Snapshot) -> bool {
    let (old, new) = (&started.settings, &after.settings);
    old.state != new.state
        || old.listen != new.listen
        || old.token != new.token
        || old.public != new.public
        || old.hosts != new.hosts
        || old.tls.is_some() != new.tls.is_some()
        || old.agents != new.agents
        || !same_notices(old, new)
        || old.log_format != new.log_format
        || old.max_runs != new.max_runs
        || old.shutdown_timeout != new.shutdown_timeout
}

fn same_notices(old: &Settings, new: &Settings) -> bool {
    match (&old.notify, &new.notify) {
        (None, None) => true,
        (Some(old), Some(new)) => old.says_the_same(new),
        _ => false,
    }
}

/// What a snapshot changes against the one before.
pub(super) fn compare<'a>(before: Option<&Snapshot>, after: &'a Snapshot) -> Applied<'a> {
    let mut applied = Applied {
        revision: &after.revision,
        flows: after.flows.len(),
        connections: after.connections.len(),
        ..Applied::default()
    };
    let Some(before) = before else { return applied };
    let mut count = |old: Option<&str>, new: Option<&str>| match (old, new) {
        (None, Some(_)) => applied.added += 1,
        (Some(_), None) => applied.removed += 1,
        (Some(old), Some(new)) if old != new => applied.changed += 1,
        _ => {}
    };
    for (id, flow) in &after.flows {
        count(before.flows.get(id).map(|flow| flow.hash.as_str()), Some(&flow.hash));
    }
    for (id, flow) in &before.flows {
        if !after.flows.contains_key(id) {
            count(Some(&flow.hash), None);
        }
    }
    for (id, connection) in &after.connections {
        count(before.connections.get(id).map(|connection| connection.hash.as_str()), Some(&connection.hash));
    }
    for (id, connection) in &before.connections {
        if !after.connections.contains_key(id) {
            count(Some(&connection.hash), None);
        }
    }
    applied
}
