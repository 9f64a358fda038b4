//! Credentials: never a literal in a file, and never shown when somebody wrote one.

use super::file::{File, Finding};
use super::scope::Scope;
use super::source::Sources;
use super::value::Value;
use crate::config::remedy;
use crate::value::secret::Secret;
use crate::value::template::{Place, Template};
use toml::de::{DeTable, DeValue};

/// Names of keys that hold credentials wherever they stand.
const CREDENTIALS: &[&str] = &[
    "password",
    "passphrase",
    "token",
    "secret",
    "client_secret",
    "access_token",
    "refresh_token",
    "session_token",
    "consumer_secret",
    "token_secret",
    "access_key",
    "secret_key",
    "private_key",
    "client_key",
    "pfx",
    "api_key",
    "apikey",
    "authorization",
    "proxy-authorization",
    "x-api-key",
    "api-key",
    "x-auth-token",
    "x-access-token",
];
/// Parts of names that give a credential away even when the name is misspelt or invented.
const TELLING: &[&str] = &["passw", "secret", "apikey", "api_key", "api-key", "credential"];
/// Keys under `auth` whose values are plain settings.
const PLAIN: &[&str] = &[
    "location",
    "name",
    "scheme",
    "username",
    "path",
    "method",
    "relative_uri",
    "media_type",
    "timeout",
    "grant",
    "token_uri",
    "authorize_uri",
    "client_id",
    "scopes",
    "scope_delimiter",
    "credentials_in",
    "grant_type",
    "token_path",
    "refresh_token_path",
    "expires_in_path",
    "expires_in",
    "status",
    "values",
    "success_status",
    "header",
    "digest",
    "nonce_encoding",
    "digest_encoding",
    "algorithm",
    "ttl",
    "as",
    "region",
    "service",
    "signature_method",
    "realm",
    "env",
    "file",
    "command",
];

/// Whether a key of this name holds a credential.
pub(super) fn names_credential(name: &str) -> bool {
    let name = name.to_lowercase();
    CREDENTIALS.contains(&name.as_str()) || TELLING.iter().any(|part| name.contains(part))
}

/// Hides every literal credential of a file before anything of it is shown.
pub(in crate::config) fn mask(file: &File<'_>, table: &DeTable<'_>) {
    mask_in(file, table, false, 0);
}

fn mask_in(file: &File<'_>, table: &DeTable<'_>, all: bool, depth: usize) {
    // Deeper than any key of the format; the decoders refuse such files anyway.
    const DEEPEST: usize = 16;
    for (key, value) in table {
        let name: &str = key.get_ref();
        let here = if all && PLAIN.contains(&name) { false } else { all || names_credential(name) };
        match value.get_ref() {
            DeValue::Table(inner) if depth < DEEPEST => {
                // A source names where the credential is, which is no secret; a `default` beside it may be one.
                let source = ["env", "file", "command"].iter().any(|name| inner.contains_key(*name));
                let family = depth == 0 && matches!(name, "auth" | "secrets");
                mask_in(file, inner, all || family || (here && source), depth + 1);
            }
            DeValue::String(text) if here && !text.contains("{{") => file.mask(value.span()),
            // A URL that holds a login.
            DeValue::String(text) if name == "proxy" && text.contains('@') => file.mask(value.span()),
            DeValue::Integer(_) | DeValue::Float(_) | DeValue::Array(_) if here => file.mask(value.span()),
            _ => {}
        }
    }
}

