//! What a tree makes of names that must not be shown, for whoever has to hide it.

use super::Tree;
use crate::value::context::{Context, Reference};
use crate::value::issue::EvalError;

impl Tree {
    /// The texts it holds that were computed from a name for which `is_secret` holds. An error where they cannot be told:
    /// made per item, or of something that is not on offer.
    pub fn derived(&self, ctx: &Context<'_>, is_secret: fn(&Reference) -> bool) -> Result<Vec<String>, EvalError> {
        if !self.references().into_iter().any(is_secret) {
            return Ok(Vec::new());
        }
        let all = |trees: &mut dyn Iterator<Item = &Tree>| {
            let found: Result<Vec<_>, _> = trees.map(|tree| tree.derived(ctx, is_secret)).collect();
            found.map(|found| found.concat())
        };
        match self {
            Self::Constant(_) | Self::Path(_) => Ok(Vec::new()),
            Self::Template(template) => template.derived(ctx, is_secret),
            Self::Expression(_) | Self::Pick(_) => Ok(self.text(ctx)?.into_iter().collect()),
            Self::Each(_) => Err(EvalError::Refused("what each item makes of a secret is not known".to_owned())),
            Self::Concat(parts) | Self::List(parts) => all(&mut parts.iter()),
            Self::Object(fields) => all(&mut fields.iter().map(|(_, tree)| tree)),
        }
    }
}
