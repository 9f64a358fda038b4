//! "Did you mean": the known word nearest to what was written, when it is near enough to be a slip.

/// The best candidate, if any is close.
pub(super) fn nearest<'c>(written: &str, known: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    const LONGEST: usize = 80;
    if written.chars().count() > LONGEST {
        return None;
    }
    let written = written.to_lowercase();
    let far = |candidate: &str| {
        let (long, short) = (written.len().max(candidate.len()), written.len().min(candidate.len()));
        // So different in length that no count of slips could make them near.
        let distance =
            if short * 5 < long * 3 { long } else { strsim::osa_distance(&written, &candidate.to_lowercase()) };
        distance * 1000 / long.max(1)
    };
    known
        .into_iter()
        .filter(|candidate| candidate.len() <= LONGEST)
        .map(|candidate| (far(candidate), candidate))
        .filter(|(far, candidate)| *far <= 400 || is_part(&written, candidate))
        .min_by_key(|(far, _)| *far)
        .map(|(_, candidate)| candidate)
}

/// `concurrency` for `concurrency_level`, `uri` for `base_uri`.
fn is_part(written: &str, candidate: &str) -> bool {
    written.len() >= 3 && candidate.split(['_', '/']).any(|word| word == written)
}

/// The remedy in words, or the list of what is possible.
pub(super) fn help(written: &str, known: &[&str]) -> Option<String> {
    match nearest(written, known.iter().copied()) {
        Some(word) => Some(format!("did you mean `{word}`?")),
        None => one_of(known),
    }
}

/// "one of `a`, `b`"; none when there is nothing to name.
pub(super) fn one_of(known: &[&str]) -> Option<String> {
    const SHOWN: usize = 12;
    if known.is_empty() {
        return None;
    }
    let mut list = known.iter().take(SHOWN).map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
    if known.len() > SHOWN {
        list.push_str(", …");
    }
    Some(if known.len() == 1 { format!("known here: {list}") } else { format!("one of {list}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_matched_and_a_stranger_is_not() {
        let known = ["concurrency_level", "wait_time", "base_uri"];
        assert_eq!(nearest("concurency_level", known), Some("concurrency_level"));
        assert_eq!(nearest("concurrency", known), Some("concurrency_level"));
        assert_eq!(nearest("Wait_Time", known), Some("wait_time"));
        assert_eq!(nearest("frobnicate", known), None);
    }

    #[test]
    fn absurdly_long_words_cost_nothing() {
        assert_eq!(nearest(&"a".repeat(1_000_000), ["abc"]), None);
    }
}
