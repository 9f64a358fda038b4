//! The command line: one file per command. Reads arguments, asks `app`, `config` or the running process, and turns
//! the result into words and an exit code. No decision about flows is taken here.

mod agent;
mod args;
mod auth;
mod backfill;
mod check;
mod completions;
mod demo;
mod errors;
mod exit;
mod explain;
mod globals;
#[cfg(test)]
mod golden;
mod graph;
mod init;
mod names;
mod owner;
mod ping;
mod preview;
mod progress;
mod run;
mod run_args;
mod runs;
mod schema;
mod serve;
mod stages;
mod state;
mod status;
mod steer;
mod style;
mod summary;
mod table;
mod top;

pub use exit::Exit;
pub use globals::Globals;

use crate::app::Host;
use crate::config::{Env, ProcessEnv};
use crate::model::settings::LogFormat;
use crate::model::snapshot::Snapshot;
use crate::observe::logs;
use args::{AuthCommand, Cli, Command, Refusal};
use check::accept;
use std::ffi::OsString;
use std::io::Write;
use std::sync::Arc;
use style::Style;

/// Carries out the command line of this process.
pub fn main() -> Exit {
    carry_out(std::env::args_os())
}

fn carry_out(arguments: impl IntoIterator<Item = OsString>) -> Exit {
    let Cli { global, command } = match args::parse(arguments) {
        Ok(cli) => cli,
        Err(refusal) => return refuse(&refusal),
    };
    let style = Style::decide(global.no_color, &|name| ProcessEnv.var(name));
    let globals = match Globals::new(global, style) {
        Ok(globals) => globals,
        Err(text) => return refuse(&Refusal::Text(text)),
    };
    let exit = act(&globals, command);
    globals.close(exit)
}

fn act(globals: &Globals, command: Command) -> Exit {
    match command {
        Command::Check { deny_warnings } => check::check(globals, &ProcessEnv, deny_warnings),
        Command::Init { from_curl: None } => init::init(globals),
        Command::Init { from_curl: Some(line) } => init::from_curl(globals, &line),
        Command::Status => status::status(globals),
        Command::Explain { id } => with_runtime(globals, 1, async |host| explain::explain(globals, &host, &id)),
        Command::Drain => steer::drain(globals),
        Command::Reload { wait } => steer::reload(globals, wait),
        Command::Pause(args) => {
            with_runtime(globals, 1, async |host| steer::pause(globals, &host, &args.flows, true).await)
        }
        Command::Resume(args) => {
            with_runtime(globals, 1, async |host| steer::pause(globals, &host, &args.flows, false).await)
        }
        Command::Run(args) => with_runtime(globals, 1, async |host| match args.options(host.clock.utc()) {
            Ok(options) => run::run(globals, &host, &args.flows, options).await,
            Err(text) => {
                globals.complain(&text);
                Exit::Usage
            }
        }),
        Command::Backfill(args) => {
            with_runtime(globals, 1, async |host| backfill::backfill(globals, &host, &args).await)
        }
        Command::Preview(args) => with_runtime(globals, 1, async |host| preview::preview(globals, &host, &args).await),
        Command::Errors { command } => {
            with_runtime(globals, 1, async |host| errors::errors(globals, &host, command).await)
        }
        Command::Runs { command } => with_runtime(globals, 1, async |host| runs::runs(globals, &host, command).await),
        Command::Graph { flow } => with_runtime(globals, 1, async |host| graph::graph(globals, &host, flow.as_deref())),
        Command::Top { once } => with_runtime(globals, 1, async |host| top::top(globals, &host, once).await),
        Command::Schema(args) => schema::schema(globals, &args),
        Command::Completions { shell } => completions::completions(globals, shell),
        Command::Man { directory } => completions::man(globals, directory.as_deref()),
        Command::Ping { connection } => {
            with_runtime(globals, 1, async |host| ping::ping(globals, &host, connection.as_deref()).await)
        }
        Command::Auth(AuthCommand::Login { connection, port }) => {
            with_runtime(globals, 1, async |host| auth::login(globals, &host, &connection, port).await)
        }
        Command::Auth(AuthCommand::Status) => with_runtime(globals, 1, async |host| auth::status(globals, &host).await),
        Command::Agent(args) => with_runtime(globals, 2, async |host| agent::agent(globals, &host, args).await),
        Command::Serve => with_runtime(globals, 2, async |host| serve::serve(globals, &host).await),
        Command::Demo { serve } => with_runtime(globals, 1, async |host| demo::demo(globals, &host, serve).await),
        Command::State { what } => with_runtime(globals, 1, async |host| state::state(globals, &host, what).await),
        // Refused while parsing.
        Command::Other(_) => Exit::Usage,
    }
}

