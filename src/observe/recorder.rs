//! The Prometheus recorder: installed once, rendered on demand, upkeep without scrapers.
//!
//! Series of removed flows and connections are left out when rendering, and let go a while later.

use super::meters::{Owner, ProcessMeters, between_changes, touch};
use super::names::{self, Kind, Unit};
use super::task;
use crate::value::id::{ConnectionId, FlowId};
use crate::value::time::SharedClock;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use metrics_util::MetricKindMask;
use std::collections::HashSet;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::task::JoinHandle;

/// Samples of histograms pile up between two of these when nobody scrapes.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);

/// So many upkeeps later series nobody wants are looked for, also where nobody scrapes.
const UPKEEPS_A_SWEEP: u32 = 24;
/// Series of what was removed are let go when nothing has touched them for so long.
const LET_GO_AFTER: Duration = Duration::from_mins(1);

/// Bytes of a family that is long.
const LONG: usize = 200_000;
/// Samples of one family that are put in order.
const MOST_SORTED: usize = 2_000;

static INSTALLED: OnceLock<Recorder> = OnceLock::new();

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

    fn has(&self, owner: &Owner) -> bool {
        match owner {
            Owner::Process => true,
            Owner::Flow(id) => self.flows.contains(id),
            Owner::Connection(id) => self.connections.contains(id),
        }
    }

    fn shows(&self, sample: &str) -> bool {
        let known = |label: &str, ids: &HashSet<String>| {
            // Most samples have one of the two: looking for its name costs less than reading every label.
            !sample.contains(label) || label_of(sample, label).is_none_or(|id| ids.contains(id))
        };
        known("flow", &self.flows) && known("connection", &self.connections)
    }
}

/// All series of this process.
pub struct Recorder {
    handle: PrometheusHandle,
    /// Something was removed since the process began: its series may be left out for good, or have to be.
    removed: AtomicBool,
}

/// Installs the recorder; later calls give the same one. Call it before any meters are taken.
pub fn install(clock: &SharedClock) -> &'static Recorder {
    INSTALLED.get_or_init(|| {
        let (inner, recorder) = build();
        if metrics::set_global_recorder(inner).is_err() {
            tracing::error!("another metrics recorder is installed already: /metrics stays empty");
        }
        describe();
        ProcessMeters::started(clock.utc());
        recorder
    })
}

/// The recorder, once installed.
pub fn installed() -> Option<&'static Recorder> {
    INSTALLED.get()
}

/// Drains histogram samples on a timer, and lets go the series of what is not live any more, for as long as the task
/// lives.
pub fn keep(
    recorder: &'static Recorder,
    clock: SharedClock,
    live: impl Fn() -> Live + Send + 'static,
) -> JoinHandle<()> {
    task::spawn("metrics-upkeep", async move {
        for round in 1_u32.. {
            clock.sleep_until(clock.mono().plus(UPKEEP_EVERY)).await;
            recorder.upkeep();
            if round % UPKEEPS_A_SWEEP == 0 {
                recorder.sweep(&live());
            }
        }
    })
}

impl Recorder {
    /// The exposition text, without series of flows and connections that are not live.
    pub fn render(&self, live: &Live) -> String {
        self.touch(live);
        let all = !self.removed.load(Ordering::Relaxed);
        show(&between_changes(|| self.handle.render()), live, all)
    }

    fn touch(&self, live: &Live) {
        touch(|owner| {
            let lives = live.has(owner);
            if !lives {
                self.removed.store(true, Ordering::Relaxed);
            }
            lives
        });
    }

    /// Lets go what nobody has touched for long enough: the exporter looks for it while it renders.
    fn sweep(&self, live: &Live) {
        self.touch(live);
        drop(self.handle.render());
    }

    /// Folds waiting histogram samples into their buckets.
    pub fn upkeep(&self) {
        self.handle.run_upkeep();
    }
}

fn build() -> (PrometheusRecorder, Recorder) {
    build_with(LET_GO_AFTER)
}

