//! The command line as typed. What is not built yet is known by name, so that it can be refused by name.
// size: every command and its arguments.

use super::errors::ErrorsCommand;
use super::exit::Exit;
use super::run_args::{BackfillArgs, RunArgs};
use super::runs::RunsCommand;
use crate::config::schema::Kind;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::ffi::OsString;
use std::path::PathBuf;

/// The whole command line.
#[derive(Debug, Parser)]
#[command(
    name = "flowgate",
    version,
    about = "Moves records between HTTP APIs, described by TOML files in git: one polite queue per API",
    max_term_width = 100,
    disable_help_subcommand = false,
    arg_required_else_help = true
)]
pub struct Cli {
    /// Flags of every command.
    #[command(flatten)]
    pub global: GlobalArgs,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Flags of every command.
#[derive(Debug, Clone, Args)]
pub struct GlobalArgs {
    /// Project directory
    #[arg(short = 'C', value_name = "DIR", default_value = ".", hide_default_value = true, global = true)]
    pub directory: PathBuf,
    /// State directory, instead of `[state] path`
    #[arg(long, value_name = "PATH", global = true)]
    pub state: Option<PathBuf>,
    /// error, warn, info, debug, trace or off, or directives such as `info,flowgate::queue=debug`
    #[arg(long, value_name = "LEVEL", global = true)]
    pub log_level: Option<String>,
    /// No colours (`NO_COLOR` works too)
    #[arg(long, global = true)]
    pub no_color: bool,
    /// Output for people or for programs
    #[arg(long, value_enum, value_name = "FORMAT", global = true)]
    pub format: Option<Format>,
    /// Short for `--format json`
    #[arg(long, global = true, conflicts_with = "format")]
    pub json: bool,
}

/// `--format`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Format {
    /// For people
    #[default]
    Text,
    /// For programs
    Json,
    /// Annotations of a pull request (`check` only)
    Github,
    /// A Mermaid flowchart (`graph` only)
    Mermaid,
    /// A Graphviz graph (`graph` only)
    Dot,
    /// SARIF 2.1.0, which code hosts show beside the lines (`check` only)
    Sarif,
}

/// What can be done.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Runs the sample project against built-in APIs and shows the verdict of their ledger
    Demo {
        /// Stay up: schedules, hot reload, metrics
        #[arg(long)]
        serve: bool,
    },
    /// Writes a first project
    Init {
        /// Writes a connection and a flow that make the request of this curl command; `-` reads it from standard input
        #[arg(long, value_name = "COMMAND")]
        from_curl: Option<String>,
    },
    /// Judges the whole project: every mistake in every file at once
    Check {
        /// Warnings make it fail too
        #[arg(long)]
        deny_warnings: bool,
    },
    /// Asks an API whether its connection works; all of them when none is named
    Ping {
        /// Id of a connection: `shop` is connections/shop.toml
        #[arg(value_name = "CONNECTION")]
        connection: Option<String>,
    },
    /// Logs in to connections a person has to grant access to
    #[command(subcommand)]
    Auth(AuthCommand),
    /// Runs flows now, side by side; ends when they end
    Run(RunArgs),
    /// Reads a stretch of the past window by window, each a run; goes on where it was cut off
    Backfill(BackfillArgs),
    /// Shows each stage of a flow on a few records: what is asked, what comes back, what becomes of it
    Preview(PreviewArgs),
    /// Runs flows on their schedules, follows changed files, serves metrics and health
    Serve,
    /// Shows what the running `serve` does
    Status,
    /// Tells why a run, a flow or a connection waits
    Explain {
        /// Id of a run, a flow or a connection
        #[arg(value_name = "RUN|FLOW|CONNECTION")]
        id: String,
    },
    /// Has flows start nothing more, also after a restart
    Pause(FlowArgs),
    /// Lets paused flows start again
    Resume(FlowArgs),
    /// Has the running `serve` finish what is in flight, and end
    Drain,
    /// Has the running `serve` look at its files
    Reload {
        /// Wait for the verdict: 0 in force, 78 rejected
        #[arg(long)]
        wait: bool,
    },
    /// Carries requests of a `serve` elsewhere into the network this runs in
    Agent(AgentArgs),
    /// Looks into the state directory, checks and repairs it
    State {
        /// What to do
        #[command(subcommand)]
        what: StateCommand,
    },
    /// What could not be delivered: list, show, edit, retry, resolve, purge
    Errors {
        /// What to do; `list` when nothing is said
        #[command(subcommand)]
        command: Option<ErrorsCommand>,
    },
    /// Runs there were and are: list, show, logs, cancel
    Runs {
        /// What to do; `list` when nothing is said
        #[command(subcommand)]
        command: Option<RunsCommand>,
    },
    /// Draws connections, flows and their steps: `--format mermaid` (also when nothing is said), `dot` or `json`
    Graph {
        /// Id of a flow: only this one, and the connections it uses
        #[arg(value_name = "FLOW")]
        flow: Option<String>,
    },
    /// Looks at the running `serve` once a second, until `q`
    Top {
        /// Print one look, as where there is no terminal
        #[arg(long)]
        once: bool,
    },
    /// JSON Schemas of the files, for editors
    Schema(SchemaArgs),
    /// Prints the script that completes this command line in a shell
    Completions {
        /// Which shell
        #[arg(value_enum, value_name = "SHELL")]
        shell: Shell,
    },
    /// Writes man pages into a directory; prints the first one when none is named
    Man {
        /// The directory
        #[arg(value_name = "DIR")]
        directory: Option<PathBuf>,
    },
    /// Anything else.
    #[command(external_subcommand)]
    Other(Vec<OsString>),
}

