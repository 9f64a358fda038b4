//! `monitoring/`: every metric, label and value that a rule or a dashboard names exists; every alert says what to do and is
//! shown to fire; promtool agrees with all of it.

mod promql;

use crate::support::command::run;
use crate::support::monitoring::{Rule, dashboards, filled_in, path, rules, shown, text, yaml};
use flowgate::observe::names::{self, Kind};
use promql::{Named, Series, read};
use regex::Regex;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::process::Command;

/// Labels of a series, each with the values it can take; none when they come from configuration.
type Labels = BTreeMap<String, Vec<String>>;

/// What can be asked for: our metrics as Prometheus keeps them, what it adds, what the recording rules make.
struct Known(HashMap<String, Labels>);

impl Known {
    fn new() -> Self {
        let mut known = Self(HashMap::new());
        for metric in names::ALL {
            let values = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect();
            let labels = metric.labels.iter().map(|label| (label.name.to_owned(), values(label.values)));
            match metric.kind {
                Kind::Counter | Kind::Gauge => known.add(metric.name, labels.collect()),
                Kind::Histogram(_) => {
                    let labels: Labels = labels.collect();
                    known.add(&format!("{}_sum", metric.name), labels.clone());
                    known.add(&format!("{}_count", metric.name), labels.clone());
                    let le = ("le".to_owned(), Vec::new());
                    known.add(&format!("{}_bucket", metric.name), labels.into_iter().chain([le]).collect());
                }
            }
        }
        known.add("up", Labels::new());
        let states = vec!["pending".to_owned(), "firing".to_owned()];
        known.add("ALERTS", [("alertname".to_owned(), Vec::new()), ("alertstate".to_owned(), states)].into());
        for rule in rules("prometheus/rules.yml") {
            let named = read(&rule.expr);
            assert_eq!(known.faults(&named), Vec::<String>::new(), "{}", rule.name);
            let labels = known.left(&named);
            known.add(&rule.name, labels);
        }
        known
    }

    fn add(&mut self, name: &str, mut labels: Labels) {
        for ours in ["job", "instance"] {
            labels.insert(ours.to_owned(), Vec::new());
        }
        assert!(self.0.insert(name.to_owned(), labels).is_none(), "{name} stands twice");
    }

    /// Labels of what an expression gives.
    fn left(&self, named: &Named) -> Labels {
        let all = named.series.iter().filter_map(|series| self.0.get(&series.name)).flatten();
        let kept = |label: &str| named.kept.is_empty() || named.kept.iter().any(|kept| kept == label);
        all.filter(|(label, _)| kept(label) && *label != "le").map(|(l, v)| (l.clone(), v.clone())).collect()
    }

    /// What is named and does not exist.
    fn faults(&self, named: &Named) -> Vec<String> {
        let mut faults: Vec<String> = named.series.iter().flat_map(|series| self.wrong(series)).collect();
        for label in &named.grouped {
            let has = |series: &Series| self.0.get(&series.name).is_some_and(|labels| labels.contains_key(label));
            if !named.series.iter().any(has) {
                faults.push(format!("grouped by `{label}`, which none of its metrics has"));
            }
        }
        faults
    }

    fn wrong(&self, series: &Series) -> Vec<String> {
        let Some(labels) = self.0.get(&series.name) else { return vec![format!("no metric `{}`", series.name)] };
        let mut faults = Vec::new();
        for (label, operator, value) in &series.matchers {
            let Some(values) = labels.get(label) else {
                faults.push(format!("`{}` has no label `{label}`", series.name));
                continue;
            };
            let asked: Vec<&str> = if operator.ends_with('~') { value.split('|').collect() } else { vec![value] };
            for one in asked.iter().filter(|one| !values.is_empty() && !values.iter().any(|value| value == *one)) {
                faults.push(format!("label `{label}` of `{}` is never `{one}`", series.name));
            }
        }
        faults
    }
}

