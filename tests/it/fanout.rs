//! Several exports of one flow, and exports that are read for each of something: side by side, in bounds, exactly once
//! also over kills.

use crate::support::api::{Api, Gates, Reply, Request, in_flight};
use crate::support::command::{flowgate, run};
use crate::support::flow::{QUICK, copy, lines, project};
use crate::support::project::Project;
use rustix::process::{Pid, Signal, kill_process};
use std::collections::{BTreeMap, BTreeSet};
use std::process::Stdio;

/// `{"data":[{"id":…}…]` and what stands beside it.
fn page(ids: impl IntoIterator<Item = String>, beside: &str) -> Reply {
    let data: Vec<String> = ids.into_iter().map(|id| format!("{{\"id\":{id}}}")).collect();
    Reply::json(200, format!("{{\"data\":[{}]{beside}}}", data.join(",")))
}

fn numbers(ids: impl IntoIterator<Item = u64>) -> Reply {
    page(ids.into_iter().map(|id| id.to_string()), "")
}

/// A query parameter of a request.
fn query(request: &Request, name: &str) -> Option<String> {
    let query = request.target.split_once('?')?.1;
    url::form_urlencoded::parse(query.as_bytes()).find(|(n, _)| n == name).map(|(_, value)| value.into_owned())
}

fn number(request: &Request, name: &str) -> u64 {
    query(request, name).map_or(1, |text| text.parse().unwrap())
}

/// An export of records below `data` of this address.
fn export(name: &str, uri: &str, more: &str) -> String {
    format!(
        "[[export]]\nname = \"{name}\"\nconnection = \"api\"\nrelative_uri = \"{uri}\"\nrecords = \"$.data[*]\"\n{more}\n"
    )
}

/// Records carry where they come from.
fn marked(expression: &str) -> String {
    format!("[export.transform.create]\nid = \"$.id\"\nof = \"{expression}\"\n")
}

/// `of` and `id` of each record written, sorted.
fn told(ended: &crate::support::command::Ended) -> Vec<(String, u64)> {
    let record = |value: &serde_json::Value| (value["of"].as_str().unwrap().to_owned(), value["id"].as_u64().unwrap());
    let mut all: Vec<_> = lines(ended).iter().map(record).collect();
    all.sort();
    all
}

fn pairs(of: &[(&str, u64)]) -> Vec<(String, u64)> {
    let mut all: Vec<_> = of.iter().map(|(name, id)| ((*name).to_owned(), *id)).collect();
    all.sort();
    all
}

const BY_NUMBER: &str = "[export.paging.page]\nparam = \"p\"\n";

#[test]
fn exports_are_read_side_by_side_and_records_know_theirs() {
    let gates = Gates::default();
    let inside = gates.clone();
    let api = Api::start(move |request| {
        let reply = match (request.path(), number(request, "p")) {
            ("/a", 1) => numbers(1..=2),
            ("/a", 2) => numbers(3..=3),
            ("/b", 1) => numbers(1..=1),
            ("/c", 1..=3) => numbers([number(request, "p")]),
            _ => numbers([]),
        };
        reply.behind(&inside.next())
    });
    let of = marked("= export.name");
    let flow: String =
        ["a", "b", "c"].map(|name| export(name, &format!("/{name}"), &(BY_NUMBER.to_owned() + &of))).concat();
    let project = project(&api, "", &flow);
    let ended = std::thread::scope(|scope| {
        let ran = scope.spawn(|| run(project.dir(), &["run", "copy"]));
        // All three before any answer.
        api.wait_until(|requests| in_flight(requests) == 3);
        gates.open_all();
        ran.join().unwrap()
    });
    let ended = ended.expect_code(0);
    let all = pairs(&[("a", 1), ("a", 2), ("a", 3), ("b", 1), ("c", 1), ("c", 2), ("c", 3)]);
    assert_eq!(told(&ended), all);
}

