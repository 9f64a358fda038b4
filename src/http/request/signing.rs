//! Headers and query parameters made of the request they join (`hmacOptions`, `hashOptions`, `aws4`): rendered as it
//! leaves, for each attempt, over exactly what is sent.

use super::field::Field;
use crate::http::transport::WireRequest;
use crate::http::{headers, query};
use crate::value::context::{AWS4, BODY_HASH, Context, Root, SIGNING, Slot};
use crate::value::expression;
use crate::value::json::{Json, JsonRef, write_string};
use crate::value::secret::Secret;
use crate::value::sigv4;
use crate::value::tree::Tree;
use chrono::{DateTime, SecondsFormat, Utc};
use reqwest::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use std::sync::Arc;
use url::form_urlencoded;

/// Parameters a signature over the others leaves out.
const APART: [&str; 2] = ["sign", "access_token"];

/// The header that travels with a signature of AWS.
pub(in crate::http) const AWS_DATE: &str = "x-amz-date";

/// One such field, with what its text reads beside the request.
#[derive(Clone)]
pub(in crate::http) struct Signing {
    field: Field,
    header: bool,
    kept: Arc<Vec<(Root, Json)>>,
    missing_is_empty: bool,
}

impl Field {
    /// Whether its value is made of the request itself.
    pub(in crate::http) fn signs(&self) -> bool {
        self.value.references().iter().any(|read| SIGNING.iter().any(|root| root.name() == read.root))
    }

    /// Whether it is a signature of AWS, over all other headers and with a date beside it.
    pub(in crate::http) fn is_aws4(&self) -> bool {
        self.value.references().iter().any(|read| read.members.first().is_some_and(|member| member == AWS4))
    }
}

impl Signing {
    /// A field that waits for its request. What it reads is taken now, since attempts outlive it.
    pub(in crate::http) fn of(field: &Field, header: bool, ctx: &Context<'_>) -> Self {
        let reads = field.value.references();
        // Paths read the record without naming it. A text names what it reads: a lookup's requests stay alike.
        let paths = !matches!(field.value, Tree::Template(_) | Tree::Expression(_));
        let wanted = |root: &&Root| {
            **root == Root::Connection
                || paths && matches!(root, Root::Record | Root::Item)
                || reads.iter().any(|read| read.root == root.name())
        };
        let kept = Root::ALL.iter().filter(|root| !SIGNING.contains(root)).filter(wanted);
        let kept = kept.filter_map(|root| Some((*root, expression::kept(ctx, *root)?))).collect();
        Self { field: field.clone(), header, kept: Arc::new(kept), missing_is_empty: ctx.missing_is_empty() }
    }

    /// Name of a query parameter.
    pub(in crate::http) fn query_name(&self) -> Option<&str> {
        (!self.header).then_some(self.field.name.as_str())
    }

    /// Name of a header.
    pub(in crate::http) fn header_name(&self) -> Option<&str> {
        self.header.then_some(self.field.name.as_str())
    }

    /// Whether a date joins the request with it.
    pub(in crate::http) fn is_dated(&self) -> bool {
        self.field.is_aws4()
    }

