//! Every metric this program knows: name, kind, unit, labels, help, buckets. Drives registration and docs/METRICS.md.
//!
//! Labels come from configuration or from a closed list, never from data. What counts is in `meters`.

use std::fmt::Write as _;

/// How a series behaves.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// Only grows; its name ends in `_total`.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts observations in these upper bounds.
    Histogram(&'static [f64]),
}

/// What a value counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Things.
    Count,
    /// Seconds of duration, or since 1970-01-01T00:00:00Z for timestamps.
    Seconds,
    /// 0 or 1.
    Flag,
    /// Bytes.
    Bytes,
}

/// A label and the values it can take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Label {
    /// Its name.
    pub name: &'static str,
    /// The closed list of values; empty when they come from configuration (ids) or from the build.
    pub values: &'static [&'static str],
}

/// One metric.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Metric {
    /// Full name.
    pub name: &'static str,
    /// Kind, with buckets.
    pub kind: Kind,
    /// Unit.
    pub unit: Unit,
    /// Labels in the order used.
    pub labels: &'static [Label],
    /// One sentence without a full stop.
    pub help: &'static str,
}

const FLOW: Label = Label { name: "flow", values: &[] };
const CONNECTION: Label = Label { name: "connection", values: &[] };
const TRIGGER: Label = Label { name: "trigger", values: TRIGGERS };
/// Values of `trigger`.
pub const TRIGGERS: &[&str] = &["manual", "schedule", "retry", "webhook", "run_after"];
/// Values of `outcome` of a run.
pub const RUN_OUTCOMES: &[&str] = &["succeeded", "errors", "failed", "cancelled"];
/// Values of `outcome` of a record.
pub const RECORD_OUTCOMES: &[&str] = &["exported", "delivered", "filtered", "failed", "dismissed"];
/// Values of `outcome` of an attempt.
pub const REQUEST_OUTCOMES: &[&str] = &["success", "limited", "auth_failed", "rejected", "unreachable"];
/// Values of `outcome` of a credential's renewal.
pub const RENEWAL_OUTCOMES: &[&str] = &["renewed", "failed"];
/// Values of `direction` of a change of an adaptive level.
pub const DIRECTIONS: &[&str] = &["raised", "lowered"];
/// Values of `outcome` of a reload.
pub const RELOAD_OUTCOMES: &[&str] = &["applied", "rejected"];
/// Values of `reason` of a skipped occurrence.
pub const SKIP_REASONS: &[&str] = &["overlap", "missed", "draining", "gone", "paused"];

/// Values of `outcome` of a call to a webhook.
pub const WEBHOOK_OUTCOMES: &[&str] = &["accepted", "duplicate", "unauthorized", "rejected", "full", "unavailable"];
/// Values of `outcome` of a notice.
pub const NOTICE_OUTCOMES: &[&str] = &["sent", "failed", "dropped", "suppressed"];
/// Values of `outcome` of a span.
pub const SPAN_FATES: &[&str] = &["sent", "failed", "dropped"];
/// Values of `reason` of a request that was refused at the door.
pub const DOOR_REASONS: &[&str] = &["no_token", "wrong_token", "agent_token", "host", "origin", "content_type"];
/// Values of `kind` of the state's bytes.
pub const STORE_KINDS: &[&str] = &["database", "pages"];

const REQUEST_SECONDS: &[f64] = &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];
const COMMIT_SECONDS: &[f64] = &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0, 300.0];
const WAIT_SECONDS: &[f64] = &[0.001, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0];
const RUN_SECONDS: &[f64] = &[0.1, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14400.0, 86400.0];
const LATENESS_SECONDS: &[f64] = &[0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0, 300.0, 3600.0];

macro_rules! table {
    ($($id:ident = $name:literal, $kind:expr, $unit:ident, $labels:expr, $help:literal;)+) => {
        $(#[doc = $help] pub const $id: Metric =
            Metric { name: $name, kind: $kind, unit: Unit::$unit, labels: $labels, help: $help };)+
        /// Every metric, in the order of docs/METRICS.md.
        pub const ALL: &[Metric] = &[$($id),+];
    };
}

