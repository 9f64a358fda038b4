//! `proxy = "none" | "env" | "http://…" | "socks5://…"`.

use super::Reach;
use super::rendered::{Rendered, keep};
use crate::config::decode::file::Finding;
use crate::config::decode::table::Table;
use crate::config::decode::value::Value;
use crate::http::client::{Exempt, Proxy, ProxyServer};
use crate::value::template::Place;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

/// None when it is wrong, which was reported.
pub(super) fn decode(root: &Table<'_>, reach: &mut Reach<'_, '_>) -> Option<Proxy> {
    let Some(value) = root.take("proxy") else { return Some(Proxy::None) };
    match value.string()? {
        "none" => Some(Proxy::None),
        "env" => Some(environment(&value, reach)),
        text => value.proxy(text, reach),
    }
}

impl Value<'_> {
    fn proxy(&self, text: &str, reach: &mut Reach<'_, '_>) -> Option<Proxy> {
        if has_literal_password(text) {
            self.file.mask(self.at());
            let message = format!("the password in `{}` is written into the file", self.key);
            let help = "keep it outside: `[secrets] name = { env = \"NAME\" }`, then \
                        \"http://user:{{connection.secrets.name}}@host:port\"";
            self.report(Finding::error("literal-secret", message).help(help));
            return None;
        }
        let before = self.file.error_count();
        let template = self.text(Place::Plain, reach.scope)?;
        if self.file.error_count() != before {
            return None;
        }
        // A password may hold what means something in a URL.
        let spell = |secret: &str| utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string();
        let rendered = match self.rendered(&template, reach.facts, reach.secrets, spell) {
            Rendered::Text(text) => text,
            Rendered::Missing(why) if super::rendered::lacking(&template, reach.secrets).is_some() => {
                reach.unresolved.push(why);
                return Some(Proxy::None);
            }
            Rendered::Missing(_) if !reach.unresolved.is_empty() => return Some(Proxy::None),
            Rendered::Missing(why) | Rendered::Failed(why) => {
                self.report(Finding::error("bad-template", why));
                return None;
            }
        };
        match ProxyServer::parse(&rendered) {
            Ok(server) => Some(Proxy::All(server)),
            Err(why) => {
                if text.contains('@') {
                    self.file.mask(self.at());
                }
                let help = "write \"none\", \"env\", or a URL such as \"http://proxy.example:3128\" or \
                            \"socks5://127.0.0.1:1080\"";
                self.report(Finding::error("bad-uri", format!("`{}` names no proxy: {why}", self.key)).help(help));
                None
            }
        }
    }
}

/// Whether a password stands in the URL itself and not in a source.
fn has_literal_password(text: &str) -> bool {
    let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
    let login = rest.rsplit_once('@').map_or("", |(login, _)| login);
    login.split_once(':').is_some_and(|(_, password)| !password.is_empty() && !password.contains("{{"))
}

/// As the usual variables say: in small letters first, as other programs read them.
fn environment(value: &Value<'_>, reach: &mut Reach<'_, '_>) -> Proxy {
    let found = |name: &str| {
        let upper = name.to_uppercase();
        let found = [name.to_owned(), upper].into_iter().map(|name| (reach.sources.env(&name), name));
        found.into_iter().find_map(|(text, name)| Some((name, text.filter(|text| !text.is_empty())?)))
    };
    let all = found("all_proxy");
    let (http, https) = (found("http_proxy").or_else(|| all.clone()), found("https_proxy").or(all));
    let exempt = Exempt::new(&found("no_proxy").map(|(_, list)| list).unwrap_or_default());
    let mut server = |found: Option<(String, String)>| {
        let (name, text) = found?;
        let whole = if text.contains("://") { text } else { format!("http://{text}") };
        match ProxyServer::parse(&whole) {
            Ok(server) => {
                if let Some(password) = server.password() {
                    keep(reach.secrets, &format!("{}__{}", value.key, name.to_lowercase()), password);
                }
                Some(server)
            }
            Err(why) => {
                let reason = format!("environment variable `{name}` names no proxy: {why}");
                let told = reach.unresolved.iter().any(|known| known.ends_with(&reason));
                if !told {
                    value.unresolved(&reason, false);
                    reach.unresolved.push(format!("{}: {reason}", value.key));
                }
                None
            }
        }
    };
    Proxy::Env { http: server(http), https: server(https), exempt }
}
