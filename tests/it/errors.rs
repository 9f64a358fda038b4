//! Error records from the failure to the delivery, with the real binary, judged by what arrived at the server: once
//! with a `serve` that owns the state, once with nobody there.

use crate::support::api::{Api, Gates, Reply, Request, in_flight};
use crate::support::command::{Ended, flowgate, run};
use crate::support::flow::QUICK;
use crate::support::project::Project;
use crate::support::serving::{Serving, status, status_until};
use crate::support::{PATIENCE, now};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// So many records, of which those with an even id are refused until the server is repaired.
struct Shop {
    api: Api,
    repaired: Arc<AtomicBool>,
    project: Project,
}

impl Shop {
    fn new(records: u64, head: &str, import: &str) -> Self {
        Self::judging(records, head, import, |body| body["id"].as_u64().unwrap() % 2 == 1)
    }

    fn judging(records: u64, head: &str, import: &str, good: impl Fn(&Value) -> bool + Send + 'static) -> Self {
        let repaired = Arc::new(AtomicBool::new(false));
        let is_repaired = repaired.clone();
        let list: Vec<String> = (1..=records).map(|id| format!("{{\"id\":{id},\"qty\":0}}")).collect();
        let page = format!("{{\"data\":[{}]}}", list.join(","));
        let api = Api::start(move |request| match request.method.as_str() {
            "GET" => Reply::json(200, page.clone()),
            _ if is_repaired.load(Ordering::SeqCst) || good(&request.json()) => Reply::json(201, "{}"),
            _ => Reply::json(422, "{\"error\":\"no such sku\\u001b[2J\"}"),
        });
        let project = Project::new();
        // One after the other, so that error records are numbered in the order of their records.
        let keys = format!("concurrency_level = 1\n{QUICK}");
        project.settings("").connection("api", &api.base(), &keys).copy_flow("copy", head, import);
        Self { api, repaired, project }
    }

    fn repair(&self) {
        self.repaired.store(true, Ordering::SeqCst);
    }

    fn ask(&self, line: &str) -> Ended {
        let args: Vec<&str> = line.split(' ').collect();
        run(self.project.dir(), &args)
    }

    #[track_caller]
    fn json(&self, line: &str) -> Value {
        let ended = self.ask(&format!("{line} --json")).expect_code(0);
        serde_json::from_str(&ended.stdout).unwrap_or_else(|error| panic!("{error}: {}", ended.stdout))
    }

    /// Numbers of the open error records, ascending.
    #[track_caller]
    fn open(&self) -> Vec<u64> {
        let mut ids: Vec<u64> = self.listed("errors list").iter().map(|row| row["id"].as_u64().unwrap()).collect();
        ids.sort_unstable();
        ids
    }

    #[track_caller]
    fn listed(&self, line: &str) -> Vec<Value> {
        let document = self.json(line);
        assert_eq!(document["format"], 1);
        document["errors"].as_array().unwrap().clone()
    }

    /// How often each record was sent, by id.
    fn sent(&self) -> Vec<usize> {
        let ids: Vec<u64> = self.api.requests_to("/taken").iter().map(|r| r.json()["id"].as_u64().unwrap()).collect();
        (1..=ids.iter().copied().max().unwrap_or(0)).map(|id| ids.iter().filter(|sent| **sent == id).count()).collect()
    }
}

/// Runs a test with a `serve` that owns the state, and with nobody there.
fn with_and_without_serve(test: impl Fn(&str)) {
    test("owner");
    test("here");
}

fn owner(shop: &Shop, place: &str) -> Option<Serving> {
    (place == "owner").then(|| Serving::of(&shop.project))
}

/// The figures of the flow over all its runs, as a `serve` tells them; they add up.
#[track_caller]
fn totals(shop: &Shop, serving: Option<Serving>) -> [u64; 4] {
    let serving = serving.unwrap_or_else(|| Serving::of(&shop.project));
    let totals = status(&shop.project)["flows"][0]["totals"].clone();
    drop(serving);
    let count = |name: &str| totals[name].as_u64().unwrap_or_else(|| panic!("no {name} in {totals}"));
    let rest = count("delivered") + count("filtered") + count("open_errors") + count("dismissed") + count("in_flight");
    assert_eq!(count("exported"), rest, "{totals}");
    ["exported", "delivered", "open_errors", "dismissed"].map(count)
}

