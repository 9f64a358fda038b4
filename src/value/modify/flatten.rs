//! `flatten`: nested objects become members of the top, named by the way to them. Lists stay as they are, and so do
//! empty objects, which would be lost.

use super::Budget;
use super::draft::{Draft, Key, Member, unlike};
use crate::value::issue::EvalError;
use crate::value::json::Kind;

impl Draft<'_> {
    pub(super) fn flatten(&mut self, between: &str, budget: &Budget) -> Result<(), EvalError> {
        let Some(members) = self.members() else { return Ok(()) };
        let nested = members.iter().any(|member| member.value.kind() == Kind::Object);
        if !nested {
            return Ok(());
        }
        let mut flat = Vec::with_capacity(members.len() * 2);
        for member in std::mem::take(members) {
            spread(member, between, budget, &mut flat)?;
        }
        *members = flat;
        unlike(members)
    }
}

/// Puts a member, or all that is nested in it, behind `flat`. Objects nest no deeper than checked JSON does.
fn spread<'a>(
    mut member: Member<'a>,
    between: &str,
    budget: &Budget,
    flat: &mut Vec<Member<'a>>,
) -> Result<(), EvalError> {
    let inner = match member.value.members() {
        Some(inner) if !inner.is_empty() => std::mem::take(inner),
        _ => {
            flat.push(member);
            return Ok(());
        }
    };
    let prefix = member.key.name().into_owned() + between;
    for mut one in inner {
        let name = one.key.name();
        budget.name(prefix.len() + name.len())?;
        one.key = Key::New(format!("{prefix}{name}"));
        spread(one, between, budget, flat)?;
    }
    Ok(())
}
