//! `on`: error rules, wherever a request is described and on a connection.

use super::file::Finding;
use super::scope::Scope;
use super::table::Table;
use super::value::Value;
use crate::http::on::{Act, OnRule, OnRules, Wait};
use crate::http::verdict::RetryAfterUnit;
use crate::value::template::Place;
use std::num::NonZeroU32;

/// More answers than a rule may ask to match one request.
const MOST_ATTEMPTS: u64 = 10_000;

impl Table<'_> {
    /// `on` of this table. Its texts see the answer and the connection.
    pub(in crate::config) fn on_rules(&self, scope: &Scope<'_>) -> OnRules {
        if scope.is_of_notice() {
            // There `on` names occasions, and is read by itself.
            return OnRules::default();
        }
        let scope = scope.of_answer();
        let Some(value) = self.take("on") else { return OnRules::default() };
        if value.is_table() {
            let finding = Finding::error("wrong-type", format!("`{}` is a list of rules, not a table", value.key));
            value.report(finding.help(format!("write `[[{}]]`, with both brackets", value.key)));
            return OnRules::default();
        }
        value.list().unwrap_or_default().iter().filter_map(|value| value.on_rule(&scope)).collect()
    }

    /// `on` of a request that fetches a credential: it is repeated as renewals are, if at all.
    pub(in crate::config) fn errand_rules(&self, scope: &Scope<'_>) -> OnRules {
        let acts = [Act::Skip, Act::Stop, Act::Refresh];
        let help = "it can be `retry`, `limited`, `fail` or `success`";
        self.on_without(&acts, "this is what renews, and there is nothing to pass over", help);
        for table in self.on_tables() {
            if let Some(value) = table.peek("max_attempts") {
                let finding = Finding::error("conflicting-keys", "a renewal is tried again as `[retry]` says");
                value.report_key(finding.help("remove `max_attempts`"));
            }
        }
        self.on_rules(scope)
    }

    /// The rules of `on` as they stand, none where it is something else.
    fn on_tables(&self) -> Vec<Table<'_>> {
        let list = self.peek("on").filter(|value| matches!(value.node(), toml::de::DeValue::Array(_)));
        let rules = list.and_then(|value| value.list()).unwrap_or_default();
        rules.iter().filter(|rule| rule.is_table()).filter_map(Value::table).collect()
    }

    /// Refuses what `on` may not do here. Asked before `on` itself is taken.
    pub(in crate::config) fn on_without(&self, acts: &[Act], why: &str, help: &str) {
        for table in self.on_tables() {
            let word = table.peek("do");
            let told = word.as_ref().and_then(Value::raw_str);
            if let (Some(word), Some(act)) = (&word, acts.iter().find(|act| told == Some(act.name()))) {
                let finding = Finding::error("bad-rule", format!("`do = \"{}\"`: {why}", act.name()));
                word.report(finding.help(help.to_owned()));
            }
        }
    }
}

impl Value<'_> {
    fn on_rule(&self, scope: &Scope<'_>) -> Option<OnRule> {
        let table = self.table()?;
        let rule = table.rule_keys(scope);
        let act = table.need("do").and_then(|value| value.word(Act::WORDS, &[]));
        if let Some(act) = act.filter(|act| !act.repeats()) {
            for name in ["max_attempts", "wait"] {
                if let Some(value) = table.peek(name) {
                    let text = format!("`{name}` says nothing where `do = \"{}\"`", act.name());
                    let finding = Finding::error("conflicting-keys", text);
                    value.report_key(finding.help("it is for `retry` and `limited`"));
                }
            }
        }
        let attempts = table.given("max_attempts", |value| value.number(1..=MOST_ATTEMPTS, scope));
        let wait = table.given("wait", Value::on_wait);
        let message = table.given("message", |value| value.text(Place::Plain, scope));
        if rule.is_none() {
            let finding = Finding::error("bad-rule", format!("`{}` tests nothing", self.key));
            self.report(finding.help("give at least one of `status`, `path`, `text`, `when`"));
        }
        table.finish();
        let attempts = attempts.ok()?.and_then(|count| u32::try_from(count).ok()).and_then(NonZeroU32::new);
        Some(OnRule { rule: rule?, act: act?, max_attempts: attempts, wait: wait.ok()?, message: message.ok()? })
    }

    /// A duration, or where the answer tells one.
    fn on_wait(&self) -> Option<Wait> {
        if !self.is_table() {
            return self.duration().map(Wait::For);
        }
        let table = self.table()?;
        let header = table.need("header").and_then(|value| value.header_name());
        let unit = table.given("unit", |value| value.word(RetryAfterUnit::WORDS, &[]));
        let min = table.given("min", Value::duration);
        table.finish();
        Some(Wait::Told { header: header?, unit: unit.ok()?.unwrap_or_default(), min: min.ok()?.unwrap_or_default() })
    }
}
