//! What a text may see where it stands (FORMAT section 3, Context), and the check of every name it reads.

// size: one place judges every name that a text may read.

use super::file::Finding;
use super::flow::Tables;
use super::flow::defaults::Defaults;
use super::kin::Kin;
use super::value::Value;
use crate::config::suggest;
use crate::http::media::unpack::Decode;
use crate::http::media::xml::XmlSettings;
use crate::http::media::{MediaType, MediaTypes};
use crate::value::context::{AWS4, Context, Reference, Root, Slot, TABLES};
use crate::value::document::Reading;
use crate::value::json::Json;
use crate::value::table::Table as Rows;
use crate::value::template::Place;
use crate::value::uri::OriginPattern;
use std::sync::Arc;
use url::Url;

/// The names one file offers to texts: `vars` and `secrets`.
#[derive(Debug, Clone)]
pub(in crate::config) struct Facts {
    /// Names under `[vars]`.
    pub(in crate::config) vars: Vec<String>,
    /// Names under `[secrets]`.
    pub(in crate::config) secrets: Vec<String>,
    /// The values of `[vars]` as one object.
    pub(in crate::config) values: Json,
    /// What a connection says of media types.
    pub(in crate::config) types: MediaTypes,
    /// `decode` of a connection: holds for its exports.
    pub(in crate::config) decode: Option<Arc<Decode>>,
    /// `[xml]`
    pub(in crate::config) xml: XmlSettings,
    /// `[export_defaults]` of a connection.
    pub(in crate::config) defaults: Defaults,
    /// The names of a flow's `each`.
    pub(in crate::config) kin: Kin,
    /// Whether records of a flow come from an export with `delta`.
    pub(in crate::config) timed: bool,
    /// `[tables]` of a flow.
    pub(in crate::config) tables: Tables,
    /// Where requests of a connection may go.
    pub(in crate::config) reach: Option<Reach>,
    /// False when the file could not be read far enough to know its names.
    pub(in crate::config) complete: bool,
}

/// Where requests of a connection may go.
#[derive(Debug, Clone)]
pub(in crate::config) struct Reach {
    /// `base_uri`
    pub(in crate::config) base: Url,
    /// `allowed_origins`
    pub(in crate::config) allowed: Vec<OriginPattern>,
}

impl Facts {
    pub(in crate::config) fn unknown() -> Self {
        Self {
            vars: Vec::new(),
            secrets: Vec::new(),
            values: Json::trusted("{}"),
            types: MediaTypes::default(),
            decode: None,
            xml: XmlSettings::default(),
            defaults: Defaults::default(),
            kin: Kin::default(),
            timed: false,
            tables: Tables::new(),
            reach: None,
            complete: false,
        }
    }
    pub(in crate::config) fn empty() -> Self {
        Self { complete: true, ..Self::unknown() }
    }
}

/// What requests and records of a delta export see.
pub(in crate::config) const TIMED: &[Root] = &[Root::LastExport, Root::ThisExport, Root::Window];

/// The roots on offer at one place, and the names behind two of them.
#[derive(Clone)]
pub(in crate::config) struct Scope<'a> {
    roots: Vec<Root>,
    connection: Option<&'a Facts>,
    flow: Option<&'a Facts>,
    /// What is said of the answers that paths look into, where that is not what the connection says.
    types: Option<MediaTypes>,
    kin: Kin,
    /// Whether `parent` means the parents of `each` by name, as it does unless something nearer has that name.
    by_name: bool,
    /// Lookups whose answers are there.
    lookups: Vec<String>,
    /// Whether `$` has a meaning though there is neither record nor item.
    answered: bool,
    /// Where the templates of trees will stand.
    pub(super) place: Place,
}

impl<'a> Scope<'a> {
    /// Texts of a connection file: `connection` and `flow.id`.
    pub(in crate::config) fn of_connection(connection: &'a Facts) -> Self {
        Self {
            roots: vec![Root::Connection, Root::Flow],
            connection: Some(connection),
            flow: None,
            types: None,
            kin: Kin::default(),
            by_name: false,
            lookups: Vec::new(),
            answered: false,
            place: Place::Plain,
        }
    }

