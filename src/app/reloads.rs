//! What became of the files: one report a judged tree, the last ones kept.

use super::git::{self, Revision};
use crate::config::diagnostic::{Diagnostic, Severity};
use crate::model::snapshot::Snapshot;
use crate::runtime::view::FlowView;
use crate::value::id::FlowId;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashSet, VecDeque};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Reports kept.
const KEPT: usize = 50;
/// Resources named in one report beside those that did not change; more are only counted.
const MOST_NAMED: usize = 2_000;
/// Findings kept of one report; `check` shows all.
const MOST_FINDINGS: usize = 100;

/// What became of a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is in force.
    Applied,
    /// It is what was in force already.
    Unchanged,
    /// What was in force stays.
    Rejected,
}

impl Verdict {
    /// In one word.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Unchanged => "unchanged",
            Self::Rejected => "rejected",
        }
    }
}

/// What became of one flow, connection, or of `flowgate.toml`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Resource {
    pub(super) kind: &'static str,
    pub(super) id: String,
    /// `updated`, `added`, `draining`, `removed` or `rejected`; what is not named is `unchanged`.
    pub(super) verdict: &'static str,
    pub(super) reason: Option<String>,
}

/// One judged tree.
#[derive(Debug, Clone)]
pub(super) struct Report {
    pub(super) id: String,
    pub(super) at: DateTime<Utc>,
    pub(super) verdict: Verdict,
    /// Of the snapshot in force after it.
    pub(super) revision: String,
    pub(super) git: Option<Revision>,
    pub(super) resources: Vec<Resource>,
    /// Resources beyond those named.
    pub(super) more: usize,
    pub(super) unchanged: usize,
    /// Errors found.
    pub(super) errors: usize,
    pub(super) findings: Vec<Value>,
    /// `flowgate.toml` has something that only a restart applies.
    pub(super) restart_needed: bool,
    /// Of one that changed nothing: the reload that put this revision in force, as a document.
    pub(super) applied_by: Option<Value>,
}

/// Shared by the reload loop, which adds, and whoever shows them.
#[derive(Clone)]
pub(super) struct Reloads {
    kept: Arc<Mutex<VecDeque<Report>>>,
    /// How many processes have owned the state: with it ids are had once.
    epoch: u64,
}

impl Reloads {
    pub(super) fn new(epoch: u64) -> Self {
        Self { kept: Arc::default(), epoch }
    }

    /// Keeps a report. Its id.
    pub(super) fn add(&self, root: &Path, mut report: Report) -> String {
        report.git = git::revision(root);
        report.more += report.resources.len().saturating_sub(MOST_NAMED);
        report.resources.truncate(MOST_NAMED);
        report.findings.truncate(MOST_FINDINGS);
        let mut kept = self.lock();
        if report.verdict == Verdict::Unchanged {
            let applied = |old: &&Report| old.verdict == Verdict::Applied && old.revision == report.revision;
            report.applied_by = kept.iter().rev().find(applied).map(|old| old.document(None));
        }
        let last = kept.back().and_then(|last| last.id.rsplit_once('-')?.1.parse::<u64>().ok());
        report.id = format!("{}-{}", self.epoch, last.unwrap_or(0) + 1);
        let id = report.id.clone();
        kept.push_back(report);
        while kept.len() > KEPT {
            kept.pop_front();
        }
        id
    }

    /// The newest first.
    pub(super) fn all(&self) -> Vec<Report> {
        self.lock().iter().rev().cloned().collect()
    }

