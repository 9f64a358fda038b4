//! Delta exports: what is asked for, what comes, and when the mark moves, judged by the requests that arrived.

use crate::support::api::{Api, Gates, Reply, Request};
use crate::support::command::{Ended, flowgate, run};
use crate::support::flow::{QUICK, TAKE, ids, lines, project, taken};
use crate::support::project::Project;
use crate::support::serving::Serving;
use rustix::process::Signal;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

/// Orders and when they changed.
type Orders = Arc<Mutex<Vec<(u64, String)>>>;

/// A query parameter of a request.
fn query(request: &Request, name: &str) -> Option<String> {
    let query = request.target.split_once('?')?.1;
    url::form_urlencoded::parse(query.as_bytes()).find(|(n, _)| n == name).map(|(_, value)| value.into_owned())
}

fn queries(api: &Api, path: &str, name: &str) -> Vec<String> {
    api.requests_to(path).iter().map(|request| query(request, name).unwrap_or_default()).collect()
}

fn orders(all: &[(u64, &str)]) -> Orders {
    Arc::new(Mutex::new(all.iter().map(|(id, at)| (*id, (*at).to_owned())).collect()))
}

fn data<'a>(orders: impl IntoIterator<Item = &'a (u64, String)>) -> Reply {
    let data: Vec<Value> = orders.into_iter().map(|(id, at)| json!({ "id": id, "at": at })).collect();
    Reply::json(200, json!({ "data": data }).to_string())
}

/// `GET /orders?since=` gives what changed after that; without it, everything. `POST /taken` takes it.
fn shop(orders: &Orders) -> Api {
    let orders = orders.clone();
    Api::start(move |request| match request.path() {
        "/orders" => {
            let since = query(request, "since").unwrap_or_default();
            data(orders.lock().unwrap().iter().filter(|(_, at)| *at > since))
        }
        _ => Reply::json(201, "{}"),
    })
}

/// An import whose requests may be repeated after a kill.
const AGAIN: &str = "unknown_outcome = \"retry\"\n";

const SINCE: &str = "/orders?since={{last_export}}&until={{this_export}}";

fn flow(uri: &str, delta: &str, rest: &str) -> String {
    format!(
        "[export]\nconnection = \"api\"\nrelative_uri = \"{uri}\"\nrecords = \"$.data[*]\"\n\
         [export.delta]\n{delta}\n{rest}"
    )
}

const FIELD: &str = "field = \"$.at\"\nstart = \"2026-01-01\"";

fn once(project: &Project, args: &str) -> Ended {
    let args: Vec<&str> = ["run", "copy"].into_iter().chain(args.split_whitespace()).collect();
    run(project.dir(), &args)
}

/// The mark as `state show` tells it.
fn mark(project: &Project) -> Option<String> {
    let shown = run(project.dir(), &["state", "show", "mark", "--json"]).expect_code(0);
    let shown: Value = serde_json::from_str(&shown.stdout).unwrap();
    let value = shown["values"].as_array().unwrap().first()?;
    assert!(value["key"].as_str().unwrap().ends_with(" export"), "{value}");
    let value: Value = serde_json::from_str(value["value"].as_str().unwrap()).unwrap();
    Some(value["at"].as_str().unwrap().to_owned())
}

#[test]
fn the_second_run_reads_only_what_is_new() {
    let stock = orders(&[(1, "2026-01-03T00:00:00Z"), (2, "2026-01-02T00:00:00Z")]);
    let api = shop(&stock);
    let project = project(&api, QUICK, &flow(SINCE, FIELD, TAKE));
    once(&project, "").expect_code(0);
    assert_eq!((taken(&api), mark(&project).unwrap().as_str()), (vec![1, 2], "2026-01-03T00:00:00Z"));
    once(&project, "").expect_code(0);
    stock.lock().unwrap().push((3, "2026-01-04T10:20:30.5Z".to_owned()));
    once(&project, "").expect_code(0);
    assert_eq!((taken(&api), mark(&project).unwrap().as_str()), (vec![1, 2, 3], "2026-01-04T10:20:30.500Z"));
    once(&project, "").expect_code(0);
    assert_eq!(
        queries(&api, "/orders", "since"),
        ["2026-01-01T00:00:00Z", "2026-01-03T00:00:00Z", "2026-01-03T00:00:00Z", "2026-01-04T10:20:30.500Z"]
    );
    let until = queries(&api, "/orders", "until");
    assert!(until.iter().all(|until| until.starts_with("20") && until.ends_with('Z')), "{until:?}");
    assert!(until.is_sorted(), "{until:?}");
}

