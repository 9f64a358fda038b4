//! The connection and the flow that make a request.

mod body;
mod names;

use super::Project;
use super::options::Request;
use super::secrets::{self, Sources, has_variable};
use super::shell::{CLOSE, OPEN};
use crate::convert::toml::{constant, key, quoted};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use body::{Body, Media};
use percent_encoding::percent_decode_str;
use std::fmt::Write as _;

/// Headers that say nothing of their own here: the client writes them, or they are a browser's.
const DROPPED: &[&str] = &[
    "host",
    "content-length",
    "transfer-encoding",
    "connection",
    "keep-alive",
    "upgrade",
    "te",
    "trailer",
    "accept-encoding",
    "content-type",
    "priority",
    "upgrade-insecure-requests",
    "dnt",
];

const METHODS: [&str; 6] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];

/// The two files under construction.
#[derive(Default)]
struct Files {
    sources: Sources,
    /// `[auth…]`, once there is one.
    auth: Option<String>,
    /// Lines of the connection's `[headers]`.
    headers: String,
    notes: Vec<String>,
}

pub(super) fn project(mut request: Request) -> Result<Project, String> {
    let (scheme, authority, path, query) = parts(&request.url)?;
    let (login, host) = authority.rsplit_once('@').map_or((None, authority), |(login, host)| (Some(login), host));
    if request.user.is_none() {
        request.user = login.map(|login| percent_decode_str(login).decode_utf8_lossy().into_owned());
    }
    let (connection, flow) = (names::connection(host), names::flow(path));
    let mut files = Files { notes: std::mem::take(&mut request.notes), ..Files::default() };
    files.sources.prefix = connection.to_uppercase().replace('-', "_");
    let media = body::media(&request);
    let method = method(&request)?;
    files.credentials(&request, host)?;
    files.connection_headers(&request, media);
    let mut query: Vec<(String, String)> = pairs(query);
    if request.in_query {
        query.extend(request.data.iter().flat_map(|data| pairs(data)));
    }
    let query = files.query(&query);
    let body = if request.in_query { None } else { files.body(&request, media) };
    let relative = files.sources.template(path).unwrap_or_else(|| path.to_owned());
    let base = format!("{scheme}://{host}");
    let base = files.sources.template(&base).unwrap_or(base);
    let flow_text = flow_text(&flow, method, &relative, query.as_deref(), body.as_ref());
    let connection_text = files.connection_text(&request, &base, media, method);
    let secrets = files.sources.secrets.iter().map(|(_, variable, what)| (variable.clone(), what.clone()));
    let vars =
        files.sources.vars.iter().map(|(_, variable)| (variable.clone(), "a variable of the command line".to_owned()));
    let mut variables: Vec<(String, String)> = secrets.chain(vars).collect();
    variables.dedup_by(|a, b| a.0 == b.0);
    Ok(Project { connection, connection_text, flow, flow_text, variables, notes: files.notes })
}

/// Scheme, authority, path and query.
fn parts(url: &str) -> Result<(&str, &str, &str, &str), String> {
    if url.contains("{{") {
        return Err("the URL has a placeholder `{{…}}`: put a value, or a variable `$NAME`, in its place".to_owned());
    }
    let url = url.split('#').next().unwrap_or_default();
    let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
    if !matches!(scheme, "http" | "https") {
        return Err(format!("`{}` is no scheme of an HTTP API", scheme.chars().take(20).collect::<String>()));
    }
    let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
    let at = place.find('/').unwrap_or(place.len());
    let (authority, path) = place.split_at(at);
    let host = authority.rsplit('@').next().unwrap_or_default();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._:[]".contains(c) || c == OPEN || c == CLOSE;
    if host.is_empty() || !host.chars().all(plain) {
        return Err("the URL names no host".to_owned());
    }
    Ok((scheme, authority, if path.is_empty() { "/" } else { path }, query))
}