    /// The newest.
    pub(super) fn last(&self) -> Option<Report> {
        self.lock().back().cloned()
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Report>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Report {
    /// Nothing found yet.
    pub(super) fn new(at: DateTime<Utc>, verdict: Verdict, revision: &str) -> Self {
        Self {
            id: String::new(),
            at,
            verdict,
            revision: revision.to_owned(),
            git: None,
            resources: Vec::new(),
            more: 0,
            unchanged: 0,
            errors: 0,
            findings: Vec::new(),
            restart_needed: false,
            applied_by: None,
        }
    }

    /// What a tree that came in force changed. A removed or changed flow whose run goes on says so.
    pub(super) fn with_changes(mut self, before: Option<&Snapshot>, after: &Snapshot, views: &[FlowView]) -> Self {
        let running: HashSet<&FlowId> =
            views.iter().filter(|view| view.running.is_some()).map(|view| &view.id).collect();
        let hashes = |snapshot: &Snapshot| {
            let flows = snapshot.flows.iter().map(|(id, flow)| (id.to_string(), flow.hash.clone())).collect();
            let links = snapshot.connections.iter().map(|(id, one)| (id.to_string(), one.hash.clone())).collect();
            (flows, links)
        };
        let (old_flows, old_links): (Hashes, Hashes) = before.map(hashes).unwrap_or_default();
        let (flows, links) = hashes(after);
        let goes_on = |id: &str| FlowId::parse(id).is_ok_and(|id| running.contains(&id));
        self.compare("flow", &old_flows, &flows, goes_on);
        self.compare("connection", &old_links, &links, |_| false);
        self
    }

    fn compare(&mut self, kind: &'static str, old: &Hashes, new: &Hashes, goes_on: impl Fn(&str) -> bool) {
        let until = || Some("its run under way ends by its former text".to_owned());
        for (id, hash) in new {
            let (verdict, reason) = match old.get(id) {
                Some(before) if before == hash => {
                    self.unchanged += 1;
                    continue;
                }
                Some(_) => ("updated", goes_on(id).then(until).flatten()),
                None => ("added", None),
            };
            self.resources.push(Resource { kind, id: id.clone(), verdict, reason });
        }
        for id in old.keys().filter(|id| !new.contains_key(*id)) {
            let (verdict, reason) = if goes_on(id) { ("draining", until()) } else { ("removed", None) };
            self.resources.push(Resource { kind, id: id.clone(), verdict, reason });
        }
    }

    /// What was found in a tree that is not applied: each file with an error is rejected for its first one, and all others
    /// stay as they were.
    pub(super) fn with_findings(mut self, found: &[Diagnostic], before: Option<&Snapshot>) -> Self {
        let errors = found.iter().filter(|found| found.severity == Severity::Error);
        let mut first: BTreeMap<&Path, &Diagnostic> = BTreeMap::new();
        for error in errors {
            self.errors += 1;
            first.entry(&error.file).or_insert(error);
            if self.findings.len() < MOST_FINDINGS {
                self.findings.push(finding(error));
            }
        }
        let all = before.map_or(0, |before| before.flows.len() + before.connections.len());
        self.unchanged = all.saturating_sub(first.len());
        for (file, error) in first {
            let (kind, id) = named(file);
            let reason = Some(super::reload::one_line(error));
            self.resources.push(Resource { kind, id, verdict: "rejected", reason });
        }
        self
    }

    /// Rejected as a whole, for a reason that stands in no file.
    pub(super) fn for_a_reason(mut self, reason: &str) -> Self {
        self.errors = 1;
        let (kind, id) = ("project", ".".to_owned());
        self.resources.push(Resource { kind, id, verdict: "rejected", reason: Some(reason.to_owned()) });
        self
    }

    /// As programs read it. `all` names what did not change too.
    pub(super) fn document(&self, all: Option<&Snapshot>) -> Value {
        let one = |resource: &Resource| {
            json!({
                "kind": resource.kind,
                "id": resource.id,
                "verdict": resource.verdict,
                "reason": resource.reason,
            })
        };
        let mut resources: Vec<Value> = self.resources.iter().map(one).collect();
        if let Some(snapshot) = all {
            let named: HashSet<(&str, &str)> = self.resources.iter().map(|one| (one.kind, one.id.as_str())).collect();
            let flows = snapshot.flows.keys().map(|id| ("flow", id.as_str()));
            let links = snapshot.connections.keys().map(|id| ("connection", id.as_str()));
            let rest = flows.chain(links).filter(|one| self.more == 0 && !named.contains(one));
            resources.extend(
                rest.map(|(kind, id)| json!({ "kind": kind, "id": id, "verdict": "unchanged", "reason": null })),
            );
        }
        json!({
            "id": self.id,
            "at": super::status::time(self.at),
            "verdict": self.verdict.word(),
            "revision": self.revision,
            "git": self.git.as_ref().map(|git| json!({ "commit": git.commit, "branch": git.branch })),
            "restart_needed": self.restart_needed,
            "unchanged": self.unchanged,
            "errors": self.errors,
            "resources": resources,
            "more": self.more,
            "findings": self.findings,
            "applied_by": self.applied_by,
        })
    }
}

type Hashes = BTreeMap<String, String>;

/// `flows/eu/orders.toml` is flow `eu/orders`.
fn named(file: &Path) -> (&'static str, String) {
    let text = file.with_extension("").to_string_lossy().into_owned();
    match text.split_once('/') {
        Some(("flows", id)) => ("flow", id.to_owned()),
        Some(("connections", id)) => ("connection", id.to_owned()),
        _ => ("file", file.to_string_lossy().into_owned()),
    }
}

fn finding(found: &Diagnostic) -> Value {
    json!({
        "code": found.code,
        "file": found.file.to_string_lossy(),
        "line": found.line,
        "column": found.column,
        "key": found.key,
        "message": found.message,
        "help": found.help,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_reports_are_kept_and_ids_go_on() {
        let root = tempfile::tempdir().unwrap();
        let reloads = Reloads::new(7);
        for count in 1..=KEPT + 3 {
            let mut report = Report::new(DateTime::UNIX_EPOCH, Verdict::Applied, "r");
            report.resources =
                vec![Resource { kind: "flow", id: "a".into(), verdict: "added", reason: None }; MOST_NAMED + 1];
            assert_eq!(reloads.add(root.path(), report), format!("7-{count}"));
        }
        let all = reloads.all();
        assert_eq!((all.len(), all[0].id.as_str(), all[KEPT - 1].id.as_str()), (KEPT, "7-53", "7-4"));
        assert_eq!((all[0].resources.len(), all[0].more), (MOST_NAMED, 1));
    }

    #[test]
    fn one_that_changes_nothing_names_the_one_that_did() {
        let root = tempfile::tempdir().unwrap();
        let reloads = Reloads::new(1);
        let add = |verdict, revision| reloads.add(root.path(), Report::new(DateTime::UNIX_EPOCH, verdict, revision));
        add(Verdict::Unchanged, "a");
        assert_eq!(reloads.last().unwrap().applied_by, None, "in force since the start");
        add(Verdict::Applied, "b");
        add(Verdict::Rejected, "b");
        add(Verdict::Unchanged, "b");
        assert_eq!(reloads.last().unwrap().document(None)["applied_by"]["id"], "1-2");
    }

    #[test]
    fn a_file_is_named_by_what_it_defines() {
        assert_eq!(named(Path::new("flows/eu/orders.toml")), ("flow", "eu/orders".to_owned()));
        assert_eq!(named(Path::new("connections/shop.toml")), ("connection", "shop".to_owned()));
        assert_eq!(named(Path::new("flowgate.toml")), ("file", "flowgate.toml".to_owned()));
    }
}