/// What can be done with a state.
#[derive(Debug, Clone, Subcommand)]
pub enum StateCommand {
    /// Verifies everything stored and gives a verdict: 0 sound, 1 damaged, 65 unusable
    Check,
    /// Puts right what can be put right without losing anything in silence, and says what was done
    Repair,
    /// Lists stored values and what the state takes up
    Show {
        /// schedule, meaning, mark, token, offline, webhook, pause, waypoint, log or meta; all without it
        space: Option<String>,
        /// Renewed credentials too
        #[arg(long)]
        tokens: bool,
    },
    /// Changes a value, such as the mark of a delta export: `state set mark 'orders main' '…'`
    Set {
        /// schedule, mark, token, offline …
        space: String,
        /// Its key, as `state show` has it
        key: String,
        /// The new value; without it the value is removed
        value: Option<String>,
    },
    /// Writes the whole state to standard output, a JSON line a row
    Export {
        /// Renewed credentials too
        #[arg(long)]
        tokens: bool,
    },
    /// Takes an export into an empty state, whole or not at all
    Import {
        /// The export; standard input without it
        file: Option<PathBuf>,
    },
}

/// `auth …`
#[derive(Debug, Subcommand)]
pub enum AuthCommand {
    /// Prints the address of a login, waits for the browser to come back, and keeps the tokens
    Login {
        /// Id of a connection with `grant = "authorization_code"`
        #[arg(value_name = "CONNECTION")]
        connection: String,
        /// Port of the redirect, where the server knows it beforehand; any free one otherwise
        #[arg(long, value_name = "PORT", default_value_t = 0, hide_default_value = true)]
        port: u16,
    },
    /// Shows which tokens are kept, and which connections are offline
    Status,
}

/// Arguments of `pause` and `resume`.
#[derive(Debug, Clone, Args)]
pub struct FlowArgs {
    /// Ids of flows: `orders` is flows/orders.toml
    #[arg(value_name = "FLOW", required = true)]
    pub flows: Vec<String>,
}

/// Arguments of `schema`.
#[derive(Debug, Clone, Args)]
pub struct SchemaArgs {
    /// Of which file; all of them in one document when it is not said
    #[arg(value_enum, value_name = "FILE")]
    pub kind: Option<SchemaKind>,
    /// Write all of them into a folder of the project, where `#:schema` lines find them
    #[arg(long, value_name = "DIR", num_args = 0..=1, default_missing_value = super::schema::FOLDER, conflicts_with = "kind")]
    pub write: Option<PathBuf>,
}

/// A kind of file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SchemaKind {
    /// connections/<id>.toml
    Connection,
    /// flows/<id>.toml
    Flow,
    /// flowgate.toml
    Settings,
    /// An agent's own file
    Agent,
}

impl SchemaKind {
    /// As the configuration knows it.
    pub fn kind(self) -> Kind {
        match self {
            Self::Connection => Kind::Connection,
            Self::Flow => Kind::Flow,
            Self::Settings => Kind::Settings,
            Self::Agent => Kind::Agent,
        }
    }
}

/// A shell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Shell {
    /// bash
    Bash,
    /// zsh
    Zsh,
    /// fish
    Fish,
    /// PowerShell
    Powershell,
    /// Elvish
    Elvish,
}

