//! `[[on]]`: what is done about an answer wherever a rule may stand, judged by the server that gave it.

use crate::support::api::{Api, Reply};
use crate::support::command::{Ended, run};
use crate::support::flow::{QUICK, TAKE, account, copy, ids, lines, project, taken};
use serde_json::Value;

const PAGED: &str =
    "[export]\nconnection = \"api\"\nrelative_uri = \"/records\"\n[export.paging.page]\nparam = \"page\"\n";
const READ: &str = "[export]\nconnection = \"api\"\nrelative_uri = \"/records\"\n";

fn page(ids: &[u64]) -> Reply {
    let records: Vec<Value> = ids.iter().map(|id| serde_json::json!({ "id": id })).collect();
    Reply::json(200, serde_json::to_string(&records).unwrap())
}

/// Two pages, and then this.
fn paged(last: Reply) -> Api {
    Api::scripted([("GET /records", vec![page(&[1, 2]), page(&[3]), last])])
}

#[track_caller]
fn export(api: &Api, keys: &str, rules: &str, code: i32) -> (Vec<u64>, Ended) {
    let ended = copy(api, keys, &format!("{PAGED}{rules}"), &[]).expect_code(code);
    (ids(&lines(&ended)), ended)
}

#[test]
fn stop_and_skip_end_an_export_and_fail_fails_it() {
    for (act, status) in [("stop", 404), ("skip", 404), ("skip", 429), ("stop", 401), ("stop", 500)] {
        let rule = format!("status = {status}\ndo = \"{act}\"\n");
        for (keys, flow) in
            [(String::new(), format!("[[export.on]]\n{rule}")), (format!("[[on]]\n{rule}"), String::new())]
        {
            let api = paged(Reply::json(status, "{}"));
            let (read, _) = export(&api, &keys, &flow, 0);
            assert_eq!((read, api.requests().len()), (vec![1, 2, 3], 3), "{act} {status}");
        }
    }
    let rule = "[[export.on]]\npath = \"state\"\nvalues = [\"locked\"]\ndo = \"fail\"\nmessage = \"locked by {{response.body.by}}\"\n";
    let api = paged(Reply::json(200, r#"{"state":"locked","by":"ops"}"#));
    let (read, ended) = export(&api, "", rule, 69);
    assert_eq!(read, [1, 2, 3], "what was read before is kept");
    assert!(ended.stderr.contains("locked by ops"), "{}", ended.stderr);
}

#[test]
fn a_page_is_asked_for_again_until_it_is_ready() {
    let wait = |status| Reply::json(status, "{}").header("x-ready-in", "30");
    let api = Api::scripted([("GET /records", vec![wait(202), wait(202), wait(202), wait(202), page(&[7])])]);
    let rule = "[[export.on]]\nstatus = 202\ndo = \"retry\"\nmax_attempts = 5\nwait = { header = \"X-Ready-In\", unit = \"ms\" }\n";
    let ended = copy(&api, QUICK, &format!("{READ}{rule}"), &[]).expect_code(0);
    assert_eq!((ids(&lines(&ended)), api.requests().len()), (vec![7], 5), "more than `[retry]` allows");
    let times: Vec<_> = api.requests().iter().map(|request| request.arrived).collect();
    let gaps = times.windows(2).map(|pair| pair[1].saturating_sub(pair[0]).as_millis());
    assert!(gaps.clone().all(|gap| gap >= 29), "{:?}", gaps.collect::<Vec<_>>());
    let api = Api::scripted([("GET /records", vec![wait(202)])]);
    let ended = copy(&api, QUICK, &format!("{READ}{rule}"), &[]).expect_code(69);
    assert_eq!(api.requests().len(), 5);
    assert!(ended.stderr.contains("after 5 attempts"), "{}", ended.stderr);
}

/// Three records, and what is answered to the one with this id.
fn imported(odd: u64, replies: Vec<Reply>) -> Api {
    let mut next = 0;
    Api::start(move |request| match request.path() {
        "/records" => page(&[1, 2, 3]),
        "/taken" if request.json()["id"] == odd => {
            next += 1;
            replies[(next - 1).min(replies.len() - 1)].clone()
        }
        "/taken" => Reply::json(201, "{}"),
        other => Reply::json(404, format!("\"{other}\"")),
    })
}

fn rule(keys: &str) -> (String, String) {
    (format!("concurrency_level = 1\n{QUICK}"), format!("{READ}{TAKE}[[import.on]]\n{keys}"))
}

#[test]
fn a_skipped_record_is_filtered_and_success_delivers_it() {
    for (act, filtered, delivered) in [("skip", 1, 2), ("success", 0, 3)] {
        let (keys, flow) = rule(&format!("status = 409\npath = \"code\"\nvalues = [\"EXISTS\"]\ndo = \"{act}\"\n"));
        let api = imported(2, vec![Reply::json(409, r#"{"code":"EXISTS"}"#)]);
        let account = account(&copy(&api, &keys, &flow, &["--json"]).expect_code(0));
        assert_eq!(account["records"]["filtered"], filtered, "{act}");
        assert_eq!(account["records"]["delivered"], delivered, "{act}");
        let api = imported(2, vec![Reply::json(409, r#"{"code":"OTHER"}"#)]);
        copy(&api, &keys, &flow, &[]).expect_code(1);
    }
}

#[test]
fn fail_ends_the_run_and_the_next_one_goes_on_behind_it() {
    let (keys, flow) = rule("status = 402\ndo = \"fail\"\nmessage = \"the account is used up\"\n");
    let api = imported(2, vec![Reply::json(402, "{}"), Reply::json(201, "{}")]);
    let project = project(&api, &keys, &flow);
    let ended = run(project.dir(), &["run", "copy"]).expect_code(1);
    assert!(ended.stderr.contains("the account is used up"), "{}", ended.stderr);
    assert_eq!(taken(&api), [1, 2], "nothing is sent behind it");
    run(project.dir(), &["run", "copy"]).expect_code(1);
    assert_eq!(taken(&api), [1, 2, 3]);
    run(project.dir(), &["errors", "retry", "--all"]).expect_code(0);
    assert_eq!(taken(&api).len(), 4, "the record that ended it is an error record like others");
}

#[test]
fn a_write_is_sent_again_however_unsafe_it_is_and_no_more_often_than_the_rule_says() {
    let (keys, flow) = rule("status = 423\ndo = \"retry\"\nmax_attempts = 4\n");
    let locked = || Reply::json(423, "{}");
    let api = imported(2, vec![locked(), locked(), locked(), Reply::json(201, "{}")]);
    copy(&api, &keys, &flow, &[]).expect_code(0);
    assert_eq!(taken(&api), [1, 2, 2, 2, 2, 3]);
    let api = imported(2, vec![locked()]);
    copy(&api, &keys, &flow, &[]).expect_code(1);
    assert_eq!(taken(&api), [1, 2, 2, 2, 2, 3]);
}

#[test]
fn limited_pauses_the_pool_and_refresh_renews_the_token() {
    let (keys, flow) = rule("status = 403\ntext = \"quota\"\ndo = \"limited\"\nwait = \"300ms\"\n");
    let keys = keys.replace("concurrency_level = 1", "concurrency_level = 3");
    let api = imported(2, vec![Reply::json(403, "\"over quota\""), Reply::json(201, "{}")]);
    copy(&api, &keys, &flow, &[]).expect_code(0);
    assert_eq!(taken(&api), [1, 2, 2, 3]);
    let seconds: Vec<_> =
        api.requests_to("/taken").iter().filter(|request| request.json()["id"] == 2).map(|r| r.arrived).collect();
    assert!(seconds[1].saturating_sub(seconds[0]).as_millis() >= 299, "{seconds:?}");

    let mut tokens = 0;
    let api = Api::start(move |request| match request.path() {
        "/token" => {
            tokens += 1;
            Reply::json(200, format!("{{\"access_token\":\"t{tokens}\"}}"))
        }
        "/records" => page(&[1]),
        _ if request.header("authorization") == Some("Bearer t2") => Reply::json(201, "{}"),
        _ => Reply::json(400, r#"{"fault":"session over"}"#),
    });
    let keys = "[auth.token.refresh]\nrelative_uri = \"/token\"\nbody = { grant_type = \"password\" }\n";
    let flow = format!("{READ}{TAKE}[[import.on]]\npath = \"fault\"\nvalues = [\"session over\"]\ndo = \"refresh\"\n");
    copy(&api, keys, &flow, &[]).expect_code(0);
    assert_eq!((taken(&api), api.requests_to("/token").len()), (vec![1, 1], 2));
}

#[test]
fn a_lookup_finds_nothing_or_ends_the_run() {
    let answers = |status| {
        Api::start(move |request| match request.path() {
            "/records" => page(&[1, 2, 3]),
            "/names/2" => Reply::json(status, "{}"),
            "/taken" => Reply::json(201, "{}"),
            _ => Reply::json(200, r#"[{"name":"Ada"}]"#),
        })
    };
    let lookup = "[[step]]\nname = \"who\"\n[step.lookup]\nconnection = \"api\"\nrelative_uri = \"/names/{{record.id}}\"\n\
                  merge = { name = { pick = \"$.data[0].name\", default = \"nobody\" } }\n[[step.lookup.on]]\n";
    let flow = |act: &str| format!("{READ}{lookup}status = [403, 429]\ndo = \"{act}\"\n{TAKE}");
    for (act, status) in [("skip", 403), ("stop", 403), ("skip", 429)] {
        let api = answers(status);
        copy(&api, QUICK, &flow(act), &[]).expect_code(0);
        let mut names: Vec<_> = api.requests_to("/taken").iter().map(|r| r.json()["name"].to_string()).collect();
        names.sort();
        assert_eq!(names, ["\"Ada\"", "\"Ada\"", "\"nobody\""], "{act} {status}");
    }
    let api = answers(403);
    let keys = format!("concurrency_level = 1\n{QUICK}");
    let ended = copy(&api, &keys, &flow("fail"), &[]).expect_code(1);
    assert!(ended.stderr.contains("lookup `who`"), "{}", ended.stderr);
    assert!(!taken(&api).contains(&2));
}

#[test]
fn the_step_s_rule_decides_before_the_connection_s() {
    let keys = "[[on]]\nstatus = \"4xx\"\ndo = \"fail\"\n";
    let api = paged(Reply::json(404, "{}"));
    let (read, _) = export(&api, keys, "[[export.on]]\nstatus = 404\ndo = \"stop\"\n", 0);
    assert_eq!(read, [1, 2, 3]);
    let api = paged(Reply::json(410, "{}"));
    export(&api, keys, "[[export.on]]\nstatus = 404\ndo = \"stop\"\n", 69);
}

#[test]
fn a_ping_has_rules_of_its_own() {
    let api = Api::scripted([("GET /me", vec![Reply::json(418, "{}")])]);
    let keys = "[[on]]\nstatus = 418\ndo = \"fail\"\n[ping]\nrelative_uri = \"/me\"\n[[ping.on]]\nstatus = 418\ndo = \"success\"\n";
    let project = project(&api, keys, READ);
    run(project.dir(), &["ping", "api"]).expect_code(0);
}

#[test]
fn a_message_says_what_the_answer_held_and_for_which_flow() {
    for (rule, message, said) in [
        ("status = 400", "MSG {{response.body.m}}", "MSG hello"),
        ("status = 400", "MSG {{response.headers.X-Why}} {{response.status}}", "MSG because 400"),
        ("status = 400", "MSG {{flow.id}}", "MSG copy"),
        ("when = \"response.headers['x-why'] == 'because'\"", "MSG {{response.body.m}}", "MSG hello"),
    ] {
        let api = Api::start(|_| Reply::json(400, "{\"m\":\"hello\"}").header("x-why", "because"));
        let keys = format!("[[on]]\n{rule}\ndo = \"fail\"\nmessage = \"{message}\"\n");
        let flow = "[export]\nconnection = \"api\"\nrelative_uri = \"/records\"\n";
        let ended = copy(&api, &keys, flow, &[]).expect_code(69);
        assert!(format!("{}{}", ended.stdout, ended.stderr).contains(said), "{message}: {ended:?}");
    }
}