#[test]
fn a_failing_export_is_named_and_does_not_stop_the_others() {
    let api = Api::start(|request| match (request.path(), number(request, "p")) {
        ("/a" | "/c", n @ 1..=3) => numbers([n]),
        ("/b", 1) => numbers([1]),
        ("/b", _) => Reply::json(422, "{\"error\":\"no\"}"),
        _ => numbers([]),
    });
    let of = BY_NUMBER.to_owned() + &marked("= export.name");
    let flow: String = ["a", "b", "c"].map(|name| export(name, &format!("/{name}"), &of)).concat();
    let ended = copy(&api, QUICK, &flow, &[]).expect_code(69);
    assert!(ended.stderr.contains("export b page 2") && ended.stderr.contains("422"), "{}", ended.stderr);
    let all = pairs(&[("a", 1), ("a", 2), ("a", 3), ("b", 1), ("c", 1), ("c", 2), ("c", 3)]);
    assert_eq!(told(&ended), all);
}

#[test]
fn a_run_can_be_limited_to_some_exports_and_all_count_towards_its_limit() {
    let api = Api::start(|request| match number(request, "p") {
        n @ 1..=5 => numbers([n]),
        _ => numbers([]),
    });
    let of = BY_NUMBER.to_owned() + &marked("= export.name");
    let flow: String = ["a", "b", "c"].map(|name| export(name, &format!("/{name}"), &of)).concat();
    let ended = copy(&api, "", &flow, &["--export", "c", "--export", "a"]).expect_code(0);
    let names: BTreeSet<String> = told(&ended).into_iter().map(|(of, _)| of).collect();
    assert_eq!(names, BTreeSet::from(["a".to_owned(), "c".to_owned()]));
    assert_eq!((told(&ended).len(), api.requests_to("/b").len()), (10, 0));

    let ended = copy(&api, "", &flow, &["--export", "d"]).expect_code(64);
    assert!(ended.stderr.contains("no export `d`") && ended.stderr.contains("a, b, c"), "{}", ended.stderr);

    let ended = copy(&api, "", &flow, &["--limit", "4"]).expect_code(0);
    assert_eq!(told(&ended).len(), 4);

    let limited = flow.replace("name = \"a\"", "name = \"a\"\nlimit = 2");
    let ended = copy(&api, "", &limited, &[]).expect_code(0);
    assert_eq!(told(&ended).iter().filter(|(of, _)| of == "a").count(), 2);
    assert_eq!(told(&ended).len(), 12);
}

/// Parents by page of ten, and three pages of two children for each.
fn family(parents: u64) -> impl FnMut(&Request) -> Reply {
    move |request| {
        let parts: Vec<&str> = request.path().split('/').skip(1).collect();
        let p = number(request, "p");
        match parts.as_slice() {
            ["parents"] => numbers((10 * (p - 1) + 1..=10 * p).take_while(|id| *id <= parents)),
            ["parents", id, "items"] if p <= 3 => {
                let id: u64 = id.parse().unwrap();
                numbers([id * 100 + 2 * p, id * 100 + 2 * p + 1])
            }
            ["taken"] => Reply::json(201, "{}"),
            _ => numbers([]),
        }
    }
}

fn family_ids(parents: u64) -> BTreeSet<u64> {
    (1..=parents).flat_map(|id| (2..=7).map(move |n| id * 100 + n)).collect()
}

const PARENTS: &str = "[[export.each]]\nname = \"p\"\nrelative_uri = \"/parents\"\nrecords = \"$.data[*]\"\n\
                       [export.each.paging.page]\nparam = \"p\"\n";

