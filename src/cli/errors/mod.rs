//! `flowgate errors`: what could not be delivered, and what is to become of it. With a running `serve` it is asked; else
//! the state is looked into from here.

mod args;
mod edit;
mod lines;
mod retry;
mod shown;

pub use args::ErrorsCommand;
pub use lines::age_of;
pub use shown::pretty;

use super::names::known;
use super::owner::Owner;
use super::run::no_state;
use super::{Exit, Globals};
use crate::app::errors::{self, Groups, Masks, Page, Purged, Resolved};
use crate::app::renamed::{self, Renamed};
use crate::app::state::NoState;
use crate::app::{Host, State};
use crate::config::Loaded;
use crate::store::socket::{Ask, ErrorAsk};
use crate::store::{self, ErrorFilter, ErrorRow, MemoryStore, OpenError, StateError};
use args::{ListArgs, PurgeArgs, Selection};
use serde::de::DeserializeOwned;
use serde_json::json;
use std::io::IsTerminal;

/// Lines of a list unless it is asked for more.
const LINES: u32 = 1_000;

/// Carries out what was asked.
pub async fn errors(globals: &Globals, host: &Host, command: Option<ErrorsCommand>) -> Exit {
    let command = command.unwrap_or_else(|| ErrorsCommand::List(ListArgs::default()));
    if let Some(which) = command.selection()
        && let Err(exit) = known(globals, host, which.flow.as_ref()).await
    {
        return exit;
    }
    let looks = matches!(command, ErrorsCommand::List(_) | ErrorsCommand::Show { .. });
    let place = match if looks { Place::look(globals, host) } else { Place::own(globals, host).await } {
        Ok(place) => place,
        Err(exit) => return exit,
    };
    let done = match command {
        ErrorsCommand::List(list) => self::list(globals, host, &place, &list).await,
        ErrorsCommand::Show { ids } => show(globals, host, &place, ids).await,
        ErrorsCommand::Edit(args) => edit::edit(globals, host, &place, &args).await,
        ErrorsCommand::Retry(which) if which.is_empty() => Err(nothing_named(globals, "retry")),
        ErrorsCommand::Resolve(which) if which.is_empty() => Err(nothing_named(globals, "resolve")),
        ErrorsCommand::Purge(PurgeArgs { which, .. }) if which.is_empty() => Err(nothing_named(globals, "purge")),
        ErrorsCommand::Retry(which) => return retry::retry(globals, host, place, which.filter(host.clock.utc())).await,
        ErrorsCommand::Resolve(which) => resolve(globals, host, &place, &which).await,
        ErrorsCommand::Purge(args) => purge(globals, host, &place, &args).await,
    };
    place.leave(host).await;
    match done {
        Ok(exit) | Err(exit) => exit,
    }
}

/// Where error records are.
enum Place {
    /// A running process owns them.
    Owner(Owner),
    /// Here.
    Here(State),
}

impl Place {
    /// For looking only: beside whoever owns the state.
    fn look(globals: &Globals, host: &Host) -> Result<Self, Exit> {
        let store = match store::open_read_only(&globals.state_dir()) {
            Ok(store) => store,
            // Nothing has run here, and looking is no reason to create anything.
            Err(OpenError::Absent(_)) => MemoryStore::new(),
            Err(error) => return Err(no_state(globals, &error.into())),
        };
        // A project with errors tells no names: then they are those that are stored.
        let store = match host.load() {
            Ok((_, Loaded { snapshot: Some(snapshot), .. })) => Renamed::over(store, &snapshot),
            _ => store,
        };
        Ok(Self::Here(State::over(store, 0)))
    }

    /// For changes: by whoever owns the state, else by this process.
    async fn own(globals: &Globals, host: &Host) -> Result<Self, Exit> {
        let path = globals.state_dir();
        if !path.exists() {
            return Ok(Self::Here(State::in_memory()));
        }
        match State::open(host, &path) {
            Ok(state) => {
                // As a run would, before anything is looked for by the name of today.
                if let Ok((_, Loaded { snapshot: Some(snapshot), .. })) = host.load() {
                    let writes = renamed::writes(&renamed::renames(&snapshot));
                    let done = if writes.is_empty() { Ok(()) } else { state.store.commit(writes).await.map(drop) };
                    done.map_err(|error| {
                        globals.complain(&error.to_string());
                        Exit::Temporary
                    })?;
                }
                Ok(Self::Here(state))
            }
            Err(NoState::Directory(owned @ StateError::Owned { .. })) => Owner::of(globals, owned).map(Self::Owner),
            Err(error) => Err(no_state(globals, &error)),
        }
    }

    /// Asks about error records, wherever they are.
    async fn ask<T: DeserializeOwned>(&self, globals: &Globals, host: &Host, ask: ErrorAsk) -> Result<T, Exit> {
        match self {
            Self::Owner(owner) => owner.ask(globals, Ask::Errors(ask)),
            Self::Here(state) => {
                let answer = errors::answer(state.store.as_ref(), ask, host.clock.utc()).await;
                let answer =
                    answer.and_then(|answer| serde_json::from_value(answer).map_err(|error| error.to_string()));
                answer.map_err(|text| {
                    globals.complain(&text);
                    Exit::Temporary
                })
            }
        }
    }

