//! The request table: the same keys wherever a request is described.

use super::credential::names_credential;
use super::file::Finding;
use super::scope::Scope;
use super::table::Table;
use super::value::Value;
use crate::http::media::unpack::{Decode, Layer, MOST as MOST_LAYERS};
use crate::http::media::{MediaType, MediaTypes};
use crate::http::request::{BodySpec, Field, Method, RequestSpec};
use crate::http::verdict::ResponseRules;
use crate::value::context::{SIGNING, TABLES};
use crate::value::template::{Place, Template};
use crate::value::tree::Tree;
use crate::value::uri::UriTemplate;
use std::sync::Arc;
use std::time::Duration;

pub(super) const METHODS: &[(&str, Method)] = &[
    ("GET", Method::Get),
    ("HEAD", Method::Head),
    ("POST", Method::Post),
    ("PUT", Method::Put),
    ("PATCH", Method::Patch),
    ("DELETE", Method::Delete),
];
/// Media types that are not built yet.
pub(super) const OTHER_MEDIA: &[&str] = &["binary"];
/// Those a request can be written in, and an answer read.
pub(super) const MEDIA: &[(&str, MediaType)] = &[
    ("json", MediaType::Json),
    ("ndjson", MediaType::Ndjson),
    ("xml", MediaType::Xml),
    ("csv", MediaType::Csv),
    ("form", MediaType::Form),
    ("multipart", MediaType::Multipart),
    ("text", MediaType::Text),
];
/// Headers that belong to the connection itself.
const RESERVED: &[&str] =
    &["host", "content-length", "transfer-encoding", "connection", "keep-alive", "upgrade", "te", "trailer"];

/// A word of `decode`.
#[derive(Clone, Copy)]
enum Part {
    Layer(Layer),
    Media(MediaType),
}

/// What texts of a request see: its body may see another context than the rest (records of a batch one by one).
pub(super) struct RequestScopes<'s, 'a> {
    pub(super) head: &'s Scope<'a>,
    pub(super) body: &'s Scope<'a>,
}

