//! What a template makes of names that must not be shown: the texts themselves, for whoever has to hide them.
//!
//! A plain placeholder gives what is known already; anything that is computed, or stands in a block, gives a text nobody
//! else could recognise.

use super::ast::{Operand, Part, What};
use super::{Template, render};
use crate::value::context::{Context, Reference};
use crate::value::issue::EvalError;

impl Template {
    /// The texts that stand in its output and were computed from a name for which `is_secret` holds.
    pub fn derived(&self, ctx: &Context<'_>, is_secret: fn(&Reference) -> bool) -> Result<Vec<String>, EvalError> {
        let secret: Vec<&Reference> = self.references().iter().filter(|reference| is_secret(reference)).collect();
        let mut derived = Vec::new();
        for part in self.0.parts.iter().filter(|part| !secret.is_empty() && is_derived(part, &secret)) {
            let mut text = String::new();
            let rendering = render::Rendering::new(&self.0.source, self.0.place, ctx, 0);
            rendering.whole(std::slice::from_ref(part), &mut text)?;
            derived.push(text);
        }
        Ok(derived)
    }
}

fn is_derived(part: &Part, secret: &[&Reference]) -> bool {
    match part {
        Part::Text(_) => false,
        Part::Value { value, .. } => !matches!(value.what, What::Path(..)) && reads(value, secret),
        Part::If { test, then, otherwise, .. } => reads(test, secret) || any(then, secret) || any(otherwise, secret),
        Part::Each { list: value, body, otherwise }
        | Part::With { value, body, otherwise }
        | Part::Section { value, body, otherwise } => {
            reads(value, secret) || any(body, secret) || any(otherwise, secret)
        }
    }
}

fn any(parts: &[Part], secret: &[&Reference]) -> bool {
    parts.iter().any(|part| is_derived(part, secret))
}

/// References stand where their operands do.
fn reads(value: &Operand, secret: &[&Reference]) -> bool {
    secret.iter().any(|reference| value.at.start <= reference.at.start && reference.at.end <= value.at.end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::context::{Root, Slot};
    use crate::value::json::Json;
    use crate::value::template::Place;

    #[test]
    fn what_is_computed_from_a_secret_is_told_and_nothing_else() {
        let connection = Json::parse(r#"{"secrets":{"p":"hush"},"vars":{"v":"open"}}"#.to_owned()).unwrap();
        let ctx = Context::new().with(Root::Connection, Slot::Json(connection.as_ref()));
        let secret = |reference: &Reference| reference.members.first().is_some_and(|member| member == "secrets");
        for (text, told) in [
            ("a {{connection.secrets.p}} {{uppercase connection.vars.v}}", &[][..]),
            ("a {{uppercase connection.secrets.p}} b", &["HUSH"]),
            ("{{lowercase (uppercase connection.secrets.p)}}{{uppercase connection.vars.v}}", &["hush"]),
            ("{{#with connection.secrets}}x{{uppercase p}}{{/with}}", &["xHUSH"]),
            ("{{#if connection.vars.v}}<{{uppercase connection.secrets.p}}>{{/if}}", &["<HUSH>"]),
        ] {
            let template = Template::compile(text, Place::Plain).unwrap();
            assert_eq!(template.derived(&ctx, secret).unwrap(), told, "{text}");
        }
    }
}