#[test]
fn children_of_fifty_parents_are_read_at_the_level_and_never_above_it() {
    let (gates, mut family) = (Gates::default(), family(50));
    let inside = gates.clone();
    let api = Api::start(move |request| {
        let reply = family(request);
        if request.path() == "/parents" { reply } else { reply.behind(&inside.next()) }
    });
    let more = BY_NUMBER.to_owned() + PARENTS + &marked("{{each.p}}");
    let flow = export("items", "/parents/{{each.p}}/items", &more);
    let project = project(&api, "concurrency_level = 4\n", &flow);
    let ended = std::thread::scope(|scope| {
        let ran = scope.spawn(|| run(project.dir(), &["run", "copy"]));
        // The level is used, again and again.
        for round in 1..=10 {
            api.wait_until(|requests| in_flight(requests) == 4);
            gates.open(4 * round);
        }
        gates.open_all();
        ran.join().unwrap()
    });
    let ended = ended.expect_code(0);
    let all: Vec<(String, u64)> = told(&ended);
    assert_eq!(all.iter().map(|(_, id)| *id).collect::<BTreeSet<_>>(), family_ids(50));
    assert_eq!(all.len(), 300);
    assert!(all.iter().all(|(of, id)| *of == (id / 100).to_string()));
    // Six pages of parents, four of each one's children.
    assert_eq!(api.requests().len(), 6 + 50 * 4);
    assert_eq!(api.most_in_flight(), 4);
}

#[test]
fn a_limit_counts_over_all_children() {
    let api = Api::start(family(50));
    let more = format!("limit = 7\n{BY_NUMBER}{PARENTS}{}", marked("{{each.p}}"));
    let flow = export("items", "/parents/{{each.p}}/items", &more);
    let ended = copy(&api, "concurrency_level = 4\n", &flow, &[]).expect_code(0);
    assert_eq!(told(&ended).len(), 7);
    assert!(api.requests().len() < 20, "{}", api.requests().len());
}

#[test]
fn blocks_nest_where_they_read_each_other_and_multiply_where_they_do_not() {
    let api = Api::start(|request| match request.path() {
        "/orgs" => page(["\"x\"".to_owned(), "\"y\"".to_owned()], ""),
        "/orgs/x/repos" => numbers([1, 2]),
        "/orgs/y/repos" => numbers([3]),
        "/labels" => page(["\"bug\"".to_owned(), "\"idea\"".to_owned()], ""),
        _ => numbers([7]),
    });
    let nested = "[[export.each]]\nname = \"org\"\nrelative_uri = \"/orgs\"\nrecords = \"data\"\n\
                  [[export.each]]\nname = \"repo\"\nrelative_uri = \"/orgs/{{each.org}}/repos\"\nrecords = \"data\"\n\
                  [[export.each]]\nname = \"label\"\nrelative_uri = \"/labels\"\nrecords = \"data\"\n\
                  [[export.each]]\nname = \"state\"\nvalues = [\"open\", 1]\n";
    let uri = "/orgs/{{each.org}}/{{each.repo}}/{{each.label}}/{{each.state}}";
    let of = marked("{{each.org}}/{{each.repo}}/{{each.label}}/{{each.state}}/{{parent.repo.id}}");
    let flow = export("issues", uri, &(nested.to_owned() + &of));
    // A second export lists the same parents.
    let again = "[[export.each]]\nname = \"org\"\nrelative_uri = \"/orgs\"\nrecords = \"data\"\n";
    let flow = flow + &export("orgs", "/about/{{each.org}}", &(again.to_owned() + &marked("{{each.org}}")));
    let ended = copy(&api, "", &flow, &[]).expect_code(0);
    let mut expected = vec![("x".to_owned(), 7), ("y".to_owned(), 7)];
    for (org, repo) in [("x", 1), ("x", 2), ("y", 3)] {
        for label in ["bug", "idea"] {
            for state in ["open", "1"] {
                expected.push((format!("{org}/{repo}/{label}/{state}/{repo}"), 7));
            }
        }
    }
    expected.sort();
    assert_eq!(told(&ended), expected);
    // What is listed twice is asked for once: labels for every repo, orgs for both exports.
    for (path, times) in [("/labels", 1), ("/orgs", 1), ("/orgs/x/repos", 1), ("/orgs/y/repos", 1)] {
        assert_eq!(api.requests_to(path).len(), times, "{path}");
    }
}

