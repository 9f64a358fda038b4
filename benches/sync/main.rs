//! The same sync by `flowgate run` and by hand, in turn, judged by the playground.
//!
//! ```text
//! cargo bench --bench sync -- [--n 20000] [--rounds 5] [--batch 1,100] [--out result.json]
//! ```
//!
//! The judge runs in a process of its own, so that its work is nobody's cost. Contenders alternate (A B C,
//! C B A, …), so that a machine whose speed drifts does not favour one; figures are medians, ratios are taken
//! round by round against the `value` floor. CPU is user and system time of the contender's process. Every
//! run is checked by the judge's ledger: each record exactly once, every field compared.

mod floor;
mod judge;
mod measure;
mod project;
mod table;

use clap::Parser;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;
use table::{Cell, Row};

type Failure = Box<dyn std::error::Error>;

/// Pairs `flowgate run` with hand-written programs that do the same.
#[derive(Parser)]
#[expect(clippy::struct_excessive_bools, reason = "command line flags")]
struct Args {
    /// Records a run.
    #[arg(long, default_value_t = 20_000)]
    n: u64,
    /// Bytes a source record.
    #[arg(long, default_value_t = 1_000)]
    size: usize,
    /// Records a page.
    #[arg(long, default_value_t = 100)]
    per_page: u64,
    /// Records a request; one table for each.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 100])]
    batch: Vec<u64>,
    /// Requests in flight at the destination.
    #[arg(long, default_value_t = 10)]
    level: u64,
    /// Rounds; each runs every contender once.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Contenders, the reference first.
    #[arg(long, value_delimiter = ',', default_value = "value,splice,flowgate")]
    only: Vec<String>,
    /// The program under test.
    #[arg(long, default_value = env!("CARGO_BIN_EXE_flowgate"))]
    flowgate: String,
    /// Seconds after which a run has failed.
    #[arg(long, default_value_t = 600)]
    timeout: u64,
    /// Ends with 1 when flowgate misses a goal, not only when a run is wrong.
    #[arg(long)]
    goals: bool,
    /// Writes every run as JSON.
    #[arg(long)]
    out: Option<std::path::PathBuf>,

    /// (internal) Be the judge until standard input ends.
    #[arg(long, hide = true)]
    judge: bool,
    /// (internal) Be a floor: `value` or `splice`.
    #[arg(long, hide = true, requires = "base")]
    floor: Option<String>,
    /// (internal) The judge's address.
    #[arg(long, hide = true)]
    base: Option<String>,
    /// Given by cargo.
    #[arg(long, hide = true)]
    bench: bool,
    /// Given by test runners that look for tests here; there are none.
    #[arg(long, hide = true)]
    list: bool,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let ended = match (&args.floor, &args.base) {
        _ if args.list => Ok(true),
        _ if args.judge => judge::be().map(|()| true),
        (Some(way), Some(base)) => floor::run(way, base, args.per_page, batch(&args), args.level).map(|()| true),
        _ => drive(&args),
    };
    match ended {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(e) => {
            eprintln!("sync: {e}");
            ExitCode::FAILURE
        }
    }
}

fn batch(args: &Args) -> u64 {
    args.batch.first().copied().unwrap_or(1).max(1)
}

/// Runs everything; whether all runs were right (and, when asked, the goals met).
fn drive(args: &Args) -> Result<bool, Failure> {
    let judge = judge::Judge::start()?;
    let (mut rows, mut good) = (Vec::new(), true);
    for &batch in &args.batch {
        let cell = Cell { n: args.n, size: args.size, per_page: args.per_page, batch: batch.max(1), level: args.level };
        let begin = rows.len();
        for round in 0..args.rounds {
            let mut order: Vec<&String> = args.only.iter().collect();
            if round % 2 == 1 {
                order.reverse();
            }
            for name in order {
                let row = contend(args, &judge, cell, name, round)?;
                good &= row.right;
                rows.push(row);
            }
        }
        let summary = table::Summary::of(cell, &args.only, &rows[begin..]);
        println!("{summary}");
        good &= !args.goals || summary.meets_goals();
    }
    if let Some(path) = &args.out {
        std::fs::write(path, serde_json::to_vec_pretty(&rows)?)?;
    }
    Ok(good)
}

/// One run of one contender.
fn contend(args: &Args, judge: &judge::Judge, cell: Cell, name: &str, round: usize) -> Result<Row, Failure> {
    let dir = tempfile::tempdir()?;
    judge.reset(cell.n, cell.size)?;
    let mut command = if name == "flowgate" {
        project::write(dir.path(), judge.base(), cell)?;
        let mut command = Command::new(&args.flowgate);
        command.arg("-C").arg(dir.path()).args(["run", "bench"]);
        command
    } else {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["--floor", name, "--base", judge.base()]);
        command.args(["--per-page", &cell.per_page.to_string(), "--batch", &cell.batch.to_string()]);
        command.args(["--level", &cell.level.to_string()]);
        command
    };
    let log = dir.path().join("log");
    let file = std::fs::File::create(&log)?;
    command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
    let cost = measure::run(&mut command, Duration::from_secs(args.timeout))?;
    let ledger = judge.ledger()?;
    let verdict = ledger.verdict();
    let right = cost.success && verdict.exactly_once && verdict.mapped_right;
    if !right {
        let said = std::fs::read_to_string(&log).unwrap_or_default();
        let tail: String =
            said.lines().rev().take(12).collect::<Vec<_>>().into_iter().rev().collect::<Vec<_>>().join("\n");
        eprintln!("{name}: wrong run (exited well: {})\n{ledger}\n{tail}\n", cost.success);
    }
    Ok(Row::new(cell, name, round, right, &cost, &ledger))
}
