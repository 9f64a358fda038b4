//! A request as configured (the request table of FORMAT.md section 0) and as rendered, ready to send.

mod field;
mod prepared;
mod signing;

pub use field::Field;
pub(in crate::http) use field::names_secret;
pub(in crate::http) use prepared::Derived;
pub use prepared::Prepared;
pub(in crate::http) use signing::{AWS_DATE, Signing};

use super::client::Client;
use super::media::unpack::Decode;
use super::media::{Encoded, MediaSettings, MediaType, MediaTypes};
use super::on::OnRules;
use super::verdict::ResponseRules;
use crate::value::context::{Context, Root, Slot};
use crate::value::issue::EvalError;
use crate::value::json::Json;
use crate::value::secret::Secret;
use crate::value::template::Template;
use crate::value::tree::{Tree, Written};
use crate::value::uri::UriTemplate;
use reqwest::header::{ACCEPT, HeaderValue};
use std::sync::Arc;
use std::time::Duration;

/// The methods FORMAT.md allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    Get,
    Head,
    Post,
    Put,
    Patch,
    Delete,
}

impl Method {
    /// As written on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }

    /// Whether sending twice does what sending once does (RFC 9110).
    pub fn is_idempotent(self) -> bool {
        !matches!(self, Self::Post | Self::Patch)
    }
}

/// A request table.
#[derive(Debug, Clone)]
pub struct RequestSpec {
    /// `method`
    pub method: Method,
    /// `relative_uri`; empty = the base itself.
    pub uri: UriTemplate,
    /// `headers`
    pub headers: Vec<Field>,
    /// `query`
    pub query: Vec<Field>,
    /// `body`; none = no body (an import decides what that means).
    pub body: Option<BodySpec>,
    /// `timeout`, over the connection's.
    pub timeout: Option<Duration>,
    /// `response`, over the connection's.
    pub response: Option<ResponseRules>,
    /// `on`, tried before the connection's.
    pub on: OnRules,
    /// `media_type` and its siblings, over the connection's.
    pub types: MediaTypes,
    /// `decode`, of requests that read records.
    pub decode: Option<Arc<Decode>>,
}

/// `body`
#[derive(Debug, Clone)]
pub enum BodySpec {
    /// A value tree.
    Tree(Tree),
    /// Text in the request's media type.
    Text(Template),
}

impl RequestSpec {
    /// A GET of the connection's base itself, with nothing added.
    pub fn of_base() -> Option<Self> {
        Some(Self {
            method: Method::Get,
            uri: UriTemplate::compile("").ok()?,
            headers: Vec::new(),
            query: Vec::new(),
            body: None,
            timeout: None,
            response: None,
            on: OnRules::default(),
            types: MediaTypes::default(),
            decode: None,
        })
    }

    /// Renders the whole request. `ctx` must offer the client's connection (`Client::context`).
    pub fn prepare(&self, ctx: &Context<'_>, client: &Client) -> Result<Prepared, EvalError> {
        let mut prepared = self.prepare_head(ctx, client)?;
        if let Some(body) = &self.body {
            let (media, settings) = (prepared.types.of_request(), &client.settings().media);
            let body = body.render(ctx, media, settings).map_err(|error| error.at("body"))?;
            if let Some(body) = body {
                prepared.carry(body);
            }
        }
        Ok(prepared)
    }

