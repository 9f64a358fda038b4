//! One header or query parameter: a value tree that gives text, or a list of texts.

use crate::http::{headers, query};
use crate::value::context::{Context, Reference, TORN};
use crate::value::issue::EvalError;
use crate::value::json::{JsonRef, Kind, is_torn};
use crate::value::secret::Secret;
use crate::value::tree::{Tree, Written};
use reqwest::header::HeaderMap;
use url::Url;

/// One header or query parameter.
#[derive(Debug, Clone)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// Its value; a list repeats the name.
    pub value: Tree,
    /// `join`: a list joined to one value.
    pub join: Option<String>,
}

/// Whether a name may lead to a secret; `connection` as a whole does.
pub(in crate::http) fn names_secret(reference: &Reference) -> bool {
    match reference.root.as_str() {
        "connection" => reference.members.first().is_none_or(|member| member != "vars"),
        "auth" => true,
        // A signature is made with a key.
        "hmacOptions" | "hashOptions" => reference.members.first().is_none_or(|member| member == "http"),
        _ => false,
    }
}

/// Whether a text can give a secret away: a truth value of one cannot, and masking it would destroy other texts.
fn hides(text: &str) -> bool {
    !matches!(text, "true" | "false" | "null")
}

impl Field {
    /// Whether its value is made of a secret.
    pub(in crate::http) fn is_secret(&self) -> bool {
        self.value.references().into_iter().any(names_secret)
    }

    /// Whether its value is the same for every request of a connection.
    pub(in crate::http) fn is_fixed(&self) -> bool {
        self.value.references().iter().all(|reference| reference.root == "connection")
    }

    /// Its values: none when an optional one is absent, several for a list that is not joined.
    pub(in crate::http) fn texts(&self, ctx: &Context<'_>) -> Result<Vec<String>, EvalError> {
        let mut out = Vec::new();
        if self.value.write(ctx, &mut out)? == Written::Absent {
            return Ok(Vec::new());
        }
        let text = String::from_utf8(out).map_err(|_| EvalError::Type("the value is not UTF-8".to_owned()))?;
        let value = JsonRef::trusted(text.trim());
        let mut texts = match value.kind() {
            Kind::Array => value.items().map(scalar).collect::<Result<Vec<_>, _>>()?,
            Kind::Null if matches!(&self.value, Tree::Pick(pick) if pick.optional) => Vec::new(),
            _ => vec![scalar(value)?],
        };
        match &self.join {
            Some(join) if !texts.is_empty() => texts = vec![texts.join(join)],
            _ => {}
        }
        Ok(texts)
    }

    /// What stands in its values that was computed from a secret, and so would be recognised by nobody.
    pub(in crate::http) fn derived(&self, ctx: &Context<'_>) -> Vec<Secret> {
        if !self.is_secret() {
            return Vec::new();
        }
        let texts = match &self.value {
            // It may give a list of texts.
            Tree::Expression(_) | Tree::Pick(_) => self.texts(ctx),
            value => value.derived(ctx, names_secret).or_else(|_| self.texts(ctx)),
        };
        texts.unwrap_or_default().into_iter().filter(|text| hides(text)).map(Secret::new).collect()
    }

    /// Adds it to a URL, or to what joins the URL later when it is a secret.
    pub(in crate::http) fn write_query(
        &self,
        ctx: &Context<'_>,
        url: &mut Url,
        secret: &mut Vec<(String, String)>,
    ) -> Result<(), EvalError> {
        let texts = self.texts(ctx).map_err(|error| error.at(&format!("query `{}`", self.name)))?;
        if self.is_secret() {
            secret.extend(texts.into_iter().map(|text| (self.name.clone(), text)));
        } else {
            query::extend(url, texts.iter().map(|text| (self.name.as_str(), text.as_str())));
        }
        Ok(())
    }

    /// Puts it in place of headers of its name.
    pub(in crate::http) fn write_header(&self, ctx: &Context<'_>, headers: &mut HeaderMap) -> Result<(), EvalError> {
        let texts = self.texts(ctx).map_err(|error| error.at(&format!("header `{}`", self.name)))?;
        for (n, text) in texts.iter().enumerate() {
            let (name, value) = headers::field(&self.name, text, self.is_secret())?;
            if n == 0 {
                headers.insert(name, value);
            } else {
                headers.append(name, value);
            }
        }
        Ok(())
    }
}

/// A value as header or query text. Null and objects have no such text that any server would agree on.
fn scalar(value: JsonRef<'_>) -> Result<String, EvalError> {
    match value.kind() {
        Kind::Text if is_torn(value.text()) => Err(EvalError::Refused(TORN.to_owned())),
        Kind::Text | Kind::Number | Kind::Bool => Ok(value.compare_text().into_owned()),
        Kind::Null => Err(EvalError::Type("is null; give a `default` or say `optional = true`".to_owned())),
        kind @ (Kind::Array | Kind::Object) => {
            Err(EvalError::Type(format!("is {}, where text or a number is needed", kind.name())))
        }
    }
}
