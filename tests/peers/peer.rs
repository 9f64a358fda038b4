//! Where peers are found, what happens when they are not, and servers of our own making around them.

use crate::browser;
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

#[expect(clippy::disallowed_methods, reason = "switches of the test command")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// A program of this name, or none after saying that the group is skipped.
pub fn program(name: &str) -> Option<PathBuf> {
    let path = variable("PATH").unwrap_or_default();
    let own = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/tools");
    let folders = std::env::split_paths(&path).chain([own, "/usr/sbin".into(), "/sbin".into()]);
    found(name, folders.map(|folder| folder.join(name)).find(|path| path.is_file()))
}

/// Python with the packages of `requirements.txt`.
pub fn python() -> Option<PathBuf> {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/tools/peers/bin/python");
    let python = variable("FLOWGATE_PEERS_PYTHON").map_or(here, PathBuf::from);
    found("python with tests/peers/requirements.txt", Some(python).filter(|path| path.is_file()))
}

/// A program that a package of `requirements.txt` brings.
pub fn python_program(name: &str) -> Option<PathBuf> {
    let program = python()?.with_file_name(name);
    found(name, Some(program).filter(|path| path.is_file()))
}

/// Node, and the folder with the packages of `package.json`.
pub fn node() -> Option<(PathBuf, PathBuf)> {
    node_with("oidc-provider")
}

/// The same, with this package there.
pub fn node_with(package: &str) -> Option<(PathBuf, PathBuf)> {
    let node = program("node")?;
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/tools/npm/node_modules");
    let modules = variable("FLOWGATE_PEERS_NODE_MODULES").map_or(here, PathBuf::from);
    let modules = Some(modules).filter(|path| path.join(package).is_dir());
    Some((node, found(&format!("{package} of tests/peers/package.json"), modules)?))
}

fn found(name: &str, path: Option<PathBuf>) -> Option<PathBuf> {
    if path.is_none() {
        let required = variable("FLOWGATE_PEERS").is_some_and(|value| value == "required");
        assert!(!required, "{name} is missing, and FLOWGATE_PEERS=required");
        eprintln!("SKIPPED: {name} is not installed; `./test` installs it");
    }
    path
}

/// A script that prints its port and then serves; it ends with this.
pub struct Server {
    child: Child,
    pub base: String,
}

impl Server {
    pub fn start(command: &mut Command) -> Self {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let mut port = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut port).unwrap();
        let port: u16 = port.trim().parse().unwrap_or_else(|_| panic!("it does not start: {command:?}"));
        Self { child, base: format!("http://127.0.0.1:{port}") }
    }

    pub fn text(&self, path: &str) -> String {
        browser::get(&format!("{}{path}", self.base), &mut Vec::new()).body
    }

    /// What it has counted.
    pub fn seen(&self) -> Value {
        serde_json::from_str(&self.text("/seen")).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A script of this folder.
pub fn script(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/peers").join(name)
}
