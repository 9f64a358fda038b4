//! What a template, path or expression can see while it is evaluated: a fixed set of roots, each borrowed.

use super::issue::EvalError;
use super::json::{Json, JsonRef, is_torn, torn_at};
use super::record::Record;
use super::table::{Table, Tables};
use std::sync::atomic::{AtomicUsize, Ordering};

macro_rules! roots {
    ($($variant:ident => $name:literal),+ $(,)?) => {
        /// The names a context may offer (FORMAT.md section 3, Context).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Root { $(#[doc = $name] $variant),+ }

        impl Root {
            /// All roots.
            pub const ALL: &'static [Root] = &[$(Root::$variant),+];

            /// The name as written in templates and expressions.
            pub fn name(self) -> &'static str {
                match self { $(Root::$variant => $name),+ }
            }

            /// Finds a root by its name.
            pub fn by_name(name: &str) -> Option<Self> {
                match name { $($name => Some(Root::$variant),)+ _ => None }
            }
        }
    };
}

roots! {
    Record => "record", Records => "records", Item => "item", Parent => "parent", Index => "index",
    Page => "page", Previous => "previous", Each => "each", Window => "window",
    LastExport => "last_export", ThisExport => "this_export", Now => "now", Run => "run", Export => "export",
    Connection => "connection", Flow => "flow", Lookup => "lookup", Auth => "auth", Response => "response",
    Event => "event", HmacOptions => "hmacOptions", HashOptions => "hashOptions",
}

/// What is wrong with a text that JSON can spell and nothing else.
pub(crate) const TORN: &str = "holds half of a surrogate pair, which no text can hold";

/// Stands for the flow's `[tables]` where a helper or a tree reads one. No text can spell it.
pub const TABLES: &str = "[tables]";

/// The roots that hold a request as it leaves, for headers and query parameters that sign it.
pub const SIGNING: [Root; 2] = [Root::HmacOptions, Root::HashOptions];

/// The member of both that says, where it is read, that the request is signed for AWS. No text can spell it.
pub const AWS4: &str = "[aws4]";

/// The member of both that holds the hash of the body, whatever its bytes are. No text can spell it.
pub const BODY_HASH: &str = "[body]";