impl Table<'_> {
    /// The request keys of this table.
    pub(super) fn request(&self, method: Method, scopes: &RequestScopes<'_, '_>) -> Option<RequestSpec> {
        self.request_judged(method, scopes, response)
    }

    /// As `request`, for a caller that reads more in `response`.
    pub(super) fn request_judged(
        &self,
        method: Method,
        scopes: &RequestScopes<'_, '_>,
        judged: impl FnOnce(&Value<'_>, &Scope<'_>) -> Option<ResponseRules>,
    ) -> Option<RequestSpec> {
        let given = self.given("method", |value| value.word(METHODS, &[]));
        let uri = match self.take("relative_uri") {
            Some(value) => value.uri(scopes.head).inspect(|uri| value.stays(uri, scopes.head)),
            None => UriTemplate::compile("").ok(),
        };
        let signed = scopes.head.with(&SIGNING);
        let headers = self.fields("headers", &signed);
        let query = self.fields("query", &signed);
        let types = self.media_types();
        let media = types.over(scopes.body.media_types()).of_request();
        let body = self.given("body", |value| value.body(media, scopes.body));
        let timeout = self.positive_duration("timeout");
        let response = self.take("response").and_then(|value| judged(&value, &scopes.body.reading(types)));
        let on = self.on_rules(&scopes.body.reading(types));
        Some(RequestSpec {
            method: given.ok()?.unwrap_or(method),
            uri: uri?,
            headers,
            query,
            body: body.ok()?,
            timeout,
            response,
            on,
            types,
            decode: None,
        })
    }

    /// `media_type` and its two siblings.
    pub(in crate::config) fn media_types(&self) -> MediaTypes {
        let word = |name, words: &[(&'static str, MediaType)]| {
            self.take(name).and_then(|value: Value<'_>| value.word(words, OTHER_MEDIA))
        };
        MediaTypes {
            request: word("media_type", MEDIA),
            success: word("success_media_type", MEDIA),
            error: word("error_media_type", MEDIA),
        }
    }

    /// `decode`: layers, and perhaps the media type inside.
    pub(in crate::config) fn decode_chain(&self) -> Option<Arc<Decode>> {
        let value = self.take("decode")?;
        let words: Vec<(&str, Part)> = [Layer::Gzip, Layer::Zip, Layer::Base64]
            .map(|layer| (layer.name(), Part::Layer(layer)))
            .into_iter()
            .chain(MEDIA.iter().map(|(name, media)| (*name, Part::Media(*media))))
            .collect();
        let items = value.list()?;
        let mut decode = Decode { layers: Vec::new(), media: None };
        for item in &items {
            match item.word(&words, OTHER_MEDIA)? {
                _ if decode.media.is_some() => {
                    let finding = Finding::error("bad-decode", "a media type is what is inside, and stands last");
                    item.report(finding.help("write the layers from the outside in: `[\"gzip\", \"csv\"]`"));
                    return None;
                }
                Part::Layer(layer) => decode.layers.push(layer),
                Part::Media(media) => decode.media = Some(media),
            }
        }
        if decode.layers.is_empty() || decode.layers.len() > MOST_LAYERS {
            let finding = Finding::error("bad-decode", format!("`{}` names 1 to {MOST_LAYERS} layers", value.key));
            value.report(
                finding.help("they are `gzip`, `zip` and `base64`; a media type alone is `success_media_type`"),
            );
            return None;
        }
        Some(Arc::new(decode))
    }

    /// A duration above zero.
    pub(in crate::config) fn positive_duration(&self, name: &'static str) -> Option<Duration> {
        let value = self.take(name)?;
        let duration = value.duration()?;
        if duration.is_zero() {
            let finding = Finding::error("out-of-range", format!("`{}` must be longer than nothing", value.key));
            value.report(finding.help("give a duration above zero, such as \"30s\""));
            return None;
        }
        Some(duration)
    }

    /// `headers` or `query`.
    pub(in crate::config) fn fields(&self, name: &'static str, scope: &Scope<'_>) -> Vec<Field> {
        let Some(table) = self.take(name).and_then(|value| value.table()) else { return Vec::new() };
        let header = name == "headers";
        // Where any name may stand by right, none was meant for the file.
        if header || name == "query" {
            table.report_swallowed();
        }
        let scope = scope.standing_in(if header { Place::Header } else { Place::Plain });
        table.members().iter().filter_map(|(name, value)| value.field(name, header, &scope)).collect()
    }
}

impl Value<'_> {
    /// One header or query parameter.
    fn field(&self, name: &str, header: bool, scope: &Scope<'_>) -> Option<Field> {
        if let Some(finding) = header.then(|| bad_header_name(name)).flatten() {
            self.report_key(finding);
            return None;
        }
        if names_credential(name) && self.raw_str().is_some_and(|text| !text.is_empty() && is_constant(text)) {
            self.literal_secret();
            return None;
        }
        let leaf = self.is_table();
        if leaf && !self.table_has(&["pick", "concat", "each", "literal"]) {
            self.wrong_type("one value, or a list to repeat the name");
            return None;
        }
        let join = if leaf { self.table()?.given("join", |value| value.string().map(str::to_owned)) } else { Ok(None) };
        let value = self.tree_without(scope, if leaf { &["join"] } else { &[] });
        if let (true, Some(Tree::Constant(json))) = (header, &value)
            && json.as_ref().as_str().is_some_and(|text| text.contains(['\r', '\n', '\0']))
        {
            self.report(Finding::error("bad-header", "a header value cannot hold line ends or NUL"));
            return None;
        }
        let field = Field { name: name.to_owned(), value: value?, join: join.ok()? };
        let reads = field.value.references();
        let signs = reads.iter().any(|read| SIGNING.iter().any(|root| root.name() == read.root));
        if signs && reads.iter().any(|read| read.root == TABLES) {
            let finding =
                Finding::error("unknown-table", "what signs a request is made as it leaves, without `[tables]`");
            self.report(finding.help("look it up in a step before, and use what that gives"));
            return None;
        }
        Some(field)
    }

    /// A string that names a header this request may set.
    pub(super) fn header_name(&self) -> Option<String> {
        let name = self.string()?;
        match bad_header_name(name) {
            Some(finding) => {
                self.report(finding);
                None
            }
            None => Some(name.to_owned()),
        }
    }

    /// A body: a tree, or text in the request's media type.
    pub(super) fn body(&self, media: MediaType, scope: &Scope<'_>) -> Option<BodySpec> {
        let Some(text) = self.raw_str() else { return self.tree(scope).map(BodySpec::Tree) };
        if text.starts_with('=') || super::leaf::looks_like_path(text) {
            return self.tree(scope).map(BodySpec::Tree);
        }
        if media == MediaType::Multipart {
            let finding = Finding::error("bad-body", "a multipart body is a table of its parts");
            self.report(finding.help("write `[….body]` with a key for each field"));
            return None;
        }
        let template: Template = self.text(media.place(), scope)?;
        if media == MediaType::Xml
            && let Some(constant) = template.as_constant()
            && let Err(error) = crate::value::xml::Xml::check(constant)
        {
            let finding = Finding::error("bad-body", format!("this body is no XML: {error}"));
            self.report(finding.help("a body written as text must be well-formed; or write it as a table"));
            return None;
        }
        if media == MediaType::Json
            && let Some(constant) = template.as_constant()
            && let Err(error) = crate::value::json::Json::parse(bytes::Bytes::copy_from_slice(constant.as_bytes()))
        {
            let finding = Finding::error("bad-body", format!("this body is no JSON: {error}"));
            self.report(finding.help("a body written as text must be JSON; or write it as a table"));
            return None;
        }
        Some(BodySpec::Text(template))
    }
}

fn response(value: &Value<'_>, scope: &Scope<'_>) -> Option<ResponseRules> {
    value.response(scope)
}

/// What is wrong with the name of a header that is to be set.
fn bad_header_name(name: &str) -> Option<Finding> {
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if name.is_empty() || !name.bytes().all(token) {
        return Some(Finding::error("bad-header", format!("{name:?} is no header name")));
    }
    let reserved = RESERVED.contains(&name.to_lowercase().as_str());
    reserved.then(|| {
        Finding::error("bad-header", format!("header `{name}` is set by the HTTP client alone")).help("remove it")
    })
}

/// A string that is neither computed nor filled in.
fn is_constant(text: &str) -> bool {
    !text.contains("{{") && !text.starts_with('=') && !super::leaf::looks_like_path(text)
}
