//! `flowgate top`: a running `serve`, looked at once a second until `q`. Where there is no terminal: once.

mod frame;
mod screen;

use super::steer::unanswered;
use super::{Exit, Globals};
use crate::app::{Host, Signal, Signals, hangup_ends};
use crate::store::socket::{Ask, AskError, ask};
use crate::value::time::Mono;
use frame::{Look, frame};
use screen::{Key, Screen};
use serde_json::Value;
use std::time::Duration;

/// How often it is looked at.
const EVERY: Duration = Duration::from_secs(1);
/// The size of what is not a terminal.
const PLAIN: (usize, usize) = (120, usize::MAX);

/// Shows it.
pub async fn top(globals: &Globals, host: &Host, once: bool) -> Exit {
    let first = match ask(&globals.state_dir(), Ask::Status) {
        Ok(document) => document,
        Err(error) => return unanswered(globals, &error),
    };
    if globals.json() {
        globals.say(&first.to_string());
        return Exit::Done;
    }
    if once || !screen::is_terminal() || !globals.style.terminal {
        let look = Look { document: &first, before: None, now: host.clock.utc(), lost: None };
        globals.data(&(frame(&look, PLAIN, globals.style.stdout).join("\n") + "\n"));
        return Exit::Done;
    }
    let hangup = hangup_ends();
    let signals = match Signals::listen() {
        Ok(signals) => signals,
        Err(error) => {
            globals.complain(&format!("signals cannot be handled: {error}"));
            return Exit::Temporary;
        }
    };
    match Screen::enter() {
        Ok(screen) => live(globals, host, screen, signals, hangup, first).await,
        Err(error) => {
            globals.complain(&format!("the terminal cannot be used: {error}; `flowgate top --once` prints one look"));
            Exit::Temporary
        }
    }
}

/// What was seen, and when.
struct Seen {
    document: Value,
    at: Mono,
}

async fn live(
    globals: &Globals,
    host: &Host,
    mut screen: Screen,
    mut signals: Signals,
    hangup: bool,
    first: Value,
) -> Exit {
    let clock = &host.clock;
    let (mut before, mut now) = (None::<Seen>, Seen { document: first, at: clock.mono() });
    let mut looked_at = now.at;
    let mut lost: Option<String> = None;
    loop {
        let rate = before.as_ref().map(|seen| (&seen.document, now.at.since(seen.at)));
        let look = Look { document: &now.document, before: rate, now: clock.utc(), lost: lost.as_deref() };
        // A terminal that went away ends it.
        if Screen::draw(&frame(&look, Screen::size(), globals.style.stdout)).is_err() {
            return Exit::Done;
        }
        let next = looked_at.plus(EVERY).max(clock.mono().plus(EVERY / 4));
        tokio::select! {
            key = screen.key() => match key {
                Key::Quit => return Exit::Done,
                Key::Resized => continue,
            },
            signal = signals.ending(hangup) => return match signal {
                Signal::Interrupt => Exit::Interrupted,
                Signal::Terminate | Signal::Reload => Exit::Terminated,
            },
            () = clock.sleep_until(next) => {}
        }
        let answer = looked(globals).await;
        looked_at = clock.mono();
        lost = take(&mut before, &mut now, answer, looked_at).err();
    }
}

/// A look that failed changes nothing: what was seen stays as old as it is.
fn take(before: &mut Option<Seen>, now: &mut Seen, answer: Result<Value, AskError>, at: Mono) -> Result<(), String> {
    let document = answer.map_err(|error| error.to_string())?;
    *before = Some(std::mem::replace(now, Seen { document, at }));
    Ok(())
}

async fn looked(globals: &Globals) -> Result<Value, AskError> {
    let state = globals.state_dir();
    // A key must not wait for an owner that is slow to answer.
    let answer = tokio::task::spawn_blocking(move || ask(&state, Ask::Status)).await;
    answer.map_err(|error| AskError::Unclear(error.to_string()))?
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_look_that_failed_makes_nothing_newer() {
        let at = |seconds| Mono(Duration::from_secs(seconds));
        let (mut before, mut now) = (None, Seen { document: json!(1), at: at(10) });
        let failed = take(&mut before, &mut now, Err(AskError::Unclear("gone".to_owned())), at(11));
        assert!(failed.unwrap_err().contains("gone") && before.is_none() && now.at == at(10));
        take(&mut before, &mut now, Ok(json!(2)), at(70)).unwrap();
        let seen = before.unwrap();
        assert_eq!((seen.document, now.at.since(seen.at)), (json!(1), Duration::from_mins(1)));
    }
}
