//! A cursor over one TOML table that remembers which keys were asked for, so that the rest can be reported.

use super::file::{File, Finding};
use super::value::Value;
use crate::config::{remedy, suggest};
use std::cell::RefCell;
use std::ops::Range;
use toml::de::{DeTable, DeValue};

/// What is wrong with a value has been said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::config) struct Reported;

/// A table being decoded. Call [`Table::finish`] when every key was asked for.
pub(in crate::config) struct Table<'f> {
    pub(super) file: &'f File<'f>,
    inner: &'f DeTable<'f>,
    key: String,
    at: Option<Range<usize>>,
    headed: bool,
    known: RefCell<Vec<&'static str>>,
    /// Those among the known that are not built yet: understood, but not offered.
    later: RefCell<Vec<&'static str>>,
}

impl<'f> Table<'f> {
    /// The whole document.
    pub(in crate::config) fn root(file: &'f File<'f>, inner: &'f DeTable<'f>) -> Self {
        Self {
            file,
            inner,
            key: String::new(),
            at: None,
            headed: true,
            known: RefCell::default(),
            later: RefCell::default(),
        }
    }

    /// A table inside; `at` is the place named when a key is missing.
    pub(super) fn inside(value: &Value<'f>, inner: &'f DeTable<'f>) -> Self {
        let written = &value.file.text()[value.at()];
        Self {
            file: value.file,
            inner,
            key: value.key.clone(),
            at: Some(value.key_at()),
            headed: !written.starts_with('{'),
            known: RefCell::default(),
            later: RefCell::default(),
        }
    }

    pub(in crate::config) fn key(&self) -> &str {
        &self.key
    }

    /// The key path of a member.
    pub(in crate::config) fn path_of(&self, name: &str) -> String {
        join(&self.key, name)
    }

    /// Where the table itself is named.
    pub(in crate::config) fn at(&self) -> Option<Range<usize>> {
        self.at.clone()
    }

    /// Whether it is written under a `[header]`, not inline.
    pub(in crate::config) fn is_headed(&self) -> bool {
        self.headed
    }

    pub(in crate::config) fn is_empty(&self) -> bool {
        self.inner.is_empty()
    }

    /// The member, present or not, becomes known.
    pub(in crate::config) fn take(&self, name: &'static str) -> Option<Value<'f>> {
        self.known.borrow_mut().push(name);
        self.peek(name)
    }

    /// The member, without making it known.
    pub(in crate::config) fn peek(&self, name: &str) -> Option<Value<'f>> {
        let (key, node) = self.inner.get_key_value(name)?;
        Some(Value::member(self.file, join(&self.key, name), key.span(), node))
    }

    /// Whether the key was asked for.
    pub(super) fn knows(&self, name: &str) -> bool {
        self.known.borrow().contains(&name)
    }

    pub(in crate::config) fn has(&self, name: &str) -> bool {
        self.inner.contains_key(name)
    }