/// clap colours for a terminal only and knows `NO_COLOR` by itself.
fn refuse(refusal: &Refusal) -> Exit {
    match refusal {
        Refusal::Clap(error) => match error.print() {
            // Help was asked for, and is lost.
            Err(cause) if !error.use_stderr() && cause.kind() != std::io::ErrorKind::BrokenPipe => {
                let _ = writeln!(std::io::stderr(), "error: stdout: {cause}");
                return Exit::Temporary;
            }
            _ => {}
        },
        Refusal::Text(text) => drop(writeln!(std::io::stderr(), "error: {text}")),
    }
    refusal.exit()
}

/// One thread serves one flow best; `serve` gets two so that a busy flow never keeps monitoring waiting.
fn with_runtime(globals: &Globals, threads: usize, work: impl AsyncFnOnce(Host) -> Exit) -> Exit {
    let mut builder = if threads == 1 {
        tokio::runtime::Builder::new_current_thread()
    } else {
        tokio::runtime::Builder::new_multi_thread()
    };
    if threads > 1 {
        builder.worker_threads(threads);
    }
    let runtime = match builder.enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            globals.complain(&format!("the async runtime cannot start: {error}"));
            return Exit::Temporary;
        }
    };
    let exit = runtime.block_on(async { work(Host::of_machine(globals.root.clone(), Arc::new(ProcessEnv))).await });
    // A second signal or a cut drain must not wait for what is stuck.
    runtime.shutdown_background();
    exit
}

/// Loads the project for a command that runs something; findings go to stderr.
fn load(globals: &Globals, host: &Host) -> Result<Arc<Snapshot>, Exit> {
    match host.load() {
        Ok((_, loaded)) => accept(globals, loaded),
        Err(error) => Err(check::no_directory(globals, &error)),
    }
}

/// Faults, and traces that were asked for in vain: how runs end is told by the summary.
const QUIET: &str = "error,flowgate::observe::event::run=off,flowgate::traces=warn";

/// Installs the log: `serve` says everything, one-off commands only what is wrong.
fn install_logs(globals: &Globals, snapshot: &Snapshot, host: &Host, quiet: bool) -> Result<(), Exit> {
    let level = match &globals.log_level {
        Some(level) => level.clone(),
        None if quiet => QUIET.to_owned(),
        None => snapshot.settings.log_level.clone(),
    };
    let format = match snapshot.settings.log_format {
        LogFormat::Auto => None,
        LogFormat::Text => Some(logs::Format::Text),
        LogFormat::Json => Some(logs::Format::Json),
    };
    let options = logs::Options { format, level, colour: globals.style.stderr };
    match logs::install(&options, host.clock.clone()) {
        Ok(_) => Ok(()),
        Err(error) => {
            globals.complain(&error.to_string());
            Err(Exit::Usage)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_level_of_one_off_commands_is_understood() {
        assert_eq!(logs::check_level(QUIET), Ok(()));
    }

    #[test]
    fn refusals_end_with_the_code_for_usage() {
        let line = |words: &[&str]| carry_out(["flowgate"].iter().chain(words).map(OsString::from));
        assert_eq!(line(&["plan", "shop"]), Exit::Usage);
        assert_eq!(line(&["run", "orders", "--since", "soon"]), Exit::Usage);
        assert_eq!(line(&["check", "--log-level", "loud"]), Exit::Usage);
        assert_eq!(line(&["check", "-C", "/nowhere/at/all"]), Exit::Config);
        assert_eq!(line(&["status", "-C", "/nowhere/at/all"]), Exit::Unavailable);
    }
}
