//! Marks of delta exports that are read for each of something, of their parents, of several exports and of reports; and
//! what records see of the time that was asked for. Judged by the requests that arrived.

use crate::support::api::{Api, Gates, Reply, Request};
use crate::support::command::{Ended, flowgate, run};
use crate::support::flow::{QUICK, TAKE, account, ids, lines, project, taken};
use crate::support::project::Project;
use crate::support::serving::Serving;
use rustix::process::Signal;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// An import whose requests may be repeated after a kill.
const AGAIN: &str = "unknown_outcome = \"retry\"\n";

fn query(request: &Request, name: &str) -> Option<String> {
    let query = request.target.split_once('?')?.1;
    url::form_urlencoded::parse(query.as_bytes()).find(|(n, _)| n == name).map(|(_, value)| value.into_owned())
}

/// The address and the query parameter of every request but those that take.
fn asked(api: &Api, name: &str) -> Vec<String> {
    let asked = api.requests().into_iter().filter(|request| request.method == "GET");
    let mut asked: Vec<String> = asked
        .map(|request| format!("{} {}", request.path(), query(&request, name).unwrap_or_default()))
        .map(|text| text.replace("T00:00:00Z", "").replace("2026-", ""))
        .collect();
    asked.sort();
    asked
}

fn once(project: &Project, args: &str) -> Ended {
    let args: Vec<&str> = ["run", "copy"].into_iter().chain(args.split_whitespace()).collect();
    run(project.dir(), &args)
}

/// All marks of the flow, without its name.
fn marks(project: &Project) -> BTreeMap<String, String> {
    let shown = run(project.dir(), &["state", "show", "mark", "--json"]).expect_code(0);
    let shown: Value = serde_json::from_str(&shown.stdout).unwrap();
    let of = |entry: &Value| {
        let value: Value = serde_json::from_str(entry["value"].as_str().unwrap()).unwrap();
        let at = value["at"].as_str().unwrap().replace("T00:00:00Z", "").replace("2026-", "");
        (entry["key"].as_str().unwrap().strip_prefix("copy ").unwrap().to_owned(), at)
    };
    shown["values"].as_array().unwrap().iter().map(of).collect()
}

fn known(of: &[(&str, &str)]) -> BTreeMap<String, String> {
    of.iter().map(|(key, at)| ((*key).to_owned(), (*at).to_owned())).collect()
}

/// Records by address, with the day of 2026 they changed.
type Stock = Arc<Mutex<Vec<(&'static str, Value, &'static str)>>>;

fn stock(all: &[(&'static str, u64, &'static str)]) -> Stock {
    Arc::new(Mutex::new(all.iter().map(|(path, id, day)| (*path, json!(id), *day)).collect()))
}

/// Gives what changed after `since`; takes the rest.
fn shop(stock: &Stock) -> Api {
    let stock = stock.clone();
    Api::start(move |request| {
        if request.method != "GET" {
            return Reply::json(201, "{}");
        }
        let since = query(request, "since").unwrap_or_default();
        let stock = stock.lock().unwrap();
        let of =
            stock.iter().filter(|(path, _, day)| *path == request.path() && format!("2026-{day}T00:00:00Z") > since);
        let data: Vec<Value> = of.map(|(_, id, day)| json!({ "id": id, "at": format!("2026-{day}") })).collect();
        Reply::json(200, json!({ "data": data }).to_string())
    })
}

fn export(name: &str, uri: &str, more: &str) -> String {
    format!(
        "[[export]]\nname = \"{name}\"\nconnection = \"api\"\nrelative_uri = \"{uri}\"\nrecords = \"$.data[*]\"\n{more}\n"
    )
}

const DELTA: &str = "[export.delta]\nfield = \"$.at\"\nformat = \"rfc3339\"\nstart = \"2026-01-01\"\n";

/// Issues of two repositories.
fn issues(scope: &str) -> String {
    let each = format!("{DELTA}{scope}[[export.each]]\nname = \"repo\"\nvalues = [\"a\", \"b\"]\n");
    export("issues", "/{{each.repo}}?since={{last_export}}", &each) + TAKE
}