/// Labels a text asks for.
fn asked_for(text: &str, pattern: &str) -> Vec<String> {
    Regex::new(pattern).unwrap().captures_iter(text).map(|found| found[1].to_owned()).collect()
}

fn both() -> Vec<Rule> {
    rules("prometheus/rules.yml").into_iter().chain(rules("prometheus/alerts.yml")).collect()
}

#[test]
fn a_metric_a_label_or_a_value_that_does_not_exist_is_found() {
    let known = Known::new();
    for (expr, fault) in [
        ("flowgate_nothing > 0", "no metric `flowgate_nothing`"),
        ("rate(flowgate_queue_wait_seconds[5m])", "no metric `flowgate_queue_wait_seconds`"),
        ("flowgate_queue_depth{flow=\"x\"}", "`flowgate_queue_depth` has no label `flow`"),
        (
            "flowgate_flow_runs_total{outcome=\"broken\"}",
            "label `outcome` of `flowgate_flow_runs_total` is never `broken`",
        ),
        (
            "flowgate_flow_runs_total{outcome=~\"failed|lost\"}",
            "label `outcome` of `flowgate_flow_runs_total` is never `lost`",
        ),
        ("sum by (flow) (flowgate_queue_depth)", "grouped by `flow`, which none of its metrics has"),
        (
            "flow:flowgate_flow_staleness:ratio{connection=\"x\"}",
            "`flow:flowgate_flow_staleness:ratio` has no label `connection`",
        ),
    ] {
        assert_eq!(known.faults(&read(expr)), [fault]);
    }
    let good = "sum by (flow, le) (rate(flowgate_flow_run_duration_seconds_bucket{flow=~\"a.*\"}[5m])) > on (job) up";
    assert_eq!(known.faults(&read(good)), Vec::<String>::new());
}

#[test]
fn rules_and_dashboards_name_only_what_exists() {
    let known = Known::new();
    let mut faults = Vec::new();
    for rule in rules("prometheus/alerts.yml") {
        let named = read(&rule.expr);
        assert!(!named.series.is_empty(), "{}", rule.name);
        faults.extend(known.faults(&named).into_iter().map(|fault| format!("{}: {fault}", rule.name)));
        let left = known.left(&named);
        for (_, text) in &rule.annotations {
            let missing = asked_for(text, r"\$labels\.(\w+)").into_iter().filter(|label| !left.contains_key(label));
            faults.extend(missing.map(|label| format!("{}: no label `{label}` in its text", rule.name)));
        }
    }
    let shown = shown(".*", ".*");
    assert!(shown.len() > 80, "{}", shown.len());
    for one in shown {
        let named = read(&one.expr);
        faults.extend(known.faults(&named).into_iter().map(|fault| format!("{}: {fault}", one.place)));
        let left = known.left(&named);
        let missing = asked_for(&one.legend, r"\{\{(\w+)\}\}").into_iter().filter(|label| !left.contains_key(label));
        faults.extend(missing.map(|label| format!("{}: no label `{label}` in its legend", one.place)));
    }
    assert_eq!(faults, Vec::<String>::new());
}

#[test]
fn every_metric_is_shown_on_a_dashboard() {
    let recorded: HashMap<String, String> =
        rules("prometheus/rules.yml").into_iter().map(|rule| (rule.name, rule.expr)).collect();
    let mut seen = BTreeSet::new();
    for one in shown(".*", ".*") {
        for series in read(&one.expr).series {
            let made_of = recorded.get(&series.name).map(|expr| read(expr).series).unwrap_or_default();
            seen.extend(made_of.into_iter().map(|series| series.name).chain([series.name]));
        }
    }
    let is_shown = |name: &str| seen.iter().any(|seen| seen == name || *seen == format!("{name}_bucket"));
    let unseen: Vec<&str> = names::ALL.iter().map(|metric| metric.name).filter(|name| !is_shown(name)).collect();
    assert_eq!(unseen, Vec::<&str>::new());
}

