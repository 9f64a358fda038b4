//! Notices that the project changed, and hands over a scan that held still.
//!
//! Events of the operating system are only a reason to look again: editors, git and Kubernetes each announce a change
//! differently, and some not at all. What counts is the hash over all contents. A tree is handed over when two scans in
//! a row are equal, so that a half-done checkout is not; every half minute it looks without being asked.
//!
//! Nothing is decoded here, and nothing applied: `app` loads the tree and decides.

mod eyes;

use super::files::{self, Survey, Tree};
use crate::observe::event;
use crate::value::time::SharedClock;
use eyes::{Eyes, Interest};
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

/// Between the two scans that must be equal.
const SETTLE: Duration = Duration::from_millis(150);
/// A tree that never holds still is handed over as it is after so long.
const PATIENCE: Duration = Duration::from_secs(30);
/// Looks without being asked: some file systems announce nothing.
const SAFETY: Duration = Duration::from_secs(30);
/// Looks so often when events are not available, or were lost.
const POLL: Duration = Duration::from_secs(2);

/// A tree to load.
#[derive(Debug)]
pub struct Change {
    /// The scan, or why the project directory cannot be read (the snapshot in force stays).
    pub tree: io::Result<Tree>,
    /// Asked for by [`Trigger::look_now`]; then the tree may be the one already known.
    pub requested: bool,
}

/// How changes are noticed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Watching {
    /// The operating system tells.
    Events,
    /// It cannot; the folders are read every two seconds.
    Polling {
        /// Why.
        reason: String,
    },
}

/// Where scans come from; the disk, but in tests.
trait Files: Send + Sync + 'static {
    /// Scans now.
    fn survey(&self, root: &Path, named: &BTreeSet<PathBuf>) -> io::Result<Survey>;
}

struct Disk;

impl Files for Disk {
    fn survey(&self, root: &Path, named: &BTreeSet<PathBuf>) -> io::Result<Survey> {
        files::survey(root, named)
    }
}

/// Asks a [`Watch`] to look now (SIGHUP, `reload`). Cheap to clone; several requests before the look are one.
#[derive(Debug, Clone)]
pub struct Trigger(Arc<Wakes>);

impl Trigger {
    /// The watch looks at once and hands over a [`Change`] with `requested`, changed or not.
    pub fn look_now(&self) {
        self.0.requests.notify_one();
    }
}

/// Reasons to look; each holds at most one waiting wake-up.
#[derive(Debug, Default)]
struct Wakes {
    events: Notify,
    lost_events: Notify,
    requests: Notify,
}

/// Watches one project directory.
pub struct Watch {
    /// As given: it may be a link that is swapped.
    root: PathBuf,
    named: BTreeSet<PathBuf>,
    /// Hash of the tree handed over last; none after the directory could not be read.
    known: Option<String>,
    /// Why to look next; kept over a cancelled `next_change`.
    pending: Option<Cause>,
    watching: Watching,
    watched: BTreeSet<PathBuf>,
    interest: Arc<Interest>,
    eyes: Box<dyn Eyes>,
    wakes: Arc<Wakes>,
    files: Arc<dyn Files>,
    clock: SharedClock,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    Files,
    Request,
}

impl Watch {
    /// Watches `root`; `known` is the hash of the tree in force, `named` the files its configuration names. A change made
    /// since that tree was scanned is found by the first look.
    pub fn start(root: &Path, known: &str, named: BTreeSet<PathBuf>, clock: SharedClock) -> (Self, Trigger) {
        let (wakes, interest) = (Arc::new(Wakes::default()), Arc::new(Interest::default()));
        let eyes = eyes::open(&wakes, &interest);
        Self::assemble((root, known), named, clock, Arc::new(Disk), eyes, (wakes, interest))
    }

    fn assemble(
        (root, known): (&Path, &str),
        named: BTreeSet<PathBuf>,
        clock: SharedClock,
        files: Arc<dyn Files>,
        eyes: Box<dyn Eyes>,
        (wakes, interest): (Arc<Wakes>, Arc<Interest>),
    ) -> (Self, Trigger) {
        let trigger = Trigger(wakes.clone());
        let watch = Self {
            root: root.to_path_buf(),
            named,
            known: Some(known.to_owned()),
            pending: Some(Cause::Files),
            watching: Watching::Events,
            watched: BTreeSet::new(),
            interest,
            eyes,
            wakes,
            files,
            clock,
        };
        (watch, trigger)
    }