#[test]
fn each_value_has_a_mark_of_its_own() {
    let stock = stock(&[("/a", 1, "01-03"), ("/b", 2, "01-05")]);
    let api = shop(&stock);
    let project = project(&api, QUICK, &issues(""));
    once(&project, "").expect_code(0);
    let (a, b) = ("issues {\"repo\":\"a\"}", "issues {\"repo\":\"b\"}");
    assert_eq!(marks(&project), known(&[(a, "01-03"), (b, "01-05")]));
    stock.lock().unwrap().push(("/a", json!(3), "01-04"));
    once(&project, "").expect_code(0);
    assert_eq!(asked(&api, "since"), ["/a 01-01", "/a 01-03", "/b 01-01", "/b 01-05"]);
    assert_eq!((marks(&project), taken(&api)), (known(&[(a, "01-04"), (b, "01-05")]), vec![1, 2, 3]));
}

#[test]
fn with_the_scope_of_a_flow_all_values_share_the_newest() {
    let api = shop(&stock(&[("/a", 1, "01-03"), ("/b", 2, "01-05")]));
    let project = project(&api, QUICK, &issues("scope = \"flow\"\n"));
    once(&project, "").expect_code(0);
    assert_eq!(marks(&project), known(&[("issues", "01-05")]));
    once(&project, "").expect_code(0);
    assert_eq!(asked(&api, "since"), ["/a 01-01", "/a 01-05", "/b 01-01", "/b 01-05"]);
}

#[test]
fn a_value_that_fails_keeps_all_marks_of_its_run() {
    let stock = stock(&[("/a", 1, "01-03")]);
    let inside = stock.clone();
    let api = Api::start(move |request| match request.path() {
        "/b" => Reply::json(400, "{}"),
        "/a" => {
            let (_, id, day) = inside.lock().unwrap()[0].clone();
            Reply::json(200, json!({ "data": [{ "id": id, "at": format!("2026-{day}") }] }).to_string())
        }
        _ => Reply::json(201, "{}"),
    });
    let project = project(&api, QUICK, &issues(""));
    once(&project, "").expect_code(69);
    assert_eq!(marks(&project), known(&[]));
}

/// Projects that changed, and the tasks of each.
fn tasks(delta: &str, more: &str) -> String {
    let each = format!(
        "[[export.each]]\nname = \"project\"\nrelative_uri = \"/projects?since={{{{last_export}}}}\"\n\
         records = \"$.data[*]\"\n{delta}{more}"
    );
    export("tasks", "/tasks/{{each.project}}", &each) + TAKE
}

#[test]
fn only_children_of_parents_that_changed_are_read() {
    let stock = stock(&[
        ("/projects", 1, "01-03"),
        ("/projects", 2, "01-05"),
        ("/tasks/1", 11, "01-01"),
        ("/tasks/2", 21, "01-01"),
    ]);
    let api = shop(&stock);
    let delta = DELTA.replace("[export.delta]", "[export.each.delta]");
    let project = project(&api, QUICK, &tasks(&delta, ""));
    once(&project, "").expect_code(0);
    assert_eq!(marks(&project), known(&[("tasks each.project", "01-05")]));
    assert_eq!(taken(&api), [11, 21]);
    stock.lock().unwrap().extend([("/projects", json!(3), "01-06"), ("/tasks/3", json!(31), "01-01")]);
    once(&project, "").expect_code(0);
    assert_eq!((marks(&project), taken(&api)), (known(&[("tasks each.project", "01-06")]), vec![11, 21, 31]));
    let expected = ["/projects 01-01", "/projects 01-05", "/tasks/1 ", "/tasks/2 ", "/tasks/3 "];
    assert_eq!(asked(&api, "since"), expected);
    // Asked for by hand, nothing moves.
    once(&project, "--since 2026-01-04").expect_code(0);
    assert_eq!(asked(&api, "since").iter().filter(|text| *text == "/projects 01-04").count(), 1);
    assert_eq!(marks(&project), known(&[("tasks each.project", "01-06")]));
}

