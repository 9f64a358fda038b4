//! Request URIs: a template joined to a base, checked after parsing so that data can never change the scheme,
//! host, port or literal path prefix.

mod origin;

pub use origin::{OriginPattern, credentials_may_go, same_origin};

use super::context::{Context, Reference};
use super::issue::{EvalError, Issue};
use super::template::{Place, Template};
use std::sync::OnceLock;
use url::{Position, Url};

/// Longest URI that is sent or followed, in bytes.
pub const MAX_LENGTH: usize = 16 << 10;

/// A compiled `relative_uri` (or absolute URI).
#[derive(Debug, Clone)]
pub struct UriTemplate {
    template: Template,
    /// The text before the first placeholder: data may not change where it leads.
    prefix: String,
    /// The whole text is one placeholder, so the value is the URI.
    whole: bool,
    /// What a text without placeholders came to, and for which base.
    fixed: OnceLock<(Url, Url)>,
}

impl UriTemplate {
    /// Compiles.
    pub fn compile(text: &str) -> Result<Self, Vec<Issue>> {
        let prefix = text.split("{{").next().unwrap_or_default();
        check_literal(text, prefix).map_err(|issue| vec![issue])?;
        let template = Template::compile(text, Place::Uri)?;
        let whole = template.is_one_placeholder();
        Ok(Self { template, prefix: prefix.to_owned(), whole, fixed: OnceLock::new() })
    }

    /// The template behind it.
    pub fn template(&self) -> &Template {
        &self.template
    }

    /// Names it reads.
    pub fn references(&self) -> &[Reference] {
        self.template.references()
    }

    /// Renders, joins to `base` with exactly one slash, parses, and confines: same origin as `base` or one of
    /// `allowed`; literal prefix kept; no user-info, no control characters.
    pub fn render(&self, ctx: &Context<'_>, base: &Url, allowed: &[OriginPattern]) -> Result<Url, EvalError> {
        if let Some((for_base, url)) = self.fixed.get()
            && for_base == base
        {
            return Ok(url.clone());
        }
        let mut text = String::new();
        self.template.render(ctx, &mut text)?;
        let result = if self.whole {
            from_value(&text, base, allowed)
        } else {
            self.confined(&text, base, allowed).map_err(|error| self.named(error, ctx))
        };
        if let Ok(url) = &result
            && self.template.as_constant().is_some()
            && same_origin(url, base)
        {
            // Nothing it depends on can change, whatever other origins are allowed.
            let _ = self.fixed.set((base.clone(), url.clone()));
        }
        result.map_err(|error| error.at(self.template.source()))
    }

    /// Why a URI without placeholders leads to where no request may go.
    pub fn leads_away(&self, base: &Url, allowed: &[OriginPattern]) -> Option<EvalError> {
        let text = self.template.as_constant().filter(|text| is_absolute(text))?;
        confine(&parse(text).ok()?, base, allowed).err()
    }

    /// As `render`, for a URI that the configuration alone decides on: an absolute one may lead anywhere.
    pub fn render_configured(&self, ctx: &Context<'_>, base: &Url) -> Result<Url, EvalError> {
        let mut text = String::new();
        self.template.render(ctx, &mut text)?;
        let own = is_absolute(text.trim()).then(|| Url::parse(text.trim()).ok()).flatten();
        let own = own.and_then(|url| OriginPattern::parse(&url.origin().ascii_serialization(), false).ok());
        self.render(ctx, base, own.as_slice())
    }

    fn confined(&self, text: &str, base: &Url, allowed: &[OriginPattern]) -> Result<Url, EvalError> {
        check_text(text)?;
        let joined = join(base, text);
        let url = parse(&joined)?;
        confine(&url, base, allowed)?;
        if url.fragment().is_some() {
            return refuse("a `#` would cut the URI off; write `{{x}}` instead of `{{{x}}}`, or `%23`");
        }
        if has_dot_segment(text) {
            return refuse(DOTS);
        }
        if self.is_emptied(text) {
            return refuse(EMPTIED);
        }
        // Where parsing changed nothing, the joined text itself shows that the prefix stands.
        if url.as_str() != joined && !self.prefix_stands(&url, base) {
            return refuse("the values lead out of the path written before the first placeholder");
        }
        Ok(with_base_query(url, base))
    }

