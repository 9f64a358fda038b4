//! Stand-in until the shared redactor is merged.
use crate::value::secret::{MASK, Secret};

pub(super) struct Redactor(Vec<Secret>);

impl Redactor {
    pub(super) fn new(secrets: impl IntoIterator<Item = Secret>) -> Self {
        Self(secrets.into_iter().filter(|s| !s.reveal().is_empty()).collect())
    }
    pub(super) fn redact(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for secret in &self.0 {
            text = text.replace(secret.reveal(), MASK);
        }
        text
    }
}
