//! What is promised to servers, judged by software that was not written here: Apache, nginx, OpenSSL, squid, microsocks,
//! Django, oidc-provider, Handlebars, moment, Jinja2, oauthlib, PyJWT, botocore, zeep, wsse, graphql-yoga, libxml2, spyne,
//! Prometheus, Chromium, groff, OpenTelemetry, Python's csv, zipfile, email and jsonschema.
//!
//! `./test` installs them. A group whose peer is missing says that it skipped, and fails where `FLOWGATE_PEERS=required`
//! (continuous integration).

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod browser;
mod dashboard;
mod graphql;
mod graphs;
mod handlebars;
mod jinja;
mod media;
mod oauth;
#[cfg(feature = "otlp")]
mod otlp;
mod packaging;
mod pages;
mod peer;
mod pki;
mod prometheus;
mod proxy;
mod schema;
mod signed;
mod site;
mod soap;
#[path = "../it/support/mod.rs"]
#[expect(dead_code, reason = "tests/it uses the rest")]
mod support;
mod tls;
mod web;
mod xpath;

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Output};

/// Password and shared secret: quotes, `%`, beyond ASCII.
const SECRET: &str = "p%ss\"wörd+/=&";

/// A project with connection `api`, whose only flow reads `/records` below its base.
struct Project(tempfile::TempDir);

impl Project {
    fn new(base: &str, keys: &str, flow: &str) -> Self {
        let project = Self(tempfile::tempdir().unwrap());
        project.write("connections/api.toml", &format!("base_uri = \"{base}\"\n{keys}\n"));
        project.write("flows/copy.toml", &format!("[export]\nconnection = \"api\"\n{flow}\n"));
        project
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, name: &str, text: &str) {
        self.write_bytes(name, text.as_bytes());
    }

    fn write_bytes(&self, name: &str, text: &[u8]) {
        use std::os::unix::fs::PermissionsExt;
        let path = self.0.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_flowgate"));
        command.arg("-C").arg(self.0.path()).args(args).env("ACCESS", "AKID").env("SESSION", "session+token==");
        command
    }

    /// Runs the flow with this secret, which has to end like this; all output.
    #[track_caller]
    fn expect(&self, secret: &str, code: i32) -> String {
        let Output { status, stdout, stderr } = self.command(&["run", "copy"]).env("SECRET", secret).output().unwrap();
        let shown = format!("{}\n{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
        assert_eq!(status.code(), Some(code), "{shown}");
        shown
    }
}

/// A port nobody listens on.
fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

/// Waits until somebody listens there; `log` is shown when nobody ever does.
#[track_caller]
fn ready(port: u16, log: impl Fn() -> String) {
    let until = support::now() + support::PATIENCE;
    while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
        assert!(support::now() < until, "nobody listens on {port}: {}", log());
        std::thread::yield_now();
    }
}

/// A key made for tests of signing methods.
fn key(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/http/auth/testing").join(name);
    std::fs::read_to_string(path).unwrap()
}
