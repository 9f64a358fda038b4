//! `flowgate auth login CONNECTION` and `flowgate auth status`: who is logged in, and how to become it.

use super::ping::named;
use super::run::no_state;
use super::style::Tone;
use super::table::{Align, Cell, Table};
use super::{Exit, Globals};
use crate::app::login::{Login, LoginError, kept, record};
use crate::app::{Host, State};
use crate::store::socket::{Ask, TokenAsk, ask};
use crate::store::{self, MemoryStore, OpenError};
use crate::value::id::ConnectionId;
use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};
use std::path::Path;

/// Version of the JSON document.
const FORMAT: u32 = 1;

/// Sends a person to the login of a connection and keeps what comes back.
pub async fn login(globals: &Globals, host: &Host, connection: &str, port: u16) -> Exit {
    let snapshot = match super::load(globals, host) {
        Ok(snapshot) => snapshot,
        Err(exit) => return exit,
    };
    if let Err(exit) = super::install_logs(globals, &snapshot, host, true) {
        return exit;
    }
    let id = match named(&snapshot, connection) {
        Ok(id) => id,
        Err(text) => {
            globals.complain(&text);
            return Exit::Usage;
        }
    };
    let path = globals.state.clone().unwrap_or_else(|| snapshot.settings.state.clone());
    let state = match State::open(host, &path) {
        // A running `serve` takes the tokens over when they are there.
        Err(error) if error.is_owned() => State::in_memory(),
        Ok(state) => state,
        Err(error) => {
            globals.complain(&error.to_string());
            return Exit::Temporary;
        }
    };
    let begun = match Login::begin(host, snapshot, &state, &id, port).await {
        Ok(begun) => begun,
        Err(error) => return failed(globals, &error),
    };
    globals.note("Open this address in a browser on this machine and grant access:");
    globals.announce(&if globals.json() {
        json!({ "format": FORMAT, "address": begun.url() }).to_string()
    } else {
        begun.url().to_owned()
    });
    let ends = match begun.finish().await {
        Ok(ends) => ends,
        Err(error) => return failed(globals, &error),
    };
    if state.dir.is_none() && !handed_over(globals, &path, &state, &id).await {
        return Exit::Temporary;
    }
    state.close(host).await;
    let until = ends.map(|at| format!(", the token holds until {}", shown(at))).unwrap_or_default();
    globals.note(&format!("logged in to `{id}`{until}"));
    if globals.json() {
        globals.say(&json!({ "format": FORMAT, "connection": id, "expires": ends.map(shown) }).to_string());
    }
    Exit::Done
}

/// Gives the tokens to the process that owns the state.
async fn handed_over(globals: &Globals, path: &Path, state: &State, id: &ConnectionId) -> bool {
    let Some(record) = record(state, id).await else { return false };
    match ask(path, Ask::Token(TokenAsk { connection: id.to_string(), record })) {
        Ok(_) => true,
        Err(error) => {
            globals.complain(&format!("the tokens are not kept: {error}"));
            false
        }
    }
}

fn shown(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

fn failed(globals: &Globals, error: &LoginError) -> Exit {
    globals.complain(&error.to_string());
    match error {
        LoginError::Config(_) => Exit::Config,
        LoginError::Landing(_) => Exit::Temporary,
        LoginError::Refused(_) | LoginError::Failed(_) | LoginError::Nobody => Exit::Auth,
    }
}

/// Shows what is kept of each connection.
pub async fn status(globals: &Globals, host: &Host) -> Exit {
    let snapshot = match super::load(globals, host) {
        Ok(snapshot) => snapshot,
        Err(exit) => return exit,
    };
    let path = globals.state.clone().unwrap_or_else(|| snapshot.settings.state.clone());
    // Beside whoever owns the state: what is kept can be read at any time, and nothing is created for a look.
    let store = match store::open_read_only(&path) {
        Ok(store) => store,
        Err(OpenError::Absent(_)) => MemoryStore::new(),
        Err(error) => return no_state(globals, &error.into()),
    };
    let state = State::over(store, 0);
    let found = match kept(&state, &snapshot).await {
        Ok(found) => found,
        Err(text) => {
            globals.complain(&text);
            return Exit::Unavailable;
        }
    };
    if globals.json() {
        let connections: Vec<Value> = found
            .iter()
            .map(|(id, auth, kept)| {
                json!({
                    "connection": id.as_str(),
                    "auth": auth,
                    "token": kept.token.as_ref().map(|token| json!({
                        "generation": token.generation,
                        "expires": token.expires.map(shown),
                        "renewable": token.refresh_token.is_some(),
                    })),
                    "offline": kept.offline.as_ref().map(|mark| json!({
                        "since": shown(mark.since), "reason": mark.reason, "login": mark.login,
                    })),
                })
            })
            .collect();
        globals.say(&json!({ "format": FORMAT, "connections": connections }).to_string());
        return Exit::Done;
    }
    let columns = ["connection", "auth", "token", "expires", "offline"].map(|name| (name, Align::Left));
    let mut table = Table::new(&columns);
    for (id, auth, kept) in &found {
        let token = kept.token.as_ref();
        table.row(vec![
            id.as_str().into(),
            (*auth).into(),
            token.map_or_else(|| "-".to_owned(), |token| format!("kept, generation {}", token.generation)).into(),
            token.and_then(|token| token.expires).map_or_else(|| "-".to_owned(), shown).into(),
            kept.offline.as_ref().map_or_else(|| Cell::from("-"), |mark| Cell::toned(&mark.reason, Tone::Bad)),
        ]);
    }
    globals.data(&table.render(globals.style.stdout));
    Exit::Done
}
