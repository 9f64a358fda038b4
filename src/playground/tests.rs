//! The playground over a real socket: what a sender sees, and what the ledger makes of it.

use super::*;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;

const PATIENCE: Duration = Duration::from_secs(20);

/// Sends one request on a connection of its own; status, head and body of the answer.
fn call(at: &Playground, method: &str, target: &str, extra: &str, body: &str) -> (u16, String, String) {
    let mut stream = TcpStream::connect(at.addr()).unwrap();
    let length = body.len();
    write!(stream, "{method} {target} HTTP/1.1\r\nhost: localhost:1\r\nconnection: close\r\n{extra}content-length: {length}\r\n\r\n{body}")
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head[9..12].parse().unwrap(), head.to_lowercase(), body.to_owned())
}

fn ids_only() -> Settings {
    Settings { records: 4, verify: Verify::Ids, ..Settings::default() }
}

fn deliver(at: &Playground, id: u64) -> u16 {
    call(at, "POST", "/orders", "", &format!("{{\"ext_id\":{id}}}")).0
}

#[test]
fn a_whole_delivery_gets_a_good_verdict_and_a_second_one_does_not() {
    let playground = Playground::start(ids_only()).unwrap();
    for id in 1..=4 {
        assert_eq!(deliver(&playground, id), 201);
    }
    assert!(playground.ledger().verdict().holds(), "{}", playground.ledger());
    deliver(&playground, 2);
    let last = playground.stop();
    assert_eq!(last.destination("orders").records.duplicates, 1);
    assert!(!last.verdict().exactly_once);
}

#[test]
fn the_ledger_reads_the_same_from_outside() {
    let playground = Playground::start(ids_only()).unwrap();
    deliver(&playground, 1);
    let (status, _, body) = call(&playground, "GET", "/ledger", "", "");
    let outside: Report = serde_json::from_str(&body).unwrap();
    assert_eq!((status, outside), (200, playground.ledger()));
}

#[test]
fn every_source_style_answers_and_unknown_paths_do_not() {
    let playground = Playground::start(ids_only()).unwrap();
    for path in ["/page", "/offset", "/cursor", "/next", "/link", "/shop/orders", "/shop/customers"] {
        let (status, _, body) = call(&playground, "GET", path, "", "");
        assert_eq!(status, 200, "{path}");
        serde_json::from_str::<serde_json::Value>(&body).unwrap();
    }
    assert!(call(&playground, "GET", "/next?per_page=2", "", "").2.contains("http://localhost:1/next?page=2"));
    assert!(call(&playground, "GET", "/link?per_page=2", "", "").1.contains("rel=\"next\""));
    assert!(call(&playground, "GET", "/", "", "").2.starts_with("flowgate playground"));
    assert_eq!(call(&playground, "GET", "/page?page=0", "", "").0, 400);
    assert_eq!(call(&playground, "GET", "/nowhere", "", "").0, 404);
    assert_eq!(call(&playground, "GET", "/sink/a/b", "", "").0, 404);
    assert_eq!(call(&playground, "GET", "/orders", "", "").0, 405);
}

#[test]
fn limited_and_failed_requests_come_when_asked_for_and_are_not_recorded() {
    let sink = Faults { limit_at: 1, retry_after: 2, fail_every: 3, ..Faults::default() };
    let playground = Playground::start(Settings { sink, ..ids_only() }).unwrap();
    let (status, head, _) = call(&playground, "POST", "/orders", "", "{\"ext_id\":1}");
    assert_eq!((status, head.contains("retry-after: 2")), (429, true));
    assert_eq!(deliver(&playground, 1), 201);
    assert_eq!(deliver(&playground, 2), 500);
    let seen = playground.ledger();
    assert_eq!((seen.sinks.limited, seen.sinks.failed, seen.sinks.early), (1, 1, 2));
    assert_eq!(seen.destination("orders").records.once, 1);
    assert!(!seen.verdict().pauses_held);
}