#[test]
fn a_refused_record_is_shown_and_delivered_once_when_the_server_is_repaired() {
    with_and_without_serve(|place| {
        let shop = Shop::new(4, "", "");
        let serving = owner(&shop, place);
        shop.ask("run copy").expect_code(1);
        let open = shop.open();
        assert_eq!(open.len(), 2, "{place}");
        let shown = shop.ask(&format!("errors show {} {}", open[0], open[1])).expect_code(0).stdout;
        for words in
            ["error record 1: open", "rejected", "page 1, record 2, step import", "POST", "no such sku", "\"id\": 2"]
        {
            assert!(shown.contains(words), "no {words:?} in\n{shown}");
        }
        assert!(!shown.contains('\u{1b}'), "{shown}");
        let whole = shop.json(&format!("errors show {}", open[0]));
        assert_eq!((&whole["errors"][0]["record"]["id"], &whole["errors"][0]["status"]), (&2.into(), &422.into()));
        shop.ask("errors retry --all").expect_code(1);
        assert_eq!((shop.open(), shop.listed("errors list")[0]["retries"].as_u64()), (open.clone(), Some(1)));
        shop.repair();
        let retried = shop.json("errors retry --flow copy");
        assert_eq!(retried["runs"][0]["records"]["delivered"], 2, "{retried}");
        assert_eq!((shop.open(), shop.sent()), (Vec::new(), vec![1, 3, 1, 3]), "{place}");
        let settled = shop.listed("errors list --settled");
        assert!(settled.iter().all(|row| row["state"] == "redelivered"), "{settled:?}");
        assert_eq!(totals(&shop, serving), [4, 4, 0, 0], "{place}");
    });
}

#[test]
fn an_edited_record_is_sent_as_it_was_edited() {
    with_and_without_serve(|place| {
        let shop = Shop::judging(2, "", "", |body| body["qty"].as_u64() > Some(0));
        let _serving = owner(&shop, place);
        shop.ask("run copy").expect_code(1);
        let open = shop.open();
        shop.ask(&format!("errors edit {} --set qty=5", open[0])).expect_code(0);
        shop.project.write("fixed.json", "{\"id\":2,\"qty\":12345678901234567890123}");
        let fixed = shop.project.path("fixed.json").display().to_string();
        shop.ask(&format!("errors edit {} --file {fixed}", open[1])).expect_code(0);
        assert!(shop.ask(&format!("errors edit {}", open[1])).expect_code(64).stderr.contains("--set"), "{place}");
        shop.ask(&format!("errors edit {} --set qty", open[1])).expect_code(65);
        shop.ask(&format!("errors retry {}", open[0])).expect_code(0);
        shop.repair();
        shop.ask(&format!("errors retry {}", open[1])).expect_code(0);
        let bodies: Vec<String> = shop.api.requests_to("/taken").iter().skip(2).map(|r| r.body.clone()).collect();
        assert_eq!(bodies, ["{\"id\":1,\"qty\":5}", "{\"id\":2,\"qty\":12345678901234567890123}"], "{place}");
        shop.ask(&format!("errors retry {}", open[0])).expect_code(1);
    });
}

#[test]
fn what_is_resolved_or_purged_counts_as_dismissed_and_is_never_sent_again() {
    with_and_without_serve(|place| {
        let shop = Shop::new(6, "", "");
        let serving = owner(&shop, place);
        shop.ask("run copy").expect_code(1);
        let open = shop.open();
        for command in ["retry", "resolve", "purge"] {
            assert!(shop.ask(&format!("errors {command}")).expect_code(64).stderr.contains("--all"), "{place}");
        }
        assert_eq!(shop.json(&format!("errors resolve {}", open[0]))["resolved"], 1);
        shop.ask(&format!("errors resolve {}", open[0])).expect_code(1);
        let purged = shop.json("errors purge --all");
        assert_eq!([&purged["purged"], &purged["dismissed"], &purged["open"]], [1, 0, 2], "{place}: {purged}");
        let said = shop.ask(&format!("errors purge {} --open", open[1])).expect_code(0).stdout;
        assert!(said.contains("purged 1 error record") && said.contains("counted as dismissed"), "{said}");
        assert_eq!(shop.open(), [open[2]], "{place}");
        shop.repair();
        shop.ask("errors retry --all").expect_code(0);
        assert_eq!(shop.sent(), [1, 1, 1, 1, 1, 2], "{place}");
        assert_eq!(totals(&shop, serving), [6, 4, 0, 2], "{place}");
    });
}

