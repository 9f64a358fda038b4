//! The strict destination: reads one record, a list, or a list under one key; checks, refuses and answers.

use super::record::{Given, Kind};
use super::settings::Settings;
use super::tally::Tally;
use super::watch::Answered;
use hyper::StatusCode;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::io::Write as _;

/// What a body turned out to be.
enum Body {
    One(Given),
    Many(Vec<Result<Given, String>>),
    Neither(String),
}

/// Reads a body, enters it in the tally, and gives the answer.
pub(super) fn take(settings: &Settings, kind: Kind, body: &[u8], tally: &mut Tally, known: u64) -> Answered {
    let refused = |status, body| Answered { status, body, ids: Vec::new() };
    let refuses = |given: &Given| settings.reject_every > 0 && given.id.is_multiple_of(settings.reject_every);
    match read(settings, kind, body) {
        Body::Neither(why) => {
            tally.unreadable(&why);
            refused(StatusCode::BAD_REQUEST, refusal(&why))
        }
        Body::One(given) => {
            if refuses(&given) {
                tally.refuse(given.id, known);
                return refused(StatusCode::UNPROCESSABLE_ENTITY, refusal(&not_wanted(given.id)));
            }
            let body = format!("{{\"id\":\"E-{}\"}}", given.id).into_bytes();
            let ids = vec![given.id];
            tally.take(given, known);
            Answered { status: StatusCode::CREATED, body, ids }
        }
        Body::Many(items) => {
            let unwanted = items.iter().flatten().find(|given| refuses(given)).map(|given| given.id);
            if let (Some(id), true) = (unwanted, settings.reject_whole_batch) {
                return refused(StatusCode::UNPROCESSABLE_ENTITY, refusal(&not_wanted(id)));
            }
            let ids = items.iter().flatten().filter(|given| !refuses(given)).map(|given| given.id).collect();
            Answered { status: StatusCode::OK, body: take_each(items, refuses, tally, known), ids }
        }
    }
}

fn take_each(
    items: Vec<Result<Given, String>>,
    refuses: impl Fn(&Given) -> bool,
    tally: &mut Tally,
    known: u64,
) -> Vec<u8> {
    let mut answer = Vec::with_capacity(24 * items.len() + 16);
    answer.extend_from_slice(b"{\"results\":[");
    for (i, item) in items.into_iter().enumerate() {
        if i > 0 {
            answer.push(b',');
        }
        // Writing to a Vec cannot fail.
        let _ = match item {
            Ok(given) if refuses(&given) => {
                tally.refuse(given.id, known);
                answer.write_all(&refusal(&not_wanted(given.id)))
            }
            Ok(given) => {
                let written = write!(answer, "{{\"id\":\"E-{}\"}}", given.id);
                tally.take(given, known);
                written
            }
            Err(why) => {
                tally.unreadable(&why);
                answer.write_all(&refusal(&why))
            }
        };
    }
    answer.extend_from_slice(b"]}");
    answer
}

fn read(settings: &Settings, kind: Kind, body: &[u8]) -> Body {
    let text = match std::str::from_utf8(body) {
        Ok(text) => text.trim_start(),
        Err(e) => return Body::Neither(e.to_string()),
    };
    let check = |json: &str| kind.check(json, settings.record_size, settings.verify);
    let all = |list: Vec<&RawValue>| Body::Many(list.into_iter().map(|raw| check(raw.get())).collect());
    if text.starts_with('[') {
        return match serde_json::from_str::<Vec<&RawValue>>(text) {
            Ok(list) => all(list),
            Err(e) => Body::Neither(e.to_string()),
        };
    }
    match check(text) {
        Ok(given) => Body::One(given),
        // Not a record: perhaps `{ "orders": [ … ] }`.
        Err(why) => match serde_json::from_str::<BTreeMap<String, Vec<&RawValue>>>(text) {
            Ok(wrapped) if wrapped.len() == 1 => wrapped.into_values().next().map_or(Body::Neither(why), all),
            _ => Body::Neither(why),
        },
    }
}

fn not_wanted(id: u64) -> String {
    format!("order {id} is not wanted")
}

/// `{"error": …}` with the text as a JSON string.
pub(super) fn refusal(why: &str) -> Vec<u8> {
    format!("{{\"error\":{}}}", serde_json::Value::from(why)).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::playground::settings::Verify;

    fn ids_only() -> Settings {
        Settings { verify: Verify::Ids, ..Settings::default() }
    }

    fn give(settings: &Settings, body: &str) -> (u16, String, crate::playground::report::Delivered) {
        let mut tally = Tally::new();
        let answer = take(settings, Kind::Order, body.as_bytes(), &mut tally, 10);
        (answer.status.as_u16(), String::from_utf8(answer.body).unwrap(), tally.report(10))
    }

    #[test]
    fn one_record_a_list_and_a_wrapped_list_are_taken() {
        let (status, answer, seen) = give(&ids_only(), "{\"ext_id\":3}");
        assert_eq!((status, answer.as_str(), seen.once), (201, "{\"id\":\"E-3\"}", 1));
        for body in ["[{\"ext_id\":3},{\"id\":4}]", " {\"orders\":[{\"ext_id\":3},{\"ext_id\":4}]}"] {
            let (status, answer, seen) = give(&ids_only(), body);
            assert_eq!((status, seen.once), (200, 2));
            assert_eq!(answer, "{\"results\":[{\"id\":\"E-3\"},{\"id\":\"E-4\"}]}");
        }
    }

    #[test]
    fn what_is_no_record_is_refused_and_noted() {
        for body in ["", "{", "7", "{\"name\":\"x\"}", "{\"a\":[],\"b\":[]}", "[1", "\u{feff}[]"] {
            let (status, answer, seen) = give(&ids_only(), body);
            assert_eq!((status, seen.unreadable, seen.once), (400, 1, 0), "{body}");
            assert!(answer.starts_with("{\"error\":\""), "{answer}");
        }
        let (status, _, seen) = give(&ids_only(), "[{\"ext_id\":1},{\"x\":2}]");
        assert_eq!((status, seen.once, seen.unreadable), (200, 1, 1));
    }

    #[test]
    fn refused_ids_get_422_alone_and_an_error_of_their_own_in_a_batch() {
        let picky = Settings { reject_every: 2, ..ids_only() };
        let (status, answer, seen) = give(&picky, "{\"ext_id\":2}");
        assert_eq!((status, seen.refused, seen.once), (422, 1, 0));
        assert_eq!(answer, "{\"error\":\"order 2 is not wanted\"}");
        let (status, answer, seen) = give(&picky, "[{\"ext_id\":1},{\"ext_id\":2}]");
        assert_eq!((status, seen.refused, seen.once), (200, 1, 1));
        assert_eq!(answer, "{\"results\":[{\"id\":\"E-1\"},{\"error\":\"order 2 is not wanted\"}]}");
    }

    #[test]
    fn a_batch_refused_whole_leaves_nothing_behind() {
        let picky = Settings { reject_every: 2, reject_whole_batch: true, ..ids_only() };
        let (status, _, seen) = give(&picky, "[{\"ext_id\":1},{\"ext_id\":2}]");
        assert_eq!((status, seen.once, seen.refused), (422, 0, 0));
    }

    #[test]
    fn a_wrong_field_is_taken_but_noted() {
        let (status, _, seen) = give(&Settings::default(), "{\"ext_id\":3,\"sku\":\"x\"}");
        assert_eq!((status, seen.once, seen.wrong_mapping), (201, 1, 1));
    }
}
