//! Secrets in error records that are shown. A record is what an API gave: it is stored as it came, because it is sent
//! again, and an API may give back what it was asked with. What is shown of it passes the redactor like everything else.

use crate::app::{Host, State};
use crate::http::client::Client;
use crate::http::tokens::WhenRefused;
use crate::model::snapshot::Snapshot;
use crate::runtime::engine::Generation;
use crate::runtime::scope::Lanes;
use crate::store::ErrorRow;
use std::sync::Arc;

/// Every connection's secrets: those of its file, and the tokens that are kept for it.
pub struct Masks {
    clients: Vec<Arc<Client>>,
    /// Why some secrets are not known here; none when all are.
    pub gaps: Option<String>,
}

impl Masks {
    /// Of a project as its files are now.
    pub async fn of(host: &Host, state: &State) -> Self {
        let unread = |why: String| Self { clients: Vec::new(), gaps: Some(why) };
        let snapshot = match host.load() {
            Ok((_, loaded)) => loaded.snapshot.map(Arc::new),
            Err(error) => return unread(error.to_string()),
        };
        let Some(snapshot) = snapshot else {
            return unread("the project has errors, see `flowgate check`".to_owned());
        };
        Self::of_snapshot(host, state, snapshot).await.unwrap_or_else(unread)
    }

    async fn of_snapshot(host: &Host, state: &State, snapshot: Arc<Snapshot>) -> Result<Self, String> {
        let services = host.services(&snapshot.settings, state, WhenRefused::GiveUp);
        let generation = Generation::prepare(snapshot, None, &services).map_err(|error| error.to_string())?;
        let mut masks = Self { clients: Vec::new(), gaps: None };
        for (id, lane) in generation.lanes.iter() {
            lane.client.recall().await;
            if let Some(reason) = lane.client.offline() {
                masks.gaps.get_or_insert_with(|| format!("connection `{id}`: {reason}"));
            }
            masks.clients.push(lane.client.clone());
        }
        Ok(masks)
    }

    /// Of a running process, as it knows them now.
    pub fn of_lanes(lanes: &Lanes) -> Self {
        Self { clients: lanes.values().map(|lane| lane.client.clone()).collect(), gaps: None }
    }

    /// A text masked.
    pub fn text(&self, text: &str) -> String {
        self.clients.iter().fold(text.to_owned(), |text, client| client.redact(&text).into_owned())
    }

    /// All texts of an error record masked.
    pub fn mask(&self, mut row: ErrorRow) -> ErrorRow {
        let texts = [&mut row.message, &mut row.payload];
        let more =
            [&mut row.trace_key, &mut row.link, &mut row.key, &mut row.request, &mut row.response, &mut row.exported];
        for text in texts.into_iter().chain(more.into_iter().flatten()) {
            for client in &self.clients {
                if let std::borrow::Cow::Owned(masked) = client.redact(text) {
                    *text = masked;
                }
            }
        }
        row
    }
}
