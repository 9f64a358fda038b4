//! A scanned tree to a snapshot: connections first, then the flows that use them, then what joins them.

use super::decode::connection::{self, Draft};
use super::decode::file::{File, Finding};
use super::decode::flow::{self, Connections, Ids};
use super::decode::scope::{Facts, Reach};
use super::decode::source::Sources;
use super::decode::table::Table;
use super::decode::{self, settings};
use super::files::{Source, Tree, Unreadable};
use super::{Env, Loaded, after, hash, resolve};
use crate::model::flow::Flow;
use crate::model::settings::Settings;
use crate::model::snapshot::Snapshot;
use crate::value::id::{ConnectionId, FlowId, InvalidId};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Files named while one file was decoded, with their hashes.
type Outside = BTreeMap<PathBuf, String>;

/// Those, and hashes of what commands gave.
type Given = (Outside, Vec<String>);

/// One connection file.
struct ConnectionFile<'t> {
    file: File<'t>,
    /// None when the file could not be read as TOML or has no valid id.
    draft: Option<(Draft, String)>,
}

/// One flow file.
struct FlowFile<'t> {
    file: File<'t>,
    flow: Option<Flow>,
    id: Option<FlowId>,
    named: Ids,
}

/// Everything gathered on the way.
struct Load<'a> {
    tree: &'a Tree,
    env: &'a dyn Env,
    named: Outside,
}

pub(super) fn load(tree: &Tree, env: &dyn Env) -> Loaded {
    let mut load = Load { tree, env, named: Outside::new() };
    let mut finished: Vec<File<'_>> = Vec::new();
    let (connections, names) = load.connections();
    let (settings, readable) = load.settings(&mut finished, &names);
    let flows = load.flows(&names);
    check(&connections, &names, &flows, readable.then_some(&settings));

    let mut drafts = Vec::new();
    for ConnectionFile { file, draft } in connections {
        drafts.extend(draft);
        finished.push(file);
    }
    let mut whole = BTreeMap::new();
    for FlowFile { file, flow, id, .. } in flows {
        whole.extend(id.zip(flow).map(|(id, flow)| (id, Arc::new(flow))));
        finished.push(file);
    }
    let failed = finished.iter().any(File::has_errors);
    let snapshot = (!failed).then(|| Snapshot {
        revision: revision(tree, &load.named),
        connections: resolve::connections(drafts, &settings),
        flows: whole,
        settings: Arc::new(settings),
    });
    finished.sort_by(|a, b| a.path().cmp(b.path()));
    let diagnostics = finished.into_iter().flat_map(File::finish).collect();
    Loaded { snapshot, diagnostics, named_files: load.named.into_keys().collect() }
}

/// Checks across files.
fn check(connections: &[ConnectionFile<'_>], names: &Connections, flows: &[FlowFile<'_>], settings: Option<&Settings>) {
    let drafts: Vec<_> = connections.iter().filter_map(|one| Some((&one.file, &one.draft.as_ref()?.0))).collect();
    let unreadable: Vec<_> = names.iter().filter(|(_, facts)| !facts.complete).map(|(id, _)| id.clone()).collect();
    resolve::borrowing(&drafts, &unreadable);
    if let Some(settings) = settings {
        resolve::agents(&drafts, settings);
    }
    let claims = drafts.iter().map(|(file, draft)| (*file, &draft.id, draft.formerly.as_slice()));
    resolve::former_ids("connection", claims, &names.keys().collect::<Vec<_>>());
    let ids: Vec<_> = flows.iter().filter_map(|one| one.id.as_ref()).collect();
    let claims = flows.iter().filter_map(|one| Some((&one.file, one.id.as_ref()?, one.named.formerly.as_slice())));
    resolve::former_ids("flow", claims, &ids);
    let waiting = flows.iter().filter_map(|one| Some((&one.file, one.id.as_ref()?, one.named.after.as_slice())));
    after::check(waiting, &ids);
    resolve::hooks(flows.iter().filter_map(|one| Some((&one.file, one.flow.as_ref()?))), settings);
}