    /// Texts of a flow file, on behalf of one of its connections.
    pub(in crate::config) fn of_flow(flow: &'a Facts, connection: Option<&'a Facts>) -> Self {
        let mut roots = vec![Root::Connection, Root::Flow, Root::Run, Root::Export, Root::Now];
        if flow.timed {
            roots.extend(TIMED);
        }
        let kin = flow.kin.clone();
        let by_name = !kin.names.is_empty();
        if by_name {
            roots.extend([Root::Each, Root::Parent]);
        }
        Self {
            roots,
            connection,
            flow: Some(flow),
            types: None,
            kin,
            by_name,
            lookups: Vec::new(),
            answered: false,
            place: Place::Plain,
        }
    }

    /// The answer to a webhook's call.
    pub(in crate::config) fn of_webhook(flow: &'a Facts) -> Self {
        let roots = vec![Root::Record, Root::Flow, Root::Now];
        let kin = Kin::default();
        Self {
            roots,
            connection: None,
            flow: Some(flow),
            types: None,
            kin,
            by_name: false,
            lookups: Vec::new(),
            answered: false,
            place: Place::Plain,
        }
    }

    /// What is told to people over a connection.
    pub(in crate::config) fn of_notice(connection: &'a Facts) -> Self {
        Self { roots: vec![Root::Connection, Root::Event, Root::Now], ..Self::of_connection(connection) }
    }

    pub(super) fn is_of_notice(&self) -> bool {
        self.roots.contains(&Root::Event)
    }

    /// Offers more.
    pub(in crate::config) fn with(&self, roots: &[Root]) -> Self {
        let mut more = self.clone();
        more.by_name &= !roots.contains(&Root::Parent);
        more.roots.extend(roots.iter().filter(|root| !self.roots.contains(root)));
        more
    }

    /// Offers the answers of these lookups.
    pub(super) fn with_lookups(&self, names: &[String]) -> Self {
        if names.is_empty() {
            return self.clone();
        }
        Self { lookups: names.to_vec(), ..self.with(&[Root::Lookup]) }
    }

    /// Offers what is on offer elsewhere in the flow too, but for that place's connection.
    pub(super) fn seeing(&self, outer: &Self) -> Self {
        let more = self.with(&outer.roots).with_lookups(&outer.lookups);
        Self { by_name: outer.by_name, ..more }
    }

    /// For paths into the answers to a request that says this over its connection.
    pub(super) fn reading(&self, types: MediaTypes) -> Self {
        self.reading_only(types.over(self.media_types()))
    }

    /// For paths into the answers to a request that says this, and whose connection does not matter.
    pub(super) fn reading_only(&self, types: MediaTypes) -> Self {
        Self { types: Some(types), ..self.clone() }
    }

    /// What is said of media types here.
    pub(super) fn media_types(&self) -> MediaTypes {
        self.types.or(self.connection.map(|facts| facts.types)).unwrap_or_default()
    }

    /// Where requests may go, as far as that is known.
    pub(super) fn reach(&self) -> Option<&Reach> {
        self.connection?.reach.as_ref()
    }

    /// The connection's `[xml]`.
    pub(super) fn xml(&self) -> XmlSettings {
        self.connection.map(|facts| facts.xml.clone()).unwrap_or_default()
    }

    /// What paths into answers will meet.
    pub(super) fn meets(&self) -> Reading {
        let MediaTypes { request, success, error } = self.media_types();
        let xml = Some(MediaType::Xml);
        if success.or(request) == xml && (error.is_none() || error == xml) {
            Reading::Xml
        } else if [request, success, error].contains(&xml) {
            Reading::PerhapsXml
        } else {
            Reading::Any
        }
    }

    /// What exports of the connection are packed in.
    pub(super) fn decode(&self) -> Option<Arc<Decode>> {
        self.connection.and_then(|facts| facts.decode.clone())
    }

    /// For paths whose `$` is an answer.
    pub(super) fn with_answer(&self) -> Self {
        Self { answered: true, ..self.clone() }
    }