#[test]
fn every_alert_says_what_to_do_and_its_runbook_is_there() {
    let readme = text("README.md");
    let headings: Vec<String> =
        readme.lines().filter_map(|line| line.strip_prefix("### ")).map(str::to_lowercase).collect();
    let mut anchors = Vec::new();
    for alert in rules("prometheus/alerts.yml") {
        assert!(alert.is_alert, "{}", alert.name);
        let severity = alert.severity.as_deref().unwrap_or_default();
        assert!(["critical", "warning", "info"].contains(&severity), "{}", alert.name);
        let annotation = |key: &str| {
            let found = alert.annotations.iter().find(|(name, _)| name == key);
            found.unwrap_or_else(|| panic!("{} has no {key}", alert.name)).1.clone()
        };
        assert!((10..120).contains(&annotation("summary").len()), "{}", alert.name);
        assert!(annotation("description").len() > 80, "{}: what happened, and what to do", alert.name);
        let anchor = annotation("runbook").strip_prefix("monitoring/README.md#").unwrap().to_owned();
        assert_eq!(anchor, alert.name.to_lowercase());
        anchors.push(anchor);
    }
    assert!(anchors.len() > 20);
    assert_eq!(headings, anchors, "a section for each alert, in their order, and no other");
}

#[test]
fn commands_that_are_advised_exist() {
    let project = crate::support::project::Project::new();
    let mut advice = text("README.md");
    for alert in rules("prometheus/alerts.yml") {
        advice.extend(alert.annotations.iter().map(|(_, text)| text.as_str()));
    }
    let commands: BTreeSet<String> =
        asked_for(&advice, r"`flowgate ([a-z]+(?: [a-z]+)?(?: --[a-z-]+)?)[^`]*`").into_iter().collect();
    assert!(commands.len() > 8, "{commands:?}");
    for command in commands {
        let (words, option) = command.split_once(" --").map_or((command.as_str(), None), |(words, o)| (words, Some(o)));
        let mut arguments: Vec<&str> = words.split(' ').collect();
        arguments.push("--help");
        let help = run(project.dir(), &arguments).expect_code(0).stdout;
        assert!(option.is_none_or(|option| help.contains(&format!("--{option}"))), "{command}");
    }
}

#[test]
fn each_alert_is_shown_quiet_and_firing() {
    let mut quiet = BTreeSet::new();
    let mut firing = BTreeSet::new();
    for file in std::fs::read_dir(path("prometheus/tests")).unwrap() {
        let documents = yaml(&std::fs::read_to_string(file.unwrap().path()).unwrap());
        for test in documents[0]["tests"].as_vec().unwrap() {
            for case in test["promql_expr_test"].as_vec().into_iter().flatten() {
                let alert = asked_for(case["expr"].as_str().unwrap(), "alertname=\"(\\w+)\"").remove(0);
                let samples = case["exp_samples"].as_vec().unwrap();
                if samples.is_empty() {
                    quiet.insert(alert)
                } else {
                    firing.insert(alert)
                };
            }
        }
    }
    let alerts: BTreeSet<String> = rules("prometheus/alerts.yml").into_iter().map(|rule| rule.name).collect();
    assert_eq!((&quiet, &firing), (&alerts, &alerts));
}

#[test]
fn dashboards_can_be_imported_as_they_are() {
    let known = Known::new();
    let all = dashboards();
    let ids: Vec<&str> = all.iter().map(|(_, dashboard)| dashboard["uid"].as_str().unwrap()).collect();
    assert_eq!(ids, ["flowgate-connection", "flowgate-engine", "flowgate-flow", "flowgate-overview"]);
    for (file, dashboard) in &all {
        assert!(dashboard.get("__inputs").is_none() && dashboard.get("id").is_none(), "{file} belongs to one Grafana");
        assert!(dashboard["tags"].as_array().unwrap().contains(&"flowgate".into()), "{file}: found by the links");
        let variables = dashboard["templating"]["list"].as_array().unwrap();
        assert_eq!((&variables[0]["name"], &variables[0]["type"]), (&"datasource".into(), &"datasource".into()));
        for variable in &variables[1..] {
            let query = variable["query"]["query"].as_str().unwrap();
            let (expr, label) = query.strip_prefix("label_values(").unwrap().rsplit_once(", ").unwrap();
            let named = read(&filled_in(expr, ".*", ".*"));
            assert_eq!(known.faults(&named), Vec::<String>::new(), "{file}: {query}");
            assert!(known.left(&named).contains_key(label.trim_end_matches(')')), "{file}: {query}");
        }
        every_panel_is_whole(file, dashboard, &ids);
    }
}