#[test]
fn keys_come_in_batches_and_from_variables() {
    let api = Api::start(|request| {
        let ids = query(request, "ids").unwrap();
        numbers(ids.split(',').map(|id| id.parse().unwrap()))
    });
    let each = "[[export.each]]\nname = \"id\"\nvalues = \"= flow.vars.ids\"\nbatch = 3\n";
    let of = marked("= each.id | length | string");
    let query = "query = { ids = \"= each.id | join(',')\" }\n";
    let flow =
        "[vars]\nids = [1, 2, 3, 4, 5, 6, 7, 2]\n".to_owned() + &export("r", "/r", &format!("{query}{each}{of}"));
    let ended = copy(&api, "", &flow, &[]).expect_code(0);
    assert_eq!(told(&ended), pairs(&[("3", 1), ("3", 2), ("3", 3), ("3", 4), ("3", 5), ("3", 6), ("1", 7)]));
    assert_eq!(api.requests().len(), 3);
}

#[test]
fn a_parent_without_a_key_is_told_with_its_place_and_nothing_is_asked_for_it() {
    for (bad, why) in [
        ("{\"id\":null}", "null"),
        ("{\"id\":\"\"}", "empty"),
        ("{}", "missing"),
        ("{\"id\":{}}", "an object"),
        ("{\"id\":false}", "a boolean"),
    ] {
        let body = format!("{{\"data\":[{{\"id\":1}},{{\"id\":2}},{bad},{{\"id\":4}}]}}");
        let api = Api::start(move |request| match request.path() {
            "/parents" => Reply::json(200, body.clone()),
            _ => numbers([5]),
        });
        let each = "[[export.each]]\nname = \"p\"\nrelative_uri = \"/parents\"\nrecords = \"data\"\n";
        let flow = export("items", "/parents/{{each.p}}/items", &(each.to_owned() + &marked("{{each.p}}")));
        let ended = copy(&api, QUICK, &flow, &[]).expect_code(69);
        let said = &ended.stderr;
        assert!(said.contains("items each p") && said.contains("page 1, record 3") && said.contains(why), "{said}");
        assert_eq!(told(&ended), pairs(&[("1", 5), ("2", 5)]));
        let asked: BTreeSet<String> = api.requests().into_iter().map(|request| request.target).collect();
        let known = ["/parents", "/parents/1/items", "/parents/2/items"].map(str::to_owned);
        assert_eq!(asked, BTreeSet::from(known));

        // Left out by a rule, the rest is read.
        let keep = "keep = \"record.id\"\n";
        let flow = flow.replace("name = \"p\"\n", &format!("name = \"p\"\n{keep}"));
        let ended = copy(&api, QUICK, &flow, &[]).expect_code(0);
        assert_eq!(told(&ended), pairs(&[("1", 5), ("2", 5), ("4", 5)]), "{bad}");
    }
}

#[test]
fn zero_is_a_key_what_is_repeated_is_read_once_and_hostile_keys_stay_in_their_segment() {
    let parents = "{\"data\":[{\"id\":0},{\"id\":9007199254740993},{\"id\":0},{\"id\":\"../x?y#z/é{{a}}\"}]}";
    let api = Api::start(move |request| match request.path() {
        "/parents" if number(request, "p") <= 2 => {
            Reply::json(200, parents.replace("\"data\"", &format!("\"p\":{},\"data\"", number(request, "p"))))
        }
        "/parents" => numbers([]),
        _ => numbers([5]),
    });
    let more = PARENTS.to_owned() + &marked("{{each.p}}");
    let flow = export("items", "/items/{{each.p}}/x", &more);
    let ended = copy(&api, "", &flow, &[]).expect_code(0);
    assert_eq!(told(&ended), pairs(&[("../x?y#z/é{{a}}", 5), ("0", 5), ("9007199254740993", 5)]));
    let asked = |path: &str| api.requests_to(path).len();
    assert_eq!(asked("/items/0/x"), 1);
    assert_eq!(asked("/items/9007199254740993/x"), 1);
    assert_eq!(asked("/items/..%2Fx%3Fy%23z%2F%C3%A9%7B%7Ba%7D%7D/x"), 1);
    assert_eq!(api.requests().len(), 3 + 3);
}

