//! `body`: JSON and forms as tables, so that fields can be changed one by one; anything else as text.

use super::{Files, pairs};
use crate::convert::curl::options::Request;
use crate::convert::curl::secrets;
use crate::convert::curl::shell::{CLOSE, OPEN};
use crate::convert::toml::{constant, quoted, tree, tree_key};
use crate::value::json::{Json, Kind};
use std::fmt::Write as _;

/// What stands for the marks of variables while JSON is read, which allows no control characters.
const MARKS: [(char, char); 2] = [(OPEN, '\u{e000}'), (CLOSE, '\u{e001}')];

/// What a body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Media<'r> {
    Json,
    Ndjson,
    Form,
    Multipart,
    Xml,
    Csv,
    Text,
    /// Text under another name.
    Other(&'r str),
}

impl Media<'_> {
    /// The word of the configuration.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Ndjson => "ndjson",
            Self::Form => "form",
            Self::Multipart => "multipart",
            Self::Xml => "xml",
            Self::Csv => "csv",
            Self::Text | Self::Other(_) => "text",
        }
    }
}

/// What the body is; none without one.
pub(super) fn media(request: &Request) -> Option<Media<'_>> {
    if !request.form.is_empty() {
        return Some(Media::Multipart);
    }
    if request.data.is_empty() || request.in_query {
        return None;
    }
    let said = request.headers.iter().rev().find(|(name, _)| name.eq_ignore_ascii_case("content-type"));
    let Some((_, said)) = said else {
        let looks = request.data.len() == 1 && request.data[0].trim_start().starts_with(['{', '[']);
        return Some(if request.json || looks { Media::Json } else { Media::Form });
    };
    let kind = said.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    Some(match kind.as_str() {
        "application/x-ndjson" | "application/ndjson" | "application/jsonl" => Media::Ndjson,
        "application/x-www-form-urlencoded" => Media::Form,
        "text/plain" => Media::Text,
        "text/csv" => Media::Csv,
        kind if kind.contains("json") => Media::Json,
        kind if kind.contains("xml") => Media::Xml,
        _ => Media::Other(said),
    })
}

/// Where a body is written.
pub(super) enum Body {
    /// A key of `[export]`.
    Line(String),
    /// `[export.body]`
    Table(String),
}

impl Files {
    pub(super) fn body(&mut self, request: &Request, media: Option<Media<'_>>) -> Option<Body> {
        let media = media?;
        let data = request.data.join("&");
        match media {
            Media::Multipart => Some(self.table(&request.form)),
            Media::Form => Some(self.table(&pairs(&data))),
            Media::Json => {
                let data = if request.json { request.data.concat() } else { data };
                let marked =
                    MARKS.iter().fold(data.clone(), |text, (mark, stands)| text.replace(*mark, &stands.to_string()));
                match Json::parse(marked) {
                    Ok(json) => Some(self.json(&json)),
                    Err(_) if data.contains(OPEN) => Some(self.text(&data)),
                    Err(error) => {
                        self.notes.push(format!("the body was left out: it is no JSON ({error})"));
                        None
                    }
                }
            }
            // The media type is that of a text; binary content has no counterpart.
            Media::Other(_) if request.binary && data.contains('\u{fffd}') => {
                self.notes.push("the body was left out: it is no text".to_owned());
                None
            }
            _ => Some(self.text(&data)),
        }
    }

    fn table(&mut self, fields: &[(String, String)]) -> Body {
        let mut lines: Vec<(&str, Vec<String>)> = Vec::new();
        for (name, value) in fields {
            let written = self.leaf(name, value, &format!("the field `{name}`"), secrets::is_field);
            match lines.iter_mut().find(|(known, _)| known == name) {
                Some((_, values)) => values.push(written),
                None => lines.push((name, vec![written])),
            }
        }
        let mut out = "[export.body]\n".to_owned();
        for (name, values) in lines {
            let value = if values.len() == 1 { values.concat() } else { format!("[{}]", values.join(", ")) };
            let _ = writeln!(out, "{} = {value}", tree_key(name));
        }
        Body::Table(out)
    }

    fn json(&mut self, json: &Json) -> Body {
        let value = json.as_ref();
        if !matches!(value.kind(), Kind::Object | Kind::Array) {
            return self.text(value.text());
        }
        let mut text = |way: &[String], text: &str| {
            let text =
                MARKS.iter().fold(text.to_owned(), |text, (mark, stands)| text.replace(*stands, &mark.to_string()));
            match way.last() {
                Some(name) => self.leaf(name, &text, &format!("the field `{name}`"), secrets::is_field),
                None => self.sources.template(&text).map_or_else(|| constant(&text), |template| quoted(&template)),
            }
        };
        if value.kind() != Kind::Object || value.members().next().is_none() {
            return Body::Line(format!("body         = {}\n", tree(value, &mut text)));
        }
        let mut out = "[export.body]\n".to_owned();
        for (name, member) in value.members() {
            let mut inside = |way: &[String], inner: &str| {
                let way: Vec<String> = std::iter::once(name.clone().into_owned()).chain(way.iter().cloned()).collect();
                text(&way, inner)
            };
            let _ = writeln!(out, "{} = {}", tree_key(&name), tree(member, &mut inside));
        }
        Body::Table(out)
    }

    /// A body as text: a template where variables stand in it.
    fn text(&mut self, text: &str) -> Body {
        let written = match self.sources.template(text) {
            // A brace behind a placeholder belongs to the text.
            Some(template) => template.replace("}}}", "}} }"),
            None if text.contains("{{") => text.replace("{{", "\\{{"),
            None => text.to_owned(),
        };
        Body::Line(format!("body         = {}\n", quoted(&written)))
    }
}