#[test]
fn errors_are_chosen_by_what_they_have() {
    let shop = Shop::new(6, "", "");
    let _serving = Serving::of(&shop.project);
    shop.ask("run copy").expect_code(1);
    let groups = shop.json("errors list --group");
    assert_eq!((groups["groups"].as_array().unwrap().len(), &groups["groups"][0]["count"]), (1, &3.into()), "{groups}");
    let row = shop.listed("errors list --limit 1").pop().unwrap();
    let (fingerprint, run_id) = (row["fingerprint"].as_str().unwrap(), row["run"].as_str().unwrap());
    for (choice, count) in [
        (format!("--fingerprint {}", &fingerprint[..4]), 3),
        (format!("--run {run_id}"), 3),
        ("--class rejected".to_owned(), 3),
        ("--class unreachable".to_owned(), 0),
        ("--flow copy --class rejected".to_owned(), 3),
        ("--older-than 1h".to_owned(), 0),
        ("--older-than 0s".to_owned(), 3),
    ] {
        assert_eq!(shop.listed(&format!("errors list {choice}")).len(), count, "{choice}");
    }
    // A slip is not taken for a flow without errors.
    for (line, near) in [
        ("errors list --flow other", "there are: copy"),
        ("errors resolve --flow copi", "did you mean `copy`?"),
        ("errors retry --flow copi", "did you mean `copy`?"),
        ("errors purge --flow copi", "did you mean `copy`?"),
        ("runs list --flow copi", "did you mean `copy`?"),
        ("runs show copi", "did you mean `copy`?"),
        ("pause copi", "did you mean `copy`?"),
        ("explain copi", "did you mean `copy`?"),
        ("explain apo", "did you mean `api`?"),
    ] {
        let ended = shop.ask(line).expect_code(64);
        assert!(ended.stderr.contains("there is no ") && ended.stderr.contains(near), "{line}: {}", ended.stderr);
    }
    // What is left of a flow is found when its file is gone.
    std::fs::rename(shop.project.path("flows/copy.toml"), shop.project.path("flows/later.toml")).unwrap();
    assert_eq!(shop.listed("errors list --flow copy").len(), 3);
    shop.ask("runs list --flow copy").expect_code(0);
    std::fs::rename(shop.project.path("flows/later.toml"), shop.project.path("flows/copy.toml")).unwrap();
    shop.ask("errors show 999").expect_code(1);
    shop.ask("errors show x").expect_code(64);
}

#[test]
fn a_later_delivery_of_the_same_trace_key_closes_the_error() {
    with_and_without_serve(|place| {
        let shop = Shop::new(4, "", "");
        let flow = std::fs::read_to_string(shop.project.path("flows/copy.toml")).unwrap();
        let traced =
            flow.replace("relative_uri = \"/records\"", "relative_uri = \"/records\"\ntrace_key = \"{{record.id}}\"");
        shop.project.write("flows/copy.toml", &traced);
        let serving = owner(&shop, place);
        shop.ask("run copy").expect_code(1);
        assert_eq!(shop.listed("errors list")[0]["trace_key"], "4", "{place}");
        shop.repair();
        shop.ask("run copy").expect_code(0);
        assert_eq!((shop.open(), shop.sent()), (Vec::new(), vec![2, 2, 2, 2]), "{place}");
        assert_eq!(totals(&shop, serving), [8, 8, 0, 0], "{place}");
    });
}

#[test]
fn too_many_errors_stop_the_run_and_the_next_one_goes_on() {
    with_and_without_serve(|place| {
        let shop = Shop::judging(40, "max_errors = 3", "", |_| false);
        let serving = owner(&shop, place);
        let ended = shop.ask("run copy").expect_code(1);
        assert!(ended.stderr.contains("stopped after 3 error records"), "{}", ended.stderr);
        // Those that stood in line already are sent; no more than the level and a few.
        let sent = shop.api.requests_to("/taken").len();
        assert!((3..=6).contains(&sent) && shop.open().len() == sent, "{place}: {sent}");
        shop.repair();
        let ended = shop.ask("run copy").expect_code(1);
        assert!(ended.stderr.contains("resuming"), "{}", ended.stderr);
        assert_eq!(shop.sent(), vec![1; 40], "each once, those that failed too: {place}");
        shop.ask("errors retry --all").expect_code(0);
        assert_eq!(totals(&shop, serving), [40, 40, 0, 0], "{place}");
    });
}

