//! Agents: their tables in `flowgate.toml`, the connection's `[agent]`, and the agent's own file.

use super::connection::Named;
use super::file::Finding;
use super::source::Sources;
use super::table::Table;
use super::value::Value;
use crate::model::agent::{AgentFile, AgentToken};
use crate::value::target::Target;
use url::{Host, Url};

/// The keys of an agent's own file.
pub(in crate::config) const KEYS: &[&str] = &["server", "token", "allow", "ca"];

/// Longest name of an agent.
const LONGEST: usize = 64;

/// `[agents.<name>]`
pub(super) fn known(value: &Value<'_>, sources: &Sources<'_>) -> Vec<AgentToken> {
    let Some(table) = value.table() else { return Vec::new() };
    let mut known: Vec<AgentToken> = Vec::new();
    for (name, value) in table.members() {
        if let Err(why) = checked_name(name) {
            value.report_key(Finding::error("bad-name", why));
            continue;
        }
        let Some(table) = value.table() else { continue };
        let token = table.need("token").and_then(|value| value.agent_token(sources, &known));
        table.finish();
        known.extend(token.map(|token| AgentToken { name: name.to_owned(), token }));
    }
    known
}

/// `[agent]` of a connection.
pub(super) fn named(value: &Value<'_>) -> Option<Named<String>> {
    let table = value.table()?;
    let name = table.need("name");
    table.finish();
    let name = name?;
    let text = name.string()?;
    match checked_name(text) {
        Ok(()) => Some(Named { value: text.to_owned(), key: name.key.clone(), at: name.at() }),
        Err(why) => {
            name.report(Finding::error("bad-name", why));
            None
        }
    }
}

/// An agent's own file. Everything may be missing: the command line can say it too.
pub(in crate::config) fn own(root: &Table<'_>, sources: &Sources<'_>) -> AgentFile {
    let server = root.take("server").and_then(|value| value.server());
    let token = root.take("token").and_then(|value| value.secret(sources));
    let allow = root.take("allow").and_then(|value| value.list()).unwrap_or_default();
    let allow = allow.iter().filter_map(Value::target).collect();
    let ca = root.take("ca").and_then(|value| value.open_text(sources));
    root.finish();
    AgentFile { server, token, allow, ca }
}

fn checked_name(name: &str) -> Result<(), String> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_');
    let begins = name.chars().next().is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    if begins && name.len() <= LONGEST && name.chars().all(fits) {
        return Ok(());
    }
    Err(format!("an agent's name is made of a to z, 0 to 9, `-` and `_`, at most {LONGEST} of them"))
}

/// Where an agent dials: https, or http on this machine only, because its token goes along.
pub fn server_url(text: &str) -> Result<Url, &'static str> {
    let url = Url::parse(text).map_err(|_| "it is no URL, as in \"https://flows.example:9380\"")?;
    let here = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => return Err("it names no host"),
    };
    match url.scheme() {
        _ if !url.username().is_empty() || url.password().is_some() => Err("the token stands under `token`"),
        _ if url.query().is_some() || url.fragment().is_some() => Err("it has neither query nor fragment"),
        "https" => Ok(url),
        "http" if here => Ok(url),
        "http" => Err("the token would travel in the clear: write https"),
        _ => Err("it begins with https"),
    }
}

impl Value<'_> {
    fn agent_token(
        &self,
        sources: &Sources<'_>,
        others: &[AgentToken],
    ) -> Option<Result<crate::value::secret::Secret, String>> {
        let token = self.secret(sources)?;
        if let Ok(secret) = &token {
            if secret.reveal().is_empty() {
                self.report(Finding::error("empty-secret", "an empty token lets everybody in"));
                return None;
            }
            let same = |other: &&AgentToken| other.token.as_ref().is_ok_and(|token| token == secret);
            if let Some(other) = others.iter().find(same) {
                let message = format!("agent `{}` has this token too", other.name);
                self.report(Finding::error("same-token", message).help("the token says which agent it is"));
            }
        }
        Some(token)
    }

    fn server(&self) -> Option<Url> {
        let text = self.string()?;
        server_url(text).map_err(|why| self.report(Finding::error("bad-uri", format!("{text:?}: {why}")))).ok()
    }

    fn target(&self) -> Option<Target> {
        let text = self.string()?;
        let finding = |why: &str| Finding::error("bad-target", format!("{text:?} is no host and port: {why}"));
        Target::parse(text).map_err(|why| self.report(finding(why))).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_never_travels_in_the_clear_to_another_machine() {
        for good in ["https://flows.example:9380", "https://10.0.0.1/x/", "http://127.0.0.1:9380", "http://localhost:1"]
        {
            assert!(server_url(good).is_ok(), "{good}");
        }
        for (bad, why) in [
            ("http://flows.example:9380", "in the clear"),
            ("http://10.0.0.1", "in the clear"),
            ("http://localhost.evil.example", "in the clear"),
            ("https://u:p@flows.example", "under `token`"),
            ("https://flows.example/?a=1", "neither"),
            ("flows.example", "no URL"),
            ("socks5://a:1", "https"),
        ] {
            assert!(server_url(bad).is_err_and(|error| error.contains(why)), "{bad}");
        }
    }

    #[test]
    fn names_of_agents_are_plain() {
        for good in ["warehouse", "a", "9-b_c"] {
            assert_eq!(checked_name(good), Ok(()), "{good}");
        }
        for bad in ["", "-a", "Ware", "a b", "a:b", "a@b", &"a".repeat(65)] {
            assert!(checked_name(bad).is_err(), "{bad}");
        }
    }
}
