//! What is remembered, in the words of the run engine. How it lies on disk is each backend's own business.
// size: every row that is stored, with what its fields mean.

use crate::value::id::FlowId;
use crate::value::json::Json;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Under way; when its epoch is an earlier one, cut off by an unclean exit.
    Running,
    /// Stopped in order with records left: goes on with the flow's next run.
    Held,
    /// Over.
    Ended,
    /// Given up by hand with records left, which count as dismissed.
    Dismissed,
}

/// What a run works on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunKind {
    /// The flow's export.
    Export,
    /// Open error records. Its records were counted by the runs they came from.
    Retry,
}

/// One run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunRow {
    /// Its identity.
    pub id: String,
    /// Of which flow.
    pub flow: FlowId,
    /// What it works on.
    pub kind: RunKind,
    /// `manual`, `schedule`, `retry` …
    pub trigger: String,
    /// The scheduled instant: with the flow, it is had once.
    pub occurrence: Option<DateTime<Utc>>,
    /// When it began.
    pub started: DateTime<Utc>,
    /// When it ended or was held.
    pub ended: Option<DateTime<Utc>>,
    /// Where it stands.
    pub phase: Phase,
    /// How it ended.
    pub outcome: Option<String>,
    /// What ended or holds it.
    pub cause: Option<String>,
    /// Hash of the flow's file and of what it names; its text is in `Space::Meaning`.
    pub meaning: String,
    /// At most so many records.
    pub limit: Option<u64>,
    /// The exports it reads, by name; none = all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exports: Vec<String>,
    /// Of a delta export: what changed since then was asked for by hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<DateTime<Utc>>,
    /// And until then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<DateTime<Utc>>,
    /// The process generation that works on it.
    pub epoch: u64,
    /// Unclean exits it has seen.
    pub crashes: u32,
    /// Its figures.
    pub tally: Tally,
    /// Where its records ended, in the order of the flow's places; none of a run that was not begun.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<StepTally>,
}

/// Records of a run that ended at one place of its flow: went no further than the export, a step, or the last import.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct StepTally {
    /// Name of the place; empty where the flow has nothing there.
    pub name: String,
    /// Delivered.
    pub delivered: u64,
    /// Filtered.
    pub filtered: u64,
    /// With an error record.
    pub failed: u64,
}

/// The figures of a run. `exported = delivered + filtered + failed + in flight`, and of the failed ones
/// `failed = open + redelivered + refiltered + dismissed`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Tally {
    /// Records that left the export.
    pub exported: u64,
    /// Delivered by the run itself.
    pub delivered: u64,
    /// Filtered by the run itself.
    pub filtered: u64,
    /// Error records opened.
    pub failed: u64,
    /// Of these: delivered later.
    #[serde(default)]
    pub redelivered: u64,
    /// Of these: filtered by a later retry.
    #[serde(default)]
    pub refiltered: u64,
    /// Of these, and of records in flight when a run was dismissed: given up by hand.
    #[serde(default)]
    pub dismissed: u64,
    /// Pages read.
    pub pages: u64,
    /// Import requests finished.
    pub requests: u64,
}

/// Figures of a flow over its stored runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlowTally {
    /// Which flow.
    pub flow: FlowId,
    /// `exported = delivered + filtered + open + dismissed + in_flight`
    pub exported: u64,
    /// Delivered, by the run or by a retry.
    pub delivered: u64,
    /// Filtered, by the run or by a retry.
    pub filtered: u64,
    /// Open error records.
    pub open: u64,
    /// Given up by hand.
    pub dismissed: u64,
    /// Of runs under way or held.
    pub in_flight: u64,
    /// When the oldest open error record was opened.
    pub oldest_open: Option<DateTime<Utc>>,
}

/// What became of one record of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// Nothing yet.
    InFlight,
    /// Delivered.
    Delivered,
    /// Filtered.
    Filtered,
    /// It has an error record.
    Failed,
}

/// One mark a record, two bits each.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Marks {
    len: u32,
    bits: Vec<u8>,
}

impl Marks {
    /// All in flight.
    pub fn new(len: u32) -> Self {
        Self { len, bits: vec![0; (len as usize).div_ceil(4)] }
    }