/// One root's value, borrowed.
#[derive(Clone, Copy, Default)]
pub enum Slot<'a> {
    /// Not offered here.
    #[default]
    None,
    /// Checked JSON.
    Json(JsonRef<'a>),
    /// A record, with its index.
    Record(&'a Record),
    /// A batch.
    Records(&'a [Record]),
    /// Plain text, not JSON.
    Text(&'a str),
    /// A whole number.
    Number(i64),
    /// Named parts, each a slot again (`connection.vars`, `previous.body` …).
    Map(&'a [(&'a str, Slot<'a>)]),
    /// Response headers: names are found in any case.
    Headers(&'a [(String, String)]),
    /// Whole values by name.
    Named(&'a [(String, Json)]),
}

/// What many small evaluations for one record may take together: each has a bound of its own, and a record that asks for
/// as many of them as it has items would multiply it.
#[derive(Debug)]
pub struct Purse(AtomicUsize);

impl Purse {
    /// Steps of all evaluations together.
    pub const STEPS: usize = 20_000_000;
}

#[cfg(test)]
impl Purse {
    pub fn of(steps: usize) -> Self {
        Self(AtomicUsize::new(steps))
    }
}

impl Default for Purse {
    fn default() -> Self {
        Self(AtomicUsize::new(Self::STEPS))
    }
}

/// The roots on offer for one evaluation.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    slots: [Slot<'a>; Root::ALL.len()],
    missing_is_empty: bool,
    tables: Option<&'a Tables>,
    purse: Option<&'a Purse>,
}

impl<'a> Context<'a> {
    /// Offers nothing.
    pub fn new() -> Self {
        Self { slots: [Slot::None; Root::ALL.len()], missing_is_empty: false, tables: None, purse: None }
    }

    /// Offers one more root.
    #[must_use]
    pub fn with(mut self, root: Root, slot: Slot<'a>) -> Self {
        self.slots[root as usize] = slot;
        self
    }

    /// As a flow with `missing = "empty"` has it: what is missing is empty.
    #[must_use]
    pub fn with_missing_as_empty(mut self, yes: bool) -> Self {
        self.missing_is_empty = yes;
        self
    }

    /// Whether what is missing is empty.
    pub fn missing_is_empty(&self) -> bool {
        self.missing_is_empty
    }

    /// All evaluations in it take from one purse; from the one that is there already, if there is one.
    #[must_use]
    pub fn with_purse(mut self, purse: &'a Purse) -> Self {
        self.purse.get_or_insert(purse);
        self
    }

    /// Takes steps from the purse.
    pub(in crate::value) fn pay(&self, steps: usize) -> Result<(), EvalError> {
        let Some(Purse(left)) = self.purse else { return Ok(()) };
        // One thread evaluates.
        let Some(rest) = left.load(Ordering::Relaxed).checked_sub(steps) else {
            let text =
                format!("the expressions and templates of one value take more than {} steps together", Purse::STEPS);
            return Err(EvalError::Limit(text));
        };
        left.store(rest, Ordering::Relaxed);
        Ok(())
    }

    /// Offers the flow's `[tables]`.
    #[must_use]
    pub fn with_tables(mut self, tables: &'a Tables) -> Self {
        self.tables = Some(tables);
        self
    }

    /// One of the flow's `[tables]`.
    pub fn table(&self, name: &str) -> Option<&'a Table> {
        self.tables?.get(name)
    }

    /// What a root holds.
    pub fn get(&self, root: Root) -> Slot<'a> {
        self.slots[root as usize]
    }

    /// An error where a text that was made here holds the sign that stands for what no text can hold, and a record in
    /// reach holds half of a surrogate pair: what was sent would be another text than the record's.
    pub(in crate::value) fn refuse_torn(&self, made: &str) -> Result<(), EvalError> {
        // As it stands, or percent-encoded.
        if !made.contains(char::REPLACEMENT_CHARACTER) && !made.contains("%EF%BF%BD") {
            return Ok(());
        }
        let torn = |root| match self.get(root) {
            Slot::Json(json) => Some(json).filter(|json| is_torn(json.text())),
            Slot::Record(record) => Some(record.json().as_ref()).filter(|json| is_torn(json.text())),
            Slot::Records(records) => {
                records.iter().map(|record| record.json().as_ref()).find(|json| is_torn(json.text()))
            }
            _ => None,
        };
        for root in [Root::Record, Root::Item, Root::Parent, Root::Records] {
            if let Some(json) = torn(root) {
                let at = torn_at(json);
                let dot = if at.is_empty() || at.starts_with('[') { "" } else { "." };
                return Err(EvalError::Refused(TORN.to_owned()).at(&format!("{}{dot}{at}", root.name())));
            }
        }
        Ok(())
    }

    /// What `$` means: the item inside `each`, else the record.
    pub fn current(&self) -> Slot<'a> {
        match self.get(Root::Item) {
            Slot::None => self.get(Root::Record),
            item => item,
        }
    }
}

impl Default for Context<'_> {
    fn default() -> Self {
        Self::new()
    }
}

/// A name an expression or template reads, for checks at load: `connection.vars.account` is root
/// `connection` with members `["vars", "account"]` (members stop at the first computed step).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// The first name as written; perhaps no known root.
    pub root: String,
    /// The literal members after it.
    pub members: Vec<String>,
    /// Where in the source text.
    pub at: std::ops::Range<usize>,
    /// Whether an absent value is tolerated there (`default`, `is defined`, `{{#if}}` …).
    pub tolerant: bool,
}
