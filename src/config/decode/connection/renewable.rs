//! `[auth.oauth2]`, `[auth.cookie]`, `[auth.custom]`: methods whose credential is fetched, or made up.

use super::errand::{Usual, body_fields, errand, refresh, token_paths};
use super::signing::Origin;
use crate::config::decode::file::Finding;
use crate::config::decode::table::{Reported, Table};
use crate::config::decode::value::Value;
use crate::http::auth::{Auth, Cookie, CredentialsIn, Custom, Grant, Login, Media, OAuth2};
use crate::http::request::Method;
use crate::value::context::{Root, SIGNING};
use crate::value::template::{Place, Template};

pub(super) const METHODS: [&str; 3] = ["oauth2", "cookie", "custom"];

const GRANTS: &[(&str, Grant)] = &[
    ("client_credentials", Grant::ClientCredentials),
    ("password", Grant::Password),
    ("refresh_token", Grant::RefreshToken),
    ("authorization_code", Grant::AuthorizationCode),
];

/// The method in this family, none when it is none of these.
pub(super) fn decode(family: &Table<'_>, origin: &mut Origin<'_, '_>) -> Result<Option<Auth>, Reported> {
    let oauth2 = family.given("oauth2", |value| oauth2(&value.table()?, origin));
    let cookie = family.given("cookie", |value| cookie(&value.table()?, origin));
    let custom = family.given("custom", |value| custom(&value.table()?, origin));
    Ok(oauth2?.or(cookie?).or(custom?))
}

/// A text, or a source.
fn text(value: &Value<'_>, origin: &mut Origin<'_, '_>) -> Option<Template> {
    if value.is_table() {
        return value.credential(origin.scope, origin.sources, origin.secrets);
    }
    value.text(Place::Plain, origin.scope)
}

fn oauth2(table: &Table<'_>, origin: &mut Origin<'_, '_>) -> Option<Auth> {
    const PLACES: &[(&str, CredentialsIn)] = &[("header", CredentialsIn::Header), ("body", CredentialsIn::Body)];
    let grant = table.need("grant").and_then(|value| value.word(GRANTS, &[]));
    let scope = origin.scope.with(&[Root::Auth]);
    let token_uri = match table.take("relative_uri") {
        // As an override of `refresh` it may stand in for `token_uri`.
        Some(value) if !table.has("token_uri") => value.uri(&scope),
        Some(value) => {
            let finding = Finding::error("conflicting-keys", "`relative_uri` and `token_uri` name the same thing");
            value.report_key(finding.help("keep `token_uri`"));
            None
        }
        None => table.need("token_uri").and_then(|value| value.uri(&scope)),
    };
    table.take("token_uri");
    let authorize_uri = needed_by(table, "authorize_uri", grant, &[Grant::AuthorizationCode])
        .map(|value| value.uri(origin.scope).ok_or(()))
        .transpose();
    let client_id = table.need("client_id").and_then(|value| text(&value, origin));
    let client_secret = credential(table.take("client_secret"), origin);
    let username =
        needed_by(table, "username", grant, &[Grant::Password]).map(|value| text(&value, origin).ok_or(())).transpose();
    let password = credential(needed_by(table, "password", grant, &[Grant::Password]), origin);
    let refresh_token = credential(needed_by(table, "refresh_token", grant, &[Grant::RefreshToken]), origin);
    let scopes = table.take("scopes").map(|value| value.strings().ok_or(())).transpose();
    let scope_delimiter = table.given("scope_delimiter", |value| value.string().map(str::to_owned));
    let credentials_in = table.given("credentials_in", |value| value.word(PLACES, &[]));
    let names = table.given("names", names);
    let extra = table.fields("extra", origin.scope);
    let errand = errand(table, &scope, token_uri, &Usual { method: Method::Post, media: Media::Form });
    let types = errand.as_ref().map(|errand| errand.types).unwrap_or_default();
    let answer = token_paths(table, &scope.reading_only(types));
    table.finish();
    Some(Auth::OAuth2(Box::new(OAuth2 {
        grant: grant?,
        authorize_uri: authorize_uri.ok()?,
        client_id: client_id?,
        client_secret: client_secret.ok()?,
        username: username.ok()?,
        password: password.ok()?,
        refresh_token: refresh_token.ok()?,
        scopes: scopes.ok()?.unwrap_or_default(),
        scope_delimiter: scope_delimiter.ok()?.unwrap_or_else(|| " ".to_owned()),
        credentials_in: credentials_in.ok()?.unwrap_or_default(),
        names: names.ok()?.unwrap_or_default(),
        extra,
        errand: errand?,
        answer: answer?,
    })))
}

/// A key that some grants cannot do without.
fn needed_by<'f>(table: &Table<'f>, name: &'static str, grant: Option<Grant>, by: &[Grant]) -> Option<Value<'f>> {
    if grant.is_some_and(|grant| by.contains(&grant)) { table.need(name) } else { table.take(name) }
}

fn credential(value: Option<Value<'_>>, origin: &mut Origin<'_, '_>) -> Result<Option<Template>, ()> {
    value.map(|value| value.credential(origin.scope, origin.sources, origin.secrets).ok_or(())).transpose()
}

/// `names = { client_id = "app_id" }`
fn names(value: &Value<'_>) -> Option<Vec<(String, String)>> {
    let table = value.table()?;
    let members = table.members();
    members.iter().map(|(name, value)| Some(((*name).to_owned(), value.string()?.to_owned()))).collect()
}

fn cookie(table: &Table<'_>, origin: &mut Origin<'_, '_>) -> Option<Auth> {
    let login = table.need("login").and_then(|value| login(&value.table()?, origin));
    table.finish();
    Some(Auth::Cookie(Box::new(Cookie { login: login? })))
}

fn login(table: &Table<'_>, origin: &mut Origin<'_, '_>) -> Option<Login> {
    let uri = table.need("relative_uri").and_then(|value| value.uri(origin.scope));
    let errand = errand(table, origin.scope, uri, &Usual { method: Method::Post, media: Media::Json });
    let success_status = table.take("success_status").map(|value| value.statuses()).unwrap_or_default();
    table.finish();
    Some(Login { errand: errand?, success_status })
}

fn custom(table: &Table<'_>, origin: &mut Origin<'_, '_>) -> Option<Auth> {
    let refresh = table.take("refresh").map(|value| refresh(&value, origin).ok_or(())).transpose();
    // Only where it is renewed is there a token to name.
    let roots: &[Root] = if table.has("refresh") { &[Root::Auth] } else { &[] };
    let scope = origin.scope.with(roots);
    let signed = scope.with(&SIGNING);
    let headers = table.fields("headers", &signed);
    let query = table.fields("query", &signed);
    let body = table.given("body", |value| body_fields(value, &scope));
    table.finish();
    if table.is_empty() {
        let finding = Finding::error("missing-key", "`auth.custom` adds nothing").key("auth.custom");
        table.report(finding.help("give `headers`, `query` or `body`"));
    }
    Some(Auth::Custom(Box::new(Custom {
        headers,
        query,
        body: body.ok()?.unwrap_or_default(),
        refresh: refresh.ok()?,
    })))
}