/// A server that takes the first write of each record and cuts the connection.
fn cutting(import: &str, keys: &str) -> (Api, Project) {
    let mut seen: Vec<u64> = Vec::new();
    let api = Api::start(move |request| match (request.method.as_str(), request.path()) {
        ("GET", "/records") => Reply::json(200, "{\"data\":[{\"id\":1},{\"id\":2}]}"),
        // Only the second one is found.
        ("GET", path) => Reply::json(200, if path == "/taken/2" { "{\"data\":[{\"id\":2}]}" } else { "{\"data\":[]}" }),
        _ => {
            let id = request.json()["id"].as_u64().unwrap();
            let first = !seen.contains(&id);
            seen.push(id);
            if first { Reply::hang_up() } else { Reply::json(201, "{}") }
        }
    });
    let project = Project::new();
    project.settings("").connection("api", &api.base(), &format!("{QUICK}{keys}")).copy_flow("copy", "", import);
    (api, project)
}

fn sent_of(api: &Api, id: u64) -> Vec<Request> {
    api.requests_to("/taken").into_iter().filter(|request| request.json()["id"] == id).collect()
}

#[test]
fn a_write_that_may_have_arrived_is_parked_until_a_person_decides() {
    with_and_without_serve(|place| {
        let (api, project) = cutting("", "");
        let serving = (place == "owner").then(|| Serving::of(&project));
        run(project.dir(), &["run", "copy"]).expect_code(1);
        let listed = run(project.dir(), &["errors", "list", "--class", "unknown"]).expect_code(0).stdout;
        assert_eq!(listed.lines().count(), 3, "{place}: {listed}");
        assert_eq!((sent_of(&api, 1).len(), sent_of(&api, 2).len()), (1, 1), "{place}");
        run(project.dir(), &["errors", "resolve", "1"]).expect_code(0);
        run(project.dir(), &["errors", "retry", "--all"]).expect_code(0);
        assert_eq!(sent_of(&api, 1).len() + sent_of(&api, 2).len(), 3, "{place}");
        drop(serving);
    });
}

#[test]
fn a_write_that_may_have_arrived_is_looked_for_and_sent_only_when_it_is_not_there() {
    let check = "unknown_outcome = \"check\"\n[import.check]\nrelative_uri = \"/taken/{{record.id}}\"\nrecords = \"$.data[*]\"\n";
    let (api, project) = cutting(check, "");
    let _serving = Serving::of(&project);
    run(project.dir(), &["run", "copy"]).expect_code(0);
    assert_eq!((sent_of(&api, 1).len(), sent_of(&api, 2).len()), (2, 1), "the second one was there");
}

#[test]
fn a_write_with_a_key_is_sent_again_under_the_same_key() {
    let (api, project) = cutting("idempotency_key = \"{{record.id}}-k\"", "");
    let _serving = Serving::of(&project);
    run(project.dir(), &["run", "copy"]).expect_code(0);
    for id in [1, 2] {
        let keys: Vec<_> = sent_of(&api, id).iter().map(|r| r.header("idempotency-key").map(str::to_owned)).collect();
        assert_eq!(keys, vec![Some(format!("{id}-k")); 2]);
    }
}

/// Ten records, taken gate by gate.
fn gated() -> (Api, Gates, Project) {
    let gates = Gates::default();
    let held = gates.clone();
    let list: Vec<String> = (1..=10).map(|id| format!("{{\"id\":{id}}}")).collect();
    let page = format!("{{\"data\":[{}]}}", list.join(","));
    let api = Api::start(move |request| match request.method.as_str() {
        "GET" => Reply::json(200, page.clone()),
        _ => Reply::json(201, "{}").behind(&held.next()),
    });
    let project = Project::new();
    project.settings("").connection("api", &api.base(), "concurrency_level = 2").copy_flow("copy", "", "");
    project.write(
        "flows/read.toml",
        "[export]\nconnection = \"api\"\nrelative_uri = \"/records\"\nrecords = \"$.data[*]\"\n",
    );
    (api, gates, project)
}

#[test]
fn with_a_serve_the_owner_runs_it_and_the_command_follows() {
    let (api, gates, project) = gated();
    let mut serving = Serving::of(&project);
    let ran = std::thread::scope(|scope| {
        let ran = scope.spawn(|| run(project.dir(), &["run", "copy", "read", "--json"]));
        api.wait_until(|seen| in_flight(seen) == 2);
        let running = status_until(&project, |status| status["flows"][0]["running"].is_object());
        assert_eq!(running["flows"][0]["running"]["records"]["exported"], 10);
        assert!(run(project.dir(), &["run", "copy"]).expect_code(75).stderr.contains("still running"));
        gates.open_all();
        ran.join().unwrap()
    })
    .expect_code(0);
    assert_eq!(ran.stdout.lines().count(), 10, "the export-only flow wrote its records here: {}", ran.stdout);
    let document: Value = serde_json::from_str(ran.stderr.lines().last().unwrap()).unwrap();
    let delivered: Vec<_> =
        document["runs"].as_array().unwrap().iter().map(|run| &run["records"]["delivered"]).collect();
    assert_eq!(delivered, [10, 10], "{document}");
    assert_eq!(serving.wait_for_flow("run finished", "copy")["trigger"], "manual");
    assert_eq!((api.requests_to("/taken").len(), api.most_in_flight() <= 3), (10, true));
}

