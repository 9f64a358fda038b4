//! One file per command. Data goes to stdout, everything else to stderr; the exit code tells the rest.

pub mod args;
mod check;
mod demo;
mod exit;
mod init;
mod output;
mod progress;
mod run;
mod serve;
mod status;
mod summary;

pub use exit::Exit;

use crate::app::Host;
use crate::config::{Loaded, ProcessEnv, render};
use crate::model::settings::LogFormat;
use crate::model::snapshot::Snapshot;
use crate::observe::logs;
use crate::runtime::supervisor::Options;
use args::{Cli, Command, Format, NOT_YET};
use clap::Parser;
use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::sync::Arc;

/// What every command knows.
#[derive(Debug, Clone)]
pub struct Globals {
    /// `--state`
    pub state: Option<PathBuf>,
    /// `--log-level`
    pub log_level: Option<String>,
    /// How results are written.
    pub format: Format,
    /// Colours on stderr.
    pub colours: bool,
}

impl Globals {
    /// Says something on stderr.
    pub fn note(&self, text: &str) {
        // Nobody listening on stderr must not end the work.
        let _ = writeln!(std::io::stderr(), "{text}");
    }

    /// Says what is wrong, on stderr.
    pub fn complain(&self, text: &str) {
        let (on, off) = if self.colours { ("\u{1b}[1;31m", "\u{1b}[0m") } else { ("", "") };
        self.note(&format!("{on}error{off}: {text}"));
    }

    /// Writes a result to stdout. A closed pipe is no error.
    pub fn say(&self, text: &str) {
        let _ = writeln!(std::io::stdout(), "{text}");
    }
}

/// Parses the command line and carries the command out.
pub fn main() -> Exit {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version go to stdout and are no error.
            let _ = error.print();
            return if error.use_stderr() { Exit::Usage } else { Exit::Done };
        }
    };
    let format = if cli.json { Format::Json } else { cli.format };
    let globals = Globals {
        state: cli.state.clone(),
        log_level: cli.log_level.clone(),
        format,
        colours: !cli.no_color && no_color_unset() && std::io::stderr().is_terminal(),
    };
    if format == Format::Github && !matches!(cli.command, Command::Check { .. }) {
        globals.complain("`--format github` is for `check`");
        return Exit::Usage;
    }
    let root = match std::path::absolute(&cli.dir) {
        Ok(root) => root,
        Err(error) => {
            globals.complain(&format!("{}: {error}", cli.dir.display()));
            return Exit::Usage;
        }
    };
    dispatch(&globals, root, cli.command)
}

fn dispatch(globals: &Globals, root: PathBuf, command: Command) -> Exit {
    match command {
        Command::Init => init::init(globals, &root),
        Command::Other(words) => unknown(globals, &words),
        Command::Check { deny_warnings } => check::check(globals, &root, deny_warnings),
        Command::Status => status::status(globals, &root),
        Command::Run(args) => {
            if let Some(option) = args.unsupported() {
                globals.complain(&format!("`run {option}` is not supported yet"));
                return Exit::Usage;
            }
            let options = Options { limit: args.limit, dry_run: args.dry_run };
            let args = run::RunArgs { flows: args.flows, options };
            with_runtime(globals, root, 1, async |host| run::run(globals, &host, &args).await)
        }
        Command::Serve => with_runtime(globals, root, 2, async |host| serve::serve(globals, &host).await),
        Command::Demo { serve } => with_runtime(globals, root, 1, async |host| demo::demo(globals, &host, serve).await),
    }
}

/// One thread serves one flow best; `serve` gets two so that a busy flow never keeps monitoring waiting.
fn with_runtime(globals: &Globals, root: PathBuf, threads: usize, work: impl AsyncFnOnce(Host) -> Exit) -> Exit {
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
    let exit = runtime.block_on(async { work(Host::of_machine(root, Arc::new(ProcessEnv))).await });
    // A second signal or a cut drain must not wait for what is stuck.
    runtime.shutdown_background();
    exit
}

fn unknown(globals: &Globals, words: &[String]) -> Exit {
    let name = words.first().map_or("", String::as_str);
    if NOT_YET.contains(&name) {
        globals.complain(&format!("`flowgate {name}` is not supported yet"));
    } else {
        let known = ["demo", "init", "check", "run", "serve", "status"];
        let near = known.iter().find(|known| strsim::jaro(known, name) > 0.8);
        let hint = near.map_or_else(|| "see `flowgate --help`".to_owned(), |near| format!("did you mean `{near}`?"));
        globals.complain(&format!("there is no command `{name}`; {hint}"));
    }
    Exit::Usage
}

/// Loads the project for a command that runs something; findings go to stderr.
fn load(globals: &Globals, host: &Host) -> Result<Arc<Snapshot>, Exit> {
    match host.load() {
        Ok((_, loaded)) => accept(globals, loaded),
        Err(error) => {
            globals.complain(&format!("{}: {error}", host.root.display()));
            Err(Exit::Config)
        }
    }
}

/// Shows the findings; gives the snapshot when there is one, with the log installed as it says.
fn accept(globals: &Globals, loaded: Loaded) -> Result<Arc<Snapshot>, Exit> {
    if !loaded.diagnostics.is_empty() {
        globals.note(&render::text(&loaded.diagnostics, globals.colours));
    }
    let Some(snapshot) = loaded.snapshot else { return Err(Exit::Config) };
    Ok(Arc::new(snapshot))
}

/// Installs the log: `serve` says everything, one-off commands only what is wrong.
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
    let options = logs::Options { format, level, colour: globals.colours };
    match logs::install(&options, host.clock.clone()) {
        Ok(_) => Ok(()),
        Err(error) => {
            globals.complain(&error.to_string());
            Err(Exit::Usage)
        }
    }
}

fn no_color_unset() -> bool {
    use crate::config::Env;
    ProcessEnv.var("NO_COLOR").is_none_or(|value| value.is_empty())
}
