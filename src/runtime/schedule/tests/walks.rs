//! Walking without steps against walking step by step.

use super::super::walk::{MOST_COUNTED, STEPS, count, newest, oldest_of_newest};
use super::*;
use proptest::prelude::*;

fn stepped(schedule: &Schedule, from: DateTime<Utc>, until: DateTime<Utc>) -> Vec<DateTime<Utc>> {
    let step = |after| schedule.next_after(after).filter(|next| *next <= until);
    std::iter::successors(Some(from), |last| step(*last)).collect()
}

#[test]
fn a_long_sleep_under_a_line_of_seconds_is_not_stepped_through() {
    let mut heap = heap(&[("a", "* * * * * *")], "2027-01-01T00:00:00Z");
    assert_eq!(due(&mut heap, "2028-01-01T00:00:00Z"), ["a 01T00:00:00", &format!("a -{MOST_COUNTED} to 01T00:00:00")]);
    let mut heap = self::heap(&[("a", "*/7 * 3 * * *|all window=31622400 max=10000")], "2027-01-01T00:00:00Z");
    let shown = due(&mut heap, "2027-06-10T20:00:00Z");
    assert!(shown[0].starts_with("a ") && shown[1].starts_with(&format!("a -{MOST_COUNTED} ")), "{shown:?}");
}

#[test]
fn counting_for_very_many_flows_at_once_is_bounded() {
    let names: Vec<String> = (0..1_000).map(|n| format!("f{n}")).collect();
    let flows: Vec<_> = names.iter().map(|name| (name.as_str(), "* * * * *|none")).collect();
    let mut heap = heap(&flows, "2027-01-01T00:00:00Z");
    let wake = heap.due(at("2027-01-02T00:10:10Z"), |_| false);
    let counted: u64 = wake.passed.iter().map(|passed| passed.count).sum();
    assert_eq!((wake.due.len(), wake.passed.len()), (1_000, 1_000));
    assert!((STEPS..=STEPS + 1_000).contains(&counted), "{counted}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_walk_agrees_with_stepping(
        line in proptest::sample::select(&["* * * * * *", "*/7 * * * * *", "0 */5 * * * *", "13,14,15 * * * * *", "30 2 * * *", "59 59 * * * *", "0 0,12 * * 1-5"][..]),
        zone in proptest::sample::select(&[Tz::UTC, Tz::America__New_York, Tz::Australia__Lord_Howe][..]),
        from in 1_800_000_000_i64..1_830_000_000,
        span in 0_i64..10_000,
        nanos in 0_i64..1_000_000_000,
        most in 1_u32..40,
    ) {
        let schedule = schedule(line, zone);
        let first = schedule.next_after(DateTime::from_timestamp(from, 0).unwrap()).unwrap();
        let now = first + TimeDelta::seconds(span) + TimeDelta::nanoseconds(nanos);
        let all = stepped(&schedule, first, now);
        prop_assert_eq!(newest(&schedule, first, now), *all.last().unwrap());
        let mut steps = u64::MAX;
        prop_assert_eq!(count(&schedule, first, *all.last().unwrap(), &mut steps), (all.len() as u64 - 1).min(MOST_COUNTED));
        let skipped = all.len().saturating_sub(most as usize);
        prop_assert_eq!(oldest_of_newest(&schedule, first, now, most), all[skipped]);
    }
}
