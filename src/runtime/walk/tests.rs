//! Which steps a record takes, what it asks on its way, and where it stops: without any request.

// size: tests, which also make flows for their neighbours

use super::found::Found;
use super::*;
use crate::http::request::RequestSpec;
use crate::model::flow::Durability;
use crate::model::import::{Answers, Import, UnknownOutcome};
use crate::model::step::{Action, Branch, Lookup, OnError, Route, Transform};
use crate::runtime::export::paging::{Method, Paging};
use crate::value::expression::Expression;
use crate::value::id::{ConnectionId, FlowId};
use crate::value::json::Json;
use crate::value::path::Path;
use crate::value::tree::Tree;
use std::num::NonZeroU32;
use std::sync::Arc;

/// An export of nothing in particular.
pub(in crate::runtime) fn export() -> Export {
    Export {
        name: "export".into(),
        connection: ConnectionId::parse("api").unwrap(),
        request: RequestSpec::of_base().unwrap(),
        later: None,
        records: None,
        records_optional: false,
        limit: None,
        paging: Paging {
            method: Method::None,
            next: None,
            stop_status: Vec::new(),
            stop: None,
            stop_when: None,
            total_path: None,
            pages_path: None,
            stop_at_short_page: false,
            max_pages: 1,
        },
        transform: None,
        group_by: Vec::new(),
        keep: None,
        trace_key: None,
        link: None,
        reads_previous: false,
        each: Vec::new(),
        delta: None,
        job: None,
        once: None,
    }
}

fn flow(steps: Vec<Step>) -> Flow {
    Flow {
        id: FlowId::parse("copy").unwrap(),
        title: None,
        formerly: Vec::new(),
        enabled: true,
        weight: NonZeroU32::MIN,
        context: Json::parse("{}").unwrap(),
        unresolved: Vec::new(),
        schedule: None,
        run_after: Vec::new(),
        webhook: None,
        exports: vec![Arc::new(export())],
        steps,
        tables: std::collections::BTreeMap::new(),
        import: None,
        durability: Durability::Full,
        missing_is_empty: false,
        max_errors: None,
        text: "".into(),
        hash: String::new(),
    }
}

fn step(name: &str, action: Action) -> Step {
    Step { name: name.into(), when: None, on_error: OnError::Stop, many: None, action }
}

fn condition(text: &str) -> Expression {
    Expression::compile(text).unwrap()
}

fn object(fields: &[(&str, &str)]) -> Tree {
    Tree::Object(fields.iter().map(|(name, leaf)| ((*name).to_owned(), Tree::leaf(leaf).unwrap())).collect())
}

fn create(fields: &[(&str, &str)]) -> Action {
    Action::Transform(Transform::Create(object(fields)))
}

fn keep(text: &str) -> Action {
    Action::Keep(condition(text))
}

fn lookup(name: &str, merge: Option<&[(&str, &str)]>) -> Action {
    Action::Lookup(Box::new(Lookup {
        export: Arc::new(export()),
        cache: None,
        merge: merge.map(object),
        name: name.into(),
    }))
}

fn import(merge: Option<&[(&str, &str)]>) -> Action {
    Action::Import(Box::new(Import {
        name: "push".into(),
        when: None,
        on_error: OnError::Stop,
        connection: ConnectionId::parse("api").unwrap(),
        request: RequestSpec::of_base().unwrap(),
        answers: Answers::default(),
        batch_size: NonZeroU32::MIN,
        wrap: None,
        drop_empty: false,
        bisects: false,
        merge: merge.map(object),
        lock_key: None,
        idempotency_key: None,
        idempotency_header: String::new(),
        key_is_lasting: false,
        unknown: UnknownOutcome::Park,
        upsert: None,
    }))
}

fn branch(when: Option<&str>, end: bool, steps: Vec<Step>) -> Branch {
    Branch { when: when.map(condition), end, steps }
}

fn route(all: bool, branches: Vec<Branch>) -> Action {
    Action::Route(Route { all, branches })
}

/// How a record ended, for comparison.
#[derive(Debug, PartialEq)]
enum End {
    Arrived(String),
    Left,
    Failed { step: String, text: String, record: String },
}

/// What a walk asked in the order of its rounds, how it ended, and what it went on after.
struct Told {
    rounds: Vec<Vec<String>>,
    end: End,
    notes: Vec<String>,
}

/// Walks a record; `answer` gives each question's answer, or why there is none.
fn walk(flow: &Flow, record: &str, from: Option<&str>, answer: impl Fn(&str, &str) -> Result<String, String>) -> Told {
    walk_again(flow, record, from, &[], answer)
}