    /// A member that may be absent; one that is there and wrong was reported.
    pub(in crate::config) fn given<T>(
        &self,
        name: &'static str,
        read: impl FnOnce(&Value<'f>) -> Option<T>,
    ) -> Result<Option<T>, Reported> {
        self.take(name).map(|value| read(&value).ok_or(Reported)).transpose()
    }

    /// A member that must be there.
    pub(in crate::config) fn need(&self, name: &'static str) -> Option<Value<'f>> {
        let found = self.take(name);
        if found.is_none() {
            self.missing(name, None);
        }
        found
    }

    /// Reports an absent key.
    pub(in crate::config) fn missing(&self, name: &str, help: Option<String>) {
        let owner = if self.key.is_empty() { "this file".to_owned() } else { format!("`{}`", self.key) };
        let finding = Finding::error("missing-key", format!("{owner} needs `{name}`")).key(self.path_of(name));
        self.report(finding.help(help.unwrap_or_else(|| remedy::example(name, self.file.is_connection()))));
    }

    /// Keys that are refused where they stand: understood, but not offered.
    pub(in crate::config) fn not_offered(&self, names: &[&'static str]) {
        self.later.borrow_mut().extend(names);
    }

    /// Reports a finding at this table's name, or about the file.
    pub(in crate::config) fn report(&self, finding: Finding) {
        self.file.report(match self.at() {
            Some(at) => finding.at(at),
            None => finding,
        });
    }

    /// Every member in order, all of them known: for tables whose keys are free.
    pub(in crate::config) fn members(&self) -> Vec<(&'f str, Value<'f>)> {
        let member = |(key, node): (&'f toml::Spanned<toml::de::DeString<'f>>, &'f toml::Spanned<DeValue<'f>>)| {
            let name: &'f str = key.get_ref();
            (name, Value::member(self.file, join(&self.key, name), key.span(), node))
        };
        self.inner.iter().map(member).collect()
    }

    /// Keys of the format that are not built yet: refused by name.
    pub(in crate::config) fn not_yet(&self, names: &[&'static str]) {
        self.later.borrow_mut().extend(names);
        for name in names {
            if let Some(value) = self.take(name) {
                value.not_yet();
            }
        }
    }

    /// Reports every key nobody asked for.
    pub(in crate::config) fn finish(&self) {
        #[cfg(test)]
        witness::note(self);
        let (known, later) = (self.known.borrow(), self.later.borrow());
        let offered: Vec<_> = known.iter().copied().filter(|name| !later.contains(name)).collect();
        for (key, node) in self.inner {
            let name: &str = key.get_ref();
            if known.contains(&name) {
                continue;
            }
            if self.file.is_full() {
                self.file.report(Finding::error("unknown-key", String::new()));
                continue;
            }
            let value = Value::member(self.file, join(&self.key, name), key.span(), node);
            let near = suggest::nearest(name, known.iter().copied());
            let help = match near {
                Some(word) => Some(format!("did you mean `{word}`?")),
                None if !self.key.is_empty() && self.file.top().contains(&name) => Some(above(name, &self.key)),
                None => suggest::one_of(&offered),
            };
            let place = if self.key.is_empty() { String::new() } else { format!(" in `{}`", self.key) };
            let finding = Finding::error("unknown-key", format!("unknown key `{name}`{place}"));
            self.file.report(finding.at(value.key_at()).key(value.key).help_if(help));
        }
    }

    /// For tables with free names: a top-level key of the file below such a header was meant for the file.
    pub(in crate::config) fn report_swallowed(&self) {
        const REQUEST_KEYS: &[&str] =
            &["relative_uri", "records", "records_optional", "batch_size", "idempotency_key", "connection"];
        if !self.headed {
            return;
        }
        for (key, _) in self.inner {
            let name: &str = key.get_ref();
            let of_request = self.key.contains('.') && REQUEST_KEYS.contains(&name);
            if !of_request && !self.file.top().contains(&name) {
                continue;
            }
            let finding = Finding::error("swallowed-key", format!("`{name}` stands inside `[{}]`", self.key));
            let help = format!(
                "{}; if it is meant, write the table inline: `{} = {{ {name} = … }}`",
                above(name, &self.key),
                self.key
            );
            self.file.report(finding.at(key.span()).key(join(&self.key, name)).help(help));
        }
    }
}

/// One method of a family = one table named after it.
pub(super) fn one_method(family: &Table<'_>, methods: &[&str]) {
    let mut found: Vec<_> = methods.iter().filter_map(|name| Some((*name, family.peek(name)?))).collect();
    found.sort_by_key(|(_, value)| value.key_at().start);
    if let [(first, _), (second, value), ..] = &found[..] {
        let message = format!("`{}` has two methods: `{first}` and `{second}`", family.key());
        value.report_key(Finding::error("two-methods", message).help("keep one of them"));
    }
}

fn above(name: &str, table: &str) -> String {
    format!("everything below a table header belongs to that table: move `{name}` above the table `[{table}]`")
}

/// Any text can be a key in TOML, a whole megabyte of it too.
const LONGEST: usize = 100;

/// Joins a key path; names that are no bare keys are quoted.
pub(super) fn join(parent: &str, name: &str) -> String {
    let bare = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    let shown = match name.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{:?}…", &name[..end]),
        None if bare => name.to_owned(),
        None => format!("{name:?}"),
    };
    if parent.is_empty() { shown } else { format!("{parent}.{shown}") }
}

/// Which keys were asked for where: what a schema is held against.
#[cfg(test)]
pub(in crate::config) mod witness {
    use super::Table;
    use std::cell::RefCell;
    use std::path::PathBuf;

    /// A table whose keys were all asked for.
    #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
    pub(in crate::config) struct Seen {
        pub(in crate::config) file: PathBuf,
        pub(in crate::config) key: String,
        /// Without those that are not built yet.
        pub(in crate::config) known: Vec<&'static str>,
        pub(in crate::config) later: Vec<&'static str>,
    }

    /// A word that was asked for: where, and which there are.
    #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
    pub(in crate::config) struct Choice {
        pub(in crate::config) file: PathBuf,
        pub(in crate::config) key: String,
        pub(in crate::config) words: Vec<String>,
    }

    thread_local! {
        static CHOICES: RefCell<Vec<Choice>> = const { RefCell::new(Vec::new()) };
        static SEEN: RefCell<Vec<Seen>> = const { RefCell::new(Vec::new()) };
    }

    pub(super) fn note(table: &Table<'_>) {
        let later = table.later.borrow();
        let mut known: Vec<_> = table.known.borrow().iter().copied().filter(|name| !later.contains(name)).collect();
        known.sort_unstable();
        known.dedup();
        let seen = Seen { file: table.file.path().to_owned(), key: table.key.clone(), known, later: later.clone() };
        SEEN.with_borrow_mut(|all| all.push(seen));
    }

    pub(in crate::config::decode) fn note_choice<'w>(
        file: &std::path::Path,
        key: &str,
        words: impl Iterator<Item = &'w str>,
    ) {
        let words = words.map(str::to_owned).collect();
        let choice = Choice { file: file.to_owned(), key: key.to_owned(), words };
        CHOICES.with_borrow_mut(|all| all.push(choice));
    }

    /// What was seen on this thread since the last time.
    pub(in crate::config) fn take() -> (Vec<Seen>, Vec<Choice>) {
        (SEEN.with_borrow_mut(std::mem::take), CHOICES.with_borrow_mut(std::mem::take))
    }
}
