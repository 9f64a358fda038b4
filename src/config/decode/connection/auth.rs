//! `[auth.<method>]`: exactly one method, credentials from outside the file.

use super::signing::Origin;
use super::{Secrets, errand, renewable, signing};
use crate::config::decode::file::Finding;
use crate::config::decode::scope::Scope;
use crate::config::decode::source::Sources;
use crate::config::decode::table::{Table, one_method};
use crate::http::auth::{Auth, Basic, Location, Token};
use crate::http::media::MediaType;
use crate::value::template::Place;

const METHODS: [&str; 2] = ["basic", "token"];

/// The method, or none when there is no `auth`; nothing when it is wrong.
pub(super) fn decode(
    root: &Table<'_>,
    scope: &Scope<'_>,
    sources: &Sources<'_>,
    secrets: &mut Secrets,
) -> Option<Auth> {
    let Some(value) = root.take("auth") else { return Some(Auth::None) };
    let family = value.table()?;
    one_method(&family, &[&METHODS[..], &renewable::METHODS, &signing::METHODS].concat());
    let origin = &mut Origin { scope, sources, secrets };
    let basic = family.take("basic").map(|value| basic(&value.table()?, origin));
    let token = family.take("token").map(|value| token(&value.table()?, origin));
    let renewable = renewable::decode(&family, origin);
    let signing = signing::decode(&family, origin);
    family.finish();
    if family.is_empty() {
        let finding = Finding::error("missing-key", "`auth` names no method").key("auth");
        family.report(finding.help("write the method as a table: `[auth.basic]` or `[auth.token]`"));
    }
    basic.or(token).or(renewable.transpose().map(Result::ok)).or(signing.transpose().map(Result::ok)).flatten()
}

fn basic(table: &Table<'_>, origin: &mut Origin<'_, '_>) -> Option<Auth> {
    let Origin { scope, sources, secrets } = origin;
    let username = table.need("username").and_then(|value| {
        if value.is_table() { value.credential(scope, sources, secrets) } else { value.text(Place::Plain, scope) }
    });
    if let Some(value) = table.peek("username").filter(|value| value.raw_str().is_some_and(names_with_colon)) {
        let finding =
            Finding::error("bad-value", "`auth.basic.username` holds a colon, which ends the name for the server");
        value.report(finding.help("what stands behind the colon belongs to `password`"));
    }
    let password = table.need("password").and_then(|value| value.credential(scope, sources, secrets));
    table.finish();
    Some(Auth::Basic(Basic { username: username?, password: password? }))
}

/// Outside of templates, whose colons are nobody's.
fn names_with_colon(text: &str) -> bool {
    !text.contains("{{") && text.contains(':')
}

fn token(table: &Table<'_>, origin: &mut Origin<'_, '_>) -> Option<Auth> {
    const LOCATIONS: &[(&str, Location)] =
        &[("header", Location::Header), ("query", Location::Query), ("body", Location::Body)];
    let refresh = table.given("refresh", |value| errand::refresh(value, origin));
    // With `refresh` the first token may be fetched too.
    let token = if table.has("refresh") { table.take("token") } else { Some(table.need("token")?) };
    let token = token.map(|value| value.credential(origin.scope, origin.sources, origin.secrets));
    let location = table.take("location").map(|value| value.word(LOCATIONS, &[]));
    let place = location.flatten().unwrap_or_default();
    let name = table.take("name").map(|value| match place {
        Location::Header => value.header_name(),
        Location::Query | Location::Body => value.string().map(str::to_owned),
    });
    let media = origin.scope.media_types().of_request();
    if let Some(value) = table.peek("location").filter(|_| place == Location::Body)
        && !matches!(media, MediaType::Json | MediaType::Form)
    {
        let text = format!("a token cannot join bodies in {}: only a JSON object or a form has fields", media.name());
        let finding = Finding::error("conflicting-keys", text);
        value.report(
            finding.help("set `location` to `header` or `query`, or write `{{connection.secrets.…}}` into the bodies"),
        );
    }
    let scheme = table.take("scheme");
    if let Some(scheme) = scheme.as_ref().filter(|_| place != Location::Header) {
        let finding = Finding::error("conflicting-keys", "`scheme` stands before a token in a header only");
        scheme.report_key(finding.help("remove it, or set `location = \"header\"`"));
    }
    let scheme = scheme.map(|value| value.string().map(str::to_owned));
    table.finish();
    let default_name = if place == Location::Header { "Authorization" } else { "api_key" };
    Some(Auth::Token(Box::new(Token {
        token: match token {
            Some(token) => Some(token?),
            None => None,
        },
        refresh: refresh.ok()?,
        location: place,
        name: name.unwrap_or_else(|| Some(default_name.to_owned()))?,
        scheme: scheme.unwrap_or_else(|| Some("Bearer".to_owned()))?,
    })))
}
