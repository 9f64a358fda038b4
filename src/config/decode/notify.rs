//! `[notify]` of `flowgate.toml`: a request over a connection, and the occasions for it.

use super::file::Finding;
use super::flow::Connections;
use super::request::RequestScopes;
use super::scope::{Facts, Scope};
use super::value::Value;
use crate::http::request::Method;
use crate::model::notify::{Notify, Occasion};

const OCCASIONS: &[(&str, Occasion)] =
    &[("run_failed", Occasion::RunFailed), ("first_error", Occasion::FirstError), ("offline", Occasion::Offline)];

pub(super) fn decode(value: &Value<'_>, connections: &Connections) -> Option<Notify> {
    let table = value.table()?;
    let (connection, facts) = match table.need("connection") {
        Some(value) => value.connection(connections),
        None => (None, None),
    };
    let unknown = Facts::unknown();
    let scope = Scope::of_notice(facts.unwrap_or(&unknown));
    let request = table.request(Method::Post, &RequestScopes { head: &scope, body: &scope });
    let on = table.take("on").map_or(Some(Occasion::ALL.to_vec()), |value| occasions(&value));
    table.finish();
    Some(Notify::new(connection?, request?, on?))
}

fn occasions(value: &Value<'_>) -> Option<Vec<Occasion>> {
    let items = value.list()?;
    if items.is_empty() {
        let finding = Finding::error("empty-list", "`on` names no occasion, so nothing would be told");
        value.report(finding.help("name `run_failed`, `first_error` or `offline`, or remove `[notify]`"));
        return None;
    }
    let mut on: Vec<Occasion> = items.iter().map(|item| item.word(OCCASIONS, &[])).collect::<Option<_>>()?;
    on.sort_unstable();
    on.dedup();
    Some(on)
}
