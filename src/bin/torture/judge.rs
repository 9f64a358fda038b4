//! What the ledger says about a round: lost, repeated, changed, too many at once. It knows the instants at which the
//! process was ended and the shape of the flow, and nothing the process says of itself.

use crate::shape::Shape;
use flowgate::playground::{Effect, MOST_WATCHED, Watched};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// An answer that was given so long before a kill must have been made durable, while the disk takes writes.
pub const DURABLE_WITHIN: Duration = Duration::from_millis(500);

/// The judge's findings.
#[derive(Debug, Default, Clone)]
pub struct Findings {
    /// Wanted records that never took effect.
    pub lost: Vec<u64>,
    /// Records that took effect though they must be filtered.
    pub unwanted: u64,
    /// Records sent again after they had taken effect.
    pub repeated: u64,
    /// The most of them for one kill.
    pub most_repeated: u64,
    /// The bound of that kill: records of pages in flight.
    pub bound: u64,
    /// Records repeated beyond the pages in flight at a kill, or without any kill.
    pub beyond: u64,
    /// Records repeated for one kill beyond four times the level: intents that were settled, but not durably yet. No
    /// promise, but worth watching.
    pub beyond_intents: u64,
    /// Records that took effect more than once.
    pub twice: u64,
    /// Records that came with different keys.
    pub keys_changed: u64,
    /// Keys that stood for different records or bodies.
    pub keys_shared: u64,
    /// Writes without a key where one is due.
    pub keyless: u64,
    /// Writes that found more than the level in flight.
    pub over_level: u64,
    /// Pages read more than once.
    pub pages_again: u64,
    /// The oldest answer that was not remembered at a kill.
    pub forgot: Duration,
}

/// Judges a round; `kills` are the instants, in order; answers younger than `within` at a kill may be forgotten.
pub fn judge(shape: &Shape, watched: &Watched, kills: &[Duration], within: Duration) -> Findings {
    let mut findings = Findings { keys_shared: watched.keys_reused, ..Findings::default() };
    if watched.writes.len() >= MOST_WATCHED {
        findings.lost.push(0);
    }
    let first = effects(shape, watched, &mut findings);
    findings.lost.extend((1..=shape.records).filter(|id| shape.wants(*id) && !first.contains_key(id)));
    repeats(shape, watched, (kills, within), &first, &mut findings);
    keys(shape, watched, &mut findings);
    findings.over_level = watched.writes.iter().filter(|write| write.in_flight > shape.level).count() as u64;
    findings
}

/// When each record's first effect was answered.
fn effects(shape: &Shape, watched: &Watched, findings: &mut Findings) -> BTreeMap<u64, Duration> {
    let mut first = BTreeMap::new();
    for write in watched.writes.iter().filter(|write| write.effect == Effect::Taken) {
        for id in &write.ids {
            findings.unwanted += u64::from(!shape.wants(*id));
            let ended = write.ended.unwrap_or(Duration::MAX);
            if first.insert(*id, ended).is_some_and(|earlier| {
                first.insert(*id, earlier);
                true
            }) {
                findings.twice += 1;
            }
        }
    }
    first
}

/// Attributes each repetition to the kill before it.
fn repeats(
    shape: &Shape,
    watched: &Watched,
    (kills, within): (&[Duration], Duration),
    first: &BTreeMap<u64, Duration>,
    findings: &mut Findings,
) {
    let mut seen = BTreeSet::new();
    let mut repeated: BTreeMap<usize, BTreeSet<u64>> = BTreeMap::new();
    for write in watched.writes.iter().filter(|write| write.effect != Effect::None) {
        for id in write.ids.iter().filter(|id| !seen.insert(**id)) {
            findings.repeated += 1;
            match kills.iter().rposition(|kill| *kill <= write.at) {
                Some(kill) => {
                    repeated.entry(kill).or_default().insert(*id);
                }
                None => findings.beyond += 1,
            }
        }
    }
    for (number, ids) in &repeated {
        let kill = kills[*number];
        let open = in_flight(shape, watched, (kill, within), first);
        let bound = open.len() as u64;
        findings.beyond += ids.iter().filter(|id| !open.contains(id)).count() as u64;
        findings.beyond_intents += (ids.len() as u64).saturating_sub(4 * shape.level * shape.batch);
        let forgot = ids.iter().filter_map(|id| kill.checked_sub(*first.get(id)?)).max();
        findings.forgot = findings.forgot.max(forgot.unwrap_or_default());
        if ids.len() as u64 >= findings.most_repeated {
            (findings.most_repeated, findings.bound) = (ids.len() as u64, bound);
        }
    }
    let reads = watched.pages.iter().filter(|page| !page.ids.is_empty()).map(|page| &page.ids);
    let mut read = BTreeSet::new();
    findings.pages_again = reads.filter(|ids| !read.insert(*ids)).count() as u64;
}