impl<'a> Load<'a> {
    /// The files below a folder.
    fn below(
        &self,
        folder: &'static str,
    ) -> impl Iterator<Item = (&'a Path, &'a Result<Source, Unreadable>)> + use<'a> {
        let files: &'a BTreeMap<_, _> = &self.tree.files;
        files.iter().filter(move |(path, _)| path.starts_with(folder)).map(|(path, source)| (path.as_path(), source))
    }

    fn sources(&self) -> Sources<'a> {
        Sources::new(&self.tree.root, self.env)
    }

    /// Keeps what a file named and gives the hash of the file with all of it.
    fn settle(&mut self, source: &Source, (outside, given): Given) -> String {
        let mut text = source.hash.clone();
        for hash in given {
            text.push_str(&hash);
        }
        for (path, hash) in outside {
            text.push_str(&hash);
            self.named.insert(path, hash);
        }
        hash(text.as_bytes())
    }

    /// The settings, and whether they are those of the file: the defaults stand in for one that cannot be read.
    fn settings(&mut self, finished: &mut Vec<File<'a>>, names: &Connections) -> (Settings, bool) {
        let path = Path::new("flowgate.toml");
        let defaults = settings::defaults(&self.tree.root);
        let Some(content) = self.tree.files.get(path) else { return (defaults, true) };
        let (file, source) = open(path, content, settings::KEYS);
        let mut found = None;
        if let Some(source) = source
            && let Some(table) = decode::parse(&file, &source.text)
        {
            let sources = self.sources();
            found = Some(settings::decode(&Table::root(&file, &table), &self.tree.root, &sources, names));
            self.settle(source, sources.named());
        }
        finished.push(file);
        found.map_or((defaults, false), |found| (found, true))
    }

    fn connections(&mut self) -> (Vec<ConnectionFile<'a>>, Connections) {
        let mut names = Connections::new();
        let mut files = Vec::new();
        for (path, content) in self.below("connections") {
            let (file, source) = open(path, content, connection::KEYS);
            let id = id_of(&file, "connections", ConnectionId::parse);
            let mut draft = None;
            let mut facts = Facts::unknown();
            if let Some(source) = source
                && let Some(table) = decode::parse(&file, &source.text)
            {
                let sources = self.sources();
                // A file with a bad name is read all the same: all its mistakes at once.
                let known = id.clone().or_else(|| ConnectionId::parse("unnamed").ok());
                if let Some(known) = known {
                    let (decoded, found) = connection::decode(&Table::root(&file, &table), known, &sources);
                    facts = found;
                    facts.reach = decoded
                        .http
                        .as_ref()
                        .map(|http| Reach { base: http.base_uri.clone(), allowed: http.allowed_origins.clone() });
                    if decoded.http.is_none() {
                        not_silent(&file);
                    }
                    let hash = self.settle(source, sources.named());
                    draft = id.is_some().then_some((decoded, hash));
                }
            }
            names.extend(id.map(|id| (id, facts)));
            files.push(ConnectionFile { file, draft });
        }
        (files, names)
    }

    fn flows(&mut self, names: &Connections) -> Vec<FlowFile<'a>> {
        let mut files = Vec::new();
        for (path, content) in self.below("flows") {
            let (file, source) = open(path, content, flow::KEYS);
            let id = id_of(&file, "flows", FlowId::parse);
            let mut flow = None;
            let mut named = Ids::default();
            if let Some(source) = source
                && let Some(table) = decode::parse(&file, &source.text)
                && let Some(known) = id.clone().or_else(|| FlowId::parse("unnamed").ok())
            {
                let sources = self.sources();
                (flow, named) = flow::decode(&Table::root(&file, &table), known, &sources, names);
                let hash = self.settle(source, sources.named());
                match &mut flow {
                    Some(flow) => {
                        flow.hash = hash;
                        flow.text = source.text.clone();
                    }
                    None => not_silent(&file),
                }
            }
            files.push(FlowFile { file, flow: flow.filter(|_| id.is_some()), id, named });
        }
        files
    }
}

/// Starts a file; one that could not be read is reported.
fn open<'t>(
    path: &Path,
    content: &'t Result<Source, Unreadable>,
    top: &'static [&'static str],
) -> (File<'t>, Option<&'t Source>) {
    match content {
        Ok(source) => (File::new(path, &source.text, top), Some(source)),
        Err(why) => {
            let file = File::new(path, "", top);
            file.report(Finding::error(why.code, why.message.clone()).help_if(why.help.clone()).spot(why.at));
            (file, None)
        }
    }
}

/// A file that gives nothing has said why; should a decoder forget to, the file is refused all the same.
fn not_silent(file: &File<'_>) {
    if !file.has_errors() {
        file.report(Finding::error("invalid", "this file cannot be used").help("please report this file as a fault"));
    }
}

/// The id a file's path stands for.
fn id_of<T>(file: &File<'_>, folder: &str, parse: impl Fn(&str) -> Result<T, InvalidId>) -> Option<T> {
    let path = file.path();
    let name = path.strip_prefix(folder).unwrap_or(path).with_extension("");
    let text = name.to_str()?.replace(std::path::MAIN_SEPARATOR, "/");
    match parse(&text) {
        Ok(id) => Some(id),
        Err(_) if file.has_errors() => None,
        Err(error) => {
            let finding = Finding::error("bad-id", format!("the file name gives no id: {error}"));
            file.report(finding.help(format!("rename it to `{folder}/{}.toml`", tidy(&text))));
            None
        }
    }
}

/// A valid id near a text.
fn tidy(text: &str) -> String {
    let ok = |c: char| if c.is_ascii_alphanumeric() || "_-/".contains(c) { c.to_ascii_lowercase() } else { '-' };
    let mapped: String = text.chars().take(100).map(ok).collect();
    let segments: Vec<_> = mapped
        .split('/')
        .map(|segment| segment.trim_start_matches(['-', '_']))
        .filter(|segment| !segment.is_empty())
        .collect();
    if segments.is_empty() { "name".to_owned() } else { segments.join("/") }
}

/// One short name for this state of all files.
fn revision(tree: &Tree, named: &Outside) -> String {
    let mut text = String::new();
    let mut add = |path: &Path, hash: &str| {
        text.push_str(&path.to_string_lossy());
        text.push('\0');
        text.push_str(hash);
        text.push('\n');
    };
    for (path, source) in &tree.files {
        add(path, source.as_ref().map_or("unreadable", |source| &source.hash));
    }
    let unique: BTreeSet<_> = named.iter().collect();
    for (path, hash) in unique {
        add(path.strip_prefix(&tree.root).unwrap_or(path), hash);
    }
    hash(text.as_bytes()).chars().take(12).collect()
}