    /// What tells it from the same field of another request.
    pub(super) fn parts(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.field.name.as_str()).chain(self.kept.iter().map(|(_, json)| json.text()))
    }

    /// Query parameters first, then headers, each over what those before it made; signatures of AWS last.
    pub(in crate::http) fn join(
        all: &[Self],
        request: &mut WireRequest,
        now: DateTime<Utc>,
    ) -> Result<Vec<Secret>, String> {
        let mut made = Vec::new();
        let mut order: Vec<&Self> = all.iter().collect();
        order.sort_by_key(|signing| (signing.header, signing.field.is_aws4()));
        for signing in order {
            signing.add(request, now, &mut made)?;
        }
        Ok(made)
    }

    fn add(&self, request: &mut WireRequest, now: DateTime<Utc>, made: &mut Vec<Secret>) -> Result<(), String> {
        if self.field.is_aws4() && !request.headers.contains_key(AWS_DATE) {
            let stamp = HeaderValue::from_str(&now.format(sigv4::STAMP).to_string());
            request.headers.insert(HeaderName::from_static(AWS_DATE), stamp.map_err(|error| error.to_string())?);
        }
        let kind = if self.header { "header" } else { "query" };
        let texts = self.texts(request, now).map_err(|error| error.at(&format!("{kind} `{}`", self.field.name)));
        let texts = texts.map_err(|error| error.to_string())?;
        if self.header {
            for (n, text) in texts.iter().enumerate() {
                let (name, value) = headers::field(&self.field.name, text, true).map_err(|error| error.to_string())?;
                if n == 0 {
                    request.headers.insert(name, value);
                } else {
                    request.headers.append(name, value);
                }
            }
        } else {
            query::remove(&mut request.url, &self.field.name);
            query::extend(&mut request.url, texts.iter().map(|text| (self.field.name.as_str(), text.as_str())));
        }
        // A word such as the method is no secret, and masking it would hide what is said of it.
        if self.field.is_secret() || self.field.is_aws4() {
            made.extend(texts.into_iter().map(Secret::new));
        }
        Ok(())
    }

    fn texts(&self, request: &WireRequest, now: DateTime<Utc>) -> Result<Vec<String>, crate::value::issue::EvalError> {
        let asked = Asked::of(request);
        let now = now.to_rfc3339_opts(SecondsFormat::Millis, true);
        let mut ctx = Context::new().with_missing_as_empty(self.missing_is_empty);
        for (root, json) in &*self.kept {
            ctx = ctx.with(*root, Slot::Json(json.as_ref()));
        }
        let connection = self.kept.iter().find(|(root, _)| *root == Root::Connection);
        let configured = |name| connection.and_then(|(_, json)| json.as_ref().get(name)).map_or(Slot::None, Slot::Json);
        let http = [("encrypted", configured("secrets")), ("unencrypted", configured("vars"))];
        let body = asked.body.map_or(Slot::None, Slot::Text);
        let fields = asked.fields.as_ref().map_or(Slot::None, |json| Slot::Json(json.as_ref()));
        let hash = [
            ("headers", Slot::Headers(&asked.headers)),
            ("body", body),
            ("bodyParametersMap", fields),
            ("method", Slot::Text(request.method.name())),
            ("http", Slot::Map(&http)),
            ("baseURI", Slot::Text(&asked.host)),
            ("relativeURI", Slot::Text(request.url.path())),
            ("urlParameters", Slot::Text(request.url.query().unwrap_or_default())),
            ("urlParametersMap", Slot::Json(asked.parameters.as_ref())),
            ("URI", Slot::Text(request.url.as_str())),
            (BODY_HASH, Slot::Text(&asked.hash)),
        ];
        let hmac: Vec<_> = hash.iter().copied().chain([("orderedQueryParams", Slot::Text(&asked.ordered))]).collect();
        let ctx = ctx.with(Root::HashOptions, Slot::Map(&hash)).with(Root::HmacOptions, Slot::Map(&hmac));
        self.field.texts(&ctx.with(Root::Now, Slot::Text(&now)))
    }
}

/// What a signature may look at, besides what stands in the request as it is.
struct Asked<'a> {
    headers: Vec<(String, String)>,
    /// None where it is no text.
    body: Option<&'a str>,
    /// Members of a JSON object, or fields of a form.
    fields: Option<Json>,
    host: String,
    parameters: Json,
    ordered: String,
    hash: String,
}

impl<'a> Asked<'a> {
    fn of(request: &'a WireRequest) -> Self {
        let bytes = request.body.as_deref().unwrap_or_default();
        let body = std::str::from_utf8(bytes).ok();
        let kind = request.headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
        let form = kind.starts_with(b"application/x-www-form-urlencoded");
        let fields = match body {
            Some(body) if form => Some(object(form_urlencoded::parse(body.as_bytes()))),
            // Bodies of JSON are checked by the time they get here.
            Some(body) if kind.starts_with(b"application/json") && body.trim_start().starts_with('{') => {
                Some(Json::trusted(JsonRef::trusted(body.trim()).text().to_owned()))
            }
            _ => None,
        };
        let port = request.url.port().map(|port| format!(":{port}")).unwrap_or_default();
        let mut pieces: Vec<&str> = request.url.query().unwrap_or_default().split('&').collect();
        pieces.retain(|piece| {
            let name = form_urlencoded::parse(piece.as_bytes()).next().map(|(name, _)| name);
            !piece.is_empty() && name.is_none_or(|name| !APART.contains(&&*name))
        });
        pieces.sort_unstable();
        Self {
            headers: headers::pairs(&request.headers),
            body,
            fields,
            host: format!("{}{port}", request.url.host_str().unwrap_or_default()),
            parameters: object(request.url.query_pairs()),
            ordered: pieces.join("&"),
            hash: sigv4::hash(bytes),
        }
    }
}

/// Names with their texts; of a name that comes again the first.
fn object<'p>(pairs: impl Iterator<Item = (std::borrow::Cow<'p, str>, std::borrow::Cow<'p, str>)>) -> Json {
    let mut out = vec![b'{'];
    let mut seen = std::collections::HashSet::new();
    for (name, value) in pairs {
        if seen.insert(name.clone()) {
            if out.len() > 1 {
                out.push(b',');
            }
            write_string(&mut out, &name);
            out.push(b':');
            write_string(&mut out, &value);
        }
    }
    out.push(b'}');
    Json::trusted(out)
}
