//! A simulator of paging APIs: every style beside every stop rule, and servers that lie or lead in circles. All cases of
//! a table are flows of one project, run by one process.

use crate::support::api::{Api, Reply, Request};
use crate::support::command::run;
use crate::support::flow::QUICK;
use crate::support::project::Project;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// Records of a well-behaved API, on pages of [`SIZE`].
const RECORDS: u64 = 7;
const SIZE: u64 = 2;

type Script = Box<dyn FnMut(&Request, u64) -> Reply + Send>;

/// One API and what a flow makes of it.
struct Case {
    name: String,
    /// Keys and tables of `[export]`.
    export: String,
    /// Answers a request, given how many this case had before, from 1.
    script: Script,
    /// The ids that must come, in order.
    ids: Vec<u64>,
    /// Part of the reason, when it must fail.
    fails: Option<&'static str>,
    /// Requests at most; exactly, when it must not fail.
    requests: usize,
}

/// Runs all cases at once and judges each.
fn judge(cases: Vec<Case>) {
    let count = cases.len();
    let (mut project, mut scripts, mut wanted) = (Vec::new(), Vec::new(), Vec::new());
    for (at, case) in cases.into_iter().enumerate() {
        let text = format!(
            "[export]\nconnection = \"api\"\nrelative_uri = \"/{at}\"\nrecords = \"$.data[*]\"\n{}\n\
             [export.transform.create]\nid = \"$.id\"\nof = {{ literal = {at} }}\n",
            case.export
        );
        project.push((at, text));
        scripts.push((case.script, 0));
        wanted.push((case.name, case.ids, case.fails, case.requests));
    }
    let scripts = Arc::new(Mutex::new(scripts));
    let api = Api::start(move |request| {
        let at: usize = request.path()[1..].split('/').next().unwrap().parse().unwrap();
        let mut scripts = scripts.lock().unwrap();
        let (script, asked) = &mut scripts[at];
        *asked += 1;
        script(request, *asked)
    });
    let folder = Project::new();
    folder.connection("api", &api.base(), QUICK);
    let mut arguments = vec!["run".to_owned(), "--json".to_owned()];
    for (at, text) in project {
        folder.write(&format!("flows/case{at}.toml"), &text);
        arguments.push(format!("case{at}"));
    }
    let ended = run(folder.dir(), &arguments);
    let account = ended.stderr.lines().find_map(|line| serde_json::from_str::<Value>(line).ok());
    let account = account.unwrap_or_else(|| panic!("{}", ended.stderr));
    let mut came: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    for line in ended.stdout.lines() {
        let record: Value = serde_json::from_str(line).unwrap();
        came.entry(record["of"].as_u64().unwrap()).or_default().push(record["id"].as_u64().unwrap());
    }
    let requests = api.requests();
    let runs = account["runs"].as_array().unwrap();
    assert_eq!(runs.len(), count);
    let mut problems = Vec::new();
    for (at, (name, ids, fails, most)) in wanted.into_iter().enumerate() {
        let run = runs.iter().find(|run| run["flow"] == format!("case{at}")).unwrap();
        let path = format!("/{at}");
        let asked = requests
            .iter()
            .filter(|request| request.path() == path || request.path().starts_with(&(path.clone() + "/")));
        let asked = asked.count();
        let came = came.remove(&(at as u64)).unwrap_or_default();
        let told = run.to_string();
        let right = match fails {
            None => run["outcome"] == "succeeded" && asked == most,
            Some(reason) => run["outcome"] == "failed" && told.contains(reason) && asked <= most,
        };
        if !right || came != ids {
            problems.push(format!("{name}: {asked} requests of {most}, {came:?} of {ids:?}, {told}"));
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

fn query(request: &Request, name: &str) -> Option<String> {
    let query = request.target.split_once('?')?.1;
    url::form_urlencoded::parse(query.as_bytes()).find(|(n, _)| n == name).map(|(_, value)| value.into_owned())
}

/// Where a paging parameter was sent.
fn sent(request: &Request, place: &str) -> Option<String> {
    match place {
        "query" => query(request, "at"),
        "header" => request.header("x-at").map(str::to_owned),
        _ => {
            let body: Value = serde_json::from_str(&request.body).unwrap_or_default();
            let value = body["page"]["at"].clone();
            (!value.is_null()).then(|| value.as_str().map_or_else(|| value.to_string(), str::to_owned))
        }
    }
}

/// A token for an offset, with characters that have to be escaped.
fn token(offset: u64) -> String {
    format!("a/b&c=d+e %é\"{offset}")
}

/// A style of paging: the method's table, further keys, and the offset a request asks for.
struct Style {
    name: &'static str,
    table: String,
    keys: &'static str,
    offset: fn(&Request, &str) -> u64,
    place: &'static str,
    /// Whether its own way of ending is an empty page, not an absent pointer.
    counts: bool,
    sized: bool,
}

fn styles() -> Vec<Style> {
    let mut all = Vec::new();
    for (place, param, keys) in [
        ("query", "at", ""),
        ("header", "X-At", ""),
        ("body", "page.at", "method = \"POST\"\nbody = { page = { open = true } }\n"),
    ] {
        let spot = format!("in = \"{place}\"\nparam = \"{param}\"\n");
        let sized = if place == "query" { "size_param = \"size\"\nsize = 2\n" } else { "size = 2\n" };
        let style =
            |name, table: String, offset, counts| Style { name, table, keys, offset, place, counts, sized: true };
        let of_page: fn(&Request, &str) -> u64 =
            |request, place| sent(request, place).map_or(0, |text| (text.parse::<u64>().unwrap() - 1) * SIZE);
        let of_zero: fn(&Request, &str) -> u64 =
            |request, place| sent(request, place).map_or(0, |text| text.parse::<u64>().unwrap() * SIZE);
        let of_skip: fn(&Request, &str) -> u64 =
            |request, place| sent(request, place).map_or(0, |text| text.parse().unwrap());
        let of_token: fn(&Request, &str) -> u64 =
            |request, place| sent(request, place).map_or(0, |text| text.rsplit('"').next().unwrap().parse().unwrap());
        all.push(style("page", format!("[export.paging.page]\n{spot}{sized}"), of_page, true));
        all.push(style("page from 0", format!("[export.paging.page]\nstart = 0\n{spot}{sized}"), of_zero, true));
        all.push(style(
            "page, not at first",
            format!("[export.paging.page]\nfirst = false\n{spot}{sized}"),
            of_page,
            true,
        ));
        all.push(style("skip", format!("[export.paging.skip]\n{spot}{sized}"), of_skip, true));
        all.push(style("token", format!("[export.paging.token]\npath = \"next\"\n{spot}{sized}"), of_token, false));
        if place == "query" {
            let from = "from = \"= previous.last_record.id\"\n";
            all.push(style("token of a record", format!("[export.paging.token]\n{from}{spot}{sized}"), of_skip, true));
            let header = "header = \"X-Next\"\n";
            all.push(style(
                "token of a header",
                format!("[export.paging.token]\n{header}{spot}{sized}"),
                of_skip,
                false,
            ));
        }
    }
    let by_url: fn(&Request, &str) -> u64 = |request, _| query(request, "from").map_or(0, |text| text.parse().unwrap());
    for (name, table) in [
        ("absolute link", "[export.paging.next_url]\npath = \"absolute\"\n"),
        ("relative link", "[export.paging.next_url]\npath = \"relative\"\n"),
        ("link of a query", "[export.paging.next_url]\npath = \"only_query\"\n"),
        ("link header", "[export.paging.link_header]\n"),
        ("next", "[export.paging.next]\nrelative_uri = \"AT?from={{previous.body.offset}}\"\n"),
    ] {
        let table = table.to_owned();
        all.push(Style { name, table, keys: "", offset: by_url, place: "query", counts: false, sized: false });
    }
    all
}

/// How an API says that nothing follows.
const ENDINGS: [&str; 5] = ["absent", "null", "\"\"", "false", "[]"];

/// A page of a well-behaved API, with every sign that any style or rule may look at.
fn honest(request: &Request, at: usize, offset: u64, ending: &str) -> Reply {
    if offset >= RECORDS {
        return Reply::json(404, "{\"data\":[],\"more\":false}");
    }
    let next = offset + SIZE;
    let ids = offset + 1..=next.min(RECORDS);
    let data: Vec<Value> = ids.map(|id| json!({"id": id})).collect();
    let mut body = json!({"data": data, "more": next < RECORDS, "total": RECORDS, "pages": 4});
    let mut reply_headers = Vec::new();
    if next < RECORDS {
        let host = request.header("host").unwrap();
        body["next"] = token(next).into();
        body["offset"] = next.into();
        body["absolute"] = format!("http://{host}/{at}?from={next}").into();
        body["relative"] = format!("/{at}?from={next}").into();
        body["only_query"] = format!("?from={next}").into();
        reply_headers.push(("x-next", next.to_string()));
        reply_headers.push(("link", format!("</{at}?from=0>; rel=\"first\", </{at}?from={next}>; rel=\"next\"")));
    } else if ending != "absent" {
        for name in ["next", "offset", "absolute", "relative", "only_query"] {
            body[name] = serde_json::from_str(ending).unwrap();
        }
        reply_headers.push(("x-next", String::new()));
    }
    let reply = Reply::json(200, body.to_string());
    reply_headers.iter().fold(reply, |reply, (name, value)| reply.header(name, value))
}

#[test]
fn every_style_with_every_stop_rule_brings_every_record_once_and_asks_no_more_than_it_must() {
    // The rule, whether it saves the request that would bring nothing, whether it needs a size.
    let rules = [
        ("stop_status = 404", false, false),
        ("stop_status = 404\nstop = { path = \"more\", values = [\"false\"] }", true, false),
        ("stop_status = 404\nstop_when = \"not previous.body.more\"", true, false),
        ("stop_status = 404\ntotal_path = \"total\"", true, false),
        ("stop_status = 404\npages_path = \"$.pages\"", true, false),
        ("stop_status = 404\nshort_page = \"stop\"", true, true),
        ("stop_status = 404\nmax_pages = 5", false, false),
    ];
    let mut cases = Vec::new();
    for style in styles() {
        for (rule, saves, needs_size) in rules {
            if needs_size && !style.sized {
                continue;
            }
            let endings = if style.counts || saves { &ENDINGS[..1] } else { &ENDINGS[..] };
            for ending in endings {
                let at = cases.len();
                let (offset, place) = (style.offset, style.place);
                cases.push(Case {
                    name: format!("{} in {} with {rule}, {ending}", style.name, style.place),
                    export: format!(
                        "{}[export.paging]\n{rule}\n{}",
                        style.keys,
                        style.table.replace("AT", &format!("/{at}"))
                    ),
                    script: Box::new(move |request, _| honest(request, at, offset(request, place), ending)),
                    ids: (1..=RECORDS).collect(),
                    fails: None,
                    requests: if style.counts && !saves { 5 } else { 4 },
                });
            }
        }
    }
    assert!(cases.len() > 150, "{}", cases.len());
    judge(cases);
}

/// A page of one record and whatever else.
fn one(id: u64, beside: Value) -> Reply {
    let mut body = beside;
    body["data"] = json!([{"id": id}]);
    Reply::json(200, body.to_string())
}

fn circle(
    name: &str,
    table: &str,
    period: usize,
    first: u64,
    script: impl FnMut(&Request, u64) -> Reply + Send + 'static,
) -> Case {
    Case {
        name: name.to_owned(),
        export: table.to_owned(),
        script: Box::new(script),
        ids: (1..=first).collect(),
        fails: Some("same"),
        requests: period + 2,
    }
}

#[test]
fn servers_that_lead_in_circles_are_left_within_two_repeated_pages() {
    const TOKEN: &str = "[export.paging.token]\nparam = \"t\"\npath = \"next\"\n";
    const LINK: &str = "[export.paging.next_url]\npath = \"next\"\n";
    let mut cases = vec![
        circle("page is ignored", "[export.paging.page]\nparam = \"p\"\n", 1, 1, |_, _| one(1, json!({}))),
        circle("skip is ignored", "[export.paging.skip]\nparam = \"o\"\n", 1, 1, |_, _| one(1, json!({}))),
        circle(
            "size is honoured, page is not",
            "[export.paging]\nshort_page = \"stop\"\n[export.paging.page]\nparam = \"p\"\nsize_param = \"s\"\nsize = 1\n",
            1,
            1,
            |_, _| one(1, json!({"total": 9})),
        ),
        circle("the last page comes again", "[export.paging.page]\nparam = \"p\"\n", 3, 3, |request, _| {
            one(query(request, "p").unwrap().parse::<u64>().unwrap().min(3), json!({}))
        }),
        circle(
            "a page comes again with other white space",
            "[export.paging.page]\nparam = \"p\"\n",
            2,
            2,
            |_, asked| {
                let id = (asked - 1) % 2 + 1;
                Reply::json(200, format!("{{\"data\":{}[{{\"id\":{id}}}]}}", " \n".repeat(asked.try_into().unwrap())))
            },
        ),
        circle(
            "more is true for ever",
            "[export.paging]\nstop_when = \"not previous.body.more\"\n[export.paging.page]\nparam = \"p\"\n",
            1,
            1,
            |_, _| one(1, json!({"more": true})),
        ),
        circle("the link header leads to itself", "[export.paging.link_header]\n", 1, 1, |request, asked| {
            one(asked, json!({})).header("link", &format!("<{}>; rel=\"next\"", request.path()))
        }),
        circle("the link is the page itself", LINK, 1, 1, |request, asked| one(asked, json!({"next": request.path()}))),
        circle(
            "a token that stays",
            "[export.paging.token]\nparam = \"t\"\nheader = \"X-Next\"\n",
            2,
            2,
            |_, asked| one(asked, json!({})).header("x-next", "same again"),
        ),
        circle(
            "the next request is always the same",
            "[export.paging.next]\nrelative_uri = \"/r?at={{previous.body.at}}\"\n",
            2,
            2,
            |_, asked| one(asked, json!({"at": "x"})),
        ),
    ];
    // This one's request is of its own path.
    let last = cases.len() - 1;
    cases[last].export = cases[last].export.replace("/r?", &format!("/{last}?"));
    for period in 2..=5_u64 {
        let length = usize::try_from(period).unwrap();
        let name = |what: &str| format!("{what} in a circle of {period}");
        // t1 … tn, t1: the request after the last one would be the second again.
        cases.push(circle(&name("tokens"), TOKEN, length + 1, period + 1, move |_, asked| {
            one(asked, json!({"next": format!("t{}", (asked - 1) % period)}))
        }));
        cases.push(circle(
            &name("bodies under new tokens"),
            "[export.paging.token]\nparam = \"t\"\nheader = \"X-Next\"\n",
            length,
            period,
            move |_, asked| one((asked - 1) % period + 1, json!({})).header("x-next", &asked.to_string()),
        ));
        cases.push(circle(&name("links"), LINK, length, period, move |request, asked| {
            let next = asked % period;
            let query = if next == 0 { String::new() } else { format!("?n={next}") };
            one(asked, json!({"next": format!("{}{query}", request.path())}))
        }));
    }
    assert!(cases.len() >= 12);
    judge(cases);
}

const NUMBERED: &str = "[export.paging.page]\nparam = \"p\"\n";

fn lie(name: &str, export: String, last: u64, fails: Option<&'static str>, requests: usize, script: Script) -> Case {
    Case { name: name.to_owned(), export, script, ids: (1..=last).collect(), fails, requests }
}

fn with(rule: &str, method: &str) -> String {
    format!("[export.paging]\n{rule}\n{method}")
}

fn asked_for(request: &Request) -> u64 {
    query(request, "p").unwrap().parse().unwrap()
}

/// So many pages of one record, and empty ones after them.
fn up_to(last: u64, beside: Value) -> Script {
    Box::new(move |request, _| match asked_for(request) {
        p if p <= last => one(p, beside.clone()),
        _ => Reply::json(200, "{\"data\":[],\"more\":true,\"total\":0}"),
    })
}

#[test]
fn servers_that_lie_about_what_follows_cost_no_record() {
    let total = || with("total_path = \"total\"", NUMBERED);
    let more = with("stop_when = \"not previous.body.more\"", NUMBERED);
    judge(vec![
        lie("more for ever, but empty pages", more, 3, None, 4, up_to(3, json!({"more": true}))),
        lie("a total of nothing beside records", total(), 3, None, 4, up_to(3, json!({"total": 0}))),
        lie("a total that is a text", total(), 3, None, 3, up_to(9, json!({"total": "3"}))),
        lie("a total that is no number", total(), 9, None, 10, up_to(9, json!({"total": {}}))),
        lie(
            "a total that shrinks",
            total(),
            3,
            None,
            3,
            Box::new(|request, _| one(asked_for(request), json!({"total": 6 - asked_for(request)}))),
        ),
        lie("pages for ever", with("max_pages = 5", NUMBERED), 5, Some("max_pages"), 5, up_to(1_000, json!({}))),
        lie(
            "a status that stops before page 2",
            with("stop_status = [404, 416]", NUMBERED),
            0,
            None,
            1,
            Box::new(|_, _| Reply::json(416, "{}")),
        ),
        lie(
            "a failure in the middle",
            with("stop_status = 404", NUMBERED),
            2,
            Some("422"),
            3,
            Box::new(|request, _| match asked_for(request) {
                p if p < 3 => one(p, json!({})),
                _ => Reply::json(422, "{\"error\":\"no\"}"),
            }),
        ),
    ]);
}

#[test]
fn tokens_and_links_that_lie_lead_nowhere_else() {
    let token = "[export.paging.token]\nparam = \"t\"\npath = \"next\"\n";
    let mut cases = vec![
        lie(
            "a token that is a number",
            token.to_owned(),
            2,
            None,
            2,
            Box::new(|request, _| match query(request, "t").as_deref() {
                None => one(1, json!({"next": 9_007_199_254_740_993_u64})),
                Some("9007199254740993") => one(2, json!({})),
                Some(other) => panic!("{other}"),
            }),
        ),
        lie(
            "a token that is an object",
            token.to_owned(),
            1,
            Some("an object"),
            1,
            Box::new(|_, _| one(1, json!({"next": {"a": 1}}))),
        ),
        lie(
            "a header link to elsewhere",
            "[export.paging.link_header]\n".to_owned(),
            1,
            Some("origin"),
            1,
            Box::new(|_, _| one(1, json!({})).header("link", "<http://192.0.2.1/x>; rel=\"next\"")),
        ),
    ];
    for (link, reason) in [
        ("http://192.0.2.1/x", "origin"),
        ("//192.0.2.1/x", "origin"),
        ("http://api@192.0.2.1/x", "user name"),
        ("http://[", "next page"),
    ] {
        let table = "[export.paging.next_url]\npath = \"next\"\n".to_owned();
        cases.push(lie(link, table, 1, Some(reason), 1, Box::new(move |_, _| one(1, json!({"next": link})))));
    }
    judge(cases);
}
