//! The one matcher (FORMAT section 0, Rules) and what stands on it: `response`.

use super::file::Finding;
use super::scope::Scope;
use super::table::Table;
use super::value::Value;
use crate::http::verdict::ResponseRules;
use crate::value::context::Root;
use crate::value::rule::{Rule, StatusRange};
use toml::de::DeValue;

impl Table<'_> {
    /// The keys of a rule standing in this table; none when none is given.
    pub(in crate::config) fn rule_keys(&self, scope: &Scope<'_>) -> Option<Rule> {
        let scope = scope.with(&[Root::Response]);
        let keys = ["status", "path", "values", "text", "when"].map(|name| (name, self.take(name)));
        if keys.iter().all(|(_, value)| value.is_none()) {
            return None;
        }
        let [status, path, values, text, when] = keys.map(|(_, value)| value);
        if let (Some(values), None) = (&values, &path) {
            let finding = Finding::error("bad-rule", "`values` without `path` compares with nothing");
            values.report_key(finding.help("add `path`, the place in the body whose value is compared"));
        }
        Some(Rule {
            status: status.map(|value| value.statuses()).unwrap_or_default(),
            path: path.and_then(|value| value.body_path(&scope)),
            values: values.map(|value| value.compared()).unwrap_or_default(),
            text: text.and_then(|value| value.string().map(str::to_owned)),
            when: when.and_then(|value| value.condition(&scope)),
        })
    }
}

impl Value<'_> {
    /// A table that is one rule.
    pub(in crate::config) fn rule(&self, scope: &Scope<'_>) -> Option<Rule> {
        let table = self.table()?;
        let rule = table.rule_keys(scope);
        table.finish();
        if rule.is_none() && table.is_empty() {
            let finding = Finding::error("bad-rule", format!("`{}` tests nothing", self.key));
            self.report(finding.help("give at least one of `status`, `path`, `text`, `when`"));
        }
        rule
    }

    /// `404`, `"5xx"`, or a list of them.
    pub(in crate::config) fn statuses(&self) -> Vec<StatusRange> {
        let items = self.one_or_many();
        if items.is_empty() {
            self.report(Finding::error("bad-rule", format!("`{}` names no status", self.key)));
        }
        items.iter().filter_map(Value::status).collect()
    }

    fn status(&self) -> Option<StatusRange> {
        let range = match self.node() {
            DeValue::Integer(_) => self
                .integer()
                .and_then(|n| u16::try_from(n).ok())
                .map(|status| StatusRange { from: status, to: status }),
            DeValue::String(text) => match text.as_bytes() {
                [digit @ b'1'..=b'5', b'x', b'x'] => {
                    let from = u16::from(digit - b'0') * 100;
                    Some(StatusRange { from, to: from + 99 })
                }
                _ => None,
            },
            _ => {
                self.wrong_type("a status such as 404 or \"5xx\"");
                return None;
            }
        };
        let range = range.filter(|range| (100..=599).contains(&range.from));
        if range.is_none() {
            let finding = Finding::error("out-of-range", format!("`{}` is no HTTP status", self.key));
            self.report(finding.help("write a number from 100 to 599, or a class such as \"5xx\""));
        }
        range
    }

    /// The texts a rule compares with: strings as they are, everything else as JSON writes it.
    fn compared(&self) -> Vec<String> {
        let items = self.list().unwrap_or_default();
        items
            .iter()
            .filter_map(|item| match item.json()? {
                serde_json::Value::String(text) => Some(text),
                value @ (serde_json::Value::Array(_) | serde_json::Value::Object(_)) => {
                    item.wrong_type("a plain value to compare with");
                    drop(value);
                    None
                }
                value => Some(value.to_string()),
            })
            .collect()
    }

    /// `{ success, failure, error_path }`
    pub(in crate::config) fn response(&self, scope: &Scope<'_>) -> Option<ResponseRules> {
        let scope = &scope.of_answer();
        let table = self.table()?;
        for name in ["records", "id"] {
            if let Some(value) = table.take(name) {
                let finding =
                    Finding::error("unused-key", format!("`{}` is read in answers to imports only", value.key));
                value.report_key(finding.help("remove it; the records of an export stand under its own `records`"));
            }
        }
        let rules = ResponseRules {
            success: table.take("success").and_then(|value| value.rule(scope)),
            failure: table.take("failure").and_then(|value| value.rule(scope)),
            error_path: table.take("error_path").and_then(|value| value.body_path(scope)),
        };
        table.finish();
        Some(rules)
    }
}