    /// An error about the path, with the value that it comes from, as far as one alone explains it.
    fn named(&self, error: EvalError, ctx: &Context<'_>) -> EvalError {
        let EvalError::Refused(text) = &error else { return error };
        let explains = |value: &str| match text.as_str() {
            DOTS => has_dot_segment(value),
            EMPTIED => value.is_empty(),
            _ => false,
        };
        let path = path_of(self.template.source());
        let named = self.references().iter().find_map(|read| {
            let name =
                std::iter::once(&read.root).chain(&read.members).map(String::as_str).collect::<Vec<_>>().join(".");
            let mut value = String::new();
            let alone = Template::compile(&format!("{{{{{name}}}}}"), Place::Plain).ok()?;
            alone.render(ctx, &mut value).ok()?;
            (path.contains(&name) && explains(&value)).then_some(name)
        });
        match named {
            Some(name) => error.at(&name),
            None => error,
        }
    }

    /// Whether a value left a segment of the path empty: `/orders//items` and `/orders/` are other things than an order.
    /// A raw value is a path of its own, and no path when there is nothing of it.
    fn is_emptied(&self, text: &str) -> bool {
        let source = path_of(self.template.source());
        if source.contains("{{{") {
            // One alone: what stands around it tells how much there is of it.
            let around = source.find("{{{").zip(source.rfind("}}}")).map(|(from, to)| source.len() - (to + 3 - from));
            let is_alone = source.matches("{{").count() == 1;
            return is_alone && Some(path_of(text).len()) == around;
        }
        if !source.contains("{{") {
            return false;
        }
        let ends_with_value =
            source.ends_with("}}") && !source.rfind("{{").is_some_and(|at| source[at..].starts_with("{{/"));
        let path = path_of(text);
        (path.contains("//") && !source.contains("//")) || (ends_with_value && path.ends_with('/'))
    }

    /// Whether the URI still begins as the literal prefix would, parsed with an innocent value behind it.
    fn prefix_stands(&self, url: &Url, base: &Url) -> bool {
        let Ok(probe) = Url::parse(&join(base, &format!("{}x", self.prefix))) else {
            // The prefix ends inside host or port: the origin has been checked, there is no path to keep.
            return true;
        };
        let kept = probe.as_str().strip_suffix('x').unwrap_or(&probe[..Position::BeforePath]);
        url.as_str().starts_with(kept)
    }
}

const DOTS: &str = "a path segment is `.` or `..`, which would lead to another place";
const EMPTIED: &str = "a value in the path is empty, which would lead to another place";

/// The path as written, without origin and query. A `?` inside a placeholder is none.
fn path_of(text: &str) -> &str {
    let end =
        text.match_indices('?').find(|(at, _)| text[..*at].matches("{{").count() == text[..*at].matches("}}").count());
    let text = end.map_or(text, |(at, _)| &text[..at]);
    text.find("://").map_or(text, |at| &text[at + 3..])
}

/// Resolves a URI found in data (a next link) against the URL it came from and confines it to allowed origins.
pub fn resolve_link(text: &str, from: &Url, base: &Url, allowed: &[OriginPattern]) -> Result<Url, EvalError> {
    let text = text.trim();
    if text.is_empty() {
        return Err(EvalError::Missing("the link is empty".to_owned()));
    }
    check_text(text)?;
    let mut url = from.join(text).or_else(|_| refuse("the link is no URI"))?;
    confine(&url, base, allowed)?;
    url.set_fragment(None);
    Ok(url)
}

/// A value that is the URI: absolute, or relative to the base.
fn from_value(text: &str, base: &Url, allowed: &[OriginPattern]) -> Result<Url, EvalError> {
    let text = text.trim();
    if text.is_empty() {
        return Err(EvalError::Missing("the URI is empty".to_owned()));
    }
    check_text(text)?;
    if has_dot_segment(text) {
        return refuse("a path segment is `.` or `..`, which would lead to another place");
    }
    if let Some(scheme) = foreign_scheme(text) {
        return Err(EvalError::Refused(format!("a `{scheme}:` URI cannot be requested")));
    }
    let mut url = parse(&join(base, text))?;
    confine(&url, base, allowed)?;
    url.set_fragment(None);
    Ok(if is_absolute(text) { url } else { with_base_query(url, base) })
}

