//! `errors edit`: another record in the place of the one that failed, from an editor, from a file, or place by place.

use super::super::{Exit, Globals};
use super::args::EditArgs;
use super::shown::pretty;
use super::{Place, missing};
use crate::app::Host;
use crate::app::errors::amend;
use crate::store::socket::{ErrorAsk, MOST_RECORD};
use crate::store::{ErrorFilter, ErrorRow, ErrorState};
use crate::value::json::Json;
use serde_json::json;
use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Edits one error record.
pub async fn edit(globals: &Globals, host: &Host, place: &Place, args: &EditArgs) -> Result<Exit, Exit> {
    let filter = ErrorFilter { ids: vec![args.id], ..ErrorFilter::default() };
    let (rows, _) = place.rows(globals, host, filter, true, 1).await?;
    let Some(row) = rows.first() else { return Ok(missing(globals, &[args.id], &rows)) };
    if row.state != ErrorState::Open {
        globals.complain(&format!("error record {} is not open any more: there is nothing to send", row.id));
        return Ok(Exit::No);
    }
    let changed = changed(globals, host, args, row).map_err(|refusal| {
        globals.complain(&refusal.text);
        refusal.exit
    })?;
    let Some((payload, draft)) = changed else {
        globals.note("nothing was changed");
        if globals.json() {
            globals.say(&json!({ "format": 1, "edited": null }).to_string());
        }
        return Ok(Exit::Done);
    };
    let ask = ErrorAsk::Edit { id: row.id, seen: row.changed, payload };
    if let Err(exit) = place.ask::<ErrorRow>(globals, host, ask).await {
        if let Some(draft) = draft {
            globals.note(&format!("what you wrote is kept in {}", draft.display()));
        }
        return Err(exit);
    }
    if let Some(draft) = draft {
        let _ = std::fs::remove_file(draft);
    }
    if globals.json() {
        globals.say(&json!({ "format": 1, "edited": row.id }).to_string());
    } else {
        globals.say(&format!("edited error record {0}; `flowgate errors retry {0}` sends it", row.id));
    }
    Ok(Exit::Done)
}

/// Why there is no new record.
struct Refusal {
    text: String,
    exit: Exit,
}

fn refuse(exit: Exit, text: impl Into<String>) -> Refusal {
    Refusal { text: text.into(), exit }
}

/// The new record, and the file it was written in by hand; none when it is as it was.
fn changed(
    globals: &Globals,
    host: &Host,
    args: &EditArgs,
    row: &ErrorRow,
) -> Result<Option<(String, Option<PathBuf>)>, Refusal> {
    if let Some(path) = &args.file {
        let text = read(path).map_err(|error| refuse(Exit::Input, format!("`{}`: {error}", path.display())))?;
        return is_json(&text).map(|()| Some((text, None))).map_err(|error| refuse(Exit::Input, error));
    }
    if !args.set.is_empty() {
        let record = Json::parse(row.payload.as_str());
        let mut record =
            record.map_err(|error| refuse(Exit::Input, format!("the stored record is no JSON: {error}")))?;
        for assignment in &args.set {
            record = amend::set(&record, assignment).map_err(|error| refuse(Exit::Input, error))?;
        }
        return Ok((record.text() != row.payload).then(|| (record.text().to_owned(), None)));
    }
    if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
        return Err(refuse(Exit::Usage, "there is no terminal for an editor: use --set 'path=json' or --file PATH"));
    }
    let var = |name| host.env.var(name).filter(|value| !value.trim().is_empty());
    let editor = var("VISUAL").or_else(|| var("EDITOR")).unwrap_or_else(|| "vi".to_owned());
    by_editor(&globals.state_dir(), &editor, row)
}

