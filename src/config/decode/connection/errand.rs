//! Requests that fetch a credential: `refresh` under a method, the token request of `oauth2`, the login of `cookie`.

use super::signing::Origin;
use crate::config::decode::credential::names_credential;
use crate::config::decode::file::Finding;
use crate::config::decode::request::{self, METHODS, OTHER_MEDIA};
use crate::config::decode::scope::Scope;
use crate::config::decode::table::Table;
use crate::config::decode::value::Value;
use crate::http::auth::{Errand, ErrandBody, Media, Refresh, TokenPaths};
use crate::http::media::{MediaType, MediaTypes};
use crate::http::request::Method;
use crate::value::context::Root;
use crate::value::document::BodyPath;
use crate::value::template::Place;
use crate::value::tree::Tree;
use crate::value::uri::UriTemplate;

const MEDIA: &[(&str, Media)] = &[("form", Media::Form), ("json", Media::Json), ("xml", Media::Xml)];

/// What the request is where nothing is written.
pub(super) struct Usual {
    pub(super) method: Method,
    pub(super) media: Media,
}

/// `[auth.<method>.refresh]`
pub(super) fn refresh(value: &Value<'_>, origin: &mut Origin<'_, '_>) -> Option<Refresh> {
    let table = value.table()?;
    let scope = origin.scope.with(&[Root::Auth]);
    let uri = table.need("relative_uri").and_then(|value| value.uri(&scope));
    let refresh_token =
        table.given("refresh_token", |value| value.credential(origin.scope, origin.sources, origin.secrets));
    let usual = Usual { method: Method::Post, media: Media::Form };
    let errand = errand(&table, &scope, uri, &usual);
    let types = errand.as_ref().map(|errand| errand.types).unwrap_or_default();
    let answer = token_paths(&table, &scope.reading_only(types));
    table.finish();
    Some(Refresh { errand: errand?, refresh_token: refresh_token.ok()?, answer: answer? })
}

/// The request keys, but for where it goes.
pub(super) fn errand(table: &Table<'_>, scope: &Scope<'_>, uri: Option<UriTemplate>, usual: &Usual) -> Option<Errand> {
    let method = table.given("method", |value| value.word(METHODS, &[]));
    let headers = table.fields("headers", scope);
    let query = table.fields("query", scope);
    let media = table.given("media_type", |value| value.word(MEDIA, &["csv", "text", "ndjson", "multipart", "binary"]));
    let answers = |name| table.given(name, |value: &Value<'_>| value.word(request::MEDIA, OTHER_MEDIA));
    let (success, error) = (answers("success_media_type"), answers("error_media_type"));
    let timeout = table.positive_duration("timeout");
    let body = table.take("body");
    let (method, media) = (method.ok()?.unwrap_or(usual.method), media.ok()?.unwrap_or(usual.media));
    let types = MediaTypes {
        request: (media == Media::Xml).then_some(MediaType::Xml),
        success: success.ok()?,
        error: error.ok()?,
    };
    if media == Media::Xml && body.is_none() && !matches!(method, Method::Get | Method::Head) {
        let finding = Finding::error("missing-key", "an xml request has no usual body").key(table.key());
        table.report(finding.help("write `body`, as a text or a table"));
        return None;
    }
    if let Some(value) = body.as_ref().filter(|_| matches!(method, Method::Get | Method::Head)) {
        let finding = Finding::error("conflicting-keys", format!("a {} request has no body", method.name()));
        value.report_key(finding.help("send the values as `query`, or set `method = \"POST\"`"));
    }
    let body = match body {
        Some(value) => Some(value.errand_body(media, scope)?),
        None => None,
    };
    let answer = scope.reading_only(types);
    let response = table.given("response", |value| value.response(&answer)).ok()?.unwrap_or_default();
    let on = table.errand_rules(&answer);
    let xml = scope.xml();
    Some(Errand { method, uri: uri?, headers, query, body, media, types, xml, timeout, response, on })
}

/// Where the tokens are in the answer.
pub(super) fn token_paths(table: &Table<'_>, scope: &Scope<'_>) -> Option<TokenPaths> {
    let path = |name: &'static str, usual: &str| match table.take(name) {
        Some(value) => value.body_path(scope),
        None => BodyPath::compile(usual).ok(),
    };
    let token = path("token_path", "access_token");
    let refresh_token = path("refresh_token_path", "refresh_token");
    let expires_in = path("expires_in_path", "expires_in");
    let life = table.positive_duration("expires_in");
    let rejected = table.given("rejected", |value| value.rule(scope));
    Some(TokenPaths {
        token: token?,
        refresh_token: refresh_token?,
        expires_in: expires_in?,
        life,
        rejected: rejected.ok()?,
    })
}

impl Value<'_> {
    /// A body in one of the media types of such a request.
    fn errand_body(&self, media: Media, scope: &Scope<'_>) -> Option<ErrandBody> {
        if self.is_table() {
            self.refuse_literals();
            return self.tree(scope).map(ErrandBody::Tree);
        }
        let place = match media {
            Media::Form => Place::Form,
            Media::Json => Place::Json,
            Media::Xml => Place::Xml,
        };
        self.text(place, scope).map(ErrandBody::Text)
    }

    /// A credential written into a body is one written into the file.
    fn refuse_literals(&self) {
        let Some(table) = self.table() else { return };
        for (name, value) in table.members() {
            let literal = value.raw_str().is_some_and(|text| {
                !text.is_empty() && !text.contains("{{") && !text.starts_with('=') && !text.starts_with('$')
            });
            if literal && names_credential(name) {
                value.literal_secret();
            }
        }
    }
}

/// A table whose members are the fields of a body.
pub(super) fn body_fields(value: &Value<'_>, scope: &Scope<'_>) -> Option<Vec<(String, Tree)>> {
    let table = value.table()?;
    value.refuse_literals();
    let members = table.members();
    members.iter().map(|(name, value)| Some(((*name).to_owned(), value.tree(scope)?))).collect()
}