/// For a file that does not parse: hides what stands after `=` on lines that look like credentials.
pub(in crate::config) fn mask_lines(file: &File<'_>) {
    let mut inside = false;
    let mut offset = 0;
    for line in file.text().split_inclusive('\n') {
        let trimmed = line.trim_start();
        if let Some(header) = trimmed.strip_prefix('[') {
            let header = header.trim_start_matches('[').trim_start();
            inside = header.starts_with("auth") || header.starts_with("secrets");
        }
        let before = line.find('=').unwrap_or(line.len());
        let name = line[..before].to_lowercase();
        let login = name.trim() == "proxy" && line.contains('@');
        let telling = inside || login || CREDENTIALS.iter().chain(TELLING).any(|word| name.contains(word));
        if telling && before < line.len() && !trimmed.starts_with('#') {
            file.mask(offset + before + 1..offset + line.trim_end_matches(['\r', '\n']).len());
        }
        offset += line.len();
    }
}

impl Value<'_> {
    /// Reports a literal credential and hides it.
    pub(in crate::config) fn literal_secret(&self) {
        self.file.mask(self.at());
        let finding = Finding::error("literal-secret", format!("`{}` is a credential written into the file", self.key));
        let help = if self.file.is_connection() {
            "keep it outside: `[secrets] name = { env = \"NAME\" }` (or `{ file = \"…\" }`), then use \
             `{{connection.secrets.name}}`"
        } else {
            "keep it outside: `[secrets] name = { env = \"NAME\" }` (or `{ file = \"…\" }`) in the file of the \
             connection, then use `{{connection.secrets.name}}`"
        };
        self.report(finding.help(help));
    }

    /// The same where nothing but a source is taken.
    pub(super) fn literal_source(&self) {
        self.file.mask(self.at());
        let finding = Finding::error("literal-secret", format!("`{}` is a credential written into the file", self.key));
        let name = self.key.rsplit('.').next().unwrap_or(&self.key);
        let source = remedy::source(name);
        let or = if source.contains("env") { " (or `{ file = \"…\" }`)" } else { "" };
        self.report(finding.help(format!("keep it outside: `{name} = {source}`{or}")));
    }

    /// A credential: a source, or a text over `connection.secrets`. An inline source becomes a secret of its own.
    pub(in crate::config) fn credential(
        &self,
        scope: &Scope<'_>,
        sources: &Sources<'_>,
        secrets: &mut Vec<(String, Result<Secret, String>)>,
    ) -> Option<Template> {
        if self.is_table() {
            let name = self.key.replace('.', "__");
            let secret = self.secret(sources)?;
            let reference = format!("{{{{connection.secrets.{name}}}}}");
            secrets.push((name, secret));
            return Template::compile(&reference, Place::Plain).ok();
        }
        let Some(text) = self.raw_str() else {
            self.literal_secret();
            return None;
        };
        if text.is_empty() {
            return Template::compile("", Place::Plain).ok();
        }
        let template = text.contains("{{").then(|| self.text(Place::Plain, scope)).flatten();
        let over_secrets = |template: &Template| {
            template.references().iter().any(|reference| {
                reference.root == "connection" && reference.members.first().is_some_and(|m| m == "secrets")
            })
        };
        match template {
            Some(template) if over_secrets(&template) => Some(template),
            // A template that does not compile was reported as that.
            None if text.contains("{{") => None,
            _ => {
                self.literal_secret();
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn credentials_are_known_by_name_and_by_telling_parts() {
        for name in ["password", "Authorization", "client_secret", "passwrd_secret", "X-Api-Key", "my_password"] {
            assert!(names_credential(name), "{name}");
        }
        for name in ["idempotency_key", "token_path", "name", "page_token_size"] {
            assert!(!names_credential(name), "{name}");
        }
    }

    #[test]
    fn a_file_that_does_not_parse_shows_no_credential_either() {
        let file = File::new(Path::new("a.toml"), "[secrets]\nx = \"hunter2\nb = 1\n[vars]\npassword='hunter2\n", &[]);
        mask_lines(&file);
        let text = file.text();
        for at in text.match_indices("hunter2").map(|(at, _)| at) {
            file.report(Finding::error("syntax", "x").at(at..at + 1));
        }
        for finding in file.finish() {
            assert!(!finding.source_line.unwrap_or_default().contains("hunter2"));
        }
    }
}
