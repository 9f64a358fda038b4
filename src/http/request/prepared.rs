//! A rendered request and what paging and imports may still change about it.

use super::{Method, Signing};
use crate::http::media::unpack::Decode;
use crate::http::media::{Encoded, MediaSettings, MediaType, MediaTypes, form};
use crate::http::on::OnRules;
use crate::http::{headers, query};
use crate::value::issue::EvalError;
use crate::value::json::{Json, JsonRef, Kind, write_string};
use crate::value::secret::{MASK, Redactor, Secret};
use crate::value::uri::same_origin;
use bytes::Bytes;
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// Deepest path `set_body_field` creates.
const MAX_FIELD_DEPTH: usize = 16;

/// A rendered request: the same bytes for every attempt. Credentials of `auth` are not in it, so that it may be
/// kept and shown; header and query values made of secrets are, but marked.
#[derive(Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each says one thing of its own about the request")]
pub struct Prepared {
    /// Method.
    pub method: Method,
    /// Absolute URL on an allowed origin; credentials are not in it yet.
    pub(in crate::http) url: Url,
    /// The connection's headers under the step's.
    pub(in crate::http) headers: HeaderMap,
    /// The step's query parameters made of secrets; they join the URL as it leaves.
    pub(in crate::http) secret_query: Vec<(String, String)>,
    /// Headers and query parameters made of the request itself, as it leaves.
    pub(in crate::http) signing: Vec<Signing>,
    /// The body as it leaves.
    pub body: Option<Bytes>,
    /// What in the body was computed from secrets, and is no secret that anybody knows.
    pub(in crate::http) derived: Derived,
    /// Overrides the connection's.
    pub timeout: Option<Duration>,
    /// Exports and lookups are safe to send again whatever their method.
    pub safe: bool,
    /// An idempotency key travels with it: the server knows a repetition.
    pub keyed: bool,
    /// What its body is, and what is said about its answers.
    pub(in crate::http) types: MediaTypes,
    /// Error rules, tried before the connection's.
    pub(in crate::http) on: OnRules,
    /// For which flow it is, where a rule about its answer asks.
    pub(in crate::http) flow: Option<Json>,
    /// It is judged by its own rules only: what the connection says is about flows.
    pub(in crate::http) alone: bool,
    /// What good answers are packed in.
    pub(in crate::http) decode: Option<Arc<Decode>>,
    /// It goes without credentials, wherever it goes.
    pub bare: bool,
    /// What the import says of repetition (`unknown_outcome`), over what method and key say.
    pub repeat: Option<bool>,
}

/// What a request holds that was computed from secrets.
#[derive(Debug, Clone, Default)]
pub(in crate::http) struct Derived {
    pub(in crate::http) texts: Vec<Secret>,
    /// In its body, where it cannot be told where.
    pub(in crate::http) all: bool,
}

impl Prepared {
    /// The body as it may be shown.
    pub(in crate::http) fn shown_body(&self, redactor: &Redactor) -> Option<String> {
        let body = self.body.as_deref()?;
        if self.derived.all {
            return Some(MASK.to_owned());
        }
        Some(redactor.redact(&String::from_utf8_lossy(body)).into_owned())
    }

    /// Whether sending it twice does what sending it once does.
    pub fn is_repeatable(&self) -> bool {
        self.repeat.unwrap_or(self.safe || self.keyed || self.method.is_idempotent())
    }

    /// Whether the server may have done something by it.
    pub fn is_write(&self) -> bool {
        !self.safe && !matches!(self.method, Method::Get | Method::Head)
    }

    /// What tells it from every other request, as it leaves: secrets in it count too. Credentials of `auth` do not.
    pub fn fingerprint(&self) -> [u8; 32] {
        let mut digest = Sha256::new();
        let mut part = |bytes: &[u8]| {
            digest.update((bytes.len() as u64).to_be_bytes());
            digest.update(bytes);
        };
        part(self.method.name().as_bytes());
        part(self.url.as_str().as_bytes());
        for (name, value) in &self.secret_query {
            part(name.as_bytes());
            part(value.as_bytes());
        }
        part(b"headers");
        for (name, value) in &self.headers {
            part(name.as_str().as_bytes());
            part(value.as_bytes());
        }
        for signing in &self.signing {
            signing.parts().for_each(|text| part(text.as_bytes()));
        }
        part(b"body");
        part(self.body.as_deref().unwrap_or_default());
        digest.finalize().into()
    }

    /// Takes a body along, and says what it is unless the configuration does.
    pub fn carry(&mut self, body: Encoded) {
        if !self.headers.contains_key(CONTENT_TYPE) || self.types.of_request() == MediaType::Multipart {
            self.headers.insert(CONTENT_TYPE, body.content_type);
        }
        self.body = Some(body.bytes);
    }