#[test]
fn a_child_that_fails_fails_the_export_and_its_siblings_stay_delivered() {
    let api = Api::start(|request| match request.path() {
        "/parents/3/items" => Reply::json(422, "{\"error\":\"no\"}"),
        "/parents" => numbers([1, 2, 3]),
        _ => numbers([5]),
    });
    let each = "[[export.each]]\nname = \"p\"\nrelative_uri = \"/parents\"\nrecords = \"data\"\n";
    let flow = export("items", "/parents/{{each.p}}/items", &(each.to_owned() + &marked("{{each.p}}")));
    let ended = copy(&api, QUICK, &flow, &[]).expect_code(69);
    assert!(ended.stderr.contains("export items {\"p\":3} page 1"), "{}", ended.stderr);
    assert_eq!(told(&ended), pairs(&[("1", 5), ("2", 5)]));
    // With a status that means no records, it has none.
    let flow = flow.replace("[[export.each]]", "[export.paging]\nstop_status = 422\n[[export.each]]");
    assert_eq!(told(&copy(&api, QUICK, &flow, &[]).expect_code(0)), pairs(&[("1", 5), ("2", 5)]));
}

#[test]
fn an_error_record_is_tried_again_with_the_parent_it_had() {
    let mut tries = 0;
    let api = Api::start(move |request| match request.path() {
        "/parents" => Reply::json(200, "{\"data\":[{\"id\":1,\"name\":\"one\"},{\"id\":2,\"name\":\"two\"}]}"),
        "/taken/two" => {
            tries += 1;
            if tries == 1 { Reply::json(422, "{}") } else { Reply::json(201, "{}") }
        }
        path if path.starts_with("/taken") => Reply::json(201, "{}"),
        _ => numbers([5]),
    });
    let each = "[[export.each]]\nname = \"p\"\nrelative_uri = \"/parents\"\nrecords = \"data\"\n";
    let import = "[import]\nconnection = \"api\"\nrelative_uri = \"/taken/{{parent.p.name}}\"\n";
    let flow = export("items", "/parents/{{each.p}}/items", each) + import;
    let project = project(&api, QUICK, &flow);
    run(project.dir(), &["run", "copy"]).expect_code(1);
    run(project.dir(), &["errors", "retry", "1"]).expect_code(0);
    assert_eq!((api.requests_to("/taken/one").len(), api.requests_to("/taken/two").len()), (1, 2));
}

#[test]
fn killed_at_many_points_every_record_of_every_export_arrives_once() {
    for durability in ["full", "checkpoint"] {
        // A page that was in flight at three kills is parked, as it should be: two for each.
        for at in [3, 17, 40, 71, 110] {
            let api = Api::start(family(12));
            let project = Project::new();
            let more = BY_NUMBER.to_owned() + PARENTS;
            let mut flow = format!("durability = \"{durability}\"\n");
            flow += &export("items", "/parents/{{each.p}}/items", &more);
            // The same parents again, whole, and another export without any.
            flow += &export("again", "/parents/{{parent.p.id}}/items", &more);
            flow += &export("plain", "/parents", BY_NUMBER);
            flow += "[import]\nconnection = \"api\"\nrelative_uri = \"/taken\"\n\
                     idempotency_key = \"{{export.name}} {{record.id}}\"\n";
            project.connection("api", &api.base(), "concurrency_level = 3\n").write("flows/copy.toml", &flow);
            let mut kills = 0;
            let last = loop {
                let mut command = flowgate(project.dir());
                command.args(["run", "copy", "--json"]).stderr(Stdio::null());
                let seen = api.requests().len();
                let mut child = command.spawn().unwrap();
                let pid = Pid::from_child(&child);
                while api.requests().len() < seen + at && child.try_wait().unwrap().is_none() {
                    std::thread::yield_now();
                }
                if child.try_wait().unwrap().is_some() || kills == 2 {
                    break child.wait_with_output().unwrap();
                }
                kill_process(pid, Signal::KILL).unwrap();
                child.wait().unwrap();
                kills += 1;
            };
            let mut arrived: BTreeMap<String, BTreeSet<u64>> = BTreeMap::new();
            for request in api.requests_to("/taken") {
                let key = request.header("idempotency-key").unwrap();
                let (name, id) = key.split_once(' ').unwrap();
                arrived.entry(name.to_owned()).or_default().insert(id.parse().unwrap());
            }
            assert_eq!(arrived["items"], family_ids(12), "{durability} {at}");
            assert_eq!(arrived["again"], family_ids(12), "{durability} {at}");
            assert_eq!(arrived["plain"], (1..=12).collect(), "{durability} {at}");
            // Counted once, too.
            assert!(last.status.success(), "{durability} {at}");
            let account: serde_json::Value = serde_json::from_slice(&last.stdout).unwrap();
            let records = &account["runs"][0]["records"];
            assert_eq!((&records["exported"], &records["delivered"]), (&156.into(), &156.into()), "{account}");
            assert!(kills > 0 || at > 100, "{durability} {at}: never killed");
        }
    }
}

