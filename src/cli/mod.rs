//! The command line: one file per command. Reads arguments, asks `app`, `config` or the running process, and turns
//! the result into words and an exit code. No decision about flows is taken here.

pub mod args;
mod check;
mod demo;
pub mod exit;
mod globals;
mod init;
pub mod progress;
mod run;
mod serve;
mod status;
pub mod style;
pub mod summary;
pub mod table;

pub use check::{accept, no_directory};
pub use exit::Exit;
pub use globals::Globals;

use crate::app::Host;
use crate::app::run::Options;
use crate::config::{Env, ProcessEnv};
use crate::model::settings::LogFormat;
use crate::model::snapshot::Snapshot;
use crate::observe::logs;
use args::{Cli, Command, Refusal};
use std::ffi::OsString;
use std::io::{self, Write};
use std::sync::Arc;
use style::Style;

/// Carries out a command line.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> Exit {
    let Cli { global, command } = match args::parse(arguments) {
        Ok(cli) => cli,
        Err(refusal) => return refuse(&refusal),
    };
    let env = ProcessEnv;
    let globals = Globals::new(global.clone(), Style::decide(global.no_color, &|name| env.var(name)));
    if let Some(Err(error)) = globals.log_level.as_deref().map(logs::check_level) {
        globals.complain(&format!("--log-level: {error}"));
        return Exit::Usage;
    }
    match command {
        Command::Check { deny_warnings } => check::check(&globals, &env, deny_warnings),
        Command::Init => init::init(&globals),
        Command::Status => status::status(&globals),
        Command::Demo { serve } => on_runtime(&globals, 1, async |host| demo::demo(&globals, &host, serve).await),
        Command::Run(args) => {
            let options = Options { limit: args.limit, dry_run: args.dry_run };
            on_runtime(&globals, 1, async |host| run::run(&globals, &host, &args.flows, options).await)
        }
        Command::Serve => on_runtime(&globals, 2, async |host| serve::serve(&globals, &host).await),
        // Refused by `args::parse` already.
        Command::Other(_) => Exit::Usage,
    }
}

/// One thread serves flows best; `serve` gets two so that a busy flow never keeps monitoring waiting.
fn on_runtime(globals: &Globals, threads: usize, work: impl AsyncFnOnce(Host) -> Exit) -> Exit {
    let mut builder = match threads {
        1 => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    let built = builder.worker_threads(threads).enable_all().build();
    let (root, runtime) = match (std::path::absolute(&globals.root), built) {
        (Ok(root), Ok(runtime)) => (root, runtime),
        (Err(error), _) => return no_directory(globals, &error),
        (_, Err(error)) => {
            globals.complain(&format!("the async runtime cannot start: {error}"));
            return Exit::Temporary;
        }
    };
    let exit = runtime.block_on(async { work(Host::of_machine(root, Arc::new(ProcessEnv))).await });
    // A second signal or a cut drain must not wait for what is stuck.
    runtime.shutdown_background();
    exit
}

/// Loads the project for a command that runs flows and installs the log; findings go to stderr.
fn load(globals: &Globals, host: &Host, quiet: bool) -> Result<Arc<Snapshot>, Exit> {
    let (_, loaded) = host.load().map_err(|error| no_directory(globals, &error))?;
    let snapshot = accept(globals, loaded)?;
    install_logs(globals, &snapshot, host, quiet)?;
    Ok(snapshot)
}

/// `serve` says everything, one-off commands only what is wrong.
fn install_logs(globals: &Globals, snapshot: &Snapshot, host: &Host, quiet: bool) -> Result<(), Exit> {
    let level = match &globals.log_level {
        Some(level) => level.clone(),
        None if quiet => "error".to_owned(),
        None => snapshot.settings.log_level.clone(),
    };
    let format = match snapshot.settings.log_format {
        LogFormat::Auto => None,
        LogFormat::Text => Some(logs::Format::Text),
        LogFormat::Json => Some(logs::Format::Json),
    };
    let options = logs::Options { format, level, colour: globals.style.stderr };
    logs::install(&options, host.clock.clone()).map(|_| ()).map_err(|error| {
        globals.complain(&error.to_string());
        Exit::Config
    })
}

/// clap colours for a terminal only and knows `NO_COLOR` by itself.
fn refuse(refusal: &Refusal) -> Exit {
    match refusal {
        // Fails only when nobody reads.
        Refusal::Clap(error) => drop(error.print()),
        Refusal::Text(text) => drop(writeln!(io::stderr(), "error: {text}")),
    }
    refusal.exit()
}
