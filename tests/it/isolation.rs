//! A flow in trouble is its own trouble: others on other connections deliver everything meanwhile.

use crate::support::PATIENCE;
use crate::support::api::{Api, Gate, Reply};
use crate::support::command::{finish, flowgate, run};
use crate::support::flow::QUICK;
use crate::support::project::Project;
use flowgate::playground::{Playground, Settings};

const SICK: &str = "[export]\nconnection = \"sick\"\nrelative_uri = \"/records\"\n\
                    [import]\nconnection = \"sick\"\nrelative_uri = \"/taken\"\n";

fn healthy_beside(sick: &Api, keys: &str) -> (Playground, Project) {
    let playground = Playground::start(Settings { records: 500, limit: Some(4), ..Settings::default() }).unwrap();
    let project = Project::new();
    project
        .connection("shop", &playground.base_uri(), "")
        .connection("erp", &playground.base_uri(), "concurrency_level = 4")
        .connection("sick", &sick.base(), keys)
        .orders_flow("healthy", "erp", "/orders", "")
        .write("flows/sick.toml", SICK);
    (playground, project)
}

#[test]
fn a_failing_api_costs_the_other_flow_nothing() {
    let answers: [fn() -> Reply; 6] = [
        || Reply::json(500, "{}"),
        || Reply::hang_up(),
        || Reply::json(200, "<html>"),
        || Reply::json(401, "{}"),
        || Reply::json(200, "[1,2,3]").cut_after(3),
        || Reply::json(200, "[").stall_after(0),
    ];
    for (at, answer) in answers.into_iter().enumerate() {
        let sick = Api::start(move |_| answer());
        let (playground, project) = healthy_beside(&sick, &format!("timeout = \"300ms\"\n{QUICK}"));
        let code = if at == 3 { 77 } else { 69 };
        let ended = run(project.dir(), &["run", "sick", "healthy"]).expect_code(code);
        assert!(ended.stderr.contains("sick"), "{}", ended.stderr);
        let seen = playground.stop();
        assert!(seen.verdict().holds(), "{at}: {seen}");
        assert_eq!(seen.destination("orders").records.once, 500, "{at}");
    }
}

#[test]
fn a_hung_api_does_not_keep_the_other_flow_waiting() {
    let gate = Gate::default();
    let behind = gate.clone();
    let sick = Api::start(move |_| Reply::json(200, "[]").behind(&behind));
    let (playground, project) = healthy_beside(&sick, "concurrency_level = 1");
    let mut command = flowgate(project.dir());
    command.args(["run", "sick", "healthy"]);
    let running = std::thread::spawn(move || finish(command, PATIENCE));
    // Everything is delivered while the other one still hangs.
    sick.wait_until(|seen| seen.len() == 1);
    let delivered = |ledger: &flowgate::playground::Report| ledger.destination("orders").records.once == 500;
    playground.wait_until(PATIENCE, delivered).unwrap();
    assert!(sick.requests()[0].answered.is_none());
    gate.open();
    running.join().unwrap().expect_code(0);
    assert!(playground.stop().verdict().holds());
}

#[test]
fn a_flow_that_pauses_for_a_limit_holds_up_its_own_pool_alone() {
    let gate = Gate::default();
    let held = gate.clone();
    // Limited until the other flow is through; each answer asks for the longest pause allowed.
    let sick = Api::start(move |request| match request.number {
        1..=3 => Reply::json(429, "{}").header("retry-after", "3600"),
        _ => Reply::json(200, "[]").behind(&held),
    });
    let (playground, project) = healthy_beside(&sick, "[rate_limit]\nmax_pause = \"30ms\"");
    let mut command = flowgate(project.dir());
    command.args(["run", "sick", "healthy"]);
    let running = std::thread::spawn(move || finish(command, PATIENCE));
    let delivered = |ledger: &flowgate::playground::Report| ledger.destination("orders").records.once == 500;
    playground.wait_until(PATIENCE, delivered).unwrap();
    gate.open();
    running.join().unwrap().expect_code(0);
    assert!(playground.stop().verdict().holds());
}

#[test]
fn a_flow_whose_every_record_fails_leaves_the_other_whole() {
    let sick = Api::start(|request| match request.method.as_str() {
        "GET" => {
            let records: Vec<String> = (0..300).map(|n| format!("{{\"id\":{n}}}")).collect();
            Reply::json(200, format!("[{}]", records.join(",")))
        }
        _ => Reply::json(422, "{}"),
    });
    let (playground, project) = healthy_beside(&sick, "");
    let ended = run(project.dir(), &["run", "sick", "healthy"]).expect_code(1);
    assert!(ended.stderr.contains("and 290 more failed records"), "{}", ended.stderr);
    assert!(playground.stop().verdict().holds());
}
