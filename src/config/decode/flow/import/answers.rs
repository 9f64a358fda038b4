//! `response` of an import: with `records` its rules hold for each record's own answer.

use crate::config::decode::scope::Scope;
use crate::config::decode::value::Value;
use crate::http::media::MediaTypes;
use crate::http::verdict::ResponseRules;
use crate::model::import::{Answers, EachAnswer};
use crate::value::rule::Rule;

/// The rules for the answer as a whole, and what is read in it.
pub(super) fn decode(value: &Value<'_>, scope: &Scope<'_>) -> Option<(ResponseRules, Answers)> {
    let table = value.table()?;
    let scope = &scope.of_answer();
    let records = table.take("records").map(|value| value.body_path(scope));
    // What an answer holds for one record is JSON, whatever the answer was.
    let inside = if records.is_some() { scope.reading_only(MediaTypes::default()) } else { scope.clone() };
    let success = table.take("success").and_then(|value| value.rule(&inside));
    let failure = table.take("failure").and_then(|value| value.rule(&inside));
    let error_path = table.take("error_path").and_then(|value| value.body_path(&inside));
    let id = table.given("id", |value| value.body_path(&inside));
    table.finish();
    let id = id.ok()?;
    let Some(records) = records else {
        return Some((ResponseRules { success, failure, error_path }, Answers { each: None, id }));
    };
    // Of the whole only the status counts; a rule that names others than 2xx lets their answers be looked into.
    let statuses = success.as_ref().map(|rule| rule.status.clone()).filter(|statuses| !statuses.is_empty());
    let whole = ResponseRules {
        success: statuses.map(|status| Rule { status, ..Rule::default() }),
        failure: None,
        error_path: error_path.clone(),
    };
    // That says nothing of one record.
    let success = success.filter(|rule| !rule.is_of_status_alone());
    let told = error_path.clone().filter(|_| success.is_none() && failure.is_none());
    let failure = failure.or_else(|| told.map(|path| Rule { path: Some(path), ..Rule::default() }));
    Some((whole, Answers { each: Some(EachAnswer { records: records?, failure, success, error_path }), id }))
}
