//! Spans of requests that are polled side by side, given up, and too many.

use super::buffer::Buffer;
use super::span::Span;
use super::*;
use crate::observe::event::RunSummary;
use crate::observe::meters::{RunOutcome, TriggerKind};
use crate::observe::recorder::{self, Live};
use crate::value::id::FlowId;
use crate::value::time::{SeededRng, SharedClock, SystemClock};
use std::collections::HashMap;
use std::sync::Arc;

fn flow() -> FlowId {
    FlowId::parse("copy").unwrap()
}

fn connection() -> ConnectionId {
    ConnectionId::parse("api").unwrap()
}

fn begin(buffer: &Arc<Buffer>, clock: &SharedClock) -> Trace {
    Traces::into_buffer(buffer.clone()).begin(clock, &SeededRng::seeded(7), &flow(), "r1", "manual")
}

fn purpose(connection: &ConnectionId, page: Option<u64>) -> Purpose<'_> {
    Purpose { step: "import", act: "write", connection, page, record: Some(3), records: 1 }
}

async fn pass(clock: &SharedClock, millis: u64) {
    clock.sleep_until(clock.mono().plus(Duration::from_millis(millis))).await;
}

fn end(trace: &Trace) {
    trace.end(&RunSummary::new(&flow(), "r1", TriggerKind::Manual, RunOutcome::Succeeded));
}

/// Every parent is there, and lasts from before its parts to after them.
fn hang_together(spans: &[Span]) -> HashMap<u64, &Span> {
    let by_id: HashMap<u64, &Span> = spans.iter().map(|span| (span.id, span)).collect();
    assert_eq!(by_id.len(), spans.len(), "ids are distinct");
    for span in spans {
        assert_eq!((span.trace, span.start <= span.end), (spans[0].trace, true));
        let Some(parent) = span.parent else { continue };
        let parent = by_id.get(&parent).unwrap_or_else(|| panic!("the parent of {span:?} is not there"));
        assert!(parent.start <= span.start && span.end <= parent.end, "{span:?} is not within {parent:?}");
    }
    by_id
}

#[tokio::test(start_paused = true)]
async fn what_is_polled_within_a_request_is_part_of_it_and_of_no_other() {
    let (buffer, clock, api) = (Arc::new(Buffer::default()), SystemClock::start(), connection());
    let trace = begin(&buffer, &clock);
    let one = |page: u64| {
        let (clock, purpose) = (clock.clone(), purpose(&api, Some(page)));
        let sending = async move {
            let wait = waiting();
            pass(&clock, 10 * page).await;
            drop(wait);
            let started = clock.mono();
            pass(&clock, 100 - 20 * page).await;
            attempted(|| Attempted {
                attempt: 1,
                started,
                took: clock.mono().since(started),
                request: format!("POST http://a.example/{page}"),
                status: Some(200),
                outcome: "success",
                message: String::new(),
            });
            happened(Happening::Limited(Duration::from_secs(page)));
            if page == 2 { Err("no") } else { Ok(()) }
        };
        trace.request(purpose, sending)
    };
    let (first, second) = tokio::join!(one(1), one(2));
    assert_eq!((first, second), (Ok(()), Err("no")));
    end(&trace);
    let spans = buffer.take(usize::MAX);
    let by_id = hang_together(&spans);
    let path = |span: &Span| {
        let mut names = vec![span.name.as_str()];
        let mut at = span;
        while let Some(parent) = at.parent {
            at = by_id[&parent];
            names.push(&at.name);
        }
        names.join(" < ")
    };
    for (name, millis) in [("queue", [10, 20]), ("POST", [80, 60])] {
        let found: Vec<&Span> = spans.iter().filter(|span| span.name == name).collect();
        let mut took: Vec<u64> = found.iter().map(|span| (span.end - span.start) / 1_000_000).collect();
        took.sort_unstable();
        let mut expected = millis;
        expected.sort_unstable();
        assert_eq!(took, expected, "{name}");
        assert!(found.iter().all(|span| path(span) == format!("{name} < request < page < step import < run copy")));
    }
    let requests: Vec<&Span> = spans.iter().filter(|span| span.name == "request").collect();
    assert!(requests.iter().all(|request| request.events.len() == 1 && request.events[0].name == "limited"));
    assert_eq!(requests.iter().filter_map(|request| request.error.as_deref()).collect::<Vec<_>>(), ["no"]);
    attempted(|| unreachable!("outside of a request nobody wants to know"));
    drop(waiting());
    assert_eq!(buffer.take(usize::MAX).len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_given_up_ends_its_span_and_a_run_that_nobody_ends_was_cut_off() {
    let (buffer, clock, api) = (Arc::new(Buffer::default()), SystemClock::start(), connection());
    let trace = begin(&buffer, &clock);
    let never = async {
        let _wait = waiting();
        std::future::pending::<Result<(), String>>().await
    };
    tokio::select! {
        _ = trace.request(purpose(&api, None), never) => unreachable!(),
        () = pass(&clock, 5) => {}
    }
    drop(trace);
    let spans = buffer.take(usize::MAX);
    hang_together(&spans);
    let errors: Vec<_> = spans.iter().map(|span| (span.name.as_str(), span.error.as_deref())).collect();
    assert_eq!(
        errors,
        [
            ("queue", None),
            ("request", Some("given up before its end")),
            ("step import", None),
            ("run copy", Some("the run was cut off"))
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn pages_beyond_those_kept_open_are_let_go_and_no_span_loses_its_parent() {
    let (buffer, clock, api) = (Arc::new(Buffer::default()), SystemClock::start(), connection());
    let trace = begin(&buffer, &clock);
    for page in 1..=600 {
        let sending = async {
            pass(&clock, 1).await;
            Ok::<_, String>(())
        };
        trace.request(purpose(&api, Some(page)), sending).await.unwrap();
    }
    end(&trace);
    end(&trace);
    let spans = buffer.take(usize::MAX);
    hang_together(&spans);
    let count = |name: &str| spans.iter().filter(|span| span.name == name).count();
    assert_eq!((count("page"), count("request"), count("step import"), count("run copy")), (600, 600, 1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_full_buffer_drops_requests_and_keeps_room_for_what_they_hang_on() {
    let (buffer, clock, api) = (Arc::new(Buffer::with_room(10)), SystemClock::start(), connection());
    let trace = begin(&buffer, &clock);
    for _ in 0..50 {
        trace.request(purpose(&api, Some(1)), async { Ok::<_, String>(()) }).await.unwrap();
    }
    end(&trace);
    let text = recorder::render(&Live::default()).concat();
    assert!(text.contains("flowgate_trace_spans_total{outcome=\"dropped\"} 40\n"), "{text}");
    let spans = buffer.take(usize::MAX);
    hang_together(&spans);
    assert_eq!(spans.len(), 13);
}
