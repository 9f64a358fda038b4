//! Texts over `connection.vars` and `connection.secrets` that are rendered at load: both do not change while loaded.

use super::Secrets;
use crate::config::decode::scope::Facts;
use crate::config::decode::value::Value;
use crate::value::context::{Context, Root, Slot};
use crate::value::secret::Secret;
use crate::value::template::Template;

/// What came of it.
pub(super) enum Rendered {
    Text(String),
    /// Something in it has no value.
    Missing(String),
    /// Something in it cannot be used so.
    Failed(String),
}

impl Value<'_> {
    /// Renders a text of this value; `spell` says how secrets are written into it.
    pub(super) fn rendered(
        &self,
        template: &Template,
        facts: &Facts,
        secrets: &Secrets,
        spell: impl Fn(&str) -> String,
    ) -> Rendered {
        let spelled: Vec<(&str, String)> = secrets
            .iter()
            .filter_map(|(name, secret)| Some((name.as_str(), spell(secret.as_ref().ok()?.reveal()))))
            .collect();
        let values: Vec<(&str, Slot<'_>)> = spelled.iter().map(|(name, text)| (*name, Slot::Text(text))).collect();
        let connection = [("vars", Slot::Json(facts.values.as_ref())), ("secrets", Slot::Map(&values))];
        let mut text = String::new();
        match template.render(&Context::new().with(Root::Connection, Slot::Map(&connection)), &mut text) {
            Ok(()) => Rendered::Text(text),
            Err(error) if error.is_missing() => Rendered::Missing(format!("`{}`: {error}", self.key)),
            Err(error) => Rendered::Failed(format!("`{}`: {error}", self.key)),
        }
    }
}

/// The reason why a secret that a template names is not there, for the first that is not.
pub(super) fn lacking<'s>(template: &Template, secrets: &'s Secrets) -> Option<&'s str> {
    template.references().iter().find_map(|reference| {
        let name = reference.members.get(1)?;
        let (_, secret) = secrets.iter().find(|(known, _)| known == name)?;
        secret.as_ref().err().map(String::as_str)
    })
}

/// A secret that came from here.
pub(super) fn keep(secrets: &mut Secrets, name: &str, secret: Secret) {
    secrets.push((name.to_owned(), Ok(secret)));
}
