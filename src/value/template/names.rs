//! The names of all template helpers, so that a mistyped one is told, with the one that was meant.

use crate::value::function;
use crate::value::issue::Issue;
use std::ops::Range;

/// Helpers that open blocks only.
const BLOCKS: &[&str] = &["if", "unless", "each", "with"];

/// What to say about a helper that cannot be used.
pub(in crate::value) fn unknown_helper(name: &str, at: Range<usize>) -> Issue {
    if is_known(name) {
        return Issue::new(at, format!("helper `{name}` cannot be used here"))
            .help(format!("it is a block of templates: `{{{{#{name} …}}}}`"));
    }
    let issue = Issue::new(at, format!("unknown helper `{name}`"));
    let known = function::all().map(|function| function.name);
    did_you_mean(issue, name, known.chain(BLOCKS.iter().copied()))
}

/// Adds the nearest known name as the remedy, when one is near.
pub(in crate::value) fn did_you_mean<'n>(issue: Issue, name: &str, known: impl Iterator<Item = &'n str>) -> Issue {
    let nearest = known
        .map(|candidate| (strsim::damerau_levenshtein(&name.to_lowercase(), &candidate.to_lowercase()), candidate))
        .min_by_key(|(distance, _)| *distance);
    match nearest {
        Some((distance, candidate)) if distance <= 1 + candidate.len() / 4 => {
            issue.help(format!("did you mean `{candidate}`?"))
        }
        _ => issue,
    }
}

/// Whether a name means a helper.
pub(in crate::value) fn is_known(name: &str) -> bool {
    BLOCKS.contains(&name) || function::by_name(name).is_some()
}
