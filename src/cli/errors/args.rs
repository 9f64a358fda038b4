//! `flowgate errors …` as typed.

use crate::store::ErrorFilter;
use crate::value::id::FlowId;
use crate::value::time::parse_duration;
use chrono::{DateTime, Utc};
use clap::{Args, Subcommand};
use std::path::PathBuf;
use std::time::Duration;

/// What is to be done with error records.
#[derive(Debug, Clone, Subcommand)]
pub enum ErrorsCommand {
    /// Shows open error records: on a terminal by what they have in common, elsewhere one by one
    List(ListArgs),
    /// Shows everything that is known of error records
    Show {
        /// Numbers of error records
        #[arg(value_name = "ID", required = true, value_parser = clap::value_parser!(u64).range(1..))]
        ids: Vec<u64>,
    },
    /// Puts another record in the place of the one that failed; `retry` then sends it
    Edit(EditArgs),
    /// Tries open error records again, each from the step where it failed
    Retry(Selection),
    /// Settles open error records by hand: they count as dismissed
    Resolve(Selection),
    /// Lets settled error records go for good
    Purge(PurgeArgs),
}

/// Which error records.
#[derive(Debug, Clone, Default, Args)]
pub struct Selection {
    /// Numbers of error records
    #[arg(value_name = "ID", value_parser = clap::value_parser!(u64).range(1..))]
    pub ids: Vec<u64>,
    /// Of this flow
    #[arg(long, value_name = "FLOW", value_parser = flow)]
    pub flow: Option<FlowId>,
    /// Of this run
    #[arg(long, value_name = "RUN")]
    pub run: Option<String>,
    /// Of this class: rejected, unreachable, unknown, record, …
    #[arg(long, value_name = "CLASS")]
    pub class: Option<String>,
    /// Whose fingerprint begins so
    #[arg(long, value_name = "HEX")]
    pub fingerprint: Option<String>,
    /// Opened longer ago than this, such as `12h` or `2d`
    #[arg(long, value_name = "AGE", value_parser = parse_duration)]
    pub older_than: Option<Duration>,
    /// All of them
    #[arg(long, conflicts_with_all = ["ids", "flow", "run", "class", "fingerprint", "older_than"])]
    pub all: bool,
}

/// Arguments of `list`.
#[derive(Debug, Clone, Default, Args)]
pub struct ListArgs {
    /// Which; all open ones when nothing is named
    #[command(flatten)]
    pub which: Selection,
    /// One by one
    #[arg(long, conflicts_with = "group")]
    pub each: bool,
    /// By what they have in common
    #[arg(long)]
    pub group: bool,
    /// Also those that are not open any more
    #[arg(long)]
    pub settled: bool,
    /// At most so many lines
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: Option<u32>,
}

/// Arguments of `purge`.
#[derive(Debug, Clone, Args)]
pub struct PurgeArgs {
    /// Which.
    #[command(flatten)]
    pub which: Selection,
    /// Open ones too: they count as dismissed
    #[arg(long)]
    pub open: bool,
}

/// Arguments of `edit`.
#[derive(Debug, Clone, Args)]
pub struct EditArgs {
    /// Number of the error record
    #[arg(value_name = "ID", value_parser = clap::value_parser!(u64).range(1..))]
    pub id: u64,
    /// Change one place, such as 'customer.id=7'; may be repeated
    #[arg(long, value_name = "PATH=JSON", conflicts_with = "file")]
    pub set: Vec<String>,
    /// Take the record from a file
    #[arg(long, value_name = "PATH")]
    pub file: Option<PathBuf>,
}

impl ErrorsCommand {
    /// By what records are chosen, where that is more than numbers.
    pub fn selection(&self) -> Option<&Selection> {
        match self {
            Self::List(list) => Some(&list.which),
            Self::Retry(which) | Self::Resolve(which) => Some(which),
            Self::Purge(purge) => Some(&purge.which),
            Self::Show { .. } | Self::Edit(_) => None,
        }
    }
}

fn flow(text: &str) -> Result<FlowId, String> {
    FlowId::parse(text).map_err(|error| error.to_string())
}

impl Selection {
    /// As the store is asked.
    pub fn filter(&self, now: DateTime<Utc>) -> ErrorFilter {
        let age = self.older_than.and_then(|age| chrono::TimeDelta::from_std(age).ok());
        ErrorFilter {
            ids: self.ids.clone(),
            flow: self.flow.clone(),
            run: self.run.clone(),
            class: self.class.clone(),
            fingerprint: self.fingerprint.clone(),
            before: age.map(|age| now - age),
            ..ErrorFilter::default()
        }
    }

    /// Whether nothing was named at all: too much for a command that changes something.
    pub fn is_empty(&self) -> bool {
        !self.all && self.filter(DateTime::UNIX_EPOCH) == ErrorFilter::default()
    }
}
