//! One event to one line: time, level, message, its fields, then those of the spans around it.

use super::{Format, escape};
use crate::value::time::SharedClock;
use chrono::SecondsFormat;
use serde_json::{Map, Value};
use std::fmt::{Debug, Write as _};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::LookupSpan;

/// Keys every line has; a field of that name is shown as `field.<name>`.
const OWN_KEYS: [&str; 3] = ["time", "level", "message"];

/// Most fields of a line.
const MOST_FIELDS: usize = 64;

/// The layer that writes.
pub(super) struct Lines<W> {
    format: Format,
    colour: bool,
    clock: SharedClock,
    write: W,
}

impl<W: Fn(&str)> Lines<W> {
    pub(super) fn new(format: Format, colour: bool, clock: SharedClock, write: W) -> Self {
        Self { format, colour, clock, write }
    }
}

fn text(colour: bool, time: &str, level: Level, message: &str, fields: &Fields, escape: escape::Onto) -> String {
    let mut out = String::with_capacity(160);
    let (on, off) = if colour { (colour_of(level), "\x1b[0m") } else { ("", "") };
    let dim = if colour { "\x1b[2m" } else { "" };
    let _ = write!(out, "{dim}{time}{off} {on}{level:<5}{off} ");
    escape(&mut out, message);
    for (name, value) in &fields.0 {
        out.push(' ');
        out.push_str(dim);
        escape(&mut out, name);
        let _ = write!(out, "={off}");
        match value {
            Value::String(text) => escape::value_onto(&mut out, text, escape),
            other => escape::value_onto(&mut out, &other.to_string(), escape),
        }
    }
    out.push('\n');
    out
}

/// A JSON line as it is shown to people. What is no line of ours is shown all the same. What was made visible before it
/// was kept is left as it is.
pub(super) fn shown(line: &Value, colour: bool) -> String {
    let word = |name: &str| line[name].as_str().unwrap_or_default();
    let level = word("level").parse().unwrap_or(Level::INFO);
    let mut fields = Fields::default();
    for (name, value) in line.as_object().into_iter().flatten().filter(|(name, _)| !OWN_KEYS.contains(&name.as_str())) {
        fields.add(name, value.clone());
    }
    let mut time = String::new();
    escape::onto(&mut time, if word("time").is_empty() { "-" } else { word("time") });
    text(colour, &time, level, word("message"), &fields, escape::visibly_onto)
}

pub(super) fn level_name(level: Level) -> String {
    level.as_str().to_ascii_lowercase()
}

fn colour_of(level: Level) -> &'static str {
    match level {
        Level::ERROR => "\x1b[31m",
        Level::WARN => "\x1b[33m",
        Level::INFO => "\x1b[32m",
        Level::DEBUG | Level::TRACE => "\x1b[34m",
    }
}

pub(super) fn json(time: &str, level: Level, message: &str, fields: Fields) -> String {
    let mut object = Map::new();
    object.insert("time".to_owned(), time.into());
    object.insert("level".to_owned(), level_name(level).into());
    object.insert("message".to_owned(), message.into());
    for (name, value) in fields.0 {
        let name = if OWN_KEYS.contains(&name.as_str()) { format!("field.{name}") } else { name };
        object.entry(name).or_insert(value);
    }
    let mut line = Value::Object(object).to_string();
    line.push('\n');
    line
}

/// Fields in the order met; the first of a name stays.
#[derive(Default, Clone)]
pub(super) struct Fields(Vec<(String, Value)>);

impl Fields {
    pub(super) fn add(&mut self, name: &str, value: Value) {
        if self.0.len() < MOST_FIELDS && !self.0.iter().any(|(known, _)| known == name) {
            self.0.push((name.to_owned(), value));
        }
    }

    pub(super) fn drop(&mut self, names: &[&str]) {
        self.0.retain(|(name, _)| !names.contains(&name.as_str()));
    }
}

/// Takes an event's or a span's fields.
pub(super) struct Take<'a> {
    pub(super) fields: &'a mut Fields,
    pub(super) message: String,
}

impl Take<'_> {
    fn value(&mut self, field: &Field, value: Value) {
        self.fields.add(field.name(), value);
    }
}

impl Visit for Take<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let text = escape::cut(format!("{value:?}"));
        if field.name() == "message" {
            self.message = text;
        } else {
            self.value(field, text.into());
        }
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        let text = escape::cut(value.to_owned());
        if field.name() == "message" {
            self.message = text;
        } else {
            self.value(field, text.into());
        }
    }
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.value(field, value.into());
    }
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.value(field, value.into());
    }
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.value(field, value.into());
    }
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.value(field, value.into());
    }
}

impl<S, W> Layer<S> for Lines<W>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: Fn(&str) + 'static,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut Take { fields: &mut fields, message: String::new() });
        if let Some(span) = context.span(id) {
            span.extensions_mut().replace(fields);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<Fields>()
        {
            values.record(&mut Take { fields, message: String::new() });
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        let mut take = Take { fields: &mut fields, message: String::new() };
        event.record(&mut take);
        let message = take.message;
        // From the innermost outwards: what is nearest says it.
        for span in context.event_scope(event).into_iter().flatten() {
            if let Some(around) = span.extensions().get::<Fields>() {
                around.0.iter().for_each(|(name, value)| fields.add(name, value.clone()));
            }
        }
        let time = self.clock.utc().to_rfc3339_opts(SecondsFormat::Millis, true);
        let level = *event.metadata().level();
        (self.write)(&match self.format {
            Format::Text => text(self.colour, &time, level, &message, &fields, escape::onto),
            Format::Json => json(&time, level, &message, fields),
        });
    }
}
