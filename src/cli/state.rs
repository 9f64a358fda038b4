//! `flowgate state …`: whether what is stored is sound, and the few things that may be done to it by hand. All of it
//! works on the directory itself; what writes needs it to be nobody's.

use super::args::StateCommand;
use super::style::{Tone, paint};
use super::table::{Align, Cell, Table};
use super::{Exit, Globals};
use crate::app::Host;
use crate::observe::logs::visible;
use crate::store::socket::{Ask, AskError, ValueAsk, ask};
use crate::store::{
    self, Checked, Damage, OpenError, Space, StateDir, StateError, Store, StoreError, TransferError, Usage, Write,
};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, BufReader, BufWriter};
use std::path::Path;
use std::sync::Arc;

/// Version of the JSON documents.
const FORMAT: u32 = 1;

/// Carries out one of the commands.
pub async fn state(globals: &Globals, host: &Host, command: StateCommand) -> Exit {
    let dir = globals.state_dir();
    let done = match command {
        StateCommand::Check => check(globals, &dir),
        StateCommand::Repair => repair(globals, host, &dir),
        StateCommand::Show { space, tokens } => show(globals, &dir, space.as_deref(), tokens).await,
        StateCommand::Set { space, key, value } => set(globals, host, &dir, (&space, key, value)).await,
        StateCommand::Export { tokens } => export(globals, &dir, tokens),
        StateCommand::Import { file } => import(globals, host, &dir, file.as_deref()),
    };
    done.unwrap_or_else(|Failed(exit, text)| {
        globals.complain(&text);
        exit
    })
}

/// How a command failed, and in which words.
struct Failed(Exit, String);

impl From<OpenError> for Failed {
    fn from(error: OpenError) -> Self {
        let exit = match &error {
            OpenError::Newer { .. } | OpenError::Unusable { .. } => Exit::Input,
            OpenError::Absent(_) => Exit::Unavailable,
            OpenError::Loose { .. } | OpenError::Wrong { .. } => Exit::Config,
            OpenError::System { .. } => Exit::Temporary,
        };
        Self(exit, error.to_string())
    }
}

impl From<StateError> for Failed {
    fn from(error: StateError) -> Self {
        let exit = match &error {
            StateError::Owned { .. } => Exit::Unavailable,
            StateError::Io { .. } => Exit::Temporary,
            _ => Exit::Config,
        };
        Self(exit, error.to_string())
    }
}

impl From<StoreError> for Failed {
    fn from(error: StoreError) -> Self {
        let exit = match &error {
            StoreError::Refused(_) | StoreError::Damaged(_) => Exit::Input,
            StoreError::Unreadable(_) | StoreError::Closed => Exit::Temporary,
        };
        Self(exit, error.to_string())
    }
}

impl From<TransferError> for Failed {
    fn from(error: TransferError) -> Self {
        match error {
            TransferError::Open(error) => error.into(),
            TransferError::System(text) => Self(Exit::Temporary, text),
            other => Self(Exit::Input, other.to_string()),
        }
    }
}

fn check(globals: &Globals, dir: &Path) -> Result<Exit, Failed> {
    let checked = store::check_state(dir)?;
    if globals.json() {
        globals.say(&verdict_json(&checked).to_string());
    } else {
        globals.data(&verdict_text(&checked, globals.style.stdout));
    }
    Ok(if checked.damage.is_empty() { Exit::Done } else { Exit::No })
}

fn verdict_json(checked: &Checked) -> Value {
    let damage: Vec<Value> = checked
        .damage
        .iter()
        .map(|found| json!({ "flow": found.flow.as_ref().map(ToString::to_string), "text": found.text }))
        .collect();
    json!({
        "format": FORMAT,
        "sound": checked.damage.is_empty(),
        "schema": checked.schema,
        "rows": checked.rows,
        "bytes": { "database": checked.usage.database, "pages": checked.usage.pages },
        "damage": damage,
        "notes": checked.notes,
    })
}

fn verdict_text(checked: &Checked, colour: bool) -> String {
    let mut out = String::new();
    for Damage { flow, text } in &checked.damage {
        let whose = flow.as_ref().map(|flow| format!("flow {flow}: ")).unwrap_or_default();
        let _ = writeln!(out, "{} {whose}{}", paint(colour, Tone::Bad, "damaged:"), visible(text));
    }
    for note in &checked.notes {
        let _ = writeln!(out, "note: {note}");
    }
    let rows = |table: &str| checked.rows.get(table).copied().unwrap_or(0);
    let _ = writeln!(
        out,
        "{} runs, {} pages in work, {} error records, {} values; {}",
        rows("runs"),
        rows("pages"),
        rows("errors"),
        rows("vals"),
        size(checked.usage)
    );
    let verdict = match checked.damage.len() {
        0 => paint(colour, Tone::Good, "the state is sound"),
        count => paint(colour, Tone::Bad, format!("the state is damaged in {count} places: `flowgate state repair`")),
    };
    let _ = writeln!(out, "{verdict}");
    out
}

fn size(usage: Usage) -> String {
    format!("{} KiB of database, {} KiB of page bodies", usage.database.div_ceil(1024), usage.pages.div_ceil(1024))
}