table! {
    FLOW_RUNS = "flowgate_flow_runs_total", Kind::Counter, Count,
        &[FLOW, Label { name: "outcome", values: RUN_OUTCOMES }, TRIGGER],
        "Runs that ended, by how they ended and what started them";
    FLOW_RECORDS = "flowgate_flow_records_total", Kind::Counter, Count,
        &[FLOW, Label { name: "outcome", values: RECORD_OUTCOMES }],
        "Records that left the export, and what became of them";
    FLOW_RECORDS_IN_FLIGHT = "flowgate_flow_records_in_flight", Kind::Gauge, Count, &[FLOW],
        "Records read but neither delivered, filtered nor failed";
    FLOW_RUNNING = "flowgate_flow_running", Kind::Gauge, Count, &[FLOW],
        "Runs of the flow under way";
    FLOW_RUN_SECONDS = "flowgate_flow_run_duration_seconds", Kind::Histogram(RUN_SECONDS), Seconds, &[FLOW],
        "Time from a run's start to its end";
    FLOW_LAST_SUCCESS = "flowgate_flow_last_success_timestamp_seconds", Kind::Gauge, Seconds, &[FLOW],
        "When a run last ended without errors, earlier processes' included, 0 when none is known of";
    FLOW_NEXT_RUN = "flowgate_flow_next_run_timestamp_seconds", Kind::Gauge, Seconds, &[FLOW],
        "When the schedule fires next, 0 without a schedule";
    FLOW_INTERVAL = "flowgate_flow_schedule_interval_seconds", Kind::Gauge, Seconds, &[FLOW],
        "Longest of the schedule's gaps around now: before and after its latest occurrence, after the next; 0 without one";
    ERRORS_OPEN = "flowgate_errors_open", Kind::Gauge, Count, &[FLOW],
        "Open error records, as counted a few seconds ago at most";
    ERRORS_OLDEST = "flowgate_errors_oldest_age_seconds", Kind::Gauge, Seconds, &[FLOW],
        "Age of the oldest open error record, 0 when none is open";

    HTTP_REQUESTS = "flowgate_http_requests_total", Kind::Counter, Count,
        &[CONNECTION, Label { name: "outcome", values: REQUEST_OUTCOMES }],
        "Attempts that ended, by verdict; a retried request counts once per attempt";
    HTTP_REQUEST_SECONDS = "flowgate_http_request_duration_seconds", Kind::Histogram(REQUEST_SECONDS), Seconds,
        &[CONNECTION],
        "Time from sending an attempt to the end of its answer";
    HTTP_RETRIES = "flowgate_http_retries_total", Kind::Counter, Count, &[CONNECTION],
        "Attempts that were followed by another one";
    RETRY_BUDGET = "flowgate_connection_retry_budget", Kind::Gauge, Count, &[CONNECTION],
        "Retries that may go out at once; at 0 the next one waits for its turn";
    CONNECTION_PAUSES = "flowgate_connection_pauses_total", Kind::Counter, Count, &[CONNECTION],
        "Rate-limit pauses that began";
    CONNECTION_PAUSE_SECONDS = "flowgate_connection_pause_seconds_total", Kind::Counter, Seconds, &[CONNECTION],
        "Length of the rate-limit pauses that began, in whole seconds, rounded up";
    CONNECTION_IN_FLIGHT = "flowgate_connection_in_flight", Kind::Gauge, Count, &[CONNECTION],
        "Requests in flight";
    CONNECTION_LIMIT = "flowgate_connection_concurrency_limit", Kind::Gauge, Count, &[CONNECTION],
        "Concurrency limit in force; the lender's for a connection that borrows";
    CONNECTION_OFFLINE = "flowgate_connection_offline", Kind::Gauge, Flag, &[CONNECTION],
        "1 while the connection's credentials are refused and its requests wait";
    CONNECTION_UNVERIFIED = "flowgate_connection_tls_unverified", Kind::Gauge, Flag, &[CONNECTION],
        "1 for a connection with tls.verify = false: whoever answers is believed";
    CONNECTION_RENEWALS = "flowgate_connection_renewals_total", Kind::Counter, Count,
        &[CONNECTION, Label { name: "outcome", values: RENEWAL_OUTCOMES }],
        "Renewals of the connection's credential: token requests, refreshes, logins";
    TOKEN_EXPIRY = "flowgate_connection_token_expiry_timestamp_seconds", Kind::Gauge, Seconds, &[CONNECTION],
        "When the token in use ends, 0 when none is in use or its end is not known";
    CONNECTION_LIMIT_CHANGES = "flowgate_connection_concurrency_changes_total", Kind::Counter, Count,
        &[CONNECTION, Label { name: "direction", values: DIRECTIONS }],
        "Changes of an adaptive concurrency level set off by answers to this connection";
    SERVER_LIMIT = "flowgate_connection_server_limit", Kind::Gauge, Count, &[CONNECTION],
        "Requests the server allows in its own window; absent until it says so";
    SERVER_REMAINING = "flowgate_connection_server_remaining", Kind::Gauge, Count, &[CONNECTION],
        "Requests the server said are left in its own window; absent until it says so";
    SERVER_RESET = "flowgate_connection_server_reset_timestamp_seconds", Kind::Gauge, Seconds, &[CONNECTION],
        "When the server's own window ends; absent until it says so";
    QUEUE_DEPTH = "flowgate_queue_depth", Kind::Gauge, Count, &[CONNECTION],
        "Requests waiting in line";
    QUEUE_OLDEST = "flowgate_queue_oldest_age_seconds", Kind::Gauge, Seconds, &[CONNECTION],
        "Age of the oldest waiting request, 0 when none waits";
    QUEUE_WAIT = "flowgate_queue_wait_seconds", Kind::Histogram(WAIT_SECONDS), Seconds, &[CONNECTION],
        "Time a request stood in line before it might be sent";

    AGENTS_CONNECTED = "flowgate_agents_connected", Kind::Gauge, Count, &[Label { name: "agent", values: &[] }],
        "Agents of this name that are connected; without one its connections' requests wait";

    CONFIG_RELOADS = "flowgate_config_reloads_total", Kind::Counter, Count,
        &[Label { name: "outcome", values: RELOAD_OUTCOMES }],
        "Changed project trees, by whether they were put in force";
    CONFIG_LAST_RELOAD = "flowgate_config_last_reload_success_timestamp_seconds", Kind::Gauge, Seconds, &[],
        "When the snapshot in force was applied";
    CONFIG_VALID = "flowgate_config_valid", Kind::Gauge, Flag, &[],
        "1 when the files as they are now are in force, 0 when they were rejected";
    CONFIG_FLOWS = "flowgate_config_flows", Kind::Gauge, Count, &[],
        "Flows of the snapshot in force, disabled ones included";
    CONFIG_CONNECTIONS = "flowgate_config_connections", Kind::Gauge, Count, &[],
        "Connections of the snapshot in force";

    SCHEDULE_DUE = "flowgate_scheduler_due_total", Kind::Counter, Count, &[FLOW],
        "Occurrences of the schedule that came due";
    SCHEDULE_SKIPPED = "flowgate_scheduler_skipped_total", Kind::Counter, Count,
        &[FLOW, Label { name: "reason", values: SKIP_REASONS }],
        "Due occurrences that started no run, by reason";
    SCHEDULE_LATENESS = "flowgate_scheduler_lateness_seconds", Kind::Histogram(LATENESS_SECONDS), Seconds, &[],
        "Time from an occurrence's instant to its handling";

    WEBHOOK_CALLS = "flowgate_webhook_calls_total", Kind::Counter, Count,
        &[FLOW, Label { name: "outcome", values: WEBHOOK_OUTCOMES }],
        "Calls to the flow's webhook, by what became of them; accepted ones are durable";
    WEBHOOK_WAITING = "flowgate_webhook_waiting", Kind::Gauge, Count, &[FLOW],
        "Payloads that were taken and whose run has not begun or was cut off";

    SERVER_REFUSED = "flowgate_server_refused_total", Kind::Counter, Count,
        &[Label { name: "reason", values: DOOR_REASONS }],
        "Requests to the server that were refused at its door: token missing or wrong, name not known, another site's page";

    NOTICES = "flowgate_notices_total", Kind::Counter, Count,
        &[Label { name: "outcome", values: NOTICE_OUTCOMES }],
        "Notices of `[notify]`: sent, failed, dropped because too many waited, or suppressed because told not long before";

    TRACE_SPANS = "flowgate_trace_spans_total", Kind::Counter, Count,
        &[Label { name: "outcome", values: SPAN_FATES }],
        "Spans of traces: sent, not taken by the collector, or dropped because too many waited; absent without traces";

    STORE_COMMITS = "flowgate_store_commits_total", Kind::Counter, Count, &[],
        "Transactions that became durable, each with one flush for all batches in it";
    STORE_BATCHES = "flowgate_store_batches_total", Kind::Counter, Count, &[],
        "Batches that became durable";
    STORE_COMMIT_SECONDS = "flowgate_store_commit_duration_seconds", Kind::Histogram(COMMIT_SECONDS), Seconds, &[],
        "Time from taking up a group of batches to its being durable, waits for the disk included";
    STORE_FAILING = "flowgate_store_failing", Kind::Gauge, Flag, &[],
        "1 while writes wait because the disk is full or broken";
    STORE_BYTES = "flowgate_store_bytes", Kind::Gauge, Bytes, &[Label { name: "kind", values: STORE_KINDS }],
        "What the state takes up on disk: the database with its log, and bodies of pages in work";

    PROCESS_START = "flowgate_process_start_time_seconds", Kind::Gauge, Seconds, &[],
        "When the process started";
    BUILD_INFO = "flowgate_build_info", Kind::Gauge, Flag, &[Label { name: "version", values: &[] }],
        "Always 1; the label names the version that runs";
}

