//! `flowgate pause|resume|drain|reload`: what is asked of the running `serve`. A pause is kept in the state, so it can be set
//! while nothing runs too.

use super::names::with_near;
use super::run::no_flow;
use super::{Exit, Globals};
use crate::app::state::{NoState, State};
use crate::app::{Host, owner};
use crate::observe::logs::visible;
use crate::store::StateError;
use crate::store::socket::{Act, Ask, AskError, ask};
use crate::value::id::FlowId;
use serde_json::{Value, json};
use std::fmt::Write as _;

/// Says why there is no answer.
pub(super) fn unanswered(globals: &Globals, error: &AskError) -> Exit {
    globals.complain(&error.to_string());
    match error {
        AskError::Forbidden(_) => Exit::Auth,
        AskError::State(_) => Exit::Config,
        AskError::Unknown(_) => Exit::Usage,
        AskError::Refused(_) => Exit::Temporary,
        _ => Exit::Unavailable,
    }
}

/// Pauses flows, or lets them go on.
pub async fn pause(globals: &Globals, host: &Host, flows: &[String], pause: bool) -> Exit {
    let mut ids = Vec::new();
    for flow in flows {
        match FlowId::parse(flow) {
            Ok(id) => ids.push(id),
            Err(error) => {
                globals.complain(&format!("`{}` is no flow: {error}", visible(flow)));
                return Exit::Usage;
            }
        }
    }
    let act = if pause { Act::Pause(ids.clone()) } else { Act::Resume(ids.clone()) };
    let answer = match ask(&globals.state_dir(), Ask::Act(act)) {
        Err(AskError::NotRunning(_)) => here(globals, host, &ids, pause).await,
        Err(AskError::Unknown(text)) => {
            let unknown = ids.iter().find(|id| text.contains(&format!("`{id}`")));
            let text = unknown.map_or_else(|| text.clone(), |id| with_near(host, &text, id.as_str(), false));
            globals.complain(&text);
            Err(Exit::Usage)
        }
        Err(error) => Err(unanswered(globals, &error)),
        Ok(answer) => Ok(answer),
    };
    match answer {
        Ok(answer) => told(globals, &answer, &ids, pause),
        Err(exit) => exit,
    }
}

/// By this process: nobody else owns the state.
async fn here(globals: &Globals, host: &Host, ids: &[FlowId], pause: bool) -> Result<Value, Exit> {
    let snapshot = super::load(globals, host)?;
    if let Some(unknown) = ids.iter().find(|id| !snapshot.flows.contains_key(id)) {
        globals.complain(&no_flow(&snapshot, unknown.as_str()));
        return Err(Exit::Usage);
    }
    let path = globals.state.clone().unwrap_or_else(|| snapshot.settings.state.clone());
    let state = match State::open(host, &path) {
        Ok(state) => state,
        Err(NoState::Directory(owned @ StateError::Owned { .. })) => {
            globals.complain(&owned.to_string());
            return Err(Exit::Temporary);
        }
        Err(error) => return Err(super::run::no_state(globals, &error)),
    };
    let changed = owner::pause_stored(state.store.as_ref(), ids, pause, host.clock.utc()).await;
    state.close(host).await;
    changed.map(|changed| json!({ "paused": pause, "changed": changed })).map_err(|error| {
        globals.complain(&error.to_string());
        Exit::Temporary
    })
}

fn told(globals: &Globals, answer: &Value, ids: &[FlowId], pause: bool) -> Exit {
    if globals.json() {
        let mut document = json!({ "format": 1 });
        document["paused"] = answer["paused"].clone();
        document["changed"] = answer["changed"].clone();
        globals.say(&document.to_string());
        return Exit::Done;
    }
    for id in ids {
        let changed = answer["changed"].as_array().is_some_and(|changed| changed.iter().any(|one| one == id.as_str()));
        globals.say(&match (pause, changed) {
            (true, true) => format!("{id}: paused; a run under way goes on to its end"),
            (true, false) => format!("{id}: was paused already"),
            (false, true) => format!("{id}: may run again"),
            (false, false) => format!("{id}: was not paused"),
        });
    }
    Exit::Done
}

/// Has the running `serve` finish what is in flight, and end.
pub fn drain(globals: &Globals) -> Exit {
    match ask(&globals.state_dir(), Ask::Act(Act::Drain)) {
        Ok(answer) if globals.json() => {
            globals.say(&json!({ "format": 1, "draining": true, "runs": answer["runs"] }).to_string());
            Exit::Done
        }
        Ok(answer) => {
            let runs = answer["runs"].as_u64().unwrap_or(0);
            globals.say(&format!("draining: {runs} runs finish what is in flight, then it ends"));
            Exit::Done
        }
        Err(error) => unanswered(globals, &error),
    }
}

/// Has the running `serve` look at its files. With `wait` the verdict decides: 0 in force, 78 rejected.
pub fn reload(globals: &Globals, wait: bool) -> Exit {
    let question = if wait { Ask::Reload } else { Ask::Act(Act::Look) };
    let answer = match ask(&globals.state_dir(), question) {
        Ok(answer) => answer,
        Err(error) => return unanswered(globals, &error),
    };
    if !wait {
        globals.say(&if globals.json() {
            json!({ "format": 1, "looking": true }).to_string()
        } else {
            "it looks at the files now; `flowgate reload --wait` says what comes of it".to_owned()
        });
        return Exit::Done;
    }
    let rejected = answer["rejected"].is_object();
    if globals.json() {
        globals.say(&json!({ "format": 1, "report": answer["report"], "rejected": answer["rejected"] }).to_string());
    } else {
        globals.data(&verdict(&answer));
    }
    if rejected { Exit::Config } else { Exit::Done }
}

fn verdict(answer: &Value) -> String {
    let report = &answer["report"];
    let word = |value: &Value| visible(value.as_str().unwrap_or("-"));
    let mut out =
        format!("reload {}: {}, revision {}", word(&report["id"]), word(&report["verdict"]), word(&answer["revision"]));
    if report["git"]["commit"].is_string() {
        let _ = write!(out, ", commit {}", word(&report["git"]["commit"]));
    }
    out.push('\n');
    // The files were seen before anybody asked: what came of them then is what is asked for now.
    let applied = &report["applied_by"];
    if applied.is_object() {
        let _ = writeln!(out, "  in force since reload {} at {}", word(&applied["id"]), word(&applied["at"]));
    }
    let told = if applied.is_object() { &applied["resources"] } else { &report["resources"] };
    for resource in told.as_array().into_iter().flatten() {
        let reason = resource["reason"].as_str().map(|reason| format!(": {}", visible(reason))).unwrap_or_default();
        let (verdict, kind, id) = (word(&resource["verdict"]), word(&resource["kind"]), word(&resource["id"]));
        let _ = writeln!(out, "  {verdict} {kind} {id}{reason}");
    }
    if let Some(count) = report["unchanged"].as_u64().filter(|count| *count > 0) {
        let _ = writeln!(out, "  {count} unchanged");
    }
    if answer["rejected"].is_object() {
        out.push_str("what was in force stays; `flowgate check` shows all errors\n");
    }
    if answer["restart_needed"] == true {
        out.push_str("flowgate.toml changed: restart `flowgate serve` to apply it\n");
    }
    out
}
