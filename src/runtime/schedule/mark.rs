//! What is remembered of a flow's schedule over restarts: how far it was handled, and by which line.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use std::fmt;
use std::str::FromStr;

/// A mark further ahead of the clock than this was made under a clock that was wrong, and holds nothing up.
pub const AHEAD: TimeDelta = TimeDelta::days(1);

/// How far a flow's schedule has been handled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// Nothing up to and including this instant is handed out (again).
    pub done: DateTime<Utc>,
    /// Which instants it stands among: [`crate::model::schedule::Schedule::fingerprint`]. None when a mark was set by
    /// hand: it holds for any line.
    pub line: Option<u64>,
    /// The flow had no schedule when this was written: it was disabled, removed, or lost its `[schedule]`.
    pub off: bool,
}

/// A text that is no mark.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no mark of a schedule: it begins with a time such as 2027-01-31T12:00:00Z")]
pub struct NoMark(String);

/// From where a flow goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Resume {
    pub(super) done: DateTime<Utc>,
    /// Whether the mark was believed.
    pub(super) trusted: bool,
}

impl Mark {
    /// From where a flow whose line is `line` goes on. While it was off nothing was missed, and a line that was
    /// edited begins now, as under a reload; but neither hands out an instant again.
    pub(super) fn resume(self, line: u64, now: DateTime<Utc>) -> Resume {
        if self.done > now + AHEAD {
            return Resume { done: now, trusted: false };
        }
        let same = self.line.is_none_or(|before| before == line);
        let done = if same && !self.off { self.done } else { self.done.max(now) };
        Resume { done, trusted: true }
    }
}

/// The stored form: the instant, the line's fingerprint, and `off`.
impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.done.to_rfc3339_opts(SecondsFormat::AutoSi, true))?;
        if let Some(line) = self.line {
            write!(f, " {line:016x}")?;
        }
        if self.off { f.write_str(" off") } else { Ok(()) }
    }
}

impl FromStr for Mark {
    type Err = NoMark;

    fn from_str(text: &str) -> Result<Self, NoMark> {
        let refuse = || NoMark(text.chars().take(80).collect());
        let mut words = text.split_ascii_whitespace();
        let done = words.next().and_then(|word| DateTime::parse_from_rfc3339(word).ok()).ok_or_else(refuse)?.to_utc();
        let mut words: Vec<&str> = words.collect();
        let off = words.last() == Some(&"off");
        words.truncate(words.len() - usize::from(off));
        match words[..] {
            [] => Ok(Self { done, line: None, off }),
            [line] => {
                u64::from_str_radix(line, 16).map(|line| Self { done, line: Some(line), off }).map_err(|_| refuse())
            }
            _ => Err(refuse()),
        }
    }
}