fn method(request: &Request) -> Result<&'static str, String> {
    let sends = !request.in_query && (!request.data.is_empty() || !request.form.is_empty());
    let asked = request.method.as_deref().unwrap_or(if sends { "POST" } else { "GET" });
    METHODS.into_iter().find(|known| *known == asked).ok_or_else(|| {
        format!(
            "the method `{}` has no counterpart here: there are {}",
            asked.chars().take(20).collect::<String>(),
            METHODS.join(", ")
        )
    })
}

/// Names and values, percent-decoded.
fn pairs(query: &str) -> Vec<(String, String)> {
    let decoded = |text: &str| percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned();
    query
        .split('&')
        .filter(|part| !part.is_empty())
        .map(|part| part.split_once('=').unwrap_or((part, "")))
        .map(|(name, value)| (decoded(name), decoded(value)))
        .collect()
}

impl Files {
    /// `[auth]`, from `-u`, a bearer token or the `Authorization` header.
    fn credentials(&mut self, request: &Request, host: &str) -> Result<(), String> {
        if let Some(signed) = &request.signed {
            self.auth = Some(self.signature(signed, request.user.as_deref().unwrap_or_default(), host));
        } else if let Some(user) = &request.user {
            self.auth = Some(self.basic(user, if request.digest { "digest" } else { "basic" }));
        } else if let Some(token) = &request.bearer {
            let token = self.sources.secret("token", token, "the bearer token");
            self.auth = Some(format!("[auth.token]\ntoken = {}\n", quoted(&token)));
        }
        let given: Vec<&str> = request
            .headers
            .iter()
            .filter(|(name, _)| name.eq_ignore_ascii_case("authorization"))
            .map(|(_, value)| value.as_str())
            .collect();
        match (given.first(), &self.auth) {
            (Some(value), None) => {
                let auth = self.authorization(value);
                self.auth = Some(auth);
            }
            (Some(_), Some(_)) => {
                return Err("the request has two credentials: `-u` and an `Authorization` header".to_owned());
            }
            (None, _) => {}
        }
        Ok(())
    }

    fn basic(&mut self, user: &str, kind: &str) -> String {
        let (name, password) = user.split_once(':').map_or((user, None), |(name, password)| (name, Some(password)));
        if password == Some("") {
            // A key in the place of a name.
            let name = self.sources.secret("key", name, "the user name, which is a key");
            return format!("[auth.{kind}]\nusername = {}\npassword = \"\"\n", quoted(&name));
        }
        let password = self.sources.secret("password", password.unwrap_or_default(), "the password");
        let name = self.sources.template(name).unwrap_or_else(|| name.replace("{{", "\\{{"));
        format!("[auth.{kind}]\nusername = {}\npassword = {}\n", quoted(&name), quoted(&password))
    }

    /// The value of an `Authorization` header.
    fn authorization(&mut self, value: &str) -> String {
        let (scheme, token) = match value.split_once(' ') {
            Some((scheme, token)) if !has_variable(scheme) && !scheme.contains(['=', ',']) => (scheme, token.trim()),
            _ => ("", value),
        };
        if scheme.eq_ignore_ascii_case("basic")
            && let Some(user) = STANDARD.decode(token).ok().and_then(|bytes| String::from_utf8(bytes).ok())
            && user.contains(':')
        {
            return self.basic(&user, "basic");
        }
        let token = self.sources.secret("token", token, "what the `Authorization` header carries");
        let scheme = if scheme == "Bearer" { String::new() } else { format!("scheme = {}\n", quoted(scheme)) };
        format!("[auth.token]\ntoken = {}\n{scheme}", quoted(&token))
    }