#[test]
fn a_flow_that_writes_to_standard_output_has_a_mark_too() {
    let api = shop(&orders(&[(1, "2026-01-03T00:00:00Z")]));
    let project = project(&api, QUICK, &flow(SINCE, FIELD, ""));
    assert_eq!(ids(&lines(&once(&project, "").expect_code(0))), [1]);
    assert!(lines(&once(&project, "").expect_code(0)).is_empty());
    // While another process owns the state, it is told.
    run(project.dir(), &["state", "set", "mark", "copy export", "\"2026-01-01\""]).expect_code(0);
    let mut serving = Serving::of(&project);
    serving.wait_until_listening();
    assert_eq!(ids(&lines(&once(&project, "").expect_code(0))), [1]);
    assert!(lines(&once(&project, "").expect_code(0)).is_empty());
    assert_eq!(mark(&project).unwrap(), "2026-01-03T00:00:00Z");
}

#[test]
fn only_a_run_that_ends_by_itself_moves_the_mark() {
    let api = shop(&orders(&[(1, "2026-01-03T00:00:00Z"), (2, "2026-01-04T00:00:00Z")]));
    let project = project(&api, QUICK, &flow(SINCE, FIELD, TAKE));
    for args in ["--limit 1", "--limit 100", "--dry-run", "--since 2026-01-01", "--until 2027-01-01", "--since -1000d"]
    {
        once(&project, args).expect_code(0);
        assert_eq!(mark_or_none(&project), None, "{args}");
    }
    once(&project, "").expect_code(0);
    assert_eq!(mark(&project).unwrap(), "2026-01-04T00:00:00Z");
    // What was asked for by hand stands in the request, whatever the mark says.
    once(&project, "--since 2025-05-01 --until 2025-06-01T12:00:00+02:00").expect_code(0);
    let last = api.requests_to("/orders").pop().unwrap();
    let asked = [query(&last, "since").unwrap(), query(&last, "until").unwrap()];
    assert_eq!(asked, ["2025-05-01T00:00:00Z", "2025-06-01T10:00:00Z"]);
    assert_eq!(mark(&project).unwrap(), "2026-01-04T00:00:00Z");
    // A dry run asks as the next run would.
    let shown = once(&project, "--dry-run").expect_code(0);
    assert_eq!(queries(&api, "/orders", "since").pop().unwrap(), "2026-01-04T00:00:00Z", "{}", shown.stdout);
}

/// As [`mark`]; a state directory that is not there yet holds none.
fn mark_or_none(project: &Project) -> Option<String> {
    if project.path("state").exists() { mark(project) } else { None }
}

#[test]
fn a_limit_that_cuts_and_an_export_that_fails_leave_the_mark_where_it_was() {
    let limited = shop(&orders(&[(1, "2026-01-03T00:00:00Z"), (2, "2026-01-04T00:00:00Z")]));
    let cut =
        project(&limited, QUICK, &flow(SINCE, FIELD, TAKE).replace("[export.delta]", "limit = 1\n[export.delta]"));
    once(&cut, "").expect_code(0);
    assert_eq!(mark(&cut), None);
    let api = Api::start(|request| match (request.path(), query(request, "page").as_deref()) {
        ("/orders", Some("1")) => data(&[(1, "2026-01-03T00:00:00Z".to_owned())]),
        ("/orders", _) => Reply::json(400, "{}"),
        _ => Reply::json(201, "{}"),
    });
    let paging = "[export.paging.page]\nparam = \"page\"\n";
    let project = project(&api, QUICK, &flow(SINCE, FIELD, &format!("{paging}{TAKE}")));
    once(&project, "").expect_code(69);
    assert_eq!((taken(&api), mark(&project)), (vec![1], None));
}