#[test]
fn parents_are_compared_here_too_and_one_without_a_time_is_told() {
    let stock = stock(&[("/projects", 1, "01-03"), ("/projects", 2, "01-05"), ("/tasks/1", 11, "01-01")]);
    let api = shop(&stock);
    let delta = DELTA.replace("[export.delta]", "[export.each.delta]") + "filter = \"client\"\n";
    let flow = tasks(&delta, "").replace("?since={{last_export}}", "");
    let project = project(&api, QUICK, &flow);
    once(&project, "").expect_code(0);
    stock.lock().unwrap().push(("/projects", json!(3), "01-06"));
    once(&project, "").expect_code(0);
    assert_eq!(asked(&api, "none"), ["/projects ", "/projects ", "/tasks/1 ", "/tasks/2 ", "/tasks/3 "]);
    stock.lock().unwrap().push(("/projects", json!(4), "no time"));
    let ended = once(&project, "").expect_code(69);
    assert!(
        ended.stderr.contains("export tasks each project") && ended.stderr.contains("record 4"),
        "{}",
        ended.stderr
    );
    assert!(ended.stderr.contains("which is no time"), "{}", ended.stderr);
    assert_eq!(marks(&project), known(&[("tasks each.project", "01-06")]));
}

#[test]
fn two_exports_over_the_same_parents_know_for_themselves_what_changed() {
    let stock = stock(&[("/projects", 1, "01-03"), ("/tasks/1", 11, "01-01"), ("/notes/1", 12, "01-01")]);
    let api = shop(&stock);
    let delta = DELTA.replace("[export.delta]", "[export.each.delta]");
    let first = tasks(&delta, "");
    let tasks = first.strip_suffix(TAKE).unwrap();
    let notes = tasks.replace("name = \"tasks\"", "name = \"notes\"").replace("/tasks/", "/notes/");
    let project = project(&api, QUICK, &format!("{tasks}{notes}{TAKE}"));
    once(&project, "--export tasks").expect_code(0);
    assert_eq!(marks(&project), known(&[("tasks each.project", "01-03")]));
    // The other one has seen nothing yet.
    once(&project, "").expect_code(0);
    assert_eq!(marks(&project), known(&[("notes each.project", "01-03"), ("tasks each.project", "01-03")]));
    assert_eq!(taken(&api), [11, 12]);
}

#[test]
fn a_killed_run_goes_on_with_the_parents_of_its_own_time() {
    let gates = Gates::default();
    gates.open(2);
    let script = gates.clone();
    let api = Api::start(move |request| match request.path() {
        "/projects" if query(request, "since").unwrap().as_str() < "2026-01-04" => {
            Reply::json(200, "{\"data\":[{\"id\":1,\"at\":\"2026-01-05\"},{\"id\":2,\"at\":\"2026-01-04\"}]}")
        }
        "/projects" => Reply::json(200, "{\"data\":[]}"),
        path if path.starts_with("/tasks/") => {
            let id = path.rsplit('/').next().unwrap();
            Reply::json(200, format!("{{\"data\":[{{\"id\":{id}}}]}}")).behind(&script.next())
        }
        _ => Reply::json(201, "{}").behind(&script.next()),
    });
    let delta = DELTA.replace("[export.delta]", "[export.each.delta]");
    let project = project(&api, &format!("concurrency_level = 1\n{QUICK}"), &format!("{}{AGAIN}", tasks(&delta, "")));
    let mut command = flowgate(project.dir());
    command.args(["run", "copy"]);
    let killed = Serving::start(command);
    // The parents, one child, and its record or the other child on its way.
    api.wait_until(|seen| seen.iter().filter(|request| request.path() != "/projects").count() == 3);
    killed.signal(Signal::KILL);
    killed.wait_for_end();
    assert_eq!(marks(&project), known(&[]));
    gates.open_all();
    once(&project, "").expect_code(0);
    assert_eq!(marks(&project), known(&[("tasks each.project", "01-05")]));
    let mut arrived = taken(&api);
    arrived.dedup();
    assert_eq!(arrived, [1, 2]);
    once(&project, "").expect_code(0);
    assert_eq!(asked(&api, "since").last().unwrap().split(' ').next(), Some("/tasks/2"));
    assert!(asked(&api, "since").contains(&"/projects 01-05".to_owned()));
}

