//! `proxy`: what goes through it, what does not, and proxies that misbehave. Real ones: `tests/peers/proxy.rs`.

use crate::support::api::{Api, Reply};
use crate::support::command::{Ended, finish, flowgate};
use crate::support::project::Project;
use crate::support::{PATIENCE, now};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::time::Duration;

/// A connection `api` with this base and these keys.
fn project(base: &str, keys: &str) -> Project {
    let project = Project::new();
    project.connection("api", base, keys);
    project
}

fn ping(project: &Project, variables: &[(&str, &str)]) -> Ended {
    let mut command = flowgate(project.dir());
    command.args(["ping", "api", "--json", "--log-level", "trace"]).envs(variables.iter().copied());
    finish(command, PATIENCE)
}

/// A proxy that does this with each connection, once the head of a request has arrived.
fn proxy(answer: impl Fn(TcpStream, String) + Send + 'static) -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let place = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let (mut stream, mut head) = (stream, Vec::new());
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") && matches!(stream.read(&mut byte), Ok(1)) {
                head.push(byte[0]);
            }
            answer(stream, String::from_utf8_lossy(&head).into_owned());
        }
    });
    place
}

fn says(text: &'static str) -> String {
    proxy(move |mut stream, _| {
        let _ = stream.write_all(text.as_bytes());
        let _ = stream.shutdown(Shutdown::Both);
    })
}

#[test]
fn plain_http_is_forwarded_with_the_login_and_the_login_is_never_shown() {
    let api = Api::start(|_| Reply::json(200, "{}"));
    let keys = format!(
        "proxy = \"http://me:{{{{connection.secrets.p}}}}@{}\"\n[secrets]\np = {{ env = \"PROXY_PASSWORD\" }}\n",
        api.addr()
    );
    let project = project("http://shop.example/v1", &keys);
    let ended = ping(&project, &[("PROXY_PASSWORD", "p@ss/w:rd")]).expect_code(0);
    let request = &api.requests()[0];
    assert_eq!(request.target, "http://shop.example/v1");
    // "me:p@ss/w:rd"
    assert_eq!(request.header("proxy-authorization"), Some("Basic bWU6cEBzcy93OnJk"));
    for text in ["p@ss", "p%40ss", "bWU6cEBz"] {
        assert!(!ended.stdout.contains(text) && !ended.stderr.contains(text), "{} {}", ended.stdout, ended.stderr);
    }
}

#[test]
fn the_environment_is_asked_only_where_the_connection_says_so() {
    let there = Api::start(|_| Reply::json(200, "{}"));
    let between = Api::start(|_| Reply::json(200, "{}"));
    let place = between.base();
    let base = there.base();
    let all = [("http_proxy", place.as_str()), ("HTTPS_PROXY", &place), ("ALL_PROXY", &place)];
    for (keys, variables, through) in [
        ("", &all[..], 0),
        ("proxy = \"none\"", &all[..], 0),
        ("proxy = \"env\"", &[][..], 0),
        ("proxy = \"env\"", &[("HTTPS_PROXY", &place)], 0),
        ("proxy = \"env\"", &[("http_proxy", &place), ("NO_PROXY", "example.com,127.0.0.0/8")], 0),
        ("proxy = \"env\"", &[("http_proxy", &place), ("NO_PROXY", "*")], 0),
        ("proxy = \"env\"", &all[..], 1),
        ("proxy = \"env\"", &[("HTTP_PROXY", &place)], 1),
        ("proxy = \"env\"", &[("ALL_PROXY", &place), ("no_proxy", "example.com")], 1),
    ] {
        let before = (between.requests().len(), there.requests().len());
        ping(&project(&base, keys), variables).expect_code(0);
        let after = (between.requests().len(), there.requests().len());
        assert_eq!(after, (before.0 + through, before.1 + 1 - through), "{keys} {variables:?}");
    }
}

