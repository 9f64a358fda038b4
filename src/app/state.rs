//! The store behind the runs: opened with the state directory, or in memory for what leaves nothing behind.

use super::Host;
use super::traces::Sender;
use crate::config::files::{self, Source};
use crate::config::{self};
use crate::model::flow::Flow;
use crate::observe::traces::Traces;
use crate::runtime::past::Recall;
use crate::store::{self, MemoryStore, OpenError, Space, StateDir, StateError, Store, StoreError, Write};
use crate::value::id::FlowId;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// Time for the last writes when the process ends.
const LAST_WRITES: Duration = Duration::from_millis(300);

/// Why there is no state to work with.
#[derive(Debug, thiserror::Error)]
pub enum NoState {
    /// The directory.
    #[error(transparent)]
    Directory(#[from] StateError),
    /// What is in it.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// What it holds cannot be read.
    #[error(transparent)]
    Read(#[from] StoreError),
}

impl NoState {
    /// Whether another process has it.
    pub fn is_owned(&self) -> bool {
        matches!(self, Self::Directory(StateError::Owned { .. }))
    }

    /// Whether it may be otherwise later without anybody changing a file: a full disk, another owner.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Directory(error) => matches!(error, StateError::Io { .. } | StateError::Owned { .. }),
            Self::Store(error) => matches!(error, OpenError::System { .. }),
            Self::Read(_) => true,
        }
    }
}

/// A store, and who owns it.
pub struct State {
    /// What survives a restart.
    pub store: Arc<dyn Store>,
    /// How many processes have owned it, this one included.
    pub epoch: u64,
    /// The directory, owned until this is dropped.
    pub dir: Option<StateDir>,
    /// Sends the traces of what runs on it.
    sender: OnceLock<Sender>,
}

impl State {
    /// Nothing survives.
    pub fn in_memory() -> Self {
        Self::over(MemoryStore::new(), 1)
    }

    /// On a store that somebody else opened.
    pub fn over(store: Arc<dyn Store>, epoch: u64) -> Self {
        Self { store, epoch, dir: None, sender: OnceLock::new() }
    }

    /// Nothing survives; what is remembered of delta exports is known, where there is something.
    pub async fn with_marks_of(path: &Path) -> Result<Self, NoState> {
        let state = Self::in_memory();
        let stored = match store::open_read_only(path) {
            Err(OpenError::Absent(_)) => return Ok(state),
            stored => stored?,
        };
        let marks = stored.values(Space::Mark).await?;
        let put = |(key, value)| Write::Put { space: Space::Mark, key, value };
        state.store.commit(marks.into_iter().map(put).collect()).await?;
        Ok(state)
    }

    /// Takes the state directory where something may have to be kept: a credential that is renewed on the way exists
    /// once, and must not end with this process.
    pub fn for_credentials(host: &Host, path: &Path, renewable: bool) -> Result<Self, NoState> {
        if renewable { Self::open(host, path) } else { Ok(Self::in_memory()) }
    }

    /// Takes the state directory.
    pub fn open(host: &Host, path: &Path) -> Result<Self, NoState> {
        let dir = StateDir::own(path, host.clock.utc())?;
        let store = store::open(&dir, host.clock.clone())?;
        Ok(Self { store, epoch: dir.owner().epoch, dir: Some(dir), sender: OnceLock::new() })
    }

    /// Finishes what was handed over, and closes.
    pub async fn close(self, host: &Host) {
        let patience = host.clock.sleep_until(host.clock.mono().plus(LAST_WRITES));
        tokio::select! {
            _ = self.store.close() => {}
            () = patience => {}
        }
        if let Some(sender) = self.sender.into_inner() {
            sender.end().await;
        }
    }

    /// Where runs begin their traces. Must be called inside the async runtime.
    pub(super) fn traces(&self, host: &Host) -> Traces {
        self.sender.get_or_init(|| Sender::start(host.env.as_ref(), &host.clock)).traces.clone()
    }
}

/// Recalls flows from their stored texts, on the connections as their files are now.
pub(super) struct Files(pub(super) Host);

impl Recall for Files {
    fn recall(&self, flow: &FlowId, text: &str) -> Result<Arc<Flow>, String> {
        let host = &self.0;
        let mut tree = files::scan(&host.root).map_err(|error| error.to_string())?;
        tree.files.retain(|path, _| !path.starts_with("flows"));
        let path = Path::new("flows").join(format!("{flow}.toml"));
        let source = Source { text: text.into(), hash: String::new() };
        tree.files.insert(path, Ok(source));
        let loaded = config::load(&tree, host.env.as_ref());
        let errors = loaded.diagnostics.iter().filter(|found| found.severity == config::diagnostic::Severity::Error);
        let first = errors.map(super::reload::one_line).next();
        loaded
            .snapshot
            .and_then(|snapshot| snapshot.flows.get(flow).cloned())
            .ok_or_else(|| first.unwrap_or_else(|| "it cannot be read".to_owned()))
    }
}
