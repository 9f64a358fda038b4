//! What an `[[on]]` rule does to a request under way: it is sent again, or ends with what the rule wants of it.

use super::attempt::{Attempt, Ruled};
use super::exchange::{Course, Failure, FailureClass};
use super::on::{Act, Ruling};
use super::retry::{is_transient, leaves_open};
use crate::observe::event;
use crate::queue::Permit;
use crate::value::time::Mono;
use std::time::Duration;

impl Course<'_> {
    /// How long a request waits that a rule sends again; none when it does not, or not once more. It counts towards
    /// the rule's own attempts only.
    pub(super) fn again(
        &mut self,
        ruled: Ruled,
        permit: &Permit,
        started: Mono,
        status: Option<u16>,
    ) -> Option<Duration> {
        let (client, tried) = (self.client, self.tries.count(ruled.at));
        let most = match ruled.act {
            Act::Retry => Some(ruled.most.unwrap_or(client.settings.retry.max_attempts)),
            Act::Limited => ruled.most,
            _ => return None,
        };
        self.open |= status.is_some_and(leaves_open);
        if self.once || most.is_some_and(|most| tried >= most.get()) {
            return None;
        }
        if ruled.act == Act::Limited {
            return Some(self.pause(permit, started, ruled.wait, status));
        }
        // Whoever says how long to wait has thought of it; else it is a retry like others.
        ruled.wait.or_else(|| {
            let now = client.clock.mono();
            let backoff = client.settings.retry.backoff(tried, client.rng.as_ref());
            Some(backoff.max(client.budget.take(now).since(now)))
        })
    }

    /// What a rule leads to that does not send again. A rule whose attempts are used up leaves what there was without
    /// it.
    pub(super) fn ruled(&self, ruled: Ruled, attempt: Attempt) -> Failure {
        let ruling = match ruled.act {
            Act::Skip => Some(Ruling::Skip),
            Act::Stop => Some(Ruling::Stop),
            Act::Fail => Some(Ruling::Fail),
            _ => None,
        };
        let failure = match attempt.status {
            _ if ruled.act == Act::Limited => self.limited(attempt),
            Some(status) if ruling.is_none() && is_transient(status) => self.gave_up(attempt),
            _ => self.ended(FailureClass::Rejected, attempt),
        };
        let failure = Failure { ruling, ..failure };
        if failure.is_nothing() {
            let (id, act) = (&self.client.id, ruled.act.name());
            event::answer_passed_over(id, act, &failure.request, failure.status, &failure.message);
        }
        failure
    }
}
