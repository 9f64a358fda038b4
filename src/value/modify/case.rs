//! `rename_case`: all names of a record in one spelling, at every depth.

use super::draft::{Draft, Key, Member};
use super::{Budget, shown};
use crate::value::issue::EvalError;
use std::collections::HashMap;

/// A spelling of names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Case {
    /// `order_id`
    Snake,
    /// `orderId`
    Camel,
    /// `OrderId`
    Pascal,
    /// `order-id`
    Kebab,
    /// `ORDER_ID`
    UpperSnake,
    /// `orderid`: letters only change their size.
    Lower,
    /// `ORDERID`
    Upper,
}

impl Case {
    /// The words of the configuration.
    pub const WORDS: &'static [(&'static str, Self)] = &[
        ("snake", Self::Snake),
        ("camel", Self::Camel),
        ("pascal", Self::Pascal),
        ("kebab", Self::Kebab),
        ("upper_snake", Self::UpperSnake),
        ("lower", Self::Lower),
        ("upper", Self::Upper),
    ];

    /// A name in this spelling. Signs such as `_`, `@` and `$` before it stay, and so does a name without any letter
    /// or digit.
    pub fn of(self, name: &str) -> String {
        match self {
            Self::Lower => return name.to_lowercase(),
            Self::Upper => return name.to_uppercase(),
            _ => {}
        }
        let bare = name.trim_start_matches(|c: char| "_@$#".contains(c));
        let words = words(bare);
        if words.is_empty() {
            return name.to_owned();
        }
        let sign = &name[..name.len() - bare.len()];
        let spelled = match self {
            Self::Kebab => words.join("-"),
            Self::UpperSnake => words.join("_").to_uppercase(),
            Self::Camel | Self::Pascal => {
                let small = usize::from(self == Self::Camel);
                words.iter().enumerate().map(|(n, word)| if n < small { word.clone() } else { capital(word) }).collect()
            }
            Self::Snake | Self::Lower | Self::Upper => words.join("_"),
        };
        format!("{sign}{spelled}")
    }
}

/// The words of a name, in small letters: between signs, before a capital after a small letter or digit, and before
/// the last capital of several when a small letter follows (`HTTPServer` is `http`, `server`).
fn words(name: &str) -> Vec<String> {
    let mut words: Vec<String> = vec![String::new()];
    let mut before: Option<char> = None;
    let mut chars = name.chars().peekable();
    while let Some(c) = chars.next() {
        let begins = c.is_uppercase()
            && before.is_some_and(|before| {
                before.is_lowercase()
                    || before.is_numeric()
                    || before.is_uppercase() && chars.peek().is_some_and(|next| next.is_lowercase())
            });
        if begins || !c.is_alphanumeric() {
            words.push(String::new());
        }
        if c.is_alphanumeric()
            && let Some(word) = words.last_mut()
        {
            word.extend(c.to_lowercase());
        }
        before = Some(c);
    }
    words.retain(|word| !word.is_empty());
    words
}

fn capital(word: &str) -> String {
    let mut chars = word.chars();
    chars.next().map(|c| c.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

impl Draft<'_> {
    /// Spells all names anew, those of nested objects and of items too.
    pub(super) fn recase(&mut self, case: Case, budget: &Budget) -> Result<(), EvalError> {
        self.open();
        match self {
            Self::Raw(_) => Ok(()),
            Self::List(items) => items.iter_mut().try_for_each(|item| item.recase(case, budget)),
            Self::Object(members) => {
                let mut names = Vec::with_capacity(members.len());
                for member in &*members {
                    let name = case.of(&member.key.name());
                    budget.name(name.len())?;
                    names.push(name);
                }
                unlike(&names, members)?;
                for (member, name) in members.iter_mut().zip(names) {
                    if member.key.name() != name.as_str() {
                        member.key = Key::New(name);
                    }
                    member.value.recase(case, budget)?;
                }
                Ok(())
            }
        }
    }
}

/// Refuses members that would bear one name.
fn unlike(names: &[String], members: &[Member<'_>]) -> Result<(), EvalError> {
    let mut taken: HashMap<&str, &Key<'_>> = HashMap::with_capacity(names.len());
    for (name, member) in names.iter().zip(members) {
        if let Some(other) = taken.insert(name, &member.key) {
            let (one, other) = (shown(&other.name()), shown(&member.key.name()));
            let message = format!("`{one}` and `{other}` would both be named `{}`", shown(name));
            return Err(EvalError::Type(message));
        }
    }
    Ok(())
}