#[test]
fn a_record_that_is_refused_keeps_its_error_and_the_mark_passes_it() {
    let stock = orders(&[(1, "2026-01-03T00:00:00Z")]);
    let (shown, good) = (stock.clone(), Arc::new(Mutex::new(false)));
    let takes = good.clone();
    let api = Api::start(move |request| match request.path() {
        "/orders" => {
            let since = query(request, "since").unwrap();
            data(shown.lock().unwrap().iter().filter(|(_, at)| *at > since))
        }
        _ if *takes.lock().unwrap() => Reply::json(201, "{}"),
        _ => Reply::json(422, "{}"),
    });
    let project = project(&api, QUICK, &flow(SINCE, FIELD, TAKE));
    once(&project, "").expect_code(1);
    assert_eq!(mark(&project).unwrap(), "2026-01-03T00:00:00Z");
    *good.lock().unwrap() = true;
    run(project.dir(), &["errors", "retry", "--all"]);
    once(&project, "").expect_code(0);
    assert_eq!(api.requests_to("/orders").len(), 2, "a retry asks for nothing");
}

#[test]
fn a_killed_run_goes_on_with_the_same_time_and_what_it_had_seen() {
    let gates = Gates::default();
    gates.open(1);
    let script = gates.clone();
    let api = Api::start(move |request| match (request.path(), query(request, "page").as_deref()) {
        // The newest change is on the first page.
        ("/orders", Some("1")) => data(&[(1, "2026-01-09T00:00:00Z".to_owned())]).behind(&script.next()),
        ("/orders", Some("2")) => data(&[(2, "2026-01-05T00:00:00Z".to_owned())]).behind(&script.next()),
        ("/orders", _) => data(&[]),
        _ => Reply::json(201, "{}"),
    });
    let project =
        project(&api, QUICK, &flow(SINCE, FIELD, &format!("[export.paging.page]\nparam = \"page\"\n{TAKE}{AGAIN}")));
    let mut command = flowgate(project.dir());
    command.args(["run", "copy"]);
    let killed = Serving::start(command);
    api.wait_until(|seen| seen.iter().filter(|request| request.path() == "/orders").count() == 2);
    api.wait_until(|seen| seen.iter().any(|request| request.path() == "/taken" && request.answered.is_some()));
    killed.signal(Signal::KILL);
    killed.wait_for_end();
    assert_eq!(mark(&project), None);
    gates.open_all();
    once(&project, "").expect_code(0);
    let pages = queries(&api, "/orders", "page");
    assert_eq!(pages, ["1", "2", "2", "3"]);
    let until = queries(&api, "/orders", "until");
    assert!(until.iter().all(|at| *at == until[0]), "{until:?}");
    assert_eq!(mark(&project).unwrap(), "2026-01-09T00:00:00Z", "seen before the kill");
    let mut arrived = taken(&api);
    arrived.dedup();
    assert_eq!(arrived, [1, 2]);
}

