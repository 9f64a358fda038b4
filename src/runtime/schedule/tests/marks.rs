//! What is remembered over restarts, renames, removals and wrong clocks.

use super::*;

/// The state directory: what was saved, as text.
#[derive(Default)]
struct Saved(std::collections::BTreeMap<FlowId, String>);

impl Saved {
    fn take(&mut self, heap: &mut Heap) {
        for (flow, mark) in heap.marks_to_save() {
            match mark {
                Some(mark) => self.0.insert(flow, mark.to_string()),
                None => self.0.remove(&flow),
            };
        }
    }

    fn heap(&self) -> Heap {
        Heap::new(self.0.iter().map(|(flow, text)| (flow.clone(), text.parse().unwrap())))
    }
}

fn mark(done: &str, cron: &str) -> Mark {
    Mark { done: at(done), line: Some(line(cron).fingerprint()), off: false }
}

#[test]
fn a_new_flow_is_remembered_before_its_first_run() {
    let mut saved = Saved::default();
    let mut heap = heap(&[("a", "0 0 * * *")], "2027-01-01T12:00:00Z");
    saved.take(&mut heap);
    let mut heap = saved.heap();
    set(&mut heap, &[("a", "0 0 * * *")], "2027-01-02T03:00:00Z");
    assert_eq!(due(&mut heap, "2027-01-02T03:00:00Z"), ["a 02T00:00:00!"], "the process was down at midnight");
    assert!(saved_is_empty(&mut heap), "the run carries the mark");
}

fn saved_is_empty(heap: &mut Heap) -> bool {
    heap.marks_to_save().is_empty()
}

#[test]
fn what_was_handed_out_before_a_restart_is_not_handed_out_after_it() {
    let handed = mark("2027-01-01T02:00:00Z", "0 * * * *");
    let mut heap = Heap::new([(id("a"), handed)]);
    set(&mut heap, &[("a", "0 * * * *")], "2027-01-01T02:00:20Z");
    assert!(due(&mut heap, "2027-01-01T02:00:20Z").is_empty());
    assert!(saved_is_empty(&mut heap), "nothing new to remember");
    assert_eq!(due(&mut heap, "2027-01-01T03:00:00Z"), ["a 01T03:00:00"]);
}

#[test]
fn a_due_that_was_not_saved_comes_again_with_the_same_identity() {
    let before = mark("2027-01-01T02:00:00Z", "0 * * * *");
    for _ in 0..2 {
        let mut heap = Heap::new([(id("a"), before)]);
        set(&mut heap, &[("a", "0 * * * *")], "2027-01-01T03:00:05Z");
        assert_eq!(due(&mut heap, "2027-01-01T03:00:05Z"), ["a 01T03:00:00"]);
    }
}

#[test]
fn a_renamed_flow_goes_on_where_it_was_over_a_reload_and_a_restart() {
    let mut saved = Saved::default();
    let mut heap = heap(&[("old", "0 * * * *")], "2027-01-01T00:30:00Z");
    assert_eq!(due(&mut heap, "2027-01-01T01:00:00Z"), ["old 01T01:00:00"]);
    set_renamed(&mut heap, &[("new", "0 * * * *", &["older", "old"])], "2027-01-01T01:00:10Z");
    assert!(due(&mut heap, "2027-01-01T01:00:10Z").is_empty());
    assert_eq!(super::saved(&mut heap), ["new: 01T01:00", "old: deleted"]);
    saved.0.insert(id("old"), mark("2027-01-01T01:00:00Z", "0 * * * *").to_string());
    let mut heap = saved.heap();
    set_renamed(&mut heap, &[("new", "0 * * * *", &["older", "old"])], "2027-01-01T02:30:00Z");
    assert_eq!(due(&mut heap, "2027-01-01T02:30:00Z"), ["new 01T02:00:00!"]);
    assert_eq!(super::saved(&mut heap), ["old: deleted"]);
}

#[test]
fn a_former_name_that_another_flow_has_now_is_not_taken() {
    let mut heap = Heap::new([(id("b"), mark("2027-01-01T00:00:00Z", "0 * * * *"))]);
    set_renamed(&mut heap, &[("a", "0 * * * *", &["b"]), ("b", "0 * * * *", &[])], "2027-01-01T01:30:00Z");
    assert_eq!(due(&mut heap, "2027-01-01T01:30:00Z"), ["b 01T01:00:00!"]);
}

#[test]
fn a_line_that_was_edited_while_the_process_was_down_starts_now() {
    let mut heap = Heap::new([
        (id("a"), mark("2027-01-01T00:00:00Z", "0 0 * * *")),
        (id("b"), Mark { line: None, ..mark("2027-01-01T00:00:00Z", "0 0 * * *") }),
    ]);
    set(&mut heap, &[("a", "0 * * * *"), ("b", "0 * * * *")], "2027-01-01T05:30:00Z");
    assert_eq!(
        due(&mut heap, "2027-01-01T05:30:00Z"),
        ["b 01T05:00:00!", "b -4 to 01T05:00:00"],
        "set by hand: any line"
    );
    assert_eq!(super::saved(&mut heap), ["a: 01T05:30"]);
    assert_eq!(heap.next_wake(), Some(at("2027-01-01T06:00:00Z")));
}

