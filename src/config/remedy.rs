//! What to do about findings where the place that finds them says no more than what is wrong: right forms of keys, and
//! a remedy for each code.

use toml::de::DeValue;

/// A source of a credential, as it may be written where only sources are taken.
pub(super) fn source(name: &str) -> &'static str {
    match name {
        "key" => "{ file = \"secrets/server.key\" }",
        _ => "{ env = \"NAME\" }",
    }
}

/// How a key that is missing is written. Only the files of connections have secrets to name.
pub(super) fn example(name: &str, in_connection: bool) -> String {
    let value = match name {
        "token" | "password" | "secret" | "key" if !in_connection => source(name),
        "connection" => return "name one of the files below `connections/`: `connection = \"shop\"`".to_owned(),
        "base_uri" => "\"https://api.example.com/v1\"",
        "relative_uri" => "\"/orders\"",
        "token_uri" | "authorize_uri" => "\"https://login.example.com/oauth/token\"",
        "certificate" => "{ file = \"certs/server.pem\" }",
        "token" | "password" | "client_secret" | "secret_key" | "consumer_secret" | "key" => {
            "\"{{connection.secrets.NAME}}\""
        }
        "username" | "client_id" | "access_key" | "consumer_key" => "\"{{connection.vars.NAME}}\"",
        "region" => "\"eu-central-1\"",
        "service" => "\"execute-api\"",
        "ttl" => "\"10m\"",
        "max" => "20",
        "do" => "\"skip\"",
        "header" => "\"Retry-After\"",
        "path" | "status" => "\"data.status\"",
        "done" => "[\"finished\"]",
        "exists" => "\"$.erp_id\"",
        "update" => "{ method = \"PUT\", relative_uri = \"/orders/{{record.erp_id}}\" }",
        "create" | "poll" => "{ relative_uri = \"/reports\" }",
        "name" => "\"orders\"",
        "records" => "\"$.data[*]\"",
        _ => "…",
    };
    format!("add it, as in `{name} = {value}`")
}

/// The form a value is to have; `wanted` is what was said of it. A value itself is never repeated: it may be a secret.
pub(super) fn right_form(key: &str, wanted: &str, found: &DeValue<'_>) -> String {
    let item = key.ends_with(']');
    let name = key.rsplit('.').next().unwrap_or(key);
    let form = |value: &str| if item { format!("`{value}`") } else { format!("`{name} = {value}`") };
    if let Some((_, like)) = wanted.split_once("such as ") {
        let like = like.split(" or ").next().unwrap_or(like);
        return format!("write it as in {}", form(like));
    }
    match wanted {
        "a string" if matches!(found, DeValue::Array(_)) => format!("write one text, as in {}", form("\"…\"")),
        "a string" => format!("write it in quotes, as in {}", form("\"…\"")),
        "true or false" => format!("write {} or {}, without quotes", form("true"), form("false")),
        "a list" => format!("write it in brackets, as in {}", form("[\"…\"]")),
        "a table" => format!("write a table, as in {}", form("{ … }")),
        "a whole number" => format!("write digits only, without quotes, as in {}", form("10")),
        "a word or a table" => format!("write one word, as in {}, or a table with the keys it has", form("\"one\"")),
        "one value, or a list to repeat the name" => {
            format!("write {}, or {} to repeat the name", form("\"…\""), form("[\"…\", \"…\"]"))
        }
        "a text or a whole number" => format!("write {} or {}", form("\"…\""), form("10")),
        other => format!("give it {other}"),
    }
}

/// The remedy that a code has by itself.
pub(super) fn of(code: &str, message: &str) -> Option<&'static str> {
    Some(match code {
        "syntax" if message.contains("quoted") => "put the text in quotes, as in `title = \"Orders\"`",
        "syntax" if message.contains("expected `\"`") => "close the quote, or write `\\\"` for one inside the text",
        "syntax" => "each line is a `key = value`, a `[table]` or a `# comment`; texts stand in quotes",
        "too-deep" => "make it flatter: build the value in a transform step",
        "duplicate-name" => "give one of them another name",
        "bad-id" => "write a name such as `orders` or `eu-orders`",
        "bad-name" => "write a name such as `warehouse`",
        "bad-header" if message.contains("value") => "remove what no header can carry",
        "bad-header" => "a name is letters, digits and `-`, as in `X-Request-Id`",
        "bad-time" => "write it as in `2026-01-31T08:00:00Z` or `-90d`",
        "bad-delimiter" => "write one character, as in `delimiter = \";\"`",
        "bad-certificate" => "name a PEM file; `openssl x509 -in FILE` shows whether one can be read",
        "not-supported-yet" => "it is part of the format but not built; remove it for now",
        "out-of-range" => "give a value inside the bounds",
        "bad-path" => "write a path such as `data.items` or `$.data[*]`; in XML one such as `items/item`",
        "unknown-helper" => "docs/HELPERS.md lists all helpers; a value is named with its place, as in `{{record.id}}`",
        "bad-template" => "docs/HELPERS.md says how templates are written",
        "bad-expression" => "write an expression such as `record.total > 0` or `record.name | upper`",
        "unknown-variable" => "name one value of it, as in `connection.secrets.NAME`",
        "bad-date" => "write a form such as `%Y-%m-%d`, `rfc3339`, `epoch_s` or `epoch_ms`",
        _ => return None,
    })
}
