//! The snapshot in force, the process, and what became of the files.

use super::Views;
use crate::app::status::{self, Stored};
use crate::store::socket::Denied;
use serde_json::{Value, json};

impl Views {
    pub(super) async fn snapshot(&self) -> Result<Value, Denied> {
        let config = self.config.get();
        let stored = Stored::read(self.supervisor.services().store.as_ref()).await;
        let snapshot = self.supervisor.snapshot();
        let (flows, connections) = snapshot.as_ref().map_or((0, 0), |now| (now.flows.len(), now.connections.len()));
        let last = self.reloads.last();
        let invalid: Vec<Value> = last
            .iter()
            .filter(|_| config.rejected.is_some())
            .flat_map(|report| &report.resources)
            .map(|one| json!({ "kind": one.kind, "id": one.id, "reason": one.reason }))
            .collect();
        let in_force = self.reloads.all().into_iter().find(|report| report.revision == config.revision);
        let git = in_force.and_then(|report| report.git);
        Ok(json!({
            "version": env!("CARGO_PKG_VERSION"),
            "pid": std::process::id(),
            "started": status::time(self.started),
            "now": status::time(self.now()),
            "draining": self.supervisor.is_draining(),
            "config": status::config(&config),
            "git": git.map(|git| json!({ "commit": git.commit, "branch": git.branch })),
            "flows": flows,
            "connections": connections,
            "open_errors": self.tallies.open_records(),
            "running": self.supervisor.active().len(),
            "invalid": invalid,
            "last_reload": last.map(|report| report.id),
            "store": stored.document(),
            "agents": status::agents(&self.supervisor),
        }))
    }

    pub(super) fn all_reloads(&self) -> Value {
        let reports: Vec<Value> = self.reloads.all().iter().map(|report| report.document(None)).collect();
        json!({ "reloads": reports })
    }

    pub(super) fn reload(&self, id: &str) -> Result<Value, Denied> {
        let all = self.reloads.all();
        let at = all.iter().position(|report| report.id == id);
        let at = at.ok_or_else(|| Denied::unknown(format!("there is no report `{}`", super::short(id))))?;
        // What did not change is known for the newest only: its snapshot is the one in force.
        let snapshot = self.supervisor.snapshot().filter(|_| at == 0);
        Ok(all[at].document(snapshot.as_deref()))
    }
}
