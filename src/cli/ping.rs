//! `flowgate ping [CONNECTION]`: does it work, how fast, and if not, what the API says.

use super::style::Tone;
use super::table::{Align, Cell, Table};
use super::{Exit, Globals};
use crate::app::Host;
use crate::app::ping::{Pinged, Verdict, ping as ask};
use crate::model::snapshot::Snapshot;
use crate::value::id::ConnectionId;
use crate::value::time::show_duration;
use serde_json::{Value, json};

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
    match ask(host, snapshot, &ids).await {
        Ok(answers) => {
            show(globals, &answers);
            exit(&answers)
        }
        Err(error) => {
            globals.complain(&error.to_string());
            Exit::Config
        }
    }
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

fn show(globals: &Globals, answers: &[Pinged]) {
    if globals.json() {
        let pings: Vec<Value> = answers.iter().map(document).collect();
        return globals.say(&json!({ "format": FORMAT, "pings": pings }).to_string());
    }
    let left = ["connection", "verdict", "status", "auth", "tls"].map(|name| (name, Align::Left));
    let mut table = Table::new(&[&left[..], &[("time", Align::Right), ("message", Align::Left)]].concat());
    for answer in answers {
        table.row(vec![
            answer.connection.as_str().into(),
            Cell::toned(word(answer.verdict), if answer.verdict == Verdict::Ok { Tone::Good } else { Tone::Bad }),
            answer.status.map_or_else(|| "-".to_owned(), |status| status.to_string()).into(),
            answer.auth.into(),
            answer.tls.unwrap_or("-").into(),
            show_duration(answer.took).into(),
            answer.message.as_deref().unwrap_or_default().into(),
        ]);
    }
    globals.data(&table.render(globals.style.stdout));
}

fn document(answer: &Pinged) -> Value {
    json!({
        "connection": answer.connection.as_str(),
        "verdict": word(answer.verdict),
        "request": answer.request,
        "status": answer.status,
        "seconds": answer.took.as_secs_f64(),
        "tls": answer.tls,
        "auth": answer.auth,
        "message": answer.message,
    })
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Ok => "ok",
        Verdict::Failed => "failed",
        Verdict::Auth => "auth",
        Verdict::Unreachable => "unreachable",
    }
}

/// The gravest answer decides, as it does for runs.
fn exit(answers: &[Pinged]) -> Exit {
    let any = |verdict| answers.iter().any(|answer| answer.verdict == verdict);
    match () {
        () if any(Verdict::Auth) => Exit::Auth,
        () if any(Verdict::Unreachable) => Exit::Unavailable,
        () if any(Verdict::Failed) => Exit::No,
        () => Exit::Done,
    }
}