    /// What is wrong with a path from `$`, if it begins nowhere.
    pub(super) fn judge_path(&self, path: &str) -> Option<Finding> {
        if self.answered || [Root::Record, Root::Item].iter().any(|root| self.roots.contains(root)) {
            return None;
        }
        let finding =
            Finding::error("unknown-variable", format!("`{path}` looks into a record, and there is none here"));
        let help = if self.roots.contains(&Root::Records) {
            "a batch has several records: use `records` in an expression, as in `\"= records[0].id\"`, or set `batch_size = 1`"
        } else if self.roots.contains(&Root::Previous) {
            "use what the page before said, as in `\"= previous.body.next\"`; a text that begins with `$` is written `{ literal = \"$…\" }`"
        } else {
            "use another value, as in `\"= flow.vars.region\"`; a text that begins with `$` is written `{ literal = \"$…\" }`"
        };
        Some(finding.help(help))
    }

    /// For trees that stand elsewhere: a header, say.
    pub(super) fn standing_in(&self, place: Place) -> Self {
        Self { place, ..self.clone() }
    }

    /// Offers `connection` and `flow` only, for numbers computed at load.
    pub(super) fn constants(&self) -> Self {
        let roots = vec![Root::Connection, Root::Flow];
        Self { roots, ..self.clone() }
    }

    /// For texts about an answer: they see it and for which flow it is, and not what was asked for.
    pub(super) fn of_answer(&self) -> Self {
        let mut roots = vec![Root::Connection, Root::Response];
        roots.extend(self.roots.contains(&Root::Flow).then_some(Root::Flow));
        Self { roots, lookups: Vec::new(), by_name: false, ..self.clone() }
    }

    /// For what is asked on behalf of no flow: to renew a credential, to see whether a connection works.
    pub(super) fn of_no_flow(&self) -> Self {
        let mut alone = self.clone();
        alone.roots.retain(|root| *root != Root::Flow);
        alone
    }

    /// Whether the names on offer are all known.
    pub(super) fn is_complete(&self) -> bool {
        [self.connection, self.flow].into_iter().flatten().all(|facts| facts.complete)
    }

    /// The values behind `connection.vars` and `flow.vars`.
    fn values(&self) -> (Option<&'a Json>, Option<&'a Json>) {
        (self.connection.map(|facts| &facts.values), self.flow.map(|facts| &facts.values))
    }

    /// Evaluates with `connection.vars` and `flow.vars` on offer.
    pub(super) fn with_constants<R>(&self, then: impl FnOnce(&Context<'_>) -> R) -> R {
        let slot = |json: Option<&'a Json>| [("vars", json.map_or(Slot::None, |json| Slot::Json(json.as_ref())))];
        let (connection, flow) = self.values();
        let (connection, flow) = (slot(connection), slot(flow));
        let context = Context::new().with(Root::Connection, Slot::Map(&connection)).with(Root::Flow, Slot::Map(&flow));
        then(&context)
    }

    /// What is wrong with a name, if anything.
    fn judge(&self, reference: &Reference) -> Option<Finding> {
        if let (TABLES, [name]) = (reference.root.as_str(), &reference.members[..]) {
            return self.look_up(name).err().map(|finding| *finding);
        }
        let names: Vec<_> = self.roots.iter().map(|root| root.name()).collect();
        let Some(root) = Root::by_name(&reference.root) else {
            let finding = Finding::error("unknown-variable", format!("there is no `{}`", reference.root));
            return Some(finding.help_if(suggest::help(&reference.root, &names)));
        };
        if !self.roots.contains(&root) && reference.members.first().is_some_and(|member| member == AWS4) {
            let finding = Finding::error("unknown-variable", "`aws4` is not available here");
            return Some(finding.help("it signs the request as it leaves: give it to a header, `Authorization`"));
        }
        if !self.roots.contains(&root) {
            let finding = Finding::error("unknown-variable", format!("`{}` is not available here", root.name()));
            return Some(finding.help_if(self.instead_of(root).or_else(|| suggest::one_of(&names))));
        }
        self.judge_members(root, &reference.members)
    }

    /// Keeps in mind what is read of `each` and its parents.
    fn note(&self, reference: &Reference) {
        if let Some(root @ (Root::Each | Root::Parent | Root::Export)) = Root::by_name(&reference.root) {
            self.kin.note(root, reference);
        }
    }

    /// One of the flow's `[tables]`; none when it is wrong itself, which was reported.
    pub(super) fn look_up(&self, name: &str) -> Result<Option<&'a Rows>, Box<Finding>> {
        let Some(flow) = self.flow else {
            let finding = Finding::error("unknown-table", format!("there is no table `{name}` here"));
            return Err(Box::new(finding.help("`[tables]` belong to a flow")));
        };
        flow.tables.get(name).map(Option::as_ref).ok_or_else(|| {
            let known: Vec<&str> = flow.tables.keys().map(String::as_str).collect();
            let finding = Finding::error("unknown-table", format!("the flow has no table `{name}`"));
            let none = || Some(format!("add `[tables.{name}]` with `map = {{ … }}` or `file = \"….csv\"`"));
            Box::new(finding.help_if(suggest::help(name, &known).or_else(none)))
        })
    }