#[test]
fn records_see_the_time_that_was_asked_for_in_every_step() {
    let refuses = Arc::new(Mutex::new(true));
    let script = refuses.clone();
    let api = Api::start(move |request| match request.path() {
        "/orders" => Reply::json(
            200,
            format!("{{\"data\":[{{\"id\":{}}}]}}", &query(request, "from").unwrap()[5..7]).replace(":0", ":"),
        ),
        "/more" => Reply::json(200, "{\"data\":[]}"),
        _ if *script.lock().unwrap() && request.json()["from"] == "2026-02-01" => Reply::json(422, "{}"),
        _ => Reply::json(201, "{}"),
    });
    let windows = "[export.delta]\nformat = \"%Y-%m-%d\"\ngranularity = \"1d\"\nstep = \"1mo\"\n\
                   start = \"2026-01-01\"\nend = \"2026-03-10\"\n";
    let flow = export(
        "orders",
        "/orders?from={{window.start}}&to={{window.end}}",
        &format!("keep = \"this_export == '2026-03-10'\"\ntrace_key = \"{{{{window.start}}}}\"\n{windows}"),
    ) + "[[step]]\nname = \"more\"\n[step.lookup]\nconnection = \"api\"\nrecords = \"$.data[*]\"\n\
         relative_uri = \"/more?until={{window.end}}\"\n\
         [[step]]\n[step.transform.modify]\nset = { since = \"= last_export\" }\n\
         [import]\nconnection = \"api\"\nrelative_uri = \"/taken?this={{this_export}}\"\n\
         body = { id = \"$.id\", since = \"$.since\", from = \"= window.start\" }\n";
    let project = project(&api, QUICK, &flow);
    once(&project, "").expect_code(1);
    let bodies = || {
        let mut all: Vec<Value> = api.requests_to("/taken").iter().map(Request::json).collect();
        all.sort_by_key(Value::to_string);
        all
    };
    let body = |id: u64| json!({ "id": id, "since": "2026-01-01", "from": format!("2026-0{id}-01") });
    assert_eq!(bodies(), [body(1), body(2), body(3)].to_vec());
    assert!(api.requests_to("/taken").iter().all(|request| query(request, "this").unwrap() == "2026-03-10"));
    assert_eq!(asked(&api, "until")[..3], ["/more 01-31", "/more 02-28", "/more 03-10"]);
    // An error record is tried again with the time of its page.
    *refuses.lock().unwrap() = false;
    run(project.dir(), &["errors", "retry", "--all"]).expect_code(0);
    assert_eq!(bodies()[1..3], [body(2), body(2)]);
}

#[test]
fn a_page_from_before_a_kill_knows_its_time() {
    let gates = Gates::default();
    let script = gates.clone();
    let api = Api::start(move |request| match request.path() {
        "/orders" => Reply::json(200, "{\"data\":[{\"id\":1,\"at\":\"2026-01-05\"}]}"),
        _ => Reply::json(201, "{}").behind(&script.next()),
    });
    let import =
        format!("[import]\nconnection = \"api\"\nrelative_uri = \"/taken?until={{{{this_export}}}}\"\n{AGAIN}");
    let flow = export("orders", "/orders?since={{last_export}}&until={{this_export}}", DELTA) + &import;
    let project = project(&api, QUICK, &flow);
    let mut command = flowgate(project.dir());
    command.args(["run", "copy"]);
    let killed = Serving::start(command);
    api.wait_until(|seen| seen.iter().any(|request| request.path() == "/taken"));
    killed.signal(Signal::KILL);
    killed.wait_for_end();
    gates.open_all();
    once(&project, "").expect_code(0);
    let until: Vec<String> = api.requests().iter().map(|request| query(request, "until").unwrap()).collect();
    assert!(until.len() == 3 && until.iter().all(|at| *at == until[0]), "{until:?}");
}

