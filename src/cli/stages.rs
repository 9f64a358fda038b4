//! The stages of a flow on standard output, as `preview` and `run --dry-run` show them: for people, or one JSON object a
//! line.

use super::Globals;
use super::errors::pretty;
use super::style::{Tone, paint};
use crate::app::output::Stdout;
use crate::app::run::{Options, Output};
use crate::observe::logs::visible;
use crate::value::id::FlowId;
use crate::value::json::{Json, JsonRef, Kind};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Writes stages to standard output as they come.
pub struct Stages {
    json: bool,
    colour: bool,
    /// Flows run side by side: each stage says whose it is.
    several: bool,
    /// Why it could not be written; told once, at the end.
    broken: Mutex<Option<io::Error>>,
    left: AtomicBool,
}

impl Stages {
    /// Nothing is written yet.
    pub fn new(globals: &Globals, several: bool) -> Self {
        Self {
            json: globals.json(),
            colour: globals.style.stdout,
            several,
            broken: Mutex::default(),
            left: AtomicBool::new(false),
        }
    }

    /// Says what follows, to programs.
    pub fn begin(&self, what: &Value) {
        if self.json {
            let _ = self.line(&what.to_string());
        }
    }

    /// Whether its reader closed it.
    pub fn reader_left(&self) -> bool {
        self.left.load(Ordering::Relaxed)
    }

    fn line(&self, text: &str) -> io::Result<()> {
        let Err(error) = writeln!(io::stdout().lock(), "{text}") else { return Ok(()) };
        let kind = error.kind();
        if kind == io::ErrorKind::BrokenPipe {
            self.left.store(true, Ordering::Relaxed);
        }
        self.broken.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        Err(kind.into())
    }

    /// Whether everything was written.
    pub fn finish(&self) -> io::Result<()> {
        self.broken.lock().unwrap_or_else(PoisonError::into_inner).take().map_or(Ok(()), Err)
    }
}

impl Output for Stages {
    fn record(&self, _: &Json) -> io::Result<()> {
        // It was shown after the last thing that was done to it.
        let broken = self.broken.lock().unwrap_or_else(PoisonError::into_inner);
        broken.as_ref().map_or(Ok(()), |error| Err(error.kind().into()))
    }

    fn shows_stages(&self) -> bool {
        true
    }

    fn stage(&self, shown: &str) -> io::Result<()> {
        if self.json {
            return self.line(shown);
        }
        match Json::parse(shown) {
            Ok(stage) => self.line(&text(stage.as_ref(), self.colour, self.several)),
            Err(_) => self.line(shown),
        }
    }
}

/// What stands on standard output.
pub enum Written {
    /// Records of export-only flows.
    Records(Arc<Stdout>),
    /// The stages of a dry run.
    Stages(Arc<Stages>),
}

impl Written {
    /// Nothing is written yet.
    pub fn new(globals: &Globals, ids: &[FlowId], options: &Options) -> Self {
        if !options.dry_run {
            return Self::Records(Arc::new(Stdout::new()));
        }
        let stages = Stages::new(globals, ids.len() > 1);
        let flows: Vec<&str> = ids.iter().map(FlowId::as_str).collect();
        stages.begin(&json!({ "format": 1, "dry_run": true, "flows": flows, "limit": options.limit }));
        Self::Stages(Arc::new(stages))
    }

    /// Where the runs write to.
    pub fn output(&self) -> Arc<dyn Output> {
        match self {
            Self::Records(records) => records.clone(),
            Self::Stages(stages) => stages.clone(),
        }
    }

    /// Everything was written.
    pub fn finish(&self) -> std::io::Result<()> {
        match self {
            Self::Records(records) => records.finish(),
            Self::Stages(stages) => stages.finish(),
        }
    }

    /// Whether its reader closed it.
    pub fn reader_left(&self) -> bool {
        match self {
            Self::Records(records) => records.reader_left(),
            Self::Stages(stages) => stages.reader_left(),
        }
    }
}

/// A stage for people.
fn text(stage: JsonRef<'_>, colour: bool, several: bool) -> String {
    let part = |name: &str| stage.get(name).map(|value| visible(&value.compare_text())).unwrap_or_default();
    let (of, page, number) = (part("of"), part("page"), part("number"));
    let head = match part("stage").as_str() {
        "request" => format!("request of {of}, page {page}"),
        "answer" => format!("answer {}: {} bytes, {} records", part("status"), part("bytes"), part("records")),
        "record" => format!("record {number} of page {page}"),
        "step" => format!("record {number} of page {page}, {of}"),
        _ => format!("request of {of}, not sent: {}", numbered(stage)),
    };
    let whose = if several { format!("{}: ", part("flow")) } else { String::new() };
    let mut out = format!("{}\n", paint(colour, Tone::Dim, format!("── {whose}{head}")));
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

/// `record 3 of page 1`, `records 1, 2, 3 of page 1`
fn numbered(stage: JsonRef<'_>) -> String {
    let numbers = stage.get("numbers").into_iter().flat_map(JsonRef::items);
    let numbers: Vec<_> = numbers.map(|number| number.text().to_owned()).collect();
    let page = stage.get("page").map(|page| page.text().to_owned()).unwrap_or_default();
    format!("record{} {} of page {page}", if numbers.len() > 1 { "s" } else { "" }, numbers.join(", "))
}

/// A value over several lines, digits as they are; text as text.
fn shown(value: JsonRef<'_>) -> String {
    if value.kind() == Kind::Text {
        return format!("{}\n", visible(&value.compare_text()));
    }
    pretty(value.text()) + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(stage: &str) -> String {
        text(Json::parse(stage).unwrap().as_ref(), false, false)
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

    #[test]
    fn nothing_in_a_record_reaches_the_terminal_as_a_sign_that_steers_it() {
        let record = "{\"a\u{9b}b\":[\"\u{202e}x\u{7f}\"]}";
        let stage = format!("{{\"stage\":\"record\",\"page\":1,\"number\":1,\"record\":{record}}}");
        let shown = "{\n  \"a\\u009bb\": [\n    \"\\u202ex\\u007f\"\n  ]\n}\n";
        assert_eq!(told(&stage), format!("── record 1 of page 1\n{shown}"));
    }
}
