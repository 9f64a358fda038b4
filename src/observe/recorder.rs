//! What `/metrics` shows: the series of those who live, rendered on demand.
//!
//! Series of removed flows and connections are left out at once, and let go when nothing counts on them any more.

use super::registry::{self, Owner};
use super::task;
use crate::value::id::{ConnectionId, FlowId};
use crate::value::time::SharedClock;
use std::collections::HashSet;
use std::time::Duration;
use tokio::task::JoinHandle;

/// How often series nobody wants are looked for, also where nobody scrapes.
const SWEEP_EVERY: Duration = Duration::from_mins(2);

/// Whose series are shown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Live {
    flows: HashSet<String>,
    connections: HashSet<String>,
}

impl Live {
    /// These flows and connections.
    pub fn of<'a>(
        flows: impl IntoIterator<Item = &'a FlowId>,
        connections: impl IntoIterator<Item = &'a ConnectionId>,
    ) -> Self {
        Self {
            flows: flows.into_iter().map(ToString::to_string).collect(),
            connections: connections.into_iter().map(ToString::to_string).collect(),
        }
    }

    pub(super) fn has(&self, owner: &Owner) -> bool {
        match owner {
            Owner::Process => true,
            Owner::Flow(id) => self.flows.contains(id),
            Owner::Connection(id) => self.connections.contains(id),
        }
    }
}

/// The exposition, a text per family.
pub fn render(live: &Live) -> Vec<String> {
    registry::with(|registry| registry.show(live))
}

