//! `flowgate serve`: the long-running process.

use super::{Exit, Globals};
use crate::app::output::Stdout;
use crate::app::serve::{Ended, ServeError, Setup};
use crate::app::state::NoState;
use crate::app::{self, Host, Signal};
use crate::observe::event;
use crate::store::StateError;
use std::sync::Arc;

/// Serves until a signal; the exit code says how it ended.
pub async fn serve(globals: &Globals, host: &Host) -> Exit {
    let (tree, loaded) = match host.load() {
        Ok(pair) => pair,
        Err(error) => return super::check::no_directory(globals, &error),
    };
    let named_files = loaded.named_files.clone();
    let snapshot = match super::accept(globals, loaded) {
        Ok(snapshot) => snapshot,
        Err(exit) => return exit,
    };
    if let Err(exit) = super::install_logs(globals, &snapshot, host, false) {
        return exit;
    }
    let state = globals.state.clone().unwrap_or_else(|| snapshot.settings.state.clone());
    let setup = Setup {
        host: host.clone(),
        snapshot,
        tree_hash: tree.hash,
        named_files,
        state,
        follow_log_level: globals.log_level.is_none(),
        output: Arc::new(Stdout::new()),
    };
    let exit = match app::serve::serve(setup).await {
        Ok(Ended::Drained) => Exit::Done,
        Ok(Ended::CutShort) => Exit::Temporary,
        Ok(Ended::Now(Signal::Interrupt)) => Exit::Interrupted,
        Ok(Ended::Now(_)) => Exit::Terminated,
        Err(error) => {
            globals.complain(&error.to_string());
            match error {
                // A full or failing disk is no mistake in a file.
                ServeError::State(ref state) if is_passing(state) => Exit::Temporary,
                ServeError::Signals(_) => Exit::Temporary,
                ServeError::NotReady(_) | ServeError::State(_) | ServeError::Listen(_) => Exit::Config,
            }
        }
    };
    event::stopped(exit.code());
    exit
}

/// Another owner is no passing matter here: two `serve` on one directory are a mistake.
fn is_passing(state: &NoState) -> bool {
    state.is_passing() && !matches!(state, NoState::Directory(StateError::Owned { .. }))
}
