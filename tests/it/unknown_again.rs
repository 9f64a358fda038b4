//! Writes that nobody knows the end of, behind retries and parked pages: they are asked about or told, never just sent again.

use crate::support::api::{Api, Gates, Reply, Request};
use crate::support::command::{flowgate, run};
use crate::support::flow::{QUICK, TAKE, project};
use crate::support::project::Project;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

const READ: &str = "[export]\nconnection = \"api\"\nrelative_uri = \"/records\"\n";
const CHECK: &str = "unknown_outcome = \"check\"\n[TABLE.check]\nrelative_uri = \"/there/{{record.id}}\"\n";
const PARK: &str = "unknown_outcome = \"park\"\n";

/// As the last import, and as one on the way.
fn flows(outcome: &str, keys: &str) -> [String; 2] {
    let body = format!("connection = \"api\"\nrelative_uri = \"/taken\"\n{keys}{outcome}");
    let last = format!("{READ}[import]\n{body}").replace("TABLE", "import");
    let way = format!("{READ}[[step]]\nname = \"way\"\n[step.import]\n{body}").replace("TABLE", "step.import");
    [last, way]
}

/// In place of a status: the connection breaks.
const BROKEN: u16 = 0;

/// One record. Its writes are answered with the status of the moment, behind gates; it is there when it is asked about.
struct Shop {
    api: Api,
    status: Arc<AtomicU16>,
    gates: Gates,
    looks: Gates,
    /// The status of what is looked up.
    found: Arc<AtomicU16>,
}

impl Shop {
    fn start() -> Self {
        let (status, gates) = (Arc::new(AtomicU16::new(201)), Gates::default());
        let (looks, found) = (Gates::default(), Arc::new(AtomicU16::new(200)));
        let there = found.clone();
        let (now, held, looked) = (status.clone(), gates.clone(), looks.clone());
        let api = Api::start(move |request: &Request| match request.path() {
            "/taken" if now.load(Ordering::SeqCst) == BROKEN => Reply::hang_up(),
            "/taken" => Reply::json(now.load(Ordering::SeqCst), "{}").behind(&held.next()),
            "/look" => Reply::json(there.load(Ordering::SeqCst), "[{\"id\":7}]").behind(&looked.next()),
            _ => Reply::json(200, "[{\"id\":7}]"),
        });
        Self { api, status, gates, looks, found }
    }

    fn writes(&self) -> Vec<Request> {
        self.api.requests_to("/taken")
    }

    fn checks(&self) -> usize {
        self.api.requests_to("/there/7").len()
    }

    /// Kills a command while a request of it stands at the destination.
    fn killed(&self, project: &Project, args: &[&str], at: &str) {
        let before = self.api.requests_to(at).len();
        let mut child = flowgate(project.dir()).args(args).spawn().unwrap();
        self.api.wait_until(|seen| seen.iter().filter(|request| request.path() == at).count() > before);
        kill_process(Pid::from_child(&child), Signal::KILL).unwrap();
        child.wait().unwrap();
    }
}

fn errors(project: &Project) -> Vec<Value> {
    let listed = run(project.dir(), &["errors", "list", "--each", "--json"]).expect_code(0).stdout;
    let listed: Value = serde_json::from_str(&listed).unwrap();
    listed["errors"].as_array().unwrap().clone()
}

/// The record is refused; the retry dies while the destination takes it.
fn killed_while_it_tried_again(flow: &str) -> (Shop, Project) {
    let shop = Shop::start();
    let project = project(&shop.api, QUICK, flow);
    shop.status.store(422, Ordering::SeqCst);
    shop.gates.open(1);
    run(project.dir(), &["run", "copy"]).expect_code(1);
    shop.status.store(201, Ordering::SeqCst);
    shop.killed(&project, &["errors", "retry", "--all"], "/taken");
    shop.gates.open_all();
    (shop, project)
}

#[test]
fn what_a_killed_retry_sent_is_asked_about_by_the_next_one() {
    for flow in flows(CHECK, "") {
        let (shop, project) = killed_while_it_tried_again(&flow);
        run(project.dir(), &["errors", "retry", "--all"]).expect_code(0);
        assert_eq!((shop.writes().len(), shop.checks()), (2, 1), "{flow}");
        assert!(errors(&project).is_empty());
    }
}

