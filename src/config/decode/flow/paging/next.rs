//! `[export.paging.next]`: what is asked for otherwise from page 2 on; alone, a paging method.

use crate::config::decode::file::Finding;
use crate::config::decode::scope::Scope;
use crate::config::decode::value::Value;
use crate::http::request::BodySpec;
use crate::runtime::export::paging::NextPage;
use crate::value::context::Reference;
use crate::value::uri::UriTemplate;

/// `scope` offers `page` and `previous`.
pub(super) fn decode(value: &Value<'_>, scope: &Scope<'_>) -> Option<NextPage> {
    let table = value.table()?;
    let uri = table.given("relative_uri", |value| value.uri(scope));
    let body = table.given("body", |value| value.body(scope.media_types().of_request(), scope));
    let records = table.given("records", |value| value.body_path(scope));
    table.finish();
    let (uri, body, records) = (uri.ok()?, body.ok()?, records.ok()?);
    if uri.is_none() && body.is_none() && records.is_none() {
        let finding = Finding::error("missing-key", format!("`{}` changes nothing", value.key));
        value.report_key(finding.help("give `relative_uri`, `body` or `records`, as they are from page 2 on"));
        return None;
    }
    let mut next = NextPage { uri, body, records, needs: Vec::new() };
    next.needs = needs(&next).into_iter().filter(|read| read.root == "previous").cloned().collect();
    Some(next)
}

/// Without another method it must say itself what makes one page another.
pub(super) fn alone(next: &NextPage, value: &Value<'_>) {
    let turns = |read: &&Reference| read.root == "page" || (read.root == "previous" && !read.tolerant);
    if !references(next).iter().any(turns) {
        let finding =
            Finding::error("endless-paging", format!("`{}` asks for the same page again and again", value.key));
        let help = "use what the page before said, as in `relative_uri = \"/orders?after={{previous.body.next}}\"`: \
                    the export ends when that is missing or empty; or put it beside a paging method";
        value.report_key(finding.help(help));
    }
}

/// Whether it reads a member of `page`.
pub(super) fn reads_page(next: &NextPage, members: &[&str]) -> bool {
    references(next)
        .into_iter()
        .any(|read| read.root == "page" && read.members.first().is_some_and(|name| members.contains(&name.as_str())))
}

/// What the next page cannot be asked for without.
fn needs(next: &NextPage) -> Vec<&Reference> {
    let of_uri = next.uri.iter().flat_map(UriTemplate::references).filter(|read| !read.tolerant);
    match &next.body {
        Some(BodySpec::Tree(tree)) => of_uri.chain(tree.needs()).collect(),
        Some(BodySpec::Text(text)) => of_uri.chain(text.references().iter().filter(|read| !read.tolerant)).collect(),
        None => of_uri.collect(),
    }
}

fn references(next: &NextPage) -> Vec<&Reference> {
    let mut all: Vec<&Reference> = next.uri.iter().flat_map(UriTemplate::references).collect();
    match &next.body {
        Some(BodySpec::Tree(tree)) => all.extend(tree.references()),
        Some(BodySpec::Text(text)) => all.extend(text.references()),
        None => {}
    }
    all
}
