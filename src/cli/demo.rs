//! `flowgate demo`: the sample project against built-in APIs; the destination's own ledger is the judge.

use super::run::carry;
use super::{Exit, Globals, serve};
use crate::app::run::Options;
use crate::app::{Host, State, WithVar};
use crate::playground::{Playground, Settings};
use crate::value::id::FlowId;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where the sample connections look for the playground.
const VARIABLE: &str = "FLOWGATE_PLAYGROUND";

/// The sample project, for a demo outside a checkout.
const SAMPLE: &[(&str, &str)] = &[
    ("connections/shop.toml", include_str!("../../connections/shop.toml")),
    ("connections/erp.toml", include_str!("../../connections/erp.toml")),
    ("connections/erp-reports.toml", include_str!("../../connections/erp-reports.toml")),
    ("flows/orders.toml", include_str!("../../flows/orders.toml")),
    ("flows/customers.toml", include_str!("../../flows/customers.toml")),
];

/// Runs the sample flows once, or stays up with `serve`.
pub async fn demo(globals: &Globals, host: &Host, stay: bool) -> Exit {
    let (playground, scratch) = match prepare(&host.root) {
        Ok(ready) => ready,
        Err(error) => {
            globals.complain(&format!("the playground cannot start: {error}"));
            return Exit::Temporary;
        }
    };
    let mut host = host.clone();
    if let Some(scratch) = &scratch {
        host.root.clone_from(&scratch.0);
    }
    host.env = Arc::new(WithVar { base: host.env.clone(), name: VARIABLE, value: playground.base_uri() });
    globals.note(&format!("playground at {} (a shop to read from, an ERP to write to)", playground.base_uri()));
    globals.note(&format!("project    {}", host.root.display()));
    if stay {
        if let Some(page) = dashboard(globals, &host) {
            globals.note(&page);
        }
        globals.note("edit a file under flows/ or connections/ and save: it takes effect at once; Ctrl-C ends\n");
        return serve::serve(globals, &host).await;
    }
    once(globals, &host, playground).await
}

/// Where people look, and what lets them act there. A project that cannot be loaded is complained of by `serve`.
fn dashboard(globals: &Globals, host: &Host) -> Option<String> {
    let settings = host.load().ok()?.1.snapshot?.settings;
    let scheme = if settings.tls.is_some() { "https" } else { "http" };
    let key = match &settings.token {
        Some(_) => "`[server] token`".to_owned(),
        None => globals.state.as_ref().unwrap_or(&settings.state).join(crate::app::key::NAME).display().to_string(),
    };
    // A port that the system chooses is in the log line `listening`.
    let port = Some(settings.listen.port()).filter(|port| *port != 0)?;
    let host =
        if settings.listen.ip().is_loopback() { settings.listen.ip().to_string() } else { "127.0.0.1".to_owned() };
    Some(format!("dashboard  {scheme}://{host}:{port}/ (to act there: the token in {key})"))
}

async fn once(globals: &Globals, host: &Host, playground: Playground) -> Exit {
    let snapshot = match super::load(globals, host) {
        Ok(snapshot) => snapshot,
        Err(exit) => return exit,
    };
    if let Err(exit) = super::install_logs(globals, &snapshot, host, true) {
        return exit;
    }
    let ids: Vec<FlowId> = snapshot.flows.values().filter(|flow| flow.enabled).map(|flow| flow.id.clone()).collect();
    let ended = carry(globals, host, snapshot, &ids, Options::default(), State::in_memory()).await;
    let ledger = playground.stop();
    globals.say(&format!("\nThe destination's own ledger:\n{ledger}"));
    if ended != Exit::Done {
        return ended;
    }
    if !ledger.verdict().holds() {
        return Exit::No;
    }
    globals.say(
        "\nWhere to look next:\n  \
         flows/orders.toml, connections/erp.toml   what just ran; the files say why\n  \
         flowgate demo --serve                     stays up: schedules, hot reload, a dashboard at http://127.0.0.1:9380\n  \
         flowgate check                            break a file and see what it says\n  \
         flowgate init -C DIR                      a first project of your own",
    );
    Exit::Done
}

/// A directory removed when the demo ends.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        // Left behind in the temporary directory at worst.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn prepare(root: &Path) -> std::io::Result<(Playground, Option<Scratch>)> {
    let playground = Playground::start(Settings::demo())?;
    if root.join("flows").is_dir() {
        return Ok((playground, None));
    }
    let folder = format!("flowgate-demo-{}-{}", std::process::id(), playground.addr().port());
    let scratch = Scratch(std::env::temp_dir().join(folder));
    std::fs::create_dir(&scratch.0)?;
    for (path, text) in SAMPLE {
        let path = scratch.0.join(path);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(path, text)?;
    }
    Ok((playground, Some(scratch)))
}