/// Two exports, one behind a gate from its second page on.
fn two(gates: &Gates) -> Api {
    let script = gates.clone();
    Api::start(move |request| {
        let page = query(request, "p").unwrap_or_default();
        let id = match (request.path(), page.as_str()) {
            ("/a", "1") => 1,
            ("/a", "2") => 2,
            ("/b", "1") => 3,
            (_, "") => return Reply::json(201, "{}"),
            _ => return Reply::json(200, "{\"data\":[]}"),
        };
        let reply = Reply::json(200, format!("{{\"data\":[{{\"id\":{id},\"at\":\"2026-01-0{id}\"}}]}}"));
        if id == 2 { reply.behind(&script.next()) } else { reply }
    })
}

fn two_exports() -> String {
    let more = format!("{DELTA}[export.paging.page]\nparam = \"p\"\n");
    export("a", "/a?since={{last_export}}", &more) + &export("b", "/b?since={{last_export}}", &more) + TAKE + AGAIN
}

#[test]
fn marks_of_several_exports_survive_a_kill_and_move_together() {
    let gates = Gates::default();
    let api = two(&gates);
    let project = project(&api, QUICK, &two_exports());
    let mut command = flowgate(project.dir());
    command.args(["run", "copy"]);
    let killed = Serving::start(command);
    // The other one is over, and `a` waits for its second page.
    api.wait_until(|seen| {
        let asked = |path: &str, p: &str| {
            seen.iter().any(|request| request.path() == path && query(request, "p").as_deref() == Some(p))
        };
        asked("/a", "2") && asked("/b", "2") && seen.iter().filter(|request| request.path() == "/taken").count() == 2
    });
    api.wait_until(|seen| seen.iter().filter(|r| r.path() == "/taken").all(|r| r.answered.is_some()));
    killed.signal(Signal::KILL);
    killed.wait_for_end();
    assert_eq!(marks(&project), known(&[]));
    gates.open_all();
    once(&project, "").expect_code(0);
    assert_eq!(marks(&project), known(&[("a", "01-02"), ("b", "01-03")]));
    let mut arrived = taken(&api);
    arrived.dedup();
    assert_eq!(arrived, [1, 2, 3]);
    // And the same time was asked for before and after.
    assert!(asked(&api, "since").iter().all(|text| text.ends_with(" 01-01")), "{:?}", asked(&api, "since"));
}

#[test]
fn a_run_of_one_export_that_was_cut_off_goes_on_with_that_one_alone() {
    let gates = Gates::default();
    let api = two(&gates);
    let project = project(&api, QUICK, &two_exports());
    let mut command = flowgate(project.dir());
    command.args(["run", "copy", "--export", "a"]);
    let killed = Serving::start(command);
    api.wait_until(|seen| seen.iter().filter(|request| request.path() == "/a").count() == 2);
    api.wait_until(|seen| seen.iter().any(|request| request.path() == "/taken" && request.answered.is_some()));
    killed.signal(Signal::KILL);
    killed.wait_for_end();
    gates.open_all();
    // Whatever is typed now: what was begun is ended first.
    let ended = once(&project, "--json").expect_code(0);
    assert_eq!(account(&ended)["records"]["exported"], 2);
    assert!(api.requests_to("/b").is_empty());
    assert_eq!(marks(&project), known(&[("a", "01-02")]));
    once(&project, "").expect_code(0);
    assert_eq!(marks(&project), known(&[("a", "01-02"), ("b", "01-03")]));
}

#[test]
fn a_running_serve_reads_the_exports_that_are_asked_for() {
    let gates = Gates::default();
    gates.open_all();
    let api = two(&gates);
    let project = project(&api, QUICK, &two_exports());
    let mut serving = Serving::of(&project);
    serving.wait_until_listening();
    once(&project, "--export b").expect_code(0);
    assert_eq!((taken(&api), api.requests_to("/a").len()), (vec![3], 0));
    assert_eq!(marks(&project), known(&[("b", "01-03")]));
    once(&project, "--export a").expect_code(0);
    assert_eq!(marks(&project), known(&[("a", "01-02"), ("b", "01-03")]));
}

