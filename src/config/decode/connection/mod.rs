//! `connections/<id>.toml`: a draft per file, made whole by `resolve` once every file is known.

mod answers;
mod auth;
mod base;
mod errand;
mod limits;
mod media;
mod ping;
mod proxy;
mod rendered;
mod renewable;
mod signing;
mod tls;

use super::file::Finding;
use super::flow::Tables;
use super::flow::defaults::{self, Defaults};
use super::kin::Kin;
use super::scope::{Facts, Scope};
use super::source::Sources;
use super::table::{Reported, Table};
use super::value::Value;
use crate::http::client::ClientSettings;
use crate::queue::limits::{Order, RateWindow};
use crate::value::id::ConnectionId;
use crate::value::json::Json;
use crate::value::secret::Secret;
use std::num::NonZeroU32;
use std::ops::Range;
use std::time::Duration;

/// The top-level keys of a connection file.
pub(in crate::config) const KEYS: &[&str] = &[
    "title",
    "description",
    "formerly",
    "base_uri",
    "media_type",
    "success_media_type",
    "error_media_type",
    "decode",
    "headers",
    "query",
    "timeout",
    "connect_timeout",
    "max_response",
    "redirects",
    "allowed_origins",
    "proxy",
    "concurrency_level",
    "borrow_concurrency_from",
    "wait_time",
    "rate",
    "order",
    "vars",
    "secrets",
    "auth",
    "auth_failure",
    "ping",
    "response",
    "rate_limit",
    "retry",
    "on",
    "tls",
    "agent",
    "xml",
    "csv",
    "form",
    "export_defaults",
];

/// A name with its place, for checks across files.
#[derive(Debug, Clone)]
pub(in crate::config) struct Named<T> {
    pub(in crate::config) value: T,
    pub(in crate::config) key: String,
    pub(in crate::config) at: Range<usize>,
}

/// What one connection file says.
pub(in crate::config) struct Draft {
    pub(in crate::config) id: ConnectionId,
    pub(in crate::config) title: Option<String>,
    pub(in crate::config) formerly: Vec<Named<ConnectionId>>,
    pub(in crate::config) borrow: Option<Named<ConnectionId>>,
    pub(in crate::config) level: Option<NonZeroU32>,
    /// `level` is the most it may become.
    pub(in crate::config) adaptive: bool,
    /// The level is there, readable or not.
    pub(in crate::config) level_given: bool,
    pub(in crate::config) wait_time: Duration,
    pub(in crate::config) rate: Vec<RateWindow>,
    pub(in crate::config) order: Order,
    pub(in crate::config) agent: Option<Named<String>>,
    /// None when something it needs is wrong.
    pub(in crate::config) http: Option<ClientSettings>,
}

type Secrets = Vec<(String, Result<Secret, String>)>;

/// What texts that are rendered at load may use, and where they leave what they found.
struct Reach<'s, 'a> {
    scope: &'s Scope<'a>,
    facts: &'s Facts,
    sources: &'s Sources<'a>,
    secrets: &'s mut Secrets,
    /// Key path and reason of each source without a value.
    unresolved: &'s mut Vec<String>,
}

