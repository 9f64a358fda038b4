//! The torture harness: the real binary under kills, faults, full disks, floods of edits and hostile servers.
//!
//! What became of the records is read from the judging server's ledger and from how the process ended, never from the
//! process' own counters; those are only compared with each other. Each command prints one JSON line of figures and
//! ends with 0 when every promise was kept, 1 when not. The same seed draws the same points.
//!
//! - [`rig`], [`stage`], [`child`], [`strace`]: what every command stands on
//! - [`judge`], [`conserve`]: what is held against the process
//! - one file a command

mod args;
mod child;
mod conserve;
mod crash;
mod disk;
mod drain;
mod field;
mod figures;
mod hostile;
mod judge;
mod mem;
mod probe;
mod quick;
mod reload;
mod rig;
mod secrets;
mod shape;
mod sim;
mod soak;
mod stage;
mod strace;
mod villain;

use args::{Args, Command};
use clap::Parser as _;
use figures::Figures;
use rig::Rig;
use std::process::ExitCode;

fn main() -> ExitCode {
    let args = Args::parse();
    let mut figures = Figures::of(args.command.name(), args.seed);
    let done = Rig::new(&args).and_then(|rig| match &args.command {
        Command::Crash(asked) if asked.drain => drain::torture(&rig, asked, &mut figures),
        Command::Crash(asked) => crash::torture(&rig, asked, &mut figures),
        Command::Reload(asked) => reload::torture(&rig, asked, &mut figures),
        Command::Disk(asked) => disk::torture(&rig, asked, &mut figures),
        Command::Mem(asked) => mem::torture(&rig, asked, &mut figures),
        Command::Sim(asked) => {
            sim::torture(&rig, asked, &mut figures);
            Ok(())
        }
        Command::Secrets => secrets::torture(&rig, &mut figures),
        Command::Hostile => {
            hostile::torture(&rig, &mut figures);
            Ok(())
        }
        Command::Soak(asked) => soak::torture(&rig, asked, &mut figures),
        Command::Quick | Command::Full => {
            let commands = if matches!(args.command, Command::Quick) { quick::QUICK } else { quick::FULL };
            quick::torture(&rig, commands, &mut figures);
            Ok(())
        }
    });
    if let Err(why) = done {
        figures.fail(format!("the harness could not go on: {why}"));
    }
    println!("{}", figures.line());
    if figures.passed() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
