//! What of a request is a credential, and which environment variable takes its place.

use super::shell::{CLOSE, OPEN};

/// Parts of names that tell of a credential.
const TELLING: &[&str] = &[
    "passw",
    "passphrase",
    "secret",
    "token",
    "apikey",
    "api_key",
    "api-key",
    "credential",
    "authorization",
    "auth-key",
    "access_key",
    "access-key",
    "private_key",
    "private-key",
    "subscription-key",
    "session",
    "signature",
    "cookie",
];
/// Names that tell of one as a whole.
const WHOLE: &[&str] = &["key", "pwd", "pass", "auth", "sig", "appid", "app_id", "x-key"];
/// Names that only look so.
const PLAIN: &[&str] = &[
    "idempotency-key",
    "page_token",
    "pagetoken",
    "next_token",
    "nexttoken",
    "token_type",
    "tokens",
    "max_tokens",
    "sync_token",
];

/// Whether a header, parameter or field of this name holds a credential.
pub(super) fn is_one(name: &str) -> bool {
    let name = name.to_lowercase();
    !is_plain(&name) && (WHOLE.contains(&name.as_str()) || TELLING.iter().any(|part| name.contains(part)))
}

/// Whether a field of a body of this name does: fewer names tell of one there.
pub(super) fn is_field(name: &str) -> bool {
    let name = name.to_lowercase();
    let telling = |part: &&&str| !matches!(**part, "session" | "signature" | "cookie");
    !is_plain(&name) && TELLING.iter().filter(telling).any(|part| name.contains(part))
}

fn is_plain(name: &str) -> bool {
    PLAIN.contains(&name) || name.ends_with("_tokens") || name.ends_with("page_token") || name.ends_with("pagetoken")
}

/// The secrets and variables of a connection.
#[derive(Debug, Default)]
pub(super) struct Sources {
    /// Before the names of environment variables: the connection's id in capitals.
    pub(super) prefix: String,
    /// Name, environment variable, what it is.
    pub(super) secrets: Vec<(String, String, String)>,
    /// Name and environment variable.
    pub(super) vars: Vec<(String, String)>,
}

impl Sources {
    /// A text over secrets in place of a credential. Where the command line has a variable, that variable is asked for;
    /// what is written out is forgotten.
    pub(super) fn secret(&mut self, name: &str, value: &str, what: &str) -> String {
        if let Some(variable) = only_variable(value) {
            return self.reference(&variable.to_lowercase(), variable, what);
        }
        // One value in two places is one secret only if it has one name.
        let name = identifier(name);
        let variable = format!("{}_{}", self.prefix, name.to_uppercase());
        self.reference(&name, &variable, what)
    }

    fn reference(&mut self, name: &str, variable: &str, what: &str) -> String {
        let name = identifier(name);
        if !self.secrets.iter().any(|(known, ..)| *known == name) {
            self.secrets.push((name.clone(), variable.to_owned(), what.to_owned()));
        }
        format!("{{{{connection.secrets.{name}}}}}")
    }

    /// A text as a template where variables stand in it; none where there are none.
    pub(super) fn template(&mut self, text: &str) -> Option<String> {
        if !text.contains(OPEN) {
            return None;
        }
        let mut out = String::new();
        let mut rest = text;
        while let Some((before, inside)) = rest.split_once(OPEN) {
            let (variable, after) = inside.split_once(CLOSE).unwrap_or((inside, ""));
            out.push_str(&before.replace("{{", "\\{{"));
            out.push_str(&self.variable(variable));
            rest = after;
        }
        out.push_str(&rest.replace("{{", "\\{{"));
        Some(out)
    }

    fn variable(&mut self, variable: &str) -> String {
        let name = identifier(&variable.to_lowercase());
        if is_one(&name) {
            return self.reference(&name, variable, "a variable of the command line");
        }
        if !self.vars.iter().any(|(known, _)| *known == name) {
            self.vars.push((name.clone(), variable.to_owned()));
        }
        format!("{{{{connection.vars.{name}}}}}")
    }
}

/// The variable that a text consists of.
fn only_variable(text: &str) -> Option<&str> {
    let name = text.strip_prefix(OPEN)?.strip_suffix(CLOSE)?;
    (!name.contains([OPEN, CLOSE])).then_some(name)
}

/// A name of small letters, digits and `_`.
pub(super) fn identifier(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c.to_ascii_lowercase() {
            c if c.is_ascii_alphanumeric() => out.push(c),
            _ if out.is_empty() || out.ends_with('_') => {}
            _ => out.push('_'),
        }
    }
    let out = out.trim_end_matches('_');
    if out.is_empty() { "value".to_owned() } else { out.to_owned() }
}

/// Parts of a text that are variables, without their marks, for places that take no templates.
pub(super) fn has_variable(text: &str) -> bool {
    text.contains(OPEN)
}