#[test]
fn while_a_flow_was_off_it_missed_nothing() {
    let mut saved = Saved::default();
    let mut heap = heap(&[("a", "0 * * * *")], "2027-01-01T00:30:00Z");
    set(&mut heap, &[], "2027-01-01T00:40:00Z");
    assert_eq!(super::saved(&mut heap), ["a: 01T00:30 off"]);
    let mark = heap.mark(&id("a")).unwrap();
    set(&mut heap, &[("a", "0 * * * *")], "2027-01-01T05:30:00Z");
    assert!(due(&mut heap, "2027-01-01T05:30:00Z").is_empty());
    assert_eq!(heap.next_wake(), Some(at("2027-01-01T06:00:00Z")), "and the next one is not skipped");
    // The same over a restart.
    saved.0.insert(id("a"), mark.to_string());
    let mut heap = saved.heap();
    set(&mut heap, &[("a", "0 * * * *")], "2027-01-01T05:30:00Z");
    assert!(due(&mut heap, "2027-01-01T05:30:00Z").is_empty());
    assert_eq!(super::saved(&mut heap), ["a: 01T05:30"]);
    // Removed while the process was down: off from then on.
    let mut heap = Heap::new([(id("a"), Mark { off: false, ..mark })]);
    set(&mut heap, &[], "2027-01-01T05:30:00Z");
    assert_eq!(super::saved(&mut heap), ["a: 01T00:30 off"]);
}

#[test]
fn off_and_on_again_under_a_clock_set_back_repeats_no_instant() {
    let mut heap = heap(&[("a", "0 * * * *")], "2027-01-01T00:30:00Z");
    assert_eq!(due(&mut heap, "2027-01-01T01:00:00Z").len(), 1);
    set(&mut heap, &[], "2027-01-01T01:10:00Z");
    set(&mut heap, &[("a", "0 * * * *")], "2027-01-01T00:20:00Z");
    assert!(due(&mut heap, "2027-01-01T01:00:00Z").is_empty());
    assert_eq!(heap.next_wake(), Some(at("2027-01-01T02:00:00Z")));
}

#[test]
fn marks_of_flows_long_gone_are_deleted() {
    let mut heap = heap(&[("a", "0 * * * *")], "2027-01-01T00:30:00Z");
    set(&mut heap, &[], "2027-01-01T00:40:00Z");
    heap.marks_to_save();
    set(&mut heap, &[("b", "0 * * * *")], "2027-01-02T00:31:00Z");
    assert_eq!(super::saved(&mut heap), ["a: deleted", "b: 02T00:31"]);
    assert_eq!(heap.mark(&id("a")), None);
}

#[test]
fn a_mark_up_to_a_day_ahead_is_waited_for_and_one_further_ahead_is_not_believed() {
    let line = "0 * * * *";
    let marks = [(id("near"), mark("2027-01-02T00:00:00Z", line)), (id("far"), mark("2038-01-01T00:00:00Z", line))];
    let mut heap = Heap::new(marks);
    set(&mut heap, &[("near", line), ("far", line)], "2027-01-01T00:30:00Z");
    let wake = heap.due(at("2027-01-01T00:30:00Z"), |_| false);
    assert_eq!(wake.distrusted, [Distrusted { flow: id("far"), done: at("2038-01-01T00:00:00Z") }]);
    assert_eq!(super::saved(&mut heap), ["far: 01T00:30"]);
    assert_eq!(heap.next_of(&id("near")), Some(at("2027-01-02T01:00:00Z")));
    assert_eq!(heap.next_of(&id("far")), Some(at("2027-01-01T01:00:00Z")));
}

#[test]
fn a_clock_that_ran_ten_years_ahead_and_was_put_right_holds_nothing_up() {
    let mut heap = heap(&[("a", "0 * * * *")], "2037-01-01T00:30:00Z");
    assert_eq!(due(&mut heap, "2037-01-01T01:00:00Z").len(), 1);
    heap.marks_to_save();
    let wake = heap.due(at("2027-01-01T00:30:00Z"), |_| false);
    assert_eq!(wake.distrusted.len(), 1);
    assert_eq!(super::saved(&mut heap), ["a: 01T00:30"]);
    assert_eq!(due(&mut heap, "2027-01-01T01:00:00Z"), ["a 01T01:00:00"]);
}

#[test]
fn many_reloads_and_ends_do_not_pile_up_entries() {
    let mut heap = heap(&[("b", "0 * * * *|one jitter=86400")], "2027-01-01T00:00:00Z");
    assert!(due(&mut heap, "2027-01-01T01:30:00Z").is_empty());
    for round in 0..1_000 {
        let line = if round % 2 == 0 { "0 * * * *" } else { "1 * * * *" };
        set(&mut heap, &[("a", line), ("b", "0 * * * *|one jitter=86400")], "2027-01-01T01:30:00Z");
        heap.ended(&id("b"), at("2027-01-01T01:30:00Z"));
    }
    assert!(heap.len() < 200, "{}", heap.len());
}

#[test]
fn marks_survive_being_written_and_other_texts_are_refused() {
    for off in [false, true] {
        for line in [None, Some(0x12_3456_789a)] {
            for done in ["2027-01-01T00:00:00Z", "2027-01-01T00:00:00.123456789Z", "1969-12-31T23:59:59Z"] {
                let mark = Mark { done: at(done), line, off };
                assert_eq!(mark.to_string().parse(), Ok(mark));
            }
        }
    }
    assert_eq!(
        "2027-01-01T01:00:00+01:00".parse(),
        Ok(Mark { done: at("2027-01-01T00:00:00Z"), line: None, off: false })
    );
    for text in ["", "off", "yesterday", "2027-01-01", "2027-01-01T00:00:00Z a b", "2027-01-01T00:00:00Z a b off"] {
        assert!(text.parse::<Mark>().is_err(), "{text}");
    }
    assert!("x".repeat(10_000).parse::<Mark>().unwrap_err().to_string().len() < 200);
}
