//! Report jobs: ordered once, asked about until done, fetched file by file; over kills too.

use crate::support::api::{Api, Gates, Reply, Request};
use crate::support::command::{flowgate, run};
use crate::support::flow::{QUICK, TAKE, copy, ids, lines, project, taken};
use crate::support::serving::Serving;
use rustix::process::Signal;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// `[export.job]` with quick polls; `download` is its last table.
fn flow(download: &str, rest: &str) -> String {
    format!(
        "[export]\nconnection = \"api\"\nrecords = \"$.rows[*]\"\n\
         [export.job]\nstatus = \"$.state\"\ndone = \"ready\"\nfailed = [\"broken\", 7]\nevery = \"5ms\"\ntimeout = \"1m\"\n\
         [export.job.create]\nrelative_uri = \"/reports\"\nbody = {{ kind = \"orders\" }}\n\
         [export.job.poll]\nrelative_uri = \"/reports/{{{{previous.body.id}}}}\"\n{download}\n{rest}"
    )
}

const FILES: &str = "[export.job.download]\nuri = \"$.files[*].href\"";

fn rows(ids: &[u64]) -> String {
    json!({ "rows": ids.iter().map(|id| json!({ "id": id })).collect::<Vec<_>>() }).to_string()
}

/// A report that is ready at the third question, in two files.
fn reporter() -> Api {
    let mut asked = 0;
    Api::start(move |request| match (request.method.as_str(), request.path()) {
        ("POST", "/reports") => Reply::json(202, "{\"id\":\"r 1\"}"),
        ("GET", "/reports/r%201") => {
            asked += 1;
            let state = if asked < 3 {
                "{\"state\":\"working\"}"
            } else {
                "{\"state\":\"ready\",\"files\":[{\"href\":\"/files/a\"},{\"href\":\"/files/b\"}]}"
            };
            Reply::json(200, state)
        }
        ("GET", "/files/a") => Reply::json(200, rows(&[1, 2])),
        ("GET", "/files/b") => Reply::json(200, rows(&[3])),
        ("POST", "/taken") => Reply::json(201, "{}"),
        other => panic!("{other:?}"),
    })
}

fn count(api: &Api, method: &str, path: &str) -> usize {
    api.requests_to(path).iter().filter(|request| request.method == method).count()
}

#[test]
fn a_report_is_ordered_waited_for_and_fetched_file_by_file() {
    let api = reporter();
    let ended = copy(&api, QUICK, &flow(FILES, ""), &[]).expect_code(0);
    assert_eq!(ids(&lines(&ended)), [1, 2, 3]);
    assert_eq!((count(&api, "POST", "/reports"), count(&api, "GET", "/reports/r%201")), (1, 3));
    assert_eq!(api.requests()[0].json(), json!({ "kind": "orders" }));
    let polls = api.requests_to("/reports/r%201");
    assert!(polls.windows(2).all(|two| two[1].arrived >= two[0].answered.unwrap() + Duration::from_millis(5)));
}

#[test]
fn the_answer_that_says_done_may_hold_the_records_and_a_download_may_name_the_order() {
    let api = Api::start(|request| match (request.method.as_str(), request.path()) {
        ("POST", _) => Reply::json(202, "{\"id\":7}"),
        ("GET", "/reports/7") => Reply::json(200, "{\"state\":\"ready\",\"part\":\"x\",\"rows\":[{\"id\":1}]}"),
        ("GET", "/reports/7/x") => Reply::json(200, rows(&[2])),
        other => panic!("{other:?}"),
    });
    assert_eq!(ids(&lines(&copy(&api, QUICK, &flow("", ""), &[]).expect_code(0))), [1]);
    let download =
        "[export.job.download]\nrelative_uri = \"/reports/{{previous.created.body.id}}/{{previous.body.part}}\"";
    assert_eq!(ids(&lines(&copy(&api, QUICK, &flow(download, ""), &[]).expect_code(0))), [2]);
}

#[test]
fn a_killed_run_waits_for_the_report_it_has_ordered() {
    let (done, gates) = (Arc::new(Mutex::new(false)), Gates::default());
    let (ready, script) = (done.clone(), gates.clone());
    let api = Api::start(move |request| match (request.method.as_str(), request.path()) {
        ("POST", "/reports") => Reply::json(202, "{\"id\":9}"),
        ("GET", "/reports/9") if *ready.lock().unwrap() => {
            Reply::json(200, "{\"state\":\"ready\",\"files\":[{\"href\":\"/files/a\"},{\"href\":\"/files/b\"}]}")
        }
        ("GET", "/reports/9") => Reply::json(200, "{\"state\":\"working\"}"),
        ("GET", "/files/a") => Reply::json(200, rows(&[1])),
        ("GET", _) => Reply::json(200, rows(&[2])).behind(&script.next()),
        _ => Reply::json(201, "{}"),
    });
    let project = project(&api, QUICK, &flow(FILES, &format!("{TAKE}unknown_outcome = \"retry\"\n")));
    let begin = || {
        let mut command = flowgate(project.dir());
        command.args(["run", "copy"]);
        Serving::start(command)
    };
    let killed = begin();
    api.wait_until(|seen| seen.iter().filter(|request| request.path() == "/reports/9").count() > 5);
    killed.signal(Signal::KILL);
    killed.wait_for_end();
    *done.lock().unwrap() = true;
    // Once more between two files.
    let killed = begin();
    api.wait_until(|seen| seen.iter().any(|request| request.path() == "/files/b"));
    api.wait_until(|seen| seen.iter().any(|request| request.path() == "/taken" && request.answered.is_some()));
    killed.signal(Signal::KILL);
    killed.wait_for_end();
    gates.open_all();
    let polls = count(&api, "GET", "/reports/9");
    run(project.dir(), &["run", "copy"]).expect_code(0);
    assert_eq!(count(&api, "POST", "/reports"), 1, "ordered once");
    assert_eq!((count(&api, "GET", "/files/a"), count(&api, "GET", "/reports/9")), (1, polls), "it knew the files");
    let mut arrived = taken(&api);
    arrived.dedup();
    assert_eq!(arrived, [1, 2]);
    // The next run orders anew.
    run(project.dir(), &["run", "copy"]).expect_code(0);
    assert_eq!(count(&api, "POST", "/reports"), 2);
}

