//! `[export.delta]`: what changed since the last export, by a field of the records or by the clock.
//!
//! - [`step`]: lengths of time on a calendar
//! - [`windows`]: a span of time, cut into windows
//! - [`format`]: how instants are written in requests and records
//!
//! Nothing here knows a store or a request; `runtime::export::delta` does.

pub mod format;
pub mod step;
pub mod windows;

use crate::value::context::Context;
use crate::value::issue::EvalError;
use crate::value::path::Path;
use crate::value::record::Record;
use crate::value::tree::Tree;
use chrono::{DateTime, Utc};
use format::Format;
use step::Step;

/// A valid `[export.delta]`.
#[derive(Debug, Clone)]
pub struct Delta {
    /// `field`: when a record last changed.
    pub field: Option<Path>,
    /// `format`: how instants are sent.
    pub format: Format,
    /// `read`: how records write them; none = as they are sent, or the usual way.
    pub read: Vec<Format>,
    /// `start`: where the first export begins.
    pub start: Option<Bound>,
    /// `end`: where every export ends.
    pub end: Option<Bound>,
    /// `lookback`: how much is read again each time.
    pub lookback: Step,
    /// `lag`: how late the source shows changes, without `field`.
    pub lag: Step,
    /// `step`: one window after the other.
    pub step: Option<Step>,
    /// `granularity`
    pub granularity: Step,
    /// `filter = "client"`: older records are left out here.
    pub client: bool,
    /// `stop_at_old`: the newest come first, and what follows an old one is old.
    pub stop_at_old: bool,
    /// `scope = "value"`: one mark for each value of `each`.
    pub per_value: bool,
}

/// One end of a span.
#[derive(Debug, Clone)]
pub enum Bound {
    /// An instant.
    At(DateTime<Utc>),
    /// `-90d`: so long before the run began.
    Before(Step),
    /// What a template or an expression gives.
    Given(Box<Tree>),
}

impl Bound {
    /// The instant, for a run that began `started`.
    pub fn instant(
        &self,
        started: DateTime<Utc>,
        format: &Format,
        ctx: &Context<'_>,
    ) -> Result<DateTime<Utc>, EvalError> {
        match self {
            Self::At(at) => Ok(*at),
            Self::Before(step) => Ok(step.before(started)),
            Self::Given(tree) => {
                let text = tree.text(ctx)?.unwrap_or_default();
                let given = format.read_text(text.trim()).map_or_else(|| from_words(&text, started), Ok);
                given.map_err(EvalError::Type)
            }
        }
    }
}

/// An instant as people write it: RFC 3339, a date, or `-90d`.
pub fn from_words(text: &str, now: DateTime<Utc>) -> Result<DateTime<Utc>, String> {
    let text = text.trim();
    if let Some(back) = text.strip_prefix('-') {
        return Step::parse(back).map(|step| step.before(now));
    }
    let at = format::usual(text).filter(|at| (step::FIRST..=step::LAST).contains(at));
    at.ok_or_else(|| {
        format!("`{text}` is no time: write `2026-01-31T08:00:00Z`, `2026-01-31`, or `-90d` for a time before now")
    })
}

impl Delta {
    /// When a record last changed; an error that says what is wrong with its field.
    pub fn changed(&self, record: &Record) -> Option<Result<DateTime<Utc>, EvalError>> {
        let path = self.field.as_ref()?;
        Some(self.read_field(path, record).map_err(|error| error.at("delta.field")))
    }

