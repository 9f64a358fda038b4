//! What answers mean on this connection: `auth_failure`, `rate_limit`, `retry`.

use crate::config::decode::file::Finding;
use crate::config::decode::scope::Scope;
use crate::config::decode::table::Table;
use crate::config::decode::value::Value;
use crate::http::retry::Retry;
use crate::http::verdict::{AuthFailure, RateLimit, RetryAfterUnit};
use crate::queue::limits::PauseScope;
use std::num::NonZeroU32;
use std::time::Duration;

pub(super) fn auth_failure(root: &Table<'_>, scope: &Scope<'_>) -> AuthFailure {
    let default = AuthFailure { rule: None, count_401: true };
    let Some(table) = root.take("auth_failure").and_then(|value| value.table()) else { return default };
    let rule = table.rule_keys(scope);
    let count_401 = table.take("count_401").and_then(|value| value.boolean()).unwrap_or(true);
    table.finish();
    AuthFailure { rule, count_401 }
}

pub(super) fn rate_limit(root: &Table<'_>, scope: &Scope<'_>) -> RateLimit {
    const SCOPES: &[(&str, PauseScope)] = &[("pool", PauseScope::Pool), ("connection", PauseScope::Connection)];
    let mut limit = RateLimit {
        rule: None,
        retry_after_header: None,
        retry_after_unit: RetryAfterUnit::default(),
        max_pause: Duration::from_mins(5),
        min_pause: Duration::ZERO,
        scope: PauseScope::default(),
        remaining_header: None,
        reset_header: None,
    };
    let Some(table) = root.take("rate_limit").and_then(|value| value.table()) else { return limit };
    limit.rule = table.rule_keys(scope);
    let header = |name| table.take(name).and_then(|value: Value<'_>| value.string().map(str::to_owned));
    limit.retry_after_header = header("retry_after_header");
    limit.remaining_header = header("remaining_header");
    limit.reset_header = header("reset_header");
    limit.retry_after_unit =
        table.take("retry_after_unit").and_then(|value| value.word(RetryAfterUnit::WORDS, &[])).unwrap_or_default();
    limit.max_pause = table.positive_duration("max_pause").unwrap_or(limit.max_pause);
    let min_pause = table.take("min_pause");
    limit.min_pause = min_pause.as_ref().and_then(Value::duration).unwrap_or_default();
    limit.scope = table.take("scope").and_then(|value| value.word(SCOPES, &[])).unwrap_or_default();
    if let Some(value) = min_pause.filter(|_| limit.min_pause > limit.max_pause) {
        let finding = Finding::error("conflicting-keys", "`min_pause` is longer than `max_pause`");
        value.report(finding.help("raise `max_pause` (default 5m) or lower `min_pause`"));
    }
    table.finish();
    limit
}

pub(super) fn retry(root: &Table<'_>, scope: &Scope<'_>) -> Retry {
    let default = Retry {
        max_attempts: NonZeroU32::MIN.saturating_add(3),
        initial: Duration::from_secs(1),
        max: Duration::from_mins(1),
        unsafe_methods: false,
    };
    let Some(table) = root.take("retry").and_then(|value| value.table()) else { return default };
    let attempts = table.take("max_attempts").and_then(|value| value.number(1..=100, scope));
    let attempts = attempts.and_then(|count| u32::try_from(count).ok()).and_then(NonZeroU32::new);
    let (mut initial, mut max) = (default.initial, default.max);
    if let Some(backoff) = table.take("backoff").and_then(|value| value.table()) {
        initial = backoff.positive_duration("initial").unwrap_or(initial);
        max = backoff.positive_duration("max").unwrap_or(max.max(initial));
        backoff.finish();
        if initial > max {
            let finding = Finding::error("conflicting-keys", "`initial` is longer than `max`").key(backoff.key());
            backoff.report(finding.help("the back-off doubles from `initial` up to `max`"));
        }
    }
    let unsafe_methods = table.take("unsafe_methods").and_then(|value| value.boolean()).unwrap_or(false);
    table.finish();
    Retry { max_attempts: attempts.unwrap_or(default.max_attempts), initial, max, unsafe_methods }
}
