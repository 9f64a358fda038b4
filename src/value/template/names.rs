//! The names of all template helpers, built or not, so that a mistyped one is told from one that is to come.

use crate::value::issue::Issue;
use std::ops::Range;

/// Helpers that work today. `if`, `unless`, `each` and `with` open blocks.
pub(in crate::value) const BUILT: &[&str] = &["default", "json", "eq", "if", "unless", "each", "with"];

/// Helpers of the frozen list that are not built yet.
const LATER: &[&str] = &[
    "abs",
    "add",
    "subtract",
    "multiply",
    "divide",
    "modulo",
    "avg",
    "sum",
    "ceil",
    "floor",
    "round",
    "toFixed",
    "toPrecision",
    "toExponential",
    "random",
    "uppercase",
    "lowercase",
    "capitalize",
    "capitalizeAll",
    "camelcase",
    "pascalcase",
    "snakecase",
    "dashcase",
    "dotcase",
    "pathcase",
    "sentence",
    "trim",
    "trimLeft",
    "trimRight",
    "padLeft",
    "padRight",
    "chop",
    "replace",
    "replacefirst",
    "removefirst",
    "reverse",
    "split",
    "join",
    "substring",
    "occurrences",
    "sanitize",
    "truncateWords",
    "after",
    "before",
    "first",
    "last",
    "arrayify",
    "pluck",
    "sort",
    "unique",
    "getValue",
    "lookup",
    "dateFormat",
    "dateAdd",
    "timestamp",
    "base64Encode",
    "base64Decode",
    "encodeURI",
    "decodeURI",
    "htmlEncode",
    "htmlDecode",
    "jsonEncode",
    "jsonSerialize",
    "jsonStringify",
    "jsonParse",
    "stripProtocol",
    "stripQuerystring",
    "regexMatch",
    "regexReplace",
    "regexSearch",
    "hash",
    "hmac",
    "aws4",
    "addCommas",
    "bytes",
    "ordinalize",
    "typeOf",
    "isTruthy",
    "isFalsey",
    "hasOwn",
    "hasNoItems",
    "compare",
    "contains",
    "and",
    "or",
    "neither",
    "not",
    "ifEven",
    "filter",
    "some",
    "inArray",
    "isEmpty",
    "startsWith",
];

/// What to say about a helper that cannot be used.
pub(in crate::value) fn unknown_helper(name: &str, at: Range<usize>) -> Issue {
    if LATER.contains(&name) {
        return Issue::new(at, format!("helper `{name}` is not supported yet"));
    }
    if BUILT.contains(&name) {
        return Issue::new(at, format!("helper `{name}` cannot be used here"))
            .help(format!("it is a block of templates: `{{{{#{name} …}}}}`"));
    }
    let issue = Issue::new(at, format!("unknown helper `{name}`"));
    did_you_mean(issue, name, BUILT.iter().chain(LATER).copied())
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

/// Whether a name means a helper, built or not.
pub(in crate::value) fn is_known(name: &str) -> bool {
    BUILT.contains(&name) || LATER.contains(&name)
}
