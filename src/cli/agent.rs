//! `flowgate agent`: carries requests of a `serve` elsewhere into the network this runs in.

use super::args::AgentArgs;
use super::{Exit, Globals};
use crate::app::agent::{Ended, Orders, Parted, carry};
use crate::app::{Host, Signal};
use crate::config::agent::{self, server_url};
use crate::config::render;
use crate::model::agent::AgentFile;
use crate::observe::{event, logs};
use crate::value::target::Target;
use std::path::{Path, PathBuf};

/// The agent's file where none is named.
const FILE: &str = "agent.toml";

/// Runs until a signal; the exit code says how it ended.
pub async fn agent(globals: &Globals, host: &Host, args: AgentArgs) -> Exit {
    let level = globals.log_level.clone().unwrap_or_else(|| "info".to_owned());
    let options = logs::Options { format: None, level, colour: globals.style.stderr };
    if let Err(error) = logs::install(&options, host.clock.clone()) {
        globals.complain(&error.to_string());
        return Exit::Usage;
    }
    let orders = || read(globals, host, &args);
    let first = match orders() {
        Ok(first) => first,
        Err(why) => {
            globals.complain(&why);
            return Exit::Config;
        }
    };
    let parted = match carry(host, first, orders).await {
        Ok(parted) => parted,
        Err(error) => {
            globals.complain(&format!("signals cannot be handled: {error}"));
            return Exit::Temporary;
        }
    };
    let exit = match parted {
        Parted::Ended(Ended::Drained) => Exit::Done,
        Parted::Ended(Ended::Cut) => Exit::Temporary,
        Parted::Ended(Ended::Refused(why)) => {
            globals.complain(&format!("the server refuses this agent: {why}"));
            Exit::Auth
        }
        Parted::Now(Signal::Interrupt) => Exit::Interrupted,
        Parted::Now(_) => Exit::Terminated,
    };
    event::stopped(exit.code());
    exit
}

/// The file and the command line, as they are now; the command line has the last word.
fn read(globals: &Globals, host: &Host, args: &AgentArgs) -> Result<Orders, String> {
    let file = match path(globals, args) {
        Some(path) => from_file(globals, host, &path)?,
        None => AgentFile::default(),
    };
    let server = match &args.server {
        Some(text) => Some(server_url(text).map_err(|why| format!("--server: {why}"))?),
        None => file.server,
    };
    let token = match &args.token_file {
        Some(path) => Some(agent::token_file(path).map_err(|why| format!("--token-file: `{}` {why}", path.display()))),
        None => file.token,
    };
    let given = args.allow.iter().map(|text| Target::parse(text).map_err(|why| format!("--allow: {text:?}: {why}")));
    let mut allow = given.collect::<Result<Vec<_>, _>>()?;
    if allow.is_empty() {
        allow = file.allow;
    }
    let ca = match &args.ca {
        Some(path) => {
            let text = std::fs::read_to_string(path);
            Some(text.map_err(|error| format!("--ca: `{}` cannot be read: {error}", path.display()))?)
        }
        None => file.ca.transpose().map_err(|why| format!("`ca` does not resolve: {why}"))?,
    };
    if allow.is_empty() {
        return Err(missing("allow = [\"erp.internal:443\"]", "--allow erp.internal:443"));
    }
    let token = token.ok_or_else(|| missing("token = { file = \"…\" }", "--token-file FILE"))?;
    let token = token.map_err(|why| format!("the token does not resolve: {why}"))?;
    if token.reveal().is_empty() {
        return Err("the token is empty".to_owned());
    }
    let server = server.ok_or_else(|| missing("server = \"https://…\"", "--server URL"))?;
    Ok(Orders { server, token, allow: allow.into(), ca })
}

fn missing(key: &str, flag: &str) -> String {
    format!("nothing says what stands in `{key}`: write it into the agent's file ({FILE}), or give `{flag}`")
}

/// A file that is named has to be there, the usual one need not.
fn path(globals: &Globals, args: &AgentArgs) -> Option<PathBuf> {
    args.file.clone().or_else(|| Some(globals.root.join(FILE)).filter(|path| path.exists()))
}

fn from_file(globals: &Globals, host: &Host, path: &Path) -> Result<AgentFile, String> {
    let cannot = |error| format!("the agent's file `{}` cannot be read: {error}", path.display());
    let (file, found) = agent::load(path, host.env.as_ref()).map_err(cannot)?;
    if !found.is_empty() {
        globals.note(render::text(&found, globals.style.stderr).trim_end());
    }
    file.ok_or_else(|| format!("the agent's file `{}` has errors", path.display()))
}