/// As `walk`, where these writes were taken before, with these answers.
fn walk_again(
    flow: &Flow,
    record: &str,
    from: Option<&str>,
    taken: &[(&str, &str)],
    answer: impl Fn(&str, &str) -> Result<String, String>,
) -> Told {
    let kept = taken.iter().map(|(place, text)| ((*place).to_owned(), Remembered::Taken(Json::parse(*text).ok())));
    let mut walk = Walk::new(Record::new(Json::parse(record).unwrap()), from).remembering(kept.collect());
    let way = Way { flow, export: &flow.exports[0], dry_run: false };
    let mut told = Told { rounds: Vec::new(), end: End::Left, notes: Vec::new() };
    told.end = loop {
        match walk.advance(way, &Context::new()) {
            Advance::Arrived => break End::Arrived(walk.ground.record.json().text().to_owned()),
            Advance::Left => break End::Left,
            Advance::Failed(error) => {
                let record = error.record.json().text().to_owned();
                break End::Failed { step: error.step, text: error.trouble.text, record };
            }
            Advance::Waits(needs) => {
                assert!(!needs.is_empty(), "it waits for nothing");
                told.rounds.push(needs.iter().map(|need| need.place.clone()).collect());
                let last = needs.len() - 1;
                for (at, need) in needs.into_iter().enumerate() {
                    let reply = match answer(&need.place, need.ground.record.json().text()) {
                        Ok(text) if matches!(need.ask, Ask::Import(_)) => Reply::Taken(Json::parse(text).ok()),
                        Ok(text) => {
                            let record = Record::new(Json::parse(text).unwrap());
                            Reply::Found(Arc::new(Found::new(&[record], 200, Vec::new())))
                        }
                        Err(text) => Reply::Failed(Trouble { class: "rejected", text, failure: None, key: None }),
                    };
                    assert!(!walk.reply("nobody asked this", reply.clone()) || at > last);
                    assert_eq!(walk.reply(&need.place, reply), at == last);
                }
            }
        }
    };
    told.notes = walk.take_notes().into_iter().map(|note| format!("{}: {}", note.step, note.text)).collect();
    told
}

fn nobody(_: &str, _: &str) -> Result<String, String> {
    panic!("nobody is to be asked")
}

fn arrived(record: &str) -> End {
    End::Arrived(record.to_owned())
}

