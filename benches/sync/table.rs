//! Medians, ratios to the reference, and the goals, as a table and as JSON.

use super::measure::Cost;
use flowgate::playground::Report;
use serde::Serialize;
use std::fmt;

/// CPU against the `value` floor at one record a request, and at a hundred.
const GOAL_SINGLE: f64 = 1.3;
const GOAL_BATCH: f64 = 0.8;
const GOAL_RSS_MB: f64 = 20.0;

/// What is measured.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Cell {
    pub n: u64,
    pub size: usize,
    pub per_page: u64,
    pub batch: u64,
    pub level: u64,
}

/// One run.
#[derive(Debug, Serialize)]
pub struct Row {
    #[serde(flatten)]
    pub cell: Cell,
    pub name: String,
    pub round: usize,
    /// Ended well, each record once, every field right.
    pub right: bool,
    pub cpu_s: f64,
    pub user_s: f64,
    pub system_s: f64,
    pub wall_s: f64,
    pub rss_mb: f64,
    pub requests: u64,
    pub most_in_flight: u64,
}

impl Row {
    #[expect(clippy::cast_precision_loss, reason = "kilobytes of one process")]
    pub fn new(cell: Cell, name: &str, round: usize, right: bool, cost: &Cost, ledger: &Report) -> Self {
        Self {
            cell,
            name: name.to_owned(),
            round,
            right,
            cpu_s: cost.user_s + cost.system_s,
            user_s: cost.user_s,
            system_s: cost.system_s,
            wall_s: cost.wall_s,
            rss_mb: cost.peak_rss_kib as f64 / 1024.0,
            requests: ledger.sinks.requests,
            most_in_flight: ledger.sinks.most_in_flight,
        }
    }
}

/// A cell's table.
pub struct Summary {
    cell: Cell,
    lines: Vec<Line>,
}

struct Line {
    name: String,
    right: bool,
    cpu_s: f64,
    system_share: f64,
    wall_s: f64,
    rss_mb: f64,
    most_in_flight: u64,
    /// CPU and wall against the reference of the same round.
    cpu_ratio: f64,
    wall_ratio: f64,
}

impl Summary {
    /// `names` in order; the first is the reference.
    pub fn of(cell: Cell, names: &[String], rows: &[Row]) -> Self {
        let of = |name: &String| rows.iter().filter(|row| row.name == *name).collect::<Vec<_>>();
        let reference = names.first().map(of).unwrap_or_default();
        let line = |name: &String| {
            let mine = of(name);
            let against = |pick: fn(&Row) -> f64| {
                let same_round =
                    |row: &&Row| reference.iter().find(|r| r.round == row.round).map(|r| pick(row) / pick(r));
                median(mine.iter().filter_map(same_round))
            };
            Line {
                name: name.clone(),
                right: mine.iter().all(|row| row.right),
                cpu_s: median(mine.iter().map(|row| row.cpu_s)),
                system_share: median(mine.iter().map(|row| row.system_s / row.cpu_s)),
                wall_s: median(mine.iter().map(|row| row.wall_s)),
                rss_mb: median(mine.iter().map(|row| row.rss_mb)),
                most_in_flight: mine.iter().map(|row| row.most_in_flight).max().unwrap_or(0),
                cpu_ratio: against(|row| row.cpu_s),
                wall_ratio: against(|row| row.wall_s),
            }
        };
        Self { cell, lines: names.iter().map(line).collect() }
    }

    /// The goal for CPU against the floor, where there is one.
    fn goal(&self) -> Option<f64> {
        match self.cell.batch {
            1 => Some(GOAL_SINGLE),
            100.. => Some(GOAL_BATCH),
            _ => None,
        }
    }

    /// Whether flowgate is within the goals; true when it did not take part.
    pub fn meets_goals(&self) -> bool {
        self.lines.iter().filter(|line| line.name == "flowgate").all(|line| {
            line.right && self.goal().is_none_or(|goal| line.cpu_ratio <= goal) && line.rss_mb <= GOAL_RSS_MB
        })
    }
}

impl fmt::Display for Summary {
    #[expect(clippy::cast_precision_loss, reason = "numbers of records")]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Cell { n, size, per_page, batch, level } = self.cell;
        writeln!(f, "{n} records of {size} bytes, {per_page} a page, {batch} a request, level {level}")?;
        writeln!(f, "contender  right   cpu s  us/record   sys%  wall s  rec/s   rss MB  at once  cpu x  wall x")?;
        for l in &self.lines {
            writeln!(
                f,
                "{:9}  {:>5}  {:>6.2}  {:>9.1}  {:>5.0}  {:>6.2}  {:>6.0}  {:>6.1}  {:>7}  {:>5.2}  {:>6.2}",
                l.name,
                if l.right { "yes" } else { "NO" },
                l.cpu_s,
                l.cpu_s * 1e6 / n as f64,
                l.system_share * 100.0,
                l.wall_s,
                n as f64 / l.wall_s,
                l.rss_mb,
                l.most_in_flight,
                l.cpu_ratio,
                l.wall_ratio
            )?;
        }
        match self.goal() {
            Some(goal) => writeln!(f, "goal for flowgate: cpu x <= {goal}, rss <= {GOAL_RSS_MB} MB"),
            None => writeln!(f, "goal for flowgate: rss <= {GOAL_RSS_MB} MB"),
        }
    }
}

/// The middle of some numbers; the mean of the two middles when even.
fn median(numbers: impl Iterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = numbers.filter(|n| n.is_finite()).collect();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.as_slice() {
        [] => f64::NAN,
        all if all.len() % 2 == 1 => all[middle],
        all => f64::midpoint(all[middle - 1], all[middle]),
    }
}
