//! `flowgate preview FLOW`: each stage of a flow on a few records. Exports and lookups are sent, imports are shown; nothing
//! is left in the state and no mark moves.

use super::args::PreviewArgs;
use super::style::{Tone, paint};
use super::{Exit, Globals, run, summary};
use crate::app::run::{Asked, Options, Output, TriggerKind, WhenRefused, to_the_end};
use crate::app::{Host, agent};
use crate::observe::logs::visible;
use crate::value::id::FlowId;
use crate::value::json::{Json, JsonRef, Kind};
use serde_json::json;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Shows a flow.
pub async fn preview(globals: &Globals, host: &Host, args: &PreviewArgs) -> Exit {
    let snapshot = match super::load(globals, host) {
        Ok(snapshot) => snapshot,
        Err(exit) => return exit,
    };
    if let Err(exit) = super::install_logs(globals, &snapshot, host, true) {
        return exit;
    }
    let flows = [args.flow.clone()];
    let ids = match run::named(&snapshot, &flows).and_then(|ids| run::has_exports(&snapshot, ids, &args.exports)) {
        Ok(ids) => ids,
        Err(text) => {
            globals.complain(&text);
            return Exit::Usage;
        }
    };
    // As a dry run: what it does leaves nothing behind.
    let options = Options {
        limit: Some(args.limit),
        exports: args.exports.clone(),
        dry_run: true,
        asked: Asked::default(),
        fresh: false,
        occurrence: None,
    };
    let state = match run::state(globals, host, &snapshot, &ids, options.clone()).await {
        Ok(state) => state,
        Err(error) => return run::no_state(globals, &error),
    };
    let timeout = snapshot.settings.shutdown_timeout;
    let stages = Arc::new(Stages { json: globals.json(), colour: globals.style.stdout, left: AtomicBool::new(false) });
    let supervisor = match host.supervise(snapshot, stages.clone(), &state, WhenRefused::GiveUp) {
        Ok(supervisor) => supervisor,
        Err(error) => {
            globals.complain(&error.to_string());
            return Exit::Config;
        }
    };
    let door = match agent::for_flows(&supervisor, &ids).await {
        Ok(door) => door,
        Err(error) => {
            globals.complain(&error.to_string());
            return Exit::Unavailable;
        }
    };
    stages.begin(&args.flow, args.limit);
    let mut left = Some(&ids);
    let start = |id: &FlowId| (id.clone(), supervisor.start(id, TriggerKind::Manual, options.clone()));
    let rounds = async || left.take().map(|ids| ids.iter().map(start).collect()).unwrap_or_default();
    let finished = to_the_end(&supervisor, rounds, timeout, |_, _| {}, |how| run::stopped(how).code()).await;
    door.close(host).await;
    state.close(host).await;
    match finished {
        Ok(finished) => {
            summary::print(globals, &finished.reports, &options, true);
            run::exit(&finished, stages.left.load(Ordering::Relaxed))
        }
        Err(error) => {
            globals.complain(&format!("signals cannot be handled: {error}"));
            Exit::Temporary
        }
    }
}

/// Writes stages to standard output as they come.
struct Stages {
    json: bool,
    colour: bool,
    left: AtomicBool,
}

impl Stages {
    fn begin(&self, flow: &str, limit: u64) {
        if self.json {
            let _ = self.line(&json!({"format": 1, "flow": flow, "limit": limit}).to_string());
        }
    }

    fn line(&self, text: &str) -> io::Result<()> {
        let written = writeln!(io::stdout().lock(), "{text}");
        if written.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::BrokenPipe) {
            self.left.store(true, Ordering::Relaxed);
        }
        written
    }
}

impl Output for Stages {
    fn record(&self, _: &Json) -> io::Result<()> {
        // It was shown after the last thing that was done to it.
        if self.left.load(Ordering::Relaxed) { Err(io::ErrorKind::BrokenPipe.into()) } else { Ok(()) }
    }

    fn request(&self, shown: &str) -> io::Result<()> {
        self.stage(&format!("{{\"stage\":\"import\",\"of\":\"import\",\"request\":{shown}}}"))
    }

    fn shows_stages(&self) -> bool {
        true
    }

    fn stage(&self, shown: &str) -> io::Result<()> {
        if self.json {
            return self.line(shown);
        }
        match Json::parse(shown) {
            Ok(stage) => self.line(&text(stage.as_ref(), self.colour)),
            Err(_) => self.line(shown),
        }
    }
}