    /// From what [`Marks::bits`] gave; none when it does not fit.
    pub fn from_bits(len: u32, bits: &[u8]) -> Option<Self> {
        (bits.len() == (len as usize).div_ceil(4)).then(|| Self { len, bits: bits.to_vec() })
    }

    /// The bytes to be stored.
    pub fn bits(&self) -> &[u8] {
        &self.bits
    }

    /// How many records.
    pub fn len(&self) -> u32 {
        self.len
    }

    /// Whether the page has no records.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The mark of a record, by position from 0.
    pub fn get(&self, at: u32) -> Mark {
        let byte = self.bits.get(at as usize / 4).copied().unwrap_or(0);
        match (byte >> (at % 4 * 2)) & 3 {
            0 => Mark::InFlight,
            1 => Mark::Delivered,
            2 => Mark::Filtered,
            _ => Mark::Failed,
        }
    }

    /// Sets the mark of a record; beyond the page nothing happens.
    pub fn set(&mut self, at: u32, mark: Mark) {
        if at >= self.len {
            return;
        }
        let bits = match mark {
            Mark::InFlight => 0,
            Mark::Delivered => 1,
            Mark::Filtered => 2,
            Mark::Failed => 3,
        };
        if let Some(byte) = self.bits.get_mut(at as usize / 4) {
            let shift = at % 4 * 2;
            *byte = (*byte & !(3 << shift)) | (bits << shift);
        }
    }

    /// Records in flight.
    pub fn in_flight(&self) -> u32 {
        // Positions beyond the length are never set, so that they look as if in flight.
        let set: u32 = self.bits.iter().map(|byte| ((byte | (byte >> 1)) & 0b0101_0101).count_ones()).sum();
        self.len - set.min(self.len)
    }

    /// Whether every record is resolved.
    pub fn is_done(&self) -> bool {
        self.in_flight() == 0
    }
}

/// A page of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageRow {
    /// From 1.
    pub number: u64,
    /// What became of its records.
    pub marks: Marks,
    /// The cursor that follows it: JSON.
    pub cursor: String,
    /// Status, headers, URL: JSON.
    pub head: String,
    /// Whether its body was stored.
    pub has_body: bool,
    /// Unclean exits while it was in flight.
    pub crashes: u32,
    /// Whether work on it was begun under a careful run.
    pub started: bool,
}

/// A record that was about to be sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IntentRow {
    /// Which page.
    pub page: u64,
    /// Which record of it, by position from 0.
    pub record: u32,
    /// Hash of the record, to know it again when the page is read anew.
    pub hash: u64,
    /// The idempotency key rendered for it.
    pub key: Option<String>,
}

/// Where an error record stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorState {
    /// Open.
    Open,
    /// Delivered later, by a retry or because the same trace key went through.
    Redelivered,
    /// Filtered by a retry.
    Refiltered,
    /// Given up by hand, or by age.
    Dismissed,
}

/// A record that could not be delivered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorRow {
    /// Given by the store, from 1; 0 before that.
    pub id: u64,
    /// Which flow.
    pub flow: FlowId,
    /// Which run met it first.
    pub run: String,
    /// Which export the record came from.
    pub export: String,
    /// For which of its `each`, when there are any: JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub each: Option<String>,
    /// Of a delta export: the time that was asked for, JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// Of a group (`group_by`): how many records it is made of; 0 = it is one record by itself.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub members: u32,
    /// `transform`, `keep`, a step's name, or `import`.
    pub step: String,
    /// Page, from 1.
    pub page: u64,
    /// Position in the page, from 1.
    pub record: u64,
    /// `rejected`, `unreachable`, `unknown`, `record` …
    pub class: String,
    /// What is wrong, redacted.
    pub message: String,
    /// Status of the last answer.
    pub status: Option<u16>,
    /// Attempts made, in all retries.
    pub attempts: u32,
    /// The request, redacted and cut; none when there was none.
    pub request: Option<String>,
    /// The answer, redacted and cut.
    pub response: Option<String>,
    /// The record as it reached the step: JSON.
    pub payload: String,
    /// As it was exported, where its source is to be told of it and the payload is another: JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exported: Option<String>,
    /// `trace_key`, rendered.
    pub trace_key: Option<String>,
    /// `link`, rendered.
    pub link: Option<String>,
    /// The idempotency key of its import, to be sent again verbatim.
    pub key: Option<String>,
    /// What it has in common with others of its kind.
    pub fingerprint: String,
    /// Where it stands.
    pub state: ErrorState,
    /// When it was opened.
    pub opened: DateTime<Utc>,
    /// When it last changed.
    pub changed: DateTime<Utc>,
    /// What changed it last.
    pub by: Option<String>,
    /// Retries made.
    pub retries: u32,
    /// When it is retried by itself.
    pub next_retry: Option<DateTime<Utc>>,
}

