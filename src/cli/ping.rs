//! `flowgate ping [CONNECTION]`: does it work, how fast, and if not, what the API says.

use super::style::Tone;
use super::table::{Align, Cell, Table};
use super::{Exit, Globals};
use crate::app::ping::{NoPing, Pinged, Verdict, ping as locally};
use crate::app::{Host, State};
use crate::model::snapshot::Snapshot;
use crate::store::socket::{Ask, AskError, ask};
use crate::value::id::ConnectionId;
use crate::value::time::show_duration;
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;

/// Version of the JSON document.
const FORMAT: u32 = 1;

/// Asks one connection, or all of them.
pub async fn ping(globals: &Globals, host: &Host, connection: Option<&str>) -> Exit {
    let snapshot = match super::load(globals, host) {
        Ok(snapshot) => snapshot,
        Err(exit) => return exit,
    };
    if let Err(exit) = super::install_logs(globals, &snapshot, host, true) {
        return exit;
    }
    let ids = match connection.map(|text| named(&snapshot, text)).transpose() {
        Ok(one) => one.map_or_else(|| snapshot.connections.keys().cloned().collect(), |id| vec![id]),
        Err(text) => {
            globals.complain(&text);
            return Exit::Usage;
        }
    };
    let path = globals.state.clone().unwrap_or_else(|| snapshot.settings.state.clone());
    if let Some(answers) = through_owner(&path, &ids) {
        return tell(globals, &answers);
    }
    let renewable = ids.iter().filter_map(|id| snapshot.connections.get(id)).any(|one| one.http.auth.is_renewable());
    let state = match State::for_credentials(host, &path, renewable) {
        Ok(state) => state,
        Err(error) => {
            globals.complain(&error.to_string());
            return Exit::Temporary;
        }
    };
    let answers = locally(host, snapshot, &state, &ids).await;
    state.close(host).await;
    match answers {
        Ok(answers) => tell(globals, &answers.iter().map(Pinged::document).collect::<Vec<_>>()),
        Err(error) => {
            globals.complain(&error.to_string());
            match error {
                NoPing::NotReady(_) => Exit::Config,
                NoPing::Agents(_) => Exit::Unavailable,
            }
        }
    }
}

/// A running `serve` asks through its own queue, with the credentials it has renewed. None when nobody runs.
fn through_owner(state: &Path, ids: &[ConnectionId]) -> Option<Vec<Value>> {
    let mut answers = Vec::new();
    for id in ids {
        answers.push(match ask(state, Ask::Ping(id.to_string())) {
            Ok(answer) => answer,
            Err(AskError::NotRunning(_)) => return None,
            Err(error) => json!({ "connection": id.as_str(), "verdict": "unreachable", "message": error.to_string() }),
        });
    }
    (!ids.is_empty()).then_some(answers)
}

fn tell(globals: &Globals, answers: &[Value]) -> Exit {
    show(globals, answers);
    exit(answers)
}

/// The id typed, checked against the snapshot.
pub(super) fn named(snapshot: &Snapshot, typed: &str) -> Result<ConnectionId, String> {
    if let Some(id) = ConnectionId::parse(typed).ok().filter(|id| snapshot.connections.contains_key(id)) {
        return Ok(id);
    }
    let known: Vec<&str> = snapshot.connections.keys().map(ConnectionId::as_str).collect();
    let near = known.iter().max_by(|a, b| strsim::jaro(a, typed).total_cmp(&strsim::jaro(b, typed)));
    Err(match near.filter(|near| strsim::jaro(near, typed) > 0.7) {
        Some(near) => format!("there is no connection `{typed}`; did you mean `{near}`?"),
        None if known.is_empty() => format!("there is no connection `{typed}`: connections/ holds none"),
        None => format!("there is no connection `{typed}`; there are: {}", known.join(", ")),
    })
}

fn show(globals: &Globals, answers: &[Value]) {
    if globals.json() {
        return globals.say(&json!({ "format": FORMAT, "pings": answers }).to_string());
    }
    globals.data(&text(answers, globals.style.stdout));
}

fn text(answers: &[Value], colour: bool) -> String {
    let left = ["connection", "verdict", "status", "auth", "tls"].map(|name| (name, Align::Left));
    let mut table = Table::new(&[&left[..], &[("time", Align::Right), ("message", Align::Left)]].concat());
    for answer in answers {
        let text = |name: &str| match &answer[name] {
            Value::String(text) => text.clone(),
            Value::Null => "-".to_owned(),
            other => other.to_string(),
        };
        let tone = if answer["verdict"] == "ok" { Tone::Good } else { Tone::Bad };
        table.row(vec![
            text("connection").into(),
            Cell::toned(text("verdict"), tone),
            text("status").into(),
            text("auth").into(),
            text("tls").into(),
            show_duration(Duration::try_from_secs_f64(answer["seconds"].as_f64().unwrap_or(0.0)).unwrap_or_default())
                .into(),
            answer["message"].as_str().unwrap_or_default().into(),
        ]);
    }
    table.render(colour)
}

/// The gravest answer decides, as it does for runs.
fn exit(answers: &[Value]) -> Exit {
    let any = |verdict: Verdict| answers.iter().any(|answer| answer["verdict"] == verdict.word());
    match () {
        () if any(Verdict::Auth) => Exit::Auth,
        () if any(Verdict::Unreachable) => Exit::Unavailable,
        () if any(Verdict::Failed) => Exit::No,
        () => Exit::Done,
    }
}

#[cfg(test)]
mod tests {
    use super::super::golden::golden;
    use super::*;

    #[test]
    fn answers_are_a_line_each() {
        let answers = [
            json!({ "connection": "erp", "verdict": "ok", "status": 200, "auth": "oauth2", "tls": "1.3", "seconds": 0.123 }),
            json!({ "connection": "eu/shop", "verdict": "auth", "status": 401, "auth": "token", "tls": null, "seconds": 1.5,
                "message": "the API refused the credentials\u{1b}[2J" }),
            json!({ "connection": "till", "verdict": "unreachable", "message": "connection refused" }),
        ];
        golden("ping.txt", &text(&answers, false));
        assert!(text(&answers, true).contains("\u{1b}[31mauth"));
    }
}