/// What can be said about the literal text at load.
fn check_literal(text: &str, prefix: &str) -> Result<(), Issue> {
    let at = |needle: usize| needle..needle + 1;
    if let Some(found) = prefix.find(|c: char| c.is_control() || c == '\\') {
        return Err(Issue::new(at(found), "control characters and `\\` cannot stand in a URI"));
    }
    if let Some(found) = prefix.find('#') {
        return Err(Issue::new(at(found), "a fragment (`#…`) is never sent").help("write `%23` for the character"));
    }
    if let Some(scheme) = foreign_scheme(prefix) {
        return Err(Issue::new(0..scheme.len(), "only `http` and `https` URIs can be requested"));
    }
    if prefix.len() == text.len() && has_dot_segment(text) {
        return Err(Issue::new(0..text.len(), "a path segment is `.` or `..`").help("write the path it leads to"));
    }
    Ok(())
}

fn refuse<T>(why: &str) -> Result<T, EvalError> {
    Err(EvalError::Refused(why.to_owned()))
}

/// URL parsers drop control characters and read `\` as `/`; neither is ever meant.
fn check_text(text: &str) -> Result<(), EvalError> {
    if text.len() > MAX_LENGTH {
        return Err(EvalError::Limit(format!("the URI is longer than {MAX_LENGTH} bytes")));
    }
    if text.bytes().any(|b| b < 0x20 || b == 0x7f || b == b'\\') {
        return refuse("control characters and `\\` cannot stand in a URI");
    }
    Ok(())
}

fn is_absolute(text: &str) -> bool {
    let starts = |scheme: &str| text.get(..scheme.len()).is_some_and(|head| head.eq_ignore_ascii_case(scheme));
    starts("https://") || starts("http://")
}

/// The scheme of an absolute URI that is neither http nor https. Taken for a relative one, it would be asked for on
/// the base, which nobody meant.
fn foreign_scheme(text: &str) -> Option<&str> {
    let (scheme, _) = text.split_once("://")?;
    let is_scheme = scheme.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'));
    (is_scheme && !is_absolute(text)).then_some(scheme)
}

/// Whether a parser would take a path segment for `.` or `..`, also in its encoded spellings.
fn has_dot_segment(text: &str) -> bool {
    let path = text.split(['?', '#']).next().unwrap_or_default();
    let is_dots = |segment: &str| {
        let plain = segment.replace("%2e", ".").replace("%2E", ".");
        plain == "." || plain == ".."
    };
    path.split('/').any(is_dots)
}

/// Base and relative URI with exactly one slash between them; an absolute one stands for itself.
fn join(base: &Url, relative: &str) -> String {
    if is_absolute(relative) {
        return relative.to_owned();
    }
    let root = &base[..Position::AfterPath];
    if relative.is_empty() || relative.starts_with(['?', '#']) {
        return format!("{root}{relative}");
    }
    format!("{}/{}", root.trim_end_matches('/'), relative.trim_start_matches('/'))
}

fn parse(text: &str) -> Result<Url, EvalError> {
    Url::parse(text).map_err(|error| EvalError::Refused(format!("this is no URI: {error}")))
}

/// A query written in the base stays, behind the request's own.
fn with_base_query(mut url: Url, base: &Url) -> Url {
    if let Some(base_query) = base.query().filter(|_| url.origin() == base.origin()) {
        let query = match url.query() {
            Some(own) if !own.is_empty() => format!("{own}&{base_query}"),
            _ => base_query.to_owned(),
        };
        url.set_query(Some(&query));
    }
    url
}

/// Same origin as the base or an allowed one, http or https, and no user-info.
fn confine(url: &Url, base: &Url, allowed: &[OriginPattern]) -> Result<(), EvalError> {
    let shown = url.origin().ascii_serialization();
    if !matches!(url.scheme(), "http" | "https") {
        return Err(EvalError::Refused(format!("a `{}:` URI cannot be requested", url.scheme())));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return refuse("a URI with a user name or password in it is not followed");
    }
    if url.origin() == base.origin() || allowed.iter().any(|pattern| pattern.matches(url)) {
        return Ok(());
    }
    let own = base.origin().ascii_serialization();
    Err(EvalError::Refused(format!(
        "`{shown}` is not an allowed origin: the connection is on `{own}`; list others in `allowed_origins`"
    )))
}

#[cfg(test)]
mod tests;
