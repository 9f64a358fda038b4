//! A real Prometheus with the rules of `monitoring/` scrapes a running `serve` of the sample project: it answers every
//! expression of the dashboards, and fires alerts for what goes wrong and for nothing else.

use crate::support::command::{flowgate, run};
use crate::support::monitoring::{path, shown};
use crate::support::project::Project;
use crate::support::serving::Serving;
use crate::support::{PATIENCE, now};
use crate::{browser, free_port, peer};
use flowgate::playground::{Playground, Settings};
use regex::Regex;
use rustix::process::Signal;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Child, Command, Stdio};

struct Prometheus {
    child: Child,
    base: String,
    _folder: tempfile::TempDir,
}

impl Prometheus {
    /// With the shipped rules, except that nothing waits: an alert fires when its condition holds once.
    fn watching(program: &Path, serving: &mut Serving) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let copy = |name: &str, change: &dyn Fn(String) -> String| {
            let text = std::fs::read_to_string(path(&format!("prometheus/{name}"))).unwrap();
            std::fs::write(folder.path().join(name), change(text)).unwrap();
        };
        let waits = Regex::new(r"(?m)^ +for: .*\n").unwrap();
        copy("rules.yml", &|text| text);
        copy("alerts.yml", &|text| waits.replace_all(&text, "").into_owned());
        let target = serving.wait_until_listening().to_string();
        copy("prometheus.yml", &|text| {
            let [target, pace] = [("127.0.0.1:9380", target.as_str()), ("15s", "1s")];
            text.replace(target.0, target.1).replace(pace.0, pace.1)
        });
        let port = free_port();
        let base = format!("http://127.0.0.1:{port}");
        let child = Command::new(program)
            .arg(format!("--config.file={}", folder.path().join("prometheus.yml").display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .arg("--log.level=warn")
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        crate::ready(port, || "Prometheus does not start".to_owned());
        Self { child, base, _folder: folder }
    }

    /// The data of an answer of its API; none while it is not ready.
    fn ask(&self, target: &str) -> Option<Value> {
        let page = browser::get(&format!("{}/api/v1/{target}", self.base), &mut Vec::new());
        if page.status == 503 {
            return None;
        }
        let answer: Value = serde_json::from_str(&page.body).unwrap_or_else(|_| panic!("{target}: {}", page.body));
        assert_eq!(answer["status"], "success", "{target}: {answer}");
        Some(answer["data"].clone())
    }

    fn query(&self, expr: &str) -> Vec<Value> {
        let query: String = url::form_urlencoded::byte_serialize(expr.as_bytes()).collect();
        self.ask(&format!("query?query={query}")).unwrap()["result"].as_array().cloned().unwrap_or_default()
    }

    /// Asks until `found`; asking takes its time, so there is no other wait.
    #[track_caller]
    fn ask_until<T>(&self, target: &str, found: impl Fn(&Value) -> Option<T>) -> T {
        let until = now() + PATIENCE;
        loop {
            let data = self.ask(target);
            if let Some(found) = data.as_ref().and_then(&found) {
                return found;
            }
            assert!(now() < until, "it never came to that: {data:#?}");
            std::thread::yield_now();
        }
    }

    /// Names of firing alerts, each with its flow or connection.
    fn firing(alerts: &Value) -> BTreeSet<String> {
        let fires = alerts["alerts"].as_array().unwrap().iter().filter(|alert| alert["state"] == "firing");
        let named = fires.map(|alert| {
            let label = |name: &str| alert["labels"][name].as_str().unwrap_or_default().to_owned();
            format!("{} {}{}", label("alertname"), label("flow"), label("connection")).trim_end().to_owned()
        });
        named.collect()
    }

    #[track_caller]
    fn wait_until_firing(&self, alert: &str, wanted: bool) -> BTreeSet<String> {
        self.ask_until("alerts", |alerts| Some(Self::firing(alerts)).filter(|firing| firing.contains(alert) == wanted))
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The sample project on a free port, over a playground that refuses every tenth order. Its schedules fire once a year:
/// what runs is what the test starts.
fn sample() -> (Playground, Project, Serving) {
    let playground =
        Playground::start(Settings { records: 200, customers: 50, reject_every: 10, ..Settings::default() }).unwrap();
    let project = Project::new();
    project.settings("");
    let schedule = Regex::new(r#"(?m)^(cron|schedule)( *= )".*"$"#).unwrap();
    for folder in ["connections", "flows"] {
        for file in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)).unwrap() {
            let file = file.unwrap();
            let text = std::fs::read_to_string(file.path()).unwrap();
            let text = schedule.replace_all(&text, "$1$2\"0 0 1 1 *\"");
            project.write(&format!("{folder}/{}", file.file_name().display()), &text);
        }
    }
    let mut command = flowgate(project.dir());
    command.arg("serve").env("FLOWGATE_PLAYGROUND", playground.base_uri());
    (playground, project, Serving::start(command))
}

#[test]
fn prometheus_scrapes_a_running_project_and_fires_what_is_wrong_with_it() {
    let Some(program) = peer::program("prometheus") else { return };
    let (_playground, project, mut serving) = sample();
    let prometheus = Prometheus::watching(&program, &mut serving);
    prometheus.ask_until("targets", |targets| {
        let target = &targets["activeTargets"][0];
        (target["health"] == "up" && target["labels"]["job"] == "flowgate").then_some(())
    });
    let rules = prometheus.ask("rules").unwrap();
    assert_eq!(rules["groups"].as_array().unwrap().len(), 6, "all of them are loaded");
    let quiet = prometheus.wait_until_firing("FlowgateDown", false);
    assert!(!quiet.iter().any(|alert| alert.contains("Config") || alert.contains("Errors")), "{quiet:?}");

    run(project.dir(), &["run", "orders", "customers"]).expect_code(1);
    let firing = prometheus.wait_until_firing("FlowgateErrorsOpen orders", true);
    assert!(!firing.contains("FlowgateErrorsOpen customers"), "{firing:?}");
    // It may have been seen in the middle of the run.
    prometheus.ask_until("alerts", |alerts| {
        let all = alerts["alerts"].as_array()?;
        let alert = all.iter().find(|alert| alert["labels"]["alertname"] == "FlowgateErrorsOpen")?;
        (alert["annotations"]["summary"] == "Flow orders has 20 open error records").then_some(())
    });
    every_expression_is_answered(&prometheus);

    let flow = std::fs::read_to_string(project.path("flows/orders.toml")).unwrap();
    project.write("flows/orders.toml", "[export");
    let firing = prometheus.wait_until_firing("FlowgateConfigRejected", true);
    assert!(!firing.contains("FlowgateDown"), "{firing:?}");
    project.write("flows/orders.toml", &flow);
    prometheus.wait_until_firing("FlowgateConfigRejected", false);

    serving.signal(Signal::KILL);
    assert_eq!(serving.wait_for_end().0, None);
    prometheus.wait_until_firing("FlowgateDown", true);
}

/// Nothing a dashboard asks is an error, and all of it has an answer but what this project has no cause for.
fn every_expression_is_answered(prometheus: &Prometheus) {
    const WITHOUT: [&str; 8] = [
        "flowgate_agents_connected",
        "flowgate_connection_server_",
        "flowgate_connection_token_expiry",
        "flowgate_webhook_",
        "flowgate_notices_",
        "flowgate_trace_",
        // Restarts and reloads, marked on the time axis.
        "changes(",
        // Its export is not the one with errors.
        "flowgate_errors_oldest_age_seconds{job=~\".*\",instance=~\".*\",flow=~\"customers\"} > 0",
    ];
    let shown = shown("customers", "erp");
    let wanted = shown.iter().filter(|one| !WITHOUT.iter().any(|part| one.expr.contains(part)));
    let mut open: Vec<_> = wanted.collect();
    assert!(open.len() > 80, "{}", open.len());
    // Rates need two scrapes, and recording rules a round after those.
    let until = now() + PATIENCE;
    while !open.is_empty() {
        open.retain(|one| prometheus.query(&one.expr).is_empty());
        let left: Vec<String> = open.iter().map(|one| format!("{}: {}", one.place, one.expr)).collect();
        assert!(now() < until, "no answer: {left:#?}");
    }
}
