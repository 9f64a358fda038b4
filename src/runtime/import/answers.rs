//! One answer to several records: what it says of each, in the order they were sent. Pure.

use crate::http::verdict::told;
use crate::model::import::EachAnswer;
use crate::runtime::export::records;
use crate::value::context::{Context, Root, Slot};
use crate::value::document::Document;
use crate::value::issue::EvalError;
use crate::value::json::Json;
use crate::value::rule::{Judged, Rule};

/// At most so many bytes of one record's answer are shown.
const READ: usize = 8 << 10;

/// What to do where the answers are not where they should be.
const REMEDY: &str = "correct `response.records`, or remove it: then one verdict holds for all records of a request";

/// What an answer says of one record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Said {
    /// It was taken.
    Taken(Json),
    /// It was not: the reason, fit to be shown, and what was said in full where that is more.
    Refused(String, Option<String>),
    /// It cannot be judged.
    Unreadable(String),
    /// Nothing: it may have arrived.
    Nothing(String),
}

/// How answers are judged: by these rules, with this status, in this context. `clean` masks secrets and cuts.
pub(super) struct Judge<'a> {
    pub(super) rules: &'a EachAnswer,
    pub(super) status: u16,
    pub(super) ctx: Context<'a>,
    pub(super) clean: &'a dyn Fn(&str) -> String,
}

