//! Where a connection's requests go and what they carry: `base_uri`, headers, origins, timeouts.

use super::rendered::Rendered;
use super::{Secrets, answers, media};
use crate::config::decode::file::Finding;
use crate::config::decode::scope::{Facts, Scope};
use crate::config::decode::table::Table;
use crate::config::decode::value::Value;
use crate::http::auth::Auth;
use crate::http::client::{ClientSettings, Proxy, Tls};
use crate::value::context::SIGNING;
use crate::value::template::Place;
use crate::value::uri::OriginPattern;
use std::time::Duration;
use url::Url;

/// Everything but the level, which belongs to the pool.
pub(super) fn decode(
    root: &Table<'_>,
    scope: &Scope<'_>,
    facts: &Facts,
    auth: Option<Auth>,
    (proxy, tls): (Option<Proxy>, Option<Tls>),
    secrets: Secrets,
    unresolved: Vec<String>,
) -> Option<ClientSettings> {
    let base_uri = root.need("base_uri").and_then(|value| value.base_uri(scope, facts, &secrets, &unresolved));
    let media = media::decode(root, facts);
    let signed = scope.with(&SIGNING);
    let headers = root.fields("headers", &signed);
    let query = root.fields("query", &signed);
    let timeout = root.positive_duration("timeout").unwrap_or(Duration::from_secs(30));
    let connect_timeout = root.positive_duration("connect_timeout").unwrap_or(Duration::from_secs(10));
    let max_response = root.take("max_response").and_then(|value| value.size()).unwrap_or(64 << 20);
    let redirects = root.take("redirects").and_then(|value| value.word(&[("none", false), ("same-origin", true)], &[]));
    let origins = root.take("allowed_origins").and_then(|value| value.list()).unwrap_or_default();
    let allowed_origins = origins.iter().filter_map(Value::origin).collect();
    let response = root.take("response").and_then(|value| value.response(scope)).unwrap_or_default();
    let rate_limit = answers::rate_limit(root, scope);
    let auth_failure = answers::auth_failure(root, scope);
    let retry = answers::retry(root, scope);
    let on = root.on_rules(scope);
    let ping = root.given("ping", |value| value.ping(scope));
    Some(ClientSettings {
        unresolved,
        base_uri: base_uri?,
        headers,
        query,
        timeout,
        connect_timeout,
        max_response,
        follow_redirects: redirects.unwrap_or(true),
        allowed_origins,
        proxy: proxy?,
        tls: tls?,
        auth: auth?,
        response,
        rate_limit,
        auth_failure,
        media,
        retry,
        on,
        ping: ping.ok()?,
        level: 1,
        vars: facts.values.clone(),
        secrets,
    })
}

impl Value<'_> {
    fn origin(&self) -> Option<OriginPattern> {
        let (text, auth) = if self.is_table() {
            let table = self.table()?;
            let origin = table.need("origin");
            let auth = table.take("auth").and_then(|value| value.boolean()).unwrap_or(false);
            table.finish();
            (origin?, auth)
        } else {
            (self.clone(), false)
        };
        let parsed = OriginPattern::parse(text.string()?, auth);
        parsed.map_err(|issue| text.report_issues("bad-origin", 0, vec![issue])).ok()
    }

    /// Rendered now: it may see `connection.vars` and `connection.secrets`, which do not change while loaded.
    fn base_uri(&self, scope: &Scope<'_>, facts: &Facts, secrets: &Secrets, unresolved: &[String]) -> Option<Url> {
        let before = self.file.error_count();
        let template = self.text(Place::Plain, scope)?;
        if self.file.error_count() != before {
            return None;
        }
        let text = match self.rendered(&template, facts, secrets, str::to_owned) {
            Rendered::Text(text) => text,
            // What is missing is a source that was reported: the connection is offline until it resolves.
            Rendered::Missing(_) if !unresolved.is_empty() || secrets.iter().any(|(_, secret)| secret.is_err()) => {
                return Url::parse("http://unresolved.invalid/").ok();
            }
            Rendered::Missing(why) | Rendered::Failed(why) => {
                self.report(Finding::error("bad-template", why));
                return None;
            }
        };
        let secret = template.references().iter().any(|name| name.members.first().is_some_and(|m| m == "secrets"));
        match checked_base(&text) {
            Ok(url) => Some(url),
            Err(why) => {
                // A URI with user-info holds a password.
                let secret = secret || text.contains('@');
                if secret {
                    self.file.mask(self.at());
                }
                let written = if secret { self.key.as_str() } else { text.as_str() };
                let message = format!("`{}` cannot be used as a base: {why}", written.escape_debug());
                let help = "write the scheme, the host and perhaps a path, as in \"https://api.example.com/v2\"";
                self.report(Finding::error("bad-uri", message).help(help));
                None
            }
        }
    }
}

/// http or https, a host, and nothing that a relative URI or a credential would have to fight with.
fn checked_base(text: &str) -> Result<Url, &'static str> {
    if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err("it holds blanks or control characters");
    }
    let url = Url::parse(text).map_err(|error| match error {
        url::ParseError::RelativeUrlWithoutBase => "it has no scheme",
        url::ParseError::EmptyHost => "it has no host",
        url::ParseError::InvalidPort => "its port is no port number",
        _ => "it is no URI",
    })?;
    match &url {
        url if !matches!(url.scheme(), "http" | "https") => Err("only http and https are spoken"),
        url if url.host_str().is_none_or(str::is_empty) => Err("it has no host"),
        url if !url.username().is_empty() || url.password().is_some() => {
            Err("credentials belong under `[auth.basic]`, not into the URI")
        }
        url if url.query().is_some() => Err("a query belongs under `query`"),
        url if url.fragment().is_some() => Err("a fragment is never sent"),
        _ => Ok(url),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_is_a_plain_http_address() {
        for good in ["https://a.example", "http://127.0.0.1:8080/v1/"] {
            assert!(checked_base(good).is_ok(), "{good}");
        }
        for (bad, why) in [
            ("api.example.com", "no scheme"),
            ("ftp://a.example", "only http"),
            ("https://u:p@a.example", "credentials"),
            ("https://a.example/?x=1", "query"),
            ("https://a.example/#x", "fragment"),
            ("https://a.exa\tmple", "blanks"),
            ("https://", "no host"),
            ("https://a.example:99999", "port"),
        ] {
            assert!(checked_base(bad).is_err_and(|error| error.contains(why)), "{bad}");
        }
    }
}