#[test]
fn a_feed_that_shows_the_newest_first_is_read_to_the_first_old_record() {
    let stock: Vec<(u64, String)> = (1..=20).map(|id| (id, format!("2026-01-{id:02}T00:00:00Z"))).collect();
    let stock = Arc::new(Mutex::new(stock));
    let shown = stock.clone();
    let api = Api::start(move |request| match request.path() {
        "/feed" => {
            let page: usize = query(request, "page").unwrap().parse().unwrap();
            let mut newest = shown.lock().unwrap().clone();
            newest.reverse();
            data(newest.iter().skip((page - 1) * 4).take(4))
        }
        _ => Reply::json(201, "{}"),
    });
    let delta = "field = \"$.at\"\nstop_at_old = true";
    let paging = "[export.paging.page]\nparam = \"page\"\n";
    let project = project(&api, QUICK, &flow("/feed", delta, &format!("{paging}{TAKE}")));
    once(&project, "").expect_code(0);
    assert_eq!((taken(&api).len(), api.requests_to("/feed").len()), (20, 6), "five pages and the empty one");
    let more = (21..=25).map(|id| (id, format!("2026-01-{id:02}T00:00:00Z")));
    stock.lock().unwrap().extend(more);
    once(&project, "").expect_code(0);
    assert_eq!((taken(&api), api.requests_to("/feed").len()), ((1..=25).collect(), 8));
    once(&project, "").expect_code(0);
    assert_eq!((taken(&api).len(), api.requests_to("/feed").len()), (25, 9), "nothing new costs one page");
}

#[test]
fn an_api_that_cannot_filter_is_filtered_here() {
    let stock = orders(&[(1, "2026-01-03T00:00:00Z"), (2, "2026-01-04T00:00:00Z")]);
    let api = shop(&stock);
    let project = project(&api, QUICK, &flow("/orders", "field = \"$.at\"\nfilter = \"client\"", TAKE));
    once(&project, "").expect_code(0);
    // One more at the very instant of the mark.
    stock.lock().unwrap().extend([(3, "2026-01-04T00:00:00Z".to_owned()), (4, "2026-01-05T00:00:00Z".to_owned())]);
    let ended = once(&project, "--json").expect_code(0);
    let told: Value = serde_json::from_str(ended.stdout.lines().last().unwrap()).unwrap();
    let records = &told["runs"][0]["records"];
    assert_eq!((&records["exported"], &records["filtered"], &records["delivered"]), (&json!(4), &json!(2), &json!(2)));
    assert_eq!(taken(&api), [1, 2, 3, 4]);
}

#[test]
fn months_are_read_one_after_the_other_each_paged_from_its_start() {
    let api = Api::start(|request| match (request.path(), query(request, "page").as_deref()) {
        ("/orders", Some("1")) => data(&[(1, format!("{}T00:00:00Z", query(request, "from").unwrap()))]),
        // The month without a second page ends another way.
        ("/orders", _) if query(request, "from").as_deref() == Some("2024-02-01") => Reply::json(404, "{}"),
        ("/orders", _) => data(&[]),
        _ => Reply::json(201, "{}"),
    });
    let uri = "/orders?from={{window.start}}&to={{window.end}}&all={{last_export}}..{{this_export}}";
    let delta = "field = \"$.at\"\nformat = \"%Y-%m-%d\"\nread = \"rfc3339\"\nstart = \"2024-01-01\"\nend = 2024-03-10\n\
                 step = \"1mo\"\ngranularity = \"1d\"";
    let paging = "[export.paging]\nstop_status = 404\n[export.paging.page]\nparam = \"page\"\n";
    let project = project(&api, QUICK, &flow(uri, delta, &format!("{paging}{TAKE}")));
    once(&project, "").expect_code(0);
    let shown: Vec<String> = api
        .requests_to("/orders")
        .iter()
        .map(|request| ["from", "to", "page"].map(|name| query(request, name).unwrap()).join(" "))
        .collect();
    assert_eq!(
        shown,
        [
            "2024-01-01 2024-01-31 1",
            "2024-01-01 2024-01-31 2",
            "2024-02-01 2024-02-29 1",
            "2024-02-01 2024-02-29 2",
            "2024-03-01 2024-03-10 1",
            "2024-03-01 2024-03-10 2",
        ]
    );
    assert!(queries(&api, "/orders", "all").iter().all(|all| all == "2024-01-01..2024-03-10"));
    assert_eq!((taken(&api).len(), mark(&project).unwrap().as_str()), (3, "2024-03-01T00:00:00Z"));
}

