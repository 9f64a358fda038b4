//! Groups over random pages, judged by plain code that groups a list; the same after restarts at any moment.

use super::*;
use crate::runtime::walk::tests::export;
use crate::value::json::Json;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// Pages of records: each has a key, or is not kept.
type Pages = Vec<Vec<Option<u8>>>;
/// Where a record lies.
type At = (u64, u32);

fn origin() -> Arc<Origin> {
    Origin::of(&Arc::new(export()))
}

fn kept(origin: &Arc<Origin>, (page, index): At, key: u8, mark: Mark) -> Kept {
    let record = Record::new(Json::parse(format!("[{page},{index}]")).unwrap());
    let item = Item { hash: 1, ..Item::new(page, origin, u64::from(index) + 1, record.clone()) };
    Kept { item, record, key: key.to_string(), mark, intent: None, flaw: None }
}

/// What the plain code says: where the records of each group lie.
fn model(pages: &Pages) -> Vec<(u8, Vec<At>)> {
    let mut groups: Vec<(u8, Vec<At>)> = Vec::new();
    for (page, records) in pages.iter().enumerate() {
        for (index, key) in records.iter().enumerate().filter_map(|(index, key)| Some((index, (*key)?))) {
            let at = (page as u64 + 1, u32::try_from(index).unwrap());
            match groups.last_mut() {
                Some((last, members)) if *last == key => members.push(at),
                _ => groups.push((key, vec![at])),
            }
        }
    }
    groups
}

/// Whether each page goes on with the group before it, as it is found out when the page is read.
fn joins(pages: &Pages) -> Vec<bool> {
    let mut last = None;
    let mut goes_on = |page: &Vec<Option<u8>>| {
        let Some(first) = page.iter().flatten().next() else { return false };
        let joins = last == Some(*first);
        last = page.iter().flatten().next_back().copied();
        joins
    };
    pages.iter().map(&mut goes_on).collect()
}

/// The groups that are to be worked on, of pages of which some records were settled before: pages that were settled
/// whole are gone.
fn grouped(pages: &Pages, marks: &BTreeMap<At, Mark>) -> Vec<Vec<At>> {
    let (mut groups, mut done, origin) = (Groups::default(), Vec::new(), origin());
    let joins = joins(pages);
    let mut end = |open: Open| {
        let mark = open.mark;
        let (item, _) = open.close(1);
        let members = &item.group.as_ref().unwrap().members;
        let rows: Vec<(u64, u32)> =
            serde_json::from_value(item.record.json().as_ref().to_value()["rows"].clone()).unwrap();
        let places: Vec<At> = members.iter().map(|member| (member.page, member.index)).collect();
        assert_eq!(rows, places, "each row is its record's");
        if mark == Mark::InFlight {
            done.push(places);
        }
    };
    for (page, records) in pages.iter().enumerate() {
        let at = |index: usize| (page as u64 + 1, u32::try_from(index).unwrap());
        let mark = |index: usize| marks.get(&at(index)).copied().unwrap_or(Mark::InFlight);
        if !marks.is_empty() && (0..records.len()).all(|index| mark(index) != Mark::InFlight) {
            continue;
        }
        let mut met = false;
        for (index, key) in records.iter().enumerate().filter_map(|(index, key)| Some((index, (*key)?))) {
            let goes_on = met || joins[page];
            met = true;
            if let Some(open) = groups.join(kept(&origin, at(index), key, mark(index)), goes_on) {
                end(open);
            }
        }
    }
    while !groups.open.is_empty() {
        end(groups.take(0));
    }
    assert_eq!(groups.bytes, 0);
    done
}

fn pages() -> impl Strategy<Value = Pages> {
    let record = prop_oneof![1 => Just(None), 4 => (0u8..3).prop_map(Some)];
    prop::collection::vec(prop::collection::vec(record, 0..5), 0..8)
}

