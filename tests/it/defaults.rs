//! `[export_defaults]`: what a connection says of all its exports, and what stands over it. And which flow a rule about
//! an answer is asked for.

use crate::support::api::{Api, Reply};
use crate::support::command::run;
use crate::support::flow::{QUICK, TAKE, copy, ids, lines, project, taken};
use serde_json::json;

const READ: &str = "[export]\nconnection = \"api\"\nrelative_uri = \"/records\"\n";

/// Records 1 to 4; `at` is the day of January they changed.
fn records() -> Api {
    Api::start(|request| match request.path() {
        "/records" => {
            let since = request.target.split_once("since=").map_or("", |(_, since)| &since[..10]).to_owned();
            let at = |id: u64| format!("2026-01-0{id}T00:00:00Z");
            let later = (1..=4).filter(|id| at(*id)[..10] > since[..]);
            let list: Vec<_> = later.map(|id| json!({ "id": id, "at": at(id), "live": id != 2, "raw": "x" })).collect();
            Reply::json(200, json!(list).to_string())
        }
        _ => Reply::json(201, "{}"),
    })
}

#[test]
fn a_default_transform_and_limit_lie_under_every_export_and_its_own_replace_them_whole() {
    let keys = format!(
        "{QUICK}[export_defaults]\nlimit = 2\n[export_defaults.transform.create]\nid = \"$.id\"\nfrom = \"= connection.vars.shop\"\n\
         [vars]\nshop = \"north\"\n"
    );
    let (api, shown) = (records(), |flow: &str, api: &Api| lines(&copy(api, &keys, flow, &[]).expect_code(0)));
    assert_eq!(shown(READ, &api), [json!({"id": 1, "from": "north"}), json!({"id": 2, "from": "north"})]);
    let own = format!("{READ}limit = 3\n[export.transform.create]\nnumber = \"$.id\"\n");
    assert_eq!(shown(&own, &api), [json!({"number": 1}), json!({"number": 2}), json!({"number": 3})]);
}

#[test]
fn a_default_delta_is_an_exports_own_until_it_says_otherwise() {
    let api = records();
    let keys = format!("{QUICK}[export_defaults.delta]\nfield = \"$.at\"\nstart = \"2026-01-01\"\n");
    let since = READ.replace("/records", "/records?since={{last_export}}");
    let ours = project(&api, &keys, &format!("{since}{TAKE}"));
    for _ in 0..2 {
        run(ours.dir(), &["run", "copy"]).expect_code(0);
    }
    assert_eq!(taken(&api), [2, 3, 4], "once each, and none before `start`");
    let asked = |api: &Api| -> Vec<String> {
        api.requests_to("/records")
            .iter()
            .filter_map(|r| Some(r.target.split_once("since=")?.1[..10].to_owned()))
            .collect()
    };
    assert_eq!(asked(&api), ["2026-01-01", "2026-01-04"]);
    // Its own table replaces the default whole: no `field`, so the mark is when the run began.
    let api = records();
    let ours = project(&api, &keys, &format!("{since}[export.delta]\nstart = \"2026-01-03\"\n{TAKE}"));
    for _ in 0..2 {
        run(ours.dir(), &["run", "copy"]).expect_code(0);
    }
    assert_eq!((taken(&api), asked(&api)[0].as_str()), (vec![4], "2026-01-03"));
    // Switched off, there is no mark and nothing to ask with.
    let off = copy(&api, &keys, &format!("{READ}delta = \"none\"\n"), &[]).expect_code(0);
    assert_eq!(ids(&lines(&off)), [1, 2, 3, 4]);
    let refused = copy(&api, &keys, &since.replacen("relative_uri", "delta = \"none\"\nrelative_uri", 1), &[]);
    assert!(refused.expect_code(78).stderr.contains("`last_export` is not available here"));
}