/// Has the record edited in a file that nobody else can read: it may hold anything.
fn by_editor(state: &Path, editor: &str, row: &ErrorRow) -> Result<Option<(String, Option<PathBuf>)>, Refusal> {
    let draft = state.join(format!("edit-{}-{}.json", row.id, std::process::id()));
    let failed = |error: io::Error| refuse(Exit::Temporary, format!("`{}`: {error}", draft.display()));
    let before = pretty(&row.payload) + "\n";
    create(&draft).and_then(|mut file| file.write_all(before.as_bytes())).map_err(failed)?;
    // As git does it: the editor may be a command with arguments.
    let ended = Command::new("sh").args(["-c", &format!("{editor} \"$@\""), editor]).arg(&draft).status();
    let kept = format!("what you wrote is kept in {}; `--file` takes it", draft.display());
    match ended {
        Ok(status) if status.success() => {}
        Ok(status) => {
            return Err(refuse(Exit::Temporary, format!("the editor `{editor}` ended with {status}; {kept}")));
        }
        Err(error) => return Err(refuse(Exit::Temporary, format!("the editor `{editor}` cannot be started: {error}"))),
    }
    let after = read(&draft).map_err(failed)?;
    if after == before {
        let _ = std::fs::remove_file(&draft);
        return Ok(None);
    }
    is_json(&after).map_err(|error| refuse(Exit::Input, format!("{error}; {kept}")))?;
    Ok(Some((after, Some(draft))))
}

fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(MOST_RECORD as u64 + 1).read_to_string(&mut text)?;
    if text.len() > MOST_RECORD {
        return Err(io::Error::other(format!("it has more than the {MOST_RECORD} bytes allowed")));
    }
    Ok(text)
}

fn is_json(text: &str) -> Result<(), String> {
    Json::parse(text).map(drop).map_err(|error| format!("the record is no JSON: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::id::FlowId;
    use std::os::unix::fs::PermissionsExt;

    fn row(payload: &str) -> ErrorRow {
        let at = chrono::DateTime::UNIX_EPOCH;
        ErrorRow {
            id: 7,
            flow: FlowId::parse("orders").unwrap(),
            run: String::new(),
            export: String::new(),
            each: None,
            time: None,
            members: 0,
            step: String::new(),
            page: 1,
            record: 1,
            class: String::new(),
            message: String::new(),
            status: None,
            attempts: 0,
            request: None,
            response: None,
            payload: payload.to_owned(),
            exported: None,
            trace_key: None,
            link: None,
            key: None,
            fingerprint: String::new(),
            state: ErrorState::Open,
            opened: at,
            changed: at,
            by: None,
            retries: 0,
            next_retry: None,
        }
    }

    fn edited(editor: &str) -> (tempfile::TempDir, Result<Option<String>, String>) {
        let state = tempfile::tempdir().unwrap();
        let edited = by_editor(state.path(), editor, &row("{\"id\":1}"));
        (state, edited.map(|changed| changed.map(|(text, _)| text)).map_err(|refusal| refusal.text))
    }

    fn left(state: &tempfile::TempDir) -> Vec<PathBuf> {
        std::fs::read_dir(state.path()).unwrap().map(|entry| entry.unwrap().path()).collect()
    }

    #[test]
    fn an_editor_changes_the_record_in_a_private_file() {
        let (state, text) = edited("sed -i s/1/22/");
        assert_eq!(text.unwrap().unwrap(), "{\n  \"id\": 22\n}\n");
        assert_eq!(std::fs::metadata(&left(&state)[0]).unwrap().permissions().mode() & 0o077, 0);
        let (state, text) = edited("true");
        assert!(text.unwrap().is_none() && left(&state).is_empty(), "nothing changed, nothing left");
    }

    #[test]
    fn what_was_written_survives_a_mistake() {
        for (editor, words) in [("sed -i s/}//", "is no JSON"), ("false", "ended with")] {
            let (state, text) = edited(editor);
            let text = text.unwrap_err();
            let draft = left(&state).pop().unwrap();
            assert!(text.contains(words) && text.contains(&draft.display().to_string()), "{text}");
        }
    }
}
