//! What `run` and `backfill` take, and what is meant by it.

use crate::app::run::{Asked, Options};
use crate::model::delta::from_words;
use chrono::{DateTime, Utc};
use clap::Args;

/// Arguments of `run`.
#[derive(Debug, Clone, Args)]
pub struct RunArgs {
    /// Ids of flows: `orders` is flows/orders.toml
    #[arg(value_name = "FLOW", required = true)]
    pub flows: Vec<String>,
    /// Show what each stage makes of the records, as `preview` does, and send no import
    #[arg(long)]
    pub dry_run: bool,
    /// Stop after so many records of each flow
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub limit: Option<u64>,
    /// Read what changed since then: 2026-01-31, 2026-01-31T08:00:00Z, or -90d; no mark moves
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub since: Option<String>,
    /// Read what changed until then
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub until: Option<String>,
    /// Read only this export; more than one may be named
    #[arg(long = "export", value_name = "NAME")]
    pub exports: Vec<String>,
    /// Give up a run that did not end, and start anew
    #[arg(long)]
    pub fresh: bool,
}

/// Arguments of `backfill`.
#[derive(Debug, Clone, Args)]
pub struct BackfillArgs {
    /// Id of a flow whose export has a delta
    #[arg(value_name = "FLOW")]
    pub flow: String,
    /// The beginning: 2024-01-01, 2024-01-01T08:00:00Z, or -2y
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub since: String,
    /// The end; now without it
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub until: Option<String>,
    /// Length of a window; the delta's own `step`, or 1mo, without it
    #[arg(long, value_name = "STEP")]
    pub step: Option<String>,
    /// Give up a backfill or a run that did not end, and start anew
    #[arg(long)]
    pub fresh: bool,
}

impl RunArgs {
    /// How the runs are wanted, by what was typed at this time.
    pub fn options(&self, now: DateTime<Utc>) -> Result<Options, String> {
        Ok(Options {
            limit: self.limit,
            exports: self.exports.clone(),
            dry_run: self.dry_run,
            fresh: self.fresh,
            asked: asked(self.since.as_deref(), self.until.as_deref(), now)?,
            occurrence: None,
        })
    }
}

/// `--since` and `--until`.
pub fn asked(since: Option<&str>, until: Option<&str>, now: DateTime<Utc>) -> Result<Asked, String> {
    let time = |flag: &str, text: Option<&str>| {
        text.map(|text| from_words(text, now)).transpose().map_err(|error| format!("{flag}: {error}"))
    };
    let asked = Asked { since: time("--since", since)?, until: time("--until", until)? };
    if asked.since.zip(asked.until).is_some_and(|(since, until)| since > until) {
        return Err("--since is later than --until".to_owned());
    }
    Ok(asked)
}