    /// How changes are noticed.
    pub fn watching(&self) -> &Watching {
        &self.watching
    }

    /// Says which files the configuration of `tree`, the change handed over last, names. When they are others than
    /// before, counts them into the tree's hash and returns true; load the tree again then: its hash is older than what
    /// that load reads, so that no edit of such a file can slip in between.
    pub fn name_files(&mut self, tree: &mut Tree, named: BTreeSet<PathBuf>) -> bool {
        if named == self.named {
            return false;
        }
        tree.count_in(&named);
        self.known = Some(tree.hash.clone());
        self.named = named;
        // Their folders are watched from the next look on.
        self.pending.get_or_insert(Cause::Files);
        true
    }

    /// Waits for the next change. May be cancelled and called again.
    pub async fn next_change(&mut self) -> Change {
        loop {
            let cause = match self.pending {
                Some(cause) => cause,
                None => self.cause().await,
            };
            self.pending = Some(cause);
            let found = self.settled().await;
            self.pending = None;
            let hash = found.as_ref().ok().map(|tree| tree.hash.clone());
            let requested = cause == Cause::Request;
            if requested || hash != self.known {
                self.known = hash;
                return Change { tree: found, requested };
            }
        }
    }

    async fn cause(&self) -> Cause {
        let now = self.clock.mono();
        let idle = match (&self.watching, &self.known) {
            (Watching::Events, Some(_)) => SAFETY,
            _ => POLL,
        };
        let lost = async {
            self.wakes.lost_events.notified().await;
            self.clock.sleep_until(self.clock.mono().plus(POLL)).await;
        };
        tokio::select! {
            biased;
            () = self.wakes.requests.notified() => Cause::Request,
            () = self.wakes.events.notified() => Cause::Files,
            () = lost => Cause::Files,
            () = self.clock.sleep_until(now.plus(idle)) => Cause::Files,
        }
    }

    /// A scan that equals the one before it.
    async fn settled(&mut self) -> io::Result<Tree> {
        let give_up = self.clock.mono().plus(PATIENCE);
        let (mut last, mut moved) = self.look().await;
        loop {
            let unchanged = last.as_ref().ok().map(|tree| &tree.hash) == self.known.as_ref();
            if unchanged && !moved {
                return last;
            }
            self.clock.sleep_until(self.clock.mono().plus(SETTLE)).await;
            let (next, next_moved) = self.look().await;
            let same = match (&last, &next) {
                (Ok(last), Ok(next)) => last.hash == next.hash,
                (Err(last), Err(next)) => last.kind() == next.kind(),
                _ => false,
            };
            if (same && !next_moved) || self.clock.mono() >= give_up {
                return next;
            }
            (last, moved) = (next, next_moved);
        }
    }

    /// Scans once and watches what it saw; whether it came upon folders not watched before, in which something may have
    /// happened unseen.
    async fn look(&mut self) -> (io::Result<Tree>, bool) {
        let (files, root, named) = (self.files.clone(), self.root.clone(), self.named.clone());
        let survey = tokio::task::spawn_blocking(move || files.survey(&root, &named)).await;
        match survey.unwrap_or_else(|panic| Err(io::Error::other(panic))) {
            Ok(survey) => {
                let moved = self.watch_folders(&survey);
                (Ok(survey.tree), moved)
            }
            Err(error) => (Err(error), false),
        }
    }

    fn watch_folders(&mut self, survey: &Survey) -> bool {
        self.interest.set(&survey.shared);
        let folders: BTreeSet<PathBuf> = survey.folders.iter().chain(survey.shared.keys()).cloned().collect();
        for gone in self.watched.difference(&folders) {
            self.eyes.forget(gone);
        }
        for folder in &folders {
            // Known ones too: a folder that was deleted and made anew lost its watch.
            if let Err(reason) = self.eyes.watch(folder) {
                self.fall_back(reason);
                break;
            }
        }
        let moved = folders.iter().any(|folder| !self.watched.contains(folder));
        self.watched = folders;
        moved
    }

    fn fall_back(&mut self, reason: String) {
        if self.watching == Watching::Events {
            event::watch_degraded(&reason);
            self.watching = Watching::Polling { reason };
        }
    }
}

#[cfg(test)]
mod tests;