proptest! {
    #[test]
    fn groups_are_those_of_the_whole_list_however_it_is_cut_into_pages(pages in pages()) {
        let expected: Vec<Vec<At>> = model(&pages).into_iter().map(|(_, members)| members).collect();
        prop_assert_eq!(grouped(&pages, &BTreeMap::new()), expected);
    }

    /// Groups are settled whole, those that are not kept one by one, in any order.
    #[test]
    fn after_a_restart_what_is_left_is_grouped_as_before(pages in pages(), settled in prop::collection::vec(0u8..4, 40)) {
        let mut marks = BTreeMap::new();
        let mut expected = Vec::new();
        let mut dice = settled.into_iter().cycle();
        for (_, members) in model(&pages) {
            match [Mark::InFlight, Mark::Delivered, Mark::Filtered, Mark::Failed][dice.next().unwrap() as usize] {
                Mark::InFlight => expected.push(members),
                mark => marks.extend(members.into_iter().map(|at| (at, mark))),
            }
        }
        for (page, records) in pages.iter().enumerate() {
            for index in (0..records.len()).filter(|index| records[*index].is_none()) {
                if dice.next().unwrap() > 0 {
                    marks.insert((page as u64 + 1, u32::try_from(index).unwrap()), Mark::Filtered);
                }
            }
        }
        prop_assert_eq!(grouped(&pages, &marks), expected);
    }
}

#[test]
fn places_are_grouped_each_by_itself() {
    let mut groups = Groups::default();
    let other = Arc::new(crate::model::export::Export { name: "other".to_owned(), ..export() });
    let (one, two) = (origin(), Origin::of(&other));
    for page in 1..4 {
        for origin in [&one, &two] {
            assert!(groups.join(kept(origin, (page, 0), 7, Mark::InFlight), true).is_none());
        }
    }
    assert_eq!(groups.open.iter().map(|open| open.group.members.len()).collect::<Vec<_>>(), [3, 3]);
}

#[test]
fn a_group_that_is_too_large_fails_in_parts_and_none_of_it_is_taken_for_a_group() {
    let (mut groups, origin) = (Groups::default(), origin());
    let mut ends = Vec::new();
    let most = u32::try_from(MOST_RECORDS).unwrap();
    for index in 0..2 * most + 5 {
        ends.extend(groups.join(kept(&origin, (1, index), 7, Mark::InFlight), true));
    }
    ends.extend(groups.join(kept(&origin, (2, 0), 8, Mark::InFlight), false));
    assert!(ends.iter().all(|open| open.flaw == Some(Flaw::TooLarge)));
    let sizes: Vec<u32> = ends.iter().map(|open| open.group.count).collect();
    assert_eq!(sizes, [most, most, 5]);
    // What comes behind it is a group again.
    assert!(groups.open[0].flaw.is_none() && groups.open[0].group.count == 1);
}

#[test]
fn a_group_is_overtaken_by_one_of_the_same_records_only() {
    let trace = |keys: &[&str]| trace_of(&keys.iter().map(|key| (*key).to_owned()).collect::<Vec<_>>());
    assert_eq!((trace(&[]), trace(&["7"]).as_deref(), trace(&["7", "7"]).as_deref()), (None, Some("7"), Some("7")));
    let pair = trace(&["7", "8"]).unwrap();
    assert!(pair.starts_with("7 +1 #"));
    assert_ne!(trace(&["7", "9"]), Some(pair.clone()));
    assert_ne!(trace(&["8", "7"]), Some(pair));
    assert_ne!(trace(&["a", "b1:c"]), trace(&["a", "b", "c"]));
}

#[test]
fn a_group_with_a_record_of_a_parked_page_is_parked_whole() {
    let (mut groups, origin) = (Groups::default(), origin());
    let record = |page, flaw| Kept { flaw, ..kept(&origin, (page, 0), 7, Mark::InFlight) };
    for (page, flaw) in [(1, None), (2, Some(Flaw::Untraced(String::new()))), (3, Some(Flaw::Parked(3))), (4, None)] {
        assert!(groups.join(record(page, flaw), true).is_none());
    }
    let parked = groups.join(kept(&origin, (5, 0), 8, Mark::InFlight), true).unwrap();
    assert_eq!((parked.flaw, parked.group.members.len()), (Some(Flaw::Parked(3)), 4));
    assert!(groups.open[0].flaw.is_none());
}