#[test]
fn what_a_killed_retry_sent_is_told_and_waits_for_a_person() {
    for flow in flows(PARK, "") {
        let (shop, project) = killed_while_it_tried_again(&flow);
        run(project.dir(), &["errors", "retry", "--all"]).expect_code(1);
        assert_eq!(shop.writes().len(), 2, "{flow}");
        assert_eq!(errors(&project)[0]["class"], "unknown", "{flow}");
        // Somebody looked, and says that it is to be sent.
        run(project.dir(), &["errors", "retry", "--all"]).expect_code(0);
        assert_eq!(shop.writes().len(), 3, "{flow}");
    }
}

#[test]
fn a_record_that_could_not_be_asked_about_is_asked_about_when_it_is_tried_again() {
    for flow in flows(&CHECK.replace("/there/", "/broken/"), "") {
        let broken = Arc::new(AtomicU16::new(400));
        let (now, gates) = (broken.clone(), Gates::default());
        let held = gates.clone();
        let api = Api::start(move |request: &Request| match request.path() {
            "/records" => Reply::json(200, "[{\"id\":7}]"),
            "/taken" => Reply::json(201, "{}").behind(&held.next()),
            _ => Reply::json(now.load(Ordering::SeqCst), "[{\"id\":7}]"),
        });
        let project = project(&api, QUICK, &flow);
        let mut child = flowgate(project.dir()).args(["run", "copy"]).spawn().unwrap();
        api.wait_until(|seen| seen.iter().any(|request| request.path() == "/taken"));
        kill_process(Pid::from_child(&child), Signal::KILL).unwrap();
        child.wait().unwrap();
        gates.open_all();
        run(project.dir(), &["run", "copy"]).expect_code(1);
        assert_eq!(errors(&project)[0]["class"], "unknown", "{flow}");
        broken.store(200, Ordering::SeqCst);
        run(project.dir(), &["errors", "retry", "--all"]).expect_code(0);
        assert_eq!(api.requests_to("/taken").len(), 1, "{flow}");
    }
}

#[test]
fn a_parked_page_remembers_what_may_have_been_sent_of_it() {
    let keyed = "idempotency_key = \"{{record.id}}-{{now}}\"\n";
    for (outcome, keys) in [(CHECK, ""), (PARK, ""), ("unknown_outcome = \"retry\"\n", keyed)] {
        for flow in flows(outcome, keys) {
            let shop = Shop::start();
            let flow = flow.replacen(READ, &format!("{READ}{LOOK}"), 1);
            let project = project(&shop.api, QUICK, &flow);
            shop.looks.open(1);
            shop.killed(&project, &["run", "copy"], "/taken");
            // It dies twice more before it comes to the write.
            shop.killed(&project, &["run", "copy"], "/look");
            shop.killed(&project, &["run", "copy"], "/look");
            shop.gates.open_all();
            shop.looks.open_all();
            run(project.dir(), &["run", "copy"]).expect_code(1);
            let parked = errors(&project);
            assert_eq!(parked[0]["class"], "quarantined", "{flow}: {parked:?}");
            assert!(parked[0]["message"].as_str().unwrap().contains("may have been sent"), "{flow}: {parked:?}");
            run(project.dir(), &["errors", "retry", "--all"]);
            let (writes, open) = (shop.writes(), errors(&project));
            match outcome {
                CHECK => assert_eq!((writes.len(), shop.checks(), open.len()), (1, 1, 0), "{flow}"),
                PARK => assert_eq!((writes.len(), &open[0]["class"]), (1, &"unknown".into()), "{flow}"),
                _ => {
                    let keys: BTreeSet<_> = writes.iter().map(|request| request.header("idempotency-key")).collect();
                    assert_eq!((writes.len(), keys.len(), open.len()), (2, 1, 0), "{flow}: {keys:?}");
                }
            }
        }
    }
}

const LOOK: &str = "[[step]]\nname = \"look\"\n[step.lookup]\nconnection = \"api\"\nrelative_uri = \"/look\"\n";