fn build_with(let_go_after: Duration) -> (PrometheusRecorder, Recorder) {
    // Histograms cannot be touched without a sample: they stay, and a flow takes its own only when a run of it ends.
    let mask = MetricKindMask::COUNTER | MetricKindMask::GAUGE;
    let mut builder = PrometheusBuilder::new().idle_timeout(mask, Some(let_go_after));
    for metric in names::ALL {
        if let Kind::Histogram(buckets) = metric.kind {
            // A summary would come out for a histogram without buckets; the table's test refuses such a one.
            let Ok(next) = builder.set_buckets_for_metric(Matcher::Full(metric.name.to_owned()), buckets) else {
                unreachable!("{} has no buckets", metric.name)
            };
            builder = next;
        }
    }
    let recorder = builder.build_recorder();
    let handle = recorder.handle();
    (recorder, Recorder { handle, removed: AtomicBool::new(false) })
}

fn describe() {
    for metric in names::ALL {
        let unit = match metric.unit {
            Unit::Seconds => metrics::Unit::Seconds,
            Unit::Count | Unit::Flag => metrics::Unit::Count,
            Unit::Bytes => metrics::Unit::Bytes,
        };
        match metric.kind {
            Kind::Counter => metrics::describe_counter!(metric.name, unit, metric.help),
            Kind::Gauge => metrics::describe_gauge!(metric.name, unit, metric.help),
            Kind::Histogram(_) => metrics::describe_histogram!(metric.name, unit, metric.help),
        }
    }
}

/// Families by name; samples sorted where their order carries no meaning; nothing for a family without samples. `all` says
/// that nothing has to be left out: a long family is then passed on as it is, which is what ten thousand flows cost most.
fn show(text: &str, live: &Live, all: bool) -> String {
    let is_long = |family: &str| all && family.len() > LONG && family.trim_start().starts_with('#');
    let (long, short): (Vec<&str>, Vec<&str>) = text.split("\n\n").partition(|family| is_long(family));
    let mut families: Vec<_> = short.into_iter().filter_map(|family| Family::parse(family, live)).collect();
    families.extend(long.into_iter().filter_map(Family::whole));
    families.sort_by_key(|family| family.name);
    let mut out = String::with_capacity(text.len());
    for family in families {
        for line in family.headers.iter().chain(&family.samples) {
            out.push_str(line);
            out.push('\n');
        }
    }
    out
}

struct Family<'a> {
    name: &'a str,
    headers: Vec<&'a str>,
    samples: Vec<&'a str>,
}

impl<'a> Family<'a> {
    /// As it stands.
    fn whole(text: &'a str) -> Option<Self> {
        let text = text.trim_matches('\n');
        let name = text.lines().take_while(|line| line.starts_with('#')).last()?.split(' ').nth(2)?;
        Some(Self { name, headers: Vec::new(), samples: vec![text] })
    }

    fn parse(text: &'a str, live: &Live) -> Option<Self> {
        let (headers, mut samples): (Vec<_>, Vec<_>) =
            text.lines().filter(|line| !line.is_empty()).partition(|line| line.starts_with('#'));
        samples.retain(|line| live.shows(line));
        let mut words = headers.last()?.split(' ').skip(2);
        let (name, kind) = (words.next()?, words.next()?);
        // For people: nobody reads longer lists, and order means nothing to programs.
        if kind != "histogram" && samples.len() <= MOST_SORTED {
            samples.sort_unstable();
        }
        (!samples.is_empty()).then_some(Self { name, headers, samples })
    }
}