/// docs/METRICS.md.
pub fn document() -> String {
    let mut out = String::from(
        "# Metrics\n\nGenerated from `src/observe/names.rs`; a test compares (`FLOWGATE_BLESS=1` writes it anew).\n\n\
         Served as `/metrics` in the Prometheus text format. `flow` and `connection` are ids of files; every other label\n\
         takes the values listed here and no others. Series of removed flows and connections are not shown. Counters exist\n\
         at 0 from the moment their flow or connection is loaded.\n",
    );
    for metric in ALL {
        let kind = match metric.kind {
            Kind::Counter => "counter".to_owned(),
            Kind::Gauge => "gauge".to_owned(),
            Kind::Histogram(buckets) => format!("histogram, buckets {}", list(buckets)),
        };
        let unit = match metric.unit {
            Unit::Count => "",
            Unit::Seconds => ", seconds",
            Unit::Flag => ", 0 or 1",
            Unit::Bytes => ", bytes",
        };
        let _ = write!(out, "\n## `{}`\n\n{}.\n\n- {kind}{unit}\n", metric.name, metric.help);
        for label in metric.labels {
            let _ = writeln!(out, "- label `{}`: {}", label.name, values(*label));
        }
    }
    out
}

fn list(buckets: &[f64]) -> String {
    buckets.iter().map(f64::to_string).collect::<Vec<_>>().join(" ")
}