#[test]
fn a_variable_that_names_no_proxy_takes_the_connection_offline_and_shows_no_password() {
    let project = project("http://shop.example", "proxy = \"env\"");
    let ended = ping(&project, &[("HTTP_PROXY", "gopher://me:hunter2@proxy.example")]).expect_code(77);
    assert!(ended.stdout.contains("`HTTP_PROXY` names no proxy"), "{}", ended.stdout);
    assert!(
        !ended.stdout.contains("hunter2") && !ended.stderr.contains("hunter2"),
        "{} {}",
        ended.stdout,
        ended.stderr
    );
}

/// An address where nobody listens.
fn nobody() -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().to_string()
}

#[test]
fn a_proxy_that_does_not_do_its_work_is_named_and_counts_as_unreachable() {
    let wants_login = "HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n";
    for (base, place, scheme, told) in [
        ("https://shop.example", says(wants_login), "http", "proxy authorization required"),
        ("http://shop.example", says(wants_login), "http", "407"),
        ("https://shop.example", says("HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n"), "http", "tunnel"),
        ("https://shop.example", says("SSH-2.0-OpenSSH_9.2\r\n"), "http", "tunnel"),
        ("http://shop.example", says("SSH-2.0-OpenSSH_9.2\r\n"), "http", "before the answer"),
        ("https://shop.example", says(""), "http", "tunnel"),
        ("https://shop.example", nobody(), "http", "refused"),
        ("http://shop.example", nobody(), "socks5h", "underlying connection"),
        ("https://shop.example", says("HTTP/1.1 200 OK\r\n\r\n"), "socks5h", "socks"),
    ] {
        let project = project(base, &format!("proxy = \"{scheme}://{place}\"\ntimeout = \"5s\"\n"));
        let ended = ping(&project, &[]).expect_code(69);
        let named = format!("through the proxy {scheme}://{place}");
        assert!(ended.stdout.contains(&named) && ended.stdout.contains(told), "{told}: {}", ended.stdout);
    }
}

#[test]
fn a_502_of_a_forwarding_proxy_is_a_fault_of_the_server_and_unreachable() {
    let place = says("HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n");
    let project = project("http://shop.example", &format!("proxy = \"http://{place}\""));
    ping(&project, &[]).expect_code(69);
}

#[test]
fn a_proxy_that_never_answers_is_left_after_connect_timeout() {
    let place = proxy(|stream, _| std::mem::forget(stream));
    let keys = format!("proxy = \"http://{place}\"\nconnect_timeout = \"300ms\"\ntimeout = \"50s\"\n");
    let began = now();
    let ended = ping(&project("https://shop.example", &keys), &[]).expect_code(69);
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    assert!(ended.stdout.contains(&format!("through the proxy http://{place}")), "{}", ended.stdout);
}

#[test]
fn a_write_that_a_proxy_refused_to_carry_has_not_left_and_is_not_parked_as_unknown() {
    let api = Api::start(|_| Reply::json(200, "{\"data\":[{\"id\":1}]}"));
    let refusing = says("HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n");
    let project = Project::new();
    project.connection("api", &api.base(), "");
    let keys = format!(
        "proxy = \"http://{refusing}\"\n[retry]\nmax_attempts = 2\nbackoff = {{ initial = \"1ms\", max = \"2ms\" }}\n"
    );
    project.connection("behind", "https://shop.example", &keys);
    let flow = "[export]\nconnection = \"api\"\nrelative_uri = \"/records\"\nrecords = \"$.data[*]\"\n\n\
                [import]\nconnection = \"behind\"\nrelative_uri = \"/taken\"\n";
    project.write("flows/copy.toml", flow);
    crate::support::command::run(project.dir(), &["run", "copy"]);
    let errors = crate::support::command::run(project.dir(), &["errors", "list", "--each", "--json"]).stdout;
    assert!(errors.contains("unreachable") && !errors.contains("unknown"), "{errors}");
}
