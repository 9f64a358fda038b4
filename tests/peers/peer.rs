//! Where peers are found, and what happens when they are not.

use std::path::PathBuf;

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

fn found(name: &str, path: Option<PathBuf>) -> Option<PathBuf> {
    if path.is_none() {
        let required = variable("FLOWGATE_PEERS").is_some_and(|value| value == "required");
        assert!(!required, "{name} is missing, and FLOWGATE_PEERS=required");
        eprintln!("SKIPPED: {name} is not installed; `./test` installs it");
    }
    path
}
