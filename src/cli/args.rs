//! The command line.

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Runs flows between HTTP APIs, described by TOML files in git.
#[derive(Debug, Parser)]
#[command(name = "flowgate", version, disable_help_subcommand = true, arg_required_else_help = true)]
pub struct Cli {
    /// The project directory.
    #[arg(short = 'C', value_name = "DIR", global = true, default_value = ".")]
    pub dir: PathBuf,
    /// The state directory, instead of `[state] path`.
    #[arg(long, value_name = "PATH", global = true)]
    pub state: Option<PathBuf>,
    /// What the log shows: error, warn, info, debug, trace.
    #[arg(long, value_name = "LEVEL", global = true)]
    pub log_level: Option<String>,
    /// No colours.
    #[arg(long, global = true)]
    pub no_color: bool,
    /// How results are written.
    #[arg(long, value_name = "FORMAT", global = true, value_enum, default_value_t = Format::Text)]
    pub format: Format,
    /// Short for `--format json`.
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// How results are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// One JSON document.
    Json,
    /// Annotations for a pull request (`check` only).
    Github,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the sample flows against built-in APIs and show what happened.
    Demo {
        /// Stay up: schedules, hot reload, metrics.
        #[arg(long)]
        serve: bool,
    },
    /// Write a first project.
    Init,
    /// Find every mistake in every file.
    Check {
        /// Warnings are errors.
        #[arg(long)]
        deny_warnings: bool,
    },
    /// Run flows now, side by side; ends when they end.
    Run(Run),
    /// Schedule flows, reload files, serve metrics; until SIGTERM.
    Serve,
    /// Ask the running `serve` what goes on.
    Status,
    /// Commands that are not built yet.
    #[command(external_subcommand)]
    Other(Vec<String>),
}

/// `run`
#[derive(Debug, Args)]
pub struct Run {
    /// Flow ids.
    #[arg(required = true, value_name = "FLOW")]
    pub flows: Vec<String>,
    /// Render import requests to stdout instead of sending them.
    #[arg(long)]
    pub dry_run: bool,
    /// At most so many records of each flow.
    #[arg(long, value_name = "N")]
    pub limit: Option<u64>,
    /// Not supported yet.
    #[arg(long, value_name = "T", hide = true)]
    pub since: Option<String>,
    /// Not supported yet.
    #[arg(long, value_name = "T", hide = true)]
    pub until: Option<String>,
    /// Not supported yet.
    #[arg(long, value_name = "NAME", hide = true)]
    pub export: Option<String>,
    /// Not supported yet.
    #[arg(long, hide = true)]
    pub fresh: bool,
}

impl Run {
    /// The first option that is not built yet.
    pub fn unsupported(&self) -> Option<&'static str> {
        [
            (self.since.is_some(), "--since"),
            (self.until.is_some(), "--until"),
            (self.export.is_some(), "--export"),
            (self.fresh, "--fresh"),
        ]
        .into_iter()
        .find_map(|(given, name)| given.then_some(name))
    }
}

/// Commands of the file format's command list that are not built yet.
pub const NOT_YET: &[&str] = &[
    "ping", "runs", "errors", "explain", "preview", "backfill", "plan", "diff", "test", "graph", "top", "reload", "pause",
    "resume", "drain", "schema", "state", "auth", "agent", "import", "completions", "man",
];
