//! The command line.

use clap::{Args as ClapArgs, Parser, Subcommand};
use std::path::PathBuf;

/// Torments the `flowgate` binary and judges by the receiving server's ledger.
#[derive(Debug, Parser)]
#[command(name = "torture", arg_required_else_help = true)]
pub struct Args {
    /// Draws the same points again
    #[arg(long, default_value_t = 1, global = true)]
    pub seed: u64,
    /// The program to torment (default: `flowgate` beside this one)
    #[arg(long, value_name = "PATH", global = true)]
    pub binary: Option<PathBuf>,
    /// Keep the projects of rounds that broke a promise, below this folder
    #[arg(long, value_name = "DIR", global = true)]
    pub keep: Option<PathBuf>,
    /// How many rounds run side by side
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=16), global = true)]
    pub lanes: u8,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What can be tormented.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// kill -9 at drawn points, restart until the run has finished
    Crash(Crash),
    /// Edits of files under load
    Reload(Reload),
    /// A full disk, faults of the disk, damaged state files
    Disk(Disk),
    /// A large export through a small memory limit
    Mem(Mem),
    /// Weeks of schedules in seconds, against an oracle
    Sim(Sim),
    /// Looks for planted credentials in everything that is written
    Secrets,
    /// Servers that mean harm
    Hostile,
    /// Everything mixed for a while: does anything grow?
    Soak(Soak),
    /// All of them, small: three minutes on two cores
    Quick,
    /// All of them with the published figures
    Full,
}

impl Command {
    /// As typed.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Crash(asked) if asked.drain => "drain",
            Self::Crash(_) => "crash",
            Self::Reload(_) => "reload",
            Self::Disk(_) => "disk",
            Self::Mem(_) => "mem",
            Self::Sim(_) => "sim",
            Self::Secrets => "secrets",
            Self::Hostile => "hostile",
            Self::Soak(_) => "soak",
            Self::Quick => "quick",
            Self::Full => "full",
        }
    }
}

/// `crash`
#[derive(Debug, Clone, ClapArgs)]
pub struct Crash {
    /// Points to kill at
    #[arg(long, default_value_t = 60)]
    pub points: u64,
    /// SIGTERM in place of kill -9: does it end in time, and lose nothing?
    #[arg(long)]
    pub drain: bool,
    /// One shape of flow instead of all: keyed, batch or unsafe
    #[arg(long)]
    pub shape: Option<String>,
    /// Draw no further round after so many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 3_600)]
    pub budget: u64,
}

/// `reload`
#[derive(Debug, Clone, ClapArgs)]
pub struct Reload {
    /// Edits to make
    #[arg(long, default_value_t = 300)]
    pub edits: u64,
    /// Make no further edit after so many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 7_200)]
    pub budget: u64,
}

/// `disk`
#[derive(Debug, Clone, ClapArgs)]
pub struct Disk {
    /// Injected faults
    #[arg(long, default_value_t = 12)]
    pub faults: u64,
    /// Damaged copies of a state directory
    #[arg(long, default_value_t = 40)]
    pub damages: u64,
    /// Begin no further case after so many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 3_600)]
    pub budget: u64,
}

/// `mem`
#[derive(Debug, Clone, ClapArgs)]
pub struct Mem {
    /// Megabytes to export
    #[arg(long, default_value_t = 200)]
    pub megabytes: u64,
    /// The limit in megabytes
    #[arg(long, default_value_t = 64)]
    pub limit: u64,
}

/// `sim`
#[derive(Debug, Clone, ClapArgs)]
pub struct Sim {
    /// Simulated hours
    #[arg(long, default_value_t = 240)]
    pub hours: u32,
    /// Flows with schedules
    #[arg(long, default_value_t = 200)]
    pub flows: u32,
    /// How many histories, each from its own seed
    #[arg(long, default_value_t = 2)]
    pub seeds: u64,
}

/// `soak`
#[derive(Debug, Clone, ClapArgs)]
pub struct Soak {
    /// How long, in seconds
    #[arg(long, default_value_t = 30)]
    pub seconds: u64,
}