    fn signature(&mut self, signed: &str, user: &str, host: &str) -> String {
        let parts: Vec<&str> = signed.split(':').collect();
        let labels: Vec<&str> = host.split('.').collect();
        let of_host = |at: usize| if host.ends_with(".amazonaws.com") { labels.get(at).copied() } else { None };
        let region = parts.get(2).copied().or_else(|| of_host(1)).filter(|r| *r != "amazonaws").unwrap_or("us-east-1");
        let service = parts.get(3).copied().or_else(|| of_host(0)).unwrap_or("execute-api");
        let (access, secret) = user.split_once(':').unwrap_or((user, ""));
        let access = self.sources.secret("access_key", access, "the access key");
        let secret = self.sources.secret("secret_key", secret, "the secret key");
        format!(
            "[auth.aws_sigv4]\naccess_key = {}\nsecret_key = {}\nregion = {}\nservice = {}\n",
            quoted(&access),
            quoted(&secret),
            quoted(region),
            quoted(service)
        )
    }

    fn connection_headers(&mut self, request: &Request, media: Option<Media>) {
        for (name, value) in &request.headers {
            let small = name.to_ascii_lowercase();
            if small == "authorization" || small.starts_with("sec-") || (DROPPED.contains(&small.as_str())) {
                if small == "host" {
                    self.notes.push("the `Host` header was left out: it is that of the URL".to_owned());
                }
                continue;
            }
            if small == "accept" && value == "application/json" {
                continue;
            }
            if secrets::is_one(name) && self.auth.is_none() {
                let token = self.sources.secret(name, value, &format!("what the `{name}` header carries"));
                let (token, name) = (quoted(&token), quoted(name));
                self.auth = Some(format!("[auth.token]\ntoken  = {token}\nname   = {name}\nscheme = \"\"\n"));
                continue;
            }
            let written = self.leaf(name, value, &format!("what the `{name}` header carries"), secrets::is_one);
            let _ = writeln!(self.headers, "{} = {written}", key(name));
        }
        if let Some(cookie) = &request.cookie {
            let cookie = self.sources.secret("cookie", cookie, "the cookies of a session");
            let _ = writeln!(self.headers, "Cookie = {}", quoted(&cookie));
        }
        if let Some(Media::Other(kind)) = media {
            let _ = writeln!(self.headers, "Content-Type = {}", quoted(kind));
        }
    }

    /// A value of a header, query or field: a secret, a template or a constant.
    fn leaf(&mut self, name: &str, value: &str, what: &str, is_secret: fn(&str) -> bool) -> String {
        if is_secret(name) && !value.is_empty() {
            return quoted(&self.sources.secret(name, value, what));
        }
        match self.sources.template(value) {
            Some(template) => quoted(&template),
            None => constant(value),
        }
    }

    /// Lines of `[export.query]`.
    fn query(&mut self, query: &[(String, String)]) -> Option<String> {
        let mut lines: Vec<(String, Vec<String>)> = Vec::new();
        for (name, value) in query {
            if secrets::is_one(name) && self.auth.is_none() && !value.is_empty() {
                let token = self.sources.secret(name, value, &format!("the parameter `{name}`"));
                let (token, name) = (quoted(&token), quoted(name));
                self.auth =
                    Some(format!("[auth.token]\ntoken    = {token}\nlocation = \"query\"\nname     = {name}\n"));
                continue;
            }
            let written = self.leaf(name, value, &format!("the parameter `{name}`"), secrets::is_one);
            match lines.iter_mut().find(|(known, _)| known == name) {
                Some((_, values)) => values.push(written),
                None => lines.push((name.clone(), vec![written])),
            }
        }
        let line = |(name, values): &(String, Vec<String>)| match &values[..] {
            [one] => format!("{} = {one}\n", key(name)),
            many => format!("{} = [{}]\n", key(name), many.join(", ")),
        };
        (!lines.is_empty()).then(|| lines.iter().map(line).collect())
    }