#[test]
fn a_report_that_fails_is_late_or_says_nothing_ends_the_run_with_its_reason() {
    for (answer, says) in [
        ("{\"state\":\"broken\"}", "its status is `broken`"),
        ("{\"state\":7}", "its status is `7`"),
        ("{}", "job.status: `$.state` is not in the answer"),
        ("{\"state\":\"working\"}", "is not done after"),
        ("{\"state\":\"ready\",\"files\":[{\"href\":1}]}", "job.download.uri"),
        ("{\"state\":\"ready\",\"files\":[{\"href\":\"https://elsewhere.example/x\"}]}", "elsewhere.example"),
    ] {
        let api = Api::start(move |request| match request.method.as_str() {
            "POST" => Reply::json(202, "{\"id\":7}"),
            _ => Reply::json(200, answer),
        });
        let flow = flow(FILES, "").replace("timeout = \"1m\"", "timeout = \"60ms\"");
        let ended = copy(&api, QUICK, &flow, &[]).expect_code(69);
        assert!(ended.stderr.contains(says), "{answer}: {}", ended.stderr);
    }
}

#[test]
fn waiting_for_a_report_holds_no_permit_and_a_download_may_go_without_credentials() {
    let other = Arc::new(Mutex::new(false));
    let seen = other.clone();
    let api = Api::start(move |request| match (request.method.as_str(), request.path()) {
        ("POST", "/reports") => Reply::json(202, "{\"id\":7}"),
        ("GET", "/other") => {
            *seen.lock().unwrap() = true;
            Reply::json(200, rows(&[9]))
        }
        // Done only once another flow got through at level 1.
        ("GET", "/reports/7") if *seen.lock().unwrap() => {
            Reply::json(200, "{\"state\":\"ready\",\"files\":[{\"href\":\"/files/a\"}]}")
        }
        ("GET", "/reports/7") => Reply::json(200, "{\"state\":\"working\"}"),
        _ => Reply::json(200, "id;qty\n1;2\n3;4\n").header("content-type", "text/csv"),
    });
    let keys = format!(
        "concurrency_level = 1\n{QUICK}[auth.basic]\nusername = \"u\"\npassword = {{ command = [\"echo\", \"secret\"] }}\n[csv]\ndelimiter = \";\"\n"
    );
    let download = format!("{FILES}\nauth = \"none\"\nsuccess_media_type = \"csv\"");
    let project = project(&api, &keys, &flow(&download, "").replace("records = \"$.rows[*]\"\n", ""));
    project.write(
        "flows/other.toml",
        "[export]\nconnection = \"api\"\nrelative_uri = \"/other\"\nrecords = \"$.rows[*]\"\n",
    );
    let ended = run(project.dir(), &["run", "copy", "other"]).expect_code(0);
    let mut all: Vec<Value> = lines(&ended);
    all.sort_by_key(ToString::to_string);
    assert_eq!(all, [json!({ "id": "1", "qty": "2" }), json!({ "id": "3", "qty": "4" }), json!({ "id": 9 })]);
    let with = |request: &Request| request.header("authorization").is_some();
    assert!(api.requests().iter().all(|request| with(request) != (request.path() == "/files/a")));
}

#[test]
fn a_rule_passes_over_a_file_that_is_not_there() {
    let api = Api::start(|request| match (request.method.as_str(), request.path()) {
        ("POST", _) => Reply::json(202, "{\"id\":\"r\"}"),
        ("GET", "/reports/r") => {
            Reply::json(200, "{\"state\":\"ready\",\"files\":[{\"href\":\"/files/a\"},{\"href\":\"/files/b\"}]}")
        }
        ("GET", "/files/b") => Reply::json(200, rows(&[3])),
        _ => Reply::json(404, "{}"),
    });
    let skip = format!("{FILES}\n[[export.job.download.on]]\nstatus = 404\ndo = \"skip\"\n");
    let ended = copy(&api, QUICK, &flow(&skip, ""), &[]).expect_code(0);
    assert_eq!(ids(&lines(&ended)), [3]);
}
