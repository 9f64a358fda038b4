//! Identities taken from file paths: `connections/eu/shop.toml` is connection `eu/shop`.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::sync::Arc;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks the text against the rule for ids and keeps it.
            pub fn parse(text: &str) -> Result<Self, InvalidId> {
                check(text).map(|()| Self(text.into()))
            }

            /// The id as written, segments joined by `/`.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(from)?;
                Self::parse(&text).map_err(serde::de::Error::custom)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

id! {
    /// The identity of a connection.
    ConnectionId
}
id! {
    /// The identity of a flow.
    FlowId
}

/// Why a text is no id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidId {
    /// A segment is empty: `//` or a slash at either end.
    #[error("a segment of the name is empty")]
    EmptySegment,
    /// A character outside `a-z 0-9 _ -`, or a segment that begins with `_` or `-`.
    #[error("`{0}` is not allowed here: names use a-z, 0-9, `_` and `-`, and begin with a letter or digit")]
    Character(char),
    /// Longer than 200 bytes.
    #[error("the name is longer than 200 bytes")]
    TooLong,
}

fn check(text: &str) -> Result<(), InvalidId> {
    if text.len() > 200 {
        return Err(InvalidId::TooLong);
    }
    for segment in text.split('/') {
        let mut chars = segment.chars();
        match chars.next() {
            None => return Err(InvalidId::EmptySegment),
            Some(c) if c.is_ascii_lowercase() || c.is_ascii_digit() => {}
            Some(c) => return Err(InvalidId::Character(c)),
        }
        if let Some(c) = chars.find(|c| !(c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-'))) {
            return Err(InvalidId::Character(c));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_nested_lower_case_names() {
        for good in ["shop", "eu/shop", "0a/b_c-d"] {
            assert_eq!(FlowId::parse(good).map(|id| id.as_str().to_owned()), Ok(good.to_owned()));
        }
    }

    #[test]
    fn refuses_other_names_and_says_which_character() {
        assert_eq!(FlowId::parse(""), Err(InvalidId::EmptySegment));
        assert_eq!(FlowId::parse("a//b"), Err(InvalidId::EmptySegment));
        assert_eq!(FlowId::parse("Shop"), Err(InvalidId::Character('S')));
        assert_eq!(FlowId::parse("a/_b"), Err(InvalidId::Character('_')));
        assert_eq!(FlowId::parse("a b"), Err(InvalidId::Character(' ')));
        assert_eq!(FlowId::parse(&"a".repeat(201)), Err(InvalidId::TooLong));
    }
}
