//! Which server requests go through: `proxy` of a connection. Its login is never part of what is shown.

use crate::value::secret::Secret;
use hyper_util::client::proxy::matcher::Matcher;
use percent_encoding::percent_decode_str;
use std::fmt;
use std::sync::Arc;
use url::Url;

/// `proxy`
#[derive(Debug, Clone, Default)]
pub enum Proxy {
    /// `"none"`: requests go out directly.
    #[default]
    None,
    /// A URL: all of them go through this one.
    All(ProxyServer),
    /// `"env"`: as `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY` said when the connection was loaded.
    Env {
        /// For `http://`.
        http: Option<ProxyServer>,
        /// For `https://`.
        https: Option<ProxyServer>,
        /// Hosts that are reached directly.
        exempt: Exempt,
    },
}

impl Proxy {
    /// The one a URL goes through.
    pub fn of(&self, url: &Url) -> Option<&ProxyServer> {
        match self {
            Self::None => None,
            Self::All(server) => Some(server),
            Self::Env { http, https, exempt } => {
                let server = if url.scheme() == "https" { https } else { http };
                server.as_ref().filter(|_| !exempt.holds(url))
            }
        }
    }
}

/// `NO_PROXY`: names with all below them, addresses, networks, `*`.
#[derive(Clone)]
pub struct Exempt {
    all: bool,
    listed: Arc<Matcher>,
}

impl Exempt {
    /// Reads the list.
    pub fn new(list: &str) -> Self {
        // It goes to one proxy for everything, or it is exempt. A star there means names, not addresses.
        let listed = Matcher::builder().all("http://proxy.invalid").no(list).build();
        Self { all: list.split(',').any(|entry| entry.trim() == "*"), listed: Arc::new(listed) }
    }

    fn holds(&self, url: &Url) -> bool {
        self.all || url.as_str().parse().is_ok_and(|uri| self.listed.intercept(&uri).is_none())
    }
}

impl fmt::Debug for Exempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Exempt")
    }
}

/// A proxy and how to log in there.
#[derive(Debug, Clone)]
pub struct ProxyServer {
    /// Scheme, host, port; no login.
    place: Url,
    /// User and password, as they are written in a URL.
    login: Option<(String, Secret)>,
}

impl ProxyServer {
    /// Reads a URL; what is wrong with it is told without repeating it.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err("it holds blanks or control characters");
        }
        let mut place = Url::parse(text).map_err(|error| match error {
            url::ParseError::RelativeUrlWithoutBase => "it has no scheme",
            url::ParseError::InvalidPort => "its port is no port number",
            _ => "it is no URL",
        })?;
        if !matches!(place.scheme(), "http" | "socks5" | "socks5h") {
            return Err("only `http://`, `socks5://` and `socks5h://` are spoken");
        }
        if place.host_str().is_none_or(str::is_empty) {
            return Err("it has no host");
        }
        if !matches!(place.path(), "" | "/") || place.query().is_some() || place.fragment().is_some() {
            return Err("it has more than scheme, login, host and port");
        }
        let login = (!place.username().is_empty() || place.password().is_some())
            .then(|| (place.username().to_owned(), Secret::new(place.password().unwrap_or_default())));
        let settled = place.set_username("").is_ok() && place.set_password(None).is_ok();
        let port = if place.scheme() == "http" { 80 } else { 1080 };
        if !settled || (place.port().is_none() && place.set_port(Some(port)).is_err()) {
            return Err("it is no URL of a proxy");
        }
        Ok(Self { place, login })
    }

    /// The password as it is meant, to be masked wherever it turns up.
    pub fn password(&self) -> Option<Secret> {
        let (_, password) = self.login.as_ref()?;
        Some(Secret::new(percent_decode_str(password.reveal()).decode_utf8_lossy().into_owned()))
    }

    /// Whether it reads requests for `http://`, and so may answer them itself.
    pub(super) fn forwards(&self) -> bool {
        self.place.scheme() == "http"
    }

    /// The whole URL, for the one place that logs in.
    pub(super) fn with_login(&self) -> Url {
        let mut url = self.place.clone();
        if let Some((user, password)) = &self.login {
            // Both were taken out of such a URL.
            let _ = url.set_username(user);
            let _ = url.set_password(Some(password.reveal()).filter(|password| !password.is_empty()));
        }
        url
    }
}

impl fmt::Display for ProxyServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let port = self.place.port_or_known_default().unwrap_or_default();
        write!(f, "{}://{}:{port}", self.place.scheme(), self.place.host_str().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn through(proxy: &Proxy, url: &str) -> Option<String> {
        proxy.of(&Url::parse(url).unwrap()).map(ToString::to_string)
    }

    #[test]
    fn a_proxy_is_shown_without_its_login() {
        for (text, shown) in [
            ("http://user:p%40ss@proxy.example:3128", "http://proxy.example:3128"),
            ("http://proxy.example", "http://proxy.example:80"),
            ("socks5://user:p%40ss@[::1]", "socks5://[::1]:1080"),
            ("socks5h://10.0.0.1:9050/", "socks5h://10.0.0.1:9050"),
        ] {
            let server = ProxyServer::parse(text).unwrap();
            assert_eq!(server.to_string(), shown);
            assert!(!format!("{server:?}").contains("p%40ss") && !format!("{server:?}").contains("p@ss"));
            if text.contains('@') {
                assert_eq!(server.password().unwrap().reveal(), "p@ss");
                assert!(server.with_login().as_str().contains("user:p%40ss@"), "{}", server.with_login());
            }
        }
    }

    #[test]
    fn what_is_no_proxy_is_refused_with_the_reason() {
        for (text, why) in [
            ("proxy.example:3128", "only"),
            ("//proxy.example", "no scheme"),
            ("https://proxy.example", "only"),
            ("socks4://proxy.example", "only"),
            ("http://", "no"),
            ("http://proxy.example/path", "more than"),
            ("http://proxy.example?x", "more than"),
            ("http://proxy.example:99999", "port"),
            ("http://pro xy", "blanks"),
        ] {
            assert!(ProxyServer::parse(text).is_err_and(|error| error.contains(why)), "{text}");
        }
    }

    #[test]
    fn the_environment_decides_by_scheme_and_exempts_names_addresses_and_networks() {
        let server = |text: &str| ProxyServer::parse(text).ok();
        let env = Proxy::Env {
            http: server("http://plain.example:1"),
            https: server("http://tunnel.example:2"),
            exempt: Exempt::new("inside.example, .below.example,10.0.0.0/8,::1,192.0.2.7"),
        };
        assert_eq!(through(&env, "http://a.example/x").unwrap(), "http://plain.example:1");
        assert_eq!(through(&env, "https://a.example/x").unwrap(), "http://tunnel.example:2");
        for direct in [
            "https://inside.example/",
            "https://api.inside.example:8443/x?y",
            "http://a.below.example/",
            "http://10.1.2.3/",
            "https://[::1]:8443/",
            "http://192.0.2.7/",
        ] {
            assert_eq!(through(&env, direct), None, "{direct}");
        }
        assert!(through(&env, "https://notinside.example/").is_some());
        let none = Proxy::Env { http: None, https: server("http://p:1"), exempt: Exempt::new("") };
        assert_eq!(through(&none, "http://a.example/"), None);
        let all = Proxy::Env { http: server("http://p:1"), https: server("http://p:1"), exempt: Exempt::new("*") };
        assert_eq!(through(&all, "http://a.example/"), None);
        assert_eq!(through(&all, "https://192.0.2.9/"), None);
    }
}