impl Shell {
    /// As typed.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bash => "bash",
            Self::Zsh => "zsh",
            Self::Fish => "fish",
            Self::Powershell => "powershell",
            Self::Elvish => "elvish",
        }
    }
}

/// Arguments of `preview`.
#[derive(Debug, Clone, Args)]
pub struct PreviewArgs {
    /// Id of a flow: `orders` is flows/orders.toml
    #[arg(value_name = "FLOW")]
    pub flow: String,
    /// Look at this export only; more than one may be named
    #[arg(long = "export", value_name = "NAME")]
    pub exports: Vec<String>,
    /// So many records
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..))]
    pub limit: u64,
}

/// Arguments of `agent`.
#[derive(Debug, Clone, Args)]
pub struct AgentArgs {
    /// The agent's own file; agent.toml where it is there
    #[arg(value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Where `flowgate serve` listens, instead of `server` in the file
    #[arg(long, value_name = "URL")]
    pub server: Option<String>,
    /// A file that holds the token, instead of `token`
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// A host and port that may be reached, instead of `allow`; may be given several times
    #[arg(long, value_name = "HOST:PORT")]
    pub allow: Vec<String>,
    /// PEM of the authority that vouches for the server, instead of `ca`
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
}

/// Commands of the format that are not built yet.
const LATER: &[&str] = &["plan", "diff", "test", "import"];

/// Commands that are there.
const NOW: &[&str] = &[
    "demo",
    "init",
    "check",
    "ping",
    "auth",
    "run",
    "preview",
    "backfill",
    "serve",
    "status",
    "runs",
    "explain",
    "errors",
    "graph",
    "top",
    "schema",
    "pause",
    "resume",
    "drain",
    "reload",
    "state",
    "agent",
    "completions",
    "man",
    "help",
];

/// Why a command line is not carried out.
#[derive(Debug)]
pub enum Refusal {
    /// clap's own words: help, version, or a usage error.
    Clap(clap::Error),
    /// Ours.
    Text(String),
}

impl Refusal {
    /// Help and version are what was asked for.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Clap(error) if !error.use_stderr() => Exit::Done,
            // Without any arguments: the help is the remedy, but nothing was done.
            Self::Clap(_) | Self::Text(_) => Exit::Usage,
        }
    }
}

/// Reads the command line.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Cli, Refusal> {
    let cli = Cli::try_parse_from(arguments).map_err(Refusal::Clap)?;
    match later(&cli) {
        Some(what) => Err(Refusal::Text(format!("`flowgate {what}` is not supported yet"))),
        None => unknown(&cli).map_or(Ok(cli), |text| Err(Refusal::Text(text))),
    }
}

/// What is asked for by a name that will mean something one day.
fn later(cli: &Cli) -> Option<String> {
    let name = cli.command.name();
    match &cli.command {
        Command::Other(_) if LATER.contains(&name.as_str()) => Some(name),
        _ => None,
    }
}

fn unknown(cli: &Cli) -> Option<String> {
    let name = cli.command.name();
    if let Command::Other(_) = &cli.command {
        let near = NOW.iter().max_by(|a, b| strsim::jaro(a, &name).total_cmp(&strsim::jaro(b, &name)));
        let near = near.filter(|near| strsim::jaro(near, &name) > 0.7);
        Some(match near {
            Some(near) => format!("there is no command `{name}`; did you mean `{near}`?"),
            None => format!("there is no command `{name}`; there are: {}", NOW.join(", ")),
        })
    } else {
        let (format, place) = match cli.global.format? {
            Format::Github => ("github", "check"),
            Format::Sarif => ("sarif", "check"),
            Format::Mermaid => ("mermaid", "graph"),
            Format::Dot => ("dot", "graph"),
            Format::Text | Format::Json => return None,
        };
        (name != place).then(|| format!("`--format {format}` is for `flowgate {place}`, not for `flowgate {name}`"))
    }
}