    /// The usual way out when a root is asked for in the wrong place.
    fn instead_of(&self, root: Root) -> Option<String> {
        match root {
            Root::Record if self.roots.contains(&Root::Records) => {
                Some("a batch has several records: use `records`, or set `batch_size = 1`".to_owned())
            }
            Root::Records if self.roots.contains(&Root::Record) => {
                Some("`records` is for batches (`batch_size` above 1); use `record`".to_owned())
            }
            Root::Record => Some("there is no record yet while pages are asked for".to_owned()),
            Root::HmacOptions | Root::HashOptions => {
                Some("it is the request as it leaves, for `headers` and `query` that sign it".to_owned())
            }
            Root::Page | Root::Previous if self.roots.contains(&Root::Record) => Some(
                "`page` and `previous` are known while pages are asked for, and not for single records: what tells a page \
                 has to stand in the answer"
                    .to_owned(),
            ),
            Root::Page | Root::Previous => {
                Some("`page` and `previous` need a method under `[export.paging]`".to_owned())
            }
            Root::Auth => Some(
                "`auth` holds what was renewed: use it below `refresh`, or below `[auth.custom]` beside one".to_owned(),
            ),
            Root::Each if !self.kin.others.is_empty() => {
                Some("a block of `each` reads those above it: put this one below".to_owned())
            }
            Root::Each => Some("it holds the keys of `[[export.each]]`, and there is none".to_owned()),
            Root::Lookup => Some(
                "it holds answers of lookups without `merge`, from their step on: add a `[step.lookup]` before this"
                    .to_owned(),
            ),
            Root::LastExport | Root::ThisExport | Root::Window => {
                Some("it belongs to an export that has `[export.delta]`".to_owned())
            }
            Root::Parent | Root::Index => Some("it exists inside `each` and in steps with `many` only".to_owned()),
            Root::Item => Some("it exists inside `each` only".to_owned()),
            _ => None,
        }
    }

    fn judge_members(&self, root: Root, members: &[String]) -> Option<Finding> {
        if root == Root::Lookup {
            return self.judge_lookup(members);
        }
        if root == Root::Each || (root == Root::Parent && self.by_name) {
            return self.kin.judge(root, members.first()?);
        }
        let known: &[&str] = match root {
            Root::Connection => &["vars", "secrets"],
            Root::Flow if self.flow.is_none() => &["id"],
            Root::Flow => &["id", "vars"],
            Root::Run => &["id", "started_at", "trigger"],
            Root::Export => &["name"],
            Root::Window => &["start", "end"],
            Root::Auth => &["token", "refresh_token", "client_id", "assertion"],
            Root::HmacOptions => &ASKED,
            Root::HashOptions => &ASKED[..ASKED.len() - 1],
            Root::Page => &["number", "offset", "token", "size"],
            Root::Previous => &["body", "records", "last_record", "headers", "links", "status", "number", "created"],
            _ => return None,
        };
        let Some(first) = members.first() else {
            let secret = matches!(root, Root::Connection | Root::Auth | Root::HmacOptions | Root::HashOptions);
            let finding = Finding::error("unknown-variable", format!("`{}` alone is no value", root.name()));
            return secret.then(|| finding.help_if(suggest::one_of(known)));
        };
        if first == AWS4 {
            return None;
        }
        if let (true, [_, place, name, ..]) = (first == "http", members) {
            return self.judge_http(root, place, name);
        }
        if !known.contains(&first.as_str()) {
            let finding = Finding::error("unknown-variable", format!("there is no `{}.{first}`", root.name()));
            return Some(finding.help_if(suggest::help(first, known)));
        }
        let facts = if root == Root::Connection { self.connection } else { self.flow };
        let names = match (root, first.as_str(), facts) {
            (Root::Connection | Root::Flow, "vars", Some(facts)) if facts.complete => &facts.vars,
            (Root::Connection, "secrets", Some(facts)) if facts.complete => &facts.secrets,
            _ => return None,
        };
        judge_name(root, first, members.get(1), names)
    }
}