#[test]
fn a_run_killed_between_two_windows_goes_on_in_the_second() {
    let gates = Gates::default();
    gates.open(1);
    let script = gates.clone();
    let api = Api::start(move |request| match request.path() {
        "/orders" => data(&[(1, query(request, "from").unwrap())]).behind(&script.next()),
        _ => Reply::json(201, "{}"),
    });
    let delta = "field = \"$.at\"\nformat = \"%Y-%m-%d\"\nstart = \"2024-01-01\"\nend = \"2024-03-31\"\nstep = \"1mo\"\n\
                 granularity = \"1d\"";
    let project = project(
        &api,
        QUICK,
        &flow("/orders?from={{window.start}}&to={{window.end}}", delta, &format!("{TAKE}{AGAIN}")),
    );
    let mut command = flowgate(project.dir());
    command.args(["run", "copy"]);
    let killed = Serving::start(command);
    api.wait_until(|seen| seen.iter().filter(|request| request.path() == "/orders").count() == 2);
    api.wait_until(|seen| seen.iter().any(|request| request.path() == "/taken" && request.answered.is_some()));
    killed.signal(Signal::KILL);
    killed.wait_for_end();
    gates.open_all();
    once(&project, "").expect_code(0);
    assert_eq!(queries(&api, "/orders", "from"), ["2024-01-01", "2024-02-01", "2024-02-01", "2024-03-01"]);
    assert_eq!(mark(&project).unwrap(), "2024-03-01T00:00:00Z");
}

#[test]
fn a_record_without_a_readable_time_is_an_error_of_its_own() {
    let api = Api::start(|request| match request.path() {
        "/orders" => Reply::json(
            200,
            "{\"data\":[{\"id\":1,\"at\":\"2026-01-03\"},{\"id\":2},{\"id\":3,\"at\":\"soon\"},{\"id\":4,\"at\":\"2026-01-02\"}]}",
        ),
        _ => Reply::json(201, "{}"),
    });
    let project = project(&api, QUICK, &flow(SINCE, FIELD, TAKE));
    let ended = once(&project, "").expect_code(1);
    assert!(
        ended.stderr.contains("page 1 record 2: delta: record: delta.field") && ended.stderr.contains("soon"),
        "{}",
        ended.stderr
    );
    assert_eq!((taken(&api), mark(&project).unwrap().as_str()), (vec![1, 4], "2026-01-03T00:00:00Z"));
    // A retry sends it: what it lacks says only when it changed.
    run(project.dir(), &["errors", "retry", "--all"]).expect_code(0);
    assert_eq!(taken(&api), [1, 2, 3, 4]);
}

#[test]
fn a_mark_follows_a_renamed_flow_and_can_be_set_by_hand() {
    let api = shop(&orders(&[(1, "2026-01-03T00:00:00Z")]));
    let project = project(&api, QUICK, &flow(SINCE, FIELD, TAKE));
    once(&project, "").expect_code(0);
    let text = std::fs::read_to_string(project.path("flows/copy.toml")).unwrap();
    std::fs::remove_file(project.path("flows/copy.toml")).unwrap();
    project.write("flows/kopie.toml", &format!("formerly = [\"copy\"]\n{text}"));
    run(project.dir(), &["run", "kopie"]).expect_code(0);
    run(project.dir(), &["state", "set", "mark", "kopie export", "{\"at\":\"2025-12-24T18:00:00Z\"}"]).expect_code(0);
    run(project.dir(), &["run", "kopie"]).expect_code(0);
    run(project.dir(), &["state", "set", "mark", "kopie export", "{\"at\":\"soon\"}"]).expect_code(0);
    let ended = run(project.dir(), &["run", "kopie"]).expect_code(69);
    assert!(ended.stderr.contains("state set mark 'kopie export'"), "{}", ended.stderr);
    let since = queries(&api, "/orders", "since");
    assert_eq!(since, ["2026-01-01T00:00:00Z", "2026-01-03T00:00:00Z", "2025-12-24T18:00:00Z"]);
}