/// Decodes a connection; its names are given too, for the flows that use it.
pub(in crate::config) fn decode(root: &Table<'_>, id: ConnectionId, sources: &Sources<'_>) -> (Draft, Facts) {
    let title = root.take("title").and_then(|value| value.string().map(str::to_owned));
    root.take("description").map(|value| value.string());
    let formerly = root.take("formerly").map(|value| value.ids(ConnectionId::parse)).unwrap_or_default();
    let (values, mut unresolved) = vars(root, sources);
    let mut secrets = secrets(root, sources);
    let types = root.media_types();
    let mut facts = Facts {
        kin: Kin::default(),
        timed: false,
        tables: Tables::new(),
        defaults: Defaults::default(),
        types,
        decode: root.decode_chain(),
        xml: media::xml(root),
        vars: names(root, "vars"),
        secrets: names(root, "secrets"),
        values: Json::from_value(&serde_json::Value::Object(values)),
        reach: None,
        complete: true,
    };
    facts.defaults = defaults::decode(root, &facts);
    let scope = Scope::of_connection(&facts);
    // A credential is one for all flows.
    let auth = auth::decode(root, &scope.of_no_flow(), sources, &mut secrets);
    let limits = limits::decode(root, &scope);
    let mut reach = Reach { scope: &scope, facts: &facts, sources, secrets: &mut secrets, unresolved: &mut unresolved };
    let wire = (proxy::decode(root, &mut reach), tls::decode(root, &mut reach));
    let http = base::decode(root, &scope, &facts, auth, wire, secrets, unresolved);
    let agent = root.take("agent").and_then(|value| super::agent::named(&value));
    if agent.is_some()
        && let Some(proxy) = root.peek("proxy").filter(|proxy| !matches!(proxy.raw_str(), Some("none" | "env")))
    {
        let finding = Finding::error("conflicting-keys", "requests that leave through an agent take no proxy");
        proxy.report_key(finding.help("the agent connects to the API itself: remove `proxy`"));
    }
    root.finish();
    let draft = Draft {
        id,
        title,
        formerly,
        borrow: limits.borrow,
        level: limits.level,
        adaptive: limits.adaptive,
        level_given: limits.level_given,
        wait_time: limits.wait_time,
        rate: limits.rate,
        order: limits.order,
        agent,
        http,
    };
    (draft, facts)
}

/// The names in a table, broken entries included, so that one mistake is not reported twice.
fn names(root: &Table<'_>, table: &'static str) -> Vec<String> {
    let Some(value) = root.peek(table).filter(Value::is_table) else { return Vec::new() };
    let table = value.table();
    table.map(|table| table.members().iter().map(|(name, _)| (*name).to_owned()).collect()).unwrap_or_default()
}

/// `[vars]`: constants and sources, with key path and reason of those that do not resolve.
pub(in crate::config) fn vars(
    root: &Table<'_>,
    sources: &Sources<'_>,
) -> (serde_json::Map<String, serde_json::Value>, Vec<String>) {
    let mut values = serde_json::Map::new();
    let mut unresolved = Vec::new();
    let Some(table) = root.take("vars").and_then(|value| value.table()) else { return (values, unresolved) };
    table.report_swallowed();
    for (name, value) in table.members() {
        match value.variable(sources) {
            Ok(Ok(found)) => {
                values.insert(name.to_owned(), found);
            }
            Ok(Err(reason)) => unresolved.push(format!("{}: {reason}", value.key)),
            Err(Reported) => {}
        }
    }
    (values, unresolved)
}

fn secrets(root: &Table<'_>, sources: &Sources<'_>) -> Secrets {
    let Some(table) = root.take("secrets").and_then(|value| value.table()) else { return Vec::new() };
    table.report_swallowed();
    let top = table.file.top();
    let mut found = Vec::new();
    for (name, value) in table.members() {
        // A swallowed key is no secret: saying that it is a literal credential would mislead.
        if table.is_headed() && top.contains(&name) && !value.is_table() {
            continue;
        }
        if let Some(secret) = value.secret(sources) {
            found.push((name.to_owned(), secret));
        }
    }
    found
}

impl Value<'_> {
    /// `formerly`: ids with their places.
    pub(in crate::config) fn ids<T>(
        &self,
        parse: impl Fn(&str) -> Result<T, crate::value::id::InvalidId>,
    ) -> Vec<Named<T>> {
        let items = self.list().unwrap_or_default();
        items.iter().filter_map(|item| item.id(&parse)).collect()
    }

    /// One id with its place.
    pub(in crate::config) fn id<T>(
        &self,
        parse: impl Fn(&str) -> Result<T, crate::value::id::InvalidId>,
    ) -> Option<Named<T>> {
        match parse(self.string()?) {
            Ok(value) => Some(Named { value, key: self.key.clone(), at: self.at() }),
            Err(error) => {
                self.report(Finding::error("bad-id", format!("this is no id: {error}")));
                None
            }
        }
    }
}
