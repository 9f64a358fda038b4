//! `[[on]]`: what is done about answers that the rest of the law would judge otherwise. The first rule that matches
//! decides, before everything else, over 429 too.

use super::retry_after;
use super::verdict::RetryAfterUnit;
use crate::value::context::{Context, Root, Slot};
use crate::value::rule::Rule;
use crate::value::template::Template;
use chrono::{DateTime, Utc};
use reqwest::header::HeaderMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

/// `do`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// As if there were nothing: a page without records, a record that is not imported.
    Skip,
    /// Paging ends, without error.
    Stop,
    /// The same again, whatever the method.
    Retry,
    /// The pool pauses, as after a 429.
    Limited,
    /// The run ends.
    Fail,
    /// The credential is renewed, as after a 401.
    Refresh,
    /// It is good, whatever the status.
    Success,
}

impl Act {
    /// All of them by name.
    pub const WORDS: &'static [(&'static str, Self)] = &[
        ("skip", Self::Skip),
        ("stop", Self::Stop),
        ("retry", Self::Retry),
        ("limited", Self::Limited),
        ("fail", Self::Fail),
        ("refresh", Self::Refresh),
        ("success", Self::Success),
    ];

    /// Its name in the file.
    pub fn name(self) -> &'static str {
        Self::WORDS.iter().find(|(_, act)| *act == self).map_or("", |(name, _)| name)
    }

    /// Whether the request is sent again.
    pub fn repeats(self) -> bool {
        matches!(self, Self::Retry | Self::Limited)
    }
}

/// `wait`
#[derive(Debug, Clone)]
pub enum Wait {
    /// As long as this.
    For(Duration),
    /// As long as the answer says.
    Told {
        /// Where.
        header: String,
        /// How its number reads; dates are always understood.
        unit: RetryAfterUnit,
        /// At least this long, and as long where the header is absent.
        min: Duration,
    },
}

/// One rule of `[[on]]`.
#[derive(Debug, Clone)]
pub struct OnRule {
    /// Which answers.
    pub rule: Rule,
    /// `do`
    pub act: Act,
    /// `max_attempts` of `retry` and `limited`, this rule's own: answers it may match.
    pub max_attempts: Option<NonZeroU32>,
    /// `wait`
    pub wait: Option<Wait>,
    /// `message`: text over `connection` and `response`.
    pub message: Option<Template>,
}

/// Rules in the order in which they are tried.
pub type OnRules = Arc<[OnRule]>;

/// What a rule that leads to no answer wants of the one who asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ruling {
    /// `skip`
    Skip,
    /// `stop`
    Stop,
    /// `fail`
    Fail,
}

impl OnRule {
    /// How long to wait before the next attempt; none = as if the rule said nothing.
    pub(super) fn wait(&self, headers: &HeaderMap, now: DateTime<Utc>) -> Option<Duration> {
        match self.wait.as_ref()? {
            Wait::For(length) => Some(*length),
            Wait::Told { header, unit, min } => {
                let told = retry_after::longest(headers, header, *unit, now);
                told.map(|told| told.max(*min)).or_else(|| (!min.is_zero()).then_some(*min))
            }
        }
    }

    /// Whether it reads this root.
    pub(super) fn reads(&self, root: Root) -> bool {
        let says = |message: &Template| message.references().iter().any(|read| read.root == root.name());
        self.rule.reads(root) || self.message.as_ref().is_some_and(says)
    }

    /// Its message about an answer; none where it has none, or it says nothing.
    pub(super) fn says(&self, response: &[(&str, Slot<'_>)], ctx: &Context<'_>) -> Option<String> {
        let mut out = String::new();
        self.message.as_ref()?.render(&ctx.with(Root::Response, Slot::Map(response)), &mut out).ok()?;
        Some(out).filter(|text| !text.trim().is_empty())
    }
}

/// How often each rule has matched one request: what counts towards its own `max_attempts`.
#[derive(Debug, Default)]
pub(super) struct Tries(Vec<u32>);

impl Tries {
    /// Counts a match of this rule; gives how many there are now.
    pub(super) fn count(&mut self, rule: usize) -> u32 {
        if self.0.len() <= rule {
            self.0.resize(rule + 1, 0);
        }
        let count = &mut self.0[rule];
        *count = count.saturating_add(1);
        *count
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::HeaderValue;

    fn rule(wait: Option<Wait>) -> OnRule {
        OnRule { rule: Rule::default(), act: Act::Retry, max_attempts: None, wait, message: None }
    }

    #[test]
    fn a_wait_is_fixed_or_told_by_the_answer() {
        let now = DateTime::from_timestamp(1_790_000_000, 0).unwrap();
        let mut headers = HeaderMap::new();
        let seconds = Duration::from_secs;
        assert_eq!(rule(None).wait(&headers, now), None);
        assert_eq!(rule(Some(Wait::For(seconds(3)))).wait(&headers, now), Some(seconds(3)));
        let told = |unit, min| rule(Some(Wait::Told { header: "X-Wait".to_owned(), unit, min: seconds(min) }));
        assert_eq!(told(RetryAfterUnit::Seconds, 0).wait(&headers, now), None, "as if it said nothing");
        assert_eq!(told(RetryAfterUnit::Seconds, 2).wait(&headers, now), Some(seconds(2)));
        headers.insert("x-wait", HeaderValue::from_static("7"));
        assert_eq!(told(RetryAfterUnit::Seconds, 2).wait(&headers, now), Some(seconds(7)));
        assert_eq!(told(RetryAfterUnit::Millis, 2).wait(&headers, now), Some(seconds(2)));
        headers.insert("x-wait", HeaderValue::from_static("1790000009"));
        assert_eq!(told(RetryAfterUnit::EpochSeconds, 2).wait(&headers, now), Some(seconds(9)));
    }

    #[test]
    fn every_rule_counts_for_itself() {
        let mut tries = Tries::default();
        assert_eq!([tries.count(2), tries.count(0), tries.count(2), tries.count(1)], [1, 1, 2, 1]);
    }
}
