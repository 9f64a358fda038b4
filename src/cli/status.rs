//! `flowgate status`: asks the running `serve` over its socket.

use super::args::Format;
use super::summary::table;
use super::{Exit, Globals};
use crate::config::{ProcessEnv, load_dir};
use crate::store::socket::{Ask, AskError, ask};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// Shows what the owner of the state directory says.
pub fn status(globals: &Globals, root: &Path) -> Exit {
    let state = globals.state.clone().unwrap_or_else(|| state_path(root));
    match ask(&state, Ask::Status) {
        Ok(document) if globals.format == Format::Json => {
            globals.say(&document.to_string());
            Exit::Done
        }
        Ok(document) => {
            globals.say(&show(&document));
            Exit::Done
        }
        Err(error) => {
            globals.complain(&error.to_string());
            match error {
                AskError::NotRunning(_) => Exit::Unavailable,
                _ => Exit::Temporary,
            }
        }
    }
}

/// A project with errors still has a running process to ask: then the default place is tried.
fn state_path(root: &Path) -> PathBuf {
    let configured = load_dir(root, &ProcessEnv).ok().and_then(|loaded| loaded.snapshot);
    configured.map_or_else(|| root.join("state"), |snapshot| snapshot.settings.state.clone())
}

fn show(document: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let number = |value: &Value| value.as_u64().map_or_else(|| "-".to_owned(), |n| n.to_string());
    let config = &document["config"];
    let mut out = format!(
        "flowgate {} (pid {}) since {}{}\nsnapshot {} in force since {}\n",
        text(&document["version"]),
        number(&document["pid"]),
        text(&document["started"]),
        if document["draining"] == true { ", draining" } else { "" },
        text(&config["revision"]).chars().take(12).collect::<String>(),
        text(&config["since"]),
    );
    if let Some(rejected) = config["rejected"].as_object() {
        out.push_str(&format!("FILES REJECTED at {}: {} errors\n", text(&rejected["at"]), number(&rejected["errors"])));
        for line in rejected["first"].as_array().into_iter().flatten() {
            out.push_str(&format!("  {}\n", text(line)));
        }
    }
    if config["restart_needed"] == true {
        out.push_str("flowgate.toml changed: restart to apply it\n");
    }
    let head = ["flow", "state", "running", "delivered", "last", "last success", "next run"].map(str::to_owned);
    let mut rows = vec![head];
    for flow in document["flows"].as_array().into_iter().flatten() {
        let running = &flow["running"];
        rows.push([
            text(&flow["id"]),
            text(&flow["state"]),
            if running.is_null() { "-".to_owned() } else { format!("page {}", number(&running["pages"])) },
            number(&running["records"]["delivered"]),
            text(&flow["last"]["outcome"]),
            text(&flow["last_success"]),
            text(&flow["next_run"]),
        ]);
    }
    out.push_str(&format!("\n{}\n\n", table(&rows)));
    let mut rows = vec![["pool", "in flight", "level", "paused", "queued", "oldest"].map(str::to_owned)];
    for pool in document["pools"].as_array().into_iter().flatten() {
        let lines = || pool["lines"].as_array().into_iter().flatten();
        let seconds = |value: &Value| value.as_f64().map_or_else(|| "-".to_owned(), |s| format!("{s:.1}s"));
        let oldest = lines().filter_map(|line| line["oldest_seconds"].as_f64()).fold(None, |a: Option<f64>, b| {
            Some(a.map_or(b, |a| a.max(b)))
        });
        let names: Vec<String> = lines().map(|line| text(&line["connection"])).collect();
        rows.push([
            if names.is_empty() { text(&pool["pool"]) } else { names.join("+") },
            number(&pool["in_flight"]),
            number(&pool["level"]),
            seconds(&pool["paused_seconds"]),
            lines().filter_map(|line| line["queued"].as_u64()).sum::<u64>().to_string(),
            oldest.map_or_else(|| "-".to_owned(), |s| format!("{s:.1}s")),
        ]);
    }
    out.push_str(&table(&rows));
    out
}