    /// Takes a list of records, or one, written as JSON, in the request's media type.
    pub fn carry_value(&mut self, value: Vec<u8>, settings: &MediaSettings) -> Result<(), EvalError> {
        let body = self.types.of_request().write(&Json::trusted(value), settings)?;
        self.carry(body);
        Ok(())
    }

    /// The URL, without credentials.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Asks elsewhere, for a link found in data that has been confined to allowed origins. On another origin it goes
    /// without the body.
    pub fn set_url(&mut self, url: Url) {
        if !same_origin(&self.url, &url) {
            self.body = None;
        }
        self.url = url;
    }

    /// Sets a query parameter in place of all of its name.
    pub fn set_query(&mut self, name: &str, value: &str) {
        query::set(&mut self.url, name, value);
    }

    /// Sets a header in place of those of its name.
    pub fn set_header(&mut self, name: &str, value: &str) -> Result<(), EvalError> {
        let (name, value) = headers::field(name, value, false)?;
        self.headers.insert(name, value);
        Ok(())
    }

    /// Sets a field of the JSON body, given as a dotted path whose objects are created when missing. Text of digits
    /// is written as a number.
    pub fn set_body_field(&mut self, path: &str, text: &str) -> Result<(), EvalError> {
        if self.types.of_request() == MediaType::Form {
            let members = members(path)?;
            self.body = Some(form::set(self.body.as_deref().unwrap_or_default(), &members, text).into());
            return Ok(());
        }
        let mut json = Vec::new();
        if is_whole_number(text) {
            json.extend_from_slice(text.as_bytes());
        } else {
            write_string(&mut json, text);
        }
        self.set_body_value(path, &String::from_utf8_lossy(&json))
    }

    /// As `set_body_field`, with a JSON value as it stands.
    pub fn set_body_value(&mut self, path: &str, json: &str) -> Result<(), EvalError> {
        let members = members(path)?;
        let media = self.types.of_request();
        if media != MediaType::Json {
            return Err(EvalError::Refused(format!("body field `{path}`: the body is {}, not JSON", media.name())));
        }
        let body = match self.body.as_deref() {
            Some(bytes) => std::str::from_utf8(bytes).map_err(|_| EvalError::Type("body: is not UTF-8".to_owned()))?,
            None => "{}",
        };
        let mut out = Vec::with_capacity(body.len() + json.len() + path.len() + 8);
        splice(JsonRef::trusted(body.trim()), &members, json, &mut out)
            .map_err(|error| error.at(&format!("body field `{path}`")))?;
        self.body = Some(out.into());
        Ok(())
    }

    /// Names in lower case with their values; secret ones masked. For guards and for showing.
    pub fn header_pairs(&self) -> Vec<(String, String)> {
        let signed = self.signing.iter().filter_map(Signing::header_name);
        let signed = signed.map(|name| (name.to_ascii_lowercase(), MASK.to_owned()));
        headers::shown(&self.headers).into_iter().chain(signed).collect()
    }
}

fn members(path: &str) -> Result<Vec<&str>, EvalError> {
    let members: Vec<&str> = path.split('.').collect();
    if members.len() > MAX_FIELD_DEPTH || members.iter().any(|member| member.is_empty()) {
        return Err(EvalError::Refused(format!("body field `{path}`: no dotted path of at most 16 names")));
    }
    Ok(members)
}

fn is_whole_number(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    (1..=15).contains(&digits.len())
        && digits.bytes().all(|b| b.is_ascii_digit())
        && (digits.len() == 1 || !digits.starts_with('0'))
}

/// Copies an object with one field, however deep, replaced or added.
fn splice(object: JsonRef<'_>, members: &[&str], json: &str, out: &mut Vec<u8>) -> Result<(), EvalError> {
    let Some((first, rest)) = members.split_first() else {
        out.extend_from_slice(json.as_bytes());
        return Ok(());
    };
    if object.kind() != Kind::Object {
        return Err(EvalError::Type(format!("there is {} where an object is needed", object.kind().name())));
    }
    let empty = JsonRef::trusted("{}");
    let mut old = empty;
    out.push(b'{');
    for (key, value) in object.members() {
        if key == *first {
            old = value;
            continue;
        }
        write_string(out, &key);
        out.push(b':');
        out.extend_from_slice(value.text().as_bytes());
        out.push(b',');
    }
    write_string(out, first);
    out.push(b':');
    splice(if old.kind() == Kind::Null { empty } else { old }, rest, json, out)?;
    out.push(b'}');
    Ok(())
}