#[test]
fn what_may_have_been_sent_stays_unknown_when_the_record_fails_before_it_comes_there_again() {
    for outcome in [CHECK, PARK] {
        for flow in flows(outcome, "") {
            let shop = Shop::start();
            let flow = flow.replacen(READ, &format!("{READ}{LOOK}"), 1);
            let project = project(&shop.api, QUICK, &flow);
            shop.looks.open(1);
            shop.killed(&project, &["run", "copy"], "/taken");
            shop.gates.open_all();
            shop.looks.open_all();
            shop.found.store(422, Ordering::SeqCst);
            run(project.dir(), &["run", "copy"]).expect_code(1);
            assert_eq!(errors(&project)[0]["step"], "look", "{flow}");
            shop.found.store(200, Ordering::SeqCst);
            run(project.dir(), &["errors", "retry", "--all"]);
            assert_eq!(shop.writes().len(), 1, "{flow}");
            match outcome {
                CHECK => assert!(shop.checks() == 1 && errors(&project).is_empty(), "{flow}"),
                _ => assert_eq!(errors(&project)[0]["class"], "unknown", "{flow}"),
            }
        }
    }
}

#[test]
fn a_parked_page_keeps_what_a_step_has_delivered() {
    let shop = Shop::start();
    let flow = format!(
        "{READ}[[step]]\nname = \"first\"\n[step.import]\nconnection = \"api\"\nrelative_uri = \"/first\"\n{LOOK}\
         [import]\nconnection = \"api\"\nrelative_uri = \"/taken\"\n{PARK}"
    );
    let project = project(&shop.api, QUICK, &flow);
    shop.looks.open(1);
    shop.killed(&project, &["run", "copy"], "/taken");
    shop.killed(&project, &["run", "copy"], "/look");
    shop.killed(&project, &["run", "copy"], "/look");
    shop.gates.open_all();
    shop.looks.open_all();
    run(project.dir(), &["run", "copy"]).expect_code(1);
    assert_eq!(errors(&project)[0]["class"], "quarantined");
    run(project.dir(), &["errors", "retry", "--all"]).expect_code(1);
    assert_eq!((shop.api.requests_to("/first").len(), shop.writes().len()), (1, 1));
    assert_eq!(errors(&project)[0]["class"], "unknown");
}

#[test]
fn a_part_that_may_have_arrived_is_told_before_others_that_were_refused_and_asked_about() {
    let (answers, gates) = (Arc::new(AtomicU16::new(400)), Gates::default());
    let (now, held) = (answers.clone(), gates.clone());
    let api = Api::start(move |request: &Request| match request.path() {
        "/records" => Reply::json(200, "[{\"id\":7,\"parts\":[{\"n\":1},{\"n\":2}]}]"),
        "/taken" if request.body.contains("\"n\":1") => Reply::json(422, "{}"),
        "/taken" => Reply::json(201, "{}").behind(&held.next()),
        _ => Reply::json(now.load(Ordering::SeqCst), "[{\"n\":2}]"),
    });
    let flow = format!(
        "{READ}[import]\nmany = \"$.parts[*]\"\nconnection = \"api\"\nrelative_uri = \"/taken\"\n\
         unknown_outcome = \"check\"\n[import.check]\nrelative_uri = \"/there/{{{{record.n}}}}\"\n"
    );
    let project = project(&api, QUICK, &flow);
    let writes = || api.requests_to("/taken").iter().filter(|request| request.body.contains("\"n\":2")).count();
    let mut child = flowgate(project.dir()).args(["run", "copy"]).spawn().unwrap();
    api.wait_until(|seen| seen.iter().filter(|request| request.path() == "/taken").count() == 2);
    kill_process(Pid::from_child(&child), Signal::KILL).unwrap();
    child.wait().unwrap();
    gates.open_all();
    run(project.dir(), &["run", "copy"]).expect_code(1);
    assert_eq!(errors(&project)[0]["class"], "unknown", "{:?}", errors(&project));
    answers.store(200, Ordering::SeqCst);
    run(project.dir(), &["errors", "retry", "--all"]).expect_code(0);
    assert_eq!((writes(), errors(&project).len()), (1, 0), "it was asked about");
}

