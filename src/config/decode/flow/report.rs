//! `[export.job]`: a report that is ordered, waited for, and fetched.

use crate::config::decode::file::Finding;
use crate::config::decode::request::RequestScopes;
use crate::config::decode::scope::Scope;
use crate::config::decode::table::Table;
use crate::config::decode::value::Value;
use crate::http::on::Act;
use crate::http::request::{Method, RequestSpec};
use crate::model::report::{Download, Report};
use crate::value::context::Root;
use std::time::Duration;

/// Between two polls, when nothing is said.
const EVERY: Duration = Duration::from_secs(10);
/// How long a report may take, when nothing is said.
const TIMEOUT: Duration = Duration::from_hours(1);

/// Keys of a request that stand in the tables of the job instead.
const ELSEWHERE: &[&str] = &["method", "relative_uri", "query", "body", "paging"];

pub(super) fn decode(value: &Value<'_>, scope: &Scope<'_>) -> Option<Report> {
    let table = value.table()?;
    let after = scope.with(&[Root::Previous]);
    let create = table.need("create").and_then(|value| request(&value, Method::Post, scope));
    let poll = table.need("poll").and_then(|value| request(&value, Method::Get, &after));
    let download = table.given("download", |value| download(value, &after));
    let types = poll.as_ref().map(|poll| poll.types).unwrap_or_default();
    let status = table.need("status").and_then(|value| value.body_path(&after.reading(types)));
    let done = table.need("done").and_then(|value| value.words_of_status());
    let failed = table.given("failed", Value::words_of_status);
    let every = table.positive_duration("every");
    let timeout = table.positive_duration("timeout");
    table.finish();
    let (failed, done) = (failed.ok()?.unwrap_or_default(), done?);
    if let Some(both) = done.iter().find(|word| failed.contains(word)) {
        let finding = Finding::error(
            "conflicting-keys",
            format!("`{both}` says both that the report is there and that it failed"),
        );
        value.report_key(finding.help("take it out of `done` or of `failed`"));
    }
    Some(Report {
        create: create?,
        poll: poll?,
        download: download.ok()?,
        status: status?,
        done,
        failed,
        every: every.unwrap_or(EVERY),
        timeout: timeout.unwrap_or(TIMEOUT),
    })
}

/// What an export with a report does not ask for itself.
pub(super) fn report_idle(export: &Table<'_>) {
    for value in ELSEWHERE.iter().filter_map(|name| export.peek(name)) {
        let finding = Finding::error(
            "conflicting-keys",
            format!("`{}` has no meaning beside `{}`", value.key, export.path_of("job")),
        );
        value.report_key(finding.help("the requests are `create`, `poll` and `download` of the job"));
    }
}

fn request(value: &Value<'_>, method: Method, scope: &Scope<'_>) -> Option<RequestSpec> {
    let table = value.table()?;
    let help = "`fail` ends the run, `retry` asks again; `skip` stands under `download`";
    table.on_without(&[Act::Skip, Act::Stop], "there is no report without this answer", help);
    let request = table.request(method, &RequestScopes { head: scope, body: scope });
    table.finish();
    request
}

fn download(value: &Value<'_>, scope: &Scope<'_>) -> Option<Download> {
    let table = value.table()?;
    if table.has("uri") == table.has("relative_uri") {
        let message =
            format!("`{}` says {} where the report is", value.key, if table.has("uri") { "twice" } else { "nowhere" });
        let help = "give `uri`, which finds it in the answer of the last poll, as in `uri = \"$.files[*].url\"`, or \
                    `relative_uri`";
        value.report_key(Finding::error("conflicting-keys", message).help(help));
    }
    table.on_without(&[Act::Stop], "files are no pages", "`skip` passes over the file, `fail` ends the run");
    let request = table.request(Method::Get, &RequestScopes { head: scope, body: scope });
    let decode = table.decode_chain().or_else(|| scope.decode());
    let uri = table.given("uri", |value| value.leaf(value.string()?, &scope.with_answer()));
    let bare = table.given("auth", |value| value.word(&[("none", true)], &[]));
    table.finish();
    let request = request.map(|request| RequestSpec { decode, ..request });
    Some(Download { request: request?, uri: uri.ok()?, bare: bare.ok()?.unwrap_or(false) })
}

impl Value<'_> {
    /// The texts a status is compared with: strings as they are, everything else as JSON writes it.
    fn words_of_status(&self) -> Option<Vec<String>> {
        let items = self.one_or_many();
        if items.is_empty() {
            self.report(Finding::error("bad-rule", format!("`{}` names no status", self.key)));
            return None;
        }
        let text = |item: &Value<'_>| match item.json()? {
            serde_json::Value::String(text) => Some(text),
            serde_json::Value::Array(_) | serde_json::Value::Object(_) => {
                item.wrong_type("a plain value to compare with");
                None
            }
            value => Some(value.to_string()),
        };
        items.iter().map(text).collect::<Vec<_>>().into_iter().collect()
    }
}