#[test]
fn numbers_are_sent_as_numbers_and_lookback_reads_again() {
    let api = Api::start(|request| match request.path() {
        "/orders" => Reply::json(200, "{\"data\":[{\"id\":1,\"at\":1767225600}]}"),
        _ => Reply::json(201, "{}"),
    });
    let delta = "field = \"at\"\nformat = \"epoch_s\"\nlookback = \"1h\"\nstart = \"= 1000 + 500\"";
    let body = "method = \"POST\"\nbody = { since = \"= last_export\", until = \"= this_export > last_export\" }\n[export.delta]";
    let project = project(&api, QUICK, &flow("/orders", delta, TAKE).replace("[export.delta]", body));
    once(&project, "").expect_code(0);
    once(&project, "").expect_code(0);
    let bodies: Vec<Value> = api.requests_to("/orders").iter().map(Request::json).collect();
    assert_eq!(
        bodies,
        [json!({ "since": 1500, "until": true }), json!({ "since": 1_767_225_600 - 3600, "until": true })]
    );
}

#[test]
fn a_time_asked_for_by_hand_needs_a_delta() {
    let api = shop(&orders(&[]));
    let plain = flow("/orders", "", TAKE).replace("[export.delta]\n", "");
    let project = project(&api, QUICK, &plain);
    let ended = once(&project, "--since 2026-01-01").expect_code(64);
    assert!(ended.stderr.contains("`copy` has no `[export.delta]`"), "{}", ended.stderr);
    let ended = once(&project, "--since yesterday").expect_code(64);
    assert!(ended.stderr.contains("--since: `yesterday`"), "{}", ended.stderr);
    assert!(api.requests().is_empty());
}

/// Runs `flowgate backfill copy` with these arguments.
fn fill(project: &Project, args: &str) -> Ended {
    let args: Vec<&str> = ["backfill", "copy"].into_iter().chain(args.split_whitespace()).collect();
    run(project.dir(), &args)
}

const WINDOWS: &str = "/orders?from={{window.start}}&to={{window.end}}";
const DAYS: &str = "field = \"$.at\"\nformat = \"%Y-%m-%d\"\ngranularity = \"1d\"\nstep = \"1y\"";

fn values(project: &Project, kind: &str) -> Vec<Value> {
    let shown = run(project.dir(), &["state", "show", kind, "--json"]).expect_code(0);
    serde_json::from_str::<Value>(&shown.stdout).unwrap()["values"].as_array().unwrap().clone()
}

#[test]
fn a_backfill_reads_window_after_window_and_moves_no_mark() {
    let api = Api::start(|request| match request.path() {
        "/orders" => data(&[(1, query(request, "from").unwrap())]),
        _ => Reply::json(201, "{}"),
    });
    let project = project(&api, QUICK, &flow(WINDOWS, DAYS, TAKE));
    let ended = fill(&project, "--since 2024-01-31 --until 2024-04-10 --step 1mo").expect_code(0);
    let asked: Vec<String> = api
        .requests_to("/orders")
        .iter()
        .map(|request| ["from", "to"].map(|name| query(request, name).unwrap()).join(" "))
        .collect();
    assert_eq!(asked, ["2024-01-31 2024-02-28", "2024-02-29 2024-03-30", "2024-03-31 2024-04-10"]);
    assert!(ended.stderr.contains("window 2 of 3: 2024-02-29 00:00:00 to 2024-03-30 00:00:00"), "{}", ended.stderr);
    let row = ended.stderr.lines().last().unwrap().split_whitespace().take(4).collect::<Vec<_>>();
    assert_eq!(row, ["copy", "succeeded", "3", "3"], "{}", ended.stderr);
    assert_eq!((mark(&project), values(&project, "backfill").len()), (None, 0));
    // The delta's own step, where none is typed.
    fill(&project, "--since 2020-01-01 --until 2021-06-30").expect_code(0);
    assert_eq!(queries(&api, "/orders", "to")[3..], ["2020-12-31", "2021-06-30"]);
}