    fn connection_text(&mut self, request: &Request, base: &str, media: Option<Media>, method: &str) -> String {
        let mut out = String::from("# How to talk to the API. Values in `{ env = … }` come from the environment.\n\n");
        let _ = writeln!(out, "base_uri = {}", quoted(base));
        if let Some(word) = media.map(Media::word).filter(|word| *word != "json") {
            let _ = writeln!(out, "media_type = {}", quoted(word));
        }
        for (name, value) in [("timeout", &request.timeout), ("connect_timeout", &request.connect_timeout)] {
            match value.as_deref().map(str::parse::<f64>) {
                Some(Ok(seconds)) if (0.001..86_400.0).contains(&seconds) => {
                    let _ = writeln!(out, "{name} = \"{:.0}ms\"", seconds * 1000.0);
                }
                Some(_) => self.notes.push(format!("`{name}` was left out: it is no number of seconds")),
                None => {}
            }
        }
        match &request.proxy {
            Some(proxy) if proxy.contains('@') || has_variable(proxy) => {
                self.notes.push("the proxy was left out: write `proxy = \"env\"` and set HTTPS_PROXY".to_owned());
            }
            Some(proxy) => {
                let scheme = if proxy.contains("://") { "" } else { "http://" };
                let _ = writeln!(out, "proxy = {}", quoted(&format!("{scheme}{proxy}")));
            }
            None => {}
        }
        if !self.headers.is_empty() {
            let _ = write!(out, "\n[headers]\n{}", self.headers);
        }
        if !self.sources.vars.is_empty() {
            out.push_str("\n[vars]\n");
            for (name, variable) in &self.sources.vars {
                let _ = writeln!(out, "{name} = {{ env = {} }}", quoted(variable));
            }
        }
        if !self.sources.secrets.is_empty() {
            out.push_str("\n[secrets]\n");
            for (name, variable, what) in &self.sources.secrets {
                let _ = writeln!(out, "{name} = {{ env = {} }} # {what}", quoted(variable));
            }
        }
        if let Some(auth) = &self.auth {
            let _ = write!(out, "\n{auth}");
        }
        if !matches!(method, "GET" | "HEAD") {
            out.push_str("\n# The request may change something over there: it is sent once, not tried again.\n[retry]\nmax_attempts = 1\n");
        }
        self.tls(request, &mut out);
        out
    }

    fn tls(&mut self, request: &Request, out: &mut String) {
        let files = [("ca", &request.ca), ("client_certificate", &request.certificate), ("client_key", &request.key)];
        let files: Vec<_> = files.into_iter().filter_map(|(name, path)| Some((name, path.as_deref()?))).collect();
        if !request.insecure && files.is_empty() {
            return;
        }
        out.push_str("\n[tls]\n");
        if request.insecure {
            out.push_str("verify = false\n");
        }
        for (name, path) in files {
            let path: String = path.chars().filter(|c| !matches!(*c, OPEN | CLOSE)).collect();
            let path = path.split(':').next().unwrap_or_default();
            let _ = writeln!(out, "# {name} = {{ file = {} }}", quoted(path));
            self.notes.push(format!("`[tls] {name}` is written as a comment: remove the `#` where the file is there"));
        }
    }
}

fn flow_text(flow: &str, method: &str, relative: &str, query: Option<&str>, body: Option<&Body>) -> String {
    let mut out = format!(
        "# What the request gives, record by record. Look at it with `flowgate preview {flow}`.\n\n[export]\n\
         connection   = \"{{connection}}\"\n"
    );
    if method != "GET" {
        let _ = writeln!(out, "method       = \"{method}\"");
    }
    let _ = writeln!(out, "relative_uri = {}", quoted(relative));
    out.push_str("# records    = \"$.data[*]\"    # where the records stand in the answer; without it the answer is the record\n");
    if let Some(Body::Line(body)) = body {
        out.push_str(body);
    }
    if let Some(query) = query {
        let _ = write!(out, "\n[export.query]\n{query}");
    }
    if let Some(Body::Table(body)) = body {
        let _ = write!(out, "\n{body}");
    }
    out.push_str(
        "\n# [export.paging.page]      # when there is more than one page\n# param = \"page\"\n\n\
         # [import]                  # where the records go; without it they are written to standard output\n\
         # connection   = \"erp\"\n# relative_uri = \"/orders\"\n",
    );
    out
}
