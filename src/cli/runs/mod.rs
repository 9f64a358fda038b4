//! `flowgate runs`: the runs there were and are. A running `serve` is asked, for it knows live figures; else the state is
//! looked into from here.

mod args;
mod lines;

pub use args::RunsCommand;

use super::names::{known, with_near};
use super::run::no_state;
use super::steer::unanswered;
use super::{Exit, Globals};
use crate::app::errors::Masks;
use crate::app::renamed::Renamed;
use crate::app::{Host, State, look_at_runs};
use crate::config::Loaded;
use crate::observe::logs;
use crate::store::socket::{Act, Ask, AskError, CancelAsk, Denial, RunsAsk, View, ask};
use crate::store::{self, MemoryStore, OpenError};
use crate::value::id::FlowId;
use args::{ListArgs, Which};
use serde_json::{Value, json};

/// Carries out what was asked.
pub async fn runs(globals: &Globals, host: &Host, command: Option<RunsCommand>) -> Exit {
    let command = command.unwrap_or_else(|| RunsCommand::List(ListArgs { limit: 50, ..ListArgs::default() }));
    let done = match command {
        RunsCommand::List(list) => listed(globals, host, &list).await.map(|found| {
            let text = || lines::list(&found, host.clock.utc(), globals.style.stdout);
            tell(globals, &found, text);
            if !globals.json() && found["next"].is_string() {
                globals.note(&format!("(the newest {}; `--limit` shows more)", list.limit));
            }
        }),
        RunsCommand::Show(which) => match run_of(globals, host, &which).await {
            Ok(run) => look(globals, host, View::Run(run)).await.map(|found| {
                tell(globals, &found, || lines::run(&found, globals.style.stdout));
            }),
            Err(exit) => Err(exit),
        },
        RunsCommand::Logs(which) => match run_of(globals, host, &which).await {
            Ok(run) => look(globals, host, View::RunLog(run)).await.map(|found| log(globals, &found)),
            Err(exit) => Err(exit),
        },
        RunsCommand::Cancel(which) => return cancel(globals, &which.id),
    };
    done.err().unwrap_or(Exit::Done)
}

async fn listed(globals: &Globals, host: &Host, list: &ListArgs) -> Result<Value, Exit> {
    known(globals, host, list.flow.as_ref()).await?;
    look(globals, host, View::Runs(list.ask())).await
}

fn tell(globals: &Globals, document: &Value, text: impl FnOnce() -> String) {
    if globals.json() {
        globals.say(&document.to_string());
    } else {
        globals.data(&text());
    }
}

fn log(globals: &Globals, found: &Value) {
    tell(globals, found, || {
        let lines = found["lines"].as_array().into_iter().flatten();
        lines.map(|line| logs::shown(line, globals.style.stdout)).collect()
    });
    if !globals.json() {
        let (run, flow) = (found["run"].as_str().unwrap_or_default(), found["flow"].as_str().unwrap_or_default());
        globals.note(&format!(
            "(run {} of {}; its records that failed: `flowgate errors list --run {0}`)",
            logs::visible(run),
            logs::visible(flow)
        ));
    }
}

/// The id of a run, or the newest run of a flow.
async fn run_of(globals: &Globals, host: &Host, which: &Which) -> Result<String, Exit> {
    // Runs begin with a date and a flow could too: what is known as a run is one.
    let Ok(flow) = FlowId::parse(&which.id) else { return Ok(which.id.clone()) };
    let found =
        look(globals, host, View::Runs(RunsAsk { flow: Some(flow), limit: Some(1), ..RunsAsk::default() })).await?;
    let Some(run) = found["runs"][0]["run"].as_str() else {
        // It may be the id of a run, and no flow at all.
        let near = with_near(host, &which.id, &which.id, false);
        if near != which.id {
            known(globals, host, FlowId::parse(&which.id).ok().as_ref()).await?;
        }
        return Ok(which.id.clone());
    };
    Ok(run.to_owned())
}

/// Asks whoever owns the state; else looks from here.
async fn look(globals: &Globals, host: &Host, view: View) -> Result<Value, Exit> {
    match ask(&globals.state_dir(), Ask::View(view.clone())) {
        Ok(document) => Ok(document),
        Err(AskError::NotRunning(_)) => here(globals, host, view).await,
        Err(error) => Err(unanswered(globals, &error)),
    }
}

async fn here(globals: &Globals, host: &Host, view: View) -> Result<Value, Exit> {
    let store = match store::open_read_only(&globals.state_dir()) {
        Ok(store) => store,
        // Nothing has run here, and looking is no reason to create anything.
        Err(OpenError::Absent(_)) => MemoryStore::new(),
        Err(error) => return Err(no_state(globals, &error.into())),
    };
    // A project with errors tells no names: then they are those that are stored.
    let store = match host.load() {
        Ok((_, Loaded { snapshot: Some(snapshot), .. })) => Renamed::over(store, &snapshot),
        _ => store,
    };
    let state = State::over(store, 0);
    let masks = Masks::of(host, &state).await;
    let found = look_at_runs(state.store.as_ref(), masks, view).await;
    state.close(host).await;
    found.map_err(|denied| {
        globals.complain(&denied.text);
        match denied.kind {
            Denial::Unknown => Exit::Usage,
            Denial::Invalid => Exit::Input,
            Denial::Conflict | Denial::Unavailable => Exit::Temporary,
        }
    })
}

fn cancel(globals: &Globals, id: &str) -> Exit {
    let by_run = CancelAsk { run: Some(id.to_owned()), flow: None };
    let mut answer = ask(&globals.state_dir(), Ask::Act(Act::Cancel(by_run)));
    if let (Err(AskError::Refused(_)), Ok(flow)) = (&answer, FlowId::parse(id)) {
        let by_flow = CancelAsk { run: None, flow: Some(flow) };
        answer = match ask(&globals.state_dir(), Ask::Act(Act::Cancel(by_flow))) {
            // Neither: said of the run, unless no run can be called so.
            Err(AskError::Refused(_)) => answer,
            other => other,
        };
    }
    match answer {
        Ok(answer) if globals.json() => {
            let (run, flow, stopping) = (&answer["run"], &answer["flow"], &answer["stopping"]);
            globals.say(&json!({ "format": 1, "run": run, "flow": flow, "stopping": stopping }).to_string());
            Exit::Done
        }
        Ok(answer) => {
            let word = |name: &str| logs::visible(answer[name].as_str().unwrap_or("-"));
            globals.say(&format!(
                "run {} of {} stops: what is in flight is finished, what is left goes on with the flow's next run",
                word("run"),
                word("flow")
            ));
            Exit::Done
        }
        Err(AskError::Refused(text)) => {
            globals.complain(&format!("{text}; `flowgate runs list --phase running` shows those that are"));
            Exit::No
        }
        Err(error) => unanswered(globals, &error),
    }
}
