//! Media types: a body that was rendered becomes bytes, and bytes that came back become a document. One file a type.
//!
//! JSON passes through as the text it is, checked once and never copied. All other types are made into JSON or from
//! it, but XML, whose documents stay XML for paths to walk.

mod charset;
pub mod csv;
pub mod form;
#[cfg(feature = "torture")]
pub(in crate::http) mod fuzz;
mod json;
mod multipart;
mod ndjson;
mod payload;
mod read;
mod sniff;
mod text;
pub mod unpack;
pub mod xml;

pub use payload::{Unfit, payload};
pub(in crate::http) use read::Lens;

use crate::value::context::TORN;
use crate::value::document::{Document, Kind};
use crate::value::issue::EvalError;
use crate::value::json::{Json, JsonRef, is_torn, torn_at};
use crate::value::template::Place;
use bytes::Bytes;
use reqwest::header::HeaderValue;

/// What a body can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MediaType {
    /// `json`
    #[default]
    Json,
    /// `ndjson`: a JSON value a line.
    Ndjson,
    /// `xml`
    Xml,
    /// `csv`
    Csv,
    /// `form`: `application/x-www-form-urlencoded`
    Form,
    /// `multipart`: `multipart/form-data`
    Multipart,
    /// `text`
    Text,
}

/// `media_type` and its siblings, as far as one table says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MediaTypes {
    /// `media_type`: of the request; and of answers that say nothing of themselves.
    pub request: Option<MediaType>,
    /// `success_media_type`
    pub success: Option<MediaType>,
    /// `error_media_type`
    pub error: Option<MediaType>,
}

/// How the types of a connection are written: `[csv]`, `[form]`, `[xml]`.
#[derive(Debug, Clone, Default)]
pub struct MediaSettings {
    /// What holds where a request says nothing.
    pub types: MediaTypes,
    /// `[csv]`
    pub csv: csv::Csv,
    /// `[form]`
    pub form: form::Form,
    /// `[xml]`
    pub xml: xml::XmlSettings,
}

/// A body as it leaves.
pub struct Encoded {
    /// Its bytes.
    pub bytes: Bytes,
    /// Its `Content-Type`.
    pub content_type: HeaderValue,
}

impl MediaType {
    /// As people call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Json => "JSON",
            Self::Ndjson => "NDJSON",
            Self::Xml => "XML",
            Self::Csv => "CSV",
            Self::Form => "a form",
            Self::Multipart => "multipart",
            Self::Text => "text",
        }
    }

    /// What is asked for in `Accept`.
    pub fn accept(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Ndjson => "application/x-ndjson",
            Self::Xml => "application/xml, text/xml",
            Self::Csv => "text/csv",
            Self::Form => "application/x-www-form-urlencoded",
            Self::Multipart => "multipart/form-data",
            Self::Text => "text/plain",
        }
    }

    /// Where the templates of a body written as text stand.
    pub fn place(self) -> Place {
        match self {
            Self::Json | Self::Ndjson => Place::Json,
            Self::Form => Place::Form,
            Self::Xml => Place::Xml,
            Self::Csv | Self::Multipart | Self::Text => Place::Plain,
        }
    }

    /// Whether a body written as text is a JSON value, and so may be part of a list.
    pub fn text_is_json(self) -> bool {
        matches!(self, Self::Json | Self::Ndjson)
    }

    /// Writes a value that was rendered.
    pub fn write(self, value: &Json, settings: &MediaSettings) -> Result<Encoded, EvalError> {
        if !matches!(self, Self::Json | Self::Ndjson) && is_torn(value.text()) {
            return Err(EvalError::Refused(TORN.to_owned()).at(&torn_at(value.as_ref())));
        }
        match self {
            Self::Json => Ok(json::write(value)),
            Self::Ndjson => Ok(ndjson::write(value.as_ref())),
            Self::Xml => xml::write(value.as_ref(), &settings.xml),
            Self::Csv => csv::write(value.as_ref(), &settings.csv),
            Self::Form => form::write(value.as_ref(), settings.form),
            Self::Multipart => multipart::write(value.as_ref()),
            Self::Text => Ok(text::write(value.as_ref())),
        }
    }

    /// Takes a body that was written as text and rendered.
    pub fn write_text(self, rendered: String) -> Result<Encoded, EvalError> {
        match self {
            Self::Json => json::write_text(rendered),
            Self::Ndjson => ndjson::write_text(&rendered),
            Self::Xml => xml::write_text(rendered),
            Self::Csv | Self::Form | Self::Text => Ok(Encoded::new(rendered.into_bytes(), self.content_type())),
            Self::Multipart => Err(EvalError::Refused("a multipart body is written as a table".to_owned())),
        }
    }

    /// Whether a record's body can be part of a request in this type: asked for each one, so that a record that
    /// cannot is refused alone.
    pub fn admits(self, value: JsonRef<'_>) -> Result<(), EvalError> {
        match self {
            Self::Csv => csv::admits(value),
            Self::Xml => xml::admits(value),
            Self::Json | Self::Ndjson | Self::Form | Self::Multipart | Self::Text => Ok(()),
        }
    }

    fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Ndjson => "application/x-ndjson",
            Self::Xml => "application/xml",
            Self::Csv => "text/csv; charset=utf-8",
            Self::Form => "application/x-www-form-urlencoded",
            Self::Multipart => "multipart/form-data",
            Self::Text => "text/plain; charset=utf-8",
        }
    }
}

impl MediaTypes {
    /// What holds where a request says this and its connection says that.
    #[must_use]
    pub fn over(self, connection: Self) -> Self {
        Self {
            request: self.request.or(connection.request),
            success: self.success.or(connection.success),
            error: self.error.or(connection.error),
        }
    }

    /// The type of the request's body.
    pub fn of_request(self) -> MediaType {
        self.request.unwrap_or_default()
    }
}

impl Encoded {
    pub(in crate::http) fn new(bytes: impl Into<Bytes>, content_type: &'static str) -> Self {
        Self { bytes: bytes.into(), content_type: HeaderValue::from_static(content_type) }
    }
}

/// Reads again what a document stored as its text.
pub fn reopen(kind: Kind, text: Vec<u8>, settings: &MediaSettings) -> Result<Document, String> {
    match kind {
        Kind::Json => Json::parse(text).map(Document::from).map_err(|error| error.to_string()),
        Kind::Xml => xml::read(text, Some("utf-8"), &settings.xml).map_err(|(why, _)| why),
    }
}

#[cfg(test)]
mod tests;
