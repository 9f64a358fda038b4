//! `[auth.custom]`: headers, query parameters and body fields of one's own making.

use super::refresh::Refresh;
use super::token::is_form;
use super::{Credential, Moment, Proof};
use crate::http::request::{Field, Signing, names_secret};
use crate::http::transport::WireRequest;
use crate::http::{headers, query};
use crate::value::context::Context;
use crate::value::issue::EvalError;
use crate::value::json::{JsonRef, Kind, write_string};
use crate::value::secret::{MASK, Secret};
use crate::value::tree::Tree;
use bytes::Bytes;
use reqwest::header::HeaderMap;
use url::form_urlencoded;

/// `[auth.custom]`
#[derive(Debug, Clone)]
pub struct Custom {
    /// `headers`
    pub headers: Vec<Field>,
    /// `query`
    pub query: Vec<Field>,
    /// `body`: fields merged into JSON objects and forms.
    pub body: Vec<(String, Tree)>,
    /// `refresh`
    pub refresh: Option<Refresh>,
}

/// All of it, rendered.
pub(in crate::http) struct Additions {
    headers: HeaderMap,
    query: Vec<(String, String)>,
    /// Name and JSON text.
    body: Vec<(String, String)>,
    /// What is made of the request itself.
    signing: Vec<Signing>,
}

impl Custom {
    pub(super) fn prove(&self, ctx: &Context<'_>) -> Result<Proof, EvalError> {
        let mut secrets = Vec::new();
        let signed = |fields: &[Field], header| -> Vec<Signing> {
            fields.iter().filter(|field| field.signs()).map(|field| Signing::of(field, header, ctx)).collect()
        };
        let mut signing = signed(&self.query, false);
        signing.extend(signed(&self.headers, true));
        let mut additions = Additions { headers: HeaderMap::new(), query: Vec::new(), body: Vec::new(), signing };
        for field in self.headers.iter().filter(|field| !field.signs()) {
            let at = |error: EvalError| error.at("auth.custom.headers");
            let texts = field.texts(ctx).map_err(at)?;
            for (n, text) in texts.iter().enumerate() {
                let (name, value) = headers::field(&field.name, text, true).map_err(at)?;
                if n == 0 {
                    additions.headers.insert(name, value)
                } else {
                    Some(additions.headers.append(name, value)).and(None)
                };
            }
            secrets.extend(texts.into_iter().filter(|_| field.is_secret()).map(Secret::new));
            secrets.extend(field.derived(ctx));
        }
        for field in self.query.iter().filter(|field| !field.signs()) {
            let texts = field.texts(ctx).map_err(|error| error.at(&format!("auth.custom.query.{}", field.name)))?;
            secrets.extend(texts.iter().filter(|_| field.is_secret()).map(|text| Secret::new(text.as_str())));
            secrets.extend(field.derived(ctx));
            additions.query.extend(texts.into_iter().map(|text| (field.name.clone(), text)));
        }
        for (name, tree) in &self.body {
            let json = tree.json(ctx).map_err(|error| error.at(&format!("auth.custom.body.{name}")))?;
            secrets.extend(tree.derived(ctx, names_secret).unwrap_or_default().into_iter().map(Secret::new));
            additions.body.extend(json.map(|json| (name.clone(), json.text().to_owned())));
        }
        Ok(Proof { credential: Credential::Custom(Box::new(additions)), secrets })
    }
}

impl Custom {
    /// Its body fields with their values masked, in a body that is only looked at.
    pub(super) fn show_in_body(&self, request: &mut WireRequest) -> Result<(), String> {
        let body = self.body.iter().map(|(name, _)| (name.clone(), format!("\"{MASK}\""))).collect();
        Additions { headers: HeaderMap::new(), query: Vec::new(), body, signing: Vec::new() }.merge(request)
    }
}

impl Additions {
    pub(super) fn apply(&self, request: &mut WireRequest, moment: &Moment<'_>) -> Result<Vec<Secret>, String> {
        for name in self.headers.keys() {
            request.headers.remove(name);
        }
        for (name, value) in &self.headers {
            request.headers.append(name.clone(), value.clone());
        }
        query::extend_absent(&mut request.url, &self.query);
        self.merge(request)?;
        Signing::join(&self.signing, request, moment.utc)
    }

    fn merge(&self, request: &mut WireRequest) -> Result<(), String> {
        if let Some(body) = request.body.take_if(|_| !self.body.is_empty()) {
            let form = is_form(&request.headers);
            request.body = Some(if form { self.merged_form(&body) } else { self.merged_object(&body)? });
        }
        Ok(())
    }

    pub(super) fn query_names(&self) -> impl Iterator<Item = &str> {
        let signed = self.signing.iter().filter_map(Signing::query_name);
        self.query.iter().map(|(name, _)| name.as_str()).chain(signed)
    }

    fn merged_form(&self, body: &[u8]) -> Bytes {
        let ours = |name: &str| self.body.iter().any(|(own, _)| own == name);
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.extend_pairs(form_urlencoded::parse(body).filter(|(name, _)| !ours(name)));
        form.extend_pairs(self.body.iter().map(|(name, json)| (name, JsonRef::trusted(json).compare_text())));
        form.finish().into()
    }

    fn merged_object(&self, body: &[u8]) -> Result<Bytes, String> {
        // Bodies are checked JSON by the time they get here.
        let text = std::str::from_utf8(body).map_err(|_| "the body is not UTF-8".to_owned())?.trim();
        let json = JsonRef::trusted(text);
        if text.is_empty() || json.kind() != Kind::Object {
            return Err("auth.custom.body is merged into the body, but that is no JSON object".to_owned());
        }
        let mut out = vec![b'{'];
        let kept = json.members().filter(|(name, _)| !self.body.iter().any(|(own, _)| own == name));
        let kept = kept.map(|(name, value)| (name.into_owned(), value.text()));
        let own = self.body.iter().map(|(name, json)| (name.clone(), json.as_str()));
        for (n, (name, value)) in kept.chain(own).enumerate() {
            if n > 0 {
                out.push(b',');
            }
            write_string(&mut out, &name);
            out.push(b':');
            out.extend_from_slice(value.as_bytes());
        }
        out.push(b'}');
        Ok(out.into())
    }
}
