//! Weeks of schedules in seconds: the heap under restarts, crashes, reloads, renames, sleep and moved clocks, judged
//! against an oracle of its own.
//!
//! - [`lines`]: cron lines with their meaning in plain code, and the instants that gives by reading the wall clock
//! - [`world`]: the flows and what is done to their files
//! - [`driver`]: one process after another on one set of saved marks, under a clock that does not always behave
//! - [`judge`]: every occurrence exactly once, or a good reason why not
//!
//! Everything follows from the seed: the same one gives the same trace.

mod driver;
mod judge;
mod lines;
mod world;

use serde::Serialize;

/// What to simulate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// Simulated time. The last twelve hours are undisturbed, so that everything is made up for at the end.
    pub hours: u32,
    /// How many flows.
    pub flows: u32,
    /// Everything follows from it.
    pub seed: u64,
}

/// What came of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// As planned.
    pub seed: u64,
    /// As planned.
    pub hours: u32,
    /// As planned.
    pub flows: u32,
    /// Occurrences that the oracle counts in the time the flows were on.
    pub occurrences: u64,
    /// Handed out, each once.
    pub runs: u64,
    /// Of these: made up for.
    pub late: u64,
    /// Passed over for a reason the judge found true: the process or machine was off, and `missed` says so.
    pub passed: u64,
    /// Handed out twice, or after a later one.
    pub duplicates: u64,
    /// Handed out though the oracle knows no such occurrence.
    pub invented: u64,
    /// Neither handed out nor passed over for a good reason.
    pub lost: u64,
    /// Handed out against `missed`, or marked late when on time, or the other way round.
    pub misjudged: u64,
    /// The most catch-up starts within one second.
    pub busiest_second: u32,
    /// Restarts with everything saved.
    pub restarts: u32,
    /// Restarts between two writes.
    pub crashes: u32,
    /// Times the process or machine was off for longer than a moment.
    pub outages: u32,
    /// Times the clock was moved.
    pub clock_jumps: u32,
    /// Changed projects.
    pub reloads: u32,
    /// The first findings, in words.
    pub findings: Vec<String>,
    /// Hash of every hand-out with its time.
    pub trace: String,
}

impl Outcome {
    /// Whether exactly the oracle's runs were handed out.
    pub fn holds(&self) -> bool {
        self.duplicates + self.invented + self.lost + self.misjudged == 0
            && self.busiest_second <= super::PER_SECOND
            && self.occurrences == self.runs + self.passed
            && self.findings.is_empty()
    }
}

/// Runs the simulation.
pub fn simulate(plan: Plan) -> Outcome {
    driver::drive(plan)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_days_of_restarts_reloads_and_moved_clocks_give_exactly_the_oracles_runs() {
        let outcome = simulate(Plan { hours: 240, flows: 300, seed: 1 });
        assert!(outcome.holds(), "{outcome:#?}");
        assert!(outcome.runs > 20_000 && outcome.late > 200 && outcome.passed > 1_000, "{outcome:#?}");
        let events = [outcome.restarts, outcome.crashes, outcome.outages, outcome.clock_jumps, outcome.reloads];
        assert!(events.iter().all(|count| *count >= 5), "{outcome:#?}");
        assert_eq!(outcome, simulate(Plan { hours: 240, flows: 300, seed: 1 }), "the same seed, the same trace");
    }

    #[test]
    fn many_short_histories_hold_and_differ() {
        let mut traces = std::collections::BTreeSet::new();
        for seed in 100..112 {
            let outcome = simulate(Plan { hours: 48, flows: 40, seed });
            assert!(outcome.holds(), "{outcome:#?}");
            traces.insert(outcome.trace);
        }
        assert_eq!(traces.len(), 12);
    }
}