fn values(label: Label) -> String {
    match (label.name, label.values) {
        ("flow", _) => "id of the flow".to_owned(),
        ("connection", _) => "id of the connection".to_owned(),
        ("agent", _) => "name in `[agents]`".to_owned(),
        (_, []) => "of the build".to_owned(),
        (_, values) => values.iter().map(|value| format!("`{value}`")).collect::<Vec<_>>().join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;
    use std::path::Path;

    #[test]
    fn names_follow_the_conventions() {
        let mut seen = HashSet::new();
        for metric in ALL {
            let name = metric.name;
            assert!(seen.insert(name), "{name} stands twice");
            assert!(
                name.starts_with("flowgate_") && name.chars().all(|c| c.is_ascii_lowercase() || c == '_'),
                "{name}"
            );
            assert_eq!(name.ends_with("_total"), metric.kind == Kind::Counter, "{name}");
            assert_eq!(name.contains("_seconds"), metric.unit == Unit::Seconds, "{name}");
            assert!(!metric.help.is_empty() && !metric.help.ends_with('.') && !metric.help.contains('\n'), "{name}");
            if let Kind::Histogram(buckets) = metric.kind {
                assert!(!buckets.is_empty() && buckets.windows(2).all(|pair| pair[0] < pair[1]), "{name}");
            }
        }
    }

    #[test]
    fn the_frozen_names_are_there() {
        for (name, labels) in [
            ("flowgate_config_reloads_total", &["outcome"][..]),
            ("flowgate_flow_runs_total", &["flow", "outcome", "trigger"]),
            ("flowgate_flow_records_total", &["flow", "outcome"]),
            ("flowgate_flow_last_success_timestamp_seconds", &["flow"]),
            ("flowgate_http_requests_total", &["connection", "outcome"]),
            ("flowgate_queue_depth", &["connection"]),
            ("flowgate_connection_in_flight", &["connection"]),
            ("flowgate_connection_concurrency_limit", &["connection"]),
            ("flowgate_queue_wait_seconds", &["connection"]),
        ] {
            let metric = ALL.iter().find(|metric| metric.name == name).unwrap_or_else(|| panic!("{name} is missing"));
            assert_eq!(metric.labels.iter().map(|label| label.name).collect::<Vec<_>>(), labels, "{name}");
        }
    }

    #[test]
    fn the_document_is_up_to_date() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/METRICS.md");
        if std::env::vars().any(|(name, value)| name == "FLOWGATE_BLESS" && value == "1") {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, document()).unwrap();
        }
        let on_disk = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(on_disk == document(), "docs/METRICS.md is stale: run this test with FLOWGATE_BLESS=1");
    }
}
