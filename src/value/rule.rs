//! The one matcher of FORMAT.md section 0, used by response, rate limit, auth failure and paging stops.

use super::context::{Context, Root};
use super::document::{BodyPath, Document};
use super::expression::Expression;
use super::issue::EvalError;
use super::json::JsonRef;
use super::path::Selection;

/// `{ status, path, values, text, when }`; all given tests must hold.
#[derive(Debug, Clone, Default)]
pub struct Rule {
    /// Accepted statuses; empty = any.
    pub status: Vec<StatusRange>,
    /// Where to look in the body.
    pub path: Option<BodyPath>,
    /// Accepted values as exact text; empty with a path = present and truthy.
    pub values: Vec<String>,
    /// Must occur in the body text.
    pub text: Option<String>,
    /// A condition.
    pub when: Option<Expression>,
}

impl Rule {
    /// Whether it looks at nothing but the status.
    pub fn is_of_status_alone(&self) -> bool {
        self.path.is_none() && self.text.is_none() && self.when.is_none()
    }
}

/// `404`, or `"5xx"` as 500..=599.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StatusRange {
    /// First status.
    pub from: u16,
    /// Last status.
    pub to: u16,
}

impl StatusRange {
    /// One status.
    pub fn one(status: u16) -> Self {
        Self { from: status, to: status }
    }

    /// Parses `404` or `5xx`; statuses run from 100 to 599.
    pub fn parse(text: &str) -> Option<Self> {
        let range = match text.strip_suffix("xx") {
            Some(class) => {
                let hundreds = class.parse::<u16>().ok().filter(|_| class.len() == 1)? * 100;
                Self { from: hundreds, to: hundreds + 99 }
            }
            None => Self::one(text.parse().ok().filter(|_| text.len() == 3)?),
        };
        (100..=599).contains(&range.from).then_some(range)
    }

    /// Whether the status lies in it.
    pub fn contains(self, status: u16) -> bool {
        (self.from..=self.to).contains(&status)
    }
}

/// What a rule looks at.
#[derive(Clone, Copy)]
pub struct Judged<'a> {
    /// The response status.
    pub status: u16,
    /// The body when it could be read.
    pub body: Option<&'a Document>,
    /// The body as text (lossless when UTF-8).
    pub text: &'a str,
}

impl Rule {
    /// Whether nothing is tested at all; such a rule matches nothing.
    pub fn is_empty(&self) -> bool {
        self.status.is_empty() && self.path.is_none() && self.text.is_none() && self.when.is_none()
    }

    /// Whether its condition reads this root.
    pub fn reads(&self, root: Root) -> bool {
        self.when.as_ref().is_some_and(|when| when.references().iter().any(|read| read.root == root.name()))
    }

    /// Whether all tests hold. Missing paths are "no match"; other evaluation errors are returned.
    pub fn matches(&self, answer: Judged<'_>, ctx: &Context<'_>) -> Result<bool, EvalError> {
        if self.is_empty() {
            return Ok(false);
        }
        // Cheapest first.
        let status = self.status.is_empty() || self.status.iter().any(|range| range.contains(answer.status));
        if !status || !self.text.as_deref().is_none_or(|text| answer.text.contains(text)) {
            return Ok(false);
        }
        Ok(self.path_holds(answer)? && self.condition_holds(ctx)?)
    }

    fn path_holds(&self, answer: Judged<'_>) -> Result<bool, EvalError> {
        let Some(path) = &self.path else { return Ok(true) };
        let Some(body) = answer.body else { return Ok(false) };
        let found = match body.select(path) {
            Err(error) if error.is_missing() => return Ok(false),
            found => found?,
        };
        Ok(match &*found.selection() {
            Selection::Missing => false,
            Selection::One(value) if self.values.is_empty() => truthy(body, *value),
            Selection::Many(values) if self.values.is_empty() => values.iter().any(|value| truthy(body, *value)),
            Selection::One(value) => self.accepts(*value) || value.items().any(|item| self.accepts(item)),
            Selection::Many(values) => values.iter().any(|value| self.accepts(*value)),
        })
    }

    fn accepts(&self, value: JsonRef<'_>) -> bool {
        let text = value.compare_text();
        self.values.iter().any(|accepted| *accepted == text)
    }

    fn condition_holds(&self, ctx: &Context<'_>) -> Result<bool, EvalError> {
        match &self.when {
            None => Ok(true),
            Some(condition) => match condition.test(ctx) {
                Err(error) if error.is_missing() => Ok(false),
                other => other,
            },
        }
    }
}