/// A stage for people.
fn text(stage: JsonRef<'_>, colour: bool) -> String {
    let part = |name: &str| stage.get(name).map(|value| visible(&value.compare_text())).unwrap_or_default();
    let (of, page, number) = (part("of"), part("page"), part("number"));
    let head = match part("stage").as_str() {
        "request" => format!("request of {of}, page {page}"),
        "answer" => format!("answer {}: {} bytes, {} records", part("status"), part("bytes"), part("records")),
        "record" => format!("record {number} of page {page}"),
        "step" => format!("record {number} of page {page}, {of}"),
        _ => "request of the import, not sent".to_owned(),
    };
    let mut out = format!("{}\n", paint(colour, Tone::Dim, format!("── {head}")));
    if let Some(request) = stage.get("request") {
        let text = |name: &str| request.get(name).map(|value| visible(&value.compare_text())).unwrap_or_default();
        let _ = writeln!(out, "{} {}", text("method"), text("url"));
        for (name, value) in request.get("headers").into_iter().flat_map(JsonRef::members) {
            let _ = writeln!(out, "{name}: {}", visible(&value.compare_text()));
        }
        out.push_str(&request.get("body").map(shown).unwrap_or_default());
    }
    match (stage.get("body"), stage.get("record"), stage.get("error")) {
        (Some(body), ..) => out.push_str(&shown(body)),
        (_, Some(record), _) => out.push_str(&shown(record)),
        (.., Some(_)) => {
            let _ = writeln!(out, "error: {}", part("error"));
        }
        _ if stage.get("left").is_some() => out.push_str("left the flow here\n"),
        _ => {}
    }
    out
}

/// A value over several lines, digits as they are; text as text.
fn shown(value: JsonRef<'_>) -> String {
    if value.kind() == Kind::Text {
        return format!("{}\n", visible(&value.compare_text()));
    }
    let mut out = String::new();
    indent(value, 0, &mut out);
    out.push('\n');
    out
}

/// JSON nests no deeper than it was checked for.
fn indent(value: JsonRef<'_>, depth: usize, out: &mut String) {
    let line = |out: &mut String, depth: usize| {
        out.push('\n');
        out.push_str(&"  ".repeat(depth));
    };
    let is_object = value.kind() == Kind::Object;
    let entries: Vec<(Option<String>, JsonRef<'_>)> = match value.kind() {
        Kind::Object => value.members().map(|(name, member)| (Some(json!(name).to_string()), member)).collect(),
        Kind::Array => value.items().map(|item| (None, item)).collect(),
        _ => return out.push_str(value.text()),
    };
    out.push(if is_object { '{' } else { '[' });
    for (n, (name, entry)) in entries.iter().enumerate() {
        if n > 0 {
            out.push(',');
        }
        line(out, depth + 1);
        if let Some(name) = name {
            out.push_str(name);
            out.push_str(": ");
        }
        indent(*entry, depth + 1, out);
    }
    if !entries.is_empty() {
        line(out, depth);
    }
    out.push(if is_object { '}' } else { ']' });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(stage: &str) -> String {
        text(Json::parse(stage).unwrap().as_ref(), false)
    }

    #[test]
    fn stages_are_told_in_words_with_their_digits() {
        let stage = r#"{"stage":"step","of":"vat","page":2,"number":3,"record":{"n":1.10,"l":[1,{}],"s":"a\nb"}}"#;
        assert_eq!(
            told(stage),
            "── record 3 of page 2, vat\n{\n  \"n\": 1.10,\n  \"l\": [\n    1,\n    {}\n  ],\n  \"s\": \"a\\nb\"\n}\n"
        );
        let stage = r#"{"stage":"step","of":"keep","page":1,"number":1,"left":true}"#;
        assert_eq!(told(stage), "── record 1 of page 1, keep\nleft the flow here\n");
        let stage = r#"{"stage":"request","of":"orders","page":1,"request":{"method":"GET","url":"https://a","headers":{"accept":"x"}}}"#;
        assert_eq!(told(stage), "── request of orders, page 1\nGET https://a\naccept: x\n");
        let stage =
            r#"{"stage":"answer","of":"orders","page":1,"status":200,"bytes":7,"records":1,"body":"\u001b[31m"}"#;
        let told = told(stage);
        assert!(told.starts_with("── answer 200: 7 bytes, 1 records\n") && !told.contains('\u{1b}'), "{told:?}");
    }
}
