//! Cookie logins against Django: its own login view with its protection against forged requests, its own sessions.

use crate::{Project, SECRET, peer};
use std::process::Command;

/// The login form. The forgery token is whatever the cookie says, as Django has it.
const LOGIN: &str = "redirects = \"none\"\n[vars]\ncsrf = \"abcdefghijklmnopqrstuvwxyzABCDEF\"\n\
    [auth_failure]\nstatus = 302\n\
    [secrets]\npassword = { env = \"SECRET\" }\n\
    [auth.cookie.login]\nrelative_uri = \"/login/\"\nmedia_type = \"form\"\nsuccess_status = 302\n\
    headers = { Cookie = \"csrftoken={{connection.vars.csrf}}\" }\n\
    body = { username = \"jürgen\", password = \"{{connection.secrets.password}}\", \
             csrfmiddlewaretoken = \"{{connection.vars.csrf}}\" }\n";

/// Reads twenty records and writes them one by one.
const COPY: &str = "relative_uri = \"/records\"\n[import]\nconnection = \"api\"\nrelative_uri = \"/taken\"\n";

struct Site {
    server: peer::Server,
    _folder: tempfile::TempDir,
}

/// None where there is no Python for it.
fn site(name: &str, value: &str) -> Option<Site> {
    let python = peer::python()?;
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(python);
    command.arg(peer::script("site.py")).env("PEER_FOLDER", folder.path()).env("PEER_SECRET", SECRET).env(name, value);
    Some(Site { server: peer::Server::start(&mut command), _folder: folder })
}

impl Site {
    fn project(&self, keys: &str) -> Project {
        Project::new(&self.server.base, &format!("{keys}{LOGIN}"), COPY)
    }

    /// Logins, refusals, answers, distinct session keys.
    fn seen(&self) -> [u64; 4] {
        let seen = self.server.seen();
        ["logins", "refused", "answered", "keys"].map(|name| seen[name].as_u64().unwrap())
    }
}

#[test]
fn django_takes_the_login_form_and_says_what_is_wrong_with_it() {
    let Some(site) = site("PEER_AGE", "600") else { return };
    site.project("").expect(SECRET, 0);
    assert_eq!(site.seen(), [1, 0, 21, 1], "one session for all");
    let shown = site.project("").expect("wrong", 77);
    assert!(shown.contains("Please enter a correct username and password"), "{shown}");
    assert_eq!(site.seen(), [1, 0, 21, 1], "nothing was asked without a session");
}

#[test]
fn django_renews_the_session_with_every_answer_and_the_newest_cookie_is_sent() {
    let Some(site) = site("PEER_CYCLE", "yes") else { return };
    site.project("concurrency_level = 1\n").expect(SECRET, 0);
    assert_eq!(site.seen(), [1, 0, 21, 21], "each key is good for one request, and no other login was needed");
}

#[test]
fn django_s_sessions_come_to_their_end_and_each_end_costs_one_refusal_and_one_login() {
    // Thrown away by the server after so many answers.
    let Some(lost) = site("PEER_CLEAR", "5") else { return };
    lost.project("concurrency_level = 1\n").expect(SECRET, 0);
    assert_eq!(lost.seen(), [5, 4, 21, 5]);
    // With several requests under way, still one login for all of them.
    let Some(lost) = site("PEER_CLEAR", "12") else { return };
    lost.project("concurrency_level = 4\n").expect(SECRET, 0);
    let [logins, refused, answered, keys] = lost.seen();
    assert!((logins, answered, keys) == (2, 21, 2) && (1..=4).contains(&refused), "{:?}", lost.seen());
    // At the end of their second.
    let Some(old) = site("PEER_AGE", "1") else { return };
    old.project("rate = [\"10/1s\"]\nconcurrency_level = 1\n").expect(SECRET, 0);
    let [logins, refused, answered, keys] = old.seen();
    assert_eq!((answered, logins, logins), (21, refused + 1, keys), "{:?}", old.seen());
    assert!(logins >= 2, "two seconds of requests: {logins}");
}