/// The value of a label in a sample line. Ids need no escaping, so neither does this.
fn label_of<'a>(sample: &'a str, label: &str) -> Option<&'a str> {
    let (_, mut rest) = sample.split_once('{')?;
    loop {
        let (name, after) = rest.split_once("=\"")?;
        let (value, after) = after.split_once('"')?;
        if name.trim_start_matches(',') == label {
            return Some(value);
        }
        rest = after;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::meters::{
        AgentMeters, ConfigMeters, ConnectionMeters, FlowMeters, NoticeMeters, RecordOutcome, RequestOutcome,
        StoreMeters,
    };
    use crate::observe::meters::{RunOutcome, SchedulerMeters, TriggerKind, WebhookMeters};
    use chrono::DateTime;

    fn flow(id: &str) -> FlowId {
        FlowId::parse(id).unwrap()
    }

    fn connection(id: &str) -> ConnectionId {
        ConnectionId::parse(id).unwrap()
    }

    #[test]
    fn series_of_what_was_removed_are_let_go_and_those_that_stay_are_not() {
        let (inner, recorder) = build_with(Duration::ZERO);
        metrics::with_local_recorder(&inner, || {
            let (kept, gone) = (FlowMeters::of(&flow("let-go-kept")), FlowMeters::of(&flow("let-go-gone")));
            kept.records(RecordOutcome::Exported, 5);
            kept.run_finished(RunOutcome::Succeeded, TriggerKind::Manual, Duration::from_secs(2), DateTime::UNIX_EPOCH);
            gone.records(RecordOutcome::Exported, 5);
            let live = Live::of([&flow("let-go-kept")], []);
            for _ in 0..3 {
                recorder.sweep(&live);
            }
            touch(|owner| live.has(owner));
            let text = recorder.handle.render();
            assert!(!text.contains("let-go-gone"), "{text}");
            let shown = recorder.render(&live);
            assert!(
                shown.contains("flowgate_flow_records_total{flow=\"let-go-kept\",outcome=\"exported\"} 5"),
                "{shown}"
            );
            assert!(shown.contains("flowgate_flow_run_duration_seconds_count{flow=\"let-go-kept\"} 1"), "{shown}");
            // One that comes back begins anew.
            FlowMeters::of(&flow("let-go-gone"));
            let shown = recorder.render(&Live::of([&flow("let-go-gone")], []));
            assert!(shown.contains("flow=\"let-go-gone\",outcome=\"exported\"} 0"), "{shown}");
        });
    }

    #[test]
    fn what_is_passed_on_whole_says_the_same_as_what_is_looked_through() {
        let (inner, recorder) = build();
        metrics::with_local_recorder(&inner, || {
            describe();
            let ids: Vec<FlowId> = (0..3_000).map(|number| flow(&format!("many/flow{number}"))).collect();
            let meters: Vec<FlowMeters> = ids.iter().map(FlowMeters::of).collect();
            let live = Live::of(&ids, []);
            let lines = |text: &str| text.lines().map(str::to_owned).collect::<std::collections::BTreeSet<_>>();
            let whole = recorder.render(&live);
            assert!(whole.len() > LONG * 2 && !recorder.removed.load(Ordering::Relaxed));
            let fewer = recorder.render(&Live::of(&ids[1..], []));
            assert!(recorder.removed.load(Ordering::Relaxed));
            assert!(!fewer.contains("flow=\"many/flow0\""), "what was removed is looked for from then on");
            let (whole, fewer) = (lines(&whole), lines(&fewer));
            assert!(whole.difference(&fewer).all(|line| line.contains("flow=\"many/flow0\"")));
            assert!(fewer.is_subset(&whole));
            drop(meters);
        });
    }

    /// Everything this process can count, counted once.
    fn rendered(live: &Live) -> String {
        let (inner, recorder) = build();
        metrics::with_local_recorder(&inner, || {
            describe();
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
        });
        recorder.upkeep();
        recorder.render(live)
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
            let required = ["CI", "FLOWGATE_REQUIRE_TOOLS"].iter().any(|name| std::env::var_os(name).is_some());
            assert!(!required, "promtool is not installed: install the Debian package prometheus");
            eprintln!("promtool is not installed (Debian package prometheus): not checked");
            return;
        };
        child.stdin.take().unwrap().write_all(rendered(&everything()).as_bytes()).unwrap();
        let done = child.wait_with_output().unwrap();
        assert!(done.status.success() && done.stderr.is_empty(), "{}", String::from_utf8_lossy(&done.stderr));
    }
}
