//! What `monitoring/` holds, read as Prometheus and Grafana read it.

use serde_json::Value;
use std::path::{Path, PathBuf};
use yaml_rust2::{Yaml, YamlLoader};

/// A file below `monitoring/`.
pub fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("monitoring").join(name)
}

pub fn text(name: &str) -> String {
    std::fs::read_to_string(path(name)).unwrap_or_else(|error| panic!("monitoring/{name}: {error}"))
}

pub fn yaml(text: &str) -> Vec<Yaml> {
    YamlLoader::load_from_str(text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// One rule of a rule file.
pub struct Rule {
    /// Of the alert, or of what is recorded.
    pub name: String,
    pub is_alert: bool,
    pub expr: String,
    pub severity: Option<String>,
    /// Name and text.
    pub annotations: Vec<(String, String)>,
}

/// All rules of a file, in order.
pub fn rules(name: &str) -> Vec<Rule> {
    let documents = yaml(&text(name));
    let groups = documents[0]["groups"].as_vec().unwrap();
    let rule = |rule: &Yaml| {
        let word = |key: &str| rule[key].as_str().map(|text| text.trim().to_owned());
        let annotation = |(key, value): (&Yaml, &Yaml)| {
            (key.as_str().unwrap().to_owned(), value.as_str().unwrap_or_default().to_owned())
        };
        Rule {
            name: word("alert").or(word("record")).unwrap(),
            is_alert: word("alert").is_some(),
            expr: word("expr").unwrap(),
            severity: rule["labels"]["severity"].as_str().map(str::to_owned),
            annotations: rule["annotations"].as_hash().into_iter().flatten().map(annotation).collect(),
        }
    };
    groups.iter().flat_map(|group| group["rules"].as_vec().unwrap()).map(rule).collect()
}

/// Each dashboard with its file's name.
pub fn dashboards() -> Vec<(String, Value)> {
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(path("grafana")).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    let read = |file: &PathBuf| {
        let name = file.file_name().unwrap().to_str().unwrap().to_owned();
        let value = serde_json::from_str(&std::fs::read_to_string(file).unwrap());
        (name.clone(), value.unwrap_or_else(|error| panic!("{name}: {error}")))
    };
    files.iter().map(read).collect()
}

/// An expression of a dashboard.
pub struct Shown {
    /// File and panel.
    pub place: String,
    /// As Grafana sends it, with values for its variables.
    pub expr: String,
    pub legend: String,
}

/// Every expression of every dashboard: panels, annotations. `flow` and `connection` are what a person has chosen.
pub fn shown(flow: &str, connection: &str) -> Vec<Shown> {
    let mut all = Vec::new();
    for (file, dashboard) in dashboards() {
        let panels = dashboard["panels"].as_array().unwrap().iter();
        let targets =
            panels.flat_map(|panel| panel["targets"].as_array().into_iter().flatten().map(move |t| (panel, t)));
        let named = targets.map(|(panel, target)| (&panel["title"], target));
        let annotations = dashboard["annotations"]["list"].as_array().unwrap().iter().map(|one| (&one["name"], one));
        for (title, one) in named.chain(annotations) {
            let legend = one["legendFormat"].as_str().or(one["textFormat"].as_str()).unwrap_or_default().to_owned();
            let expr = filled_in(one["expr"].as_str().unwrap(), flow, connection);
            all.push(Shown { place: format!("{file}, {title}"), expr, legend });
        }
    }
    all
}

/// With values for the variables.
pub fn filled_in(expr: &str, flow: &str, connection: &str) -> String {
    let values =
        [("$__rate_interval", "1m"), ("$job", ".*"), ("$instance", ".*"), ("$flow", flow), ("$connection", connection)];
    let filled = values.iter().fold(expr.to_owned(), |text, (name, value)| text.replace(name, value));
    assert!(!filled.contains('$'), "a variable that is not known: {filled}");
    filled
}