#[test]
fn the_request_of_an_export_lies_over_the_default_one_key_by_key() {
    let keys = format!(
        "{QUICK}[export_defaults]\nmethod = \"POST\"\nheaders = {{ X-Part = \"{{{{page.number}}}}\", X-Both = \"default\" }}\n\
         query = {{ fields = \"all\" }}\nbody = {{ want = \"orders\" }}\nsuccess_media_type = \"csv\"\n\
         [export_defaults.paging.page]\nparam = \"p\"\n[export_defaults.response]\nerror_path = \"why\"\n"
    );
    let api = Api::start(|request| match (request.path(), request.target.contains("p=1")) {
        ("/records" | "/plain", true) => Reply::raw(200, "id\n7\n").header("content-type", "text/csv"),
        ("/records" | "/plain", false) => Reply::raw(200, "id\n").header("content-type", "text/csv"),
        _ => Reply::json(422, "{\"why\":\"not today\"}"),
    });
    let ended = copy(&api, &keys, READ, &[]).expect_code(0);
    assert_eq!(lines(&ended), [json!({"id": "7"})]);
    let seen = api.requests_to("/records");
    let first = &seen[0];
    assert_eq!((first.method.as_str(), first.body.as_str()), ("POST", "{\"want\":\"orders\"}"));
    assert_eq!((first.header("x-part"), first.header("x-both")), (Some("1"), Some("default")));
    assert!(first.target.contains("fields=all"), "{}", first.target);
    assert_eq!(seen[1].header("x-part"), Some("2"));
    let own = "[export]\nconnection = \"api\"\nmethod = \"GET\"\nrelative_uri = \"/plain\"\nheaders = { x-both = \"own\" }\n\
               query = { fields = \"id\" }\n";
    copy(&api, &keys, own, &[]).expect_code(0);
    let plain = &api.requests_to("/plain")[0];
    assert_eq!(
        (plain.method.as_str(), plain.header("x-both"), plain.header("x-part")),
        ("GET", Some("own"), Some("1"))
    );
    assert!(plain.target.contains("fields=id") && !plain.target.contains("fields=all"), "{}", plain.target);
    let refused = copy(&api, &keys, &READ.replace("/records", "/refused"), &[]).expect_code(69);
    assert!(refused.stderr.contains("not today"), "{}", refused.stderr);
    // What it reads has to be there for each export.
    let refused = copy(&api, &keys, &format!("{READ}paging = \"none\"\n"), &[]).expect_code(78);
    assert!(refused.stderr.contains("reads `page`"), "{}", refused.stderr);
}

#[test]
fn records_that_are_delivered_are_grouped_and_told_of_as_the_connection_says() {
    let keys = format!(
        "{QUICK}[export_defaults]\ngroup_by = \"$.live\"\ntrace_key = \"{{{{record.id}}}}\"\n[export_defaults.once]\n\
         relative_uri = \"/seen/{{{{record.id}}}}\"\n"
    );
    let api = records();
    let ours = project(&api, &keys, &format!("{READ}{TAKE}"));
    run(ours.dir(), &["run", "copy"]).expect_code(0);
    let mut groups: Vec<usize> =
        api.requests_to("/taken").iter().map(|request| request.json()["rows"].as_array().unwrap().len()).collect();
    groups.sort_unstable();
    assert_eq!(groups, [1, 1, 2]);
    assert_eq!(api.requests().iter().filter(|request| request.path().starts_with("/seen/")).count(), 4);
    // A lookup of that connection delivers nothing, and asks in its own way.
    let step = "[[step]]\nname = \"who\"\n[step.lookup]\nconnection = \"api\"\nrelative_uri = \"/who\"\n";
    let api = records();
    let ours = project(
        &api,
        &format!("{keys}\n[export_defaults.headers]\nX-E = \"1\"\n"),
        &format!("{READ}group_by = \"$.id\"\n{step}{TAKE}"),
    );
    run(ours.dir(), &["run", "copy"]).expect_code(0);
    assert_eq!(api.requests_to("/records")[0].header("x-e"), Some("1"));
    assert!(api.requests_to("/who").iter().all(|request| request.header("x-e").is_none()));
}

