//! `flowgate.toml`: settings of the process, every one with a default.

use super::file::Finding;
use super::flow::Connections;
use super::scope::{Facts, Scope};
use super::source::Sources;
use super::table::Table;
use super::value::Value;
use super::{agent, notify};
use crate::model::settings::{LogFormat, Public, ServerTls, Settings};
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// The top-level keys.
pub(in crate::config) const KEYS: &[&str] = &["state", "server", "notify", "log", "limits", "shutdown", "agents"];

const PUBLIC: &[(&str, Public)] =
    &[("health", Public::Health), ("metrics", Public::Metrics), ("webhooks", Public::Webhooks)];

/// What holds without a file.
pub(in crate::config) fn defaults(root: &Path) -> Settings {
    Settings {
        state: root.join("state"),
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 9380)),
        token: None,
        public: Vec::new(),
        hosts: Vec::new(),
        tls: None,
        agents: Vec::new(),
        notify: None,
        log_format: LogFormat::Auto,
        log_level: "info".to_owned(),
        burst: NonZeroU32::MIN.saturating_add(255),
        max_runs: NonZeroU32::MIN.saturating_add(63),
        error_retention: Duration::from_hours(90 * 24),
        history_retention: Duration::from_hours(30 * 24),
        shutdown_timeout: Duration::from_secs(30),
    }
}

pub(in crate::config) fn decode(
    root: &Table<'_>,
    directory: &Path,
    sources: &Sources<'_>,
    connections: &Connections,
) -> Settings {
    let mut settings = defaults(directory);
    let section = |name| root.take(name).and_then(|value: Value<'_>| value.table());
    if let Some(table) = section("state") {
        state(&table, directory, &mut settings);
    }
    if let Some(table) = section("server") {
        server(&table, sources, &mut settings);
    }
    if let Some(table) = section("log") {
        log(&table, &mut settings);
    }
    if let Some(table) = section("limits") {
        limits(&table, &mut settings);
    }
    if let Some(table) = section("shutdown") {
        if let Some(timeout) = table.take("timeout").and_then(|value| value.duration()) {
            settings.shutdown_timeout = timeout;
        }
        table.finish();
    }
    if let Some(value) = root.take("agents") {
        settings.agents = agent::known(&value, sources);
    }
    let elsewhere = !settings.listen.ip().to_canonical().is_loopback();
    if let Some(value) = root.peek("agents").filter(|_| elsewhere && settings.tls.is_none()) {
        let finding = Finding::warning("unsafe-listen", "tokens of agents come in here without TLS");
        value.report_key(finding.help("add `[server.tls]`, unless a proxy in front of this address speaks TLS"));
    }
    settings.notify = root.take("notify").and_then(|value| notify::decode(&value, connections)).map(Arc::new);
    root.finish();
    settings
}

fn state(table: &Table<'_>, directory: &Path, settings: &mut Settings) {
    let path = table.take("path");
    if let Some(text) = path.as_ref().and_then(Value::string) {
        settings.state = directory.join(text);
    }
    if let Some(value) = path.filter(|value| value.raw_str().is_some_and(|text| text.is_empty() || text.contains('\0')))
    {
        value.report(Finding::error("bad-path", "this is no directory name"));
    }
    table.not_yet(&["url"]);
    table.finish();
}

fn server(table: &Table<'_>, sources: &Sources<'_>, settings: &mut Settings) {
    let listen = table.take("listen");
    let mut elsewhere = false;
    if let Some(value) = &listen
        && let Some(address) = value.address()
    {
        elsewhere = !address.ip().to_canonical().is_loopback();
        settings.listen = address;
    }
    let token = table.take("token");
    settings.token = token.as_ref().and_then(|value| value.secret(sources));
    if let Some(value) = listen.filter(|_| elsewhere && token.is_none()) {
        let finding = Finding::error("unsafe-listen", "an address that other machines reach needs a token");
        value.report(
            finding.help("add `token = { env = \"FLOWGATE_TOKEN\" }` under `[server]`, or listen on 127.0.0.1"),
        );
    }
    settings.hosts = table.take("hosts").and_then(|value| value.strings()).unwrap_or_default();
    let public = table.take("public").and_then(|value| value.list()).unwrap_or_default();
    settings.public = public.iter().filter_map(|value| value.word(PUBLIC, &[])).collect();
    settings.tls = table.take("tls").and_then(|value| tls(&value, sources));
    table.finish();
}

fn tls(value: &Value<'_>, sources: &Sources<'_>) -> Option<ServerTls> {
    let table = value.table()?;
    let certificate = table.need("certificate").and_then(|value| value.open_text(sources));
    let key = table.need("key").and_then(|value| value.secret(sources));
    table.finish();
    Some(ServerTls { certificate: certificate?, key: key? })
}

fn log(table: &Table<'_>, settings: &mut Settings) {
    const FORMATS: &[(&str, LogFormat)] =
        &[("auto", LogFormat::Auto), ("text", LogFormat::Text), ("json", LogFormat::Json)];
    const LEVELS: &[(&str, &str)] =
        &[("error", "error"), ("warn", "warn"), ("info", "info"), ("debug", "debug"), ("trace", "trace")];
    if let Some(format) = table.take("format").and_then(|value| value.word(FORMATS, &[])) {
        settings.log_format = format;
    }
    if let Some(level) = table.take("level").and_then(|value| value.word(LEVELS, &[])) {
        level.clone_into(&mut settings.log_level);
    }
    table.finish();
}

fn limits(table: &Table<'_>, settings: &mut Settings) {
    let facts = Facts::empty();
    let scope = Scope::of_connection(&facts);
    let number = |name, range: RangeInclusive<u64>| {
        let number = table.take(name).and_then(|value: Value<'_>| value.number(range, &scope))?;
        NonZeroU32::new(u32::try_from(number).ok()?)
    };
    settings.burst = number("burst", 1..=10_000).unwrap_or(settings.burst);
    settings.max_runs = number("max_runs", 1..=10_000).unwrap_or(settings.max_runs);
    settings.error_retention = table.positive_duration("error_retention").unwrap_or(settings.error_retention);
    settings.history_retention = table.positive_duration("history_retention").unwrap_or(settings.history_retention);
    table.finish();
}

impl Value<'_> {
    /// `address:port`; `localhost` is understood, other names would need a resolver.
    fn address(&self) -> Option<SocketAddr> {
        let text = self.string()?;
        let numeric = text.strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}"));
        let parsed = numeric.as_deref().unwrap_or(text).parse().ok();
        if parsed.is_none() {
            let finding = Finding::error("bad-address", format!("{text:?} is no address to listen on"));
            self.report(finding.help("write an IP address and a port, as in \"127.0.0.1:9380\" or \"[::1]:9380\""));
        }
        parsed
    }
}