impl ErrorRow {
    /// Bytes of the record.
    pub fn bytes(&self) -> usize {
        self.payload.len() + self.exported.as_ref().map_or(0, String::len)
    }

    /// The record as it was exported, where it is kept beside the payload.
    pub fn as_exported(&self) -> Option<Json> {
        Json::parse(self.exported.clone()?).ok()
    }

    /// How many records it stands for.
    pub fn weight(&self) -> u64 {
        u64::from(self.members.max(1))
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "what serde calls")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// Families of stored values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Space {
    /// Schedules: flow -> newest instant handed out or passed over, RFC 3339, and by which line.
    Schedule,
    /// Texts of flows that runs began with: hash -> JSON of path and text.
    Meaning,
    /// Marks of delta exports: `flow` and `export` joined by a space -> JSON.
    Mark,
    /// Renewed credentials: connection -> JSON.
    Token,
    /// Connections known to be offline: connection -> JSON of since and why.
    Offline,
    /// Webhook calls that were taken: `flow` and a hash of the id joined by a space -> when, RFC 3339.
    Webhook,
    /// Runs that are owed: a flow that runs after another one -> JSON of which, and which run of it ended.
    After,
    /// How far backfills are: flow -> JSON.
    Backfill,
    /// Flows that start nothing: flow -> JSON of since.
    Pause,
    /// What imports on the way took of records: run, page and record joined by spaces -> JSON, the run engine's own. Let
    /// go when the record is resolved; of one that failed, when its error record is.
    Waypoint,
    /// Log lines of a run that ended or is held: run -> JSON array. Let go with the run.
    Log,
    /// What the store keeps about itself.
    Meta,
}

/// The key of a record's waypoint; records count from 1.
pub fn waypoint_key(run: &str, page: u64, record: u64) -> String {
    format!("{run} {page} {record}")
}

impl Space {
    /// All, for walking.
    pub const ALL: [Self; 12] = [
        Self::Schedule,
        Self::Meaning,
        Self::Mark,
        Self::Token,
        Self::Offline,
        Self::Webhook,
        Self::After,
        Self::Backfill,
        Self::Pause,
        Self::Waypoint,
        Self::Log,
        Self::Meta,
    ];

    /// By its name on disk.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|space| space.name() == name)
    }

    /// Its name on disk.
    pub fn name(self) -> &'static str {
        match self {
            Self::Schedule => "schedule",
            Self::Meaning => "meaning",
            Self::Mark => "mark",
            Self::Token => "token",
            Self::Offline => "offline",
            Self::Webhook => "webhook",
            Self::After => "after",
            Self::Backfill => "backfill",
            Self::Pause => "pause",
            Self::Waypoint => "waypoint",
            Self::Log => "log",
            Self::Meta => "meta",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn marks_are_a_list_of_four_values(len in 0u32..70, sets in prop::collection::vec((0u32..80, 0u8..4), 0..100)) {
            let all = [Mark::InFlight, Mark::Delivered, Mark::Filtered, Mark::Failed];
            let mut marks = Marks::new(len);
            let mut list = vec![Mark::InFlight; len as usize];
            for (at, value) in sets {
                let mark = all[value as usize];
                marks.set(at, mark);
                if let Some(slot) = list.get_mut(at as usize) {
                    *slot = mark;
                }
            }
            for (at, mark) in list.iter().enumerate() {
                prop_assert_eq!(marks.get(u32::try_from(at).unwrap()), *mark);
            }
            let left = list.iter().filter(|mark| **mark == Mark::InFlight).count();
            prop_assert_eq!(marks.in_flight() as usize, left);
            prop_assert_eq!(Marks::from_bits(len, marks.bits()), Some(marks.clone()));
            prop_assert_eq!(Marks::from_bits(len + 4, marks.bits()), None);
        }
    }
}