/// What a request holds for those who sign it; the last is of `hmacOptions` only.
const ASKED: [&str; 11] = [
    "headers",
    "body",
    "bodyParametersMap",
    "method",
    "http",
    "baseURI",
    "relativeURI",
    "urlParameters",
    "urlParametersMap",
    "URI",
    "orderedQueryParams",
];

impl Scope<'_> {
    /// `hmacOptions.http.encrypted.<secret>`: another name for `connection.secrets.<secret>`.
    fn judge_http(&self, root: Root, place: &str, name: &str) -> Option<Finding> {
        let facts = self.connection.filter(|facts| facts.complete);
        let known = match place {
            "encrypted" => facts.map(|facts| &facts.secrets)?,
            "unencrypted" => facts.map(|facts| &facts.vars)?,
            _ => {
                let message = format!("there is no `{}.http.{place}`", root.name());
                let finding = Finding::error("unknown-variable", message);
                return Some(finding.help_if(suggest::help(place, &["encrypted", "unencrypted"])));
            }
        };
        if known.iter().any(|known| known == name) {
            return None;
        }
        let table = if place == "encrypted" { "secrets" } else { "vars" };
        let finding = Finding::error("unknown-variable", format!("there is no `{}.http.{place}.{name}`", root.name()));
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        let none = || Some(format!("add it under `[{table}]` of the connection"));
        Some(finding.help_if(suggest::help(name, &known).or_else(none)))
    }
}

/// What the answer of a lookup holds.
const ANSWER: &[&str] = &["data", "status", "headers"];

impl Scope<'_> {
    fn judge_lookup(&self, members: &[String]) -> Option<Finding> {
        let [name, rest @ ..] = members else { return None };
        let known: Vec<&str> = self.lookups.iter().map(String::as_str).collect();
        if !known.contains(&name.as_str()) {
            let finding = Finding::error("unknown-variable", format!("there is no lookup `{name}` before this"));
            return Some(finding.help_if(suggest::help(name, &known)));
        }
        let member = rest.first().filter(|member| !ANSWER.contains(&member.as_str()))?;
        let finding = Finding::error("unknown-variable", format!("there is no `lookup.{name}.{member}`"));
        Some(finding.help_if(suggest::help(member, ANSWER)))
    }
}

fn judge_name(root: Root, table: &str, name: Option<&String>, known: &[String]) -> Option<Finding> {
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    match name {
        Some(name) if !known.contains(&name.as_str()) => {
            let message = format!("there is no `{}.{table}.{name}`", root.name());
            let none = || Some(format!("add it under `[{table}]` of the {}", root.name()));
            let help = suggest::help(name, &known).or_else(none);
            Some(Finding::error("unknown-variable", message).help_if(help))
        }
        None if table == "secrets" => {
            let message = "`connection.secrets` as a whole is never given out";
            Some(Finding::error("unknown-variable", message).help_if(suggest::one_of(&known)))
        }
        _ => None,
    }
}

impl Value<'_> {
    /// Reports every name the text may not read; `shift` is where the compiled text begins inside the string.
    pub(super) fn check_references<'r>(
        &self,
        references: impl IntoIterator<Item = &'r Reference>,
        shift: usize,
        scope: &Scope<'_>,
    ) {
        for reference in references {
            match scope.judge(reference) {
                Some(finding) => {
                    self.report_part(&(reference.at.start + shift..reference.at.end + shift), finding);
                }
                None => scope.note(reference),
            }
        }
    }
}
