//! The only composer: puts the parts together, starts and stops them. Commands in `cli` ask it for one thing
//! each and turn the result into words and an exit code.

pub mod agent;
pub mod backfill;
#[cfg(test)]
mod crash;
pub mod errors;
mod face;
mod git;
mod keeper;
pub mod key;
mod live;
pub mod login;
mod notices;
pub mod output;
pub mod owner;
pub mod ping;
mod reload;
mod reloads;
pub mod renamed;
pub mod run;
pub mod serve;
mod signals;
pub mod state;
pub mod status;
mod systemd;
mod tallies;
mod tokens;
mod traces;
mod trends;
mod upkeep;
mod views;

use crate::agent::Hub;
use crate::config::files::{self, Tree};
use crate::config::{self, Env, Loaded};
use crate::http::tokens::{Tokens, WhenRefused};
use crate::model::settings::Settings;
use crate::model::snapshot::Snapshot;
use crate::queue::Queue;
use crate::runtime::engine::{NotReady, Services};
use crate::runtime::scope::Output;
use crate::runtime::supervisor::Supervisor;
use crate::value::time::{SeededRng, SharedClock, SharedRng, SystemClock};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokens::StoredTokens;

pub use signals::{Signal, Signals, hangup_ends};
use state::Files;
pub use state::State;
pub use views::look_at_runs;

/// What the process gets from outside: a directory, an environment, time and chance.
#[derive(Clone)]
pub struct Host {
    /// The project directory.
    pub root: PathBuf,
    /// Environment variables.
    pub env: Arc<dyn Env>,
    /// Time.
    pub clock: SharedClock,
    /// Chance.
    pub rng: SharedRng,
}

impl Host {
    /// The machine's own clock and chance.
    pub fn of_machine(root: PathBuf, env: Arc<dyn Env>) -> Self {
        Self { root, env, clock: SystemClock::start(), rng: SeededRng::from_system() }
    }

    /// Reads and judges the project once.
    pub fn load(&self) -> std::io::Result<(Tree, Loaded)> {
        let tree = files::scan(&self.root)?;
        let loaded = config::load(&tree, self.env.as_ref());
        Ok((tree, loaded))
    }

    /// A supervisor with this snapshot in force. Must be called inside the async runtime.
    pub fn supervise(
        &self,
        snapshot: Arc<Snapshot>,
        output: Arc<dyn Output>,
        state: &State,
        when_refused: WhenRefused,
    ) -> Result<Supervisor, NotReady> {
        let services = self.services(&snapshot.settings, state, when_refused);
        let supervisor = Supervisor::new(services, output, snapshot.settings.max_runs.get());
        supervisor.apply(snapshot)?;
        Ok(supervisor)
    }
}

impl Host {
    /// What everything that runs shares.
    fn services(&self, settings: &Settings, state: &State, when_refused: WhenRefused) -> Services {
        Services {
            queue: Queue::start(self.clock.clone()),
            clock: self.clock.clone(),
            rng: self.rng.clone(),
            traces: state.traces(self),
            tokens: Tokens::new(Arc::new(StoredTokens(state.store.clone())), when_refused),
            agents: Hub::open(settings.agents.iter().map(|agent| agent.name.clone()), &self.clock, &self.rng),
            store: state.store.clone(),
            epoch: state.epoch,
            recall: Arc::new(Files(self.clone())),
        }
    }
}

/// An environment with one variable more, for the demo's playground address.
pub struct WithVar {
    /// Asked for everything else.
    pub base: Arc<dyn Env>,
    /// Its name.
    pub name: &'static str,
    /// Its value.
    pub value: String,
}

impl Env for WithVar {
    fn var(&self, name: &str) -> Option<String> {
        if name == self.name { Some(self.value.clone()) } else { self.base.var(name) }
    }

    fn output(&self, root: &Path, command: &[String]) -> Option<Result<String, String>> {
        self.base.output(root, command)
    }
}
