//! The command line: one file per command. Reads arguments, asks `app`, `config` or the running process, and turns
//! the result into words and an exit code. No decision about flows is taken here.

pub mod args;
mod check;
pub mod exit;
mod globals;
mod init;
pub mod progress;
mod status;
pub mod style;
pub mod summary;
pub mod table;

pub use check::{accept, no_directory};
pub use exit::Exit;
pub use globals::Globals;

use crate::config::{Env, ProcessEnv};
use crate::observe::logs;
use args::{Cli, Command, Refusal};
use std::ffi::OsString;
use std::io::{self, Write};
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
        Command::Demo { .. } | Command::Run(_) | Command::Serve => Exit::Internal,
        Command::Other(_) => Exit::Usage,
    }
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
