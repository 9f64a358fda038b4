//! A connection that borrows and the one that lends may have one credential: it is renewed once for both, and a grant
//! that a server rotates is never used twice.

use crate::support::api::{Api, Gate, Reply, Request};
use crate::support::command::{Ended, finish, flowgate};
use crate::support::flow::QUICK;
use crate::support::project::Project;
use crate::support::{PATIENCE, flow::taken};
use serde_json::Value;
use std::collections::HashSet;

fn bearer(request: &Request) -> &str {
    request.header("authorization").and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default()
}

fn field(request: &Request, name: &str) -> String {
    let pairs = url::form_urlencoded::parse(request.body.as_bytes());
    pairs.into_owned().find(|(n, _)| n == name).map(|(_, value)| value).unwrap_or_default()
}

fn records(count: usize) -> Reply {
    let ids: Vec<String> = (1..=count).map(|id| format!("{{\"id\":{id}}}")).collect();
    Reply::json(200, format!("[{}]", ids.join(",")))
}

/// A flow that reads at the lender and writes at the borrower.
fn project(api: &Api, lender: &str, borrower: &str) -> Project {
    let project = Project::new();
    project.connection("lender", &api.base(), &format!("concurrency_level = 4\n{QUICK}{lender}"));
    project.connection("borrower", &api.base(), &format!("borrow_concurrency_from = \"lender\"\n{QUICK}{borrower}"));
    project.write(
        "flows/copy.toml",
        "[export]\nconnection = \"lender\"\nrelative_uri = \"/records\"\n[export.paging.page]\nparam = \"p\"\n\
         [import]\nconnection = \"borrower\"\nrelative_uri = \"/taken\"\n",
    );
    project
}

const CLIENT: &str = "[auth.oauth2]\ntoken_uri = \"/token\"\ngrant = \"client_credentials\"\nclient_id = \"me\"\n\
                      client_secret = { env = \"SECRET\" }\n";

fn ended(project: &Project, args: &[&str]) -> Ended {
    let mut command = flowgate(project.dir());
    command.args(args).env("SECRET", "s1-secret").env("FIRST", "t0-first").env("GRANT", "r0-first");
    finish(command, PATIENCE).expect_code(0)
}

fn go(project: &Project) {
    ended(project, &["run", "copy"]);
}

/// Refuses the first token that the borrower comes with, four requests together.
fn refusing_together() -> Api {
    let gate = Gate::default();
    let (mut refused, mut tokens, mut bad) = (0, 0, None);
    Api::start(move |request| match (request.path(), bearer(request)) {
        ("/token", _) => {
            tokens += 1;
            Reply::json(200, format!("{{\"access_token\":\"token-{tokens}\",\"expires_in\":3600}}"))
        }
        ("/records", _) if request.target.contains("p=1") => records(8),
        ("/records", _) => Reply::json(200, "[]"),
        (_, token) if bad.get_or_insert_with(|| token.to_owned()) == token => {
            refused += 1;
            if refused == 4 {
                gate.open();
            }
            Reply::json(401, "{}").behind(&gate)
        }
        _ => Reply::json(201, "{}"),
    })
}

#[test]
fn borrower_and_lender_with_one_grant_ask_for_one_token() {
    let api = refusing_together();
    go(&project(&api, CLIENT, CLIENT));
    assert_eq!(taken(&api).into_iter().collect::<HashSet<_>>().len(), 8);
    // The first, and one when four were refused together: the lender's requests go on with that.
    assert_eq!(api.requests_to("/token").len(), 2);
}

#[test]
fn connections_that_ask_in_other_ways_have_a_token_each() {
    for (lender, borrower) in [
        (CLIENT.to_owned(), CLIENT.replace("\"me\"", "\"another\"")),
        (CLIENT.to_owned(), format!("{CLIENT}scopes = [\"write\"]\n")),
    ] {
        let api = refusing_together();
        go(&project(&api, &lender, &borrower));
        let asked = |request: Request| format!("{} {:?}", request.body, request.header("authorization"));
        let asked: HashSet<String> = api.requests_to("/token").into_iter().map(asked).collect();
        assert_eq!(asked.len(), 2, "{borrower}");
    }
}

#[test]
fn a_grant_that_rotates_is_used_once_by_all_and_is_known_under_each_name() {
    let refresh = "[auth.token]\ntoken = { env = \"FIRST\" }\n[auth.token.refresh]\n\
                   refresh_token = { env = \"GRANT\" }\nrelative_uri = \"/token\"\n";
    // Every token is good for three requests; a grant used twice ends the family.
    let (mut newest, mut uses, mut revoked) = (0, 0, false);
    let api = Api::start(move |request| {
        let good = bearer(request) == format!("token-{newest}") && !revoked;
        match request.path() {
            "/token" => {
                let wanted = if newest == 0 { "r0-first".to_owned() } else { format!("grant-{newest}") };
                revoked |= field(request, "refresh_token") != wanted;
                if revoked {
                    return Reply::json(400, "{\"error\":\"invalid_grant\"}");
                }
                (newest, uses) = (newest + 1, 0);
                let body = format!("{{\"access_token\":\"token-{newest}\",\"refresh_token\":\"grant-{newest}\"}}");
                Reply::json(200, body)
            }
            _ if !good || uses == 3 => Reply::json(401, "{}"),
            path => {
                uses += 1;
                match path {
                    "/records" if request.target.contains("p=1") => records(10),
                    "/records" => Reply::json(200, "[]"),
                    _ => Reply::json(201, "{}"),
                }
            }
        }
    });
    let project = project(&api, refresh, refresh);
    let lender = std::fs::read_to_string(project.path("connections/lender.toml")).unwrap();
    project.write("connections/lender.toml", &lender.replace("concurrency_level = 4", "concurrency_level = 1"));
    go(&project);
    assert_eq!(taken(&api).into_iter().collect::<HashSet<_>>(), (1..=10).collect());
    let status: Value = serde_json::from_str(&ended(&project, &["auth", "status", "--json"]).stdout).unwrap();
    let shown: Vec<&Value> = status["connections"].as_array().unwrap().iter().collect();
    assert_eq!(shown.len(), 2, "{status}");
    let generation = |at: usize| shown[at]["token"]["generation"].as_u64();
    assert_eq!(generation(0), generation(1), "{status}");
    assert!(generation(0) > Some(2), "{status}");
    // The next process goes on from there, whoever begins; also when the lender has another name, or is another.
    go(&project);
    let rename = |from: &str, to: &str| std::fs::rename(project.path(from), project.path(to)).unwrap();
    rename("connections/lender.toml", "connections/renamed.toml");
    let change = |name: &str, from: &str, to: &str| {
        let text = std::fs::read_to_string(project.path(name)).unwrap();
        project.write(name, &text.replace(from, to));
    };
    change("connections/borrower.toml", "\"lender\"", "\"renamed\"");
    change("flows/copy.toml", "\"lender\"", "\"borrower\"");
    go(&project);
    change("connections/renamed.toml", "/token", "/other");
    go(&project);
}