fn repair(globals: &Globals, host: &Host, dir: &Path) -> Result<Exit, Failed> {
    let now = host.clock.utc();
    let told = store::repair_state(&own(host, dir)?, now)?;
    if globals.json() {
        globals.say(&json!({ "format": FORMAT, "done": told }).to_string());
    } else if told.is_empty() {
        globals.say("the state is sound: nothing to repair");
    } else {
        for line in &told {
            globals.say(&visible(line));
        }
    }
    Ok(Exit::Done)
}

/// The directory, which must be there: looking into a new one by mistake would say that all is well.
fn own(host: &Host, dir: &Path) -> Result<StateDir, Failed> {
    if dir.exists() {
        Ok(StateDir::own(dir, host.clock.utc())?)
    } else {
        Err(OpenError::Absent(dir.to_path_buf()).into())
    }
}

fn space_named(name: &str) -> Result<Space, Failed> {
    Space::named(name).ok_or_else(|| {
        let names: Vec<_> = Space::ALL.iter().map(|space| space.name()).collect();
        Failed(Exit::Usage, format!("there are no values of kind `{name}`; there are: {}", names.join(", ")))
    })
}

async fn show(globals: &Globals, dir: &Path, space: Option<&str>, tokens: bool) -> Result<Exit, Failed> {
    let spaces = match space {
        Some(name) => vec![space_named(name)?],
        None => Space::ALL.to_vec(),
    };
    let store = store::open_read_only(dir)?;
    let usage = store.usage().await?;
    let mut values = Vec::new();
    for space in spaces {
        for (key, value) in store.values(space).await? {
            // Credentials are shown only to those who ask for them by name.
            let hidden = space == Space::Token && !tokens;
            values.push((space.name(), key, if hidden { "(hidden; `--tokens` shows it)".to_owned() } else { value }));
        }
    }
    if globals.json() {
        let rows: Vec<Value> =
            values.iter().map(|(space, key, value)| json!({ "space": space, "key": key, "value": value })).collect();
        let bytes = json!({ "database": usage.database, "pages": usage.pages });
        globals.say(&json!({ "format": FORMAT, "bytes": bytes, "values": rows }).to_string());
        return Ok(Exit::Done);
    }
    let mut table = Table::new(&[("kind", Align::Left), ("key", Align::Left), ("value", Align::Left)]);
    for (space, key, value) in values {
        table.row(vec![Cell::from(space), Cell::from(key), Cell::from(value)]);
    }
    if !table.is_empty() {
        globals.data(&table.render(globals.style.stdout));
    }
    globals.note(&size(usage));
    Ok(Exit::Done)
}

async fn set(
    globals: &Globals,
    host: &Host,
    dir: &Path,
    (space, key, value): (&str, String, Option<String>),
) -> Result<Exit, Failed> {
    let space = space_named(space)?;
    let state = match own(host, dir) {
        // A running `serve` writes it; anything else that has it is told as it was.
        Err(owned) if owned.0 == Exit::Unavailable && dir.exists() => {
            let document = set_json(space, &key, value.as_ref());
            let value = ValueAsk { space: space.name().to_owned(), key, value };
            return match ask(dir, Ask::Set(value)) {
                Ok(_) => Ok(done(globals, "done by the running flowgate", &document)),
                Err(AskError::Refused(text)) => Err(Failed(Exit::Input, text)),
                Err(_) => Err(owned),
            };
        }
        owned => owned?,
    };
    let store: Arc<dyn Store> = store::open(&state, host.clock.clone())?;
    let document = set_json(space, &key, value.as_ref());
    let write = match value {
        Some(value) => Write::Put { space, key, value },
        None => Write::Delete { space, key },
    };
    let written = store.commit(vec![write]).await;
    store.close().await?;
    written?;
    Ok(done(globals, "done", &document))
}

fn set_json(space: Space, key: &str, value: Option<&String>) -> Value {
    let what = if value.is_some() { "set" } else { "removed" };
    json!({ "format": FORMAT, "space": space.name(), "key": key, "done": what })
}

/// For people beside the data, for programs as data.
fn done(globals: &Globals, text: &str, document: &Value) -> Exit {
    globals.note(text);
    if globals.json() {
        globals.say(&document.to_string());
    }
    Exit::Done
}

/// Standard output, which says what it is when it cannot be written.
struct Stdout(BufWriter<io::StdoutLock<'static>>);

impl io::Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes).map_err(|error| unwritten(&error))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush().map_err(|error| unwritten(&error))
    }
}

fn unwritten(error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("stdout: {error}"))
}

fn export(globals: &Globals, dir: &Path, tokens: bool) -> Result<Exit, Failed> {
    let count = store::export_state(dir, tokens, &mut Stdout(BufWriter::new(io::stdout().lock())))?;
    globals.note(&format!("{count} rows exported"));
    if !tokens {
        globals.note("renewed credentials are left out; `--tokens` takes them along");
    }
    Ok(Exit::Done)
}

fn import(globals: &Globals, host: &Host, dir: &Path, file: Option<&Path>) -> Result<Exit, Failed> {
    let state = StateDir::own(dir, host.clock.utc())?;
    let count = match file {
        None => store::import_state(&state, &mut io::stdin().lock())?,
        Some(path) => {
            let file = File::open(path)
                .map_err(|error| Failed(Exit::Input, format!("cannot open `{}`: {error}", path.display())))?;
            store::import_state(&state, &mut BufReader::new(file))?
        }
    };
    Ok(done(globals, &format!("{count} rows imported"), &json!({ "format": FORMAT, "rows": count })))
}