/// As FORMAT says; XML has no other way to write `false` and 0 than as text.
fn truthy(body: &Document, value: JsonRef<'_>) -> bool {
    if body.kind().is_json() {
        return value.is_truthy();
    }
    value.is_truthy() && !value.as_str().is_some_and(|text| matches!(text.trim(), "" | "0" | "false"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::json::Json;

    fn matches(rule: &Rule, status: u16, body: &str) -> bool {
        let document = Json::parse(body).ok().map(Document::from);
        let answer = Judged { status, body: document.as_ref(), text: body };
        rule.matches(answer, &Context::new()).unwrap()
    }

    fn rule(status: &[&str], path: Option<&str>, values: &[&str], text: Option<&str>) -> Rule {
        Rule {
            status: status.iter().map(|text| StatusRange::parse(text).unwrap()).collect(),
            path: path.map(|text| BodyPath::compile(text).unwrap()),
            values: values.iter().map(ToString::to_string).collect(),
            text: text.map(str::to_owned),
            when: None,
        }
    }

    #[test]
    fn statuses_are_numbers_or_classes() {
        let rule = rule(&["404", "5xx"], None, &[], None);
        for (status, expected) in [(404, true), (500, true), (599, true), (403, false), (600, false), (405, false)] {
            assert_eq!(matches(&rule, status, ""), expected, "{status}");
        }
        for text in ["", "xx", "0xx", "6xx", "55xx", "5x", "99", "600", "1000", "+404", "+xx", "4 4", "5XX"] {
            assert_eq!(StatusRange::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_path_without_values_means_present_and_truthy() {
        let rule = rule(&[], Some("error.code"), &[], None);
        assert!(matches(&rule, 200, r#"{"error":{"code":"E1"}}"#));
        for body in [
            r#"{"error":{"code":""}}"#,
            r#"{"error":{"code":0}}"#,
            r#"{"error":{"code":null}}"#,
            r#"{"error":{"code":false}}"#,
            r#"{"error":{"code":[]}}"#,
            r#"{"error":null}"#,
            "{}",
            "no json",
            "",
        ] {
            assert!(!matches(&rule, 200, body), "{body}");
        }
        let list = self::rule(&[], Some("$.errors[*].code"), &[], None);
        assert!(matches(&list, 200, r#"{"errors":[{"code":0},{"code":1}]}"#));
        assert!(!matches(&list, 200, r#"{"errors":[{"code":0}]}"#));
        assert!(!matches(&list, 200, r#"{"errors":[]}"#));
    }

    #[test]
    fn in_xml_false_and_zero_are_words() {
        use crate::value::xml::body::XmlBody;
        use crate::value::xml::record::ArrayPaths;
        let rule = rule(&[], Some("/r/ok"), &[], None);
        for (text, expected) in [
            ("<r><ok>true</ok></r>", true),
            ("<r><ok>no</ok></r>", true),
            ("<r><ok><a/></ok></r>", true),
            ("<r><ok x='1'/></r>", true),
            ("<r><ok>false</ok></r>", false),
            ("<r><ok> 0 </ok></r>", false),
            ("<r><ok/></r>", false),
            ("<r><ok>false</ok><ok>1</ok></r>", true),
            ("<r/>", false),
            ("<other/>", false),
        ] {
            let body = Document::Xml(XmlBody::parse(text.into(), None, &ArrayPaths::default()).unwrap());
            let answer = Judged { status: 200, body: Some(&body), text };
            assert_eq!(rule.matches(answer, &Context::new()).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn values_compare_as_exact_text_and_of_a_list_any_element() {
        let rule = rule(&[], Some("status"), &["true", "1", "null", "ok"], None);
        for (body, expected) in [
            (r#"{"status":true}"#, true),
            (r#"{"status":"true"}"#, true),
            (r#"{"status":1}"#, true),
            (r#"{"status":1.0}"#, false),
            (r#"{"status":null}"#, true),
            (r#"{"status":"\u006fk"}"#, true),
            (r#"{"status":"OK"}"#, false),
            (r#"{"status":["no","ok"]}"#, true),
            (r#"{"status":["no"]}"#, false),
            (r#"{"status":[]}"#, false),
            (r#"{"other":"ok"}"#, false),
        ] {
            assert_eq!(matches(&rule, 200, body), expected, "{body}");
        }
        let list = self::rule(&[], Some("$.items[*].s"), &["ok"], None);
        assert!(matches(&list, 200, r#"{"items":[{"s":"no"},{"s":"ok"}]}"#));
    }

    #[test]
    fn all_given_tests_must_hold() {
        let rule = rule(&["400"], Some("status"), &["Throttled"], Some("slow"));
        assert!(matches(&rule, 400, r#"{"status":"Throttled","m":"slow down"}"#));
        assert!(!matches(&rule, 200, r#"{"status":"Throttled","m":"slow down"}"#));
        assert!(!matches(&rule, 400, r#"{"status":"Other","m":"slow down"}"#));
        assert!(!matches(&rule, 400, r#"{"status":"Throttled"}"#));
        assert!(matches(&self::rule(&[], None, &[], Some("<error>")), 200, "<a><error></a>"));
    }

    #[test]
    fn a_rule_that_tests_nothing_matches_nothing() {
        assert!(!matches(&Rule::default(), 200, "{}"));
    }
}