#[test]
fn steps_are_taken_in_order_and_a_condition_that_is_false_skips_its_step() {
    let mut skipped = step("b", create(&[("never", "= 1")]));
    skipped.when = Some(condition("record.n > 5"));
    let flow = flow(vec![step("a", create(&[("n", "= record.n + 1")])), skipped, step("c", keep("record.n == 2"))]);
    assert_eq!(walk(&flow, r#"{"n":1}"#, None, nobody).end, arrived(r#"{"n":2}"#));
    assert_eq!(walk(&flow, r#"{"n":2}"#, None, nobody).end, End::Left);
}

#[test]
fn an_answer_is_there_for_what_follows_or_becomes_part_of_the_record() {
    let flow = flow(vec![
        step("one", lookup("one", None)),
        step("two", lookup("two", Some(&[("cid", "$.data[0].id")]))),
        step(
            "shape",
            create(&[("a", "= lookup.one.data[0].id"), ("cid", "= record.cid"), ("s", "= lookup.one.status")]),
        ),
    ]);
    let told = walk(&flow, r#"{"n":1}"#, None, |place, _| Ok(format!("{{\"id\":\"{place}\"}}")));
    assert_eq!(told.rounds, [["one"], ["two"]]);
    assert_eq!(told.end, arrived(r#"{"a":"one","cid":"two","s":200}"#));
}

#[test]
fn an_error_stops_the_record_as_it_reached_the_step_or_is_passed_by() {
    let steps = |on_error| {
        let failing = Step { on_error, ..step("ask", lookup("ask", Some(&[("x", "$.data[0].id")]))) };
        vec![step("a", create(&[("n", "= record.n + 1")])), failing, step("b", create(&[("m", "= record.n")]))]
    };
    let refused = |_: &str, _: &str| Err("422".to_owned());
    let told = walk(&flow(steps(OnError::Stop)), r#"{"n":1}"#, None, refused);
    assert_eq!(told.end, End::Failed { step: "ask".into(), text: "422".into(), record: r#"{"n":2}"#.into() });
    let told = walk(&flow(steps(OnError::Proceed)), r#"{"n":1}"#, None, refused);
    assert_eq!((told.end, told.notes), (arrived(r#"{"m":2}"#), vec!["ask: 422".to_owned()]));
}

#[test]
fn the_first_branch_that_fits_takes_the_record_and_keeps_its_changes() {
    let inner = route(
        false,
        vec![
            branch(Some("record.n == 1"), false, vec![step("r/eu/s/one/x", create(&[("n", "= 10")]))]),
            branch(None, true, Vec::new()),
        ],
    );
    let flow = flow(vec![
        step(
            "r",
            route(
                false,
                vec![
                    branch(Some("record.region == 'eu'"), false, vec![step("r/eu/s", inner)]),
                    branch(Some("record.region == 'us'"), true, Vec::new()),
                    branch(Some("record.region == 'xx'"), false, vec![step("r/xx/k", keep("false"))]),
                ],
            ),
        ),
        step("after", create(&[("n", "= record.n")])),
    ]);
    let end = |record: &str| walk(&flow, record, None, nobody).end;
    assert_eq!(end(r#"{"region":"eu","n":1}"#), arrived(r#"{"n":10}"#));
    assert_eq!(end(r#"{"region":"eu","n":2}"#), End::Left, "the inner branch ends it");
    assert_eq!(end(r#"{"region":"us","n":1}"#), End::Left);
    assert_eq!(end(r#"{"region":"xx","n":1}"#), End::Left);
    assert_eq!(end(r#"{"region":"else","n":1}"#), arrived(r#"{"n":1}"#), "no branch matches: it goes on");
}

#[test]
fn every_branch_that_fits_takes_a_copy_at_once_and_the_record_goes_on_as_it_was() {
    let asks = |name: &str| vec![step(&format!("r/{name}/ask"), lookup("ask", Some(&[("n", "= 99")])))];
    let flow = flow(vec![
        step(
            "r",
            route(
                true,
                vec![
                    branch(None, false, asks("a")),
                    branch(Some("record.n == 1"), false, asks("b")),
                    branch(Some("record.n == 2"), true, asks("c")),
                ],
            ),
        ),
        step("after", create(&[("n", "= record.n")])),
    ]);
    let told = walk(&flow, r#"{"n":1}"#, None, |_, _| Ok("{}".into()));
    assert_eq!(told.rounds, [["r/a/ask", "r/b/ask"]]);
    assert_eq!(told.end, arrived(r#"{"n":1}"#));
    assert_eq!(walk(&flow, r#"{"n":2}"#, None, |_, _| Ok("{}".into())).end, End::Left, "`end` of a branch it took");
    let told = walk(&flow, r#"{"n":1}"#, None, |place, _| Err(format!("no {place}")));
    let text = "r/a/ask: no r/a/ask (1 more branches failed)".to_owned();
    assert_eq!(told.end, End::Failed { step: "r".into(), text, record: r#"{"n":1}"#.into() });
}

#[test]
fn many_works_on_each_item_with_its_record_as_parent() {
    let many = |action| Step { many: Some(Path::compile("$.l[*]").unwrap()), ..step("m", action) };
    let record = r#"{"k":7,"l":[{"q":1},{"q":2},{"q":3}]}"#;
    let flow_of = |action| flow(vec![many(action)]);
    let created = flow_of(create(&[("q", "= record.q * parent.k")]));
    assert_eq!(walk(&created, record, None, nobody).end, arrived(r#"{"k":7,"l":[{"q":7},{"q":14},{"q":21}]}"#));
    let told = flow_of(create(&[("at", "= index"), ("q", "$.q")]));
    let numbered = r#"{"k":7,"l":[{"at":0,"q":1},{"at":1,"q":2},{"at":2,"q":3}]}"#;
    assert_eq!(walk(&told, record, None, nobody).end, arrived(numbered));
    let kept = flow_of(keep("record.q != 2"));
    assert_eq!(walk(&kept, record, None, nobody).end, arrived(r#"{"k":7,"l":[{"q":1},{"q":3}]}"#));
    let asked = flow_of(lookup("m", Some(&[("sku", "$.data[0]")])));
    let told = walk(&asked, record, None, |_, record| Ok(format!("{{\"of\":{record}}}")));
    assert_eq!(told.rounds, [["m[0]", "m[1]", "m[2]"]], "all at once");
    let End::Arrived(text) = told.end else { panic!("{:?}", told.end) };
    assert!(text.contains(r#"{"q":3,"sku":{"of":{"q":3}}}"#), "{text}");
    let told = walk(&asked, record, None, |place, _| if place == "m[1]" { Err("404".into()) } else { Ok("{}".into()) });
    let text = "item 2 of `many`: 404".to_owned();
    assert_eq!(told.end, End::Failed { step: "m".into(), text, record: record.into() });
}

#[test]
fn a_record_that_failed_goes_on_where_it_did_inside_branches_too() {
    let inside = vec![
        step("r/a/ask", lookup("ask", None)),
        step("r/a/x", create(&[("n", "= record.n + 100"), ("f", "= lookup.ask.data[0].id")])),
        step("r/a/y", create(&[("n", "= record.n"), ("f", "= lookup.first.data[0].id")])),
    ];
    let flow = flow(vec![
        step("first", lookup("first", None)),
        step("grow", create(&[("n", "= record.n + 1")])),
        step(
            "r",
            route(false, vec![branch(Some("false"), false, Vec::new()), branch(Some("record.n == 2"), false, inside)]),
        ),
        step("last", create(&[("n", "= record.n"), ("f", "= record.f")])),
    ]);
    let ask = |place: &str, _: &str| Ok(format!("{{\"id\":\"{place}\"}}"));
    let whole = walk(&flow, r#"{"n":1}"#, None, ask);
    assert_eq!(whole.end, arrived(r#"{"n":102,"f":"first"}"#));
    // What was looked up before and not merged is asked again; nothing else before the step is done again.
    let told = walk(&flow, r#"{"n":102}"#, Some("r/a/y"), ask);
    assert_eq!(told.rounds, [["first"], ["r/a/ask"]]);
    assert_eq!(told.end, arrived(r#"{"n":102,"f":"first"}"#));
    let told = walk(&flow, r#"{"n":102}"#, Some("r/a/y"), |_, _| Err("503".into()));
    assert!(matches!(told.end, End::Arrived(_) | End::Failed { .. }));
    let told = walk(&flow, r#"{"n":5,"f":1}"#, Some("last"), ask);
    assert_eq!(told.end, arrived(r#"{"n":5,"f":1}"#));
    assert_eq!(walk(&flow, r#"{"n":5}"#, Some("import"), ask).end, arrived(r#"{"n":5}"#));
    assert_eq!(walk(&flow, r#"{"n":1}"#, Some("gone"), ask).end, whole.end, "a step that is not there any more");
}

#[test]
fn a_step_that_is_gone_through_again_sees_the_record_as_it_was_when_it_asked() {
    let inside = vec![
        step("r/a/id", create(&[("id", "= random('uuid')")])),
        step("r/a/one", lookup("one", Some(&[("one", "$.data[0].id")]))),
        step("r/a/two", lookup("two", Some(&[("two", "$.data[0].id")]))),
    ];
    let flow = flow(vec![step("r", route(false, vec![branch(None, false, inside)]))]);
    let told = walk(&flow, "{}", None, |_, record| {
        let id = Json::parse(record).unwrap().as_ref().get("id").unwrap().text().to_owned();
        Ok(format!("{{\"id\":{id}}}"))
    });
    let End::Arrived(text) = told.end else { panic!("{:?}", told.end) };
    let json = Json::parse(text.clone()).unwrap();
    let get = |name| json.as_ref().get(name).unwrap().text().to_owned();
    assert!(get("id") == get("one") && get("id") == get("two"), "{text}");
}

#[test]
fn a_record_that_was_taken_goes_on_with_the_answer_and_is_not_sent_again() {
    let flow = flow(vec![
        step("push", import(Some(&[("erp", "$.id")]))),
        step("shape", create(&[("n", "= record.n"), ("erp", "= record.erp")])),
    ]);
    let told = walk(&flow, r#"{"n":1}"#, None, |_, _| Ok(r#"{"id":7}"#.into()));
    assert_eq!((told.rounds, told.end), (vec![vec!["push".to_owned()]], arrived(r#"{"n":1,"erp":7}"#)));
    let told = walk_again(&flow, r#"{"n":1}"#, None, &[("push", r#"{"id":8}"#)], nobody);
    assert_eq!(told.end, arrived(r#"{"n":1,"erp":8}"#));
    // Delivery stands, whatever becomes of `merge`.
    let told = walk(&flow, r#"{"n":1}"#, None, |_, _| Ok("{}".into()));
    let End::Failed { step, text, record } = told.end else { panic!("{:?}", told.end) };
    assert_eq!(
        (step.as_str(), text.as_str(), record.as_str()),
        ("push", "merge: erp: `$.id` is missing", r#"{"n":1}"#)
    );
}

#[test]
fn of_copies_and_items_only_those_that_were_not_taken_are_sent_again() {
    let branches = vec![
        branch(None, false, vec![step("r/a/push", import(None))]),
        branch(None, false, vec![step("r/b/push", import(None))]),
    ];
    let many = Step { many: Some(Path::compile("$.l[*]").unwrap()), ..step("m", import(None)) };
    let flow = flow(vec![step("r", route(true, branches)), many]);
    let record = r#"{"l":[{"q":1},{"q":2}]}"#;
    let told = walk_again(&flow, record, Some("r"), &[("r/a/push", "null")], |_, _| Ok("{}".into()));
    assert_eq!(told.rounds, [vec!["r/b/push"], vec!["m[0]", "m[1]"]]);
    let told = walk_again(&flow, record, Some("m"), &[("m[1]", "null")], |_, _| Ok("{}".into()));
    assert_eq!((told.rounds, told.end), (vec![vec!["m[0]".to_owned()]], arrived(record)));
}