    /// The error records that match, at most `limit`, and whether there are more.
    async fn rows(
        &self,
        globals: &Globals,
        host: &Host,
        mut filter: ErrorFilter,
        whole: bool,
        limit: u32,
    ) -> Result<(Vec<ErrorRow>, bool), Exit> {
        let mut rows: Vec<ErrorRow> = Vec::new();
        loop {
            // One more than is shown tells whether there are more.
            let left = limit.saturating_add(1).saturating_sub(u32::try_from(rows.len()).unwrap_or(u32::MAX));
            filter.limit = Some(left);
            let ask = ErrorAsk::List { filter: filter.clone(), whole };
            let page: Page = self.ask(globals, host, ask).await?;
            rows.extend(page.errors);
            if page.next.is_none() || rows.len() > limit as usize {
                let more = rows.len() > limit as usize;
                rows.truncate(limit as usize);
                return Ok((rows, more));
            }
            filter.below = page.next;
        }
    }

    async fn leave(self, host: &Host) {
        if let Self::Here(state) = self {
            state.close(host).await;
        }
    }
}

fn nothing_named(globals: &Globals, command: &str) -> Exit {
    globals.complain(&format!(
        "`flowgate errors {command}` needs to know which: numbers, `--flow`, `--run`, `--class`, `--fingerprint`, \
         `--older-than`, or `--all`"
    ));
    Exit::Usage
}

async fn list(globals: &Globals, host: &Host, place: &Place, args: &ListArgs) -> Result<Exit, Exit> {
    let filter = ErrorFilter { open_only: !args.settled, ..args.which.filter(host.clock.utc()) };
    let limit = args.limit.unwrap_or(LINES);
    let now = host.clock.utc();
    let people = !globals.json() && std::io::stdout().is_terminal();
    if args.group || (people && !args.each) {
        let groups: Groups = place.ask(globals, host, ErrorAsk::Groups { filter }).await?;
        if globals.json() {
            globals.say(&lines::groups_document(&groups, limit).to_string());
        } else {
            globals.data(&lines::groups(&groups, limit, now, globals.style.stdout));
        }
    } else {
        let (rows, more) = place.rows(globals, host, filter, false, limit).await?;
        let rows = masked(host, place, rows).await.0;
        if globals.json() {
            globals.say(&shown::document(&rows, more, false));
        } else {
            globals.data(&lines::each(&rows, now, globals.style.stdout));
            if more {
                globals.note(&format!("(the newest {limit}; `--limit` shows more)"));
            }
        }
    }
    Ok(Exit::Done)
}

async fn show(globals: &Globals, host: &Host, place: &Place, mut ids: Vec<u64>) -> Result<Exit, Exit> {
    ids.sort_unstable();
    ids.dedup();
    let filter = ErrorFilter { ids: ids.clone(), ..ErrorFilter::default() };
    let (mut rows, _) = place.rows(globals, host, filter, true, u32::MAX - 1).await?;
    rows.reverse();
    let (rows, gaps) = masked(host, place, rows).await;
    if let Some(why) = gaps {
        globals.warn(&format!("not all secrets are known here, and those that are not may show in records: {why}"));
    }
    if globals.json() {
        globals.say(&shown::document(&rows, false, true));
    } else {
        let texts: Vec<String> =
            rows.iter().map(|row| shown::text(row, host.clock.utc(), globals.style.stdout)).collect();
        globals.data(&texts.join("\n"));
    }
    Ok(missing(globals, &ids, &rows))
}

/// What may be shown of error records, and why some secrets in it may not be known.
async fn masked(host: &Host, place: &Place, rows: Vec<ErrorRow>) -> (Vec<ErrorRow>, Option<String>) {
    match place {
        Place::Here(state) if !rows.is_empty() => {
            let masks = Masks::of(host, state).await;
            (rows.into_iter().map(|row| masks.mask(row)).collect(), masks.gaps)
        }
        Place::Here(_) | Place::Owner(_) => (rows, None),
    }
}

/// Says which of the named ones are not there.
fn missing(globals: &Globals, ids: &[u64], rows: &[ErrorRow]) -> Exit {
    let mut exit = Exit::Done;
    for id in ids.iter().filter(|id| rows.iter().all(|row| row.id != **id)) {
        globals.complain(&format!("there is no error record {id}"));
        exit = Exit::No;
    }
    exit
}

async fn resolve(globals: &Globals, host: &Host, place: &Place, which: &Selection) -> Result<Exit, Exit> {
    let filter = which.filter(host.clock.utc());
    let Resolved { resolved } = place.ask(globals, host, ErrorAsk::Resolve { filter }).await?;
    if globals.json() {
        globals.say(&json!({ "format": 1, "resolved": resolved }).to_string());
    } else {
        globals.say(&format!("resolved {}: counted as dismissed", lines::count(resolved, "open error record")));
    }
    Ok(none_of_the_named(which, resolved))
}

async fn purge(globals: &Globals, host: &Host, place: &Place, args: &PurgeArgs) -> Result<Exit, Exit> {
    let (filter, open) = (args.which.filter(host.clock.utc()), args.open);
    let purged: Purged = place.ask(globals, host, ErrorAsk::Purge { filter, open }).await?;
    if globals.json() {
        let Purged { purged, dismissed, open } = purged;
        let document = json!({ "format": 1, "purged": purged, "dismissed": dismissed, "open": open });
        globals.say(&document.to_string());
    } else {
        globals.say(&format!("purged {}", lines::count(purged.purged, "error record")));
        if purged.dismissed > 0 {
            globals.say(&format!("of these {} open: counted as dismissed", lines::were(purged.dismissed)));
        }
        if purged.open > 0 {
            globals.say(&format!("{} open and stayed (`--open` purges them too)", lines::were(purged.open)));
        }
    }
    Ok(none_of_the_named(&args.which, purged.purged))
}

/// Somebody who names records by number wants these and no others.
fn none_of_the_named(which: &Selection, done: u64) -> Exit {
    if done < which.ids.len() as u64 { Exit::No } else { Exit::Done }
}
