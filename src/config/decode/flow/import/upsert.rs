//! `[import.upsert]`: how a record is written that is there already.

use super::{Way, Written, answered};
use crate::config::decode::file::Finding;
use crate::config::decode::leaf::looks_like_path;
use crate::config::decode::request::RequestScopes;
use crate::config::decode::scope::Scope;
use crate::config::decode::table::Table;
use crate::config::decode::value::Value;
use crate::http::request::{Field, RequestSpec};
use crate::value::tree::Tree;

/// `exists`, and the request of an update.
pub(super) struct Found {
    pub(super) exists: Tree,
    pub(super) update: Written,
}

/// Decodes the table. The update is laid over the request that creates.
pub(super) fn decode(value: &Value<'_>, create: &RequestSpec, way: &Way<'_, '_>) -> Option<Found> {
    let table = value.table()?;
    let exists = table.need("exists").map(|value| exists(&value, way.single));
    let update = table.need("update").map(|value| update(&value, create, way));
    table.finish();
    Some(Found { exists: exists??, update: update?? })
}

/// A value by its look; text without a look is a dotted path, since a constant would decide nothing.
fn exists(value: &Value<'_>, scope: &Scope<'_>) -> Option<Tree> {
    match value.raw_str() {
        Some(text) if !text.starts_with('=') && !looks_like_path(text) && !text.contains("{{") => {
            value.path().map(Tree::Path)
        }
        Some(_) => value.tree(scope),
        None if value.table_has(&["pick"]) => value.tree(scope),
        None => {
            value.wrong_type("a path or value such as \"$.erp_id\"");
            None
        }
    }
}

fn update(value: &Value<'_>, create: &RequestSpec, way: &Way<'_, '_>) -> Option<Written> {
    let table = value.table()?;
    if table.is_empty() {
        let finding = Finding::error("missing-key", format!("`{}` says nothing", table.key())).key(table.key());
        table.report(finding.help("say how an update differs, such as `method = \"PUT\"` and its `relative_uri`"));
        return None;
    }
    if let Some(value) = table.take("connection") {
        let finding = Finding::error("unused-key", "an update goes to the import's own connection");
        value.report_key(finding.help("remove `connection`, or make it two imports"));
    }
    // What the import says of media types holds for its updates too.
    let single = way.single.reading(create.types);
    let scopes = RequestScopes { head: way.head, body: &single };
    let written = answered(&table, create.method, &scopes);
    if let Some(written) = written.as_ref().filter(|_| table.has("body") || table.has("media_type")) {
        super::batches(&table, &written.request, way.batched, &single);
    }
    table.finish();
    written.map(|written| over(&table, written, create))
}

/// Keys that are not given are the import's.
fn over(table: &Table<'_>, update: Written, create: &RequestSpec) -> Written {
    let Written { request, answers } = update;
    let own = |name: &str| table.has(name);
    let request = RequestSpec {
        method: request.method,
        uri: if own("relative_uri") { request.uri } else { create.uri.clone() },
        headers: joined(&create.headers, &request.headers, str::eq_ignore_ascii_case),
        query: joined(&create.query, &request.query, |one, other| one == other),
        body: if own("body") { request.body } else { create.body.clone() },
        timeout: request.timeout.or(create.timeout),
        response: if own("response") { request.response } else { create.response.clone() },
        on: if own("on") { request.on } else { create.on.clone() },
        types: request.types.over(create.types),
        decode: None,
    };
    Written { request, answers: if own("response") { answers } else { None } }
}

/// Those of the import that are not set anew, and the new ones.
fn joined(create: &[Field], update: &[Field], same: impl Fn(&str, &str) -> bool) -> Vec<Field> {
    let kept = create.iter().filter(|old| !update.iter().any(|new| same(&new.name, &old.name)));
    kept.cloned().chain(update.iter().cloned()).collect()
}