#[test]
fn a_backfill_that_was_killed_or_failed_goes_on_with_its_window() {
    let (gates, broken) = (Gates::default(), Arc::new(Mutex::new(false)));
    gates.open(1);
    let (script, fails) = (gates.clone(), broken.clone());
    let api = Api::start(move |request| match request.path() {
        "/orders" if *fails.lock().unwrap() => Reply::json(400, "{}"),
        "/orders" => data(&[(1, query(request, "from").unwrap())]).behind(&script.next()),
        _ => Reply::json(201, "{}"),
    });
    let project = project(&api, QUICK, &flow(WINDOWS, DAYS, &format!("{TAKE}{AGAIN}")));
    let typed = "--since 2024-01-01 --until 2024-04-30 --step 1mo";
    let mut command = flowgate(project.dir());
    command.args(["backfill", "copy"]).args(typed.split(' '));
    let killed = Serving::start(command);
    api.wait_until(|seen| seen.iter().filter(|request| request.path() == "/orders").count() == 2);
    killed.signal(Signal::KILL);
    killed.wait_for_end();
    *broken.lock().unwrap() = true;
    let ended = fill(&project, typed).expect_code(69);
    assert!(ended.stderr.contains("1 of 4 windows are done; going on"), "{}", ended.stderr);
    let other = fill(&project, "--since 2023-01-01").expect_code(75);
    assert!(other.stderr.contains("stopped after 1 windows") && other.stderr.contains("--fresh"), "{}", other.stderr);
    *broken.lock().unwrap() = false;
    gates.open_all();
    fill(&project, typed).expect_code(0);
    let from = queries(&api, "/orders", "from");
    assert_eq!(from, ["2024-01-01", "2024-02-01", "2024-02-01", "2024-02-01", "2024-03-01", "2024-04-01"]);
    assert!(values(&project, "backfill").is_empty());
    fill(&project, "--since 2023-12-01 --until 2023-12-31 --fresh").expect_code(0);
}

#[test]
fn a_running_serve_fills_the_windows() {
    let api = Api::start(|request| match request.path() {
        "/orders" => data(&[(1, query(request, "from").unwrap())]),
        _ => Reply::json(201, "{}"),
    });
    let project = project(&api, QUICK, &flow(WINDOWS, DAYS, TAKE));
    let mut serving = Serving::of(&project);
    serving.wait_until_listening();
    fill(&project, "--since 2024-01-01 --until 2024-03-31 --step 1mo").expect_code(0);
    assert_eq!(queries(&api, "/orders", "to"), ["2024-01-31", "2024-02-29", "2024-03-31"]);
    assert_eq!((mark(&project), values(&project, "backfill").len()), (None, 0));
    assert_eq!(serving.sample("flowgate_flow_runs_total{flow=\"copy\",outcome=\"succeeded\",trigger=\"manual\"}"), 3.0);
}

#[test]
fn a_backfill_that_means_nothing_says_why() {
    let api = shop(&orders(&[]));
    let plain = flow("/orders", "", TAKE).replace("[export.delta]\n", "");
    let project = project(&api, QUICK, &plain);
    assert!(fill(&project, "--since 2024-01-01").expect_code(64).stderr.contains("no `[export.delta]`"));
    project.write("flows/copy.toml", &flow(WINDOWS, DAYS, TAKE));
    for (args, says) in [
        ("--since soon", "--since: `soon`"),
        ("--since 2024-01-01 --until 2023-01-01", "later than"),
        ("--since 2024-01-01 --step 1q", "--step: `q`"),
        ("--since 2024-01-01 --step 1h", "granularity"),
    ] {
        let ended = fill(&project, args).expect_code(64);
        assert!(ended.stderr.contains(says), "{args}: {}", ended.stderr);
    }
    assert!(fill(&project, "").expect_code(64).stderr.contains("--since"));
    assert!(api.requests().is_empty());
}