#[test]
fn an_exports_rules_go_before_its_defaults_and_those_before_its_connections() {
    let rule =
        |table: &str, act: &str| format!("[[{table}]]\nstatus = 404\ndo = \"{act}\"\nmessage = \"from {table}\"\n");
    let own = |act| format!("{READ}{}", rule("export.on", act));
    let (defaults, connection) = (|act| rule("export_defaults.on", act), |act| rule("on", act));
    for (keys, flow, code, said) in [
        (defaults("fail") + &connection("fail"), own("skip"), 0, ""),
        (defaults("skip") + &connection("skip"), own("fail"), 69, "from export.on"),
        (defaults("fail") + &connection("skip"), READ.to_owned(), 69, "from export_defaults.on"),
        (defaults("skip") + &connection("fail"), READ.to_owned(), 0, ""),
        (connection("fail"), READ.to_owned(), 69, "from on"),
    ] {
        let api = Api::scripted([("GET /records", vec![Reply::json(404, "{}")])]);
        let ended = copy(&api, &format!("{QUICK}{keys}"), &flow, &[]).expect_code(code);
        assert!(ended.stderr.contains(said), "{keys}{flow}: {}", ended.stderr);
    }
    // A write has no export's rules.
    let api = Api::start(|request| match request.path() {
        "/records" => Reply::json(200, "[{\"id\":1}]"),
        _ => Reply::json(404, "{}"),
    });
    let ended = copy(&api, &format!("{QUICK}{}", defaults("success")), &format!("{READ}{TAKE}"), &[]);
    ended.expect_code(1);
}

#[test]
fn a_rule_of_a_connection_knows_for_which_flow_it_is_asked() {
    let keys = format!(
        "{QUICK}[[on]]\nstatus = 404\nwhen = \"flow.id == 'copy'\"\ndo = \"fail\"\nmessage = \"{{{{flow.id}}}} is not served\"\n\
         [[on]]\nstatus = 404\ndo = \"skip\"\n"
    );
    let api = Api::scripted([("GET /records", vec![Reply::json(404, "{}")])]);
    let ours = project(&api, &keys, READ);
    ours.write("flows/other.toml", READ);
    let ended = run(ours.dir(), &["run", "copy"]).expect_code(69);
    assert!(ended.stderr.contains("copy is not served"), "{}", ended.stderr);
    run(ours.dir(), &["run", "other"]).expect_code(0);
    // In a flow's own rules its variables are there too, in an import's for each record's answer as well.
    let api = Api::start(|request| match request.path() {
        "/records" => Reply::json(200, "[{\"id\":1},{\"id\":2}]"),
        _ => Reply::json(200, "{\"results\":[{\"at\":\"eu\"},{\"at\":\"us\"}]}"),
    });
    let flow = format!(
        "[vars]\nregion = \"eu\"\n{READ}[import]\nconnection = \"api\"\nrelative_uri = \"/taken\"\nbatch_size = 2\n\
         [import.response]\nrecords = \"$.results[*]\"\n[import.response.failure]\nwhen = \"response.body.at != flow.vars.region\"\n"
    );
    let ours = project(&api, QUICK, &flow);
    run(ours.dir(), &["run", "copy"]).expect_code(1);
    let shown = run(ours.dir(), &["errors", "show", "1", "--json"]).expect_code(0).stdout;
    let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown["errors"][0]["record"]["id"], 2, "the other one's region is the flow's: {shown}");
    run(ours.dir(), &["errors", "show", "2"]).expect_code(1);
}

#[test]
fn a_header_with_the_name_of_the_flow_stops_no_ping() {
    let api = Api::scripted([("GET /me", vec![Reply::json(200, "{}")])]);
    let ours = project(
        &api,
        &format!("headers = {{ X-Flow = \"{{{{flow.id}}}}\" }}\n{QUICK}[ping]\nrelative_uri = \"/me\"\n"),
        READ,
    );
    run(ours.dir(), &["ping", "api"]).expect_code(0);
    assert_eq!(api.requests_to("/me")[0].header("x-flow"), Some(""));
}