#[test]
fn a_key_under_which_something_may_have_been_sent_stays_over_an_ordered_end() {
    let keyed = "idempotency_key = \"{{record.id}}-{{now}}\"\n";
    for flow in flows("unknown_outcome = \"retry\"\n", keyed) {
        let shop = Shop::start();
        let flow = flow.replacen(READ, &format!("{READ}{LOOK}"), 1);
        let late = "[retry]\nbackoff = { initial = \"1h\", max = \"1h\" }\n";
        let project = project(&shop.api, late, &flow);
        shop.gates.open_all();
        shop.looks.open_all();
        shop.found.store(422, Ordering::SeqCst);
        run(project.dir(), &["run", "copy"]).expect_code(1);
        shop.found.store(200, Ordering::SeqCst);
        // Sent, perhaps taken, and waiting to be sent again when the process is asked to end.
        shop.status.store(BROKEN, Ordering::SeqCst);
        let mut child = flowgate(project.dir()).args(["errors", "retry", "--all"]).spawn().unwrap();
        shop.api.wait_until(|seen| seen.iter().any(|request| request.path() == "/taken"));
        kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
        child.wait().unwrap();
        shop.status.store(201, Ordering::SeqCst);
        run(project.dir(), &["errors", "retry", "--all"]).expect_code(0);
        let writes = shop.writes();
        let keys: BTreeSet<_> = writes.iter().map(|request| request.header("idempotency-key")).collect();
        assert_eq!((writes.len(), keys.len()), (2, 1), "{flow}: {keys:?}");
    }
}

#[test]
fn a_record_at_the_place_of_one_that_changed_inherits_nothing_of_it() {
    let (gates, mut read) = (Gates::default(), 0);
    let held = gates.clone();
    let api = Api::start(move |request: &Request| match request.path() {
        "/records" => {
            read += 1;
            Reply::json(200, if read == 1 { "[{\"id\":1,\"n\":1}]" } else { "[{\"id\":2}]" })
        }
        "/taken" => Reply::json(201, "{}").behind(&held.next()),
        _ => Reply::json(201, "{}"),
    });
    let flow = format!(
        "durability = \"checkpoint\"\n{READ}[[step]]\nname = \"shape\"\ntransform = {{ create = {{ id = \"$.id\", n = \"$.n\" }} }}\n\
         [[step]]\nname = \"first\"\n[step.import]\nconnection = \"api\"\nrelative_uri = \"/first\"\n\
         [import]\nconnection = \"api\"\nrelative_uri = \"/taken\"\n{PARK}"
    );
    let project = project(&api, QUICK, &flow);
    let mut child = flowgate(project.dir()).args(["run", "copy"]).spawn().unwrap();
    api.wait_until(|seen| seen.iter().any(|request| request.path() == "/taken"));
    kill_process(Pid::from_child(&child), Signal::KILL).unwrap();
    child.wait().unwrap();
    gates.open_all();
    run(project.dir(), &["run", "copy"]).expect_code(1);
    assert_eq!(errors(&project)[0]["step"], "shape");
    run(project.dir(), &["errors", "edit", "1", "--set", "n=5"]).expect_code(0);
    run(project.dir(), &["errors", "retry", "--all"]).expect_code(0);
    let first: Vec<u64> =
        api.requests_to("/first").iter().map(|request| request.json()["id"].as_u64().unwrap()).collect();
    assert_eq!(first, [1, 2], "the second one is sent too");
}

#[test]
fn a_lock_behind_a_batch_keeps_the_order() {
    let page: Vec<String> = (0..20).map(|id| format!("{{\"id\":{id}}}")).collect();
    let page = format!("[{}]", page.join(","));
    let gates = Gates::default();
    let held = gates.clone();
    let api = Api::start(move |request: &Request| match request.path() {
        "/records" => Reply::json(200, page.clone()),
        // The first batch is answered last.
        "/batch" if request.body.contains("\"id\":0}") => Reply::json(200, "{}").behind(&held.next()),
        "/batch" => Reply::json(200, "{}"),
        _ => Reply::json(201, "{}"),
    });
    let flow = format!(
        "{READ}[[step]]\nname = \"first\"\n[step.import]\nconnection = \"api\"\nrelative_uri = \"/batch\"\n\
         batch_size = 5\n[[step]]\nname = \"second\"\n[step.import]\nconnection = \"api\"\nrelative_uri = \"/locked\"\n\
         lock_key = \"one\"\n{TAKE}"
    );
    let project = project(&api, &format!("concurrency_level = 8\n{QUICK}"), &flow);
    let child = flowgate(project.dir()).args(["run", "copy"]).spawn().unwrap();
    api.wait_until(|seen| seen.iter().filter(|request| request.path() == "/batch").count() == 4);
    // The others are at the lock by then; where they are not, order is no art.
    run(project.dir(), &["check"]).expect_code(0);
    gates.open_all();
    assert!(child.wait_with_output().unwrap().status.success());
    let order: Vec<u64> =
        api.requests_to("/locked").iter().map(|request| request.json()["id"].as_u64().unwrap()).collect();
    assert_eq!(order, (0..20).collect::<Vec<_>>());
}