#[test]
fn a_credential_is_demanded_of_both_sides() {
    let playground = Playground::start(Settings { auth: Some(Auth::bearer("t")), ..ids_only() }).unwrap();
    assert_eq!(call(&playground, "GET", "/page", "", "").0, 401);
    assert_eq!(deliver(&playground, 1), 401);
    assert_eq!(call(&playground, "GET", "/page", "authorization: Bearer t\r\n", "").0, 200);
    playground.reset(Settings { auth: Some(Auth::basic("ann", "pw")), ..ids_only() });
    assert_eq!(call(&playground, "GET", "/page", "authorization: Basic YW5uOnB3\r\n", "").0, 200);
}

/// Sends a record and stays there, its answer unread.
fn stay(at: &Playground, path: &str, id: u64) -> TcpStream {
    let mut stream = TcpStream::connect(at.addr()).unwrap();
    write!(stream, "POST {path} HTTP/1.1\r\nhost: h\r\ncontent-length: 12\r\n\r\n{{\"ext_id\":{id}}}").unwrap();
    stream
}

/// A destination whose answers no test waits for.
fn endless() -> Settings {
    Settings { sink: Faults { latency: Duration::from_hours(1), ..Faults::default() }, ..ids_only() }
}

#[test]
fn requests_at_once_are_counted_over_all_destinations_and_judged_by_the_limit() {
    let playground = Playground::start(Settings { limit: Some(3), ..endless() }).unwrap();
    let sent = [(1, "/sink/a"), (2, "/sink/a"), (3, "/sink/b"), (4, "/sink/b")];
    let streams = sent.map(|(id, path)| stay(&playground, path, id));
    playground.wait_until(PATIENCE, |seen| seen.sinks.in_flight == 4).unwrap();
    drop(streams);
    let seen = playground.stop();
    assert_eq!((seen.sinks.most_in_flight, seen.over_limit), (4, 1));
    assert_eq!(seen.destination("a").traffic.most_in_flight, 2);
    assert!(!seen.verdict().limit_held);
}

#[test]
fn above_the_limit_a_strict_destination_refuses() {
    let playground = Playground::start(Settings { limit: Some(1), refuse_over_limit: true, ..endless() }).unwrap();
    let _first = stay(&playground, "/orders", 1);
    playground.wait_until(PATIENCE, |seen| seen.sinks.in_flight == 1).unwrap();
    assert_eq!(deliver(&playground, 2), 429);
}

#[test]
fn a_sender_that_goes_away_is_no_longer_in_flight() {
    let playground = Playground::start(endless()).unwrap();
    let stream = stay(&playground, "/orders", 1);
    playground.wait_until(PATIENCE, |seen| seen.sinks.in_flight == 1).unwrap();
    drop(stream);
    playground.wait_until(PATIENCE, |seen| seen.sinks.in_flight == 0).unwrap();
}

#[test]
fn the_shop_shows_open_orders_and_new_ones_once_all_are_delivered() {
    let playground = Playground::start(Settings { fresh: 2, ..ids_only() }).unwrap();
    let total = || {
        let (_, _, body) = call(&playground, "GET", "/shop/orders", "", "");
        serde_json::from_str::<serde_json::Value>(&body).unwrap()["total"].as_u64().unwrap()
    };
    assert_eq!(total(), 4);
    deliver(&playground, 1);
    deliver(&playground, 3);
    assert_eq!(total(), 2);
    deliver(&playground, 2);
    deliver(&playground, 4);
    assert!(playground.ledger().verdict().exactly_once);
    assert_eq!(total(), 2, "two fresh ones");
    assert_eq!(playground.ledger().destination("orders").records.missing, 2);
}

/// Delivers with a key and a mark.
fn deliver_as(at: &Playground, id: u64, key: &str) -> (u16, String) {
    let headers = format!("idempotency-key: {key}\r\nx-mark-run: r{id}\r\n");
    let (status, _, body) = call(at, "POST", "/orders", &headers, &format!("{{\"ext_id\":{id}}}"));
    (status, body)
}