fn every_panel_is_whole(file: &str, dashboard: &Value, dashboards: &[&str]) {
    let panels = dashboard["panels"].as_array().unwrap();
    let mut ids = BTreeSet::new();
    let mut taken = BTreeSet::new();
    for panel in panels {
        let title = panel["title"].as_str().unwrap();
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{file}: {title}");
        let [x, y, w, h] = ["x", "y", "w", "h"].map(|side| panel["gridPos"][side].as_u64().unwrap());
        assert!(x + w <= 24, "{file}: {title} is outside");
        for place in (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y))) {
            assert!(taken.insert(place), "{file}: {title} lies on another panel");
        }
        if panel["type"] == "row" {
            continue;
        }
        assert!(!panel["description"].as_str().unwrap().is_empty(), "{file}: {title}");
        let targets = panel["targets"].as_array().unwrap();
        for place in targets.iter().chain([panel]) {
            assert_eq!(place["datasource"]["uid"], "${datasource}", "{file}: {title}");
        }
    }
    let whole = dashboard.to_string();
    for linked in asked_for(&whole, r"/d/([\w-]+)\?") {
        assert!(dashboards.contains(&linked.as_str()), "{file} leads to {linked}");
    }
}

/// Runs promtool; what it says.
fn promtool(arguments: &[&str]) -> String {
    let output = Command::new("promtool").args(arguments).output();
    let output = output.unwrap_or_else(|error| panic!("promtool: {error}; run `./test`, which fetches it"));
    let said = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
    assert!(output.status.success(), "{said}");
    said
}

#[test]
fn promtool_takes_the_rules_and_their_tests_pass() {
    let file = |name: &str| path(&format!("prometheus/{name}")).to_str().unwrap().to_owned();
    let said = promtool(&["check", "rules", &file("rules.yml"), &file("alerts.yml")]);
    let (recorded, alerts) = (rules("prometheus/rules.yml").len(), rules("prometheus/alerts.yml").len());
    for count in [recorded, alerts] {
        assert!(said.contains(&format!("SUCCESS: {count} rules found")), "{said}");
    }
    let tests = ["engine", "flows", "connections"].map(|name| file(&format!("tests/{name}.yml")));
    let said = promtool(&["test", "rules", &tests[0], &tests[1], &tests[2]]);
    assert_eq!(said.matches("SUCCESS").count(), 3, "{said}");
    promtool(&["check", "config", "--syntax-only", &file("prometheus.yml")]);
}

#[test]
fn promtool_takes_every_expression_of_the_dashboards() {
    let record = |(nth, expr): (usize, &str)| serde_json::json!({ "record": format!("shown:{nth}"), "expr": expr });
    let shown = shown(".*", ".*");
    let rules: Vec<Value> = shown.iter().map(|one| one.expr.as_str()).enumerate().map(record).collect();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("shown.yml");
    // JSON is YAML.
    std::fs::write(&file, serde_json::json!({ "groups": [{ "name": "shown", "rules": rules }] }).to_string()).unwrap();
    let said = promtool(&["check", "rules", file.to_str().unwrap()]);
    assert!(said.contains(&format!("SUCCESS: {} rules found", shown.len())), "{said}");
}

#[test]
fn names_of_alerts_and_recordings_are_distinct() {
    let names: Vec<String> = both().into_iter().map(|rule| rule.name).collect();
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
}
