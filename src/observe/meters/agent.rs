//! Series of agents.

use super::{float, gauge};
use crate::observe::names;
use crate::observe::series::Gauge;

/// The series of the agents of one name.
pub struct AgentMeters {
    connected: Gauge,
}

impl AgentMeters {
    /// Creates (or finds) the series.
    pub fn of(agent: &str) -> Self {
        Self { connected: gauge(&names::AGENTS_CONNECTED, &[agent]) }
    }

    /// So many are there.
    pub fn connected(&self, count: usize) {
        self.connected.set(float(count as u64));
    }
}
