//! `flowgate runs …` as typed.

use crate::store::Phase;
use crate::store::socket::RunsAsk;
use crate::value::id::FlowId;
use clap::{Args, Subcommand, ValueEnum};

/// What is to be done about runs.
#[derive(Debug, Clone, Subcommand)]
pub enum RunsCommand {
    /// Lists runs, the newest first
    List(ListArgs),
    /// Shows everything that is known of a run
    Show(Which),
    /// Shows the log lines of a run
    Logs(Which),
    /// Has the running `serve` stop a run: what is left goes on with the flow's next one
    Cancel(CancelArgs),
}

/// Arguments of `list`.
#[derive(Debug, Clone, Default, Args)]
pub struct ListArgs {
    /// Of this flow
    #[arg(long, value_name = "FLOW", value_parser = flow)]
    pub flow: Option<FlowId>,
    /// In this phase
    #[arg(long, value_enum, value_name = "PHASE")]
    pub phase: Option<PhaseWord>,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub limit: u32,
}

/// One run.
#[derive(Debug, Clone, Args)]
pub struct Which {
    /// Id of a run, as `runs list` shows it; of a flow: its newest run
    #[arg(value_name = "RUN|FLOW")]
    pub id: String,
}

/// Arguments of `cancel`.
#[derive(Debug, Clone, Args)]
pub struct CancelArgs {
    /// Id of a run, or of the flow whose run it is
    #[arg(value_name = "RUN|FLOW")]
    pub id: String,
}

/// `--phase`
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PhaseWord {
    /// Under way
    Running,
    /// Stopped with records left: goes on with the flow's next run
    Held,
    /// Over
    Ended,
    /// Given up by hand
    Dismissed,
}

impl ListArgs {
    /// As it is asked.
    pub fn ask(&self) -> RunsAsk {
        let phase = self.phase.map(|word| match word {
            PhaseWord::Running => Phase::Running,
            PhaseWord::Held => Phase::Held,
            PhaseWord::Ended => Phase::Ended,
            PhaseWord::Dismissed => Phase::Dismissed,
        });
        RunsAsk { flow: self.flow.clone(), phase, before: None, limit: Some(self.limit) }
    }
}

fn flow(text: &str) -> Result<FlowId, String> {
    FlowId::parse(text).map_err(|error| error.to_string())
}