/// Records of pages that were read but not settled at that instant, as far as can be seen from outside.
fn in_flight(
    shape: &Shape,
    watched: &Watched,
    (kill, within): (Duration, Duration),
    first: &BTreeMap<u64, Duration>,
) -> BTreeSet<u64> {
    let durable = kill.saturating_sub(within);
    let settled = |id: &u64| !shape.wants(*id) || first.get(id).is_some_and(|ended| *ended <= durable);
    let read = watched.pages.iter().filter(|page| page.at <= kill);
    let open = read.filter(|page| !page.ids.iter().all(settled));
    open.flat_map(|page| page.ids.iter().copied()).collect()
}

fn keys(shape: &Shape, watched: &Watched, findings: &mut Findings) {
    if !shape.keyed {
        return;
    }
    let mut of_record: BTreeMap<u64, &[u8]> = BTreeMap::new();
    let mut of_key: BTreeMap<&[u8], &[u64]> = BTreeMap::new();
    for write in watched.writes.iter().filter(|write| !write.ids.is_empty()) {
        let Some(key) = &write.key else {
            findings.keyless += 1;
            continue;
        };
        findings.keys_shared += u64::from(of_key.insert(key, &write.ids).is_some_and(|before| before != write.ids));
        for id in &write.ids {
            findings.keys_changed += u64::from(of_record.insert(*id, key).is_some_and(|before| before != key));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flowgate::playground::{Page, Write};

    const SHAPE: Shape = Shape {
        name: "test",
        records: 4,
        page: 2,
        batch: 1,
        level: 2,
        latency: Duration::ZERO,
        keyed: true,
        filtered: false,
    };

    fn at(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn page(millis: u64, ids: &[u64]) -> Page {
        Page { at: at(millis), ended: Some(at(millis)), ids: ids.to_vec() }
    }

    fn write(millis: u64, id: u64, effect: Effect) -> Write {
        let key = Some(format!("k{id}").into_bytes());
        Write {
            at: at(millis),
            ended: Some(at(millis + 1)),
            in_flight: 1,
            key,
            ids: vec![id],
            effect,
            ..Write::default()
        }
    }

    fn good() -> Watched {
        let writes = (1..=4).map(|id| write(1_000 * id, id, Effect::Taken)).collect();
        Watched { pages: vec![page(0, &[1, 2]), page(1, &[3, 4])], writes, keys_reused: 0 }
    }

    #[test]
    fn a_faultless_round_has_no_findings() {
        let findings = judge(&SHAPE, &good(), &[], DURABLE_WITHIN);
        assert!(findings.lost.is_empty());
        let Findings { repeated, beyond, twice, keys_changed, keys_shared, keyless, over_level, pages_again, .. } =
            findings;
        assert_eq!((repeated, beyond, twice, keys_changed, keys_shared, keyless), (0, 0, 0, 0, 0, 0));
        assert_eq!((over_level, pages_again), (0, 0));
    }

    #[test]
    fn a_record_without_effect_is_lost() {
        let mut watched = good();
        watched.writes[2].effect = Effect::None;
        watched.writes[2].ids.clear();
        assert_eq!(judge(&SHAPE, &watched, &[], DURABLE_WITHIN).lost, [3]);
    }

    #[test]
    fn what_is_repeated_after_a_kill_must_have_been_in_flight() {
        let mut watched = good();
        watched.writes.push(write(9_000, 4, Effect::Recognised));
        let findings = judge(&SHAPE, &watched, &[at(4_200)], DURABLE_WITHIN);
        assert_eq!((findings.repeated, findings.beyond, findings.bound, findings.twice), (1, 0, 2, 0));
        assert_eq!(findings.forgot, at(199));
        watched.writes.push(write(9_001, 1, Effect::Recognised));
        assert_eq!(judge(&SHAPE, &watched, &[at(4_200)], DURABLE_WITHIN).beyond, 1, "page one was settled long before");
        assert_eq!(judge(&SHAPE, &watched, &[], DURABLE_WITHIN).beyond, 2, "nothing was killed");
    }

    #[test]
    fn effects_keys_and_levels_are_watched() {
        let mut watched = good();
        watched.writes.push(Write { key: Some(b"other".to_vec()), in_flight: 3, ..write(9_000, 4, Effect::Taken) });
        watched.writes.push(Write { key: Some(b"k1".to_vec()), ..write(9_001, 2, Effect::Taken) });
        watched.writes.push(Write { key: None, ..write(9_002, 3, Effect::Taken) });
        watched.pages.push(page(8_000, &[3, 4]));
        let findings = judge(&SHAPE, &watched, &[at(7_000)], DURABLE_WITHIN);
        assert_eq!((findings.twice, findings.keys_changed, findings.keys_shared, findings.keyless), (3, 2, 1, 1));
        assert_eq!((findings.over_level, findings.pages_again), (1, 1));
    }
}
