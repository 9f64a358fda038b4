//! What may be stored: names of bounded length, values of the shape their space has.

use crate::store::batch::Refusal;
use crate::store::rows::Space;
use crate::value::id::{ConnectionId, FlowId};
use chrono::DateTime;
use serde::de::IgnoredAny;

/// Longest identity of a run, in bytes.
pub(in crate::store) const MOST_NAME: usize = 200;
/// Longest key of a value, in bytes.
pub(in crate::store) const MOST_KEY: usize = 1024;
/// Longest value, in bytes.
const MOST_VALUE: usize = 16 << 20;

fn unfit<T>(text: String) -> Result<T, Refusal> {
    Err(Refusal::Unfit(text))
}

/// A run's identity: it names things on disk and in logs.
pub(super) fn run(id: &str) -> Result<(), Refusal> {
    if id.is_empty() || id.len() > MOST_NAME {
        return unfit(format!("the identity of a run has 1 to {MOST_NAME} bytes, and this one {}", id.len()));
    }
    Ok(())
}

/// A value against its space.
pub(in crate::store) fn value(space: Space, key: &str, value: &str) -> Result<(), Refusal> {
    let name = space.name();
    if key.is_empty() || key.len() > MOST_KEY {
        return unfit(format!("the key of a {name} has 1 to {MOST_KEY} bytes, and this one {}", key.len()));
    }
    if value.len() > MOST_VALUE {
        return unfit(format!("the value of {name} `{key}` has {} bytes; {MOST_VALUE} are allowed", value.len()));
    }
    let first = key.split(' ').next().unwrap_or_default();
    let named = match space {
        Space::Schedule | Space::Mark | Space::After | Space::Backfill | Space::Pause => FlowId::parse(first).err(),
        Space::Token | Space::Offline => ConnectionId::parse(first).err(),
        Space::Meaning | Space::Webhook | Space::Waypoint | Space::Log | Space::Meta => None,
    };
    if let Some(why) = named {
        return unfit(format!("the key `{key}` of a {name} does not begin with an id: {why}"));
    }
    match space {
        Space::Schedule if !is_mark(value) => {
            unfit(format!("the value of schedule `{key}` begins with no instant: write it as `2026-01-31T08:00:00Z`"))
        }
        Space::Meaning
        | Space::Mark
        | Space::Token
        | Space::Offline
        | Space::After
        | Space::Backfill
        | Space::Pause
        | Space::Waypoint
        | Space::Log => match serde_json::from_str::<IgnoredAny>(value) {
            Ok(_) => Ok(()),
            Err(error) => unfit(format!("the value of {name} `{key}` is no JSON: {error}")),
        },
        Space::Schedule | Space::Webhook | Space::Meta => Ok(()),
    }
}

/// An instant; the line it stands among and `off` may follow.
fn is_mark(value: &str) -> bool {
    let mut words = value.split(' ');
    words.next().is_some_and(|word| DateTime::parse_from_rfc3339(word).is_ok()) && words.count() <= 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_the_shape_of_their_space() {
        for (space, key, fits) in [
            (Space::Schedule, "eu/orders", "2026-01-31T08:00:00Z"),
            (Space::Schedule, "eu/orders", "2026-01-31T08:00:00.5Z bb4dd4e41f0164f7 off"),
            (Space::Mark, "orders main", "{\"at\":1}"),
            (Space::Token, "shop", "{}"),
            (Space::Meaning, "00ff", "{}"),
            (Space::Meta, "anything at all", "anything"),
        ] {
            assert_eq!(value(space, key, fits), Ok(()), "{key}");
        }
        for (space, key, unfit) in [
            (Space::Schedule, "orders", "yesterday"),
            (Space::Schedule, "orders", "off 2026-01-31T08:00:00Z"),
            (Space::Schedule, "orders", "2026-01-31T08:00:00Z and so on"),
            (Space::Schedule, "Not An Id", "2026-01-31T08:00:00Z"),
            (Space::Mark, "orders main", "{"),
            (Space::Offline, "", "{}"),
            (Space::Token, "../up", "{}"),
        ] {
            assert!(matches!(value(space, key, unfit), Err(Refusal::Unfit(_))), "{key} {unfit}");
        }
        assert!(value(Space::Meta, &"k".repeat(MOST_KEY + 1), "").is_err());
        assert!(value(Space::Meta, "k", &"v".repeat(MOST_VALUE + 1)).is_err());
    }
}