#[test]
fn a_known_key_is_answered_as_before_and_has_no_effect() {
    let playground = Playground::start(Settings { watch: true, ..ids_only() }).unwrap();
    let first = deliver_as(&playground, 1, "a");
    assert_eq!(first, deliver_as(&playground, 1, "a"));
    assert_eq!(playground.ledger().destination("orders").records.duplicates, 0);
    assert_eq!(playground.watched().keys_reused, 0);
    deliver_as(&playground, 2, "a");
    assert_eq!(playground.watched().keys_reused, 1, "another body under the same key");
    deliver_as(&playground, 1, "b");
    assert_eq!(playground.ledger().destination("orders").records.duplicates, 1, "another key is another write");
    let effects: Vec<_> = playground.watched().writes.iter().map(|write| write.effect).collect();
    assert_eq!(effects, [Effect::Taken, Effect::Recognised, Effect::Recognised, Effect::Taken]);
}

#[test]
fn each_request_is_accounted_for_with_what_it_carried() {
    let playground = Playground::start(Settings { watch: true, reject_every: 3, ..ids_only() }).unwrap();
    call(&playground, "GET", "/page?per_page=3", "", "");
    deliver_as(&playground, 1, "a");
    deliver_as(&playground, 3, "c");
    let watched = playground.watched();
    assert_eq!(watched.pages[0].ids, [1, 2, 3]);
    let [taken, refused] = &watched.writes[..] else { panic!("{watched:?}") };
    assert_eq!((taken.ids.as_slice(), taken.key.as_deref(), taken.in_flight), ([1].as_slice(), Some(&b"a"[..]), 1));
    assert_eq!(taken.marks, [("run".to_owned(), "r1".to_owned())]);
    assert!(taken.at <= taken.ended.unwrap() && taken.ended.unwrap() <= playground.now());
    assert_eq!((refused.effect, refused.ids.len()), (Effect::None, 0));
    assert_eq!(deliver_as(&playground, 3, "c").0, 422, "a refusal is not remembered");
}

#[test]
fn behaviour_changes_without_forgetting() {
    let playground = Playground::start(ids_only()).unwrap();
    deliver(&playground, 1);
    playground.behave(Settings { sink: Faults { fail_every: 1, ..Faults::default() }, ..ids_only() });
    assert_eq!(deliver(&playground, 2), 500);
    assert_eq!(playground.ledger().destination("orders").records.once, 1);
}

#[test]
fn a_reset_forgets_and_takes_new_settings() {
    let playground = Playground::start(ids_only()).unwrap();
    deliver(&playground, 1);
    assert_eq!(call(&playground, "GET", "/reset?n=9&colour=red", "", "").0, 400);
    assert_eq!(playground.ledger().destinations.len(), 1);
    assert_eq!(call(&playground, "GET", "/reset?n=9", "", "").0, 200);
    assert!(playground.ledger().destinations.is_empty());
    deliver(&playground, 1);
    assert_eq!(playground.ledger().destination("orders").records.missing, 8);
}

#[test]
fn destinations_are_not_opened_without_end() {
    let playground = Playground::start(ids_only()).unwrap();
    let status = |i| call(&playground, "POST", &format!("/sink/s{i}"), "", "{\"ext_id\":1}").0;
    let statuses: Vec<u16> = (0..70).map(status).collect();
    assert_eq!((statuses[63], statuses[64]), (201, 507));
}

#[test]
fn an_oversized_body_is_refused_and_the_playground_lives() {
    let playground = Playground::start(ids_only()).unwrap();
    let mut stream = TcpStream::connect(playground.addr()).unwrap();
    write!(stream, "POST /orders HTTP/1.1\r\nhost: h\r\ncontent-length: 99999999\r\n\r\n").unwrap();
    // The server stops reading somewhere past its cap; what is left unsent does not matter.
    let chunk = vec![b' '; 1 << 20];
    for _ in 0..32 {
        if stream.write_all(&chunk).is_err() {
            break;
        }
    }
    drop(stream);
    assert_eq!(deliver(&playground, 1), 201);
}