impl Command {
    /// As typed.
    pub fn name(&self) -> String {
        let name = match self {
            Self::Demo { .. } => "demo",
            Self::Init { .. } => "init",
            Self::Check { .. } => "check",
            Self::Ping { .. } => "ping",
            Self::Auth(_) => "auth",
            Self::Run(_) => "run",
            Self::Backfill(_) => "backfill",
            Self::Preview(_) => "preview",
            Self::Serve => "serve",
            Self::Status => "status",
            Self::Explain { .. } => "explain",
            Self::Pause(_) => "pause",
            Self::Resume(_) => "resume",
            Self::Drain => "drain",
            Self::Reload { .. } => "reload",
            Self::Agent(_) => "agent",
            Self::State { .. } => "state",
            Self::Errors { .. } => "errors",
            Self::Runs { .. } => "runs",
            Self::Graph { .. } => "graph",
            Self::Top { .. } => "top",
            Self::Schema(_) => "schema",
            Self::Completions { .. } => "completions",
            Self::Man { .. } => "man",
            Self::Other(words) => {
                return words.first().map(|word| word.to_string_lossy().into_owned()).unwrap_or_default();
            }
        };
        name.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn read(line: &str) -> Result<Cli, Refusal> {
        parse(std::iter::once("flowgate").chain(line.split_whitespace()).map(OsString::from))
    }

    fn refused(line: &str) -> (Exit, String) {
        let refusal = read(line).unwrap_err();
        let text = match &refusal {
            Refusal::Clap(error) => error.to_string(),
            Refusal::Text(text) => text.clone(),
        };
        (refusal.exit(), text)
    }

    #[test]
    fn the_definition_holds_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn commands_that_are_not_built_yet_are_refused_by_name() {
        for name in LATER {
            assert_eq!(refused(name), (Exit::Usage, format!("`flowgate {name}` is not supported yet")));
            assert_eq!(
                refused(&format!("{name} x --flag y")),
                (Exit::Usage, format!("`flowgate {name}` is not supported yet"))
            );
        }
        assert!(refused("run a --format sarif").1.contains("is for `flowgate check`"));
    }

    #[test]
    fn every_command_of_the_format_is_either_there_or_refused_by_name() {
        let all = "demo init check ping run serve status runs errors explain preview backfill plan diff test graph top \
                   reload pause resume drain schema state auth agent import completions man";
        for name in all.split_whitespace() {
            assert!(NOW.contains(&name) != LATER.contains(&name), "{name}");
        }
    }

    #[test]
    fn usage_errors_end_with_64_and_help_with_0() {
        for line in ["", "run", "run a --limit 0", "run a --limit x", "check --loud", "status --format yaml"] {
            assert_eq!(refused(line).0, Exit::Usage, "{line}");
        }
        for line in ["--help", "--version", "run --help", "help run"] {
            assert_eq!(refused(line).0, Exit::Done, "{line}");
        }
        assert_eq!(refused("chek"), (Exit::Usage, "there is no command `chek`; did you mean `check`?".to_owned()));
        assert!(refused("frobnicate").1.contains("there are: demo, init"));
        assert!(refused("status --format github").1.contains("is for `flowgate check`"));
        assert_eq!(refused("check --json --format text").0, Exit::Usage);
    }

    #[test]
    fn a_time_is_typed_as_an_instant_a_date_or_how_long_ago() {
        use crate::model::delta::from_words;
        use chrono::DateTime;
        let now = from_words("2026-03-01T08:00:00Z", DateTime::UNIX_EPOCH).unwrap();
        let asked = |line: &str| {
            let Command::Run(run) = read(line).unwrap().command else { panic!("{line}") };
            run.options(now).map(|options| options.asked)
        };
        let both = asked("run a --since -1mo --until 2026-02-28").unwrap();
        let shown = [both.since, both.until].map(|at| at.unwrap().to_rfc3339());
        assert_eq!(shown, ["2026-02-01T08:00:00+00:00", "2026-02-28T00:00:00+00:00"]);
        assert!(asked("run a").unwrap().is_nothing());
        assert!(asked("run a --since soon").unwrap_err().starts_with("--since: `soon`"));
        assert!(asked("run a --since 2026-02-01 --until 2026-01-01").unwrap_err().contains("later than"));
    }

    #[test]
    fn global_flags_stand_before_or_behind_the_command() {
        for line in ["-C p --state s --json run a b --limit 3", "run a b --limit 3 -C p --state s --json"] {
            let cli = read(line).unwrap();
            assert_eq!((cli.global.directory.to_str(), cli.global.json), (Some("p"), true), "{line}");
            let Command::Run(run) = cli.command else { panic!("{line}") };
            assert_eq!((run.flows, run.limit, run.dry_run), (vec!["a".to_owned(), "b".to_owned()], Some(3), false));
        }
        assert!(matches!(read("demo --serve").unwrap().command, Command::Demo { serve: true }));
        assert!(matches!(read("check --deny-warnings").unwrap().command, Command::Check { deny_warnings: true }));
    }
}