#[test]
fn ten_thousand_parents_are_walked_in_bounded_memory() {
    let api = Api::start(|request| match request.path() {
        "/parents" => {
            let p = number(request, "p");
            let row = |id: u64| format!("{{\"id\":{id},\"name\":\"{}\"}}", "n".repeat(300));
            let data: Vec<String> = (500 * (p - 1) + 1..=500 * p).take_while(|id| *id <= 10_000).map(row).collect();
            Reply::json(200, format!("{{\"data\":[{}]}}", data.join(",")))
        }
        _ => numbers([5]),
    });
    let more = "keep = \"parent.p.name == ''\"\n".to_owned() + PARENTS;
    let flow = export("items", "/parents/{{each.p}}/items", &more)
        + "[import]\nconnection = \"api\"\nrelative_uri = \"/taken\"\n";
    let project = project(&api, "concurrency_level = 8\n", &flow);
    let mut command = flowgate(project.dir());
    command.args(["run", "copy"]).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    while child.try_wait().unwrap().is_none() {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok());
        peak = peak.max(kib.unwrap_or(0));
        std::thread::yield_now();
    }
    assert!(child.wait().unwrap().success());
    assert_eq!(api.requests().iter().filter(|request| request.path() != "/parents").count(), 10_000);
    assert!(api.requests_to("/taken").is_empty());
    assert!((1..64 << 10).contains(&peak), "{peak} KiB");
}

#[test]
fn a_connections_defaults_lie_under_its_exports_and_parents() {
    let api = Api::start(family(12));
    let keys = "[export_defaults]\nrecords = \"$.data[*]\"\n[export_defaults.paging.page]\nparam = \"p\"\n";
    let each = "[[export.each]]\nname = \"p\"\nrelative_uri = \"/parents\"\n";
    let own = |flow: String| flow.replace("records = \"$.data[*]\"\n", "");
    let flow = own(export("items", "/parents/{{each.p}}/items", &(each.to_owned() + &marked("items"))))
        + &own(export("first", "/parents", &format!("paging = \"none\"\n{}", marked("first"))))
        + &own(export("other", "/parents", &format!("[export.paging.skip]\nparam = \"o\"\n{}", marked("other"))));
    let flow = flow.replace("[export.paging.skip]", "[export.paging]\nmax_pages = 1\n[export.paging.skip]");
    let ended = copy(&api, &format!("{QUICK}{keys}"), &flow, &[]);
    // The last one's own method ignores `p`, and so it is given the same page again.
    let ended = ended.expect_code(69);
    let ended = (ended.stderr.clone(), told(&ended));
    assert!(ended.0.contains("export other page 2") || ended.0.contains("max_pages"), "{}", ended.0);
    let count = |of: &str| ended.1.iter().filter(|(name, _)| name == of).count();
    assert_eq!((count("items"), count("first"), count("other")), (72, 10, 10));
}