impl Judge<'_> {
    /// What the answer says of each of `count` records, and how many answers are left over.
    pub(super) fn each(&self, body: Option<&Document>, count: usize) -> (Vec<Said>, usize) {
        let absent = records::Absent::Wrong(REMEDY);
        let answers = match records::split(body, Some(&self.rules.records), absent, |text| (self.clean)(text)) {
            Ok(answers) => answers,
            Err(error) => return (vec![Said::Nothing(format!("response.{error}")); count], 0),
        };
        let more = answers.len().saturating_sub(count);
        let mut said: Vec<_> = answers.iter().take(count).map(|answer| self.one(answer.json())).collect();
        if said.len() < count {
            let text = format!("the answer says nothing of this record: it holds {} for {count}", answers.len());
            said.resize(count, Said::Nothing(text));
        }
        (said, more)
    }

    fn one(&self, answer: &Json) -> Said {
        let rules = self.rules;
        let refused = || self.refused(answer);
        let verdict = self.holds(rules.failure.as_ref(), answer, "failure").and_then(|fails| {
            if fails {
                return Ok(refused());
            }
            match &rules.success {
                Some(rule) if !self.holds(Some(rule), answer, "success")? => Ok(refused()),
                _ => Ok(Said::Taken(answer.clone())),
            }
        });
        verdict.unwrap_or_else(|error| Said::Unreadable((self.clean)(&error.to_string())))
    }

    fn holds(&self, rule: Option<&Rule>, answer: &Json, place: &str) -> Result<bool, EvalError> {
        let Some(rule) = rule else { return Ok(false) };
        let response = [("status", Slot::Number(self.status.into())), ("body", Slot::Json(answer.as_ref()))];
        let ctx = self.ctx.with(Root::Response, Slot::Map(&response));
        let document = Document::from(answer.clone());
        let judged = Judged { status: self.status, body: Some(&document), text: answer.text() };
        rule.matches(judged, &ctx).map_err(|error| error.at(&format!("response.{place}")))
    }

    fn refused(&self, answer: &Json) -> Said {
        let text = answer.text();
        let raw = &text[..text.floor_char_boundary(READ)];
        let document = Document::from(answer.clone());
        let path = self.rules.error_path.as_ref();
        match path.and_then(|path| told(path, &document)) {
            Some(told) if told != raw => Said::Refused((self.clean)(&told), Some((self.clean)(raw))),
            _ => Said::Refused((self.clean)(raw), None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::document::BodyPath;
    use proptest::prelude::*;

    fn path(text: &str) -> BodyPath {
        BodyPath::compile(text).unwrap()
    }

    fn rule(at: &str, values: &[&str]) -> Rule {
        let values = values.iter().map(ToString::to_string).collect();
        Rule { path: Some(path(at)), values, ..Rule::default() }
    }

    fn rules(failure: Option<Rule>, success: Option<Rule>, error_path: Option<&str>) -> EachAnswer {
        EachAnswer { records: path("$.results[*]"), failure, success, error_path: error_path.map(path) }
    }

    fn said(rules: &EachAnswer, body: &str, count: usize) -> (Vec<Said>, usize) {
        let document = Json::parse(body).ok().map(Document::from);
        let judge = Judge { rules, status: 200, ctx: Context::new(), clean: &|text| text.replace("hunter2", "***") };
        judge.each(document.as_ref(), count)
    }

    fn marks(said: &[Said]) -> String {
        let mark = |one: &Said| match one {
            Said::Taken(_) => '+',
            Said::Refused(..) => '-',
            Said::Unreadable(_) => '!',
            Said::Nothing(_) => '?',
        };
        said.iter().map(mark).collect()
    }

    #[test]
    fn what_is_not_in_an_answer_is_told_with_what_helps_here() {
        let (told, _) = said(&rules(None, None, None), r#"{"z":1}"#, 1);
        let [Said::Nothing(text)] = &told[..] else { panic!("{told:?}") };
        assert!(text.contains("response.records: `$.results[*]` is not in the answer"), "{text}");
        assert!(text.contains("correct `response.records`") && !text.contains("records_optional"), "{text}");
    }

    #[test]
    fn each_record_is_judged_by_its_own_answer_in_the_order_sent() {
        let told = rules(Some(rule("error", &[])), None, Some("error"));
        let body =
            r#"{"results":[{"id":1},{"error":"no hunter2","at":2},{"error":null},{"error":""},{"error":{"c":7}}]}"#;
        let (all, more) = said(&told, body, 5);
        assert_eq!((marks(&all).as_str(), more), ("+-++-", 0));
        assert_eq!(all[0], Said::Taken(Json::parse(r#"{"id":1}"#).unwrap()));
        let whole = r#"{"error":"no ***","at":2}"#.to_owned();
        assert_eq!(all[1], Said::Refused("no ***".to_owned(), Some(whole)));
        assert_eq!(all[4], Said::Refused(r#"{"c":7}"#.to_owned(), Some(r#"{"error":{"c":7}}"#.to_owned())));
    }

    #[test]
    fn success_and_failure_hold_for_each() {
        let good = rules(None, Some(rule("status", &["ok", "201"])), Some("message"));
        let body = r#"{"results":[{"status":"ok"},{"status":201},{"status":"no","message":"m"},{},null]}"#;
        assert_eq!(marks(&said(&good, body, 5).0), "++---");
        let bad = rules(Some(rule("code", &["E1"])), Some(rule("status", &["ok"])), None);
        let body = r#"{"results":[{"status":"ok"},{"status":"ok","code":"E1"},{"code":"E2"}]}"#;
        assert_eq!(marks(&said(&bad, body, 3).0), "+--");
        assert_eq!(marks(&said(&rules(None, None, None), r#"{"results":[1,null,{}]}"#, 3).0), "+++");
    }

    #[test]
    fn a_shorter_list_says_nothing_of_the_rest_and_a_longer_one_is_cut() {
        let rules = rules(None, None, None);
        let (all, more) = said(&rules, r#"{"results":[{},{}]}"#, 4);
        assert_eq!((marks(&all).as_str(), more), ("++??", 0));
        assert!(matches!(&all[3], Said::Nothing(text) if text.ends_with("it holds 2 for 4")));
        assert_eq!((said(&rules, r#"{"results":[{},{},{}]}"#, 2).1, said(&rules, "[]", 2).1), (1, 0));
        for body in ["[]", "{}", "no json", ""] {
            let (all, _) = said(&rules, body, 2);
            assert!(matches!(&all[..], [Said::Nothing(text), _] if text.starts_with("response.records: ")), "{all:?}");
        }
    }

    #[test]
    fn what_cannot_be_judged_says_so() {
        let when = Rule {
            when: Some(crate::value::expression::Expression::compile("response.body.n > 1").unwrap()),
            ..Rule::default()
        };
        let rules = rules(Some(when), None, None);
        let (all, _) = said(&rules, r#"{"results":[{"n":1},{"n":2},{"n":"2"}]}"#, 3);
        assert_eq!(marks(&all), "+-!");
    }

    proptest! {
        #[test]
        fn whatever_the_answers_each_record_has_its_own(
            answers in prop::collection::vec(any::<Option<bool>>(), 0..12), count in 1usize..12
        ) {
            let items: Vec<String> = answers.iter().enumerate().map(|(at, answer)| match answer {
                None => format!("{{\"at\":{at}}}"),
                Some(true) => format!("{{\"at\":{at},\"error\":\"e{at}\"}}"),
                Some(false) => format!("{{\"at\":{at},\"error\":false}}"),
            }).collect();
            let told = rules(Some(rule("error", &[])), None, Some("error"));
            let (all, more) = said(&told, &format!("{{\"results\":[{}]}}", items.join(",")), count);
            prop_assert_eq!(all.len(), count);
            prop_assert_eq!(more, answers.len().saturating_sub(count));
            for (at, one) in all.iter().enumerate() {
                match (answers.get(at), one) {
                    (None, Said::Nothing(_)) => {}
                    (Some(Some(true)), Said::Refused(text, _)) => prop_assert_eq!(text, &format!("e{at}")),
                    (Some(None | Some(false)), Said::Taken(json)) => {
                        prop_assert_eq!(json.as_ref().get("at").unwrap().text(), at.to_string());
                    }
                    other => prop_assert!(false, "{at}: {other:?}"),
                }
            }
        }
    }
}
