//! The operating system's events, reduced to "look again".

use super::Wakes;
use notify::{ErrorKind, Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Watches single folders, not what lies below them.
pub(super) trait Eyes: Send + Sync {
    /// Begins, or begins again. A folder that is gone is no error; anything else says why nothing can be seen there.
    fn watch(&mut self, folder: &Path) -> Result<(), String>;
    /// Ends.
    fn forget(&mut self, folder: &Path);
}

/// Which names matter in folders that hold other things too. Written by the watch, read by the event thread.
#[derive(Debug, Default)]
pub(super) struct Interest(Mutex<BTreeMap<PathBuf, BTreeSet<OsString>>>);

impl Interest {
    pub(super) fn set(&self, shared: &BTreeMap<PathBuf, BTreeSet<OsString>>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone_from(shared);
    }

    fn matters(&self, path: &Path) -> bool {
        let shared = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else { return true };
        match shared.get(folder) {
            // `..data` of a mounted secret stands for every file in it.
            Some(names) => names.contains(name) || name.as_encoded_bytes().starts_with(b".."),
            None => true,
        }
    }
}

/// The system's watcher, or one that says why there is none.
pub(super) fn open(wakes: &Arc<Wakes>, interest: &Arc<Interest>) -> Box<dyn Eyes> {
    let (wakes, interest) = (wakes.clone(), interest.clone());
    let watcher = notify::recommended_watcher(move |event| wake(&event, &wakes, &interest));
    match watcher {
        Ok(watcher) => Box::new(System(watcher)),
        Err(error) => Box::new(Blind(explain(&error))),
    }
}

fn wake(event: &notify::Result<Event>, wakes: &Wakes, interest: &Interest) {
    match event {
        // Lost events are looked after with a delay: on a huge project our own reading can be what overflows.
        Ok(event) if event.need_rescan() => wakes.lost_events.notify_one(),
        // Our own scans cause these.
        Ok(Event { kind: EventKind::Access(_), .. }) => {}
        Ok(event) if event.paths.is_empty() || event.paths.iter().any(|path| interest.matters(path)) => {
            wakes.events.notify_one();
        }
        Ok(_) => {}
        Err(_) => wakes.lost_events.notify_one(),
    }
}

struct System(RecommendedWatcher);

impl Eyes for System {
    fn watch(&mut self, folder: &Path) -> Result<(), String> {
        match self.0.watch(folder, RecursiveMode::NonRecursive) {
            Err(error) if !is_gone(&error) => Err(explain(&error)),
            _ => Ok(()),
        }
    }

    fn forget(&mut self, folder: &Path) {
        // It fails where the folder is gone, and then there is nothing to end.
        let _ = self.0.unwatch(folder);
    }
}

fn is_gone(error: &notify::Error) -> bool {
    match &error.kind {
        ErrorKind::PathNotFound => true,
        ErrorKind::Io(cause) => cause.kind() == std::io::ErrorKind::NotFound,
        _ => false,
    }
}

fn explain(error: &notify::Error) -> String {
    match &error.kind {
        ErrorKind::MaxFilesWatch => {
            "the system's limit of watched folders is reached (raise fs.inotify.max_user_watches)".to_owned()
        }
        ErrorKind::Io(cause) => cause.to_string(),
        _ => error.to_string(),
    }
}

/// Sees nothing, and says why.
struct Blind(String);

impl Eyes for Blind {
    fn watch(&mut self, _folder: &Path) -> Result<(), String> {
        Err(self.0.clone())
    }

    fn forget(&mut self, _folder: &Path) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use notify::event::{AccessKind, Flag};

    fn woken(event: Event) -> (bool, bool) {
        let (wakes, interest) = (Wakes::default(), Interest::default());
        interest.set(&BTreeMap::from([(PathBuf::from("/p"), BTreeSet::from([OsString::from("flows")]))]));
        wake(&Ok(event), &wakes, &interest);
        let is_set = |notify: &tokio::sync::Notify| futures_util::FutureExt::now_or_never(notify.notified()).is_some();
        (is_set(&wakes.events), is_set(&wakes.lost_events))
    }

    #[test]
    fn only_names_that_matter_wake_in_a_shared_folder() {
        let event = |path: &str| Event::new(EventKind::Any).add_path(path.into());
        assert_eq!(woken(event("/p/serve.log")), (false, false));
        assert_eq!(woken(event("/p/flows")), (true, false));
        assert_eq!(woken(event("/p/..data")), (true, false));
        assert_eq!(woken(event("/p/flows/anything")), (true, false));
        assert_eq!(woken(Event::new(EventKind::Any)), (true, false));
    }

    #[test]
    fn reading_wakes_nobody_and_lost_events_wake_later() {
        assert_eq!(woken(Event::new(EventKind::Access(AccessKind::Any)).add_path("/p/flows/a".into())), (false, false));
        assert_eq!(woken(Event::new(EventKind::Other).set_flag(Flag::Rescan)), (false, true));
    }
}
