//! `[ping]`: a request that asks whether the connection works, with its rules directly in the table.

use crate::config::decode::file::Finding;
use crate::config::decode::request::RequestScopes;
use crate::config::decode::scope::Scope;
use crate::config::decode::value::Value;
use crate::http::on::Act;
use crate::http::request::{Method, RequestSpec};
use crate::http::verdict::ResponseRules;

impl Value<'_> {
    pub(super) fn ping(&self, scope: &Scope<'_>) -> Option<RequestSpec> {
        let table = self.table()?;
        if let Some(response) = table.peek("response") {
            let finding = Finding::error("conflicting-keys", "a ping has its rules directly in its table");
            response.report_key(finding.help("write `success`, `failure` and `error_path` under `[ping]`"));
        }
        let acts = [Act::Skip, Act::Stop, Act::Retry, Act::Limited];
        table.on_without(&acts, "a ping asks once", "it can be `fail`, `refresh` or `success`");
        let spec = table.request(Method::Get, &RequestScopes { head: scope, body: scope });
        let types = spec.as_ref().map(|spec| spec.types).unwrap_or_default();
        let scope = &scope.reading(types).of_answer();
        let success = table.given("success", |value| value.rule(scope));
        let failure = table.given("failure", |value| value.rule(scope));
        let error_path = table.given("error_path", |value| value.body_path(scope));
        table.finish();
        let rules = ResponseRules { success: success.ok()?, failure: failure.ok()?, error_path: error_path.ok()? };
        Some(RequestSpec { response: Some(rules), ..spec? })
    }
}