/// Lets go the series of what is not live any more, for as long as the task lives.
pub fn keep(clock: SharedClock, live: impl Fn() -> Live + Send + 'static) -> JoinHandle<()> {
    task::spawn("series", async move {
        loop {
            clock.sleep_until(clock.mono().plus(SWEEP_EVERY)).await;
            let live = live();
            registry::with(|registry| registry.let_go(&live));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::meters::{
        AgentMeters, ConfigMeters, ConnectionMeters, DoorMeters, FlowMeters, NoticeMeters, ProcessMeters,
        RecordOutcome, RequestOutcome, StoreMeters,
    };
    use crate::observe::meters::{RunOutcome, SchedulerMeters, SpanMeters, TriggerKind, WebhookMeters};
    use crate::observe::names::{self, Kind};
    use chrono::DateTime;

    fn flow(id: &str) -> FlowId {
        FlowId::parse(id).unwrap()
    }

    fn connection(id: &str) -> ConnectionId {
        ConnectionId::parse(id).unwrap()
    }

    #[test]
    fn series_of_what_was_removed_are_let_go_once_nobody_counts_on_them() {
        registry::forget();
        let shown = |live: &Live| render(live).concat();
        let (kept, gone) = (FlowMeters::of(&flow("kept")), FlowMeters::of(&flow("gone")));
        kept.records(RecordOutcome::Exported, 5);
        kept.run_finished(RunOutcome::Succeeded, TriggerKind::Manual, Duration::from_secs(2), DateTime::UNIX_EPOCH);
        gone.records(RecordOutcome::Exported, 5);
        let (both, one) = (Live::of(&[flow("kept"), flow("gone")], []), Live::of([&flow("kept")], []));
        let count = |text: &str| text.contains("flow=\"gone\",outcome=\"exported\"} 5\n");
        assert!(!shown(&one).contains("gone"), "hidden at once");
        gone.records(RecordOutcome::Delivered, 1);
        assert!(count(&shown(&both)), "a run of it still counts: it comes back as it was");
        drop(gone);
        let text = shown(&one);
        assert!(text.contains("flowgate_flow_records_total{flow=\"kept\",outcome=\"exported\"} 5\n"), "{text}");
        assert!(text.contains("flowgate_flow_run_duration_seconds_count{flow=\"kept\"} 1\n"), "{text}");
        assert!(!shown(&both).contains("gone"), "let go");
        FlowMeters::of(&flow("gone"));
        let text = shown(&both);
        assert!(text.contains("flow=\"gone\",outcome=\"exported\"} 0\n"), "it begins anew: {text}");
        drop(kept);
        assert!(shown(&both).contains("flow=\"kept\",outcome=\"exported\"} 5\n"), "what lives stays, held or not");
    }

    #[test]
    fn a_scrape_sees_whole_changes() {
        registry::forget();
        let meters = FlowMeters::of(&flow("whole"));
        let live = Live::of([&flow("whole")], []);
        let stop = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    meters.settle([(RecordOutcome::Exported, 3), (RecordOutcome::Delivered, 2)]);
                }
            });
            for _ in 0..2_000 {
                let text = render(&live).concat();
                let value = |name: &str| {
                    let of = format!("flowgate_flow_records{name}}} ");
                    let found = text.lines().find_map(|line| line.strip_prefix(&*of)).unwrap();
                    found.parse::<u64>().unwrap()
                };
                let (exported, delivered) = (
                    value("_total{flow=\"whole\",outcome=\"exported\""),
                    value("_total{flow=\"whole\",outcome=\"delivered\""),
                );
                assert_eq!(exported * 2, delivered * 3);
                assert_eq!(value("_in_flight{flow=\"whole\""), exported - delivered);
            }
            stop.store(true, std::sync::atomic::Ordering::Relaxed);
        });
    }

    /// Everything this process can count, counted once.
    fn rendered(live: &Live) -> String {
        registry::forget();
        let at = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        ProcessMeters::started(at);
        ConfigMeters::take().applied(2, 2, at);
        StoreMeters::take().committed(Duration::from_millis(5), 3);
        for id in ["orders", "eu/items"] {
            let meters = FlowMeters::of(&flow(id));
            meters.records(RecordOutcome::Exported, 5);
            meters.records(RecordOutcome::Delivered, 3);
            meters.run_started();
            meters.run_finished(RunOutcome::Succeeded, TriggerKind::Manual, Duration::from_secs(2), at);
            SchedulerMeters::of(&flow(id)).due(Duration::from_millis(3));
            WebhookMeters::of(&flow(id)).waiting(1);
        }
        for id in ["shop", "erp"] {
            let meters = ConnectionMeters::of(&connection(id));
            meters.attempt(RequestOutcome::Limited, Duration::from_millis(20));
            meters.paused(Duration::from_millis(1500));
            meters.server_allows(Some(100), Some(12), Some(at));
        }
        AgentMeters::of("warehouse").connected(1);
        NoticeMeters::take();
        DoorMeters::take();
        SpanMeters::take();
        render(live).concat()
    }

    fn everything() -> Live {
        Live::of(&[flow("orders"), flow("eu/items")], &[connection("shop"), connection("erp")])
    }

    #[test]
    fn every_metric_is_rendered_described_and_of_its_kind() {
        let text = rendered(&everything());
        for metric in names::ALL {
            let kind = match metric.kind {
                Kind::Counter => "counter",
                Kind::Gauge => "gauge",
                Kind::Histogram(_) => "histogram",
            };
            assert!(text.contains(&format!("# HELP {} {}\n", metric.name, metric.help)), "{}", metric.name);
            assert!(text.contains(&format!("# TYPE {} {kind}\n", metric.name)), "{}", metric.name);
        }
        let families = text.lines().filter(|line| line.starts_with("# TYPE")).count();
        assert_eq!(families, names::ALL.len(), "a series outside the table");
    }

    #[test]
    fn counters_exist_at_zero_before_anything_happened() {
        let text = rendered(&everything());
        assert!(text.contains("flowgate_flow_runs_total{flow=\"orders\",outcome=\"failed\",trigger=\"schedule\"} 0\n"));
        assert!(
            text.contains("flowgate_flow_runs_total{flow=\"orders\",outcome=\"succeeded\",trigger=\"manual\"} 1\n")
        );
        assert!(text.contains("flowgate_http_requests_total{connection=\"erp\",outcome=\"success\"} 0\n"));
        assert!(text.contains("flowgate_scheduler_skipped_total{flow=\"orders\",reason=\"overlap\"} 0\n"));
        assert!(text.contains("flowgate_config_reloads_total{outcome=\"rejected\"} 0\n"));
    }

    #[test]
    fn records_in_flight_are_exported_less_settled() {
        let text = rendered(&everything());
        assert!(text.contains("flowgate_flow_records_in_flight{flow=\"orders\"} 2\n"), "{text}");
        assert!(text.contains("flowgate_connection_pause_seconds_total{connection=\"shop\"} 2\n"), "{text}");
    }

    #[test]
    fn series_of_removed_flows_and_connections_vanish() {
        let text = rendered(&Live::of(&[flow("orders")], &[connection("erp")]));
        assert!(!text.contains("eu/items") && !text.contains("shop"), "{text}");
        assert!(text.contains("flow=\"orders\"") && text.contains("connection=\"erp\""));
        let text = rendered(&Live::default());
        assert!(!text.contains("flowgate_flow_runs_total"), "a family without samples shows no header");
        assert!(text.contains("flowgate_build_info{version="));
    }

    #[test]
    fn histograms_have_their_buckets_and_never_become_summaries() {
        let text = rendered(&everything());
        assert!(text.contains("flowgate_queue_wait_seconds_bucket{connection=\"shop\",le=\"+Inf\"} 0\n"), "{text}");
        assert!(!text.contains("quantile=") && !text.contains(" summary\n"));
    }

    #[test]
    fn the_linter_of_prometheus_has_nothing_to_say() {
        use std::io::Write as _;
        let child = std::process::Command::new("promtool")
            .args(["check", "metrics"])
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn();
        let Ok(mut child) = child else {
            let required = std::env::var_os("CI").is_some()
                || std::env::var_os("FLOWGATE_PEERS").is_some_and(|value| value == "required");
            assert!(!required, "promtool is not installed: install the Debian package prometheus");
            eprintln!("SKIPPED: promtool is not installed (Debian package prometheus)");
            return;
        };
        child.stdin.take().unwrap().write_all(rendered(&everything()).as_bytes()).unwrap();
        let done = child.wait_with_output().unwrap();
        assert!(done.status.success() && done.stderr.is_empty(), "{}", String::from_utf8_lossy(&done.stderr));
    }
}
