//! A request that fetches a credential: refresh, token request, login. It carries only its own keys, never those of the
//! connection, and goes where the configuration says, listed origin or not.

use crate::http::media::xml::{self, XmlSettings};
use crate::http::media::{MediaType, MediaTypes};
use crate::http::on::OnRules;
use crate::http::request::{Field, Method};
use crate::http::transport::WireRequest;
use crate::http::verdict::ResponseRules;
use crate::http::{headers, query};
use crate::value::context::Context;
use crate::value::issue::EvalError;
use crate::value::json::{Json, JsonRef, Kind, write_string};
use crate::value::template::Template;
use crate::value::tree::{Tree, Written};
use crate::value::uri::UriTemplate;
use bytes::Bytes;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue};
use std::time::Duration;
use url::Url;
use url::form_urlencoded::Serializer;

/// `media_type` of such a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Media {
    /// `form`
    Form,
    /// `json`
    Json,
    /// `xml`
    Xml,
}

impl Media {
    fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Form => "application/x-www-form-urlencoded",
            Self::Json => "application/json",
            Self::Xml => "application/xml",
        })
    }

    /// Name and value pairs as a body.
    pub(in crate::http) fn pairs(self, pairs: &[(String, String)]) -> Bytes {
        if self == Self::Form {
            return Serializer::new(String::new()).extend_pairs(pairs).finish().into();
        }
        let mut out = vec![b'{'];
        for (n, (name, value)) in pairs.iter().enumerate() {
            if n > 0 {
                out.push(b',');
            }
            write_string(&mut out, name);
            out.push(b':');
            write_string(&mut out, value);
        }
        out.push(b'}');
        out.into()
    }
}

/// Its body as written.
#[derive(Debug, Clone)]
pub enum ErrandBody {
    /// A table: an object, sent as JSON, form or XML.
    Tree(Tree),
    /// Text, escaped for its media type.
    Text(Template),
}

/// The request.
#[derive(Debug, Clone)]
pub struct Errand {
    /// `method`
    pub method: Method,
    /// `relative_uri` or `token_uri`; may be absolute.
    pub uri: UriTemplate,
    /// `headers`
    pub headers: Vec<Field>,
    /// `query`
    pub query: Vec<Field>,
    /// `body`
    pub body: Option<ErrandBody>,
    /// `media_type`
    pub media: Media,
    /// `success_media_type` and `error_media_type`
    pub types: MediaTypes,
    /// How XML is written.
    pub xml: XmlSettings,
    /// `timeout`, over the connection's.
    pub timeout: Option<Duration>,
    /// `response`
    pub response: ResponseRules,
    /// `on`
    pub on: OnRules,
}

impl Errand {
    /// What leaves. `usual` is the body where none is written.
    pub(in crate::http) fn render(
        &self,
        ctx: &Context<'_>,
        base: &Url,
        usual: Option<Bytes>,
    ) -> Result<WireRequest, EvalError> {
        let mut url = self.uri.render_configured(ctx, base)?;
        for field in &self.query {
            let texts = field.texts(ctx).map_err(|error| error.at(&format!("query `{}`", field.name)))?;
            query::extend(&mut url, texts.iter().map(|text| (field.name.as_str(), text.as_str())));
        }
        let mut headers = HeaderMap::new();
        let accept = self.types.success.or(self.types.request).unwrap_or(MediaType::Json);
        headers.insert(ACCEPT, HeaderValue::from_static(accept.accept()));
        let body = match &self.body {
            Some(body) => Some(body.render(ctx, self.media, &self.xml).map_err(|error| error.at("body"))?),
            None if matches!(self.method, Method::Get | Method::Head) => None,
            None => usual,
        };
        if body.is_some() {
            headers.insert(CONTENT_TYPE, self.media.content_type());
        }
        for field in &self.headers {
            field.write_header(ctx, &mut headers)?;
        }
        Ok(WireRequest { method: self.method, url, headers, body })
    }
}

impl ErrandBody {
    fn render(&self, ctx: &Context<'_>, media: Media, settings: &XmlSettings) -> Result<Bytes, EvalError> {
        match self {
            Self::Text(template) => {
                let mut text = String::new();
                template.render(ctx, &mut text)?;
                if media == Media::Xml {
                    return Ok(xml::write_text(text)?.bytes);
                }
                if media == Media::Json {
                    Json::parse(text.as_bytes())
                        .map_err(|error| EvalError::Refused(format!("the rendered text is not JSON: {error}")))?;
                }
                Ok(text.into())
            }
            Self::Tree(tree) => {
                let mut out = Vec::new();
                if tree.write(ctx, &mut out)? == Written::Absent {
                    return Ok(Bytes::new());
                }
                if media == Media::Json {
                    return Ok(out.into());
                }
                let text = String::from_utf8(out).map_err(|_| EvalError::Type("is not UTF-8".to_owned()))?;
                if media == Media::Xml {
                    return Ok(xml::write(JsonRef::trusted(&text), settings)?.bytes);
                }
                form(JsonRef::trusted(&text))
            }
        }
    }
}

/// An object as a form: a list repeats its name, null is left out.
fn form(object: JsonRef<'_>) -> Result<Bytes, EvalError> {
    if object.kind() != Kind::Object {
        return Err(EvalError::Type(format!("a form is made of a table, not of {}", object.kind().name())));
    }
    let mut form = Serializer::new(String::new());
    for (name, value) in object.members() {
        let items: Vec<JsonRef<'_>> = if value.kind() == Kind::Array { value.items().collect() } else { vec![value] };
        for item in items {
            match item.kind() {
                Kind::Null => {}
                Kind::Array | Kind::Object => {
                    return Err(EvalError::Type(format!("`{name}` is {}, which no form can hold", item.kind().name())));
                }
                Kind::Text | Kind::Number | Kind::Bool => {
                    form.append_pair(&name, &item.compare_text());
                }
            }
        }
    }
    Ok(form.finish().into())
}

/// A header of an errand, checked.
pub(in crate::http) fn secret_header(wire: &mut WireRequest, name: &str, value: &str) -> Result<(), EvalError> {
    let (name, value) = headers::field(name, value, true)?;
    wire.headers.insert(name, value);
    Ok(())
}
