//! Origins that requests may go to beside the connection's own.

use crate::value::issue::Issue;
use url::{Host, Url};

/// `https://files.example` or `https://*.example.com`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OriginPattern {
    /// As written.
    pub source: String,
    /// `{ origin, auth = true }`: credentials may go there.
    pub auth: bool,
    /// Scheme, host and port; below a wildcard the host without it.
    url: Url,
    /// `*.`: any host below this one, at any depth, but not the host itself.
    below: bool,
}

impl OriginPattern {
    /// Parses and checks.
    pub fn parse(text: &str, auth: bool) -> Result<Self, Issue> {
        let issue = |message: &str| {
            Issue::new(0..text.len(), message)
                .help("write `https://host`, `https://host:8443` or `https://*.example.com`")
        };
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err(issue("an origin begins with `https://`"));
        };
        let (below, host) = rest.strip_prefix("*.").map_or((false, rest), |host| (true, host));
        if host.contains('*') {
            return Err(issue("`*` stands only at the front, for whole names"));
        }
        if host.contains(['\\', '\t', '\n', '\r']) || host.trim() != host {
            return Err(issue("this is no origin"));
        }
        let url = Url::parse(&format!("{scheme}://{host}")).map_err(|_| issue("this is no origin"))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(issue("only `http` and `https` origins can be requested"));
        }
        let bare = host.trim_end_matches('/');
        if url.path() != "/" || bare.contains(['/', '?', '#', '@']) {
            return Err(issue("an origin is scheme, host and port only"));
        }
        let enough = matches!(url.host(), Some(Host::Domain(name)) if name.trim_end_matches('.').contains('.'));
        if below && !enough {
            return Err(issue("`*.` needs a domain with at least two parts behind it"));
        }
        Ok(Self { source: text.to_owned(), auth, url, below })
    }

    /// Whether a URL lies on it.
    pub fn matches(&self, url: &Url) -> bool {
        if url.scheme() != self.url.scheme() || url.port_or_known_default() != self.url.port_or_known_default() {
            return false;
        }
        match (self.below, url.host_str(), self.url.host_str()) {
            (false, mine, theirs) => mine.is_some() && mine == theirs,
            (true, Some(host), Some(domain)) => {
                host.strip_suffix(domain).is_some_and(|front| front.len() > 1 && front.ends_with('.'))
            }
            (true, _, _) => false,
        }
    }
}

/// Whether a connection's credentials may go with a request to this URL: its own origin, or one listed with
/// `auth = true`.
pub fn credentials_may_go(url: &Url, base: &Url, allowed: &[OriginPattern]) -> bool {
    same_origin(url, base) || allowed.iter().any(|pattern| pattern.auth && pattern.matches(url))
}

/// Whether two http or https URLs share scheme, host and port.
pub fn same_origin(a: &Url, b: &Url) -> bool {
    a.scheme() == b.scheme() && a.host() == b.host() && a.port_or_known_default() == b.port_or_known_default()
}
