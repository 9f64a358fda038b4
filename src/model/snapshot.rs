//! One immutable state of the whole project.

use super::connection::Connection;
use super::flow::Flow;
use super::settings::Settings;
use crate::value::id::{ConnectionId, FlowId};
use std::collections::BTreeMap;
use std::sync::Arc;

/// All connections and flows of one scan.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// Content hash of every file, short hex.
    pub revision: String,
    /// By id.
    pub connections: BTreeMap<ConnectionId, Arc<Connection>>,
    /// By id, disabled ones included.
    pub flows: BTreeMap<FlowId, Arc<Flow>>,
    /// `flowgate.toml`
    pub settings: Arc<Settings>,
}

impl Snapshot {
    /// The flow of this id, or the one that had it formerly.
    pub fn flow_now(&self, id: &FlowId) -> Option<&Arc<Flow>> {
        self.flows.get(id).or_else(|| self.flows.values().find(|flow| flow.formerly.contains(id)))
    }
}