    fn read_field(&self, path: &Path, record: &Record) -> Result<DateTime<Utc>, EvalError> {
        let found = path.select_record(record)?;
        let Some(value) = found.first().filter(|value| !value.is_null()) else {
            return Err(EvalError::Missing(format!("`{}` is missing or null", path.source())));
        };
        let own = [self.format.clone()];
        let formats = if self.read.is_empty() { &own[..] } else { &self.read[..] };
        let usual = [Format::Rfc3339];
        let more = if self.read.is_empty() { &usual[..] } else { &[] };
        let read = formats.iter().chain(more).find_map(|format| format.read(value));
        read.filter(|at| *at >= step::FIRST).ok_or_else(|| {
            let shown: String = value.text().chars().take(60).collect();
            EvalError::Type(format!(
                "`{}` is {shown}, which is no time in the form of `format` or `read`; name its form in `read`",
                path.source()
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::json::Json;

    pub(super) fn delta(field: &str, format: &str, read: &[&str]) -> Delta {
        Delta {
            field: Some(Path::compile(field).unwrap()),
            format: Format::named(format).unwrap(),
            read: read.iter().map(|format| Format::named(format).unwrap()).collect(),
            start: None,
            end: None,
            lookback: Step::default(),
            lag: Step::default(),
            step: None,
            granularity: Step::default(),
            client: false,
            stop_at_old: false,
            per_value: true,
        }
    }

    fn changed(delta: &Delta, record: &str) -> Result<String, EvalError> {
        let record = Record::new(Json::parse(record.to_owned()).unwrap());
        delta.changed(&record).unwrap().map(|at| at.to_rfc3339())
    }

    #[test]
    fn a_record_tells_when_it_changed_in_the_form_that_is_sent_or_one_that_is_named() {
        let seconds = delta("$.at", "epoch_s", &[]);
        assert_eq!(changed(&seconds, "{\"at\":60}").unwrap(), "1970-01-01T00:01:00+00:00");
        assert_eq!(changed(&seconds, "{\"at\":\"1970-01-01T00:01:00Z\"}").unwrap(), "1970-01-01T00:01:00+00:00");
        let named = delta("meta.at", "rfc3339", &["epoch_ms", "%d.%m.%Y"]);
        assert_eq!(changed(&named, "{\"meta\":{\"at\":60000}}").unwrap(), "1970-01-01T00:01:00+00:00");
        assert_eq!(changed(&named, "{\"meta\":{\"at\":\"31.01.2026\"}}").unwrap(), "2026-01-31T00:00:00+00:00");
        assert!(changed(&named, "{\"meta\":{\"at\":\"2026-01-31\"}}").is_err(), "`read` names them all");
    }

    #[test]
    fn a_field_that_is_missing_null_or_no_time_is_said_by_name() {
        let delta = delta("$.at", "rfc3339", &[]);
        for record in ["{}", "{\"at\":null}", "[]", "1"] {
            let error = changed(&delta, record).unwrap_err();
            assert!(error.is_missing() && error.to_string().contains("$.at"), "{record}: {error}");
        }
        for record in ["{\"at\":true}", "{\"at\":[]}", "{\"at\":\"soon\"}", "{\"at\":\"1066-10-14\"}"] {
            let error = changed(&delta, record).unwrap_err().to_string();
            assert!(error.contains("$.at") && error.contains("`read`"), "{record}: {error}");
        }
        let long = format!("{{\"at\":\"{}\"}}", "x".repeat(10_000));
        assert!(changed(&delta, &long).unwrap_err().to_string().len() < 300);
    }

    #[test]
    fn people_write_a_time_a_date_or_how_long_ago() {
        let now = format::usual("2026-03-31T08:00:00Z").unwrap();
        let words = |text: &str| from_words(text, now).map(|at| at.to_rfc3339());
        assert_eq!(words("-1mo").unwrap(), "2026-02-28T08:00:00+00:00");
        assert_eq!(words("2026-01-31").unwrap(), "2026-01-31T00:00:00+00:00");
        assert_eq!(words(" 2026-01-31T08:00:00+02:00 ").unwrap(), "2026-01-31T06:00:00+00:00");
        for text in ["", "-", "yesterday", "2026-02-30", "-90", "+1d", "1066-10-14", "1767225600"] {
            assert!(words(text).is_err(), "{text}");
        }
    }
}
