//! What a command found: one JSON line, and whether every promise was kept.

use serde_json::{Map, Value};

/// The most broken promises that are told one by one.
const MOST_TOLD: usize = 12;

/// The figures of one command, in the order they were set.
pub struct Figures {
    values: Map<String, Value>,
    broken: Vec<String>,
    missing: Vec<String>,
    count: usize,
}

impl Figures {
    /// The figures of the command with this name.
    pub fn of(command: &str, seed: u64) -> Self {
        let mut values = Map::new();
        values.insert("torture".into(), command.into());
        values.insert("seed".into(), seed.into());
        Self { values, broken: Vec::new(), missing: Vec::new(), count: 0 }
    }

    /// Sets a figure.
    pub fn set(&mut self, name: &str, value: impl Into<Value>) -> &mut Self {
        self.values.insert(name.to_owned(), value.into());
        self
    }

    /// Adds to a figure.
    pub fn add(&mut self, name: &str, more: u64) {
        let now = self.values.get(name).and_then(Value::as_u64).unwrap_or(0);
        self.set(name, now + more);
    }

    /// Keeps the greatest.
    pub fn most(&mut self, name: &str, value: u64) {
        let now = self.values.get(name).and_then(Value::as_u64).unwrap_or(0);
        self.set(name, now.max(value));
    }

    /// A broken promise.
    pub fn fail(&mut self, what: impl Into<String>) {
        self.count += 1;
        if self.broken.len() < MOST_TOLD {
            self.broken.push(what.into());
        }
    }

    /// A broken promise, unless it holds.
    pub fn demand(&mut self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.fail(what());
        }
    }

    /// A privilege or program that is not there: what was done without it is not shown.
    pub fn lacks(&mut self, what: impl Into<String>) {
        let what = what.into();
        if !self.missing.contains(&what) {
            self.missing.push(what);
        }
    }

    /// A figure as set.
    pub fn get(&self, name: &str) -> u64 {
        self.values.get(name).and_then(Value::as_u64).unwrap_or(0)
    }

    /// How many promises were broken.
    pub fn broken(&self) -> usize {
        self.count
    }

    /// Whether every promise was kept.
    pub fn passed(&self) -> bool {
        self.count == 0
    }

    /// One line.
    pub fn line(&self) -> String {
        let mut values = self.values.clone();
        if !self.missing.is_empty() {
            values.insert("lacks".into(), self.missing.clone().into());
        }
        if self.count > 0 {
            values.insert("broken".into(), self.count.into());
            values.insert("first_broken".into(), self.broken.clone().into());
        }
        values.insert("passed".into(), self.passed().into());
        Value::Object(values).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_promise_is_told_and_decides() {
        let mut figures = Figures::of("crash", 7);
        figures.add("points", 2);
        figures.add("points", 3);
        figures.most("recovery_ms", 9);
        figures.most("recovery_ms", 4);
        figures.lacks("ptrace");
        figures.demand(true, || unreachable!());
        assert_eq!(
            figures.line(),
            r#"{"torture":"crash","seed":7,"points":5,"recovery_ms":9,"lacks":["ptrace"],"passed":true}"#
        );
        (0..20).for_each(|n| figures.demand(false, || format!("{n}")));
        assert!(!figures.passed());
        assert!(figures.line().contains("\"broken\":20,\"first_broken\":[\"0\","), "{}", figures.line());
    }
}