    /// Renders everything but the body, for a caller that writes the body itself.
    pub fn prepare_head(&self, ctx: &Context<'_>, client: &Client) -> Result<Prepared, EvalError> {
        let settings = client.settings();
        let mut url =
            self.uri.render(ctx, &settings.base_uri, &settings.allowed_origins).map_err(|e| e.at("relative_uri"))?;
        if !client.may_have_credentials(&url) && self.body.as_ref().is_some_and(BodySpec::is_secret) {
            return Err(EvalError::Refused(
                "body: holds a secret, but the request goes to another origin than the connection's".to_owned(),
            ));
        }
        let mut secret_query = Vec::new();
        client.add_query(&mut url, &mut secret_query, &self.query, ctx)?;
        for field in self.query.iter().filter(|field| !field.signs()) {
            field.write_query(ctx, &mut url, &mut secret_query)?;
        }
        let mut headers = client.headers(ctx)?;
        for field in self.headers.iter().filter(|field| !field.signs()) {
            field.write_header(ctx, &mut headers)?;
        }
        let types = self.types.over(settings.media.types);
        let accept = match (&self.decode, types.success) {
            (Some(_), _) => Some("*/*"),
            (None, Some(media)) => Some(media.accept()),
            // Where nothing is said of answers, they are likely to be what requests are.
            (None, None) => match types.of_request() {
                MediaType::Xml => Some("application/xml, text/xml;q=0.9, */*;q=0.1"),
                MediaType::Csv => Some("text/csv, */*;q=0.1"),
                _ => None,
            },
        };
        if let Some(accept) = accept.filter(|_| !self.accepts() && !client.accepts()) {
            headers.insert(ACCEPT, HeaderValue::from_static(accept));
        }
        let mut derived = self.body.as_ref().map_or_else(Derived::default, |body| body.derived(ctx));
        let changing = settings.headers.iter().chain(&settings.query).filter(|field| !field.is_fixed());
        for field in changing.chain(&self.headers).chain(&self.query).filter(|field| !field.signs()) {
            derived.texts.extend(field.derived(ctx));
        }
        derived
            .texts
            .extend(self.uri.template().derived(ctx, names_secret).unwrap_or_default().into_iter().map(Secret::new));
        Ok(Prepared {
            derived,
            types,
            decode: self.decode.clone(),
            on: self.on.clone(),
            flow: self.flow_for_rules(ctx, client),
            alone: false,
            method: self.method,
            body: None,
            url,
            headers,
            secret_query,
            signing: self.signing(ctx, client),
            timeout: self.timeout,
            safe: false,
            keyed: false,
            bare: false,
            repeat: None,
        })
    }
}

impl RequestSpec {
    /// What is made of the request itself; a field of the step goes before its connection's of the same name.
    fn signing(&self, ctx: &Context<'_>, client: &Client) -> Vec<Signing> {
        let settings = client.settings();
        let over_query = |field: &&Field| !self.query.iter().any(|own| own.name == field.name);
        let over_header = |field: &&Field| !self.headers.iter().any(|own| own.name.eq_ignore_ascii_case(&field.name));
        let query = settings.query.iter().filter(over_query).chain(&self.query);
        let headers = settings.headers.iter().filter(over_header).chain(&self.headers);
        let fields = query.map(|field| (field, false)).chain(headers.map(|field| (field, true)));
        fields.filter(|(field, _)| field.signs()).map(|(field, header)| Signing::of(field, header, ctx)).collect()
    }

    /// The flow as rules see it, where one looks.
    fn flow_for_rules(&self, ctx: &Context<'_>, client: &Client) -> Option<Json> {
        let own = self.on.iter().any(|rule| rule.reads(Root::Flow))
            || self.response.as_ref().is_some_and(|rules| rules.reads(Root::Flow));
        match ctx.get(Root::Flow) {
            Slot::Json(flow) if own || client.judges_by_flow() => Some(Json::trusted(flow.text().to_owned())),
            _ => None,
        }
    }

    /// Whether it says itself what it accepts.
    fn accepts(&self) -> bool {
        self.headers.iter().any(|field| field.name.eq_ignore_ascii_case("accept"))
    }
}

impl BodySpec {
    fn is_secret(&self) -> bool {
        match self {
            Self::Tree(tree) => tree.references().into_iter().any(names_secret),
            Self::Text(template) => template.references().iter().any(names_secret),
        }
    }

    /// What stands in it that was computed from secrets.
    fn derived(&self, ctx: &Context<'_>) -> Derived {
        if !self.is_secret() {
            return Derived::default();
        }
        let texts = match self {
            Self::Tree(tree) => tree.derived(ctx, names_secret),
            Self::Text(template) => template.derived(ctx, names_secret),
        };
        texts.map_or(Derived { texts: Vec::new(), all: true }, |texts| Derived {
            texts: texts.into_iter().map(Secret::new).collect(),
            all: false,
        })
    }

    fn render(
        &self,
        ctx: &Context<'_>,
        media: MediaType,
        settings: &MediaSettings,
    ) -> Result<Option<Encoded>, EvalError> {
        match self {
            Self::Tree(tree) => {
                let mut out = Vec::with_capacity(256);
                if tree.write(ctx, &mut out)? == Written::Absent {
                    return Ok(None);
                }
                if media == MediaType::Json {
                    return Ok(Some(Encoded::new(out, "application/json")));
                }
                media.write(&Json::trusted(out), settings).map(Some)
            }
            Self::Text(template) => {
                let mut text = String::new();
                template.render(ctx, &mut text)?;
                media.write_text(text).map(Some)
            }
        }
    }
}
