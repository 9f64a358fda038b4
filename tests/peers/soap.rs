//! The SOAP example against a service made with spyne, which checks envelopes against its schema.

use crate::peer;
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

const PASSWORD: &str = "p<&\"wörd";

struct Service {
    child: Child,
    base: String,
    state: tempfile::TempDir,
}

impl Service {
    fn start() -> Option<Self> {
        let python = peer::python()?;
        let state = tempfile::tempdir().unwrap();
        let mut child = Command::new(python)
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/soap.py"))
            .env("SOAP_PASSWORD", PASSWORD)
            .env("PEER_LEDGER", state.path().join("ledger"))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut port = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut port).unwrap();
        assert!(!port.trim().is_empty(), "the service did not start");
        Some(Self { child, base: format!("http://127.0.0.1:{}", port.trim()), state })
    }

    /// Runs the example with this password; exit code and what it said.
    fn run(&self, password: &str) -> (Option<i32>, String) {
        let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/soap");
        let output = Command::new(env!("CARGO_BIN_EXE_flowgate"))
            .arg("-C")
            .arg(example)
            .arg("--state")
            .arg(self.state.path().join(format!("state-{}", password.len())))
            .args(["run", "customers"])
            .env("FLOWGATE_PLAYGROUND", &self.base)
            .env("SOAP_PASSWORD", password)
            .output()
            .unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    }

    fn ledger(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.state.path().join("ledger")).unwrap_or_default();
        let mut lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        lines.sort_by_key(|line| line["ext_id"].as_u64());
        lines
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_soap_example_copies_the_customers_of_a_spyne_service() {
    let Some(service) = Service::start() else { return };
    let (code, shown) = service.run(PASSWORD);
    assert_eq!(code, Some(1), "one of them is refused: {shown}");
    assert!(shown.contains("nobody is number 13"), "{shown}");
    let taken = service.ledger();
    let expected: Vec<Value> = (1..=120)
        .filter(|number| *number != 13)
        .map(|number| {
            serde_json::json!({
                "ext_id": number, "name": format!("<Ann {number}> O'Brien & \"Söhne\" ]]>"),
                "email": format!("c{number}@example.test"), "country": "DE", "newsletter": number % 2 == 0,
            })
        })
        .collect();
    assert_eq!(taken, expected);
}

#[test]
fn a_spyne_service_refuses_another_password_by_a_fault() {
    let Some(service) = Service::start() else { return };
    let (code, shown) = service.run("wrong");
    assert_eq!(code, Some(69), "{shown}");
    assert!(shown.contains("who are you?") && service.ledger().is_empty(), "{shown}");
}
