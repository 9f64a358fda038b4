//! `[webhook]`: what is taken from whoever calls. `[webhook.verify]` is in `verify`.

use super::{Connections, paging, step, verify};
use crate::config::decode::file::Finding;
use crate::config::decode::request::{MEDIA, OTHER_MEDIA};
use crate::config::decode::scope::{Facts, Scope};
use crate::config::decode::source::Sources;
use crate::config::decode::table::Table;
use crate::config::decode::value::Value;
use crate::http::media::MediaTypes;
use crate::http::request::RequestSpec;
use crate::model::export::Export;
use crate::model::webhook::{IdFrom, Reply, ReplyBody, Webhook};
use crate::value::context::Root;
use crate::value::id::ConnectionId;
use crate::value::template::Place;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

const BODIES: RangeInclusive<u64> = 1..=16 << 20;
const WAITING: RangeInclusive<u64> = 1..=100_000;
const WINDOWS: RangeInclusive<Duration> = Duration::from_mins(1)..=Duration::from_hours(30 * 24);
/// Longer than the retries of the senders we know of.
const WINDOW: Duration = Duration::from_hours(3 * 24);
const LONGEST_PATH: usize = 200;

/// A webhook, and what of an export it has. Outside requests `connection` is the import's.
pub(super) fn decode(
    table: &Table<'_>,
    root: &Table<'_>,
    facts: &Facts,
    connections: &Connections,
    sources: &Sources<'_>,
) -> Option<(Arc<Webhook>, Export)> {
    let (connection, names) = taker(root, connections);
    let scope = Scope::of_flow(facts, names);
    let records = scope.with(&[Root::Record]);
    let path = table.need("path").and_then(|value| value.hook_path());
    let verify = verify::decode(table, sources);
    let records_optional = table.take("records_optional").and_then(|value| value.boolean()).unwrap_or(false);
    let media_type = table.given("media_type", |value| value.word(MEDIA, OTHER_MEDIA));
    let types = MediaTypes { success: media_type.unwrap_or_default(), ..MediaTypes::default() };
    let taken = table.given("records", |value| value.body_path(&scope.reading_only(types)));
    let id = table.given("id", Value::id_from);
    let id_window = table.given("id_window", |value| value.duration_in(&WINDOWS));
    let max_body = table.given("max_body", |value| value.size_in(&BODIES));
    let max_waiting = table.given("max_waiting", |value| value.number(WAITING, &scope));
    let reply = table.given("response", |value| reply(value, facts));
    let keep = table.given("keep", |value| value.condition(&records));
    let trace_key = table.given("trace_key", |value| value.text(Place::Plain, &records));
    let link = table.given("link", |value| value.text(Place::Uri, &records));
    let transform = table.given("transform", |value| step::transform(value, &records));
    table.finish();
    let webhook = Webhook {
        path: path?,
        verify: verify?,
        media_type: media_type.ok()?,
        id: id.ok()?,
        id_window: id_window.ok()?.unwrap_or(WINDOW),
        max_body: max_body.ok()?.unwrap_or(1 << 20),
        max_waiting: max_waiting.ok()?.unwrap_or(1_000),
        reply: reply.ok()?.unwrap_or(Reply { status: 202, body: None }),
    };
    let export = Export {
        name: super::export::DEFAULT_NAME.to_owned(),
        connection: connection?,
        // Nothing is asked.
        request: RequestSpec::of_base()?,
        later: None,
        reads_previous: false,
        records: taken.ok()?,
        records_optional,
        each: Vec::new(),
        limit: None,
        paging: paging::none(),
        delta: None,
        once: None,
        job: None,
        transform: transform.ok()?,
        group_by: Vec::new(),
        keep: keep.ok()?,
        trace_key: trace_key.ok()?,
        link: link.ok()?,
    };
    Some((Arc::new(webhook), export))
}

/// Where the records go: a webhook has no connection of its own.
pub(super) fn taker<'c>(root: &Table<'_>, connections: &'c Connections) -> (Option<ConnectionId>, Option<&'c Facts>) {
    let import = root.peek("import").filter(Value::is_table).and_then(|value| value.table());
    let id = import.and_then(|table| ConnectionId::parse(table.peek("connection")?.raw_str()?).ok());
    let facts = id.as_ref().and_then(|id| connections.get(id));
    (id, facts)
}

/// `[webhook.response]`
fn reply(value: &Value<'_>, facts: &Facts) -> Option<Reply> {
    let table = value.table()?;
    let scope = Scope::of_webhook(facts);
    let status = table.given("status", |value| u16::try_from(value.number(200..=299, &scope)?).ok());
    let body = table.given("body", |value| match value.raw_str() {
        Some(text) if !text.starts_with('=') && !crate::value::path::looks_like_json_path(text) => {
            value.text(Place::Plain, &scope).map(ReplyBody::Text)
        }
        _ => value.tree(&scope).map(ReplyBody::Json),
    });
    table.finish();
    let (status, body) = (status.ok()?.unwrap_or(202), body.ok()?);
    if status == 204 && body.is_some() {
        value.report_key(Finding::error("conflicting-keys", "an answer with status 204 has no body"));
        return None;
    }
    Some(Reply { status, body })
}

impl Value<'_> {
    /// A path below `/hooks/`, as it is compared: letters, digits and `-._~` between slashes.
    fn hook_path(&self) -> Option<String> {
        let text = self.string()?;
        let path = text.strip_prefix("/hooks/").or_else(|| text.strip_prefix('/')).unwrap_or(text);
        let plain = |segment: &str| {
            !matches!(segment, "" | "." | "..")
                && segment.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte))
        };
        if path.len() <= LONGEST_PATH && path.split('/').all(plain) {
            return Some(path.to_owned());
        }
        let finding = Finding::error("bad-path", format!("{text:?} is no path of a webhook"));
        let help = format!(
            "write up to {LONGEST_PATH} letters, digits and `-._~` with slashes between, as in \"shop/orders\""
        );
        self.report(finding.help(help));
        None
    }

    /// A path into the body, or `{ header = "…" }`.
    fn id_from(&self) -> Option<IdFrom> {
        if !self.is_table() {
            return self.path().map(IdFrom::Body);
        }
        let table = self.table()?;
        let header = table.need("header").and_then(|value| value.sent_header());
        table.finish();
        header.map(IdFrom::Header)
    }

    /// The name of a header of the call.
    pub(super) fn sent_header(&self) -> Option<String> {
        let text = self.string()?;
        let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
        if !text.is_empty() && text.len() <= LONGEST_PATH && text.bytes().all(token) {
            return Some(text.to_ascii_lowercase());
        }
        self.report(Finding::error("bad-header", format!("{text:?} is no header name")));
        None
    }

    fn size_in(&self, range: &RangeInclusive<u64>) -> Option<u32> {
        let size = self.size()?;
        if range.contains(&size) {
            return u32::try_from(size).ok();
        }
        let message = format!("`{}` is {size} bytes, outside {} to {}", self.key, range.start(), range.end());
        self.report(Finding::error("out-of-range", message).help("give a size up to \"16MiB\""));
        None
    }
}
