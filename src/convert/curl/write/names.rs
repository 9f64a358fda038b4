//! Ids for the files, from what the request is about.

use super::super::shell::{CLOSE, OPEN};

/// Labels of hosts that say nothing.
const GENERAL: &[&str] = &["api", "www", "app", "rest", "com", "co", "org", "net", "io", "dev", "gov", "ac", "edu"];

/// `api.stripe.com` is `stripe`.
pub(super) fn connection(host: &str) -> String {
    let plain = without_variables(host);
    let host = plain.split(':').next().unwrap_or_default();
    if host.parse::<std::net::Ipv4Addr>().is_ok() || host.starts_with('[') {
        return "api".to_owned();
    }
    let mut labels: Vec<&str> = host.split('.').filter(|label| !label.is_empty()).collect();
    if labels.len() > 1 {
        labels.pop();
    }
    while labels.len() > 1 && labels.last().is_some_and(|label| GENERAL.contains(label)) {
        labels.pop();
    }
    let found = labels.iter().rev().find(|label| !GENERAL.contains(*label));
    found.and_then(|label| id(label)).unwrap_or_else(|| "api".to_owned())
}

/// `/v1/customers/42` is `customers`.
pub(super) fn flow(path: &str) -> String {
    let named = |segment: &&str| {
        let bare = segment.split('.').next().unwrap_or_default();
        let version = bare.strip_prefix('v').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
        let letters = bare.chars().filter(char::is_ascii_alphabetic).count();
        let all = bare.chars().all(|c| c.is_ascii_alphabetic() || c == '_' || c == '-');
        letters > 2 && all && !version && !matches!(bare, "api" | "rest" | "json")
    };
    let found = path.rsplit('/').find(named).and_then(|segment| id(segment.split('.').next().unwrap_or_default()));
    found.unwrap_or_else(|| "first".to_owned())
}

fn without_variables(text: &str) -> String {
    let mut out = String::new();
    let mut inside = false;
    for c in text.chars() {
        match c {
            OPEN => inside = true,
            CLOSE => inside = false,
            c if !inside => out.push(c),
            _ => {}
        }
    }
    out
}

/// A valid segment of an id.
fn id(text: &str) -> Option<String> {
    let mapped: String = text
        .chars()
        .take(40)
        .map(|c| if c.is_ascii_alphanumeric() || c == '_' { c.to_ascii_lowercase() } else { '-' })
        .collect();
    let id = mapped.trim_matches(['-', '_']);
    (!id.is_empty()).then(|| id.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_what_it_is_about() {
        for (host, wanted) in [
            ("api.stripe.com", "stripe"),
            ("acme.zendesk.com", "zendesk"),
            ("api.eu.mailgun.net", "mailgun"),
            ("www.example.co.uk", "example"),
            ("localhost:8080", "localhost"),
            ("127.0.0.1:80", "api"),
            ("\u{1}HOST\u{2}", "api"),
            ("\u{1}SHOP\u{2}.myshopify.com", "myshopify"),
            ("api.com", "api"),
        ] {
            assert_eq!(connection(host), wanted, "{host}");
        }
        for (path, wanted) in [
            ("/v1/customers", "customers"),
            ("/v1/customers/42/", "customers"),
            ("/api/v2/tickets.json", "tickets"),
            ("/", "first"),
            ("/repos/octo/hello-world/issues/1", "issues"),
            ("/users/{user_id}/Messages", "messages"),
        ] {
            assert_eq!(flow(path), wanted, "{path}");
        }
    }
}