#[test]
fn a_dry_run_beside_a_serve_stays_here() {
    let (api, _gates, project) = gated();
    let _serving = Serving::of(&project);
    let shown = run(project.dir(), &["run", "copy", "--dry-run", "--json"]).expect_code(0).stdout;
    let imports = shown.lines().filter(|line| line.starts_with("{\"stage\":\"import\"")).count();
    assert_eq!((imports, api.requests_to("/taken").len()), (10, 0));
}

#[test]
fn leaving_the_command_leaves_the_run_to_its_owner() {
    let (api, gates, project) = gated();
    let mut serving = Serving::of(&project);
    let mut command = flowgate(project.dir());
    command.args(["run", "copy"]);
    let child = command.spawn().unwrap();
    api.wait_until(|seen| in_flight(seen) == 2);
    // It follows once it has asked: the owner's socket answered before the first request left.
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let left = child.wait_with_output().unwrap();
    let (code, stderr) = (left.status.code(), String::from_utf8_lossy(&left.stderr).into_owned());
    assert_eq!(code, Some(130), "{stderr}");
    assert!(stderr.contains("goes on at the running flowgate"), "{stderr}");
    gates.open_all();
    assert_eq!(serving.wait_for_flow("run finished", "copy")["delivered"], 10);
}

#[test]
fn open_errors_are_in_metrics_and_status() {
    let shop = Shop::new(4, "", "");
    let serving = Serving::of(&shop.project);
    let open = || serving.sample("flowgate_errors_open{flow=\"copy\"}");
    assert_eq!((open(), serving.sample("flowgate_errors_oldest_age_seconds{flow=\"copy\"}")), (0.0, 0.0));
    shop.ask("run copy").expect_code(1);
    let wait_for = |count: f64| {
        let until = now() + PATIENCE;
        while open() != count {
            assert!(now() < until, "never {count} open errors");
        }
    };
    wait_for(2.0);
    assert!(serving.sample("flowgate_errors_oldest_age_seconds{flow=\"copy\"}") > 0.0);
    let told = status(&shop.project);
    assert_eq!((&told["flows"][0]["errors"]["open"], &told["store"]["health"]), (&2.into(), &"good".into()));
    assert!(shop.ask("status").expect_code(0).stdout.contains("open errors"));
    shop.ask("errors resolve --all").expect_code(0);
    wait_for(0.0);
}

#[test]
fn error_records_and_runs_follow_a_renamed_flow_before_anything_is_written() {
    let renamed = || {
        let shop = Shop::new(2, "", "");
        shop.ask("run copy").expect_code(1);
        let text = std::fs::read_to_string(shop.project.path("flows/copy.toml")).unwrap();
        std::fs::remove_file(shop.project.path("flows/copy.toml")).unwrap();
        shop.project.write("flows/kopie.toml", &format!("formerly = [\"copy\"]\n{text}"));
        shop
    };
    let shop = renamed();
    for line in ["errors list", "errors list --flow kopie", "errors show 1"] {
        let rows = shop.listed(line);
        assert_eq!((rows.len(), &rows[0]["flow"]), (1, &"kopie".into()), "{line}: {rows:?}");
    }
    assert!(shop.listed("errors list --flow copy").is_empty());
    for line in ["runs list", "runs list --flow kopie"] {
        let runs = shop.json(line)["runs"].clone();
        assert_eq!((runs.as_array().map(Vec::len), &runs[0]["flow"]), (Some(1), &"kopie".into()), "{line}: {runs}");
    }
    assert_eq!(shop.json("errors resolve --flow kopie")["resolved"], 1);
    assert!(shop.open().is_empty());

    let shop = renamed();
    shop.repair();
    assert_eq!(shop.json("errors retry --flow kopie")["runs"][0]["records"]["delivered"], 1);
    assert_eq!(totals(&shop, None), [2, 2, 0, 0]);
}

#[test]
fn looking_for_errors_creates_nothing() {
    let shop = Shop::new(2, "", "");
    assert_eq!(shop.ask("errors list").expect_code(0).stdout, "no error records\n");
    shop.ask("errors retry --all").expect_code(0);
    assert!(!shop.project.path("state").exists());
}