/// A report on orders of a month; `refused` says how many orders of it are refused first.
fn monthly(refused: u64) -> Api {
    let mut left = refused;
    Api::start(move |request| match (request.method.as_str(), request.path()) {
        ("POST", "/reports") if left > 0 => {
            left -= 1;
            Reply::json(400, "{\"error\":\"busy\"}")
        }
        ("POST", "/reports") => {
            let month = request.json()["from"].as_str().unwrap()[5..7].to_owned();
            Reply::json(202, format!("{{\"id\":\"{month}\"}}"))
        }
        ("GET", path) => {
            let month = path.rsplit('/').next().unwrap();
            let row = format!("{{\"id\":{},\"at\":\"2026-{month}-02\"}}", month.trim_start_matches('0'));
            Reply::json(200, format!("{{\"state\":\"ready\",\"rows\":[{row}]}}"))
        }
        _ => Reply::json(201, "{}"),
    })
}

fn report(rules: &str) -> String {
    format!(
        "[export]\nconnection = \"api\"\nrecords = \"$.rows[*]\"\n\
         [export.job]\nstatus = \"$.state\"\ndone = \"ready\"\nevery = \"5ms\"\n\
         [export.job.create]\nrelative_uri = \"/reports\"\n\
         body = {{ from = \"= window.start\", to = \"= window.end\" }}\n{rules}\
         [export.job.poll]\nrelative_uri = \"/reports/{{{{previous.body.id}}}}\"\n\
         [export.delta]\nfield = \"$.at\"\nformat = \"%Y-%m-%d\"\nstart = \"2026-01-01\"\nend = \"2026-03-31\"\n\
         step = \"1mo\"\ngranularity = \"1d\"\n"
    )
}

fn orders(api: &Api) -> Vec<String> {
    let orders = api.requests_to("/reports").into_iter().map(|request| request.json());
    orders.map(|body| format!("{} {}", body["from"].as_str().unwrap(), body["to"].as_str().unwrap())).collect()
}

#[test]
fn each_window_of_a_delta_is_a_report_of_its_own() {
    let api = monthly(0);
    let project = project(&api, QUICK, &report(""));
    assert_eq!(ids(&lines(&once(&project, "").expect_code(0))), [1, 2, 3]);
    assert_eq!(orders(&api), ["2026-01-01 2026-01-31", "2026-02-01 2026-02-28", "2026-03-01 2026-03-31"]);
    assert_eq!(marks(&project), known(&[("export", "03-02")]));
    // The next run begins at the mark, in one window.
    once(&project, "").expect_code(0);
    assert_eq!(orders(&api)[3..], ["2026-03-02 2026-03-31"]);
}

#[test]
fn a_rule_of_an_order_speaks_for_that_request() {
    let rule = "[[export.job.create.on]]\nstatus = 400\ndo = \"retry\"\n\n";
    let api = monthly(2);
    let project = project(&api, QUICK, &report(rule));
    assert_eq!(ids(&lines(&once(&project, "").expect_code(0))), [1, 2, 3]);
    assert_eq!(orders(&api).len(), 5);
    // Without it the run fails, and the mark stays where it was.
    let api = monthly(2);
    let other = crate::support::flow::project(&api, QUICK, &report(""));
    once(&other, "").expect_code(69);
    assert_eq!((orders(&api).len(), marks(&other)), (1, known(&[])));
}

#[test]
fn a_rule_of_once_speaks_for_that_request() {
    let mut refused = 2;
    let api = Api::start(move |request| match request.method.as_str() {
        "GET" => Reply::json(200, "[{\"id\":1}]"),
        "PUT" if refused > 0 => {
            refused -= 1;
            Reply::json(409, "{}")
        }
        _ => Reply::json(201, "{}"),
    });
    let flow = |rule: &str| {
        format!(
            "[export]\nconnection = \"api\"\nrelative_uri = \"/orders\"\n\
             [export.once]\nmethod = \"PUT\"\nrelative_uri = \"/told\"\n{rule}{TAKE}"
        )
    };
    let rule = "[[export.once.on]]\nstatus = 409\ndo = \"retry\"\n\n";
    let project = project(&api, QUICK, &flow(rule));
    once(&project, "").expect_code(0);
    assert_eq!((api.requests_to("/told").len(), taken(&api)), (3, vec![1]));
}
