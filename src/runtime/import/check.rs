//! `[import.check]`: the destination is asked whether a record has arrived.

use super::{Item, Road};
use crate::http::exchange::{Failure, FailureClass};
use crate::model::import::Check;
use crate::observe::traces::Purpose;
use crate::runtime::export::records;
use crate::runtime::scope::Lane;

impl Road<'_> {
    /// Asks whether a record has arrived: found = delivered. What keeps from asking fails as what it is, all else as
    /// unknown.
    pub(super) async fn is_there(&self, (lane, check): (&Lane, &Check), item: &Item) -> Result<bool, Failure> {
        let scope = self.scope;
        let now = scope.now();
        let ctx = lane.client.context(scope.context(&now, &item.origin));
        let prepared = check.request.prepare(&item.offer(&ctx), &lane.client);
        let unclear = |text: String| Failure { class: FailureClass::Unknown, message: text, ..Failure::cancelled() };
        let mut prepared = prepared.map_err(|error| unclear(error.at("check").to_string()))?;
        prepared.safe = true;
        let flow = &scope.flow;
        let asked = async {
            let permit = scope.queue.acquire(&lane.line, &flow.id, flow.weight).await;
            let permit = permit.map_err(|_| Failure::cancelled())?;
            lane.client.exchange(permit, &prepared, check.request.response.as_ref(), true).await
        };
        let purpose = Purpose { connection: &check.connection, ..self.purpose("check", std::slice::from_ref(item)) };
        match scope.trace.request(purpose, asked).await {
            Ok(answer) => {
                let clean = |text: &str| lane.client.clean(text);
                let found =
                    records::split(answer.document.as_ref(), check.records.as_ref(), records::Absent::Empty, clean);
                found.map(|found| !found.is_empty()).map_err(|error| unclear(error.at("check").to_string()))
            }
            Err(failure) if failure.is_nothing() || matches!(failure.status, Some(404 | 410)) => Ok(false),
            Err(failure) if matches!(failure.class, FailureClass::Cancelled | FailureClass::Auth) => Err(failure),
            Err(failure) => Err(unclear(format!("check: {failure}"))),
        }
    }
}
